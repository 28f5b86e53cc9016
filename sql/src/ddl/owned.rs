//! What belongs to a role or was granted to it: what keeps it from being dropped, `DROP OWNED` and
//! `REASSIGN OWNED` (PostgreSQL's `pg_shdepend.c`).

use std::collections::BTreeMap;
use std::sync::Arc;

use aegis_catalog::access::Kind;
use aegis_catalog::snapshot::{
    PG_CLASS, PG_DATABASE, PG_DEFAULT_ACL, PG_EXTENSION, PG_NAMESPACE, PG_PROC, PG_TYPE,
};
use aegis_catalog::{AclItem, DefaultPrivileges, Descriptor, DescriptorKey, Extension, Privileges};
use aegis_types::functions::quote_ident;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::dependency::Item;
use super::privilege::{Change, Target};
use super::role::refused;
use crate::ast::{DropOwnedStmt, ReassignOwnedStmt};

/// The OIDs below this are the server's own.
const FIRST_NORMAL_OID: u32 = 16384;

fn names(items: &[AclItem], role: Oid) -> bool {
    items.iter().any(|item| item.grantee == role || item.grantor == role)
}

impl Ddl<'_> {
    /// The lines that tell what depends on a role.
    pub(super) fn role_dependencies(&self, role: Oid) -> Vec<String> {
        let catalog = &self.context.catalog;
        let mut lines: Vec<((Oid, Oid, i32), String)> = Vec::new();
        let mut elsewhere: BTreeMap<Oid, usize> = BTreeMap::new();
        let mut add = |database: Oid, key: (Oid, Oid, i32), line: String| {
            if database.is_some() && database != self.context.database {
                *elsewhere.entry(database).or_default() += 1;
            } else {
                lines.push((key, line));
            }
        };
        for database in catalog.databases().filter(|it| it.owner == role) {
            let line = format!("owner of database {}", quote_ident(&database.name));
            add(Oid::NONE, (database.oid, PG_DATABASE, 0), line);
        }
        for database in catalog.databases() {
            for schema in catalog.schemas_of(database.oid).filter(|it| it.owner == role) {
                let line = format!("owner of schema {}", quote_ident(&schema.name));
                add(database.oid, (schema.oid, PG_NAMESPACE, 0), line);
            }
            let owned = catalog.relations_of(database.oid).filter(|it| it.owner == role);
            for relation in owned.filter(|it| it.as_index().is_none()) {
                let line = format!("owner of {}", self.describe(Item::Relation(relation.oid)));
                add(database.oid, (relation.oid, PG_CLASS, 0), line);
            }
            for ty in catalog.user_types_of(database.oid).filter(|it| it.owner == role) {
                let line = format!("owner of {}", self.describe(Item::Type(ty.oid)));
                add(database.oid, (ty.oid, PG_TYPE, 0), line);
            }
            for function in catalog.user_functions_of(database.oid).filter(|it| it.owner == role) {
                let line = format!("owner of {}", self.describe(Item::Function(function.oid)));
                add(database.oid, (function.oid, PG_PROC, 0), line);
            }
            for extension in catalog.extensions_of(database.oid).filter(|it| it.owner == role) {
                let line = format!("owner of {}", self.describe(Item::Extension(extension.oid)));
                add(database.oid, (extension.oid, PG_EXTENSION, 0), line);
            }
        }
        for stored in catalog.all_privileges().filter(|stored| names(&stored.items, role)) {
            let (database, owner, what) = self.described(stored);
            if owner != Some(role) {
                let key = (stored.object, stored.class, stored.column);
                add(database, key, format!("privileges for {what}"));
            }
        }
        for stored in catalog.all_default_privileges() {
            let database = catalog.schema(stored.schema).map_or(Oid::NONE, |it| it.database);
            let key = (stored.oid, PG_DEFAULT_ACL, 0);
            let what = self.described_defaults(stored);
            if stored.role == role {
                add(database, key, format!("owner of {what}"));
            } else if names(&stored.items, role) {
                add(database, key, format!("privileges for {what}"));
            }
        }
        lines.sort();
        let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        for (database, count) in elsewhere {
            let name = catalog.database(database).map_or("", |it| it.name.as_str());
            let objects = if count == 1 { "object" } else { "objects" };
            lines.push(format!("{count} {objects} in database {}", quote_ident(name)));
        }
        lines
    }

    /// The database, the owner and the words for what privileges are on.
    fn described(&self, stored: &Privileges) -> (Oid, Option<Oid>, String) {
        let catalog = &self.context.catalog;
        let access = self.access();
        let owner = |kind| access.owner(kind, stored.object);
        match stored.class {
            PG_CLASS => {
                let database = catalog.relation(stored.object).map(|it| it.database);
                let what = match i16::try_from(stored.column) {
                    Ok(column) if column != 0 => Item::Column(stored.object, column),
                    _ => Item::Relation(stored.object),
                };
                let database = database.unwrap_or(self.context.database);
                (database, owner(Kind::Table), self.describe(what))
            }
            PG_NAMESPACE => {
                let database = catalog.schema(stored.object).map(|it| it.database);
                let what = self.describe(Item::Schema(stored.object));
                (database.unwrap_or(self.context.database), owner(Kind::Schema), what)
            }
            PG_DATABASE => {
                let name = catalog.database(stored.object).map_or("", |it| it.name.as_str());
                (Oid::NONE, owner(Kind::Database), format!("database {}", quote_ident(name)))
            }
            _ => {
                let kind = [Kind::Function, Kind::Type, Kind::Language]
                    .into_iter()
                    .find(|kind| kind.class() == stored.class);
                let what = self.described_object(stored.class, stored.object);
                (self.context.database, kind.and_then(owner), what)
            }
        }
    }

    fn described_defaults(&self, stored: &DefaultPrivileges) -> String {
        let what = match stored.kind {
            b'r' => "relations",
            b'S' => "sequences",
            b'f' => "functions",
            b'T' => "types",
            _ => "schemas",
        };
        let mut text = format!(
            "default privileges on new {what} belonging to role {}",
            quote_ident(&self.role_name(stored.role))
        );
        if let Some(schema) = self.context.catalog.schema_name(stored.schema) {
            text.push_str(&format!(" in schema {}", quote_ident(schema)));
        }
        text
    }

    fn check_not_required(&self, role: Oid, verb: &str) -> SqlResult<()> {
        if role.0 >= FIRST_NORMAL_OID {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::DependentObjectsStillExist,
            format!(
                "cannot {verb} objects owned by role {} because they are required by the database \
                 system",
                quote_ident(&self.role_name(role))
            ),
        ))
    }

    /// `DROP OWNED BY`: what the roles own in this database goes, and what was granted to them.
    pub(super) async fn drop_owned(&mut self, drop: &DropOwnedStmt) -> SqlResult<&'static str> {
        let roles =
            drop.roles.iter().map(|spec| self.role_oid(spec)).collect::<SqlResult<Vec<_>>>()?;
        if roles.iter().any(|role| !self.access().has_privileges_of(self.role, *role)) {
            return Err(refused("permission denied to drop objects"));
        }
        let mut targets = Vec::new();
        for role in roles {
            self.check_not_required(role, "drop")?;
            self.take_privileges_of(role)?;
            let catalog = &self.context.catalog;
            let here = self.context.database;
            let mut owned: Vec<(Oid, Item)> = catalog
                .relations_of(here)
                .filter(|it| it.owner == role && it.as_index().is_none())
                .map(|it| (it.oid, Item::Relation(it.oid)))
                .collect();
            let schemas = catalog.schemas_of(here).filter(|it| it.owner == role);
            owned.extend(schemas.map(|it| (it.oid, Item::Schema(it.oid))));
            let types = catalog.user_types_of(here).filter(|it| it.owner == role);
            owned.extend(types.map(|it| (it.oid, Item::Type(it.oid))));
            let functions = catalog.user_functions_of(here);
            let functions = functions.filter(|it| it.owner == role && it.extension.is_none());
            owned.extend(functions.map(|it| (it.oid, Item::Function(it.oid))));
            let extensions = catalog.extensions_of(here).filter(|it| it.owner == role);
            owned.extend(extensions.map(|it| (it.oid, Item::Extension(it.oid))));
            owned.sort_by_key(|(oid, _)| *oid);
            targets.extend(owned.into_iter().map(|(_, item)| item));
        }
        if !targets.is_empty() {
            self.drop_items(&targets, drop.behavior).await?;
        }
        Ok("DROP OWNED")
    }

    /// Revokes everything that was granted to a role on objects of this database and on databases,
    /// and drops its default privileges.
    fn take_privileges_of(&mut self, role: Oid) -> SqlResult<()> {
        let catalog = self.context.catalog.clone();
        for stored in catalog.all_default_privileges() {
            if stored.role == role {
                let (role, schema, kind) = (stored.role, stored.schema, stored.kind);
                self.delete(DescriptorKey::DefaultPrivileges(role, schema, kind))?;
            } else if names(&stored.items, role) {
                self.take_from_defaults(stored, role)?;
            }
        }
        for stored in catalog.all_privileges().filter(|stored| names(&stored.items, role)) {
            let (database, owner, _) = self.described(stored);
            if owner == Some(role) || (database.is_some() && database != self.context.database) {
                continue;
            }
            let kind = if stored.column != 0 { Some(Kind::Column) } else { None };
            let kind = kind.or_else(|| {
                let is_sequence =
                    catalog.relation(stored.object).is_some_and(|it| it.as_sequence().is_some());
                [
                    if is_sequence { Kind::Sequence } else { Kind::Table },
                    Kind::Schema,
                    Kind::Database,
                    Kind::Function,
                    Kind::Type,
                    Kind::Language,
                ]
                .into_iter()
                .find(|kind| kind.class() == stored.class)
            });
            let Some(kind) = kind else { continue };
            let target = Target { kind, object: stored.object, column: stored.column };
            let change = Change {
                is_grant: false,
                grantees: vec![role],
                with_option: false,
                cascade: true,
                all: true,
            };
            self.change_privileges(&target, kind.all(), &change)?;
        }
        Ok(())
    }

    /// `REASSIGN OWNED BY`
    pub(super) fn reassign_owned(
        &mut self,
        reassign: &ReassignOwnedStmt,
    ) -> SqlResult<&'static str> {
        let roles =
            reassign.roles.iter().map(|spec| self.role_oid(spec)).collect::<SqlResult<Vec<_>>>()?;
        let new = self.role_oid(&reassign.new_role)?;
        for role in roles.iter().chain([&new]) {
            if !self.access().has_privileges_of(self.role, *role) {
                return Err(refused("permission denied to reassign objects"));
            }
        }
        for role in roles {
            self.check_not_required(role, "reassign ownership of")?;
            let catalog = self.context.catalog.clone();
            let here = self.context.database;
            for relation in catalog.relations_of(here).filter(|it| it.owner == role) {
                self.set_owner(relation.oid, new)?;
            }
            for schema in catalog.schemas_of(here).filter(|it| it.owner == role) {
                self.set_schema_owner(schema, new)?;
            }
            for ty in catalog.user_types_of(here).filter(|it| it.owner == role) {
                self.set_type_owner(ty, new)?;
            }
            for function in catalog.user_functions_of(here).filter(|it| it.owner == role) {
                self.set_function_owner(function, new)?;
            }
            for extension in catalog.extensions_of(here).filter(|it| it.owner == role) {
                let changed = Extension { owner: new, ..(**extension).clone() };
                self.put(Descriptor::Extension(Arc::new(changed)))?;
            }
            for database in catalog.databases().filter(|it| it.owner == role) {
                self.set_database_owner(database, new)?;
            }
        }
        Ok("REASSIGN OWNED")
    }
}
