//! `ON CONFLICT`: which indexes decide, and what an update may see.

use std::sync::Arc;

use aegis_catalog::{Constraint, ConstraintKind, IndexBody, Relation};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::from::relation_columns;
use super::implication::implies;
use super::node::same;
use super::scope::{Clause, EntryInfo};
use super::{Analyzer, AnalyzerContext, ExprPlace};
use crate::ast::{InferClause, OnConflictAction, OnConflictClause};
use crate::bound::{ConflictUpdate, Expr, OnConflict, RangeTableEntry, RteKind};

impl Analyzer<'_> {
    /// `ON CONFLICT` over entry 0, the row that is there.
    pub(super) fn on_conflict(
        &mut self,
        table: &Arc<Relation>,
        conflict: &OnConflictClause,
    ) -> SqlResult<OnConflict> {
        let arbiters = match &conflict.infer {
            None => {
                if matches!(conflict.action, OnConflictAction::Update { .. }) {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                    )
                    .hint("For example, ON CONFLICT (column_name).")
                    .at(conflict.location));
                }
                Vec::new()
            }
            Some(infer) => self.arbiters(table, infer)?,
        };
        let update = match &conflict.action {
            OnConflictAction::Nothing => None,
            OnConflictAction::Update { assignments, where_clause } => {
                let entry = RangeTableEntry {
                    alias: "excluded".to_owned(),
                    kind: RteKind::Row(table.clone()),
                    columns: relation_columns(table),
                    lateral: false,
                };
                let info = EntryInfo { aliased: true, ..EntryInfo::default() };
                let excluded = self.add_entry(entry, info);
                let item = self.entry_item(excluded);
                self.scope().namespace.push(item);
                let mut entries = self.scope().entries.iter();
                let entry = entries.position(|info| info.relation == Some(table.oid));
                let assignments = self.set_list(table, entry.unwrap_or_default(), assignments)?;
                let filter = self.condition(where_clause.as_ref(), Clause::Where)?;
                Some(ConflictUpdate { assignments, filter })
            }
        };
        Ok(OnConflict { arbiters, update })
    }

    /// The unique indexes that a clause infers (`infer_arbiter_indexes`).
    fn arbiters(&mut self, table: &Arc<Relation>, infer: &InferClause) -> SqlResult<Vec<Oid>> {
        match infer {
            InferClause::Constraint { name, .. } => self.arbiter_constraint(table, name),
            InferClause::Index { elements, where_clause, location } => {
                let condition = self.condition(where_clause.as_ref(), Clause::IndexPredicate)?;
                let mut wanted: Vec<i16> = Vec::with_capacity(elements.len());
                let mut expressions: Vec<Expr> = Vec::new();
                for element in elements {
                    if let Some(expr) = &element.expr {
                        let node = self.expr_in(expr, Clause::IndexExpression)?;
                        match self.known_type(node)?.expr {
                            Expr::Column { column, levels_up: 0, .. } if column > 0 => {
                                wanted.push(column);
                            }
                            other => expressions.push(other),
                        }
                        continue;
                    }
                    let Some(name) = &element.name else { continue };
                    if !element.collation.is_empty() {
                        self.named_collation(&element.collation)
                            .map_err(|error| error.at(*location))?;
                    }
                    let column = table
                        .column_named(name)
                        .ok_or_else(|| self.missing_column(None, name, *location))?;
                    if !wanted.contains(&column.number) {
                        wanted.push(column.number);
                    }
                }
                let indexes = table.as_table().map_or(&[][..], |body| &body.indexes);
                let mut arbiters: Vec<Oid> = Vec::new();
                for oid in indexes {
                    let index = self.context.catalog.relation(*oid).cloned();
                    if let Some(body) = index.as_ref().and_then(|index| index.as_index())
                        && body.unique
                        && body.valid
                        && self.is_inferred(
                            table,
                            body,
                            &wanted,
                            &expressions,
                            condition.as_ref(),
                        )?
                    {
                        arbiters.push(*oid);
                    }
                }
                if arbiters.is_empty() {
                    return Err(SqlError::new(
                        SqlState::InvalidColumnReference,
                        "there is no unique or exclusion constraint matching the ON CONFLICT \
                         specification",
                    ));
                }
                Ok(arbiters)
            }
        }
    }

    /// Whether an index is over just these columns and expressions, and its condition follows from
    /// the one that is written.
    fn is_inferred(
        &self,
        table: &Arc<Relation>,
        index: &IndexBody,
        wanted: &[i16],
        expressions: &[Expr],
        condition: Option<&Expr>,
    ) -> SqlResult<bool> {
        let mut over = Vec::new();
        for key in &index.keys {
            match &key.expression {
                Some(expression) => {
                    over.push(self.kept(table, &expression.text, ExprPlace::IndexExpression)?)
                }
                None if !wanted.contains(&key.column) => return Ok(false),
                None => {}
            }
        }
        let covers = wanted.iter().all(|number| index.keys.iter().any(|k| k.column == *number))
            && expressions.iter().all(|expr| over.iter().any(|other| same(expr, other)))
            && over.iter().all(|expr| expressions.iter().any(|other| same(expr, other)));
        let Some(predicate) = index.predicate.as_ref().filter(|_| covers) else {
            return Ok(covers);
        };
        let predicate = self.kept(table, &predicate.text, ExprPlace::IndexPredicate)?;
        Ok(condition.is_some_and(|condition| implies(&[condition], &predicate)))
    }

    /// What a kept expression over a table means.
    fn kept(&self, table: &Arc<Relation>, text: &str, place: ExprPlace) -> SqlResult<Expr> {
        let context = AnalyzerContext {
            search_path: &[],
            parameters: Vec::new(),
            infer_parameters: false,
            ..self.context.clone()
        };
        let parsed = crate::parser::parse_expr(text)?;
        // Through a view, the columns have other names here.
        let table = self.context.catalog.relation(table.oid).unwrap_or(table);
        Analyzer::new(context).analyze_expr_over_relation(&parsed, table, place, None)
    }

    fn arbiter_constraint(&self, table: &Relation, name: &str) -> SqlResult<Vec<Oid>> {
        let constraints = table.as_table().map_or(&[][..], |body| &body.constraints);
        let found: Option<&Constraint> =
            constraints.iter().find(|constraint| constraint.name == name);
        match found.map(|constraint| &constraint.kind) {
            Some(ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index }) => {
                Ok(vec![*index])
            }
            Some(_) => Err(SqlError::new(
                SqlState::WrongObjectType,
                "constraint in ON CONFLICT clause has no associated index",
            )),
            None => Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("constraint \"{name}\" for table \"{}\" does not exist", table.name),
            )),
        }
    }
}
