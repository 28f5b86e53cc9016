//! `ALTER TABLE`, command by command, and renaming. The texts that name what is renamed are not
//! printed anew: where one does, the renaming is refused.

use std::sync::Arc;

use aegis_catalog::{ConstraintKind, Descriptor, Relation, RelationBody, Schema};
use aegis_storage::TableLockMode;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::constraint::constraint_named;
use super::create_table::check_system_column;
use super::dependency::Item;
use super::expression::{compile_over_row, is_volatile};
use super::name::{dotted, missing_relation};
use crate::ast::{
    AlterObjectSchemaStmt, AlterTableCmd, AlterTableStmt, ColumnDef, DropBehavior, Expr,
    ObjectName, ObjectType, RangeVar, RenameStmt, TriggerSelector,
};
use crate::row::encode_datum;

const EXCLUSIVE: TableLockMode = TableLockMode::AccessExclusive;

impl Ddl<'_> {
    /// `ALTER TABLE`
    pub(super) async fn alter_table(
        &mut self,
        alter: &AlterTableStmt,
        source: &str,
    ) -> SqlResult<&'static str> {
        let tag = match alter.object_type {
            ObjectType::Table => "ALTER TABLE",
            ObjectType::View => "ALTER VIEW",
            ObjectType::Sequence => "ALTER SEQUENCE",
            ObjectType::Index => "ALTER INDEX",
            other => return Err(SqlError::unsupported(format!("ALTER {}", other.words()))),
        };
        let Some(relation) = self.alterable(&alter.relation, alter.missing_ok).await? else {
            return Ok(tag);
        };
        for command in &alter.commands {
            if relation.as_table().is_none() && !matches!(command, AlterTableCmd::ChangeOwner(_)) {
                return Err(SqlError::unsupported(format!("this form of {tag}")));
            }
            self.alter_command(relation.oid, command, source).await?;
        }
        Ok(tag)
    }

    async fn alterable(
        &mut self,
        name: &RangeVar,
        missing_ok: bool,
    ) -> SqlResult<Option<Arc<Relation>>> {
        let found = self.open_if_exists(name, EXCLUSIVE).await?;
        if found.is_none() {
            if !missing_ok {
                return Err(missing_relation(name));
            }
            let message = format!("relation \"{}\" does not exist, skipping", dotted(name));
            self.notice(SqlState::SuccessfulCompletion, message);
        }
        Ok(found)
    }

    async fn alter_command(
        &mut self,
        table: Oid,
        command: &AlterTableCmd,
        source: &str,
    ) -> SqlResult<()> {
        let relation = self.relation(table)?;
        match command {
            AlterTableCmd::AddColumn { column, missing_ok } => {
                self.add_column(&relation, column, *missing_ok, source).await
            }
            AlterTableCmd::DropColumn { column, missing_ok, behavior } => {
                match relation.column_named(column) {
                    Some(found) => {
                        self.drop_items(&[Item::Column(table, found.number)], *behavior).await
                    }
                    None if *missing_ok => {
                        let message = format!(
                            "{}, skipping",
                            missing_column(&relation, column).fields().message
                        );
                        self.notice(SqlState::SuccessfulCompletion, message);
                        Ok(())
                    }
                    None => Err(missing_column(&relation, column)),
                }
            }
            AlterTableCmd::ColumnDefault { column, default } => {
                self.column_default(&relation, column, default.as_ref(), source)
            }
            AlterTableCmd::SetNotNull { column } => {
                let number = column_number(&relation, column)?;
                self.set_not_null(table, number, true)
            }
            AlterTableCmd::DropNotNull { column } => self.drop_not_null(&relation, column),
            AlterTableCmd::AddConstraint(constraint) => {
                self.add_constraint(table, constraint, None, source, true).await
            }
            AlterTableCmd::DropConstraint { name, missing_ok, behavior } => {
                self.alter_drop_constraint(&relation, name, *missing_ok, *behavior).await
            }
            AlterTableCmd::ValidateConstraint(name) => match constraint_named(&relation, name) {
                None => Err(missing_constraint(&relation, name)),
                Some(stored) => match stored.kind {
                    ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => Ok(()),
                    _ => Err(SqlError::new(
                        SqlState::WrongObjectType,
                        format!(
                            "constraint \"{name}\" of relation \"{}\" is not a foreign key or \
                             check constraint",
                            relation.name
                        ),
                    )),
                },
            },
            AlterTableCmd::ChangeOwner(role) => {
                let mut relation = (*relation).clone();
                relation.owner = self.role_oid(role)?;
                self.put_relation(relation).map(drop)
            }
            AlterTableCmd::EnableTrigger {
                which: TriggerSelector::All | TriggerSelector::User,
                ..
            }
            | AlterTableCmd::DropCluster
            | AlterTableCmd::SetLogged => Ok(()),
            _ => Err(SqlError::unsupported("this form of ALTER TABLE")),
        }
    }

    async fn add_column(
        &mut self,
        old: &Arc<Relation>,
        definition: &ColumnDef,
        missing_ok: bool,
        source: &str,
    ) -> SqlResult<()> {
        let name = &definition.name;
        if old.column_named(name).is_some() {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", old.name);
            if !missing_ok {
                return Err(SqlError::new(SqlState::DuplicateColumn, message));
            }
            self.notice(SqlState::DuplicateColumn, format!("{message}, skipping"));
            return Ok(());
        }
        check_system_column(name)?;
        let mut new = self.new_column(definition, &old.name, old.columns.len())?;
        if new.serial.is_some() || new.identity.is_some() {
            return Err(SqlError::unsupported("ADD COLUMN of a serial or identity column"));
        }
        let not_null = std::mem::take(&mut new.column.not_null);
        let mut volatile = None;
        if let Some(expr) = new.default {
            let default = self.default(expr, old, new.column.ty, name, source)?;
            if let Some((text, bound)) = default {
                new.column.default = Some(text);
                let program = compile_over_row(&bound)?;
                if is_volatile(&bound) {
                    volatile = Some(program);
                } else {
                    let value = program.evaluate(&[], &self.context.evaluation())?;
                    if !value.is_null() {
                        let mut bytes = Vec::new();
                        encode_datum(new.column.ty.oid, &value, &mut bytes);
                        new.column.missing = Some(bytes);
                    }
                }
            }
        }
        let number = new.column.number;
        let mut changed = (**old).clone();
        if let RelationBody::Table(body) = &mut changed.body {
            body.row_version += 1;
            new.column.since_version = body.row_version;
        }
        changed.columns.push(new.column.clone());
        let changed = self.put_relation(changed)?;
        if let Some(program) = volatile {
            self.rewrite_table(old, |ddl, mut row| {
                let value = program.evaluate(&row, &ddl.context.evaluation())?;
                row.push(value);
                Ok::<Vec<Datum>, SqlError>(row)
            })
            .await?;
        }
        self.check_views(changed.oid, "adding a column to a table")?;
        if not_null {
            self.set_not_null(changed.oid, number, true)?;
        }
        for constraint in &new.constraints {
            self.add_constraint(changed.oid, constraint, Some(number), source, true).await?;
        }
        Ok(())
    }

    fn column_default(
        &mut self,
        relation: &Arc<Relation>,
        name: &str,
        default: Option<&Expr>,
        source: &str,
    ) -> SqlResult<()> {
        let number = column_number(relation, name)?;
        let column = relation.column(number).ok_or_else(|| missing_column(relation, name))?;
        if column.identity.is_some() {
            return Err(identity_column(relation, name));
        }
        let text = match default {
            Some(expr) => {
                self.default(expr, relation, column.ty, name, source)?.map(|found| found.0)
            }
            None => None,
        };
        self.set_default(relation.oid, number, text).map(drop)
    }

    fn drop_not_null(&mut self, relation: &Relation, name: &str) -> SqlResult<()> {
        let number = column_number(relation, name)?;
        if relation.column(number).is_some_and(|column| column.identity.is_some()) {
            return Err(identity_column(relation, name));
        }
        if let Some(index) = super::constraint::primary_key(relation)
            && self.index_columns(index)?.contains(&number)
        {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!("column \"{name}\" is in a primary key"),
            ));
        }
        self.change_column(relation.oid, number, |column| column.not_null = false).map(drop)
    }

    async fn alter_drop_constraint(
        &mut self,
        relation: &Relation,
        name: &str,
        missing_ok: bool,
        behavior: DropBehavior,
    ) -> SqlResult<()> {
        match constraint_named(relation, name) {
            Some(stored) => {
                self.drop_items(&[Item::Constraint(relation.oid, stored.oid)], behavior).await
            }
            None if missing_ok => {
                let message = missing_constraint(relation, name).fields().message.clone();
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                Ok(())
            }
            None => Err(missing_constraint(relation, name)),
        }
    }

    pub(super) fn mark_column_dropped(&mut self, table: Oid, number: i16) -> SqlResult<()> {
        self.change_column(table, number, |column| {
            column.dropped = true;
            column.name = dropped_name(number);
            column.not_null = false;
            column.default = None;
            column.identity = None;
        })
        .map(drop)
    }

    /// `ALTER … RENAME`
    pub(super) async fn rename(&mut self, rename: &RenameStmt) -> SqlResult<&'static str> {
        if rename.rename_type == ObjectType::Schema {
            return self.rename_schema(rename);
        }
        let tag = match rename.rename_type {
            ObjectType::Table => "ALTER TABLE",
            ObjectType::Index => "ALTER INDEX",
            ObjectType::View => "ALTER VIEW",
            ObjectType::Sequence => "ALTER SEQUENCE",
            other => return Err(SqlError::unsupported(format!("RENAME {}", other.words()))),
        };
        let name = rename.relation.as_ref();
        let name = name.ok_or_else(|| SqlError::internal("a relation is renamed by name"))?;
        let Some(relation) = self.alterable(name, rename.missing_ok).await? else {
            return Ok(tag);
        };
        self.claim_new(relation.schema, &rename.new_name).await?;
        self.refuse_named_in_texts(&relation, "renaming a relation")?;
        let mut changed = (*relation).clone();
        changed.name.clone_from(&rename.new_name);
        self.put_relation(changed)?;
        let owner = relation.as_index().map(|index| index.table);
        if let Some(owner) = owner {
            let mut table = (*self.relation(owner)?).clone();
            if let RelationBody::Table(body) = &mut table.body {
                for stored in &mut body.constraints {
                    if let ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } =
                        stored.kind
                        && index == relation.oid
                    {
                        stored.name.clone_from(&rename.new_name);
                    }
                }
            }
            self.put_relation(table)?;
        }
        Ok(tag)
    }

    fn refuse_named_in_texts(&self, relation: &Relation, what: &str) -> SqlResult<()> {
        if let Some(view) = self.views_of(relation)?.first() {
            let view = self.describe(Item::Relation(*view));
            return Err(SqlError::unsupported(format!("{what} that {view} reads")));
        }
        if let Some(default) = self.defaults_using(relation).first() {
            let default = self.describe(*default);
            return Err(SqlError::unsupported(format!("{what} that the {default} names")));
        }
        Ok(())
    }

    fn rename_schema(&mut self, rename: &RenameStmt) -> SqlResult<&'static str> {
        let Some(ObjectName::Name(names)) = &rename.object else {
            return Err(SqlError::internal("a schema is renamed by name"));
        };
        let oid = self.schema(names.last().map_or("", String::as_str))?;
        let new = rename.new_name.clone();
        if self.context.catalog.schema_named(self.context.database, &new).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateSchema,
                format!("schema \"{new}\" already exists"),
            ));
        }
        super::schema::check_schema_name(&new)?;
        let relations: Vec<_> = self.context.catalog.relations_in(oid).cloned().collect();
        for relation in relations {
            self.refuse_named_in_texts(&relation, "renaming the schema of a relation")?;
        }
        let old = self.context.catalog.schema(oid).cloned();
        let old = old.ok_or_else(|| SqlError::unsupported("renaming a system schema"))?;
        self.put(Descriptor::Schema(Arc::new(Schema { name: new, ..(*old).clone() })))?;
        Ok("ALTER SCHEMA")
    }

    /// `ALTER … SET SCHEMA`
    pub(super) async fn set_schema(
        &mut self,
        alter: &AlterObjectSchemaStmt,
    ) -> SqlResult<&'static str> {
        Err(SqlError::unsupported(format!("ALTER {} SET SCHEMA", alter.object_type.words())))
    }
}

/// What a column is called once it is dropped.
pub(super) fn dropped_name(number: i16) -> String {
    format!("........pg.dropped.{number}........")
}

fn column_number(relation: &Relation, name: &str) -> SqlResult<i16> {
    let column = relation.column_named(name);
    column.map(|column| column.number).ok_or_else(|| missing_column(relation, name))
}

fn missing_column(relation: &Relation, name: &str) -> SqlError {
    SqlError::new(
        SqlState::UndefinedColumn,
        format!("column \"{name}\" of relation \"{}\" does not exist", relation.name),
    )
}

fn missing_constraint(relation: &Relation, name: &str) -> SqlError {
    SqlError::new(
        SqlState::UndefinedObject,
        format!("constraint \"{name}\" of relation \"{}\" does not exist", relation.name),
    )
}

fn identity_column(relation: &Relation, name: &str) -> SqlError {
    SqlError::new(
        SqlState::SyntaxError,
        format!("column \"{name}\" of relation \"{}\" is an identity column", relation.name),
    )
}
