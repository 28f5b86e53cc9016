//! Queries and the statements that change data.

use super::{Expr, RangeVar};

/// A `SELECT`, a `VALUES`, or a set operation over such, with the clauses that follow it.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectStmt {
    /// `WITH`.
    pub with: Option<WithClause>,
    /// What produces the rows.
    pub body: SelectBody,
    /// `ORDER BY`.
    pub sort: Vec<SortBy>,
    /// `OFFSET`.
    pub limit_offset: Option<Expr>,
    /// `LIMIT` or `FETCH FIRST`; `LIMIT ALL` is a null constant, as in PostgreSQL.
    pub limit_count: Option<Expr>,
    /// Whether rows equal to the last one are kept: `FETCH FIRST … WITH TIES`.
    pub limit_with_ties: bool,
    /// `FOR UPDATE` and its like, in the order written.
    pub locking: Vec<LockingClause>,
    /// Where the first word of the body is.
    pub location: u32,
}

/// What produces the rows of a [`SelectStmt`].
#[derive(Clone, Debug, PartialEq)]
pub enum SelectBody {
    /// `SELECT …`, and `TABLE t` as `SELECT * FROM t`.
    Simple(Box<SimpleSelect>),
    /// `VALUES (…), (…)`; rows of equal length are not yet assured.
    Values(Vec<Vec<Expr>>),
    /// `UNION`, `INTERSECT`, `EXCEPT`.
    SetOperation(Box<SetOperation>),
}

/// One set operation.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOperation {
    /// Which.
    pub op: SetOp,
    /// Whether duplicates are kept.
    pub all: bool,
    /// The left input.
    pub left: SelectStmt,
    /// The right input.
    pub right: SelectStmt,
}

/// The set operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOp {
    /// `UNION`
    Union,
    /// `INTERSECT`
    Intersect,
    /// `EXCEPT`
    Except,
}

/// `DISTINCT` in its two forms.
#[derive(Clone, Debug, PartialEq)]
pub enum DistinctClause {
    /// `DISTINCT`
    All,
    /// `DISTINCT ON (…)`
    On(Vec<Expr>),
}

/// A plain `SELECT` without what may follow a set operation too.
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleSelect {
    /// `DISTINCT`.
    pub distinct: Option<DistinctClause>,
    /// The output columns; may be empty.
    pub targets: Vec<ResTarget>,
    /// `INTO`: makes a table of the result.
    pub into: Option<IntoClause>,
    /// `FROM`.
    pub from: Vec<FromItem>,
    /// `WHERE`.
    pub where_clause: Option<Expr>,
    /// `GROUP BY`.
    pub group_by: Vec<GroupByItem>,
    /// `GROUP BY DISTINCT`.
    pub group_distinct: bool,
    /// `HAVING`.
    pub having: Option<Expr>,
    /// `WINDOW`: definitions with a name.
    pub window: Vec<WindowDef>,
}

/// An output column, of a `SELECT` or of `RETURNING`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResTarget {
    /// The label, if one is written; else [`super::figure_column_name`] finds one.
    pub name: Option<String>,
    /// The value.
    pub value: Expr,
    /// Where the value begins.
    pub location: u32,
}

/// The table that `SELECT INTO`, `CREATE TABLE AS` and `CREATE MATERIALIZED VIEW` make.
#[derive(Clone, Debug, PartialEq)]
pub struct IntoClause {
    /// Its name and persistence.
    pub relation: RangeVar,
    /// Its column names, if written.
    pub column_names: Vec<String>,
    /// `USING method`.
    pub access_method: Option<String>,
    /// `WITH (…)`.
    pub options: Vec<super::DefElem>,
    /// `ON COMMIT …`.
    pub on_commit: super::OnCommitAction,
    /// `TABLESPACE`.
    pub table_space: Option<String>,
    /// Whether `WITH NO DATA`.
    pub skip_data: bool,
}

/// An item of a `FROM` list.
#[derive(Clone, Debug, PartialEq)]
pub enum FromItem {
    /// A table, view, sequence or CTE by name.
    Relation(RangeVar),
    /// `[LATERAL] (SELECT …)`.
    Subselect(Box<RangeSubselect>),
    /// `[LATERAL] function(…)` and `ROWS FROM (…)`.
    Function(Box<RangeFunction>),
    /// Two items joined.
    Join(Box<JoinExpr>),
    /// `t TABLESAMPLE method(…)`.
    TableSample(Box<RangeTableSample>),
}

/// `[AS] name [(columns)]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// New names of the first columns.
    pub columns: Vec<String>,
}

/// A subquery in `FROM`.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSubselect {
    /// Whether it sees what stands to its left.
    pub lateral: bool,
    /// The query.
    pub subquery: SelectStmt,
    /// Its alias. PostgreSQL 15 demands one; the parser has checked that.
    pub alias: Option<Alias>,
}

/// One or more functions in `FROM`.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeFunction {
    /// Whether `LATERAL` is written. Functions see what stands to their left in any case.
    pub lateral: bool,
    /// `WITH ORDINALITY`.
    pub ordinality: bool,
    /// Whether `ROWS FROM (…)` is written.
    pub is_rows_from: bool,
    /// The functions; exactly one unless [`RangeFunction::is_rows_from`].
    pub functions: Vec<RangeFunctionItem>,
    /// Its alias.
    pub alias: Option<Alias>,
    /// `AS (a int, b text)` behind all of it.
    pub column_defs: Vec<super::ColumnDef>,
}

/// One function of a [`RangeFunction`].
#[derive(Clone, Debug, PartialEq)]
pub struct RangeFunctionItem {
    /// The call: mostly an [`Expr::Func`], but `CURRENT_DATE`, `COALESCE` and casts are allowed.
    pub function: Expr,
    /// `AS (a int, b text)` within `ROWS FROM`.
    pub column_defs: Vec<super::ColumnDef>,
}

/// `relation TABLESAMPLE method(args) [REPEATABLE (seed)]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeTableSample {
    /// What is sampled.
    pub relation: RangeVar,
    /// The method's name.
    pub method: Vec<String>,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// `REPEATABLE`.
    pub repeatable: Option<Expr>,
    /// Where the method's name is.
    pub location: u32,
}

/// The kinds of joins that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinType {
    /// `JOIN`, `INNER JOIN`, `CROSS JOIN`
    Inner,
    /// `LEFT [OUTER] JOIN`
    Left,
    /// `FULL [OUTER] JOIN`
    Full,
    /// `RIGHT [OUTER] JOIN`
    Right,
}

/// Two items of a `FROM` list joined.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinExpr {
    /// Which join.
    pub join_type: JoinType,
    /// `NATURAL`.
    pub natural: bool,
    /// The left side.
    pub left: FromItem,
    /// The right side.
    pub right: FromItem,
    /// `USING (…)`.
    pub using: Vec<String>,
    /// `USING (…) AS alias`.
    pub using_alias: Option<Alias>,
    /// `ON …`.
    pub quals: Option<Expr>,
    /// The alias of a parenthesised join.
    pub alias: Option<Alias>,
}

/// The direction of a sort key.
#[derive(Clone, Debug, PartialEq)]
pub enum SortDirection {
    /// Nothing written: ascending.
    Default,
    /// `ASC`
    Asc,
    /// `DESC`
    Desc,
    /// `USING operator`
    Using(Vec<String>),
}

/// Where nulls sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortNulls {
    /// Nothing written: last when ascending, first when descending.
    Default,
    /// `NULLS FIRST`
    First,
    /// `NULLS LAST`
    Last,
}

/// One key of an `ORDER BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct SortBy {
    /// The expression, output column or number.
    pub node: Expr,
    /// The direction.
    pub direction: SortDirection,
    /// Where nulls go.
    pub nulls: SortNulls,
    /// Where the operator of `USING` is, if any.
    pub operator_location: Option<u32>,
}

/// One item of a `GROUP BY`.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupByItem {
    /// An expression, output column or number.
    Expr(Expr),
    /// `()`, with its location.
    Empty(u32),
    /// `ROLLUP`, `CUBE`, `GROUPING SETS`.
    Set(GroupingSet),
}

/// The kinds of grouping sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupingSetKind {
    /// `ROLLUP (…)`; the content is expressions only
    Rollup,
    /// `CUBE (…)`; the content is expressions only
    Cube,
    /// `GROUPING SETS (…)`; the content may be sets again
    Sets,
}

/// `ROLLUP (…)`, `CUBE (…)` or `GROUPING SETS (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupingSet {
    /// Which.
    pub kind: GroupingSetKind,
    /// What it contains.
    pub content: Vec<GroupByItem>,
    /// Where it begins.
    pub location: u32,
}

/// A window: named in `WINDOW`, or in `OVER`.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowDef {
    /// Its name in `WINDOW name AS (…)`; in `OVER name` the window that is meant.
    pub name: Option<String>,
    /// The window that it extends: `(other …)`.
    pub refname: Option<String>,
    /// `PARTITION BY`.
    pub partition: Vec<Expr>,
    /// `ORDER BY`.
    pub order: Vec<SortBy>,
    /// The frame, if one is written.
    pub frame: Option<WindowFrame>,
    /// Where it begins.
    pub location: u32,
}

/// What a frame's bounds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameMode {
    /// `RANGE`
    Range,
    /// `ROWS`
    Rows,
    /// `GROUPS`
    Groups,
}

/// One bound of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameBound {
    /// `UNBOUNDED PRECEDING`
    UnboundedPreceding,
    /// `x PRECEDING`
    Preceding(Box<Expr>),
    /// `CURRENT ROW`
    CurrentRow,
    /// `x FOLLOWING`
    Following(Box<Expr>),
    /// `UNBOUNDED FOLLOWING`
    UnboundedFollowing,
}

/// What a frame leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameExclusion {
    /// Nothing.
    NoOthers,
    /// `EXCLUDE CURRENT ROW`
    CurrentRow,
    /// `EXCLUDE GROUP`
    Group,
    /// `EXCLUDE TIES`
    Ties,
}

/// A window frame; that its bounds are in order is checked already.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowFrame {
    /// What is counted.
    pub mode: FrameMode,
    /// The first row.
    pub start: FrameBound,
    /// The last row; `CURRENT ROW` when `BETWEEN` is not written.
    pub end: FrameBound,
    /// Whether `BETWEEN` is written.
    pub between: bool,
    /// What is left out.
    pub exclusion: FrameExclusion,
}

/// `WITH [RECURSIVE] …`.
#[derive(Clone, Debug, PartialEq)]
pub struct WithClause {
    /// The named queries.
    pub ctes: Vec<CommonTableExpr>,
    /// `RECURSIVE`.
    pub recursive: bool,
    /// Where `WITH` is.
    pub location: u32,
}

/// What is written about a CTE's evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CteMaterialize {
    /// Nothing.
    Default,
    /// `MATERIALIZED`
    Always,
    /// `NOT MATERIALIZED`
    Never,
}

/// A named query: any of SELECT, INSERT, UPDATE, DELETE.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonTableExpr {
    /// Its name.
    pub name: String,
    /// New names of its first columns.
    pub columns: Vec<String>,
    /// How it is to be evaluated.
    pub materialized: CteMaterialize,
    /// The query.
    pub query: super::Statement,
    /// `SEARCH …`.
    pub search: Option<CteSearchClause>,
    /// `CYCLE …`.
    pub cycle: Option<Box<CteCycleClause>>,
    /// Where the name is.
    pub location: u32,
}

/// `SEARCH DEPTH|BREADTH FIRST BY columns SET column`.
#[derive(Clone, Debug, PartialEq)]
pub struct CteSearchClause {
    /// `BY`.
    pub columns: Vec<String>,
    /// Whether `BREADTH`.
    pub breadth_first: bool,
    /// `SET`.
    pub sequence_column: String,
    /// Where `SEARCH` is.
    pub location: u32,
}

/// `CYCLE columns SET mark TO value DEFAULT default USING path`.
#[derive(Clone, Debug, PartialEq)]
pub struct CteCycleClause {
    /// Which columns show a cycle.
    pub columns: Vec<String>,
    /// `SET`.
    pub mark_column: String,
    /// `TO`; `true` if not written.
    pub mark_value: Expr,
    /// `DEFAULT`; `false` if not written.
    pub mark_default: Expr,
    /// `USING`.
    pub path_column: String,
    /// Where `CYCLE` is.
    pub location: u32,
}

/// How strongly rows are locked, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockStrength {
    /// `FOR KEY SHARE`
    ForKeyShare,
    /// `FOR SHARE`
    ForShare,
    /// `FOR NO KEY UPDATE`
    ForNoKeyUpdate,
    /// `FOR UPDATE`
    ForUpdate,
}

/// What to do about a row that another transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockWaitPolicy {
    /// Wait.
    Block,
    /// `SKIP LOCKED`
    Skip,
    /// `NOWAIT`
    Error,
}

/// `FOR UPDATE OF t NOWAIT` and its like.
#[derive(Clone, Debug, PartialEq)]
pub struct LockingClause {
    /// `OF`: the relations; all if empty.
    pub relations: Vec<RangeVar>,
    /// How strongly.
    pub strength: LockStrength,
    /// Whether to wait.
    pub wait_policy: LockWaitPolicy,
}

/// `OVERRIDING …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverridingKind {
    /// Nothing written.
    NotSet,
    /// `OVERRIDING USER VALUE`
    UserValue,
    /// `OVERRIDING SYSTEM VALUE`
    SystemValue,
}

/// A column (or part of one) that `INSERT` or `UPDATE` assigns to.
#[derive(Clone, Debug, PartialEq)]
pub struct AssignTarget {
    /// The column.
    pub name: String,
    /// Subscripts and fields within it.
    pub indirection: Vec<super::IndirectionElement>,
    /// Where the column's name is.
    pub location: u32,
}

/// `INSERT`.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertStmt {
    /// `WITH`.
    pub with: Option<WithClause>,
    /// The table; its alias is in it.
    pub relation: RangeVar,
    /// The columns; all if empty.
    pub columns: Vec<AssignTarget>,
    /// `OVERRIDING`.
    pub overriding: OverridingKind,
    /// The rows; `None` is `DEFAULT VALUES`.
    pub source: Option<SelectStmt>,
    /// `ON CONFLICT`.
    pub on_conflict: Option<OnConflictClause>,
    /// `RETURNING`.
    pub returning: Vec<ResTarget>,
}

/// What identifies the conflict.
#[derive(Clone, Debug, PartialEq)]
pub enum InferClause {
    /// `(columns) [WHERE …]`.
    Index {
        /// Columns and expressions.
        elements: Vec<super::IndexElem>,
        /// The predicate of a partial index.
        where_clause: Option<Expr>,
        /// Where the parenthesis is.
        location: u32,
    },
    /// `ON CONSTRAINT name`.
    Constraint {
        /// The constraint's name.
        name: String,
        /// Where `ON` is.
        location: u32,
    },
}

/// What to do about a conflict.
#[derive(Clone, Debug, PartialEq)]
pub enum OnConflictAction {
    /// `DO NOTHING`
    Nothing,
    /// `DO UPDATE SET … [WHERE …]`
    Update {
        /// The assignments.
        assignments: Vec<Assignment>,
        /// `WHERE`.
        where_clause: Option<Expr>,
    },
}

/// `ON CONFLICT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct OnConflictClause {
    /// Which conflict; any if `None`.
    pub infer: Option<InferClause>,
    /// What to do.
    pub action: OnConflictAction,
    /// Where `ON` is.
    pub location: u32,
}

/// One assignment of a `SET` list.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    /// `column = value`.
    Single {
        /// The column.
        target: AssignTarget,
        /// The value, possibly [`Expr::SetToDefault`].
        value: Expr,
    },
    /// `(a, b) = source`, where the source is a row or a subquery.
    Multi {
        /// The columns.
        targets: Vec<AssignTarget>,
        /// The source.
        source: Expr,
    },
}

impl Assignment {
    /// The columns that it assigns to.
    #[must_use]
    pub fn targets(&self) -> &[AssignTarget] {
        match self {
            Self::Single { target, .. } => std::slice::from_ref(target),
            Self::Multi { targets, .. } => targets,
        }
    }
}

/// `UPDATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateStmt {
    /// `WITH`.
    pub with: Option<WithClause>,
    /// The table; its alias is in it.
    pub relation: RangeVar,
    /// `SET`.
    pub assignments: Vec<Assignment>,
    /// `FROM`.
    pub from: Vec<FromItem>,
    /// `WHERE`.
    pub where_clause: Option<Expr>,
    /// `RETURNING`.
    pub returning: Vec<ResTarget>,
}

/// `DELETE`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteStmt {
    /// `WITH`.
    pub with: Option<WithClause>,
    /// The table; its alias is in it.
    pub relation: RangeVar,
    /// `USING`.
    pub using: Vec<FromItem>,
    /// `WHERE`.
    pub where_clause: Option<Expr>,
    /// `RETURNING`.
    pub returning: Vec<ResTarget>,
}

/// `MERGE`.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeStmt {
    /// `WITH`.
    pub with: Option<WithClause>,
    /// The table; its alias is in it.
    pub relation: RangeVar,
    /// `USING`.
    pub source: FromItem,
    /// `ON`.
    pub condition: Expr,
    /// `WHEN …`, in the order written.
    pub whens: Vec<MergeWhen>,
}

/// One `WHEN [NOT] MATCHED` of a `MERGE`.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeWhen {
    /// Whether `MATCHED`.
    pub matched: bool,
    /// `AND …`.
    pub condition: Option<Expr>,
    /// `THEN …`.
    pub action: MergeAction,
}

/// What a [`MergeWhen`] does.
#[derive(Clone, Debug, PartialEq)]
pub enum MergeAction {
    /// `UPDATE SET …`
    Update(Vec<Assignment>),
    /// `DELETE`
    Delete,
    /// `INSERT …`
    Insert {
        /// The columns; all if empty.
        columns: Vec<AssignTarget>,
        /// `OVERRIDING`.
        overriding: OverridingKind,
        /// The values; `None` is `DEFAULT VALUES`.
        values: Option<Vec<Expr>>,
    },
    /// `DO NOTHING`
    Nothing,
}
