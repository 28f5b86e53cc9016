//! Concurrent sessions, step by step: `slt/isolation/*.steps`.
//!
//! ```text
//! levels read committed, repeatable read      the case runs once at each level
//! case lost update
//! setup: CREATE TABLE t (id int PRIMARY KEY, n int)
//! a: BEGIN                                    what a session runs, in order
//! b: UPDATE t SET n = 2
//!   waits                                     it must be seen to wait for a lock
//! a: COMMIT
//! b ends                                      what became of the step that waited
//!   [rc] UPDATE 1                             only at READ COMMITTED
//!   [rr] error 40001: could not serialize access due to concurrent update
//! ```
//!
//! Below a step stands what it gives: `waits`, `error CODE: message`, a command tag, or rows, one a
//! line, as `(1, x)`; `no rows`; without a line anything but an error. That a step waits is asked of
//! `pg_locks` and `pg_blocking_pids`, as any client can. With `AEGIS_ISOLATION_ADDRESS=host:port` the
//! steps run against that server: they must pass on PostgreSQL too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use aegis_sqllogic::wire::{Answer, Client, ClientError, Protocol};

use crate::server::Server;
use crate::specification::THE_LONG_WAY;

/// How long a step may take that does not wait for another.
const STEP_MAX: Duration = Duration::from_secs(60);
/// How often the server is asked whether a step waits.
const ASK_EVERY: Duration = Duration::from_millis(3);

const LEVELS: [(&str, &str); 3] =
    [("rc", "read committed"), ("rr", "repeatable read"), ("sr", "serializable")];

/// Some steps from a common beginning.
#[derive(Debug, Default)]
struct Case {
    name: String,
    levels: Vec<&'static str>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    line: usize,
    session: String,
    /// `None` looks at the end of the step that waited.
    sql: Option<String>,
    /// Below it: at which level, and what.
    expected: Vec<(Option<&'static str>, String)>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut levels = vec!["rc"];
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let (level, what) = match trimmed.strip_prefix('[').and_then(|l| l.split_once("] ")) {
                Some((level, what)) => (Some(level_named(level, number)), what),
                None => (None, trimmed),
            };
            let step = cases.last_mut().and_then(|case| case.steps.last_mut());
            step.expect("an expectation stands below a step").expected.push((level, what.into()));
        } else if let Some(names) = line.strip_prefix("levels ") {
            levels = names.split(", ").map(|name| level_named(name, number)).collect();
        } else if let Some(name) = line.strip_prefix("case ") {
            let levels = levels.clone();
            cases.push(Case { name: name.into(), levels, steps: Vec::new() });
        } else {
            let (session, sql) = match line.split_once(": ") {
                Some((session, sql)) => (session, Some(sql.to_owned())),
                None => {
                    let session = line.strip_suffix(" ends");
                    (session.unwrap_or_else(|| panic!("line {number}: {line:?}")), None)
                }
            };
            let step = Step { line: number, session: session.into(), sql, expected: Vec::new() };
            cases.last_mut().expect("a step belongs to a case").steps.push(step);
        }
    }
    cases
}

fn level_named(name: &str, line: usize) -> &'static str {
    let found = LEVELS.iter().find(|(short, long)| *short == name || *long == name);
    found.unwrap_or_else(|| panic!("line {line}: no level {name:?}")).0
}

type Outcome = Result<Answer, ClientError>;

/// A session, driven by a thread of its own, so that a step that waits holds nobody else up.
struct Driven {
    process_id: i32,
    steps: Sender<String>,
    outcomes: Receiver<Outcome>,
    waits: bool,
}

impl Driven {
    fn start(address: &str, database: &str) -> Self {
        let mut client = Client::connect(address, "postgres", database, Protocol::Simple).unwrap();
        let process_id = client.backend.0;
        let (steps, taken) = channel::<String>();
        let (give, outcomes) = channel();
        std::thread::spawn(move || {
            for sql in taken {
                if give.send(client.run(&sql)).is_err() {
                    return;
                }
            }
        });
        Self { process_id, steps, outcomes, waits: false }
    }

    fn run(&self, sql: &str) -> Outcome {
        self.steps.send(sql.to_owned()).unwrap();
        self.outcomes.recv_timeout(STEP_MAX).unwrap_or_else(|_| panic!("{sql} does not end"))
    }
}

/// What an outcome is, as the files write it.
fn written(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Err(ClientError::Server { code, message, .. }) => vec![format!("error {code}: {message}")],
        Err(error) => vec![format!("error {error}")],
        Ok(answer) if !answer.has_rows => vec![answer.tag.clone()],
        Ok(answer) if answer.rows.is_empty() => vec!["no rows".to_owned()],
        Ok(answer) => answer
            .rows
            .iter()
            .map(|row| {
                let values: Vec<&str> =
                    row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
                format!("({})", values.join(", "))
            })
            .collect(),
    }
}

/// Runs a case at a level; what is wrong with it.
fn run(address: &str, database: &str, case: &Case, level: &'static str) -> Result<(), String> {
    let observer = Driven::start(address, database);
    let long = LEVELS.iter().find(|(short, _)| *short == level).unwrap().1;
    let mut sessions: BTreeMap<&str, Driven> = BTreeMap::new();
    observer.run("DROP SCHEMA IF EXISTS steps CASCADE").unwrap();
    observer.run("CREATE SCHEMA steps").unwrap();
    for step in &case.steps {
        let session = sessions.entry(&step.session).or_insert_with(|| {
            let session = Driven::start(address, database);
            session.run("SET search_path = steps").unwrap();
            session.run(&format!("SET default_transaction_isolation = '{long}'")).unwrap();
            session
        });
        let expected: Vec<&str> = step
            .expected
            .iter()
            .filter(|(only, _)| only.is_none_or(|only| only == level))
            .map(|(_, what)| what.as_str())
            .collect();
        let told = |what: String| Err(format!("line {}: {what}", step.line));
        match &step.sql {
            Some(sql) => {
                if session.waits {
                    return told(format!("{} still waits", step.session));
                }
                session.steps.send(sql.clone()).unwrap();
            }
            None if !session.waits => return told(format!("{} does not wait", step.session)),
            None => {}
        }
        if expected == ["waits"] {
            match seen_to_wait(&observer, session) {
                Ok(()) => session.waits = true,
                Err(what) => return told(what),
            }
            continue;
        }
        session.waits = false;
        let outcome = match session.outcomes.recv_timeout(STEP_MAX) {
            Ok(outcome) => outcome,
            Err(_) => return told(format!("expected {expected:?}, but it does not end")),
        };
        let got = written(&outcome);
        let as_expected = if expected.is_empty() { outcome.is_ok() } else { got == expected };
        if !as_expected {
            return told(format!("expected {expected:?}, got {got:?}"));
        }
    }
    match sessions.iter().find(|(_, session)| session.waits) {
        Some((name, _)) => Err(format!("{name} waits at the end")),
        None => Ok(()),
    }
}

/// Asks until the session is seen to wait for a lock.
fn seen_to_wait(observer: &Driven, session: &Driven) -> Result<(), String> {
    let pid = session.process_id;
    let question = format!(
        "SELECT cardinality(pg_blocking_pids({pid})) > 0 AND a.wait_event_type = 'Lock' \
         AND a.state = 'active' AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND NOT \
         l.granted) FROM pg_stat_activity a WHERE a.pid = {pid}"
    );
    let deadline = Instant::now() + STEP_MAX;
    while Instant::now() < deadline {
        match session.outcomes.recv_timeout(ASK_EVERY) {
            Ok(outcome) => return Err(format!("expected to wait, got {:?}", written(&outcome))),
            Err(RecvTimeoutError::Disconnected) => return Err("the session ended".to_owned()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if written(&observer.run(&question)) == ["(t)"] {
            return Ok(());
        }
    }
    Err("neither ends nor is seen to wait".to_owned())
}

#[test]
fn every_case_gives_what_it_says_at_each_level() {
    every_case_gives_what_it_says(&[]);
}

/// How a plan is run decides neither what is locked nor what counts as read.
#[test]
fn every_case_gives_what_it_says_the_long_way() {
    every_case_gives_what_it_says(&THE_LONG_WAY);
}

fn every_case_gives_what_it_says(flags: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = std::env::var_os("AEGIS_ISOLATION_ADDRESS");
    let server = elsewhere.is_none().then(|| Server::start_with(data.path(), flags));
    let address = match (&elsewhere, &server) {
        (Some(address), _) => address.to_str().unwrap().to_owned(),
        (None, server) => server.as_ref().unwrap().address.clone(),
    };
    let database = format!("steps_{}", std::process::id());
    let admin = Driven::start(&address, "postgres");
    admin.run(&format!("CREATE DATABASE {database}")).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../slt/isolation");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Other servers have no keys.
    files.retain(|file| elsewhere.is_none() || !file.ends_with("kv.steps"));
    files.sort();
    let (mut passed, mut failures) = (0, Vec::new());
    for file in files {
        let cases = parse(&std::fs::read_to_string(&file).unwrap());
        assert!(!cases.is_empty(), "{}", file.display());
        for case in &cases {
            for level in &case.levels {
                match run(&address, &database, case, level) {
                    Ok(()) => passed += 1,
                    Err(what) => {
                        let name = file.file_name().unwrap().to_string_lossy();
                        failures.push(format!("{name}: {} [{level}]: {what}", case.name));
                    }
                }
            }
        }
    }
    // The sessions of the last case may still be on their way out.
    while admin.run(&format!("DROP DATABASE {database}")).is_err() {
        std::thread::yield_now();
    }
    assert!(
        failures.is_empty(),
        "{passed} passed, {} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
