//! New names and new schemas. What names the thing is printed anew in the same transaction
//! ([`Ddl::reprint`]).

use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::{CatalogSnapshot, ConstraintKind, Descriptor, Relation, RelationBody, Schema};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::constraint::constraint_named;
use super::create_table::{check_system_column, is_system_column};
use super::name::wrong_kind;
use crate::ast::{AlterObjectSchemaStmt, ObjectName, ObjectType, RenameStmt};

impl Ddl<'_> {
    /// `ALTER … RENAME`
    pub(super) async fn rename(&mut self, rename: &RenameStmt) -> SqlResult<&'static str> {
        if rename.rename_type == ObjectType::Schema {
            return self.rename_schema(rename).await;
        }
        if rename.rename_type == ObjectType::Role {
            let old = rename.subname.as_deref().unwrap_or_default();
            return self.rename_role(old, &rename.new_name).await;
        }
        if let (ObjectType::Database, Some(ObjectName::Name(names))) =
            (rename.rename_type, &rename.object)
        {
            return self.rename_database(&names.join("."), &rename.new_name).await;
        }
        match (rename.rename_type, &rename.object) {
            (ObjectType::Type | ObjectType::Domain, Some(ObjectName::Type(name))) => {
                let domain = rename.rename_type == ObjectType::Domain;
                return self.rename_type(name, &rename.new_name, domain).await;
            }
            (
                ObjectType::DomainConstraint,
                Some(ObjectName::DomainConstraint(domain, constraint)),
            ) => {
                let names = &domain.names;
                return self.rename_domain_constraint(names, constraint, &rename.new_name).await;
            }
            (
                kind @ (ObjectType::Function | ObjectType::Procedure | ObjectType::Routine),
                Some(ObjectName::WithArgs(function)),
            ) => return self.rename_function(function, kind, &rename.new_name).await,
            (ObjectType::Attribute, _) => return self.rename_attribute(rename).await,
            _ => {}
        }
        let kind = rename.relation_type.unwrap_or(rename.rename_type);
        let tag = relation_tag(kind)?;
        let name = rename.relation.as_ref();
        let name = name.ok_or_else(|| SqlError::internal("a relation is renamed by name"))?;
        let Some(relation) = self.alterable(name, rename.missing_ok).await? else {
            return Ok(tag);
        };
        let before = self.context.catalog.clone();
        let part = rename.subname.as_deref().unwrap_or_default();
        let is_renamed =
            !matches!(rename.rename_type, ObjectType::Column | ObjectType::TableConstraint);
        // An engine knows its tables by name, and of others their columns.
        if !is_renamed || self.extension_of(relation.oid).is_some() {
            self.refuse_managed(&relation, "alter table")?;
        }
        match rename.rename_type {
            ObjectType::Column => self.rename_column(&relation, part, &rename.new_name)?,
            ObjectType::TableConstraint => {
                self.rename_constraint(&relation, part, &rename.new_name).await?;
            }
            _ => {
                // Any word does for an index, and TABLE for anything, as in PostgreSQL.
                check_kind(&relation, kind)?;
                self.check_may_create_in(relation.schema)?;
                self.rename_relation(&relation, &rename.new_name).await?;
            }
        }
        self.reprint(&before).await?;
        Ok(tag)
    }

    async fn rename_relation(&mut self, relation: &Relation, new: &str) -> SqlResult<()> {
        self.claim_new(relation.schema, new).await?;
        if relation.row_type.is_some() {
            // Its row type has its name.
            self.claim_type_name(relation.schema, new).await?;
            if self.context.catalog.user_type_named(relation.schema, new).is_some() {
                return Err(super::user_type::type_exists(new));
            }
        }
        let mut changed = (*self.relation(relation.oid)?).clone();
        new.clone_into(&mut changed.name);
        self.put_relation(changed)?;
        let Some(owner) = relation.as_index().map(|index| index.table) else {
            return Ok(());
        };
        let mut table = (*self.relation(owner)?).clone();
        if let RelationBody::Table(body) = &mut table.body {
            for stored in &mut body.constraints {
                if let ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } =
                    stored.kind
                    && index == relation.oid
                {
                    new.clone_into(&mut stored.name);
                }
            }
        }
        self.put_relation(table).map(drop)
    }

    fn rename_column(&mut self, relation: &Relation, old: &str, new: &str) -> SqlResult<()> {
        match relation.body {
            RelationBody::Table(_) | RelationBody::View { .. } => {}
            RelationBody::Sequence(_) => {
                return Err(wrong_operation(
                    format!("cannot rename columns of relation \"{}\"", relation.name),
                    "sequences",
                ));
            }
            RelationBody::Index(_) => return self.rename_index_column(relation, old, new),
        }
        let Some(column) = relation.column_named(old) else {
            if is_system_column(old) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("cannot rename system column \"{old}\""),
                ));
            }
            return Err(SqlError::new(
                SqlState::UndefinedColumn,
                format!("column \"{old}\" does not exist"),
            ));
        };
        check_system_column(new)?;
        if relation.column_named(new).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateColumn,
                format!("column \"{new}\" of relation \"{}\" already exists", relation.name),
            ));
        }
        let named = |column: &mut aegis_catalog::Column| new.clone_into(&mut column.name);
        self.change_column(relation.oid, column.number, named).map(drop)
    }

    fn rename_index_column(&mut self, index: &Relation, old: &str, new: &str) -> SqlResult<()> {
        let mut changed = index.clone();
        let RelationBody::Index(body) = &mut changed.body else {
            return Err(SqlError::internal("this is no index"));
        };
        let table = self.relation(body.table)?;
        let names = body.column_names(&table);
        let at = names.iter().position(|name| name == old).ok_or_else(|| {
            SqlError::new(SqlState::UndefinedColumn, format!("column \"{old}\" does not exist"))
        })?;
        if names.iter().any(|name| name == new) {
            return Err(SqlError::new(
                SqlState::DuplicateColumn,
                format!("column \"{new}\" of relation \"{}\" already exists", index.name),
            ));
        }
        let Some(key) = body.keys.get_mut(at) else {
            return Err(SqlError::unsupported("renaming an included column of an index"));
        };
        key.name = Some(new.to_owned());
        self.put_relation(changed).map(drop)
    }

    async fn rename_constraint(
        &mut self,
        relation: &Relation,
        old: &str,
        new: &str,
    ) -> SqlResult<()> {
        let stored = constraint_named(relation, old).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("constraint \"{old}\" for table \"{}\" does not exist", relation.name),
            )
        })?;
        if let ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } = stored.kind
        {
            let index = self.relation(index)?;
            return self.rename_relation(&index, new).await;
        }
        if constraint_named(relation, new).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("constraint \"{new}\" for relation \"{}\" already exists", relation.name),
            ));
        }
        let oid = stored.oid;
        let mut changed = relation.clone();
        if let RelationBody::Table(body) = &mut changed.body {
            for stored in body.constraints.iter_mut().filter(|stored| stored.oid == oid) {
                new.clone_into(&mut stored.name);
            }
        }
        self.put_relation(changed).map(drop)
    }

    async fn rename_schema(&mut self, rename: &RenameStmt) -> SqlResult<&'static str> {
        let Some(ObjectName::Name(names)) = &rename.object else {
            return Err(SqlError::internal("a schema is renamed by name"));
        };
        let oid = self.schema(names.last().map_or("", String::as_str))?;
        let new = rename.new_name.clone();
        self.claim_schema(&new).await?;
        self.check_owns_schema(oid)?;
        self.refuse_schema_of_extension(oid)?;
        self.check_may_create_schemas(self.role)?;
        if self.context.catalog.schema_named(self.context.database, &new).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateSchema,
                format!("schema \"{new}\" already exists"),
            ));
        }
        super::schema::check_schema_name(&new)?;
        let before = self.context.catalog.clone();
        let old = before.schema(oid).cloned();
        let old = old.ok_or_else(|| SqlError::unsupported("renaming a system schema"))?;
        self.put(Descriptor::Schema(Arc::new(Schema { name: new, ..(*old).clone() })))?;
        self.reprint(&before).await?;
        Ok("ALTER SCHEMA")
    }

    /// `ALTER … SET SCHEMA`
    pub(super) async fn set_schema(
        &mut self,
        alter: &AlterObjectSchemaStmt,
    ) -> SqlResult<&'static str> {
        if let (ObjectType::Type | ObjectType::Domain, Some(ObjectName::Type(name))) =
            (alter.object_type, &alter.object)
        {
            let domain = alter.object_type == ObjectType::Domain;
            return self.move_type(name, &alter.new_schema, domain).await;
        }
        if let (ObjectType::Extension, Some(ObjectName::Name(names))) =
            (alter.object_type, &alter.object)
        {
            return self.set_extension_schema(&names.join("."), alter).await;
        }
        if let (
            kind @ (ObjectType::Function | ObjectType::Procedure | ObjectType::Routine),
            Some(ObjectName::WithArgs(function)),
        ) = (alter.object_type, &alter.object)
        {
            return self.set_function_schema(function, kind, &alter.new_schema).await;
        }
        let Some(name) = &alter.relation else {
            return Err(SqlError::unsupported(format!(
                "ALTER {} SET SCHEMA",
                alter.object_type.words()
            )));
        };
        let tag = relation_tag(alter.object_type)?;
        let Some(relation) = self.alterable(name, alter.missing_ok).await? else {
            return Ok(tag);
        };
        check_kind(&relation, alter.object_type)?;
        match &relation.body {
            RelationBody::Index(_) => {
                return Err(SqlError::new(
                    SqlState::WrongObjectType,
                    format!("cannot change schema of index \"{}\"", relation.name),
                )
                .hint("Change the schema of the table instead."));
            }
            RelationBody::Sequence(body) => {
                if let Some((table, _)) = body.owned_by {
                    let table = self.relation(table)?;
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "cannot move an owned sequence into another schema",
                    )
                    .detail(format!(
                        "Sequence \"{}\" is linked to table \"{}\".",
                        relation.name, table.name
                    )));
                }
            }
            RelationBody::Table(_) | RelationBody::View { .. } => {}
        }
        let schema = self.schema(&alter.new_schema)?;
        self.check_may_create_in(schema)?;
        if schema == relation.schema {
            return Ok(tag);
        }
        let catalog = &self.context.catalog;
        if [schema, relation.schema].iter().any(|it| catalog.is_temporary_schema(*it)) {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "cannot move objects into or out of temporary schemas",
            ));
        }
        if schema == PG_CATALOG || self.context.catalog.schema(schema).is_none() {
            return Err(SqlError::unsupported("moving a relation into a system schema"));
        }
        let before = self.context.catalog.clone();
        self.move_relation(relation.oid, schema, &before).await?;
        if let RelationBody::Table(body) = &relation.body {
            for index in body.indexes.clone() {
                self.move_relation(index, schema, &before).await?;
            }
            let owned: Vec<Oid> = self.owned_sequences(relation.oid, None).collect();
            for sequence in owned {
                self.move_relation(sequence, schema, &before).await?;
            }
        }
        self.reprint(&before).await?;
        Ok(tag)
    }

    async fn move_relation(
        &mut self,
        oid: Oid,
        schema: Oid,
        before: &CatalogSnapshot,
    ) -> SqlResult<()> {
        let mut changed = (*self.relation(oid)?).clone();
        if self.claim(schema, &changed.name).await?.is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateTable,
                format!(
                    "relation \"{}\" already exists in schema \"{}\"",
                    changed.name,
                    before.schema_name(schema).unwrap_or_default()
                ),
            ));
        }
        changed.schema = schema;
        self.put_relation(changed).map(drop)
    }
}

fn relation_tag(kind: ObjectType) -> SqlResult<&'static str> {
    Ok(match kind {
        ObjectType::Table => "ALTER TABLE",
        ObjectType::Index => "ALTER INDEX",
        ObjectType::View => "ALTER VIEW",
        ObjectType::MatView => "ALTER MATERIALIZED VIEW",
        ObjectType::Sequence => "ALTER SEQUENCE",
        other => return Err(SqlError::unsupported(format!("ALTER {}", other.words()))),
    })
}

/// 42809 where the statement names another kind than the relation is of.
fn check_kind(relation: &Relation, kind: ObjectType) -> SqlResult<()> {
    let fits = match kind {
        ObjectType::View => matches!(relation.body, RelationBody::View { .. }),
        ObjectType::Sequence => matches!(relation.body, RelationBody::Sequence(_)),
        ObjectType::MatView => relation.as_materialized().is_some(),
        _ => true,
    };
    match kind {
        _ if fits => Ok(()),
        ObjectType::View => Err(wrong_kind(relation, "a view")),
        ObjectType::MatView => Err(wrong_kind(relation, "a materialized view")),
        _ => Err(wrong_kind(relation, "a sequence")),
    }
}

/// 42809: what cannot be done to relations of a kind.
fn wrong_operation(message: String, kinds: &str) -> SqlError {
    SqlError::new(SqlState::WrongObjectType, message)
        .detail(format!("This operation is not supported for {kinds}."))
}
