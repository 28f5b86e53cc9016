//! Owners: who may change an object, `ALTER … OWNER TO`, and what goes with a new owner.

use std::sync::Arc;

use aegis_catalog::access::{Access, Kind, Privilege, relation_kind, with_new_owner};
use aegis_catalog::{Database, Descriptor, Relation, RelationBody, Schema, UserType};
use aegis_types::{Oid, SqlError, SqlResult};

use super::Ddl;
use super::name::kind_word;
use super::role::refused;
use crate::ast::{AlterOwnerStmt, ObjectName, ObjectType};

/// 42501: `permission denied for table t`.
#[must_use]
pub fn denied(what: &str, name: &str) -> SqlError {
    refused(format!("permission denied for {what} {name}"))
}

/// 42501: `must be owner of table t`.
#[must_use]
pub fn not_owner(what: &str, name: &str) -> SqlError {
    refused(format!("must be owner of {what} {name}"))
}

impl Ddl<'_> {
    /// Who may do what, under the catalog as it is now.
    pub(super) fn access(&self) -> Access<'_> {
        self.context.catalog.access(self.context.database)
    }

    /// Refuses whoever does not own a relation.
    pub fn check_owns(&self, relation: &Relation) -> SqlResult<()> {
        if self.access().has_privileges_of(self.role, relation.owner) {
            return Ok(());
        }
        Err(not_owner(kind_word(relation.kind()), &relation.name))
    }

    /// 42501 for an engine's own table, and for its indexes: their form is the engine's alone.
    pub(super) fn refuse_of_engine(&self, relation: &Relation) -> SqlResult<()> {
        let table = match relation.as_index() {
            Some(index) => self.relation(index.table)?,
            None => Arc::new(relation.clone()),
        };
        let is_managed = table.as_table().is_some_and(|table| table.managed.is_some());
        if !is_managed || self.extension_of(table.oid).is_none() {
            return Ok(());
        }
        let (name, extension) = (&relation.name, crate::engine::SCHEMA);
        Err(refused(format!(
            "permission denied: \"{name}\" is a relation of extension {extension}"
        )))
    }

    /// 42501 for the schema of an extension.
    pub(super) fn refuse_schema_of_extension(&self, schema: Oid) -> SqlResult<()> {
        let mut all = self.context.catalog.extensions_of(self.context.database);
        let Some(found) = all.find(|extension| extension.schemas.contains(&schema)) else {
            return Ok(());
        };
        let name = self.context.catalog.schema_name(schema).unwrap_or_default();
        let message =
            format!("permission denied: schema \"{name}\" is one of extension {}", found.name);
        Err(refused(message))
    }

    /// The same for a type.
    pub(super) fn check_owns_type(&self, ty: &UserType) -> SqlResult<()> {
        if self.access().has_privileges_of(self.role, ty.owner) {
            return Ok(());
        }
        Err(not_owner("type", &self.shown_type(ty.oid)))
    }

    /// The same for a schema.
    pub(super) fn check_owns_schema(&self, oid: Oid) -> SqlResult<()> {
        if self.access().owns(self.role, Kind::Schema, oid) {
            return Ok(());
        }
        Err(not_owner("schema", self.context.catalog.schema_name(oid).unwrap_or_default()))
    }

    /// The same for a database.
    pub(super) fn check_owns_database(&self, database: &Database) -> SqlResult<()> {
        if self.access().owns(self.role, Kind::Database, database.oid) {
            return Ok(());
        }
        Err(not_owner("database", &database.name))
    }

    /// Refuses whoever may not make objects in a schema.
    pub(super) fn check_may_create_in(&self, schema: Oid) -> SqlResult<()> {
        self.check_role_may_create_in(self.role, schema)
    }

    fn check_role_may_create_in(&self, role: Oid, schema: Oid) -> SqlResult<()> {
        if self.access().allows(role, Kind::Schema, schema, Privilege::CREATE) {
            return Ok(());
        }
        Err(denied("schema", self.context.catalog.schema_name(schema).unwrap_or_default()))
    }

    /// Refuses whoever may not look up names in a schema.
    pub(super) fn check_may_use(&self, schema: Oid) -> SqlResult<()> {
        if self.access().may_use_schema(self.role, schema) {
            return Ok(());
        }
        Err(denied("schema", self.context.catalog.schema_name(schema).unwrap_or_default()))
    }

    /// Refuses whoever may not make schemas in the database.
    pub(super) fn check_may_create_schemas(&self, role: Oid) -> SqlResult<()> {
        let database = self.context.database;
        if self.access().allows(role, Kind::Database, database, Privilege::CREATE) {
            return Ok(());
        }
        let name = self.context.catalog.database(database).map_or("", |it| it.name.as_str());
        Err(denied("database", name))
    }

    /// Refuses whoever may not make foreign keys to columns of a table.
    pub(super) fn check_may_reference(&self, table: &Relation, columns: &[i16]) -> SqlResult<()> {
        let access = self.access();
        let may = |kind: Kind, column: i32| {
            let held = access.held(self.role, kind, table.oid, column);
            held.privileges.contains(Privilege::REFERENCES)
        };
        let each = || columns.iter().all(|column| may(Kind::Column, i32::from(*column)));
        if may(Kind::Table, 0) || each() {
            return Ok(());
        }
        Err(denied("table", &table.name))
    }

    /// Refuses whoever may not act as another role.
    pub(super) fn check_is_member(&self, role: Oid) -> SqlResult<()> {
        if self.access().is_member(self.role, role) {
            return Ok(());
        }
        Err(refused(format!("must be member of role \"{}\"", self.role_name(role))))
    }

    /// `ALTER TABLE … OWNER TO` and its like for any relation: its indexes, its sequences and the
    /// privileges on it go along.
    pub(super) fn change_owner(&mut self, relation: &Relation, owner: Oid) -> SqlResult<()> {
        if relation.owner != owner && !self.is_superuser() {
            self.check_owns(relation)?;
            self.check_is_member(owner)?;
            self.check_role_may_create_in(owner, relation.schema)?;
        }
        self.set_owner(relation.oid, owner)
    }

    /// Gives a relation another owner.
    pub(super) fn set_owner(&mut self, oid: Oid, owner: Oid) -> SqlResult<()> {
        let old = self.relation(oid)?;
        if old.owner == owner {
            return Ok(());
        }
        let mut with = vec![oid];
        if let RelationBody::Table(table) = &old.body {
            with.extend(table.indexes.iter().copied());
            with.extend(self.owned_sequences(oid, None));
        }
        for oid in with {
            let relation = self.relation(oid)?;
            let was = relation.owner;
            self.put_relation(Relation { owner, ..(*relation).clone() })?;
            self.pass_privileges(relation_kind(&relation), oid, was, owner)?;
        }
        Ok(())
    }

    /// What the old owner granted and had is the new one's.
    pub(super) fn pass_privileges(
        &mut self,
        kind: Kind,
        object: Oid,
        old: Oid,
        new: Oid,
    ) -> SqlResult<()> {
        let stored: Vec<_> =
            self.context.catalog.privileges_of(kind.class(), object).cloned().collect();
        for stored in stored {
            let items = with_new_owner(&stored.items, old, new);
            let changed = aegis_catalog::Privileges { items, ..(*stored).clone() };
            self.put(Descriptor::Privileges(Arc::new(changed)))?;
        }
        Ok(())
    }

    /// Gives a schema another owner.
    pub(super) fn set_schema_owner(&mut self, schema: &Schema, owner: Oid) -> SqlResult<()> {
        self.put(Descriptor::Schema(Arc::new(Schema { owner, ..schema.clone() })))?;
        self.pass_privileges(Kind::Schema, schema.oid, schema.owner, owner)
    }

    /// Gives a database another owner.
    pub(super) fn set_database_owner(&mut self, database: &Database, owner: Oid) -> SqlResult<()> {
        self.put(Descriptor::Database(Arc::new(Database { owner, ..database.clone() })))?;
        self.pass_privileges(Kind::Database, database.oid, database.owner, owner)
    }

    /// `ALTER … OWNER TO` of schemas, databases and types.
    pub(super) async fn alter_owner(&mut self, alter: &AlterOwnerStmt) -> SqlResult<&'static str> {
        let name = match &alter.object {
            ObjectName::Type(name) => {
                let owner = self.role_oid(&alter.new_owner)?;
                self.check_is_member(owner)?;
                let domain = alter.object_type == ObjectType::Domain;
                return self.own_type(name, owner, domain).await;
            }
            ObjectName::WithArgs(function)
                if matches!(
                    alter.object_type,
                    ObjectType::Function | ObjectType::Procedure | ObjectType::Routine
                ) =>
            {
                let owner = self.role_oid(&alter.new_owner)?;
                return self.own_function_by(function, alter.object_type, owner).await;
            }
            ObjectName::Name(names) if names.len() == 1 => &names[0],
            _ => {
                let kind = alter.object_type.words();
                return Err(SqlError::unsupported(format!("ALTER {kind} OWNER")));
            }
        };
        let owner = self.role_oid(&alter.new_owner)?;
        match alter.object_type {
            ObjectType::Schema => {
                let oid = self.schema(name)?;
                let Some(schema) = self.context.catalog.schema(oid).cloned() else {
                    self.check_owns_schema(oid)?;
                    return Err(SqlError::unsupported("ALTER SCHEMA OWNER of a built-in schema"));
                };
                if schema.owner != owner {
                    self.check_owns_schema(oid)?;
                    self.check_is_member(owner)?;
                    self.check_may_create_schemas(self.role)?;
                    self.set_schema_owner(&schema, owner)?;
                }
                Ok("ALTER SCHEMA")
            }
            ObjectType::Database => {
                let database = self.database_named(name)?;
                if database.owner != owner {
                    self.check_owns_database(&database)?;
                    self.check_is_member(owner)?;
                    let creator = self.role_row(self.role)?;
                    if !creator.superuser && !creator.create_database {
                        return Err(refused("permission denied to change owner of database"));
                    }
                    self.set_database_owner(&database, owner)?;
                }
                Ok("ALTER DATABASE")
            }
            other => Err(SqlError::unsupported(format!("ALTER {} OWNER", other.words()))),
        }
    }
}
