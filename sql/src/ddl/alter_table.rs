//! `ALTER TABLE`, command by command.

use std::sync::Arc;

use aegis_catalog::{ConstraintKind, Relation, RelationBody, TypeBody};
use aegis_storage::TableLockMode;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::Ddl;
use super::alter_type::TypeChange;
use super::constraint::{constraint_named, deferral_of};
use super::create_table::{NewColumn, check_system_column, stored_options};
use super::dependency::Item;
use super::expression::{compile_over_row, is_volatile};
use super::lock_level::lock_level;
use super::name::{dotted, missing_relation};
use crate::ast::{
    AlterTableCmd, AlterTableStmt, ColumnDef, DropBehavior, Expr, ObjectType, RangeVar,
    TriggerSelector,
};
use crate::evaluate::Program;
use crate::row::encode_datum;

impl Ddl<'_> {
    /// `ALTER TABLE`
    pub(super) async fn alter_table(&mut self, alter: &AlterTableStmt) -> SqlResult<&'static str> {
        let tag = match alter.object_type {
            ObjectType::Table => "ALTER TABLE",
            ObjectType::View => "ALTER VIEW",
            ObjectType::Sequence => "ALTER SEQUENCE",
            ObjectType::Index => "ALTER INDEX",
            ObjectType::MatView => "ALTER MATERIALIZED VIEW",
            other => return Err(SqlError::unsupported(format!("ALTER {}", other.words()))),
        };
        let found = self.alterable_in(&alter.relation, alter.missing_ok, lock_level(alter)).await?;
        let Some(relation) = found else {
            return Ok(tag);
        };
        if alter.object_type == ObjectType::View
            && relation.kind() != aegis_catalog::RelationKind::View
        {
            return Err(super::name::wrong_kind(&relation, "a view"));
        }
        if alter.object_type == ObjectType::MatView && relation.as_materialized().is_none() {
            return Err(super::name::wrong_kind(&relation, "a materialized view"));
        }
        self.refuse_in_use(relation.oid, tag)?;
        for command in &alter.commands {
            if !matches!(command, AlterTableCmd::ChangeOwner(_)) {
                self.refuse_managed(&relation, "alter table")?;
            }
            if relation.as_materialized().is_some() && !is_for_materialized(command) {
                return Err(SqlError::new(
                    SqlState::WrongObjectType,
                    format!(
                        "ALTER action {} cannot be performed on relation \"{}\"",
                        action_words(command),
                        relation.name
                    ),
                )
                .detail("This operation is not supported for materialized views."));
            }
            let is_view = relation.kind() == aegis_catalog::RelationKind::View;
            if relation.as_table().is_none()
                && !is_view
                && !matches!(command, AlterTableCmd::ChangeOwner(_))
            {
                return Err(SqlError::unsupported(format!("this form of {tag}")));
            }
        }
        // In PostgreSQL's order: what is dropped makes room, new types are there for what is added.
        let mut commands: Vec<&AlterTableCmd> = alter.commands.iter().collect();
        commands.sort_by_key(|command| pass(command));
        let mut types: Vec<TypeChange<'_>> = Vec::new();
        for command in commands {
            if let AlterTableCmd::AlterColumnType { column, type_name, collation, using, .. } =
                command
            {
                let (collation, using) = (collation.as_ref(), using.as_ref());
                types.push(TypeChange { column, type_name, collation, using });
                continue;
            }
            if pass(command) > PASS_TYPE && !types.is_empty() {
                self.alter_types(relation.oid, &std::mem::take(&mut types)).await?;
            }
            self.alter_command(relation.oid, command).await?;
        }
        if !types.is_empty() {
            self.alter_types(relation.oid, &types).await?;
        }
        Ok(tag)
    }

    /// A relation that the role may alter, locked for itself alone; none where it is missing and may
    /// be.
    ///
    /// # Errors
    /// 42P01, 42501, and what waiting for the lock raises.
    pub async fn alterable(
        &mut self,
        name: &RangeVar,
        missing_ok: bool,
    ) -> SqlResult<Option<Arc<Relation>>> {
        self.alterable_in(name, missing_ok, TableLockMode::AccessExclusive).await
    }

    async fn alterable_in(
        &mut self,
        name: &RangeVar,
        missing_ok: bool,
        mode: TableLockMode,
    ) -> SqlResult<Option<Arc<Relation>>> {
        let found = self.open_if_exists(name, mode).await?;
        if found.is_none() {
            if !missing_ok {
                return Err(missing_relation(name));
            }
            let message = format!("relation \"{}\" does not exist, skipping", dotted(name));
            self.notice(SqlState::SuccessfulCompletion, message);
        }
        if let Some(relation) = &found {
            self.check_owns(relation)?;
            self.refuse_of_engine(relation)?;
        }
        Ok(found)
    }

    async fn alter_command(&mut self, table: Oid, command: &AlterTableCmd) -> SqlResult<()> {
        let relation = self.relation(table)?;
        if relation.kind() == aegis_catalog::RelationKind::View
            && !matches!(command, AlterTableCmd::ChangeOwner(_))
        {
            return self.alter_view(&relation, command);
        }
        match command {
            AlterTableCmd::AddColumn { column, missing_ok } => {
                self.add_column(&relation, column, *missing_ok).await
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
                self.column_default(&relation, column, default.as_ref())
            }
            AlterTableCmd::SetNotNull { column } => {
                let number = column_number(&relation, column)?;
                self.set_not_null(table, number, true)
            }
            AlterTableCmd::DropExpression { column, missing_ok } => {
                self.drop_expression(&relation, column, *missing_ok)
            }
            AlterTableCmd::DropNotNull { column } => self.drop_not_null(&relation, column),
            AlterTableCmd::AddConstraint(constraint) => {
                self.add_constraint(table, constraint, None, true).await
            }
            AlterTableCmd::DropConstraint { name, missing_ok, behavior } => {
                self.alter_drop_constraint(&relation, name, *missing_ok, *behavior).await
            }
            AlterTableCmd::AlterConstraint { name, deferrable, initially_deferred } => {
                let deferral = deferral_of(*deferrable, *initially_deferred);
                self.alter_constraint(&relation, name, deferral)
            }
            AlterTableCmd::ValidateConstraint(name) => match constraint_named(&relation, name) {
                None => Err(missing_constraint(&relation, name)),
                Some(stored) => match stored.kind {
                    ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => {
                        self.validate_constraint(table, stored.oid).await
                    }
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
                let owner = self.role_oid(role)?;
                self.change_owner(&relation, owner)
            }
            AlterTableCmd::SetOptions(options) => {
                let mut changed = (*relation).clone();
                for option in stored_options(options)? {
                    let name = option.split_once('=').map_or(option.as_str(), |(name, _)| name);
                    remove_option(&mut changed.options, name);
                    changed.options.push(option);
                }
                self.put_relation(changed).map(drop)
            }
            AlterTableCmd::ResetOptions(options) => {
                let mut changed = (*relation).clone();
                for option in options {
                    if option.value.is_some() {
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            "RESET must not include values for parameters",
                        ));
                    }
                    let space = option.namespace.as_ref();
                    let space = space.map_or_else(String::new, |space| format!("{space}."));
                    remove_option(&mut changed.options, &format!("{space}{}", option.name));
                }
                self.put_relation(changed).map(drop)
            }
            AlterTableCmd::EnableTrigger {
                which: TriggerSelector::All | TriggerSelector::User,
                ..
            } => Ok(()),
            AlterTableCmd::AddIdentity { column, constraint } => {
                self.add_identity(&relation, column, constraint).await
            }
            AlterTableCmd::SetIdentity { column, changes } => {
                self.set_identity(&relation, column, changes).await
            }
            AlterTableCmd::DropIdentity { column, missing_ok } => {
                self.drop_identity(&relation, column, *missing_ok).await
            }
            other => self.alter_storage(&relation, other),
        }
    }

    async fn add_column(
        &mut self,
        old: &Arc<Relation>,
        definition: &ColumnDef,
        missing_ok: bool,
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
        let not_null = std::mem::take(&mut new.column.not_null);
        let mut volatile = None;
        if let Some(expr) = new.generated {
            let (text, bound) = self.generation(expr, old, new.column.ty, name)?;
            new.column.default = Some(text);
            volatile = Some(compile_over_row(&bound)?);
        }
        if let Some(expr) = new.default.filter(|_| new.serial.is_none()) {
            let default = self.default(expr, old, new.column.ty, name)?;
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
        if new.column.default.is_none() && new.serial.is_none() && new.identity.is_none() {
            volatile = self.domain_value(old, new.column.ty, name)?;
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
        if new.serial.is_some() || new.identity.is_some() {
            self.add_numbers(old, changed.clone(), &new).await?;
        }
        if not_null {
            self.set_not_null(changed.oid, number, true)?;
        }
        for constraint in &new.constraints {
            self.add_constraint(changed.oid, constraint, Some(number), true).await?;
        }
        Ok(())
    }

    /// What the rows that are there get in a new column of a domain: its default, or a NULL that it
    /// may refuse. Errors: 23502, 23514.
    fn domain_value(
        &self,
        table: &Arc<Relation>,
        ty: TypeRef,
        column: &str,
    ) -> SqlResult<Option<Program>> {
        let catalog = &self.context.catalog;
        let mut beneath = ty.oid;
        while let Some(TypeBody::Domain(body)) = catalog.user_type(beneath).map(|ty| &ty.body) {
            if let Some(text) = &body.default {
                let expr = crate::parser::parse_expr(text)?;
                let default = self.default(&expr, table, ty, column)?;
                return default.map(|(_, bound)| compile_over_row(&bound)).transpose();
            }
            beneath = body.base.oid;
        }
        if beneath != ty.oid {
            let evaluation = self.context.evaluation();
            let refused = evaluation.eval.host.check_domain(ty.oid, &Datum::Null, &evaluation.eval);
            if let Err(error) = refused {
                let mut is_empty = true;
                self.each_row(table, |_, _| {
                    is_empty = false;
                    Ok(false)
                })?;
                if !is_empty {
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Makes the sequence of a new column, and numbers the rows that are there.
    async fn add_numbers(
        &mut self,
        old: &Arc<Relation>,
        changed: Arc<Relation>,
        new: &NewColumn<'_>,
    ) -> SqlResult<()> {
        let (table, number) = (changed.oid, new.column.number);
        self.add_column_values(changed, new).await?;
        let sequence = self.owned_sequences(table, Some(number)).next();
        let sequence = sequence.ok_or_else(|| SqlError::internal("a new sequence is missing"))?;
        let sequence = self.relation(sequence)?;
        let ty = new.column.ty.oid;
        self.rewrite_table(old, |ddl, mut row| {
            row.push(integer(ddl.counters.next_value(&sequence)?, ty)?);
            Ok(row)
        })
        .await
        .map(drop)
    }

    fn column_default(
        &mut self,
        relation: &Arc<Relation>,
        name: &str,
        default: Option<&Expr>,
    ) -> SqlResult<()> {
        let number = column_number(relation, name)?;
        let column = relation.column(number).ok_or_else(|| missing_column(relation, name))?;
        if column.identity.is_some() {
            return Err(identity_column(relation, name));
        }
        if column.generated {
            let error = SqlError::new(
                SqlState::SyntaxError,
                format!(
                    "column \"{name}\" of relation \"{}\" is a generated column",
                    relation.name
                ),
            );
            return Err(match default {
                Some(_) => error,
                None => error.hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."),
            });
        }
        let text = match default {
            Some(expr) => self.default(expr, relation, column.ty, name)?.map(|found| found.0),
            None => None,
        };
        self.set_default(relation.oid, number, text).map(drop)
    }

    fn drop_expression(
        &mut self,
        relation: &Relation,
        name: &str,
        missing_ok: bool,
    ) -> SqlResult<()> {
        let number = column_number(relation, name)?;
        if relation.column(number).is_some_and(|column| column.generated) {
            let plain = |column: &mut aegis_catalog::Column| {
                column.generated = false;
                column.default = None;
            };
            return self.change_column(relation.oid, number, plain).map(drop);
        }
        let message = format!(
            "column \"{name}\" of relation \"{}\" is not a stored generated column",
            relation.name
        );
        if !missing_ok {
            return Err(SqlError::new(SqlState::ObjectNotInPrerequisiteState, message));
        }
        self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
        Ok(())
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
        let (class, column) = (aegis_catalog::snapshot::PG_CLASS, i32::from(number));
        if self.context.catalog.privileges(class, table, column).is_some() {
            self.delete(aegis_catalog::DescriptorKey::Privileges(class, table, column))?;
        }
        self.forget_statistics(table, number)?;
        self.change_column(table, number, |column| {
            column.dropped = true;
            column.name = dropped_name(number);
            column.not_null = false;
            column.default = None;
            column.generated = false;
            column.identity = None;
        })
        .map(drop)
    }
}

/// Whether a command can be given to a materialized view.
const fn is_for_materialized(command: &AlterTableCmd) -> bool {
    matches!(
        command,
        AlterTableCmd::ChangeOwner(_)
            | AlterTableCmd::SetOptions(_)
            | AlterTableCmd::ResetOptions(_)
            | AlterTableCmd::SetStatistics { .. }
            | AlterTableCmd::SetStorage { .. }
            | AlterTableCmd::SetCompression { .. }
            | AlterTableCmd::SetColumnOptions { .. }
            | AlterTableCmd::ClusterOn(_)
            | AlterTableCmd::DropCluster
            | AlterTableCmd::SetAccessMethod(_)
            | AlterTableCmd::SetTableSpace(_)
    )
}

/// What messages call a command (`alter_table_type_to_string`).
const fn action_words(command: &AlterTableCmd) -> &'static str {
    match command {
        AlterTableCmd::AddColumn { .. } => "ADD COLUMN",
        AlterTableCmd::ColumnDefault { .. } => "ALTER COLUMN ... SET DEFAULT",
        AlterTableCmd::DropNotNull { .. } => "ALTER COLUMN ... DROP NOT NULL",
        AlterTableCmd::SetNotNull { .. } => "ALTER COLUMN ... SET NOT NULL",
        AlterTableCmd::DropExpression { .. } => "ALTER COLUMN ... DROP EXPRESSION",
        AlterTableCmd::DropColumn { .. } => "DROP COLUMN",
        AlterTableCmd::AlterColumnType { .. } => "ALTER COLUMN ... SET DATA TYPE",
        AlterTableCmd::AddConstraint(_) => "ADD CONSTRAINT",
        AlterTableCmd::AlterConstraint { .. } => "ALTER CONSTRAINT",
        AlterTableCmd::ValidateConstraint(_) => "VALIDATE CONSTRAINT",
        AlterTableCmd::DropConstraint { .. } => "DROP CONSTRAINT",
        AlterTableCmd::AddIdentity { .. } => "ALTER COLUMN ... ADD IDENTITY",
        AlterTableCmd::SetIdentity { .. } => "ALTER COLUMN ... SET",
        AlterTableCmd::DropIdentity { .. } => "ALTER COLUMN ... DROP IDENTITY",
        AlterTableCmd::SetLogged => "SET LOGGED",
        AlterTableCmd::SetUnlogged => "SET UNLOGGED",
        AlterTableCmd::ReplicaIdentity(_) => "REPLICA IDENTITY",
        AlterTableCmd::RowSecurity(_) => "ENABLE ROW SECURITY",
        _ => "of this kind",
    }
}

fn remove_option(options: &mut Vec<String>, name: &str) {
    options.retain(|option| option.split_once('=').map_or(option.as_str(), |(n, _)| n) != name);
}

/// The pass of new types.
const PASS_TYPE: u8 = 1;

/// When a command of several is carried out.
const fn pass(command: &AlterTableCmd) -> u8 {
    match command {
        AlterTableCmd::DropColumn { .. }
        | AlterTableCmd::DropConstraint { .. }
        | AlterTableCmd::DropNotNull { .. }
        | AlterTableCmd::DropExpression { .. }
        | AlterTableCmd::ColumnDefault { default: None, .. } => 0,
        AlterTableCmd::AlterColumnType { .. } => PASS_TYPE,
        AlterTableCmd::AddColumn { .. } => 2,
        AlterTableCmd::SetNotNull { .. } => 3,
        AlterTableCmd::AddConstraint(_) | AlterTableCmd::ColumnDefault { .. } => 4,
        _ => 5,
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

pub(super) fn missing_column(relation: &Relation, name: &str) -> SqlError {
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

/// A number of a sequence as a value of its column's type.
fn integer(value: i64, ty: Oid) -> SqlResult<Datum> {
    let range = |word: &str| {
        SqlError::new(SqlState::NumericValueOutOfRange, format!("{word} out of range"))
    };
    Ok(match ty {
        type_oid::INT2 => Datum::Int2(i16::try_from(value).map_err(|_| range("smallint"))?),
        type_oid::INT4 => Datum::Int4(i32::try_from(value).map_err(|_| range("integer"))?),
        _ => Datum::Int8(value),
    })
}

fn identity_column(relation: &Relation, name: &str) -> SqlError {
    SqlError::new(
        SqlState::SyntaxError,
        format!("column \"{name}\" of relation \"{}\" is an identity column", relation.name),
    )
}
