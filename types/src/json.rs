//! `json`: text that is kept as it was written, checked by PostgreSQL's grammar.
//!
//! ```text
//! lexer   bytes → tokens, with the faults that PostgreSQL reports
//! parse   tokens → events (begin, key, scalar, end), without recursion, to a bounded depth
//! view    read access to a text that is known to be valid, by slices of it
//! ```
//!
//! `jsonb` is built from the same events, so both types accept and refuse alike; only `jsonb` and
//! the functions that need a string's value object to `\u0000` and to lone surrogates.

use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;

mod escape;
mod lexer;
mod parse;
mod view;

pub use escape::{is_number, write_string};
pub(crate) use parse::{Events, Scalar, parse};
pub use view::{Json, Kind};

/// How deep arrays and objects nest at most.
///
/// PostgreSQL's bound is its stack (`max_stack_depth`, some thousands of levels); ours is fixed, so
/// that whatever recurses over a document needs a known share of the stack.
pub const DEPTH_MAX: usize = 1000;

/// Checks that a text is JSON, as input of `json` does: the meaning of `\u` escapes is not asked.
///
/// # Errors
/// 22P02 with PostgreSQL's detail and context; 54001 for more than [`DEPTH_MAX`] levels.
pub fn validate(text: &str) -> SqlResult<()> {
    parse(text, false, &mut ())
}

/// 54001 as PostgreSQL raises it for nesting that its stack does not hold.
pub(crate) fn too_deep() -> SqlError {
    SqlError::new(SqlState::StatementTooComplex, "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after \
         ensuring the platform's stack depth limit is adequate.",
    )
}

#[cfg(test)]
mod tests;
