//! Names: where new objects go, which object an old name means, and the locks that are taken on
//! the way.

use std::sync::Arc;

use aegis_catalog::snapshot::{INFORMATION_SCHEMA, PG_CATALOG};
use aegis_catalog::store::CATALOG_TREE;
use aegis_catalog::{
    CatalogSnapshot, Descriptor, DescriptorKey, Relation, RelationKind, UserType, standard,
};
use aegis_storage::{LockWait, RowLockMode, RowLockWait, TableLockMode};
use aegis_types::functions::quote_ident;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use crate::ast::{RangeVar, RelPersistence, RoleSpec, RoleSpecKind};

/// The longest identifier, in bytes.
const NAME_BYTES_MAX: usize = 63;

impl Ddl<'_> {
    /// The schema that a new relation goes into.
    pub(super) fn creation_schema(&mut self, name: &RangeVar) -> SqlResult<Oid> {
        self.check_database(name)?;
        let wrong = |message: &str| {
            Err(SqlError::new(SqlState::InvalidTableDefinition, message).at(name.location))
        };
        if self.is_temporary(name) {
            if name.persistence == RelPersistence::Unlogged {
                return wrong("only temporary relations may be created in temporary schemas");
            }
            return self.temporary_schema();
        }
        if name.persistence == RelPersistence::Temporary {
            return wrong("cannot create temporary relation in non-temporary schema");
        }
        let catalog = &self.context.catalog;
        let mut path = self.search_path.iter().filter(|oid| !catalog.is_temporary_schema(**oid));
        let schema = match &name.schema {
            Some(schema) => self.schema(schema).map_err(|error| error.at(name.location))?,
            None => *path.next().ok_or_else(|| {
                SqlError::new(
                    SqlState::InvalidSchemaName,
                    "no schema has been selected to create in",
                )
                .at(name.location)
            })?,
        };
        self.check_not_builtin(schema, &name.name)?;
        // Temporary relations need no privilege in their schema.
        if !self.context.catalog.is_temporary_schema(schema) {
            self.check_may_create_in(schema)?;
        }
        if self.context.catalog.user_type_named(schema, &name.name).is_some() {
            return Err(super::user_type::type_exists(&name.name).hint(
                "A relation has an associated type of the same name, so you must use a name that \
                 doesn't conflict with any existing type.",
            ));
        }
        Ok(schema)
    }

    /// The schema that a new type goes into.
    pub(super) fn creation_schema_of_type(&self, name: &RangeVar) -> SqlResult<Oid> {
        self.check_database(name)?;
        let schema = match &name.schema {
            Some(schema) => self.schema(schema)?,
            None => *self.search_path.first().ok_or_else(|| {
                SqlError::new(
                    SqlState::InvalidSchemaName,
                    "no schema has been selected to create in",
                )
            })?,
        };
        self.check_not_builtin(schema, &name.name)?;
        self.check_may_create_in(schema)?;
        Ok(schema)
    }

    /// Claims a name among the types of a schema until the transaction ends, and looks at the newest
    /// of that name.
    pub(super) async fn claim_type_name(&mut self, schema: Oid, name: &str) -> SqlResult<()> {
        self.claim_name(&[u8::MAX - 3], schema, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>()
            && let Some(oid) = newest.user_type_named(schema, name)
        {
            self.refresh(DescriptorKey::Type(oid))?;
        }
        Ok(())
    }

    /// Locks a type of users until the transaction ends, and looks at its newest descriptor.
    ///
    /// # Errors
    /// 0A000 for what every database has.
    pub(super) async fn lock_type(&mut self, oid: Oid) -> SqlResult<()> {
        if standard::domain(oid).is_some() {
            let shown = self.shown_type(oid);
            return Err(SqlError::unsupported(format_args!("changing {shown}")));
        }
        self.claim_name(&[u8::MAX - 4], oid, "").await?;
        let own = self.context.catalog.user_type(oid).cloned();
        self.refresh(DescriptorKey::Type(oid))?;
        // What the transaction itself has added is not marked so where it is stored.
        if let (Some(own), Some(newest)) = (own, self.context.catalog.user_type(oid))
            && same_but_for_marks(&own, newest)
        {
            let descriptor = Descriptor::Type(own);
            self.context.catalog = Arc::new((*self.context.catalog).clone().with(&descriptor));
        }
        Ok(())
    }

    pub(super) fn check_not_builtin(&self, schema: Oid, name: &str) -> SqlResult<()> {
        if schema == PG_CATALOG || schema == INFORMATION_SCHEMA {
            let schema = self.context.catalog.schema_name(schema).unwrap_or_default();
            return Err(SqlError::new(
                SqlState::InsufficientPrivilege,
                format!("permission denied to create \"{schema}.{name}\""),
            )
            .detail("System catalog modifications are currently disallowed."));
        }
        Ok(())
    }

    fn check_database(&self, name: &RangeVar) -> SqlResult<()> {
        let Some(database) = &name.catalog else {
            return Ok(());
        };
        let current = self.context.catalog.database(self.context.database);
        if current.is_some_and(|current| current.name == *database) {
            return Ok(());
        }
        let schema = name.schema.as_deref().unwrap_or_default();
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!(
                "cross-database references are not implemented: \"{database}.{schema}.{}\"",
                name.name
            ),
        ))
    }

    /// The schema with this name: 3F000 without.
    pub(super) fn schema(&self, name: &str) -> SqlResult<Oid> {
        let name = if name == "pg_temp" { &self.temporary_schema_name } else { name };
        self.context.catalog.schema_named(self.context.database, name).ok_or_else(|| {
            SqlError::new(SqlState::InvalidSchemaName, format!("schema \"{name}\" does not exist"))
        })
    }

    /// The relation that a name means, if there is one.
    ///
    /// # Errors
    /// 3F000 if its schema is missing.
    pub fn find(&self, name: &RangeVar) -> SqlResult<Option<Arc<Relation>>> {
        self.check_database(name)?;
        let catalog = &self.context.catalog;
        if let Some(schema) = &name.schema {
            let schema = self.schema(schema)?;
            self.check_may_use(schema)?;
            self.check_not_system(schema, &name.name)?;
            return Ok(catalog.relation_named(schema, &name.name).cloned());
        }
        if !self.search_path.contains(&PG_CATALOG) {
            self.check_not_system(PG_CATALOG, &name.name)?;
        }
        for schema in &self.search_path {
            self.check_not_system(*schema, &name.name)?;
            if let Some(relation) = catalog.relation_named(*schema, &name.name) {
                return Ok(Some(relation.clone()));
            }
        }
        Ok(None)
    }

    fn check_not_system(&self, schema: Oid, name: &str) -> SqlResult<()> {
        if schema != PG_CATALOG && schema != INFORMATION_SCHEMA {
            return Ok(());
        }
        let schema = self.context.catalog.schema_name(schema).unwrap_or_default();
        match self.context.system_relations.columns(&format!("{schema}.{name}")) {
            None => Ok(()),
            Some(_) => Err(SqlError::new(
                SqlState::InsufficientPrivilege,
                format!("permission denied: \"{name}\" is a system catalog"),
            )),
        }
    }

    /// Locks the relation that a name means, and gives it as it is once locked.
    pub(super) async fn open(
        &mut self,
        name: &RangeVar,
        mode: TableLockMode,
    ) -> SqlResult<Arc<Relation>> {
        self.open_if_exists(name, mode).await?.ok_or_else(|| missing_relation(name))
    }

    /// The same; `None` if there is no such relation.
    pub async fn open_if_exists(
        &mut self,
        name: &RangeVar,
        mode: TableLockMode,
    ) -> SqlResult<Option<Arc<Relation>>> {
        while let Some(found) = self.find(name)? {
            self.lock(found.oid, mode).await?;
            match self.find(name)? {
                Some(locked) if locked.oid == found.oid => return Ok(Some(locked)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Locks a relation and looks at its newest descriptor.
    pub(super) async fn lock(&mut self, oid: Oid, mode: TableLockMode) -> SqlResult<()> {
        self.lock_with(oid, mode, LockWait::Wait { timeout: self.lock_timeout }).await
    }

    pub(super) async fn lock_with(
        &mut self,
        oid: Oid,
        mode: TableLockMode,
        wait: LockWait,
    ) -> SqlResult<()> {
        let object = (u64::from(self.context.database.0) << 32) | u64::from(oid.0);
        self.context.cancel.wait(self.txn.lock_table(object, mode, wait)).await?;
        self.refresh(DescriptorKey::Relation(oid))
    }

    pub(super) fn refresh(&mut self, key: DescriptorKey) -> SqlResult<()> {
        let newest = self.txn.get_newest(CATALOG_TREE, &key.encode())?;
        let catalog = (*self.context.catalog).clone();
        self.context.catalog = Arc::new(match newest {
            Some(row) => catalog.with(&Descriptor::decode(&row.value)?),
            None => catalog.without(key),
        });
        Ok(())
    }

    /// Claims a name among the relations of a schema until the transaction ends, and tells which
    /// relation has it already.
    pub(super) async fn claim(
        &mut self,
        schema: Oid,
        name: &str,
    ) -> SqlResult<Option<Arc<Relation>>> {
        self.claim_name(&[u8::MAX], schema, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>()
            && let Some(other) = newest.relation_named(schema, name)
        {
            self.refresh(DescriptorKey::Relation(other.oid))?;
        }
        Ok(self.context.catalog.relation_named(schema, name).cloned())
    }

    /// Claims the name of a schema of this database until the transaction ends, and looks at the
    /// newest of that name.
    pub(super) async fn claim_schema(&mut self, name: &str) -> SqlResult<()> {
        let database = self.context.database;
        self.claim_name(&[u8::MAX - 1], database, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>()
            && let Some(oid) = newest.schema_named(database, name)
            && newest.schema(oid).is_some()
        {
            self.refresh(DescriptorKey::Schema(oid))?;
        }
        Ok(())
    }

    /// The same for a database.
    pub(super) async fn claim_database(&mut self, name: &str) -> SqlResult<()> {
        self.claim_name(&[u8::MAX - 2], Oid::NONE, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>()
            && let Some(other) = newest.database_named(name)
        {
            self.refresh(DescriptorKey::Database(other.oid))?;
        }
        Ok(())
    }

    pub(super) async fn claim_name(
        &mut self,
        kind: &[u8],
        within: Oid,
        name: &str,
    ) -> SqlResult<()> {
        let mut key = kind.to_vec();
        key.extend_from_slice(&within.0.to_be_bytes());
        key.extend_from_slice(name.as_bytes());
        let wait = RowLockWait::Wait { timeout: self.lock_timeout };
        let lock = self.txn.lock_row(CATALOG_TREE, &key, RowLockMode::ForUpdate, wait);
        self.context.cancel.wait(lock).await?;
        Ok(())
    }

    /// Claims a relation's name: 42P07 if it is taken.
    pub(super) async fn claim_new(&mut self, schema: Oid, name: &str) -> SqlResult<()> {
        match self.claim(schema, name).await? {
            Some(_) => Err(relation_exists(name)),
            None => Ok(()),
        }
    }

    /// The relation with this OID, which some other descriptor names.
    pub(super) fn relation(&self, oid: Oid) -> SqlResult<Arc<Relation>> {
        self.context
            .catalog
            .relation(oid)
            .cloned()
            .ok_or_else(|| SqlError::internal(format!("relation {oid} is missing")))
    }

    /// A name that no relation of the schema has: `name1_name2_label`, numbered if need be
    /// (PostgreSQL's `ChooseRelationName`).
    pub(super) fn free_relation_name(&self, schema: Oid, base: &NameParts<'_>) -> String {
        base.first_free(|name| self.context.catalog.relation_named(schema, name).is_some())
    }

    /// A name that neither a constraint nor a relation of the schema has.
    pub(super) fn free_constraint_name(
        &self,
        schema: Oid,
        base: &NameParts<'_>,
        of_index: bool,
    ) -> String {
        let catalog = &self.context.catalog;
        let taken: std::collections::HashSet<&str> = catalog
            .relations_in(schema)
            .filter_map(|relation| relation.as_table())
            .flat_map(|table| &table.constraints)
            .map(|constraint| constraint.name.as_str())
            .collect();
        base.first_free(|name| {
            taken.contains(name) || (of_index && catalog.relation_named(schema, name).is_some())
        })
    }

    /// The role that a statement names.
    pub(super) fn role_oid(&self, role: &RoleSpec) -> SqlResult<Oid> {
        match &role.kind {
            RoleSpecKind::Name(name) => {
                self.context.catalog.role_named(name).map(|role| role.oid).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedObject,
                        format!("role \"{name}\" does not exist"),
                    )
                })
            }
            RoleSpecKind::Public => {
                Err(SqlError::new(SqlState::UndefinedObject, "role \"public\" does not exist"))
            }
            RoleSpecKind::SessionUser => Ok(self.session_role),
            RoleSpecKind::CurrentRole | RoleSpecKind::CurrentUser => Ok(self.role),
        }
    }

    /// A relation's name as messages about dependencies have it: qualified unless it is found.
    pub(super) fn shown(&self, relation: &Relation) -> String {
        let catalog = &self.context.catalog;
        let name = quote_ident(&relation.name);
        let found = self
            .search_path
            .iter()
            .find_map(|schema| catalog.relation_named(*schema, &relation.name));
        if found.is_some_and(|found| found.oid == relation.oid) {
            return name;
        }
        let schema = catalog.schema_name(relation.schema).unwrap_or_default();
        format!("{}.{name}", quote_ident(schema))
    }

    /// `schema.name`, quoted as need be.
    pub(super) fn qualified(&self, schema: Oid, name: &str) -> String {
        let schema = self.context.catalog.schema_name(schema).unwrap_or_default();
        format!("{}.{}", quote_ident(schema), quote_ident(name))
    }

    /// The table that a name means, locked: 42809 for another kind of relation.
    pub(super) async fn open_table(
        &mut self,
        name: &RangeVar,
        mode: TableLockMode,
    ) -> SqlResult<Arc<Relation>> {
        let relation = self.open(name, mode).await?;
        if relation.kind() != RelationKind::Table {
            return Err(wrong_kind(&relation, "a table"));
        }
        Ok(relation)
    }
}

/// Whether two states of a type differ at most in what is not stored.
fn same_but_for_marks(one: &UserType, other: &UserType) -> bool {
    let stored = |ty: &UserType| Descriptor::Type(Arc::new(ty.clone())).encode().ok();
    stored(one) == stored(other)
}

/// 42809: `"t" is not a view`.
pub(super) fn wrong_kind(relation: &Relation, wanted: &str) -> SqlError {
    SqlError::new(SqlState::WrongObjectType, format!("\"{}\" is not {wanted}", relation.name))
}

/// 42P07
pub(super) fn relation_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DuplicateTable, format!("relation \"{name}\" already exists"))
}

/// 42P01
pub(super) fn missing_relation(name: &RangeVar) -> SqlError {
    SqlError::new(SqlState::UndefinedTable, format!("relation \"{}\" does not exist", dotted(name)))
}

/// A relation's name as it was written, without quotes.
pub(super) fn dotted(name: &RangeVar) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    }
}

/// The word for a kind of relation in messages.
pub(super) const fn kind_word(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "table",
        RelationKind::View => "view",
        RelationKind::Sequence => "sequence",
        RelationKind::Index => "index",
        RelationKind::MaterializedView => "materialized view",
    }
}

/// The name of a relation in parts: `[schema.]name`.
pub(super) fn range_var(names: &[String]) -> SqlResult<RangeVar> {
    let (catalog, schema, name) = match names {
        [name] => (None, None, name),
        [schema, name] => (None, Some(schema.clone()), name),
        [catalog, schema, name] => (Some(catalog.clone()), Some(schema.clone()), name),
        _ => {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("improper relation name (too many dotted names): {}", names.join(".")),
            ));
        }
    };
    Ok(RangeVar {
        catalog,
        schema,
        name: name.clone(),
        inherits: true,
        persistence: RelPersistence::Permanent,
        alias: None,
        location: 0,
    })
}

/// What a chosen name is made of.
pub(super) struct NameParts<'a> {
    /// The table's name.
    pub(super) table: &'a str,
    /// The columns' names, joined; empty for none.
    pub(super) columns: &'a str,
    /// `pkey`, `key`, `idx`, `check`, `fkey`, `seq`.
    pub(super) label: &'a str,
}

impl NameParts<'_> {
    pub(super) fn first_free(&self, taken: impl Fn(&str) -> bool) -> String {
        let mut number = 0_u32;
        loop {
            let suffix = if number == 0 { String::new() } else { number.to_string() };
            let name = self.assemble(&format!("{}{suffix}", self.label));
            if !taken(&name) {
                return name;
            }
            number += 1;
        }
    }

    /// The longer of the first two parts is cut until the whole fits (`makeObjectName`).
    fn assemble(&self, label: &str) -> String {
        let overhead = label.len() + 1 + usize::from(!self.columns.is_empty());
        let available = NAME_BYTES_MAX.saturating_sub(overhead);
        let (mut one, mut two) = (self.table.len(), self.columns.len());
        while one + two > available {
            if one > two { one -= 1 } else { two -= 1 }
        }
        let cut = |text: &str, at: usize| {
            let end = (0..=at).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text[..end].to_owned()
        };
        let mut name = cut(self.table, one);
        if !self.columns.is_empty() {
            name.push('_');
            name.push_str(&cut(self.columns, two));
        }
        name.push('_');
        name.push_str(label);
        name
    }
}

/// The columns' names as they stand in the name of an index or a foreign key.
pub(super) fn joined_columns<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for name in names {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(name);
        if joined.len() > NAME_BYTES_MAX {
            break;
        }
    }
    joined
}
