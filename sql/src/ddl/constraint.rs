//! Constraints, as a new table gets them and as `ALTER TABLE ADD CONSTRAINT` adds them.

use std::sync::Arc;

use aegis_catalog::{
    Constraint as Stored, ConstraintKind as StoredKind, Deferral, Relation, RelationBody,
};
use aegis_storage::TableLockMode;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::create_table::refuse_no_inherit;
use super::expression::compile_over_row;
use super::index::{IndexPart, NewIndex, PlainPart};
use super::name::{NameParts, joined_columns, relation_exists};
use crate::ast::{Constraint, ConstraintKind, Expr, IndexConstraint};

impl Ddl<'_> {
    /// Adds a constraint to a table that is locked. `column` is the one that it was written with;
    /// `validate` says that there may be rows.
    pub(super) async fn add_constraint(
        &mut self,
        table: Oid,
        constraint: &Constraint,
        column: Option<i16>,
        validate: bool,
    ) -> SqlResult<()> {
        refuse_no_inherit(constraint)?;
        // A new table has no rows to be looked at: NOT VALID says nothing of it.
        let unchecked = constraint.not_valid && validate;
        match &constraint.kind {
            ConstraintKind::Check(expr) => {
                self.add_check(table, constraint, expr, validate)?;
                if unchecked { self.note_unchecked(table) } else { Ok(()) }
            }
            ConstraintKind::Primary(index) => {
                self.add_unique(table, constraint, index, column, true, !validate).await
            }
            ConstraintKind::Unique(index) => {
                self.add_unique(table, constraint, index, column, false, !validate).await
            }
            ConstraintKind::Foreign(key) => {
                let looks = validate && !unchecked;
                self.add_foreign_key(table, constraint, key, column, looks).await?;
                if unchecked { self.note_unchecked(table) } else { Ok(()) }
            }
            ConstraintKind::Exclusion(_) => Err(SqlError::unsupported("EXCLUDE")),
            _ => Err(SqlError::internal("this is no constraint of a table")),
        }
    }

    fn add_check(
        &mut self,
        table: Oid,
        constraint: &Constraint,
        expr: &Expr,
        validate: bool,
    ) -> SqlResult<()> {
        let relation = self.relation(table)?;
        let (expression, bound, columns) = self.check_condition(expr, &relation)?;
        let name = match &constraint.name {
            Some(name) => {
                if !validate && has_constraint(&relation, name) {
                    return Err(SqlError::new(
                        SqlState::DuplicateObject,
                        format!("check constraint \"{name}\" already exists"),
                    ));
                }
                self.check_constraint_name(&relation, name)?;
                name.clone()
            }
            None => {
                // A condition over one column is named after it, wherever it was written.
                let named_after = match columns.as_slice() {
                    [one] => relation.column(*one),
                    _ => None,
                };
                let parts = NameParts {
                    table: &relation.name,
                    columns: named_after.map_or("", |column| column.name.as_str()),
                    label: "check",
                };
                self.free_constraint_name(relation.schema, &parts, false)
            }
        };
        if validate && !constraint.not_valid {
            let program = compile_over_row(&bound)?;
            let mut broken = false;
            let evaluation = self.context.evaluation();
            self.each_row(&relation, |_, row| {
                broken |= matches!(program.evaluate(&row, &evaluation)?, Datum::Bool(false));
                Ok(!broken)
            })?;
            if broken {
                return Err(self.violated_check(&relation, &name));
            }
        }
        self.put_constraint(table, name, StoredKind::Check { expression, columns })
    }

    /// 23514 for a row that was there before the condition.
    pub(super) fn violated_check(&self, relation: &Relation, name: &str) -> SqlError {
        SqlError::new(
            SqlState::CheckViolation,
            format!(
                "check constraint \"{name}\" of relation \"{}\" is violated by some row",
                relation.name
            ),
        )
        .table(self.schema_name(relation.schema), &relation.name)
        .constraint(name)
    }

    async fn add_unique(
        &mut self,
        table: Oid,
        constraint: &Constraint,
        index: &IndexConstraint,
        column: Option<i16>,
        primary: bool,
        is_new_table: bool,
    ) -> SqlResult<()> {
        super::create_table::check_storage(None, index.index_space.as_deref())?;
        let options = super::create_table::stored_options(&index.options)?;
        let relation = self.relation(table)?;
        if primary && primary_key(&relation).is_some() {
            return Err(second_primary_key(&relation.name));
        }
        if let Some(existing) = &index.index_name {
            return self.adopt_index(&relation, constraint, existing, primary).await;
        }
        let mut keys: Vec<IndexPart> = Vec::new();
        match column {
            Some(column) => keys.push(IndexPart::plain(column)),
            None => {
                for name in &index.keys {
                    let column = relation.column_named(name).ok_or_else(|| {
                        SqlError::new(
                            SqlState::UndefinedColumn,
                            format!("column \"{name}\" named in key does not exist"),
                        )
                        .at(constraint.location)
                    })?;
                    if keys.iter().any(|key| key.column == column.number) {
                        let what = if primary { "primary key" } else { "unique" };
                        return Err(SqlError::new(
                            SqlState::DuplicateColumn,
                            format!("column \"{name}\" appears twice in {what} constraint"),
                        )
                        .at(constraint.location));
                    }
                    keys.push(IndexPart::plain(column.number));
                }
            }
        }
        let mut include = Vec::new();
        for name in &index.including {
            let column = relation.column_named(name).ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedColumn,
                    format!("column \"{name}\" named in key does not exist"),
                )
                .at(constraint.location)
            })?;
            include.push(column.number);
        }
        if let Some(name) = &constraint.name {
            // The index of that name is in the way before the constraint is.
            if self.context.catalog.relation_named(relation.schema, name).is_some() {
                return Err(relation_exists(name));
            }
            self.check_constraint_name(&relation, name)?;
        }
        if primary {
            for key in &keys {
                self.set_not_null(table, key.column, !is_new_table)?;
            }
        }
        self.add_index(NewIndex {
            table,
            name: constraint.name.clone(),
            keys,
            include,
            unique: true,
            primary,
            nulls_not_distinct: index.nulls_not_distinct,
            deferral: deferral_of(constraint.deferrable, constraint.initially_deferred),
            method: "btree".to_owned(),
            options,
            constraint: true,
            is_new_table,
            ..NewIndex::default()
        })
        .await
        .map(drop)
    }

    /// `ADD CONSTRAINT … USING INDEX`
    async fn adopt_index(
        &mut self,
        relation: &Relation,
        constraint: &Constraint,
        existing: &str,
        primary: bool,
    ) -> SqlResult<()> {
        let at = constraint.location;
        let index = self
            .context
            .catalog
            .relation_named(relation.schema, existing)
            .filter(|index| index.as_index().is_some())
            .cloned()
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedObject,
                    format!("index \"{existing}\" does not exist"),
                )
                .at(at)
            })?;
        let body = index.as_index().ok_or_else(|| SqlError::internal("no index"))?;
        let not_ready =
            |message: String| SqlError::new(SqlState::ObjectNotInPrerequisiteState, message).at(at);
        if body.table != relation.oid {
            return Err(not_ready(format!(
                "index \"{existing}\" does not belong to table \"{}\"",
                relation.name
            )));
        }
        if constraint_of_index(relation, index.oid).is_some() {
            return Err(not_ready(format!(
                "index \"{existing}\" is already associated with a constraint"
            )));
        }
        let detail = "Cannot create a primary key or unique constraint using such an index.";
        let wrong = |message: String| {
            SqlError::new(SqlState::WrongObjectType, message).detail(detail).at(at)
        };
        if !body.unique {
            return Err(wrong(format!("\"{existing}\" is not a unique index")));
        }
        if body.keys.iter().any(|key| key.expression.is_some()) {
            return Err(wrong(format!("index \"{existing}\" contains expressions")));
        }
        if body.predicate.is_some() {
            return Err(wrong(format!("\"{existing}\" is a partial index")));
        }
        if !body.valid {
            return Err(not_ready(format!("index \"{existing}\" is not valid")));
        }
        if body.keys.iter().any(|key| key.descending || key.nulls_first) {
            let number = body.keys.iter().position(|k| k.descending || k.nulls_first);
            return Err(wrong(format!(
                "index \"{existing}\" column number {} does not have default sorting behavior",
                number.unwrap_or(0) + 1
            )));
        }
        if primary {
            for key in &body.keys {
                self.set_not_null(relation.oid, key.column, true)?;
            }
        }
        let name = constraint.name.clone().unwrap_or_else(|| existing.to_owned());
        let mut renamed = (*index).clone();
        if name != existing {
            self.notice(
                SqlState::SuccessfulCompletion,
                format!(
                    "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{existing}\" to \
                     \"{name}\""
                ),
            );
            self.claim_new(relation.schema, &name).await?;
            renamed.name.clone_from(&name);
        }
        let deferral = deferral_of(constraint.deferrable, constraint.initially_deferred);
        if let RelationBody::Index(body) = &mut renamed.body {
            body.primary = primary;
            body.deferrable = deferral.is_deferrable();
        }
        let oid = self.put_relation(renamed)?.oid;
        let kind = if primary {
            StoredKind::PrimaryKey { index: oid }
        } else {
            StoredKind::Unique { index: oid }
        };
        let (validated, constraint) = (true, self.counters.next_oid()?);
        let stored = Stored { oid: constraint, name, kind, validated, deferral };
        self.put_constraint_as(relation.oid, stored)?;
        if deferral.is_deferrable() {
            // Its entries have another form from here on.
            let table = self.relation(relation.oid)?;
            self.write_index_anew(&table, oid).await?;
        }
        Ok(())
    }

    /// `ALTER CONSTRAINT`
    pub(super) fn alter_constraint(
        &mut self,
        relation: &Relation,
        name: &str,
        deferral: Deferral,
    ) -> SqlResult<()> {
        let stored = constraint_named(relation, name);
        let stored = stored.ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("constraint \"{name}\" of relation \"{}\" does not exist", relation.name),
            )
        })?;
        if !matches!(stored.kind, StoredKind::ForeignKey(_)) {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!(
                    "constraint \"{name}\" of relation \"{}\" is not a foreign key constraint",
                    relation.name
                ),
            ));
        }
        let oid = stored.oid;
        let mut changed = relation.clone();
        if let RelationBody::Table(body) = &mut changed.body {
            for stored in body.constraints.iter_mut().filter(|stored| stored.oid == oid) {
                stored.deferral = deferral;
            }
        }
        self.put_relation(changed).map(drop)
    }

    /// 42710 for a name that a constraint of the table has.
    pub(super) fn check_constraint_name(&self, relation: &Relation, name: &str) -> SqlResult<()> {
        if has_constraint(relation, name) {
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("constraint \"{name}\" for relation \"{}\" already exists", relation.name),
            ));
        }
        Ok(())
    }

    /// Adds a constraint's descriptor and gives its OID.
    pub(super) fn put_constraint(
        &mut self,
        table: Oid,
        name: String,
        kind: StoredKind,
    ) -> SqlResult<()> {
        let oid = self.counters.next_oid()?;
        let (validated, deferral) = (true, Deferral::NotDeferrable);
        self.put_constraint_as(table, Stored { oid, name, kind, validated, deferral })
    }

    pub(super) fn put_constraint_as(&mut self, table: Oid, constraint: Stored) -> SqlResult<()> {
        let mut relation = (*self.relation(table)?).clone();
        if let RelationBody::Table(body) = &mut relation.body {
            body.constraints.push(constraint);
        }
        self.put_relation(relation).map(drop)
    }

    /// Notes that nobody has looked whether the rows keep the constraint that was added last.
    fn note_unchecked(&mut self, table: Oid) -> SqlResult<()> {
        let mut relation = (*self.relation(table)?).clone();
        if let RelationBody::Table(body) = &mut relation.body
            && let Some(last) = body.constraints.last_mut()
        {
            last.validated = false;
        }
        self.put_relation(relation).map(drop)
    }

    /// `VALIDATE CONSTRAINT`, of a check or a foreign key.
    pub(super) async fn validate_constraint(&mut self, table: Oid, oid: Oid) -> SqlResult<()> {
        let relation = self.relation(table)?;
        let body = relation.as_table().ok_or_else(|| SqlError::internal("no table"))?;
        let stored = body.constraints.iter().find(|stored| stored.oid == oid);
        let stored = stored.ok_or_else(|| SqlError::internal("a constraint is missing"))?;
        if stored.validated {
            return Ok(());
        }
        if let StoredKind::Check { expression, .. } = &stored.kind {
            let parsed = crate::parser::parse_expr(expression)?;
            let (_, bound, _) = self.check_condition(&parsed, &relation)?;
            let program = compile_over_row(&bound)?;
            let mut broken = false;
            let evaluation = self.context.evaluation();
            self.each_row(&relation, |_, row| {
                broken |= matches!(program.evaluate(&row, &evaluation)?, Datum::Bool(false));
                Ok(!broken)
            })?;
            if broken {
                return Err(self.violated_check(&relation, &stored.name));
            }
        } else {
            if let StoredKind::ForeignKey(key) = &stored.kind {
                // Rows of the other table are locked, as whoever refers to them locks them.
                self.lock(key.target, TableLockMode::RowShare).await?;
            }
            self.validate_foreign_key(table, oid).await?;
        }
        let mut changed = (*self.relation(table)?).clone();
        if let RelationBody::Table(body) = &mut changed.body {
            for stored in body.constraints.iter_mut().filter(|stored| stored.oid == oid) {
                stored.validated = true;
            }
        }
        self.put_relation(changed).map(drop)
    }

    /// Sets NOT NULL, and looks at the rows if there may be some.
    pub(super) fn set_not_null(
        &mut self,
        table: Oid,
        number: i16,
        validate: bool,
    ) -> SqlResult<()> {
        let relation = self.relation(table)?;
        let Some(column) = relation.column(number).filter(|column| !column.not_null) else {
            return Ok(());
        };
        if validate {
            let at = usize::try_from(number - 1).unwrap_or_default();
            let mut found = false;
            self.each_row(&relation, |_, row| {
                found |= row[at].is_null();
                Ok(!found)
            })?;
            if found {
                return Err(self.contains_nulls(&relation, &column.name));
            }
        }
        self.change_column(table, number, |column| column.not_null = true).map(drop)
    }

    pub(super) fn contains_nulls(&self, relation: &Relation, column: &str) -> SqlError {
        SqlError::new(
            SqlState::NotNullViolation,
            format!("column \"{column}\" of relation \"{}\" contains null values", relation.name),
        )
        .table(self.schema_name(relation.schema), &relation.name)
        .column(column)
    }

    /// A schema's name, for the fields of errors.
    pub(super) fn schema_name(&self, schema: Oid) -> String {
        self.context.catalog.schema_name(schema).unwrap_or_default().to_owned()
    }

    /// The name of the index of a constraint or of `CREATE INDEX`, if none is written.
    pub(super) fn choose_index_name(&self, new: &NewIndex, relation: &Arc<Relation>) -> String {
        let included = new.include.iter().filter_map(|column| relation.column(*column));
        let keys = new.keys.iter().filter_map(|key| key.name.as_deref());
        let columns = joined_columns(keys.chain(included.map(|column| column.name.as_str())));
        let (columns, label) = match (new.primary, new.constraint) {
            (true, _) => ("", "pkey"),
            (false, true) => (columns.as_str(), "key"),
            (false, false) => (columns.as_str(), "idx"),
        };
        let parts = NameParts { table: &relation.name, columns, label };
        if new.constraint {
            self.free_constraint_name(relation.schema, &parts, true)
        } else {
            self.free_relation_name(relation.schema, &parts)
        }
    }
}

pub(super) fn second_primary_key(table: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidTableDefinition,
        format!("multiple primary keys for table \"{table}\" are not allowed"),
    )
}

/// The constraint with this name.
pub(super) fn constraint_named<'a>(relation: &'a Relation, name: &str) -> Option<&'a Stored> {
    relation.as_table()?.constraints.iter().find(|constraint| constraint.name == name)
}

fn has_constraint(relation: &Relation, name: &str) -> bool {
    constraint_named(relation, name).is_some()
}

/// The constraint that an index belongs to.
pub(super) fn constraint_of_index(relation: &Relation, oid: Oid) -> Option<&Stored> {
    relation.as_table()?.constraints.iter().find(|constraint| {
        matches!(
            constraint.kind,
            StoredKind::PrimaryKey { index } | StoredKind::Unique { index } if index == oid
        )
    })
}

/// The index of the primary key.
pub(super) fn primary_key(relation: &Relation) -> Option<Oid> {
    relation.as_table()?.constraints.iter().find_map(|constraint| match constraint.kind {
        StoredKind::PrimaryKey { index } => Some(index),
        _ => None,
    })
}

/// When a constraint with these attributes is looked at.
pub(super) const fn deferral_of(deferrable: bool, initially_deferred: bool) -> Deferral {
    match (deferrable, initially_deferred) {
        (_, true) => Deferral::InitiallyDeferred,
        (true, false) => Deferral::InitiallyImmediate,
        (false, false) => Deferral::NotDeferrable,
    }
}
