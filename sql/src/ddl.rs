//! Definitions: CREATE, ALTER, DROP, COMMENT, TRUNCATE and what goes with them.
//!
//! A definition changes descriptors in the transaction's own successor of the catalog and in the
//! catalog's tree, so that it commits, rolls back and replicates like any write. The relation is
//! locked first, then the newest catalog is looked at, then the change is made.

mod name;
mod expression;
mod text;

mod create_table;
mod constraint;
mod foreign_key;
mod index;
mod reindex;
mod sequence;
mod schema;
mod database;
mod view;
mod create_as;
mod materialized;

mod rewrite;
mod alter_table;
mod lock_level;
mod alter_storage;
mod alter_type;
mod identity;
mod user_type;
mod domain;
mod composite;
mod function;
mod extension;
mod rename;

mod dependency;
mod drop;
mod comment;
mod truncate;
mod statistics;
mod temporary;

mod role;
mod membership;
mod ownership;
mod privilege;
mod owned;

pub use expression::is_volatile;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::snapshot::{PG_CLASS, PG_DATABASE, PG_NAMESPACE, PG_PROC, PG_TYPE};
use aegis_catalog::{Descriptor, DescriptorKey, Relation, store};
use aegis_storage::{Store, Transaction};
use aegis_types::{Host, Oid, SqlError, SqlResult, SqlState};

pub use reindex::IndexBatch;

use crate::ast::{ObjectType, SelectBody, Statement};
use crate::counters::Counters;
use crate::dml::{Changes, RowIds, TableAccess};
use crate::engine::TableChange;
use crate::query_engine::{QueryEngine, StatementContext};
use crate::settings::SessionSettings;

pub use create_as::Filling;
pub use ownership::{denied, not_owner};
pub use statistics::Analysis;

/// Everything that a definition works with.
pub struct Ddl<'a> {
    /// The transaction that writes.
    pub txn: &'a mut Transaction,
    /// The statement's view and settings; its catalog is replaced as descriptors change.
    pub context: StatementContext,
    /// Where tree ids come from.
    pub store: &'a Store,
    /// Who plans the scans of index builds and checks.
    pub engine: &'a dyn QueryEngine,
    /// Hidden row ids.
    pub row_ids: &'a RowIds,
    /// Sequences and OIDs.
    pub counters: &'a Counters,
    /// The schemas of `search_path` that exist; new objects go into the first.
    pub search_path: Vec<Oid>,
    /// What the schema of the session's temporary relations is called.
    pub temporary_schema_name: String,
    /// Whether `search_path` begins with `pg_temp`.
    pub temporary_first: bool,
    /// Whether that schema was used.
    pub uses_temporary: bool,
    /// The current role.
    pub role: Oid,
    /// The role of the session, which `SET ROLE` does not change.
    pub session_role: Oid,
    /// What the session has set.
    pub session_settings: SessionSettings,
    /// `lock_timeout`
    pub lock_timeout: Option<Duration>,
    /// The types of the parameters of a query that is made a table: the arguments of
    /// `CREATE TABLE AS EXECUTE`.
    pub parameter_types: Vec<Option<Oid>>,
    /// The relations that open cursors of the session read.
    pub in_use: BTreeSet<Oid>,
    /// Whether an engine is at work on relations of its own.
    pub engine_acts: bool,
    /// What the client is to be told beside the tag.
    pub notices: Vec<Notice>,
    /// What has changed, for the session to see it until the commit is published.
    pub changes: Vec<DdlChange>,
    /// The table whose rows are still to be computed.
    pub filling: Option<Filling>,
}

/// A NOTICE or WARNING.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`
    pub severity: &'static str,
    /// The other fields, as an error carries them.
    pub fields: SqlError,
}

/// A change of the catalog.
#[derive(Clone, Debug)]
pub enum DdlChange {
    /// A descriptor is new or different.
    Put(Descriptor),
    /// A descriptor is gone.
    Delete(DescriptorKey),
}

impl Ddl<'_> {
    /// Adds or replaces a descriptor.
    ///
    /// # Errors
    /// What storage raises.
    pub fn put(&mut self, descriptor: Descriptor) -> SqlResult<()> {
        let is_new = match &descriptor {
            Descriptor::Relation(relation) => self.context.catalog.relation(relation.oid).is_none(),
            Descriptor::Schema(schema) => self.context.catalog.schema(schema.oid).is_none(),
            Descriptor::Function(new) => self.context.catalog.user_function(new.oid).is_none(),
            _ => false,
        };
        store::put(self.txn, &descriptor)?;
        // Alone with it, it copies nothing of what the transaction has changed before.
        let catalog = Arc::unwrap_or_clone(std::mem::take(&mut self.context.catalog));
        self.context.catalog = Arc::new(catalog.with(&descriptor));
        self.changes.push(DdlChange::Put(descriptor.clone()));
        if is_new { self.give_default_privileges(&descriptor) } else { Ok(()) }
    }

    /// Removes a descriptor.
    ///
    /// # Errors
    /// What storage raises.
    pub fn delete(&mut self, key: DescriptorKey) -> SqlResult<()> {
        self.delete_privileges(key)?;
        store::delete(self.txn, key)?;
        let catalog = Arc::unwrap_or_clone(std::mem::take(&mut self.context.catalog));
        self.context.catalog = Arc::new(catalog.without(key));
        self.changes.push(DdlChange::Delete(key));
        Ok(())
    }

    /// Runs a definition and gives its command tag. `source` is the text that the statement's
    /// locations point into.
    ///
    /// # Errors
    /// Whatever the statement raises; 0A000 for one that is not there.
    pub async fn run(&mut self, statement: &Statement) -> SqlResult<String> {
        let tag = self.run_apart(statement).await?;
        let Some(filling) = self.filling.take() else { return Ok(tag) };
        let context = filling.context().clone();
        let changes =
            Changes::new(self.txn, &context, self.engine, self.row_ids, self.lock_timeout);
        Ok(filling.fill(changes).await?.unwrap_or(tag))
    }

    /// The same, but for the rows of a table that is made of a query: the caller lets them be
    /// [inserted](Filling::fill) in a transaction that the query's functions share.
    ///
    /// # Errors
    /// Likewise.
    pub async fn run_apart(&mut self, statement: &Statement) -> SqlResult<String> {
        let may_change_columns =
            matches!(statement, Statement::AlterTable(_) | Statement::Rename(_));
        let captured = if may_change_columns { self.captured_tables() } else { Vec::new() };
        let tag = self.run_statement(statement).await?;
        for before in captured {
            let now = self.context.catalog.relation(before.oid);
            if now.is_some_and(|now| now.columns != before.columns) {
                self.tell_captors(before.oid, TableChange::Columns).await?;
            }
        }
        Ok(tag)
    }

    async fn run_statement(&mut self, statement: &Statement) -> SqlResult<String> {
        let tag = match statement {
            Statement::CreateTable(create) => self.create_table(create).await?,
            Statement::CreateTableAs(create) => return self.create_table_as(create).await,
            Statement::Select(select) => match &select.body {
                SelectBody::Simple(simple) if simple.into.is_some() => {
                    return self.select_into(select).await;
                }
                _ => return Err(SqlError::internal("a query is no definition")),
            },
            Statement::CreateIndex(create) => self.create_index(create).await?,
            Statement::RefreshMatView(refresh) => self.refresh_view(refresh).await?,
            Statement::Cluster(cluster) => self.cluster(cluster).await?,
            Statement::Reindex(reindex) => self.reindex(reindex).await?,
            Statement::CreateSchema(create) => self.create_schema(create).await?,
            Statement::CreateView(create) => self.create_view(create).await?,
            Statement::CreateSequence(create) => self.create_sequence(create).await?,
            Statement::AlterSequence(alter) => self.alter_sequence(alter).await?,
            Statement::CreateDatabase(create) => self.create_database(create).await?,
            Statement::DropDatabase(drop) => self.drop_database(drop).await?,
            Statement::Engine(statement) => {
                let engine = crate::engine::named(statement.engine)
                    .ok_or_else(|| SqlError::internal(format!("no engine {}", statement.engine)))?;
                let was = std::mem::replace(&mut self.engine_acts, true);
                let done = engine.define(self, statement).await;
                self.engine_acts = was;
                done?;
                statement.tag
            }
            Statement::CreateExtension(create) => self.create_extension(create).await?,
            Statement::CreateFunction(create) => self.create_function(create).await?,
            Statement::AlterFunction(alter) => self.alter_function(alter).await?,
            Statement::AlterDatabaseSet(alter) => self.alter_database_set(alter)?,
            Statement::Drop(drop) => self.drop_objects(drop).await?,
            Statement::AlterTable(alter) if alter.object_type == ObjectType::Type => {
                self.alter_composite(alter).await?
            }
            Statement::AlterTable(alter) => self.alter_table(alter).await?,
            Statement::Rename(rename) => self.rename(rename).await?,
            Statement::AlterObjectSchema(alter) => self.set_schema(alter).await?,
            Statement::AlterOwner(alter) => self.alter_owner(alter).await?,
            Statement::Comment(comment) => self.comment(comment)?,
            Statement::CreateEnum(create) => self.create_enum(create).await?,
            Statement::AlterEnum(alter) => self.alter_enum(alter).await?,
            Statement::CreateDomain(create) => self.create_domain(create).await?,
            Statement::AlterDomain(alter) => self.alter_domain(alter).await?,
            Statement::CreateCompositeType(create) => self.create_composite(create).await?,
            Statement::CreateRole(create) => self.create_role(create).await?,
            Statement::AlterRole(alter) => self.alter_role(alter).await?,
            Statement::AlterRoleSet(alter) => self.alter_role_set(alter).await?,
            Statement::DropRole(drop) => self.drop_role(drop).await?,
            Statement::GrantRole(grant) => self.grant_role(grant)?,
            Statement::Grant(grant) => self.grant(grant).await?,
            Statement::AlterDefaultPrivileges(alter) => self.alter_default_privileges(alter)?,
            Statement::ReassignOwned(reassign) => self.reassign_owned(reassign)?,
            Statement::DropOwned(drop) => self.drop_owned(drop).await?,
            Statement::Truncate(truncate) => self.truncate(truncate).await?,
            other => return Err(SqlError::unsupported(statement_words(other))),
        };
        Ok(tag.to_owned())
    }

    /// 55006 for a table that an open cursor of the session reads, or whose constraints wait to be
    /// looked at.
    fn refuse_in_use(&self, relation: Oid, statement: &str) -> SqlResult<()> {
        let why = if self.in_use.contains(&relation) {
            "it is being used by active queries in this session"
        } else if self.context.deferred.is_about(relation) {
            "it has pending trigger events"
        } else {
            return Ok(());
        };
        let name = self.context.catalog.relation(relation).map_or("", |found| &found.name);
        Err(SqlError::new(
            SqlState::ObjectInUse,
            format!("cannot {statement} \"{name}\" because {why}"),
        ))
    }

    /// The tables of the database that somebody captures.
    fn captured_tables(&self) -> Vec<Arc<Relation>> {
        let all = self.context.catalog.relations_of(self.context.database);
        let is_captured = |relation: &&Arc<Relation>| {
            relation.as_table().is_some_and(|body| !body.captured_by.is_empty())
        };
        all.filter(is_captured).cloned().collect()
    }

    /// Tells whoever captures a table of what became of it.
    async fn tell_captors(&mut self, table: Oid, change: TableChange<'_>) -> SqlResult<()> {
        let Some(relation) = self.context.catalog.relation(table).cloned() else { return Ok(()) };
        if relation.as_table().is_none_or(|body| body.captured_by.is_empty()) {
            return Ok(());
        }
        let context = self.context.clone();
        let access = TableAccess::new(&relation, &context)?;
        let (engine, row_ids, timeout) = (self.engine, self.row_ids, self.lock_timeout);
        let mut changes = Changes::new(self.txn, &context, engine, row_ids, timeout);
        changes.tell(&access, change).await
    }

    /// Has functions run with the rights of a relation's owner, on whose behalf they do, until the host
    /// that this gives is put back: whoever asked for it lends them nothing.
    fn become_owner(&mut self, relation: &Relation) -> Arc<dyn Host> {
        let own = self.context.host.clone();
        if let Some(restricted) = own.on_behalf_of(relation.owner) {
            self.context.host = restricted;
        }
        own
    }

    /// 42809 for a table that is an engine's, unless the engine is at work.
    fn refuse_managed(&self, relation: &Relation, statement: &str) -> SqlResult<()> {
        let managed = relation.as_table().and_then(|table| table.managed.as_ref());
        match managed {
            Some(managed) if !self.engine_acts => Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot {statement} \"{}\"", relation.name),
            )
            .detail(format!("It belongs to the engine {}.", managed.engine))),
            _ => Ok(()),
        }
    }

    /// 42809 for an index without which an engine cannot work.
    fn refuse_needed_index(&self, relation: &Relation) -> SqlResult<()> {
        let Some(index) = relation.as_index().filter(|_| !self.engine_acts) else { return Ok(()) };
        let table = self.context.catalog.relation(index.table).and_then(|it| it.as_table());
        let managed = table.and_then(|table| table.managed.as_ref());
        let engine = managed.and_then(|managed| crate::engine::named(&managed.engine));
        if engine.is_some_and(|engine| engine.needs_index(index)) {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot drop index \"{}\"", relation.name),
            )
            .detail("The engine of its table needs it."));
        }
        Ok(())
    }

    /// What was granted on an object, and what is known of its columns, goes with it.
    fn delete_privileges(&mut self, key: DescriptorKey) -> SqlResult<()> {
        let (class, object) = match key {
            DescriptorKey::Relation(oid) => (PG_CLASS, oid),
            DescriptorKey::Schema(oid) => (PG_NAMESPACE, oid),
            DescriptorKey::Database(oid) => (PG_DATABASE, oid),
            DescriptorKey::Function(oid) => (PG_PROC, oid),
            DescriptorKey::Type(oid) => (PG_TYPE, oid),
            _ => return Ok(()),
        };
        let catalog = self.context.catalog.clone();
        if class == PG_CLASS {
            for known in catalog.statistics_of(object) {
                self.delete(DescriptorKey::Statistics(object, known.column))?;
            }
        }
        for stored in catalog.privileges_of(class, object) {
            self.delete(DescriptorKey::Privileges(class, object, stored.column))?;
        }
        if class == PG_NAMESPACE {
            for stored in catalog.all_default_privileges().filter(|it| it.schema == object) {
                let (role, schema, kind) = (stored.role, stored.schema, stored.kind);
                self.delete(DescriptorKey::DefaultPrivileges(role, schema, kind))?;
            }
        }
        if class == PG_DATABASE {
            for stored in catalog.all_role_settings().filter(|it| it.database == object) {
                self.delete(DescriptorKey::RoleSettings(object, stored.role))?;
            }
        }
        Ok(())
    }

    fn warning(&mut self, code: SqlState, message: impl Into<String>) {
        self.notices.push(Notice { severity: "WARNING", fields: SqlError::new(code, message) });
    }

    fn notice(&mut self, code: SqlState, message: impl Into<String>) {
        self.notices.push(Notice { severity: "NOTICE", fields: SqlError::new(code, message) });
    }

    /// Tells the client something that is no error.
    pub fn tell(&mut self, code: SqlState, message: impl Into<String>) {
        self.notice(code, message);
    }

    fn put_relation(&mut self, relation: Relation) -> SqlResult<Arc<Relation>> {
        let relation = Arc::new(relation);
        self.put(Descriptor::Relation(relation.clone()))?;
        Ok(relation)
    }
}

/// What a statement that is not there is called.
fn statement_words(statement: &Statement) -> &'static str {
    match statement {
        Statement::AlterDatabase(_) => "ALTER DATABASE",
        Statement::Define(_) => "this CREATE statement",
        Statement::AlterExtension(_) => "ALTER EXTENSION",
        Statement::CreateTrigger(_) => "CREATE TRIGGER",
        Statement::CreateRule(_) => "CREATE RULE",
        _ => "this statement",
    }
}
