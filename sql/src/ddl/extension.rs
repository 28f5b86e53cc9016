//! `CREATE` and `DROP EXTENSION`: what is built in becomes known in a database, with its functions
//! in a schema of the user's choice.

use std::sync::Arc;

use aegis_catalog::extension::{KnownExtension, known};
use aegis_catalog::snapshot::{PG_CATALOG, PG_EXTENSION};
use aegis_catalog::{
    CatalogSnapshot, Comment, Descriptor, DescriptorKey, Extension, Managed, RelationBody,
};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::dependency::Item;
use super::ownership::not_owner;
use crate::ast::{AlterObjectSchemaStmt, CreateExtensionStmt, DropStmt, ObjectName, Statement};
use crate::engine;

/// What the claim of an extension's name begins with.
const NAME_CLAIM: u8 = u8::MAX - 6;

impl Ddl<'_> {
    /// `CREATE EXTENSION`
    pub(super) async fn create_extension(
        &mut self,
        create: &CreateExtensionStmt,
    ) -> SqlResult<&'static str> {
        let name = create.name.as_str();
        self.claim_extension(name).await?;
        if self.extension_named(name).is_some() {
            let message = format!("extension \"{name}\" already exists");
            if !create.if_not_exists {
                return Err(SqlError::new(SqlState::DuplicateObject, message));
            }
            self.notice(SqlState::DuplicateObject, format!("{message}, skipping"));
            return Ok("CREATE EXTENSION");
        }
        let Some(extension) = known(name) else {
            if name == "plpgsql" {
                return Err(SqlError::unsupported("extension plpgsql"));
            }
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("extension \"{name}\" is not available"),
            )
            .hint(
                "The extension must first be installed on the system where PostgreSQL is running.",
            ));
        };
        if let Some(version) = &create.version
            && version != extension.version
        {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                format!(
                    "extension \"{name}\" has no installation script nor update path for version \
                     \"{version}\""
                ),
            ));
        }
        let privilege = aegis_catalog::access::Privilege::CREATE;
        let kind = aegis_catalog::access::Kind::Database;
        let (may, hint) = match extension.trusted {
            true => (
                self.access().allows(self.role, kind, self.context.database, privilege),
                "Must have CREATE privilege on current database to create this extension.",
            ),
            false => (
                self.access().is_superuser(self.role),
                "Must be superuser to create this extension.",
            ),
        };
        if !may {
            let message = format!("permission denied to create extension \"{name}\"");
            return Err(super::role::refused(message).hint(hint));
        }
        if name == engine::SCHEMA {
            // Its functions are built in.
            let elsewhere = create.schema.as_ref().is_some_and(|schema| schema != "pg_catalog");
            if elsewhere {
                let message =
                    format!("extension \"{name}\" must be installed in schema \"pg_catalog\"");
                return Err(SqlError::new(SqlState::FeatureNotSupported, message));
            }
            self.put_extension(extension, PG_CATALOG).await?;
            return Ok("CREATE EXTENSION");
        }
        let schema = match &create.schema {
            Some(schema) => self.schema(schema)?,
            None => *self.search_path.first().ok_or_else(|| {
                let message = "no schema has been selected to create in";
                SqlError::new(SqlState::UndefinedObject, message)
            })?,
        };
        self.check_may_create_in(schema)?;
        self.put_extension(extension, schema).await?;
        Ok("CREATE EXTENSION")
    }

    async fn put_extension(&mut self, known: &KnownExtension, schema: Oid) -> SqlResult<()> {
        let oid = self.counters.next_oid()?;
        let (database, owner) = (self.context.database, self.role);
        let mut extension = Extension {
            oid,
            database,
            name: known.name.to_owned(),
            owner,
            schema,
            version: known.version.to_owned(),
            ..Extension::default()
        };
        self.put(Descriptor::Extension(Arc::new(extension.clone())))?;
        self.put(Descriptor::Comment(Arc::new(Comment {
            class: PG_EXTENSION,
            object: oid,
            column: 0,
            text: known.comment.to_owned(),
        })))?;
        for mut function in known.functions() {
            (function.database, function.schema, function.owner) = (database, schema, owner);
            function.extension = Some(oid);
            self.put_extension_function(function).await?;
        }
        if known.script.is_empty() {
            return Ok(());
        }
        let name = self.context.catalog.schema(schema).map(|schema| schema.name.clone());
        let name = aegis_types::functions::quote_ident(&name.unwrap_or_default());
        for text in known.script {
            for raw in crate::parser::parse(&text.replace("@extschema@", &name))? {
                Box::pin(self.run(&raw.statement)).await?;
                if let Statement::CreateView(create) = &raw.statement {
                    let catalog = &self.context.catalog;
                    let view = catalog.relation_named(schema, &create.view.name);
                    extension.relations.extend(view.map(|view| view.oid));
                }
            }
        }
        if known.name == engine::SCHEMA {
            self.make_relations_of_engines(&mut extension).await?;
        }
        self.put(Descriptor::Extension(Arc::new(extension)))
    }

    /// The tables of engines with what goes with them, as the engines' own scripts have them.
    async fn make_relations_of_engines(&mut self, extension: &mut Extension) -> SqlResult<()> {
        let missing = || SqlError::internal("the schema of engines was not made");
        let schema = self.context.catalog.schema_named(extension.database, engine::SCHEMA);
        let schema = schema.ok_or_else(missing)?;
        extension.schemas.push(schema);
        for engine in engine::engines() {
            for text in engine.script() {
                for raw in crate::parser::parse(text)? {
                    Box::pin(self.run(&raw.statement)).await?;
                }
            }
            for table in engine.tables() {
                let found = self.context.catalog.relation_named(schema, table.name);
                let mut relation = (**found.ok_or_else(missing)?).clone();
                let expires = relation
                    .live_columns()
                    .find(|column| Some(column.name.as_str()) == table.expires)
                    .map(|column| column.number);
                if let RelationBody::Table(body) = &mut relation.body {
                    let engine = engine.name().to_owned();
                    body.managed = Some(Managed { engine, expires, counters: None, along: None });
                }
                if let Some(rows) = table.dumped {
                    extension.dumped.push(relation.oid);
                    extension.dumped_rows.push(rows.to_owned());
                }
                self.put_relation(relation)?;
            }
        }
        let relations = self.context.catalog.relations_in(schema);
        let relations = relations.filter(|relation| relation.as_index().is_none());
        extension.relations = relations.map(|relation| relation.oid).collect();
        Ok(())
    }

    /// The extension that a relation belongs to.
    pub(super) fn extension_of(&self, relation: Oid) -> Option<Oid> {
        let mut all = self.context.catalog.extensions_of(self.context.database);
        all.find(|extension| extension.relations.contains(&relation)).map(|found| found.oid)
    }

    /// Claims the name of an extension of this database until the transaction ends, and looks at the
    /// newest of that name.
    async fn claim_extension(&mut self, name: &str) -> SqlResult<()> {
        let database = self.context.database;
        self.claim_name(&[NAME_CLAIM], database, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>()
            && let Some(other) = newest.extensions_of(database).find(|it| it.name == name)
        {
            self.refresh(DescriptorKey::Extension(other.oid))?;
        }
        Ok(())
    }

    fn extension_named(&self, name: &str) -> Option<Arc<Extension>> {
        let mut all = self.context.catalog.extensions_of(self.context.database);
        all.find(|extension| extension.name == name).cloned()
    }

    /// An extension that the role owns.
    pub(super) fn own_extension(&self, name: &str) -> SqlResult<Arc<Extension>> {
        let extension = self.extension_named(name).ok_or_else(|| {
            SqlError::new(SqlState::UndefinedObject, format!("extension \"{name}\" does not exist"))
        })?;
        if !self.access().has_privileges_of(self.role, extension.owner) {
            return Err(not_owner("extension", name));
        }
        Ok(extension)
    }

    /// `DROP EXTENSION`
    pub(super) async fn drop_extensions(&mut self, drop: &DropStmt) -> SqlResult<&'static str> {
        let mut targets = Vec::new();
        for object in &drop.objects {
            let ObjectName::Name(names) = object else {
                return Err(SqlError::internal("an extension is dropped by name"));
            };
            let name = names.join(".");
            self.claim_extension(&name).await?;
            if self.extension_named(&name).is_none() {
                let message = format!("extension \"{name}\" does not exist");
                self.absent(SqlState::UndefinedObject, &message, drop.missing_ok)?;
                continue;
            }
            targets.push(Item::Extension(self.own_extension(&name)?.oid));
        }
        self.drop_items(&targets, drop.behavior).await?;
        Ok("DROP EXTENSION")
    }

    /// `ALTER EXTENSION … SET SCHEMA`
    pub(super) async fn set_extension_schema(
        &mut self,
        name: &str,
        alter: &AlterObjectSchemaStmt,
    ) -> SqlResult<&'static str> {
        self.claim_extension(name).await?;
        let extension = self.own_extension(name)?;
        if name == engine::SCHEMA {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("extension \"{name}\" does not support SET SCHEMA"),
            ));
        }
        let schema = self.schema(&alter.new_schema)?;
        self.check_may_create_in(schema)?;
        let catalog = self.context.catalog.clone();
        let own = catalog.user_functions_of(self.context.database);
        for function in own.filter(|function| function.extension == Some(extension.oid)) {
            let changed = aegis_catalog::Function { schema, ..(**function).clone() };
            self.put(Descriptor::Function(Arc::new(changed)))?;
        }
        for oid in &extension.relations {
            if let Some(view) = catalog.relation(*oid) {
                self.claim(schema, &view.name).await?;
                self.put_relation(aegis_catalog::Relation { schema, ..(**view).clone() })?;
            }
        }
        self.put(Descriptor::Extension(Arc::new(Extension { schema, ..(*extension).clone() })))?;
        self.reprint(&catalog).await?;
        Ok("ALTER EXTENSION")
    }

    /// 2BP01 for what goes with its extension alone.
    pub(super) fn required_by_extension(&self, item: Item, extension: Oid) -> SqlError {
        let extension = self.describe(Item::Extension(extension));
        SqlError::new(
            SqlState::DependentObjectsStillExist,
            format!("cannot drop {} because {extension} requires it", self.describe(item)),
        )
        .hint(format!("You can drop {extension} instead."))
    }
}
