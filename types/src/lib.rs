//! Datums, their text and binary forms, comparison, casts, key encoding and SQLSTATEs.

pub mod error;
pub mod oid;
pub mod sqlstate;
pub mod type_oid;

pub use error::{ErrorFields, SqlError, SqlResult};
pub use oid::{Oid, TypeRef};
pub use sqlstate::SqlState;
