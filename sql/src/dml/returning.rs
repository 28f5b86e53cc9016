//! RETURNING: expressions over the row that was written and the other columns that the source gave.
//!
//! A list with subqueries is computed by a query over the rows that were written, when all are.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::{Datum, SqlError, SqlResult, TypeRef, type_oid};

use super::table::{TableAccess, position};
use super::{Changed, Changes, ReturnedRows};
use crate::analyze::walk::{Rewriter, rewrite_expr, visit_expr};
use crate::bound::{
    Cte, Expr, JoinTree, Query, RangeTableEntry, RteColumn, RteKind, SOURCE_TARGETS, TABLE_OID,
    Target,
};
use crate::evaluate::{Evaluation, Program};

/// A RETURNING list ready to be computed.
pub(super) enum Returning {
    /// Row by row: a program for each column.
    Programs(Vec<Program>, Datum),
    /// By a query over all rows, each as what a program's row is.
    Query(Box<Later>, Datum),
}

/// A list that waits for the rows.
pub(super) struct Later {
    rows: ReturnedRows,
    query: Query,
}

impl Changes<'_> {
    /// Makes a list ready. A program's row is the table's row, its `tableoid`, and then the targets
    /// of the source, which are [`Expr::Slot`]s in the list.
    pub(super) fn returning(
        &self,
        targets: &[Target],
        entry: usize,
        table: &TableAccess,
        source: &Query,
    ) -> SqlResult<Returning> {
        let oid = Datum::Oid(table.relation.oid);
        let visible: Vec<&Target> = targets.iter().filter(|target| !target.hidden).collect();
        if visible.iter().any(|target| has_subquery(&target.expr)) {
            let later = self.later(&visible, entry, table, source);
            return Ok(Returning::Query(Box::new(later), oid));
        }
        let width = table.layout.column_count();
        let programs = visible
            .iter()
            .map(|target| {
                let shifted = shift_slots(&target.expr, width + 1);
                Program::compile(&shifted, &mut |at, column, levels_up| match column {
                    TABLE_OID if at == entry && levels_up == 0 => Ok(width),
                    1.. if at == entry && levels_up == 0 => Ok(position(column)),
                    _ => Err(SqlError::unsupported("this column in RETURNING")),
                })
            })
            .collect::<SqlResult<_>>()?;
        Ok(Returning::Programs(programs, oid))
    }

    fn later(
        &self,
        targets: &[&Target],
        entry: usize,
        table: &TableAccess,
        source: &Query,
    ) -> Later {
        let own = table.relation.columns.iter().map(|column| column.ty);
        let given = source.visible_targets().map(|target| target.expr.ty());
        let types: Vec<TypeRef> = own.chain([TypeRef::plain(type_oid::OID)]).chain(given).collect();
        let name = |at: usize| format!("column{}", at + 1);
        let columns = types
            .iter()
            .enumerate()
            .map(|(at, ty)| RteColumn { name: name(at), ty: *ty, dropped: false })
            .collect();
        let over = OverRows { entry, relation: &table.relation };
        let query = of_rows(&source.ctes, columns, over.targets(targets));
        let files = self.context.temporary_files.clone();
        Later { rows: ReturnedRows::new(types, self.context.memory_bytes, files), query }
    }

    /// Computes what waited for all rows.
    pub(super) async fn finish_returning(
        &mut self,
        returning: Returning,
        changed: &mut Changed,
    ) -> SqlResult<()> {
        let Returning::Query(later, _) = returning else {
            return Ok(());
        };
        let Later { rows, mut query } = *later;
        query.range_table[0].kind = RteKind::Returned(Arc::new(rows.keep()?));
        let mut stream = self.start(&Arc::new(query))?;
        while let Some(batch) = self.next_of(&mut stream).await? {
            for at in 0..batch.len() {
                changed.returned.push(batch.row(at))?;
            }
            self.context.cancel.check()?;
        }
        Ok(())
    }
}

impl Returning {
    /// Adds the row's values to what the statement returns.
    pub(super) fn push(
        &mut self,
        row: &[Datum],
        source: &[Datum],
        evaluation: &Evaluation<'_>,
        changed: &mut Changed,
    ) -> SqlResult<()> {
        let inputs = |oid: &Datum| {
            let mut inputs = Vec::with_capacity(row.len() + 1 + source.len());
            inputs.extend_from_slice(row);
            inputs.push(oid.clone());
            inputs.extend_from_slice(source);
            inputs
        };
        match self {
            Self::Programs(programs, _) if programs.is_empty() => Ok(()),
            Self::Programs(programs, oid) => {
                let inputs = inputs(oid);
                let values = programs
                    .iter()
                    .map(|program| program.evaluate(&inputs, evaluation))
                    .collect::<SqlResult<_>>()?;
                changed.returned.push(values)
            }
            Self::Query(later, oid) => {
                let mut inputs = inputs(oid);
                // Only UPDATE and DELETE read what their source gives.
                inputs.resize(later.query.range_table[0].columns.len(), Datum::Null);
                later.rows.push(inputs)
            }
        }
    }
}

/// Whether an expression holds a subquery.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    visit_expr(expr, 0, &mut |expr, _| {
        found |= matches!(expr, Expr::Subquery(_));
        !found
    });
    found
}

fn of_rows(ctes: &[Cte], columns: Vec<RteColumn>, targets: Vec<Target>) -> Query {
    let alias = String::new();
    let entry = RangeTableEntry { alias, kind: RteKind::Known(None), columns, lateral: false };
    Query {
        ctes: ctes.to_vec(),
        range_table: vec![entry],
        from: vec![JoinTree::Entry(0)],
        targets,
        ..Query::default()
    }
}

/// Makes a list one over rows of the table's columns, `tableoid` and the source's targets.
struct OverRows<'a> {
    entry: usize,
    relation: &'a Relation,
}

impl OverRows<'_> {
    fn targets(mut self, targets: &[&Target]) -> Vec<Target> {
        let mut all: Vec<Target> = targets.iter().map(|target| (*target).clone()).collect();
        for target in &mut all {
            slots_to_columns(&mut target.expr);
            rewrite_expr(&mut target.expr, 0, &mut self);
            target.hidden = false;
        }
        all
    }
}

impl Rewriter for OverRows<'_> {
    fn expr(&mut self, expr: &mut Expr, depth: usize) {
        let Expr::Column { entry, column, levels_up, .. } = expr else { return };
        if *levels_up != depth {
            return;
        }
        let width = i16::try_from(self.relation.columns.len()).unwrap_or(i16::MAX);
        match (*entry, *column) {
            (SOURCE_TARGETS, number) => *column = number.saturating_add(width + 1),
            (at, TABLE_OID) if at == self.entry => *column = width + 1,
            (at, 0) if at == self.entry => {
                let live = self.relation.live_columns();
                let levels_up = *levels_up;
                let (fields, names) = live
                    .map(|column| {
                        let (number, ty) = (column.number, column.ty);
                        let field = Expr::Column { entry: 0, column: number, levels_up, ty };
                        (field, column.name.clone())
                    })
                    .unzip();
                *expr = Expr::Row { fields, names, ty: expr.ty() };
                return;
            }
            _ => {}
        }
        *entry = 0;
    }
}

/// Names the source's targets as [`SOURCE_TARGETS`] everywhere. The slots of a subquery's test stand
/// for its columns; the analyzer has left none of the source's there.
fn slots_to_columns(expr: &mut Expr) {
    if let Expr::Slot { index, ty } = expr {
        let column = i16::try_from(*index + 1).unwrap_or(i16::MAX);
        *expr = Expr::Column { entry: SOURCE_TARGETS, column, levels_up: 0, ty: *ty };
        return;
    }
    expr.for_each_outer_child_mut(&mut slots_to_columns);
}

/// Moves every slot behind the table's own columns. Slots of element conversions keep their place:
/// they count within the conversion.
fn shift_slots(expr: &Expr, by: usize) -> Expr {
    let mut expr = expr.clone();
    expr.visit_outer_slots(&mut |index| *index += by);
    expr
}
