//! Order and replication of opaque write sets: openraft over our own segment log.
//!
//! Read bottom-up: `disk` (files), `segment_log` (records in files), `writer` (one thread, one
//! sync a batch), `log_store` and `state_machine` (openraft's two traits), `alone` (the only voter's
//! way past openraft's core), `raft_log` (the [`RaftLog`] that storage proposes to). openraft is named
//! in this crate alone.

pub mod disk;
mod error;

mod segment_log;

mod codec;
mod types;

mod alone;
mod log_store;
mod network;
mod state_machine;
mod proposal;
mod writer;

mod raft_log;

pub use error::LogError;
pub use raft_log::{RaftLog, RaftLogOptions};
