//! Starts the binary on a port of its own, with a directory of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aegis_sqllogic::wire::{Client, Protocol};

/// A running server; dropping it kills it.
pub struct Server {
    process: Child,
    /// `host:port`
    pub address: String,
}

impl Server {
    /// Starts the binary over a data directory and waits until it takes connections.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// The same, with more flags.
    pub fn start_with(data_dir: &Path, flags: &[&str]) -> Self {
        let mut process = Command::new(binary())
            .args(["--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"])
            .arg(data_dir)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary is built before the tests run: cargo build --workspace");
        let stdout = process.stdout.take().unwrap();
        // The first line says how to connect: psql -h HOST -p PORT …
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag).unwrap_or_else(|| {
                panic!("no {flag} in the line that tells how to connect: {line:?}")
            });
            words[at + 1]
        };
        let address = format!("{}:{}", after("-h"), after("-p"));
        Self { process, address }
    }

    /// Starts the binary where it must refuse to; what it says, and whether it ended well.
    pub fn refused(data_dir: &Path) -> (String, bool) {
        let output = Command::new(binary())
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
    }

    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// A connection as `postgres`.
    pub fn connect(&self) -> Client {
        Client::connect(&self.address, "postgres", "postgres", Protocol::Simple).unwrap()
    }

    /// SIGTERM: it stops in order.
    pub fn stop(mut self) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success(), "it says that it stopped in order");
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// `AEGIS_BINARY` if it is set, else `target/<profile>/aegis`, beside the folder of the test's own
/// executable.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("AEGIS_BINARY") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("aegis")
}

/// A number that a run is told by its environment.
#[expect(clippy::disallowed_methods, reason = "a soak is longer than CI's run of the same test")]
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
