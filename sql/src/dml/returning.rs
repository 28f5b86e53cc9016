//! RETURNING: expressions over the row that was written and the other columns that the source gave.

use aegis_types::{Datum, SqlError, SqlResult};

use super::Changed;
use super::table::{TableAccess, position};
use crate::bound::{Expr, TABLE_OID, Target};
use crate::evaluate::{Evaluation, Program};

/// A compiled RETURNING list.
pub(super) struct Returning {
    programs: Vec<Program>,
    table_oid: Datum,
}

impl Returning {
    /// Compiles the list. A program's row is the table's row, its `tableoid`, and then the targets
    /// of the source, which are [`Expr::Slot`]s in the list.
    pub(super) fn compile(
        targets: &[Target],
        entry: usize,
        table: &TableAccess,
    ) -> SqlResult<Self> {
        let width = table.layout.column_count();
        let programs = targets
            .iter()
            .filter(|target| !target.hidden)
            .map(|target| {
                let shifted = shift_slots(&target.expr, width + 1);
                Program::compile(&shifted, &mut |at, column, levels_up| match column {
                    TABLE_OID if at == entry && levels_up == 0 => Ok(width),
                    1.. if at == entry && levels_up == 0 => Ok(position(column)),
                    _ => Err(SqlError::unsupported("this column in RETURNING")),
                })
            })
            .collect::<SqlResult<_>>()?;
        Ok(Self { programs, table_oid: Datum::Oid(table.relation.oid) })
    }

    /// Adds the row's values to what the statement returns.
    pub(super) fn push(
        &self,
        row: &[Datum],
        source: &[Datum],
        evaluation: &Evaluation<'_>,
        changed: &mut Changed,
    ) -> SqlResult<()> {
        if self.programs.is_empty() {
            return Ok(());
        }
        let mut inputs = Vec::with_capacity(row.len() + 1 + source.len());
        inputs.extend_from_slice(row);
        inputs.push(self.table_oid.clone());
        inputs.extend_from_slice(source);
        let values = self
            .programs
            .iter()
            .map(|program| program.evaluate(&inputs, evaluation))
            .collect::<SqlResult<_>>()?;
        changed.returned.push(values)
    }
}

/// Moves every slot behind the table's own columns. Slots of element conversions keep their place:
/// they count within the conversion.
fn shift_slots(expr: &Expr, by: usize) -> Expr {
    let mut expr = expr.clone();
    expr.visit_outer_slots(&mut |index| *index += by);
    expr
}
