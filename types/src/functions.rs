//! The implementations of built-in functions, one family a file, found by the name that
//! `pg_proc.prosrc` gives them.
//!
//! ```text
//! data/pg_proc.tsv   oid, name, argument types, result, volatility, strictness, … , prosrc
//!                                                                                     │
//! functions/numeric.rs: ("numeric_add", |_, a| …)  ◄──────────────────────────────────┘
//! ```
//!
//! An operator or a cast is the function that its row names, as in PostgreSQL. What has a row but
//! no implementation here is not listed in `pg_proc` and answers 0A000 when it is called. Where
//! PostgreSQL implements a function in SQL, its key here is `name(type,type)`.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;

/// The implementation of a scalar function. The arguments are of the types that `pg_proc` declares
/// (polymorphic ones resolved); none is NULL if the function is strict.
pub type ScalarFunction = fn(&CallContext<'_>, &[Datum]) -> SqlResult<Datum>;

/// The implementation of a set-returning function: one datum a row, a [`Datum::Record`] where it
/// has several output columns. Lazy, so that a large `generate_series` streams.
pub type SetFunction = fn(&CallContext<'_>, &[Datum]) -> SqlResult<Values>;

/// The rows of a set-returning function, as they are asked for.
pub type Values = Box<dyn Iterator<Item = SqlResult<Datum>> + Send>;

/// One family's scalar functions by `prosrc`.
pub(crate) type ScalarTable = &'static [(&'static str, ScalarFunction)];
/// One family's set-returning functions by `prosrc`.
pub(crate) type SetTable = &'static [(&'static str, SetFunction)];

pub mod aggregate;
mod array;
mod bits;
mod bool;
mod bytea;
mod datetime;
mod enumeration;
mod extension;
mod float;
mod geometry;
mod hardware;
mod hash;
pub mod host;
mod information_schema;
mod integer;
mod json;
mod misc;
mod money;
mod network;
mod numeric;
mod position;
mod size;
mod support;
mod text;

pub use datetime::{abbreviation_rows, zone_rows};
pub use json::jsonb_assigned;
pub use misc::random::Generator;
pub(crate) use text::like_regex;
pub use text::{quote_ident, quote_literal};

static SCALARS: LazyLock<HashMap<&'static str, ScalarFunction>> = LazyLock::new(|| {
    [
        array::SCALARS,
        bits::SCALARS,
        bool::SCALARS,
        bytea::SCALARS,
        datetime::SCALARS.as_slice(),
        enumeration::SCALARS,
        extension::SCALARS,
        float::SCALARS,
        geometry::SCALARS,
        hardware::SCALARS,
        hash::SCALARS,
        information_schema::SCALARS,
        integer::SCALARS,
        json::SCALARS,
        json::populate::SCALARS,
        misc::SCALARS,
        money::SCALARS,
        network::SCALARS,
        numeric::SCALARS,
        position::SCALARS,
        size::SCALARS,
        support::SCALARS,
        text::SCALARS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
});

static SETS: LazyLock<HashMap<&'static str, SetFunction>> = LazyLock::new(|| {
    [
        array::SETS,
        datetime::SETS,
        datetime::ZONE_SETS,
        host::SETS,
        information_schema::SETS,
        integer::SETS,
        json::SETS,
        json::populate::SETS,
        numeric::SETS,
        text::SETS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
});

/// The scalar function implemented under this key.
#[must_use]
pub fn scalar(key: &str) -> Option<ScalarFunction> {
    SCALARS.get(key).copied()
}

/// The set-returning function implemented under this key.
#[must_use]
pub fn set_returning(key: &str) -> Option<SetFunction> {
    SETS.get(key).copied()
}

#[cfg(test)]
mod tests;
