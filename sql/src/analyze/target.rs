//! Output columns: stars expanded, names found, origins noted.

use aegis_types::builtin::CastContext;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::Node;
use super::scope::Clause;
use crate::ast::{self, Expr as Ast, IndirectionElement, ResTarget};
use crate::bound::{CallForm, Expr, RteKind, Target};

/// The most output columns.
const TARGETS_MAX: usize = 1664;

/// An output column while its query is analyzed.
#[derive(Clone, Debug)]
pub(super) struct TargetItem {
    pub(super) node: Node,
    pub(super) name: String,
    pub(super) hidden: bool,
}

impl Analyzer<'_> {
    /// The output columns of a `SELECT` or a `RETURNING` (`transformTargetList`).
    pub(super) fn targets(
        &mut self,
        list: &[ResTarget],
        clause: Clause,
    ) -> SqlResult<Vec<TargetItem>> {
        let targets = self.in_clause(clause, |analyzer| {
            let mut targets = Vec::with_capacity(list.len());
            for target in list {
                analyzer.target(target, &mut targets)?;
            }
            Ok(targets)
        })?;
        if targets.len() > TARGETS_MAX {
            return Err(SqlError::new(
                SqlState::TooManyColumns,
                format!("target lists can have at most {TARGETS_MAX} entries"),
            ));
        }
        Ok(targets)
    }

    fn target(&mut self, target: &ResTarget, targets: &mut Vec<TargetItem>) -> SqlResult<()> {
        let expanded = match &target.value {
            Ast::ColumnRef(column) if column.star => Some(self.star(column)?),
            Ast::Indirection(indirection)
                if matches!(indirection.indirection.last(), Some(IndirectionElement::Star)) =>
            {
                Some(self.expand_indirection(indirection)?)
            }
            _ => None,
        };
        if let Some(columns) = expanded {
            targets.extend(columns.into_iter().map(|(name, node)| TargetItem {
                node,
                name,
                hidden: false,
            }));
            return Ok(());
        }
        let node = self.expr(&target.value)?;
        let name = match &target.name {
            Some(name) => name.clone(),
            None => self.figure_name(&target.value, &node),
        };
        targets.push(TargetItem { node, name, hidden: false });
        Ok(())
    }

    /// The name of an unlabelled column; a scalar subquery's first column is known only bound.
    fn figure_name(&self, value: &Ast, node: &Node) -> String {
        if let (Ast::SubLink(link), Expr::Subquery(subquery)) = (value, &node.expr)
            && link.kind == ast::SubLinkKind::Expr
            && let Some(target) = subquery.query.visible_targets().next()
        {
            return target.name.clone();
        }
        ast::figure_column_name(value)
    }

    /// Gives literals that are still of unknown type the type text
    /// (`resolveTargetListUnknowns`).
    pub(super) fn resolve_unknowns(&mut self, targets: &mut [TargetItem]) -> SqlResult<()> {
        for target in targets {
            target.node = self.known_type(target.node.clone())?;
        }
        Ok(())
    }

    /// The expression itself, as text if its type is unknown.
    pub(super) fn known_type(&mut self, node: Node) -> SqlResult<Node> {
        if node.oid() != t::UNKNOWN {
            return Ok(node);
        }
        let (context, form) = (CastContext::Implicit, CallForm::ImplicitCast);
        self.coerce(node, TypeRef::plain(t::TEXT), context, form, None)
    }

    /// The finished output columns, and where each begins.
    pub(super) fn finish_targets(
        &mut self,
        items: Vec<TargetItem>,
    ) -> (Vec<Target>, Vec<Option<u32>>) {
        items
            .into_iter()
            .map(|item| {
                let origin = self.origin(&item.node.expr);
                let (name, hidden, at) = (item.name, item.hidden, item.node.at);
                (Target { expr: item.node.expr, name, hidden, origin }, at)
            })
            .unzip()
    }

    /// The table's column that an expression shows unchanged, through subqueries and CTEs; column 0
    /// is a table's whole row.
    fn origin(&self, expr: &Expr) -> Option<(Oid, i16)> {
        let Expr::Column { entry, column, levels_up, .. } = expr else {
            return None;
        };
        let scope_at = self.scopes.len().checked_sub(1 + levels_up)?;
        let scope = &self.scopes[scope_at];
        let inner = |query: &crate::bound::Query| {
            let at = usize::try_from(*column - 1).ok()?;
            query.visible_targets().nth(at).and_then(|target| target.origin)
        };
        match &scope.range_table.get(*entry)?.kind {
            RteKind::Relation(relation) | RteKind::Row(relation) => Some((relation.oid, *column)),
            RteKind::Subquery(query) => match scope.entries[*entry].relation {
                // A view is a relation of its own.
                Some(view) => Some((view, *column)),
                None => inner(query),
            },
            RteKind::Cte { index, levels_up } => {
                let scope = self.scopes.get(scope_at.checked_sub(*levels_up)?)?;
                inner(&scope.ctes.get(*index)?.cte.as_ref()?.query)
            }
            _ => None,
        }
    }
}
