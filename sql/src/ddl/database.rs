//! Databases: made from a template that has no relations, and dropped with all that is in them.

use std::sync::Arc;

use aegis_catalog::snapshot::PG_NAMESPACE;
use aegis_catalog::{Comment, Database, Descriptor, DescriptorKey, Privileges, Schema};
use aegis_types::{Ctype, Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::role::refused;
use crate::ast::{
    AlterDatabaseSetStmt, CreateDatabaseStmt, DefElem, DropDatabaseStmt, RoleSpec, RoleSpecKind,
};

impl Ddl<'_> {
    /// `CREATE DATABASE`
    pub(super) async fn create_database(
        &mut self,
        create: &CreateDatabaseStmt,
    ) -> SqlResult<&'static str> {
        let name = &create.name;
        let mut new = Database {
            oid: Oid::NONE,
            name: name.clone(),
            owner: self.role,
            allow_connections: true,
            is_template: false,
            connection_limit: -1,
            collate: String::new(),
            ctype: String::new(),
        };
        let mut template = "template1".to_owned();
        for option in &create.options {
            self.database_option(&mut new, &mut template, option)?;
        }
        let creator = self.role_row(self.role)?;
        if !creator.superuser && !creator.create_database {
            return Err(refused("permission denied to create database"));
        }
        self.check_is_member(new.owner)?;
        self.claim_database(name).await?;
        let catalog = self.context.catalog.clone();
        if catalog.database_named(name).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateDatabase,
                format!("database \"{name}\" already exists"),
            ));
        }
        let template = catalog.database_named(&template).ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidCatalogName,
                format!("template database \"{template}\" does not exist"),
            )
        })?;
        if catalog.relations_of(template.oid).next().is_some() {
            return Err(SqlError::unsupported("a template database that has relations"));
        }
        let is_empty = template.name == "template0";
        for (what, own, theirs) in [
            ("collation", &mut new.collate, &template.collate),
            ("LC_CTYPE", &mut new.ctype, &template.ctype),
        ] {
            if own.is_empty() {
                own.clone_from(theirs);
            } else if own != theirs && !is_empty {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    format!(
                        "new {what} ({own}) is incompatible with the {what} of the template \
                         database ({theirs})"
                    ),
                )
                .hint(format!(
                    "Use the same {what} as in the template database, or use template0 as template."
                )));
            }
        }
        new.oid = self.counters.next_oid()?;
        let database = new.oid;
        self.put(Descriptor::Database(Arc::new(new)))?;
        for schema in catalog.schemas_of(template.oid) {
            let oid = self.counters.next_oid()?;
            let copy = Schema { oid, database, ..(**schema).clone() };
            self.put(Descriptor::Schema(Arc::new(copy)))?;
            if let Some(comment) = catalog.comment(PG_NAMESPACE, schema.oid, 0) {
                let copy = Comment { object: oid, ..(**comment).clone() };
                self.put(Descriptor::Comment(Arc::new(copy)))?;
            }
            for stored in catalog.privileges_of(PG_NAMESPACE, schema.oid) {
                let copy = Privileges { object: oid, ..(**stored).clone() };
                self.put(Descriptor::Privileges(Arc::new(copy)))?;
            }
        }
        Ok("CREATE DATABASE")
    }

    fn database_option(
        &self,
        new: &mut Database,
        template: &mut String,
        option: &DefElem,
    ) -> SqlResult<()> {
        let is_default = option.value.is_none();
        match option.name.as_str() {
            _ if is_default => Ok(()),
            "owner" => {
                let role = RoleSpecKind::Name(option.string()?);
                new.owner = self.role_oid(&RoleSpec { kind: role, location: option.location })?;
                Ok(())
            }
            "template" => {
                *template = option.string()?;
                Ok(())
            }
            "encoding" => {
                let encoding = option.string()?;
                match encoding.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
                    "utf8" | "unicode" | "6" => Ok(()),
                    _ => Err(SqlError::unsupported(format!("encoding \"{encoding}\""))
                        .at(option.location)),
                }
            }
            "locale" | "lc_collate" | "lc_ctype" => {
                let locale = option.string()?;
                if Ctype::named(&locale).is_none() {
                    return Err(SqlError::unsupported(format!("locale \"{locale}\"")));
                }
                // As the C library names it.
                let locale = if locale == "POSIX" { "C".to_owned() } else { locale };
                if option.name != "lc_ctype" {
                    new.collate.clone_from(&locale);
                }
                if option.name != "lc_collate" {
                    new.ctype = locale;
                }
                Ok(())
            }
            "tablespace" => super::create_table::check_storage(None, Some(&option.string()?)),
            "allow_connections" => {
                new.allow_connections = option.boolean()?;
                Ok(())
            }
            "is_template" => {
                new.is_template = option.boolean()?;
                Ok(())
            }
            "connection_limit" => {
                new.connection_limit = option.int32()?;
                if new.connection_limit < -1 {
                    return Err(SqlError::new(
                        SqlState::InvalidParameterValue,
                        format!("invalid connection limit: {}", new.connection_limit),
                    ));
                }
                Ok(())
            }
            "strategy" | "oid" | "locale_provider" | "icu_locale" | "collation_version" => {
                Err(SqlError::unsupported(format!("CREATE DATABASE ... {}", option.name)))
            }
            other => Err(SqlError::new(
                SqlState::SyntaxError,
                format!("option \"{other}\" not recognized"),
            )
            .at(option.location)),
        }
    }

    /// `DROP DATABASE`. That nobody is connected to it is the session's to see.
    pub(super) async fn drop_database(
        &mut self,
        drop: &DropDatabaseStmt,
    ) -> SqlResult<&'static str> {
        let catalog = self.context.catalog.clone();
        let Some(database) = catalog.database_named(&drop.name) else {
            let message = format!("database \"{}\" does not exist", drop.name);
            if !drop.missing_ok {
                return Err(SqlError::new(SqlState::InvalidCatalogName, message));
            }
            self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
            return Ok("DROP DATABASE");
        };
        self.check_owns_database(database)?;
        if database.is_template {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                "cannot drop a template database",
            ));
        }
        for relation in catalog.relations_of(database.oid) {
            self.drop_relation_storage(relation)?;
            self.delete(DescriptorKey::Relation(relation.oid))?;
        }
        for ty in catalog.user_types_of(database.oid) {
            self.delete(DescriptorKey::Type(ty.oid))?;
        }
        for function in catalog.user_functions_of(database.oid) {
            self.delete(DescriptorKey::Function(function.oid))?;
        }
        for extension in catalog.extensions_of(database.oid) {
            self.delete(DescriptorKey::Extension(extension.oid))?;
        }
        for schema in catalog.schemas_of(database.oid) {
            self.delete(DescriptorKey::Schema(schema.oid))?;
        }
        self.delete(DescriptorKey::Database(database.oid))?;
        Ok("DROP DATABASE")
    }

    /// `ALTER DATABASE … RENAME`. That nobody is connected to it is the session's to see.
    pub(super) async fn rename_database(
        &mut self,
        old: &str,
        new: &str,
    ) -> SqlResult<&'static str> {
        self.claim_database(old).await?;
        self.claim_database(new).await?;
        let database = self.database_named(old)?;
        self.check_owns_database(&database)?;
        let role = self.role_row(self.role)?;
        if !role.superuser && !role.create_database {
            return Err(refused("permission denied to rename database"));
        }
        if self.context.catalog.database_named(new).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateDatabase,
                format!("database \"{new}\" already exists"),
            ));
        }
        if database.oid == self.context.database {
            let message = "current database cannot be renamed";
            return Err(SqlError::new(SqlState::FeatureNotSupported, message));
        }
        let renamed = Database { name: new.to_owned(), ..(*database).clone() };
        self.put(Descriptor::Database(Arc::new(renamed)))?;
        Ok("ALTER DATABASE")
    }

    /// `ALTER DATABASE … SET` and `RESET`
    pub(super) fn alter_database_set(
        &mut self,
        alter: &AlterDatabaseSetStmt,
    ) -> SqlResult<&'static str> {
        let database = self.database_named(&alter.name)?;
        self.check_owns_database(&database)?;
        self.change_settings(database.oid, Oid::NONE, &alter.set.kind)?;
        Ok("ALTER DATABASE")
    }

    /// The database with this name: 3D000 without.
    pub(super) fn database_named(&self, name: &str) -> SqlResult<Arc<Database>> {
        self.context.catalog.database_named(name).cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidCatalogName,
                format!("database \"{name}\" does not exist"),
            )
        })
    }
}
