//! Statements that change rows: what they change, and the query that finds or makes the rows.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::Oid;

use super::{Expr, Query, Target};

/// `INSERT`.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: Arc<Relation>,
    /// The columns that the statement gives values for.
    pub columns: Vec<i16>,
    /// The rows: one visible target for each live column of the table, in order, of its type;
    /// defaults and NULLs filled in.
    pub source: Arc<Query>,
    /// `ON CONFLICT`
    pub on_conflict: Option<OnConflict>,
    /// `RETURNING`: entry 0 of the range table is the new row.
    pub returning: Vec<Target>,
    /// What the views that it goes through ask of the new row, which is entry 0.
    pub view_checks: Vec<ViewCheck>,
}

/// `WITH CHECK OPTION`: what a view asks of a row that is written through it.
#[derive(Clone, Debug)]
pub struct ViewCheck {
    /// The view's name.
    pub view: String,
    /// The condition, over the new row, which is entry 0.
    pub condition: Expr,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// The unique indexes that decide; empty (only for DO NOTHING) for all.
    pub arbiters: Vec<Oid>,
    /// `DO UPDATE`; none for `DO NOTHING`.
    pub update: Option<ConflictUpdate>,
}

/// `DO UPDATE`: expressions over entry 0, the row that is there, and entry 1, `excluded`.
#[derive(Clone, Debug)]
pub struct ConflictUpdate {
    /// Column number and new value.
    pub assignments: Vec<(i16, Expr)>,
    /// `WHERE`
    pub filter: Option<Expr>,
}

/// `UPDATE`.
#[derive(Clone, Debug)]
pub struct Update {
    /// The table.
    pub table: Arc<Relation>,
    /// The table's entry in the source's range table.
    pub entry: usize,
    /// What finds the rows: the first target is their [`ROW_KEY`](super::ROW_KEY), the next are the new values of
    /// `columns`, and then the columns of other entries that `returning` reads.
    pub source: Arc<Query>,
    /// The numbers of the assigned columns, in the order of the source's targets.
    pub columns: Vec<i16>,
    /// `RETURNING`: entry `entry` is the new row; columns of other entries are [`Expr::Slot`]s, the
    /// source's targets.
    pub returning: Vec<Target>,
    /// As [`Insert::view_checks`].
    pub view_checks: Vec<ViewCheck>,
    /// `WHERE CURRENT OF` this cursor: then the source has no filter of its own, and its entry `entry`
    /// is to be made the cursor's current row.
    pub current_of: Option<String>,
}

/// `DELETE`.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The table.
    pub table: Arc<Relation>,
    /// The table's entry in the source's range table.
    pub entry: usize,
    /// What finds the rows: the first target is their [`ROW_KEY`](super::ROW_KEY), then the columns of other entries
    /// that `returning` reads.
    pub source: Arc<Query>,
    /// `RETURNING`, as [`Update::returning`] over the old row.
    pub returning: Vec<Target>,
    /// As in [`Update`].
    pub current_of: Option<String>,
}
