//! Event streams over the wire: consumer groups under kills, what messages and groups promise, changes
//! of tables captured, tables and keys and events in one transaction, and who follows a stream.

use std::sync::{Condvar, Mutex};

use aegis_sqllogic::wire::{Client, ClientError, Protocol};

use crate::server::Server;

#[path = "streams/capture.rs"]
mod capture;
#[path = "streams/follow.rs"]
mod follow;
#[path = "streams/groups.rs"]
mod groups;
#[path = "streams/messages.rs"]
mod messages;
#[path = "streams/pairs.rs"]
mod pairs;
#[path = "streams/queue.rs"]
mod queue;
#[path = "streams/under_kills.rs"]
mod under_kills;

/// The rows of a query, NULL as `NULL`.
fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let answer = client.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    answer.rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}

/// The rows of a query, the values of each with spaces between them.
fn lines(client: &mut Client, sql: &str) -> Vec<String> {
    rows(client, sql).into_iter().map(|row| row.join(" ")).collect()
}

/// The one value of a query's one row.
fn value(client: &mut Client, sql: &str) -> String {
    let found = rows(client, sql);
    assert_eq!(found.len(), 1, "{sql}: {found:?}");
    found[0][0].clone()
}

/// A number likewise.
fn number(client: &mut Client, sql: &str) -> u64 {
    let text = value(client, sql);
    text.parse().unwrap_or_else(|_| panic!("{sql}: {text}"))
}

/// Runs a statement that must work.
fn run(client: &mut Client, sql: &str) -> String {
    client.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).tag
}

/// The SQLSTATE of a statement that must fail.
fn refused(client: &mut Client, sql: &str) -> String {
    match client.run(sql) {
        Ok(answer) => panic!("{sql}: {answer:?}"),
        Err(error) => error.sql_state().unwrap_or_else(|| panic!("{sql}: {error}")).to_owned(),
    }
}

/// Where the server that is killed and started again can be found.
struct Place {
    /// How often it was started, and its address then; the address is empty once there is no more.
    now: Mutex<(u64, String)>,
    moved: Condvar,
}

impl Place {
    fn new(server: &Server) -> Self {
        Self { now: Mutex::new((1, server.address.clone())), moved: Condvar::new() }
    }

    /// Tells those who wait where the server is now; nowhere for ever without one.
    fn move_to(&self, server: Option<&Server>) {
        let mut now = self.now.lock().unwrap();
        now.0 += 1;
        now.1 = server.map(|server| server.address.clone()).unwrap_or_default();
        self.moved.notify_all();
    }

    /// A connection to the server as it was started after `life`, which is set to that start.
    fn connect(&self, life: &mut u64) -> Option<Client> {
        loop {
            let mut now = self.now.lock().unwrap();
            while now.0 == *life {
                now = self.moved.wait(now).unwrap();
            }
            *life = now.0;
            let address = now.1.clone();
            drop(now);
            if address.is_empty() {
                return None;
            }
            // It may have been killed meanwhile.
            if let Ok(client) = Client::connect(&address, "postgres", "postgres", Protocol::Simple)
            {
                return Some(client);
            }
        }
    }
}

/// What is to be done after an error that a server that lives may raise: it is tried again.
fn may_try_again(error: &ClientError) -> bool {
    matches!(error.sql_state(), Some("40001" | "40P01"))
}
