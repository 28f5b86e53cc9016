//! Collations of arguments: what columns were declared with reaches the functions that ask.

use aegis_types::builtin::FunctionRow;
use aegis_types::{Collation, Oid, SqlResult};

use super::Analyzer;
use crate::bound::collation::{asks_for_collation, of_arguments, together};
use crate::bound::{Expr, RangeTableEntry, RteKind};

impl Analyzer<'_> {
    /// The arguments of a function or an operator, the first of them marked with the collation if the
    /// function asks for it: neither what a column was declared with nor the types of constants are
    /// known any more where the function runs.
    ///
    /// # Errors
    /// 42P21, 42P22
    pub(super) fn collated_arguments(
        &self,
        function: &FunctionRow,
        mut args: Vec<Expr>,
    ) -> SqlResult<Vec<Expr>> {
        let declared = |entry, column, levels_up| self.declared(entry, column, levels_up);
        if asks_for_collation(function).is_none() {
            if args.len() > 1 {
                together(&args, &declared)?;
            }
            return Ok(args);
        }
        let collation = of_arguments(function, &args, &declared)?;
        let is_said = args.iter().any(|arg| matches!(arg, Expr::Collate { .. }));
        if collation != Collation::Default
            && !is_said
            && let Some(first) = args.first_mut()
        {
            let arg = Box::new(std::mem::replace(first, Expr::And(Vec::new())));
            *first = Expr::Collate { arg, collation, explicit: false };
        }
        Ok(args)
    }

    fn declared(&self, entry: usize, column: i16, levels_up: usize) -> Option<Collation> {
        let scope = self.scopes.get(self.scopes.len().checked_sub(levels_up + 1)?)?;
        declared_in(&scope.range_table, entry, column).or_else(|| {
            let at = usize::try_from(column).ok()?.checked_sub(1)?;
            self.domain_collation(scope.range_table.get(entry)?.columns.get(at)?.ty.oid)
        })
    }

    /// What a domain says that its values are collated by.
    pub(super) fn domain_collation(&self, ty: Oid) -> Option<Collation> {
        self.domain_base(ty)?;
        Collation::with_oid(self.context.catalog.type_collation(ty))
            .filter(|collation| *collation != Collation::Default)
    }
}

/// What a column of a range table was declared with, also where a subquery hands it on.
fn declared_in(entries: &[RangeTableEntry], entry: usize, column: i16) -> Option<Collation> {
    let at = usize::try_from(column).ok()?.checked_sub(1)?;
    match &entries.get(entry)?.kind {
        RteKind::Relation(relation) | RteKind::Row(relation) => {
            relation.columns.get(at).and_then(|column| column.collation)
        }
        RteKind::Subquery(query) => match &query.visible_targets().nth(at)?.expr {
            Expr::Column { entry, column, levels_up: 0, .. } => {
                declared_in(&query.range_table, *entry, *column)
            }
            Expr::Collate { collation, .. } => Some(*collation),
            _ => None,
        },
        _ => None,
    }
}
