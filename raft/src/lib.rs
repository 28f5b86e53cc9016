//! Order and replication of opaque write sets: openraft over our own segment log.

pub mod disk;
mod error;
mod segment_log;

pub use error::LogError;
