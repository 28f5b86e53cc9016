//! Aggregate functions: an accumulator each, made from the row of `pg_proc` that it implements.

use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;

/// The running state of one aggregate over one group.
pub trait Accumulator: Send {
    /// Takes one row's arguments. Strict aggregates are not shown rows with a NULL argument.
    ///
    /// # Errors
    /// Whatever the transition raises, such as 22003.
    fn update(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<()>;

    /// Takes back one row's arguments, the oldest: for moving window frames.
    ///
    /// # Errors
    /// Likewise; `Ok(false)` if this aggregate cannot, so that the frame is computed anew.
    fn retract(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<bool> {
        let _ = (context, arguments);
        Ok(false)
    }

    /// The result for the rows seen so far; the state stays.
    ///
    /// # Errors
    /// Whatever the final function raises.
    fn finish(&self, context: &CallContext<'_>) -> SqlResult<Datum>;

    /// Bytes held beyond the accumulator itself, for the memory pool.
    fn size(&self) -> usize {
        0
    }
}

/// Makes the accumulator of one group.
pub type AggregateFunction = fn(&CallContext<'_>) -> Box<dyn Accumulator>;

/// The aggregate `name(argument types)`, the types spelled as `pg_type.typname` separated by
/// commas, `any` and `*` aside: `sum(int4)`, `count()`, `string_agg(text,text)`.
#[must_use]
pub fn aggregate(key: &str) -> Option<AggregateFunction> {
    TABLE
        .iter()
        .chain(super::json::AGGREGATES)
        .find(|(name, _)| *name == key)
        .map(|(_, make)| *make)
}

static TABLE: &[(&str, AggregateFunction)] = &[];
