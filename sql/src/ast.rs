//! The raw parse tree: what a statement says, before any name in it is looked up.
//!
//! The shapes follow PostgreSQL's `parsenodes.h`, so that whoever knows `transformExpr` finds the
//! same nodes here: a [`SelectStmt`] of clauses, an [`AExpr`] for every operator, a [`FuncCall`] for
//! `EXTRACT` and `AT TIME ZONE` too. Identifiers are folded and cut to 63 bytes already. A
//! `location` is a byte offset into the text that was parsed. Nothing here knows the catalog.

mod ddl;
mod engine;
mod expr;
mod figure;
mod location;
mod object;
mod options;
mod query;
mod routine;
mod schema;
mod utility;

pub use ddl::*;
pub use engine::*;
pub use expr::*;
pub use figure::{figure_column_name, figure_index_column_name};
pub use object::*;
pub use options::*;
pub use query::*;
pub use routine::*;
pub use schema::*;
pub use utility::*;

/// One statement of a query string, and where in it the statement lies.
#[derive(Clone, Debug, PartialEq)]
pub struct RawStatement {
    /// What it says.
    pub statement: Statement,
    /// Where its first token begins, in bytes from the start of the query string.
    pub location: u32,
    /// How many bytes it spans, without its semicolon.
    pub length: u32,
}

/// Any statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `SELECT`, `VALUES`, `TABLE`, and their set operations.
    Select(Box<SelectStmt>),
    /// `INSERT`.
    Insert(Box<InsertStmt>),
    /// `UPDATE`.
    Update(Box<UpdateStmt>),
    /// `DELETE`.
    Delete(Box<DeleteStmt>),
    /// `MERGE`.
    Merge(Box<MergeStmt>),
    /// `CREATE DATABASE`.
    CreateDatabase(CreateDatabaseStmt),
    /// `ALTER DATABASE name WITH …`.
    AlterDatabase(AlterDatabaseStmt),
    /// `ALTER DATABASE name SET …`.
    AlterDatabaseSet(AlterDatabaseSetStmt),
    /// `DROP DATABASE`.
    DropDatabase(DropDatabaseStmt),
    /// `CREATE SCHEMA`.
    CreateSchema(Box<CreateSchemaStmt>),
    /// `CREATE TABLE`.
    CreateTable(Box<CreateTableStmt>),
    /// `CREATE TABLE AS`, `CREATE MATERIALIZED VIEW`; `SELECT INTO` is a [`Statement::Select`].
    CreateTableAs(Box<CreateTableAsStmt>),
    /// `ALTER TABLE`, and `ALTER INDEX|VIEW|…` with table subcommands.
    AlterTable(Box<AlterTableStmt>),
    /// `CREATE VIEW`.
    CreateView(Box<CreateViewStmt>),
    /// `REFRESH MATERIALIZED VIEW`.
    RefreshMatView(RefreshMatViewStmt),
    /// `CREATE SEQUENCE`.
    CreateSequence(CreateSequenceStmt),
    /// `ALTER SEQUENCE` with sequence options.
    AlterSequence(AlterSequenceStmt),
    /// `CREATE INDEX`.
    CreateIndex(Box<IndexStmt>),
    /// `REINDEX`.
    Reindex(ReindexStmt),
    /// `CREATE TYPE … AS ENUM`.
    CreateEnum(CreateEnumStmt),
    /// `ALTER TYPE … ADD VALUE` or `RENAME VALUE`.
    AlterEnum(AlterEnumStmt),
    /// `CREATE TYPE … AS (…)`.
    CreateCompositeType(CompositeTypeStmt),
    /// `CREATE DOMAIN`.
    CreateDomain(Box<CreateDomainStmt>),
    /// `ALTER DOMAIN`.
    AlterDomain(Box<AlterDomainStmt>),
    /// `CREATE AGGREGATE|OPERATOR|TYPE|TEXT SEARCH …|COLLATION` by a list of definitions.
    Define(Box<DefineStmt>),
    /// `CREATE ROLE|USER|GROUP`.
    CreateRole(CreateRoleStmt),
    /// `ALTER ROLE|USER|GROUP` with options.
    AlterRole(AlterRoleStmt),
    /// `ALTER ROLE … [IN DATABASE …] SET …`.
    AlterRoleSet(AlterRoleSetStmt),
    /// `DROP ROLE|USER|GROUP`.
    DropRole(DropRoleStmt),
    /// `GRANT role TO role` and `REVOKE role FROM role`.
    GrantRole(GrantRoleStmt),
    /// `GRANT` and `REVOKE` of privileges.
    Grant(GrantStmt),
    /// `ALTER DEFAULT PRIVILEGES`.
    AlterDefaultPrivileges(AlterDefaultPrivilegesStmt),
    /// `REASSIGN OWNED`.
    ReassignOwned(ReassignOwnedStmt),
    /// `DROP OWNED`.
    DropOwned(DropOwnedStmt),
    /// `CREATE`, `ALTER`, `DROP` of what an engine has.
    Engine(Box<EngineStmt>),
    /// `CREATE EXTENSION`.
    CreateExtension(CreateExtensionStmt),
    /// `ALTER EXTENSION … UPDATE`.
    AlterExtension(AlterExtensionStmt),
    /// `CREATE FUNCTION|PROCEDURE`.
    CreateFunction(Box<CreateFunctionStmt>),
    /// `ALTER FUNCTION|PROCEDURE|ROUTINE` with options.
    AlterFunction(Box<AlterFunctionStmt>),
    /// `CREATE TRIGGER`.
    CreateTrigger(Box<CreateTriggerStmt>),
    /// `CREATE RULE`.
    CreateRule(Box<CreateRuleStmt>),
    /// `DO`.
    Do(DoStmt),
    /// `CALL`.
    Call(CallStmt),
    /// `DROP` of anything without a statement of its own.
    Drop(DropStmt),
    /// `ALTER … RENAME`.
    Rename(RenameStmt),
    /// `ALTER … SET SCHEMA`.
    AlterObjectSchema(AlterObjectSchemaStmt),
    /// `ALTER … OWNER TO` of all but relations, which use [`Statement::AlterTable`].
    AlterOwner(AlterOwnerStmt),
    /// `COMMENT ON`.
    Comment(CommentStmt),
    /// `TRUNCATE`.
    Truncate(TruncateStmt),
    /// `LOCK TABLE`.
    Lock(LockStmt),
    /// `VACUUM` and `ANALYZE`.
    Vacuum(VacuumStmt),
    /// `CLUSTER`.
    Cluster(ClusterStmt),
    /// `CHECKPOINT`.
    Checkpoint,
    /// `EXPLAIN`.
    Explain(Box<ExplainStmt>),
    /// `COPY`.
    Copy(Box<CopyStmt>),
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` and their like.
    Transaction(TransactionStmt),
    /// `SET CONSTRAINTS`.
    SetConstraints(SetConstraintsStmt),
    /// `SET` and `RESET`.
    VariableSet(VariableSetStmt),
    /// `SHOW`.
    VariableShow(VariableShowStmt),
    /// `ALTER SYSTEM SET|RESET`.
    AlterSystem(VariableSetStmt),
    /// `DISCARD`.
    Discard(DiscardTarget),
    /// `PREPARE`.
    Prepare(Box<PrepareStmt>),
    /// `EXECUTE`.
    Execute(ExecuteStmt),
    /// `DEALLOCATE`; `None` is `ALL`.
    Deallocate(Option<String>),
    /// `DECLARE … CURSOR`.
    DeclareCursor(Box<DeclareCursorStmt>),
    /// `FETCH` and `MOVE`.
    Fetch(FetchStmt),
    /// `CLOSE`; `None` is `ALL`.
    ClosePortal(Option<String>),
    /// `LISTEN channel`.
    Listen(String),
    /// `UNLISTEN`; `None` is `*`.
    Unlisten(Option<String>),
    /// `NOTIFY`.
    Notify(NotifyStmt),
    /// A statement that PostgreSQL has and this parser does not take apart.
    Unsupported(UnsupportedStmt),
}

/// A statement recognised by its first words only: to be answered with `0A000`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsupportedStmt {
    /// Its command tag, such as `CREATE FOREIGN TABLE`.
    pub feature: String,
}
