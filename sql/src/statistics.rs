//! What ANALYZE finds out about a table: a sample of its rows, and what that says of each column.
//!
//! ```text
//! tree ──► sample (rows, at random, in their order) ──► a column's values ──► estimate
//!                                                                              part of NULLs
//!          never more than 300 rows a unit of the target                       bytes of a value
//!                                                                              how many values
//!                                                                              the most common ones
//!                                                                              a histogram of the rest
//! ```
//!
//! The figures are PostgreSQL's to the last digit where the whole table is in the sample.

mod estimate;
mod sample;
mod width;

pub use estimate::estimate;
pub use sample::{Pace, Sample, Sampler, WHOLE_MAX};

use aegis_types::{Datum, Oid};

/// Rows that are looked at for each unit of a column's target, as in PostgreSQL.
pub const ROWS_A_UNIT: usize = 300;

/// A value of a column in a sample.
#[derive(Clone, Debug)]
pub enum Sampled {
    /// NULL
    Null,
    /// A value of so many bytes, which is too long to be compared with others or kept.
    Wide(usize),
    /// A value.
    Value(Datum),
}

/// Bytes beyond which a value is not looked at.
const WIDE: usize = 1024;

/// What is kept of a value whose type, beneath its domains, is this.
#[must_use]
pub fn sampled(base: Oid, value: Datum) -> Sampled {
    if value.is_null() {
        return Sampled::Null;
    }
    if width::fixed(base).is_none() {
        let bytes = width::own(base, &value);
        // A header of four bytes counts.
        if bytes + 4 > WIDE {
            return Sampled::Wide(bytes + 4);
        }
    }
    Sampled::Value(value)
}
