//! Random statements to Aegis and to a PostgreSQL beside it, which this test starts from the programs
//! of the system (`.ci/run` installs them).
//!
//! `AEGIS_SEED` and `AEGIS_STATEMENTS` set what is sent; `aegis-sqllogic fuzz` does the same with two
//! servers that run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aegis_sqllogic::fuzz;

use crate::server::{Server, setting};

/// A PostgreSQL with a directory of its own; dropping it stops it.
pub struct PostgreSql {
    programs: PathBuf,
    data: PathBuf,
    /// `host:port`
    pub address: String,
}

/// Where `initdb` and `pg_ctl` are: on the PATH, or where Linux distributions put them.
fn programs() -> PathBuf {
    let mut places: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.map(|version| version.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    places.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.splice(0..0, std::env::split_paths(&path));
    let found = places.into_iter().find(|place| place.join("initdb").exists());
    found.expect("PostgreSQL's server programs are needed (initdb, pg_ctl): package postgresql")
}

/// Runs a program of PostgreSQL's server, which refuses to run as root: as its own user then.
fn run(program: &Path, arguments: &[&str]) -> Output {
    let id = Command::new("id").arg("-u").output().unwrap();
    let mut command = if id.stdout.trim_ascii() == b"0" {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // Whatever the run has set for clients is not meant for this server.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").args(arguments);
    let output = command.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{}: {out}{err}", program.display());
    output
}

impl PostgreSql {
    /// Starts one in a folder that its user can reach.
    pub fn start(folder: &Path) -> Self {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder, open).unwrap();
        let programs = programs();
        let data = folder.join("postgresql");
        std::fs::create_dir(&data).unwrap();
        // Who runs as root hands the directory to the server's own user.
        let _not_root = Command::new("chown").arg("postgres").arg(&data).output().unwrap();
        let text = data.to_str().unwrap();
        let encoding =
            ["-E", "UTF8", "--locale=C", "--lc-ctype=C.UTF-8", "-U", "postgres", "--auth=trust"];
        run(&programs.join("initdb"), &[&["-D", text, "--no-sync"], &encoding[..]].concat());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = format!("-p {port} -k {text} -c listen_addresses=127.0.0.1 -c fsync=off");
        let log = data.join("log");
        let log = log.to_str().unwrap();
        let arguments = ["-D", text, "-o", &options, "-l", log, "-w", "start"];
        run(&programs.join("pg_ctl"), &arguments);
        Self { programs, data, address: format!("127.0.0.1:{port}") }
    }
}

impl Drop for PostgreSql {
    fn drop(&mut self) {
        let data = self.data.to_str().unwrap();
        run(&self.programs.join("pg_ctl"), &["-D", data, "-m", "immediate", "-w", "stop"]);
    }
}

#[test]
fn random_statements_are_answered_alike() {
    let seed = setting("AEGIS_SEED", 1);
    let statements = setting("AEGIS_STATEMENTS", 10_000);
    println!("AEGIS_SEED={seed} AEGIS_STATEMENTS={statements}");
    let folder = tempfile::tempdir().unwrap();
    let postgresql = PostgreSql::start(folder.path());
    let server = Server::start(&folder.path().join("aegis"));
    let prepare = |address: &str| fuzz::Server::prepare(address, "postgres", "fuzz").unwrap();
    let (mut reference, mut tested) = (prepare(&postgresql.address), prepare(&server.address));
    let report = fuzz::run(&mut reference, &mut tested, seed, 0..statements, |found| {
        println!(
            "{}\n-- PostgreSQL: {}\n-- here: {}\n",
            found.statement, found.reference, found.tested
        );
    })
    .unwrap();
    println!(
        "{} equal, {} refused alike, {} fail or not by the order of rows, {} timed out, not there: {:?}",
        report.equal, report.refused, report.unordered, report.timed_out, report.unsupported
    );
    assert!(report.differences.is_empty(), "{} different", report.differences.len());
    assert!(report.equal > statements / 2, "too little is answered to show anything");
    assert!(report.timed_out <= statements / 1000, "{} timed out", report.timed_out);
}
