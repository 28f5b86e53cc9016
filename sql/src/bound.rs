//! The bound tree: what a statement means, every name looked up and every expression typed.
//!
//! ```text
//! text ── parser ──► ast ── analyze ──► bound ──┬──► planner (DataFusion)
//!                                               ├──► point path, DML
//!                                               └──► evaluator (CHECK, defaults, re-checks)
//! ```
//!
//! The shapes follow PostgreSQL's `Query`: a range table, a join tree over it, and expressions
//! whose variables name an entry of the range table and a column of it. Operators, casts and
//! functions are all calls of a `pg_proc` function. Types are final: whoever runs a bound tree
//! converts nothing. `JOIN … USING` columns are resolved to the columns they stand for, views are
//! subqueries, and `SELECT *` is expanded.

mod change;
mod children;
pub mod collation;
mod locking;
pub mod written;

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_storage::RowLockMode;
use aegis_types::builtin::{FunctionRow, Volatility, builtins};
use aegis_types::{Collation, Datum, Oid, TypeRef};

pub use change::{ConflictUpdate, Delete, Insert, OnConflict, Update, ViewCheck};

/// A statement ready to be planned or run.
#[derive(Clone, Debug)]
pub enum BoundStatement {
    /// `SELECT`, `VALUES`, `TABLE`.
    Query(Arc<Query>),
    /// `INSERT`.
    Insert(Arc<Insert>),
    /// `UPDATE`.
    Update(Arc<Update>),
    /// `DELETE`.
    Delete(Arc<Delete>),
    /// Everything else, still as parsed; it is analyzed where it runs.
    Utility(Arc<crate::ast::Statement>),
}

/// A query: `SELECT`, `VALUES`, or the source of a change of data.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// `WITH`: visible to this query and, by `levels_up`, to those inside it.
    pub ctes: Vec<Cte>,
    /// Everything that `FROM` names, in the order of appearance.
    pub range_table: Vec<RangeTableEntry>,
    /// `FROM`: joined crosswise. Empty for one row without columns.
    pub from: Vec<JoinTree>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// The output columns, hidden ones (needed only to sort or group) after the others.
    pub targets: Vec<Target>,
    /// `GROUP BY` without grouping sets is one set. Empty without `GROUP BY`.
    pub grouping_sets: Vec<Vec<Expr>>,
    /// Whether there is `GROUP BY`, `HAVING` or an aggregate: one output row a group.
    pub grouped: bool,
    /// `HAVING`
    pub having: Option<Expr>,
    /// `WINDOW` and the `OVER (…)`s, by index.
    pub windows: Vec<Window>,
    /// `DISTINCT`
    pub distinct: Distinct,
    /// `UNION`, `INTERSECT`, `EXCEPT`: then `from` and `filter` are empty, the leaves are subqueries
    /// of the range table, and a target is a [`Expr::Column`] of the operation's output: entry
    /// [`SET_OPERATION`], column from 1.
    pub set_operation: Option<SetOperation>,
    /// `ORDER BY`
    pub order_by: Vec<SortKey>,
    /// `LIMIT`, of type int8; NULL is no limit.
    pub limit: Option<Expr>,
    /// `FETCH FIRST … WITH TIES`
    pub with_ties: bool,
    /// `OFFSET`, of type int8
    pub offset: Option<Expr>,
    /// `FOR UPDATE` and its kin.
    pub row_marks: Vec<RowMark>,
    /// Whether a target holds a set-returning function: as many rows as it returns, others
    /// repeated, shorter ones padded with NULL, in lockstep.
    pub has_set_functions: bool,
    /// How it was written, for printing.
    pub written: Arc<written::Written>,
    /// The primary keys, as constraints, that allow columns which are not grouped by.
    pub keys: Vec<Oid>,
    /// The view whose query this is: what it reads is read as the view's owner.
    pub view: Option<Oid>,
}

/// The range table entry that the output of a set operation is named by.
pub const SET_OPERATION: usize = usize::MAX;

/// The range table entry by which a subquery in `RETURNING` names the targets of the source, columns
/// from 1.
pub const SOURCE_TARGETS: usize = usize::MAX - 1;

/// An output column.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its value.
    pub expr: Expr,
    /// Its name.
    pub name: String,
    /// Not sent: there for `ORDER BY`, `GROUP BY`, `DISTINCT ON` or for the statement around.
    pub hidden: bool,
    /// The relation and column that it shows unchanged, for RowDescription.
    pub origin: Option<(Oid, i16)>,
}

/// `DISTINCT`.
#[derive(Clone, Debug, Default)]
pub enum Distinct {
    /// Without.
    #[default]
    No,
    /// Over all visible targets.
    All,
    /// `DISTINCT ON`: the first row, in the order of `ORDER BY`, of each group of equal values of
    /// these targets.
    On(Vec<usize>),
}

/// One key of `ORDER BY`.
#[derive(Clone, Copy, Debug)]
pub struct SortKey {
    /// The target sorted by.
    pub target: usize,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`; the default of `DESC`
    pub nulls_first: bool,
}

/// A common table expression.
#[derive(Clone, Debug)]
pub struct Cte {
    /// Its name.
    pub name: String,
    /// Its query; of a data-modifying one, the columns that it returns.
    pub query: Arc<Query>,
    /// Whether it names itself. Then `query` is a `UNION [ALL]` whose right side reads
    /// [`RteKind::Cte`] with `levels_up` to here.
    pub recursive: bool,
    /// `MATERIALIZED` (true), `NOT MATERIALIZED` (false).
    pub materialized: Option<bool>,
    /// INSERT, UPDATE or DELETE: run once, whether it is read or not.
    pub change: Option<Arc<BoundStatement>>,
}

/// An entry of the range table.
#[derive(Clone, Debug)]
pub struct RangeTableEntry {
    /// What it is called in the query.
    pub alias: String,
    /// What it reads.
    pub kind: RteKind,
    /// Its columns; a relation's column with number `n` is at `n - 1`, dropped ones included.
    pub columns: Vec<RteColumn>,
    /// Whether it may refer to entries before it of the same level.
    pub lateral: bool,
}

/// A column of a range table entry.
#[derive(Clone, Debug)]
pub struct RteColumn {
    /// Its name here.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
    /// Dropped from the relation: cannot be named.
    pub dropped: bool,
}

/// What an entry of the range table reads.
#[derive(Clone, Debug)]
pub enum RteKind {
    /// A table.
    Relation(Arc<Relation>),
    /// A relation of `pg_catalog` or `information_schema` that is computed: `schema.name`.
    System(Arc<str>),
    /// A subquery or a view.
    Subquery(Arc<Query>),
    /// Set-returning or scalar functions side by side (`ROWS FROM`), shorter ones padded with NULL.
    Functions {
        /// The calls, with the number of columns that each gives.
        calls: Vec<(Expr, usize)>,
        /// A last column counts the rows from 1 (int8).
        with_ordinality: bool,
    },
    /// `VALUES`: every row has an expression a column, of the column's type.
    Values(Vec<Vec<Expr>>),
    /// A common table expression: number `index` of the query `levels_up` around this one.
    Cte {
        /// Which of that query's.
        index: usize,
        /// How many queries outward; 0 is this one.
        levels_up: usize,
    },
    /// The row being changed, as `RETURNING` and `ON CONFLICT` see it; `excluded` likewise.
    Row(Arc<Relation>),
    /// One row that is known already, or none, in the place of what was read: what a re-check runs
    /// over.
    Known(Option<Arc<KnownRow>>),
    /// Rows that a statement of `WITH` has returned, a datum for every column of the entry.
    Returned(Arc<crate::dml::KeptRows>),
}

/// A row that is known without reading.
#[derive(Clone, Debug)]
pub struct KnownRow {
    /// A datum for every column of the entry, dropped ones included.
    pub columns: Vec<Datum>,
    /// What its system columns show, if it is a table's.
    pub stored: Option<StoredRow>,
}

/// What identifies a stored row.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// [`ROW_KEY`]
    pub key: Arc<[u8]>,
    /// [`TABLE_OID`]
    pub relation: Oid,
    /// The commit that [`XMIN`] shows.
    pub commit: u64,
}

/// `FROM`.
#[derive(Clone, Debug)]
pub enum JoinTree {
    /// An entry of the range table.
    Entry(usize),
    /// A join.
    Join {
        /// Which.
        kind: JoinKind,
        /// The left side.
        left: Box<JoinTree>,
        /// The right side.
        right: Box<JoinTree>,
        /// The condition; none for a cross join.
        on: Option<Expr>,
    },
}

/// The kinds of join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// `INNER`, `CROSS`
    Inner,
    /// `LEFT`
    Left,
    /// `RIGHT`
    Right,
    /// `FULL`
    Full,
}

/// A tree of set operations over subqueries.
#[derive(Clone, Debug)]
pub enum SetOperation {
    /// A subquery: an entry of the range table, whose visible columns are of the output's types.
    Leaf(usize),
    /// An operation.
    Node {
        /// Which.
        op: SetOperator,
        /// `ALL`: duplicates stay.
        all: bool,
        /// The left side.
        left: Box<SetOperation>,
        /// The right side.
        right: Box<SetOperation>,
    },
}

/// The set operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// `UNION`
    Union,
    /// `INTERSECT`
    Intersect,
    /// `EXCEPT`
    Except,
}

/// A window.
#[derive(Clone, Debug)]
pub struct Window {
    /// `PARTITION BY`
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`: value, descending, nulls first
    pub order_by: Vec<OrderExpr>,
    /// The frame.
    pub frame: Frame,
}

/// An expression to sort by.
#[derive(Clone, Debug)]
pub struct OrderExpr {
    /// The value.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`
    pub nulls_first: bool,
}

/// A window frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `ROWS`, `RANGE`, `GROUPS`
    pub unit: FrameUnit,
    /// Where it starts.
    pub start: FrameBound,
    /// Where it ends.
    pub end: FrameBound,
    /// `EXCLUDE`
    pub exclude: FrameExclusion,
}

/// What a frame counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnit {
    /// `ROWS`
    Rows,
    /// `RANGE`
    Range,
    /// `GROUPS`
    Groups,
}

/// One end of a frame.
#[derive(Clone, Debug)]
pub enum FrameBound {
    /// `UNBOUNDED PRECEDING`
    UnboundedPreceding,
    /// `n PRECEDING`
    Preceding(Box<Expr>),
    /// `CURRENT ROW`
    CurrentRow,
    /// `n FOLLOWING`
    Following(Box<Expr>),
    /// `UNBOUNDED FOLLOWING`
    UnboundedFollowing,
}

/// What a frame leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameExclusion {
    /// Nothing.
    NoOthers,
    /// `CURRENT ROW`
    CurrentRow,
    /// `GROUP`
    Group,
    /// `TIES`
    Ties,
}

/// `FOR UPDATE` and its kin, over one table.
#[derive(Clone, Debug)]
pub struct RowMark {
    /// Where the table is: an entry of the range table; of a subquery's, after the subquery's own.
    pub path: Vec<usize>,
    /// How strongly.
    pub mode: RowLockMode,
    /// What to do with rows that are locked.
    pub wait: MarkWait,
}

/// What `FOR UPDATE` does with a row that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkWait {
    /// Wait.
    Block,
    /// `NOWAIT`
    NoWait,
    /// `SKIP LOCKED`
    SkipLocked,
}

/// A scalar expression, typed.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A value.
    Const {
        /// The value.
        value: Datum,
        /// Its type.
        ty: TypeRef,
    },
    /// `$n`
    Param {
        /// From 1.
        number: usize,
        /// Its type.
        ty: TypeRef,
    },
    /// A column of the range table.
    Column {
        /// The entry of the range table of the query `levels_up` around this one.
        entry: usize,
        /// From 1; 0 is the whole row; negative numbers are the system columns below.
        column: i16,
        /// How many queries outward; 0 is this one.
        levels_up: usize,
        /// Its type.
        ty: TypeRef,
    },
    /// A value at a place of the row that is evaluated over: what a [`Expr::Column`] becomes once
    /// whoever runs the expression has laid its inputs out.
    Slot {
        /// From 0.
        index: usize,
        /// Its type.
        ty: TypeRef,
    },
    /// A call of a function: operators and casts too.
    Call(Box<Call>),
    /// A cast through the text form.
    ConvertViaText {
        /// What is cast.
        arg: Box<Expr>,
        /// To which type.
        ty: TypeRef,
        /// Whether the cast was written, and how: for printing.
        form: CallForm,
    },
    /// The same value under another type.
    Relabel {
        /// What is relabelled.
        arg: Box<Expr>,
        /// The type.
        ty: TypeRef,
        /// Whether the cast was written, and how: for printing.
        form: CallForm,
    },
    /// `x COLLATE c`
    Collate {
        /// What is collated.
        arg: Box<Expr>,
        /// The collation.
        collation: Collation,
        /// Whether it was written; otherwise it is what a column was declared with.
        explicit: bool,
    },
    /// Each element of an array cast.
    ConvertArray {
        /// The array.
        arg: Box<Expr>,
        /// The conversion of one element, which is [`Expr::Slot`] 0.
        element: Box<Expr>,
        /// The type of the result.
        ty: TypeRef,
        /// Whether the cast was written, and how: for printing.
        form: CallForm,
    },
    /// `AND`: false if any is false, whatever the others raise after it.
    And(Vec<Expr>),
    /// `OR`
    Or(Vec<Expr>),
    /// `NOT`
    Not(Box<Expr>),
    /// `IS [NOT] NULL`; of a row: of all its fields.
    IsNull {
        /// What is tested.
        arg: Box<Expr>,
        /// `IS NOT NULL`
        negated: bool,
    },
    /// `IS [NOT] TRUE`, `FALSE`, `UNKNOWN`
    BooleanTest {
        /// What is tested.
        arg: Box<Expr>,
        /// Against what.
        test: crate::ast::BoolTestType,
    },
    /// `IS [NOT] DISTINCT FROM`
    Distinct {
        /// The `=` of the two types.
        equal: Box<Call>,
        /// `IS NOT DISTINCT FROM`
        negated: bool,
    },
    /// `NULLIF`
    NullIf {
        /// The `=` of the two types; the result is its first argument.
        equal: Box<Call>,
        /// The type of the result.
        ty: TypeRef,
    },
    /// `CASE`, searched; `CASE x WHEN y` is bound as a search for `x = y`, where `x` is
    /// [`Expr::CaseArgument`] of the operand.
    Case {
        /// What every condition is compared with.
        operand: Option<Box<Expr>>,
        /// Condition and result of each branch.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`
        default: Option<Box<Expr>>,
        /// The type of the results.
        ty: TypeRef,
    },
    /// The operand of the innermost `CASE` around.
    CaseArgument {
        /// Its type.
        ty: TypeRef,
    },
    /// `COALESCE`
    Coalesce {
        /// The arguments.
        args: Vec<Expr>,
        /// Their type.
        ty: TypeRef,
    },
    /// `GREATEST`, `LEAST`
    MinMax {
        /// The arguments.
        args: Vec<Expr>,
        /// Whether `LEAST`.
        least: bool,
        /// Their type.
        ty: TypeRef,
    },
    /// `x op ANY (array)`, `x op ALL (array)`, and `x IN (…)` over constants
    ArrayComparison {
        /// The operator, its first argument `x`, its second [`Expr::Slot`] 0 standing for an element.
        operator: Box<Call>,
        /// The array.
        array: Box<Expr>,
        /// `ALL`
        all: bool,
    },
    /// `ARRAY[…]`
    Array {
        /// The elements; arrays of the same type where `nested`.
        elements: Vec<Expr>,
        /// Whether the elements are arrays that give one more dimension.
        nested: bool,
        /// The array's type.
        ty: TypeRef,
    },
    /// `x[1]`, `x[1:2]`; also of jsonb
    Subscript {
        /// The value.
        arg: Box<Expr>,
        /// The subscripts.
        subscripts: Vec<Subscript>,
        /// The type of the result.
        ty: TypeRef,
    },
    /// `x` with an element, or a slice, in another value's place; also of jsonb
    SubscriptAssign {
        /// The value before; NULL is an empty one.
        arg: Box<Expr>,
        /// The subscripts.
        subscripts: Vec<Subscript>,
        /// What goes there: an element, or an array for a slice.
        value: Box<Expr>,
        /// The type of the whole.
        ty: TypeRef,
    },
    /// `ROW(…)`
    Row {
        /// The fields.
        fields: Vec<Expr>,
        /// Their names.
        names: Vec<String>,
        /// `record`, or the composite type.
        ty: TypeRef,
    },
    /// A comparison of rows, `(a, b) < (c, d)`: by the first fields that differ.
    RowCompare {
        /// Which.
        op: RowCompareOp,
        /// For each field its three operators: `=` and `<` of the fields' types, over left and right.
        fields: Vec<RowCompareField>,
    },
    /// `(x).field`
    Field {
        /// The row.
        arg: Box<Expr>,
        /// Which field, from 0.
        index: usize,
        /// Its type.
        ty: TypeRef,
    },
    /// `CURRENT_DATE` and its like.
    SqlValue {
        /// Which.
        op: crate::ast::SqlValueOp,
        /// The type of the result.
        ty: TypeRef,
    },
    /// A subquery.
    Subquery(Box<Subquery>),
    /// An aggregate, in a grouped query.
    Aggregate(Box<Aggregate>),
    /// A window function, or an aggregate over a window.
    WindowCall(Box<WindowCall>),
    /// `GROUPING(…)`: a bit an argument, set where it is not grouped by.
    Grouping(Vec<Expr>),
    /// `nextval('sequence')` of an identity column.
    NextValue {
        /// The sequence.
        sequence: Oid,
        /// `int2`, `int4` or `int8`.
        ty: TypeRef,
    },
}

/// The system column that identifies a row: its row key, as bytea. Not to be named by clients.
pub const ROW_KEY: i16 = -100;
/// `tableoid`
pub const TABLE_OID: i16 = -6;
/// `xmin`: the commit that wrote the row.
pub const XMIN: i16 = -2;

/// A call of a `pg_proc` function.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub function: Oid,
    /// The arguments, defaults filled in and named ones in place; with `variadic`, the surplus
    /// ones gathered into one array.
    pub args: Vec<Expr>,
    /// The type of the result.
    pub ty: TypeRef,
    /// How it was written: for printing.
    pub form: CallForm,
    /// Whether it returns a set.
    pub returns_set: bool,
    /// The function, if users made it.
    pub user: Option<Arc<FunctionRow>>,
    /// Where it was written, for error positions.
    pub location: Option<u32>,
}

impl Call {
    /// The row of `pg_proc`.
    #[must_use]
    pub fn row(&self) -> Option<&FunctionRow> {
        match &self.user {
            Some(row) => Some(row),
            None => builtins().function(self.function),
        }
    }

    /// Whether it may give another value each time.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        self.row().is_none_or(|row| row.volatility == Volatility::Volatile)
    }
}

/// How a call was written, and so how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallForm {
    /// `f(x)`
    Function,
    /// `f(x)` with defaults filled in behind so many arguments
    Defaulted(u8),
    /// `f(x, VARIADIC array)` of a function that takes any number of values: the elements are its
    /// last arguments.
    Variadic,
    /// `x::t`
    ExplicitCast,
    /// Not written: put in by the analyzer.
    ImplicitCast,
    /// `a + b`: the operator's OID
    Operator(Oid),
    /// `EXTRACT(…)`, `AT TIME ZONE` and other syntax of SQL's own
    SqlSyntax,
}

/// One subscript.
#[derive(Clone, Debug)]
pub enum Subscript {
    /// `[i]`
    Index(Expr),
    /// `[a:b]`
    Slice(Option<Expr>, Option<Expr>),
}

/// How rows are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowCompareOp {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// One field of a comparison of rows.
#[derive(Clone, Debug)]
pub struct RowCompareField {
    /// left
    pub left: Expr,
    /// right, of the same type
    pub right: Expr,
}

/// A subquery in an expression.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// How it is used.
    pub kind: SubqueryKind,
    /// The query. Columns with `levels_up` 1 are of the query around.
    pub query: Arc<Query>,
    /// The type of the result.
    pub ty: TypeRef,
}

/// How a subquery is used.
#[derive(Clone, Debug)]
pub enum SubqueryKind {
    /// `EXISTS`
    Exists,
    /// The one value of the one row, or NULL; 21000 for more rows.
    Scalar,
    /// `ARRAY(…)`
    Array,
    /// `x op ANY (…)`, `x IN (…)`: the condition over [`Expr::Slot`]s, which are the subquery's
    /// visible columns.
    Any(Box<Expr>),
    /// `x op ALL (…)`
    All(Box<Expr>),
    /// `(a, b) = (SELECT …)`: the condition over the slots, of the one row; NULL without a row.
    RowCompare(Box<Expr>),
}

/// A call of an aggregate.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which.
    pub function: Oid,
    /// The arguments; none for `count(*)`.
    pub args: Vec<Expr>,
    /// `DISTINCT`
    pub distinct: bool,
    /// `ORDER BY` among the arguments, or of `WITHIN GROUP`.
    pub order_by: Vec<OrderExpr>,
    /// `WITHIN GROUP`: the arguments are the direct ones.
    pub within_group: bool,
    /// `FILTER`
    pub filter: Option<Expr>,
    /// The query that it belongs to, counted outward from where it stands.
    pub levels_up: usize,
    /// The type of the result.
    pub ty: TypeRef,
}

/// A call over a window.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// A window function or an aggregate.
    pub function: Oid,
    /// The arguments.
    pub args: Vec<Expr>,
    /// `FILTER`
    pub filter: Option<Expr>,
    /// Which of [`Query::windows`].
    pub window: usize,
    /// The type of the result.
    pub ty: TypeRef,
}

impl BoundStatement {
    /// Whether it gives rows.
    #[must_use]
    pub fn returns_rows(&self) -> bool {
        match self {
            Self::Query(_) => true,
            Self::Insert(insert) => !insert.returning.is_empty(),
            Self::Update(update) => !update.returning.is_empty(),
            Self::Delete(delete) => !delete.returning.is_empty(),
            Self::Utility(_) => false,
        }
    }

    /// The query that it is, or that gives the rows to change.
    #[must_use]
    pub fn source(&self) -> Option<&Arc<Query>> {
        match self {
            Self::Query(query) => Some(query),
            Self::Insert(insert) => Some(&insert.source),
            Self::Update(update) => Some(&update.source),
            Self::Delete(delete) => Some(&delete.source),
            Self::Utility(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn source_mut(&mut self) -> Option<&mut Query> {
        match self {
            Self::Query(query) => Some(Arc::make_mut(query)),
            Self::Insert(insert) => Some(Arc::make_mut(&mut Arc::make_mut(insert).source)),
            Self::Update(update) => Some(Arc::make_mut(&mut Arc::make_mut(update).source)),
            Self::Delete(delete) => Some(Arc::make_mut(&mut Arc::make_mut(delete).source)),
            Self::Utility(_) => None,
        }
    }

    /// Whether a statement in its `WITH` changes data.
    #[must_use]
    pub fn has_changes_in_with(&self) -> bool {
        self.source().is_some_and(|source| source.has_changes_in_with())
    }
}

impl Expr {
    /// The type of the value.
    #[must_use]
    pub fn ty(&self) -> TypeRef {
        use aegis_types::type_oid::{BOOL, INT4};
        match self {
            Self::Const { ty, .. }
            | Self::Param { ty, .. }
            | Self::Column { ty, .. }
            | Self::Slot { ty, .. }
            | Self::ConvertViaText { ty, .. }
            | Self::Relabel { ty, .. }
            | Self::ConvertArray { ty, .. }
            | Self::NullIf { ty, .. }
            | Self::Case { ty, .. }
            | Self::CaseArgument { ty }
            | Self::Coalesce { ty, .. }
            | Self::MinMax { ty, .. }
            | Self::Array { ty, .. }
            | Self::Subscript { ty, .. }
            | Self::SubscriptAssign { ty, .. }
            | Self::Row { ty, .. }
            | Self::Field { ty, .. }
            | Self::SqlValue { ty, .. }
            | Self::NextValue { ty, .. } => *ty,
            Self::Call(call) => call.ty,
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::IsNull { .. }
            | Self::BooleanTest { .. }
            | Self::Distinct { .. }
            | Self::ArrayComparison { .. }
            | Self::RowCompare { .. } => TypeRef::plain(BOOL),
            Self::Collate { arg, .. } => arg.ty(),
            Self::Subquery(subquery) => subquery.ty,
            Self::Aggregate(aggregate) => aggregate.ty,
            Self::WindowCall(call) => call.ty,
            Self::Grouping(_) => TypeRef::plain(INT4),
        }
    }
}

impl Query {
    /// Whether a statement in its `WITH` changes data.
    #[must_use]
    pub fn has_changes_in_with(&self) -> bool {
        self.ctes.iter().any(|cte| cte.change.is_some())
    }

    /// The columns that the query gives, in order.
    pub fn visible_targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| !target.hidden)
    }
}
