//! What exists and what it is called. The catalog knows no plan and no socket.
//!
//! Descriptors are rows of system trees, so DDL is transactional, MVCC and replicated like any
//! write. A [`CatalogSnapshot`] is the immutable, shared picture of them at one commit; a
//! transaction's own DDL is a private successor of it.

pub mod descriptor;
pub mod snapshot;
pub mod access;
pub mod store;
pub mod system;
pub mod engine;
pub mod standard;
pub mod extension;

pub use descriptor::*;
pub use snapshot::{CatalogSnapshot, DescriptorKey};
