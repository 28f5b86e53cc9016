//! Foreign keys: what they rest on, and whether the rows that are there keep them.

use std::sync::Arc;

use aegis_catalog::{
    ConstraintKind as StoredKind, Deferral, ForeignKey, ReferentialAction, Relation, RelationBody,
};
use aegis_storage::TableLockMode;
use aegis_types::builtin::{CastContext, builtins};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, type_oid};

use super::Ddl;
use super::constraint::{deferral_of, primary_key};
use super::name::{NameParts, joined_columns, wrong_kind};
use crate::ast::{Constraint, ForeignKeyAction, ForeignKeyConstraint, ForeignKeyMatch};
use crate::dml::{Changes, TableAccess};

impl Ddl<'_> {
    /// Adds a foreign key to a table that is locked.
    pub(super) async fn add_foreign_key(
        &mut self,
        table: Oid,
        constraint: &Constraint,
        key: &ForeignKeyConstraint,
        column: Option<i16>,
        validate: bool,
    ) -> SqlResult<()> {
        let target = self.open(&key.referenced, TableLockMode::ShareRowExclusive).await?;
        if target.kind() != aegis_catalog::RelationKind::Table {
            return Err(wrong_kind(&target, "a table").message_of_reference(&target));
        }
        let relation = self.relation(table)?;
        let columns = match column {
            Some(column) => vec![column],
            None => key_columns(&relation, &key.columns)?,
        };
        let (target_index, target_columns) = if key.referenced_columns.is_empty() {
            let index = primary_key(&target).ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedObject,
                    format!("there is no primary key for referenced table \"{}\"", target.name),
                )
            })?;
            (Some(index), self.index_columns(index)?)
        } else {
            (None, key_columns(&target, &key.referenced_columns)?)
        };
        let set_columns = key_columns(&relation, &key.on_delete_columns)?;
        if let Some(stray) = set_columns.iter().find(|column| !columns.contains(column)) {
            let name = relation.column(*stray).map(|column| column.name.clone());
            return Err(SqlError::new(
                SqlState::InvalidColumnReference,
                format!(
                    "column \"{}\" referenced in ON DELETE SET action must be part of foreign key",
                    name.unwrap_or_default()
                ),
            ));
        }
        if columns.len() != target_columns.len() {
            return Err(SqlError::new(
                SqlState::InvalidForeignKey,
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        self.check_may_reference(&target, &target_columns)?;
        // Its rows may go by themselves.
        self.refuse_managed(&target, "make a foreign key to")?;
        let target_index = match target_index {
            Some(index) if self.is_deferrable(index)? => {
                return Err(deferrable_target("primary key", &target));
            }
            Some(index) => index,
            None => self.unique_index_over(&target, &target_columns)?,
        };
        let name = match &constraint.name {
            Some(name) => {
                self.check_constraint_name(&relation, name)?;
                name.clone()
            }
            None => {
                let names = columns.iter().filter_map(|number| relation.column(*number));
                let joined = joined_columns(names.map(|column| column.name.as_str()));
                let parts = NameParts { table: &relation.name, columns: &joined, label: "fkey" };
                self.free_constraint_name(relation.schema, &parts, false)
            }
        };
        self.check_types(&name, &relation, &columns, &target, &target_columns)?;
        let oid = self.counters.next_oid()?;
        let kind = StoredKind::ForeignKey(ForeignKey {
            columns,
            target: target.oid,
            target_columns,
            target_index,
            on_delete: action(key.on_delete),
            on_update: action(key.on_update),
            set_columns,
            match_full: key.match_type == ForeignKeyMatch::Full,
        });
        if let aegis_catalog::ConstraintKind::ForeignKey(key) = &kind {
            refuse_generated(&*self.relation(table)?, key)?;
        }
        self.check_reference(&*self.relation(table)?, &target)?;
        let (validated, deferral) =
            (true, deferral_of(constraint.deferrable, constraint.initially_deferred));
        let stored = aegis_catalog::Constraint { oid, name, kind, validated, deferral };
        self.put_constraint_as(table, stored)?;
        let mut target = (*self.relation(target.oid)?).clone();
        if let RelationBody::Table(body) = &mut target.body {
            body.referenced_by.push((table, oid));
        }
        self.put_relation(target)?;
        if validate { self.validate_foreign_key(table, oid).await } else { Ok(()) }
    }

    pub(super) fn index_columns(&self, index: Oid) -> SqlResult<Vec<i16>> {
        let index = self.relation(index)?;
        let body = index.as_index().ok_or_else(|| SqlError::internal("no index"))?;
        Ok(body.key_columns())
    }

    fn is_deferrable(&self, index: Oid) -> SqlResult<bool> {
        Ok(self.relation(index)?.as_index().is_some_and(|body| body.deferrable))
    }

    fn unique_index_over(&self, target: &Relation, columns: &[i16]) -> SqlResult<Oid> {
        let mut wanted = columns.to_vec();
        wanted.sort_unstable();
        let indexes = target.as_table().map(|table| table.indexes.as_slice()).unwrap_or_default();
        let mut found_deferrable = false;
        for oid in indexes {
            let index = self.relation(*oid)?;
            let Some(body) =
                index.as_index().filter(|body| body.unique && body.is_plain() && body.valid)
            else {
                continue;
            };
            let mut has = body.key_columns();
            has.sort_unstable();
            if has == wanted && !body.deferrable {
                return Ok(*oid);
            }
            found_deferrable |= has == wanted;
        }
        if found_deferrable {
            return Err(deferrable_target("unique constraint", target));
        }
        Err(SqlError::new(
            SqlState::InvalidForeignKey,
            format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                target.name
            ),
        ))
    }

    fn check_types(
        &self,
        name: &str,
        relation: &Relation,
        columns: &[i16],
        target: &Relation,
        target_columns: &[i16],
    ) -> SqlResult<()> {
        for (one, other) in columns.iter().zip(target_columns) {
            let (Some(one), Some(other)) = (relation.column(*one), target.column(*other)) else {
                return Err(SqlError::internal("a foreign key lost a column"));
            };
            if comparable(one.ty.oid, other.ty.oid) {
                continue;
            }
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!("foreign key constraint \"{name}\" cannot be implemented"),
            )
            .detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                one.name,
                other.name,
                self.type_name(one.ty.oid),
                self.type_name(other.ty.oid)
            )));
        }
        Ok(())
    }

    /// Checks types and rows of a foreign key whose columns have changed.
    pub(super) async fn foreign_key_again(&mut self, table: Oid, oid: Oid) -> SqlResult<()> {
        let relation = self.relation(table)?;
        let stored = relation
            .as_table()
            .and_then(|table| table.constraints.iter().find(|stored| stored.oid == oid))
            .ok_or_else(|| SqlError::internal("a foreign key is missing"))?;
        if let StoredKind::ForeignKey(key) = &stored.kind {
            let target = self.relation(key.target)?;
            let (columns, others) = (&key.columns, &key.target_columns);
            self.check_types(&stored.name, &relation, columns, &target, others)?;
        }
        self.validate_foreign_key(table, oid).await
    }

    /// Looks for a row without its referenced row: 23503.
    pub(super) async fn validate_foreign_key(
        &mut self,
        table: Oid,
        constraint: Oid,
    ) -> SqlResult<()> {
        let mut only = (*self.relation(table)?).clone();
        if let RelationBody::Table(body) = &mut only.body {
            body.constraints.retain(|stored| stored.oid == constraint);
            // Whether there are such rows is asked now.
            for stored in &mut body.constraints {
                stored.deferral = Deferral::NotDeferrable;
            }
        }
        let only = Arc::new(only);
        let access = TableAccess::new(&only, &self.context)?;
        let view = self.txn.newest_view()?;
        let mut scan = view.scan(
            access.tree,
            aegis_storage::KeyRange::all(),
            aegis_storage::Direction::Forward,
        )?;
        let mut block = aegis_storage::Block::default();
        let mut changes =
            Changes::new(self.txn, &self.context, self.engine, self.row_ids, self.lock_timeout);
        while scan.next_block(&mut block)? {
            self.context.cancel.check()?;
            for at in 0..block.len() {
                let key = block.row(at).key.to_vec();
                let row = access.layout.decode(block.row(at).value)?;
                changes.check_references(&access, &key, &row, None).await?;
            }
        }
        changes.finish_statement().await
    }
}

fn deferrable_target(what: &str, target: &Relation) -> SqlError {
    SqlError::new(
        SqlState::ObjectNotInPrerequisiteState,
        format!("cannot use a deferrable {what} for referenced table \"{}\"", target.name),
    )
}

trait ReferenceError {
    fn message_of_reference(self, target: &Relation) -> SqlError;
}

impl ReferenceError for SqlError {
    /// PostgreSQL words it differently where the relation is referenced.
    fn message_of_reference(self, target: &Relation) -> SqlError {
        Self::new(self.code(), format!("referenced relation \"{}\" is not a table", target.name))
    }
}

fn key_columns(relation: &Relation, names: &[String]) -> SqlResult<Vec<i16>> {
    names
        .iter()
        .map(|name| {
            relation.column_named(name).map(|column| column.number).ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedColumn,
                    format!(
                        "column \"{name}\" referenced in foreign key constraint does not exist"
                    ),
                )
            })
        })
        .collect()
}

/// Whether there is an equality between the types, directly or by an implicit conversion of the
/// referencing one.
fn comparable(from: Oid, to: Oid) -> bool {
    const FAMILIES: [&[Oid]; 4] = [
        &[type_oid::INT2, type_oid::INT4, type_oid::INT8],
        &[type_oid::FLOAT4, type_oid::FLOAT8],
        &[type_oid::TEXT, type_oid::VARCHAR, type_oid::NAME],
        &[type_oid::DATE, type_oid::TIMESTAMP, type_oid::TIMESTAMPTZ],
    ];
    from == to
        || FAMILIES.iter().any(|family| family.contains(&from) && family.contains(&to))
        || builtins().cast(from, to).is_some_and(|cast| cast.context == CastContext::Implicit)
}

const fn action(action: ForeignKeyAction) -> ReferentialAction {
    match action {
        ForeignKeyAction::NoAction => ReferentialAction::NoAction,
        ForeignKeyAction::Restrict => ReferentialAction::Restrict,
        ForeignKeyAction::Cascade => ReferentialAction::Cascade,
        ForeignKeyAction::SetNull => ReferentialAction::SetNull,
        ForeignKeyAction::SetDefault => ReferentialAction::SetDefault,
    }
}

/// 42601 for an action that would write a generated column.
fn refuse_generated(relation: &Relation, key: &aegis_catalog::ForeignKey) -> SqlResult<()> {
    use aegis_catalog::ReferentialAction as Action;
    let generated = |number: &i16| relation.column(*number).is_some_and(|column| column.generated);
    if !key.columns.iter().any(generated) {
        return Ok(());
    }
    let refuse = |when: &str| {
        Err(SqlError::new(
            SqlState::SyntaxError,
            format!("invalid {when} action for foreign key constraint containing generated column"),
        ))
    };
    if matches!(key.on_update, Action::Cascade | Action::SetNull | Action::SetDefault) {
        return refuse("ON UPDATE");
    }
    if matches!(key.on_delete, Action::SetNull | Action::SetDefault) {
        return refuse("ON DELETE");
    }
    Ok(())
}
