//! Transactions, settings, cursors, prepared statements, `COPY`, `EXPLAIN` and maintenance.

use super::{DefElem, DropBehavior, Expr, IntoClause, RangeVar, SelectStmt, Statement, TypeName};

/// An isolation level as written. PostgreSQL runs `READ UNCOMMITTED` as `READ COMMITTED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// `READ UNCOMMITTED`
    ReadUncommitted,
    /// `READ COMMITTED`
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

impl IsolationLevel {
    /// As `SHOW transaction_isolation` prints it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// A mode of a transaction, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionMode {
    /// Which.
    pub kind: TransactionModeKind,
    /// Where it begins.
    pub location: u32,
}

/// The modes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionModeKind {
    /// `ISOLATION LEVEL …`
    Isolation(IsolationLevel),
    /// `READ ONLY` (true), `READ WRITE`
    ReadOnly(bool),
    /// `[NOT] DEFERRABLE`
    Deferrable(bool),
}

/// The statements that bound transactions.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionStmt {
    /// `BEGIN`
    Begin(Vec<TransactionMode>),
    /// `START TRANSACTION`
    Start(Vec<TransactionMode>),
    /// `COMMIT`, `END`
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `SAVEPOINT name`
    Savepoint(String),
    /// `RELEASE [SAVEPOINT] name`
    Release(String),
    /// `ROLLBACK TO [SAVEPOINT] name`
    RollbackTo(String),
    /// `PREPARE TRANSACTION 'gid'`
    Prepare(String),
    /// `COMMIT PREPARED 'gid'`
    CommitPrepared(String),
    /// `ROLLBACK PREPARED 'gid'`
    RollbackPrepared(String),
}

/// `SET CONSTRAINTS`.
#[derive(Clone, Debug, PartialEq)]
pub struct SetConstraintsStmt {
    /// The constraints; `ALL` if empty.
    pub constraints: Vec<RangeVar>,
    /// Whether `DEFERRED`.
    pub deferred: bool,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SetValue {
    /// A string, word or boolean, as text.
    String(String),
    /// A number that fits `int4`.
    Integer(i32),
    /// Any other number, as written.
    Float(String),
    /// `TIME ZONE INTERVAL '…' [fields]`: always a [`Expr::TypeCast`].
    Interval(Expr),
}

/// How a setting is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum VariableSetKind {
    /// `SET name TO value, …`
    Value {
        /// The setting, lower case as written.
        name: String,
        /// The values, at least one.
        args: Vec<SetValue>,
    },
    /// `SET name TO DEFAULT`
    Default {
        /// The setting.
        name: String,
    },
    /// `SET name FROM CURRENT`
    Current {
        /// The setting.
        name: String,
    },
    /// `SET TRANSACTION modes`
    Transaction(Vec<TransactionMode>),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION modes`
    SessionCharacteristics(Vec<TransactionMode>),
    /// `SET TRANSACTION SNAPSHOT 'id'`
    TransactionSnapshot(String),
    /// `RESET name`
    Reset {
        /// The setting.
        name: String,
    },
    /// `RESET ALL`
    ResetAll,
}

/// `SET` and `RESET`.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableSetStmt {
    /// What is changed.
    pub kind: VariableSetKind,
    /// `SET LOCAL`.
    pub is_local: bool,
}

/// `SHOW`.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableShowStmt {
    /// The setting; `all` for `SHOW ALL`.
    pub name: String,
}

/// What `DISCARD` forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardTarget {
    /// `ALL`
    All,
    /// `PLANS`
    Plans,
    /// `SEQUENCES`
    Sequences,
    /// `TEMP`, `TEMPORARY`
    Temp,
}

/// `PREPARE name [(types)] AS statement`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrepareStmt {
    /// The name.
    pub name: String,
    /// The parameters' types.
    pub arg_types: Vec<TypeName>,
    /// The statement.
    pub query: Statement,
}

/// `EXECUTE name [(arguments)]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecuteStmt {
    /// The name.
    pub name: String,
    /// The arguments.
    pub params: Vec<Expr>,
}

/// The options of `DECLARE CURSOR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CursorOptions {
    /// `BINARY`
    pub binary: bool,
    /// `SCROLL`
    pub scroll: bool,
    /// `NO SCROLL`
    pub no_scroll: bool,
    /// `INSENSITIVE`
    pub insensitive: bool,
    /// `ASENSITIVE`
    pub asensitive: bool,
    /// `WITH HOLD`
    pub hold: bool,
}

/// `DECLARE name CURSOR FOR query`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclareCursorStmt {
    /// The name.
    pub name: String,
    /// The options.
    pub options: CursorOptions,
    /// The query.
    pub query: SelectStmt,
}

/// Which way a cursor is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// `NEXT`, `FORWARD`, and plain counts
    Forward,
    /// `PRIOR`, `BACKWARD`
    Backward,
    /// `FIRST`, `LAST`, `ABSOLUTE n`
    Absolute,
    /// `RELATIVE n`
    Relative,
}

/// `FETCH` and `MOVE`.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchStmt {
    /// Which way.
    pub direction: FetchDirection,
    /// How many; [`FETCH_ALL`] for `ALL`. `LAST` is absolute -1.
    pub how_many: i64,
    /// The cursor.
    pub portal_name: String,
    /// Whether `MOVE`.
    pub is_move: bool,
}

/// The count that stands for `ALL`.
pub const FETCH_ALL: i64 = i64::MAX;

/// `NOTIFY channel [, payload]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyStmt {
    /// The channel.
    pub channel: String,
    /// The payload.
    pub payload: Option<String>,
}

/// `TRUNCATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct TruncateStmt {
    /// The tables.
    pub relations: Vec<RangeVar>,
    /// `RESTART IDENTITY`.
    pub restart_sequences: bool,
    /// `CASCADE`.
    pub behavior: DropBehavior,
}

/// The eight modes of table locks, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// `ACCESS SHARE`
    AccessShare,
    /// `ROW SHARE`
    RowShare,
    /// `ROW EXCLUSIVE`
    RowExclusive,
    /// `SHARE UPDATE EXCLUSIVE`
    ShareUpdateExclusive,
    /// `SHARE`
    Share,
    /// `SHARE ROW EXCLUSIVE`
    ShareRowExclusive,
    /// `EXCLUSIVE`
    Exclusive,
    /// `ACCESS EXCLUSIVE`, or nothing written
    AccessExclusive,
}

/// `LOCK TABLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct LockStmt {
    /// The tables.
    pub relations: Vec<RangeVar>,
    /// The mode.
    pub mode: LockMode,
    /// `NOWAIT`.
    pub nowait: bool,
}

/// A table of `VACUUM` or `ANALYZE`.
#[derive(Clone, Debug, PartialEq)]
pub struct VacuumRelation {
    /// The table.
    pub relation: RangeVar,
    /// The columns; all if empty.
    pub columns: Vec<String>,
}

/// `VACUUM` and `ANALYZE`.
#[derive(Clone, Debug, PartialEq)]
pub struct VacuumStmt {
    /// Whether `VACUUM`.
    pub is_vacuum: bool,
    /// The options; words before the table are options without value, lower case.
    pub options: Vec<DefElem>,
    /// The tables; all if empty.
    pub relations: Vec<VacuumRelation>,
}

/// `CLUSTER`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStmt {
    /// The table; all that were clustered if `None`.
    pub relation: Option<RangeVar>,
    /// `USING index`.
    pub index_name: Option<String>,
    /// The options.
    pub params: Vec<DefElem>,
}

/// `EXPLAIN`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainStmt {
    /// The statement.
    pub query: Statement,
    /// The options; `ANALYZE` and `VERBOSE` before the statement are options without value.
    pub options: Vec<DefElem>,
}

/// What `COPY` copies.
#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// A table.
    Relation {
        /// The table.
        relation: RangeVar,
        /// The columns; all if empty.
        columns: Vec<String>,
    },
    /// `(query)`: any statement that returns rows.
    Query(Box<Statement>),
    /// `(SUBSCRIBE …)`: what comes, for ever.
    Tail(Box<super::TailStmt>),
}

/// Where `COPY` reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyTarget {
    /// `STDIN` or `STDOUT`: the connection.
    Stdio,
    /// A file of the server.
    File(String),
    /// A program on the server.
    Program(String),
}

/// `COPY`.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyStmt {
    /// What.
    pub source: CopySource,
    /// Whether `FROM`.
    pub is_from: bool,
    /// Where.
    pub target: CopyTarget,
    /// The options of either syntax, under their newer names: `format`, `freeze`, `delimiter`,
    /// `null`, `header`, `quote`, `escape`, `force_quote`, `force_not_null`, `force_null`, `encoding`.
    pub options: Vec<DefElem>,
    /// `WHERE`.
    pub where_clause: Option<Expr>,
}

impl SelectStmt {
    /// Takes `INTO` out of the leftmost `SELECT`, as PostgreSQL does before analysis.
    pub fn take_into(&mut self) -> Option<IntoClause> {
        let mut select = self;
        loop {
            match &mut select.body {
                super::SelectBody::Simple(simple) => return simple.into.take(),
                super::SelectBody::Values(_) => return None,
                super::SelectBody::SetOperation(operation) => select = &mut operation.left,
            }
        }
    }
}
