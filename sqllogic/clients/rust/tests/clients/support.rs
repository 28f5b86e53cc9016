//! Where the suites connect to: each test has a schema of its own.

use std::collections::HashMap;
use std::str::FromStr;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

/// The server as a URL.
pub(crate) fn url() -> String {
    let dsn = std::env::var("AEGIS_CLIENTS_DSN").expect("AEGIS_CLIENTS_DSN names the server");
    let parts: HashMap<&str, &str> =
        dsn.split_whitespace().filter_map(|part| part.split_once('=')).collect();
    format!("postgres://{}@{}:{}/{}", parts["user"], parts["host"], parts["port"], parts["dbname"])
}

/// Makes an empty schema.
fn fresh(schema: &str) {
    let mut connection = PgConnection::establish(&url()).unwrap();
    connection
        .batch_execute(&format!(
            "SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE; \
             CREATE SCHEMA {schema}"
        ))
        .unwrap();
}

/// Options of sqlx for sessions in a schema.
pub(crate) fn options(schema: &str) -> PgConnectOptions {
    PgConnectOptions::from_str(&url())
        .unwrap()
        .options([("search_path", schema), ("timezone", "UTC")])
        .application_name("sqlx suite")
}

/// A pool of sqlx over an empty schema.
pub(crate) async fn pool(schema: &'static str) -> PgPool {
    tokio::task::spawn_blocking(move || fresh(schema)).await.unwrap();
    PgPoolOptions::new().max_connections(4).connect_with(options(schema)).await.unwrap()
}

/// A connection of diesel in an empty schema.
pub(crate) fn diesel(schema: &str) -> PgConnection {
    fresh(schema);
    join(schema)
}

/// One more connection of diesel in a schema.
pub(crate) fn join(schema: &str) -> PgConnection {
    let mut connection = PgConnection::establish(&url()).unwrap();
    connection.batch_execute(&format!("SET search_path = {schema}")).unwrap();
    connection
}
