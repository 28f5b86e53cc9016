//! The binary answers for itself. That it is built for this test is what the tests over the wire,
//! in another package, rely on. Beside it: the whole server, but for its sockets, on a disk that
//! loses power.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "all of this is test code: a failed unwrap is a failed test, and seeds are printed"
)]

#[path = "binary/power_loss.rs"]
mod power_loss;

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
