//! `VALUES` as a query (PostgreSQL's `transformValuesClause`).

use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::node::Node;
use super::scope::{Clause, EntryInfo};
use super::target::TargetItem;
use crate::ast::{Expr as Ast, SelectStmt};
use crate::bound::{JoinTree, Query, RangeTableEntry, RteColumn, RteKind};

impl Analyzer<'_> {
    /// Rows of values; the columns are called `column1`, `column2`, ….
    pub(super) fn values_query(
        &mut self,
        select: &SelectStmt,
        rows: &[Vec<Ast>],
    ) -> SqlResult<Query> {
        self.keep_unknown_targets = false;
        if let Some(with) = &select.with {
            self.with_clause(with)?;
        }
        let rows = self.in_clause(Clause::Values, |analyzer| analyzer.value_rows(rows))?;
        let (rows, types) = self.unify_columns(rows)?;
        let columns: Vec<RteColumn> = types
            .iter()
            .enumerate()
            .map(|(at, ty)| RteColumn {
                name: format!("column{}", at + 1),
                ty: *ty,
                dropped: false,
            })
            .collect();
        let entry = self.add_entry(
            RangeTableEntry {
                alias: "*VALUES*".to_owned(),
                kind: RteKind::Values(rows),
                columns,
                lateral: false,
            },
            EntryInfo { aliased: true, ..EntryInfo::default() },
        );
        let item = self.entry_item(entry);
        let mut targets: Vec<TargetItem> = item
            .columns
            .iter()
            .map(|column| TargetItem {
                node: Node::new(column.expr.clone(), select.location),
                name: column.name.clone(),
                hidden: false,
            })
            .collect();
        self.scope().namespace.push(item);
        let order_by = self.sort_clause(&select.sort, &mut targets)?;
        let (limit, offset) = self.limit_clause(select)?;
        if let Some(locking) = select.locking.first() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("{} cannot be applied to VALUES", super::locking::words(locking.strength)),
            ));
        }
        let (targets, _) = self.finish_targets(targets);
        Ok(Query {
            from: vec![JoinTree::Entry(entry)],
            targets,
            order_by,
            limit,
            with_ties: select.limit_with_ties,
            offset,
            ..Query::default()
        })
    }

    /// The expressions of all rows, which must be of one length.
    pub(super) fn value_rows(&mut self, rows: &[Vec<Ast>]) -> SqlResult<Vec<Vec<Node>>> {
        let mut bound: Vec<Vec<Node>> = Vec::with_capacity(rows.len());
        for row in rows {
            let nodes = self.expr_list(row)?;
            if bound.first().is_some_and(|first| first.len() != nodes.len()) {
                let at = row.first().map(Ast::location);
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "VALUES lists must all be the same length",
                )
                .at_opt(at));
            }
            bound.push(nodes);
        }
        Ok(bound)
    }

    /// Gives every column of some rows one type.
    fn unify_columns(
        &mut self,
        rows: Vec<Vec<Node>>,
    ) -> SqlResult<(Vec<Vec<crate::bound::Expr>>, Vec<TypeRef>)> {
        let width = rows.first().map_or(0, Vec::len);
        let count = rows.len();
        let mut columns: Vec<Vec<Node>> = (0..width).map(|_| Vec::with_capacity(count)).collect();
        for row in rows {
            for (column, node) in columns.iter_mut().zip(row) {
                column.push(node);
            }
        }
        let mut types = Vec::with_capacity(width);
        let mut unified = Vec::with_capacity(width);
        for column in columns {
            let (column, ty) = self.unify(column, "VALUES")?;
            types.push(ty);
            unified.push(column.into_iter());
        }
        let rows = (0..count)
            .map(|_| {
                let row = unified.iter_mut().filter_map(Iterator::next);
                row.map(|node| node.expr).collect()
            })
            .collect();
        Ok((rows, types))
    }
}
