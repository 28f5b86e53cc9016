//! `interval`: months, days and microseconds kept apart, as PostgreSQL keeps them.

/// An interval. The three parts do not overflow into each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Years and months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Everything below a day, in microseconds.
    pub microseconds: i64,
}
