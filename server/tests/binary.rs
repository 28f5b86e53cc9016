//! The binary answers for itself. That it is built for this test is what the tests over the wire,
//! in another package, rely on.

use std::process::Command;

#[test]
fn help_lists_the_flags() {
    let output = Command::new(env!("CARGO_BIN_EXE_aegis")).arg("--help").output().expect("it runs");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("help is text");
    assert!(text.contains("--data-dir") && text.contains("--listen"), "{text}");
}

#[test]
fn an_unknown_flag_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_aegis")).arg("--no-such").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}
