//! Suites of real clients: tokio-postgres here, those of other languages in `sqllogic/clients`.
//!
//! Each test has a server of its own. With `AEGIS_CLIENTS_DSN` set they all go to that server
//! instead, a PostgreSQL for instance, where they must pass as well: what is asserted here is
//! PostgreSQL's behaviour. Those of tokio-postgres and psycopg go through
//! `sqllogic/clients/types.tsv`.

use std::path::Path;
use std::pin::Pin;

use futures::channel::mpsc;
use futures::{FutureExt, StreamExt, stream};
use tokio_postgres::error::DbError;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, SimpleQueryMessage};

use crate::server::Server;

#[path = "clients/values.rs"]
mod values;
#[path = "clients/statements.rs"]
mod statements;
#[path = "clients/explain.rs"]
mod explain;
#[path = "clients/copy.rs"]
mod copy;
#[path = "clients/errors.rs"]
mod errors;
#[path = "clients/cancel.rs"]
mod cancel;
#[path = "clients/notify.rs"]
mod notify;
#[path = "clients/large.rs"]
mod large;
#[path = "clients/suites.rs"]
mod suites;

/// Where a suite connects to.
struct Target {
    /// What libpq calls a connection string.
    dsn: String,
    /// The server, where it is ours.
    own: Option<(Server, tempfile::TempDir)>,
}

impl Target {
    /// A fresh server, or the one that the environment names.
    fn new() -> Self {
        Self::with_arguments(&[])
    }

    /// Likewise, with flags for a fresh one.
    #[expect(clippy::disallowed_methods, reason = "a person chooses the server to run against")]
    fn with_arguments(arguments: &[&str]) -> Self {
        if let Ok(dsn) = std::env::var("AEGIS_CLIENTS_DSN") {
            return Self { dsn, own: None };
        }
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_with(data.path(), arguments);
        let (host, port) = server.address.rsplit_once(':').unwrap();
        let dsn = format!("host={host} port={port} user=postgres dbname=postgres");
        Self { dsn, own: Some((server, data)) }
    }

    /// The server's process, where this machine shows its memory.
    fn visible_process(&self) -> Option<u32> {
        let (server, _) = self.own.as_ref()?;
        let id = server.process_id();
        Path::new(&format!("/proc/{id}/status")).exists().then_some(id)
    }

    /// The bytes of memory that the server holds now, where that can be seen.
    fn resident_bytes(&self) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.visible_process()?)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        Some(kilobytes * 1024)
    }

    /// A session in the time zone UTC.
    async fn connect(&self) -> Session {
        let (client, mut connection) =
            tokio_postgres::connect(&self.dsn, NoTls).await.expect("the server takes connections");
        let (told, notices) = mpsc::unbounded();
        let messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        let alive = messages.take_while(|message| std::future::ready(message.is_ok()));
        let serve = alive.for_each(move |message| {
            if let Ok(AsyncMessage::Notice(notice)) = message {
                // The test may have no more interest.
                let _told = told.unbounded_send(notice);
            }
            std::future::ready(())
        });
        drop(spawn(serve));
        client.batch_execute("SET timezone = 'UTC'").await.unwrap();
        Session { client, notices }
    }

    /// A session in an empty schema; [`Target::join`] gives more of them.
    async fn in_schema(&self, schema: &str) -> Session {
        let session = self.connect().await;
        session
            .run(&format!(
                "SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE; \
                 CREATE SCHEMA {schema}; SET search_path = {schema}; RESET client_min_messages"
            ))
            .await;
        session
    }

    /// One more session in a schema.
    async fn join(&self, schema: &str) -> Session {
        let session = self.connect().await;
        session.run(&format!("SET search_path = {schema}")).await;
        session
    }
}

/// Runs a future beside the test; panics of it fail whoever awaits the handle.
#[expect(clippy::disallowed_methods, reason = "the named helper is the server's")]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// A client whose connection is served beside the test.
struct Session {
    client: Client,
    notices: mpsc::UnboundedReceiver<DbError>,
}

impl std::ops::Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Session {
    /// Runs statements whose rows do not matter.
    async fn run(&self, statements: &str) {
        if let Err(error) = self.client.batch_execute(statements).await {
            panic!("{statements}\n{:?}", error.as_db_error());
        }
    }

    /// The one value of a query's one row.
    async fn value<T: for<'a> FromSql<'a>>(&self, query: &str) -> T {
        self.client.query_one(query, &[]).await.unwrap_or_else(|e| panic!("{query}: {e:?}")).get(0)
    }

    /// The rows of a query as the simple protocol prints them, columns apart by `|`.
    async fn printed(&self, query: &str) -> Vec<String> {
        let messages = self.client.simple_query(query).await;
        let messages = messages.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                let values: Vec<&str> =
                    (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
                rows.push(values.join("|"));
            }
        }
        rows
    }

    /// The notices that have come since this was last called.
    fn take_notices(&mut self) -> Vec<DbError> {
        let mut taken = Vec::new();
        while let Some(Some(notice)) = self.notices.next().now_or_never() {
            taken.push(notice);
        }
        taken
    }
}

/// What the server said, of an error that came from it.
fn told<T>(result: Result<T, Error>) -> DbError {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => match error.as_db_error() {
            Some(error) => error.clone(),
            None => panic!("not the server's: {error:?}"),
        },
    }
}

/// The SQLSTATE of a failure.
fn sql_state<T>(result: Result<T, Error>) -> String {
    told(result).code().code().to_owned()
}

/// A future to be kept in a struct.
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One line of `types.tsv`.
struct Line {
    type_name: String,
    written: String,
    printed: String,
    binary: Vec<u8>,
}

/// `sqllogic/clients/types.tsv`.
fn table_of_values() -> Vec<Line> {
    let text = include_str!("../../clients/types.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [type_name, written, printed, binary] = fields[..] else {
                panic!("four fields: {line:?}")
            };
            let binary = (0..binary.len()).step_by(2);
            let hex = fields[3];
            Line {
                type_name: type_name.to_owned(),
                written: unescape(written),
                printed: unescape(printed),
                binary: binary
                    .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                    .collect(),
            }
        })
        .collect()
}

/// Undoes `\n`, `\t` and `\\`.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('\\') => '\\',
                other => panic!("no escape: {other:?}"),
            },
            other => other,
        });
    }
    plain
}

/// A type by the name that PostgreSQL's own types have in `pg_type`.
fn type_of(oid: u32) -> Type {
    Type::from_oid(oid).unwrap_or_else(|| panic!("no built-in type {oid}"))
}
