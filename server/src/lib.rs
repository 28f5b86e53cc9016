//! The binary: sockets, sessions, composition.
//!
//! ```text
//! config ──► listener ──► wire ──► session ──► instance
//!                │          ├ cancel    auth, tls
//!                └ task, shutdown
//! ```

pub mod config;
pub mod engines;
pub mod task;
pub mod shutdown;
pub mod tls;
pub mod auth;
pub mod cancel;
pub mod listener;
pub mod wire;
pub mod session;
pub mod notify;
mod statement_cache;
mod table_activity;
mod exported;
pub mod auto_analyze;
pub mod statement_statistics;
pub mod instance;
