//! What of a query's text its bound tree does not need, and its printing does: aliases, `USING`,
//! names of windows, grouping sets. Nobody but `deparse` reads it.

use aegis_types::Oid;

use super::Expr;

/// How a query was written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// For each entry of the range table.
    pub entries: Vec<WrittenEntry>,
    /// The joins, each after those inside it.
    pub joins: Vec<WrittenJoin>,
    /// For each of the query's windows.
    pub windows: Vec<WrittenWindow>,
    /// `GROUP BY` with grouping sets; empty where it is plain expressions.
    pub group_by: Vec<WrittenGroup>,
    /// `WITH RECURSIVE`
    pub recursive: bool,
    /// The column names given to CTEs: the CTE's name, and the names.
    pub cte_columns: Vec<(String, Vec<String>)>,
}

/// An entry of the range table.
#[derive(Clone, Debug, Default)]
pub struct WrittenEntry {
    /// Whether its name is an alias.
    pub aliased: bool,
    /// Whether the alias has names for columns.
    pub column_aliases: bool,
    /// The stored relation that it reads, views included.
    pub relation: Option<Oid>,
}

/// A join.
#[derive(Clone, Debug, Default)]
pub struct WrittenJoin {
    /// The columns of `USING` or `NATURAL`.
    pub using: Vec<String>,
    /// The alias of `USING (…) AS`.
    pub using_alias: Option<String>,
    /// Its alias, which hides the names inside.
    pub alias: Option<String>,
    /// Its columns, the merged ones first; named by the alias.
    pub columns: Vec<(String, Expr)>,
    /// Whether the alias has names for columns.
    pub column_aliases: bool,
    /// For each column of `using`: what it is on the left and on the right.
    pub merged: Vec<(Expr, Expr)>,
}

/// A window.
#[derive(Clone, Debug, Default)]
pub struct WrittenWindow {
    /// Its name; none where it was written in place.
    pub name: Option<String>,
    /// The window that it extends.
    pub base: Option<String>,
    /// Whether it sorts by keys of its own.
    pub sorted: bool,
    /// Whether it has a frame, and whether that says `BETWEEN`.
    pub frame: Option<bool>,
}

/// An item of `GROUP BY`.
#[derive(Clone, Debug)]
pub enum WrittenGroup {
    /// Some expressions, in parentheses unless it is one.
    Expressions(Vec<Expr>),
    /// `ROLLUP`, `CUBE`, `GROUPING SETS`
    Set(crate::ast::GroupingSetKind, Vec<Self>),
}
