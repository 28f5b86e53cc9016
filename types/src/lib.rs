//! Datums, their text and binary forms, comparison, casts, key encoding and SQLSTATEs.
//!
//! A leaf: names nothing of ours. Reads bottom-up: [`datum`] and the values it holds, then
//! [`io`], [`compare`] and [`key`] over them, then [`functions`] and the [`builtin`] tables.

pub mod oid;
pub mod sqlstate;
pub mod error;
pub mod type_oid;
pub mod clock;
pub mod integer;
pub mod float;
pub mod text;
pub mod ctype;
pub mod bytea;
pub mod bits;
pub mod uuid;
pub mod network;
pub mod money;
pub mod hardware;
mod access_item;
pub mod position;
pub mod timezone;
pub mod interval;
pub mod datetime;
pub mod numeric;
pub mod json;
pub mod jsonb;
pub mod jsonpath;
pub mod datum;
pub mod record;
pub mod geometry;
pub mod self_describing;
pub mod array;
pub mod user_type;
pub mod context;
pub mod io;
pub mod compare;
pub mod hash;
pub mod key;
pub mod functions;
pub mod builtin;

pub use context::{CallContext, EvalContext, FormatSettings, Host};
pub use ctype::{Collation, Ctype};
pub use datum::{Array, Datum, Dimension};
pub use error::{ErrorFields, SqlError, SqlResult};
pub use oid::{Oid, TypeRef};
pub use record::{Record, RecordKind, RecordShape};
pub use sqlstate::SqlState;
