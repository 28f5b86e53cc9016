//! Runs the psycopg suite, `sqllogic/clients/psycopg`, in a Python environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Target;

/// A Python that has what `requirements.txt` names: the program, and where the packages are.
struct Python {
    program: PathBuf,
    packages: Option<PathBuf>,
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

impl Python {
    /// Made once for each `requirements.txt`, in a folder that outlives the run: a virtual
    /// environment, or, where `venv` is not installed, a folder that pip installs into.
    fn with_requirements(requirements: &Path) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("psycopg");
        let made = folder.join("made-from");
        let wanted = std::fs::read_to_string(requirements).map_err(|error| error.to_string())?;
        let venv = Self { program: folder.join("bin/python"), packages: None };
        let plain = Self { program: "python3".into(), packages: Some(folder.join("packages")) };
        if std::fs::read_to_string(&made).is_ok_and(|from| from == wanted) {
            return Ok(if venv.program.exists() { venv } else { plain });
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
        }
        let install = |python: &Self| {
            let mut pip = Command::new(&python.program);
            pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"]);
            pip.arg(requirements);
            if let Some(packages) = &python.packages {
                pip.arg("--target").arg(packages);
            }
            run(&mut pip)
        };
        let in_venv = run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .and_then(|()| install(&venv));
        let python = match in_venv {
            Ok(()) => venv,
            Err(first) => {
                // What is left of the attempt must not be taken for an environment.
                let _nothing_there = std::fs::remove_dir_all(&folder);
                install(&plain).map_err(|second| format!("{first}\n{second}"))?;
                plain
            }
        };
        std::fs::write(&made, wanted).map_err(|error| error.to_string())?;
        Ok(python)
    }
}

#[test]
fn the_psycopg_suite_passes() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/psycopg");
    let python =
        Python::with_requirements(&suite.join("requirements.txt")).unwrap_or_else(|error| {
            panic!("no Python with psycopg (python3, its pip or venv):\n{error}")
        });
    let target = Target::with_arguments(&["--memory", "128MB"]);
    let mut command = Command::new(&python.program);
    command.args(["-B", "-m", "unittest"]).current_dir(&suite);
    command.env("AEGIS_CLIENTS_DSN", &target.dsn);
    if let Some(packages) = &python.packages {
        command.env("PYTHONPATH", packages);
    }
    if let Some(process) = target.visible_process() {
        command.env("AEGIS_CLIENTS_PROCESS", process.to_string());
    }
    if let Err(output) = run(&mut command) {
        panic!("{output}");
    }
}
