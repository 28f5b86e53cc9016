//! Suites of sqlx and of diesel, against the server that `AEGIS_CLIENTS_DSN` names. What they assert
//! is PostgreSQL's behaviour, and they pass on it.

#[path = "clients/support.rs"]
mod support;
#[path = "clients/sqlx_values.rs"]
mod sqlx_values;
#[path = "clients/sqlx_sessions.rs"]
mod sqlx_sessions;
#[path = "clients/diesel_queries.rs"]
mod diesel_queries;
#[path = "clients/diesel_sessions.rs"]
mod diesel_sessions;
