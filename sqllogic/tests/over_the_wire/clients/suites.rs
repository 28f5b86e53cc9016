//! Runs the suites of clients in other languages, each against a server of its own. What they need
//! is installed once, in folders of the target folder, whoever comes first.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Target;

#[path = "suites/python.rs"]
mod python;
#[path = "suites/node.rs"]
mod node;
#[path = "suites/java.rs"]
mod java;
#[path = "suites/rust.rs"]
mod rust;

/// A folder of `sqllogic/clients`.
fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// Runs a command; its output where it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    Err(format!("{command:?}: {}\n{out}{err}", output.status))
}

/// Runs a suite against a fresh server, or the one that the environment names.
fn passes(command: &mut Command) {
    let target = Target::with_arguments(&["--memory", "128MB"]);
    command.env("AEGIS_CLIENTS_DSN", &target.dsn);
    if let Some(process) = target.visible_process() {
        command.env("AEGIS_CLIENTS_PROCESS", process.to_string());
    }
    if let Err(output) = run(command) {
        panic!("{output}");
    }
}

/// A folder that outlives the run, filled by `install` whenever `list` is not what it was filled
/// from. Tests run in processes of their own: one installs, the others wait for it.
fn installed(
    name: &str,
    list: &Path,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let told = |error: std::io::Error| error.to_string();
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lock = File::create(temporary.join(format!("{name}.lock"))).map_err(told)?;
    lock.lock().map_err(told)?;
    let folder = temporary.join(name);
    let made_from = folder.join("made-from");
    let wanted = fs::read_to_string(list).map_err(told)?;
    if fs::read_to_string(&made_from).is_ok_and(|from| from == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(told)?;
    }
    fs::create_dir_all(&folder).map_err(told)?;
    install(&folder)?;
    fs::write(&made_from, wanted).map_err(told)?;
    Ok(folder)
}
