//! `ON CONFLICT`: which indexes decide, and what an update may see.

use std::sync::Arc;

use aegis_catalog::{Constraint, ConstraintKind, Relation};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Analyzer;
use super::from::relation_columns;
use super::scope::{Clause, EntryInfo};
use crate::ast::{InferClause, OnConflictAction, OnConflictClause};
use crate::bound::{ConflictUpdate, OnConflict, RangeTableEntry, RteKind};

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
                self.check_name_conflicts(std::slice::from_ref(&item))?;
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
                if where_clause.is_some() {
                    // Without partial indexes the predicate restricts nothing, but must be valid.
                    self.condition(where_clause.as_ref(), Clause::IndexPredicate)?;
                }
                let mut wanted: Vec<i16> = Vec::with_capacity(elements.len());
                for element in elements {
                    let Some(name) = &element.name else {
                        return Err(
                            SqlError::unsupported("an expression in ON CONFLICT").at(*location)
                        );
                    };
                    if !element.collation.is_empty() {
                        self.check_collation(&element.collation)
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
                let arbiters: Vec<Oid> = indexes
                    .iter()
                    .copied()
                    .filter(|oid| {
                        let index = self.context.catalog.relation(*oid);
                        index.and_then(|index| index.as_index()).is_some_and(|index| {
                            let covers =
                                |number: &i16| index.keys.iter().any(|key| key.column == *number);
                            index.unique
                                && wanted.iter().all(covers)
                                && index.keys.iter().all(|key| wanted.contains(&key.column))
                        })
                    })
                    .collect();
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
