//! What names mean in one query: its range table and its namespace (PostgreSQL's `ParseState`).

use aegis_types::{Oid, TypeRef};

use super::Analyzer;
use crate::ast;
use crate::bound::written::{Written, WrittenEntry, WrittenWindow};
use crate::bound::{Cte, Expr, RangeTableEntry};

/// Which part of a statement an expression is in: what may stand there differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Clause {
    #[default]
    None,
    JoinOn,
    FromSubselect,
    FromFunction,
    Where,
    Having,
    Filter,
    WindowPartition,
    WindowOrder,
    WindowFrameRange,
    WindowFrameRows,
    WindowFrameGroups,
    SelectTarget,
    UpdateSource,
    GroupBy,
    OrderBy,
    DistinctOn,
    Limit,
    Offset,
    Returning,
    Values,
    ValuesSingle,
    Check,
    Default,
    FunctionDefault,
    IndexExpression,
    IndexPredicate,
    AlterTransform,
    Generated,
    CopyWhere,
    ExecuteParameter,
}

impl Clause {
    /// The clause's name in messages (`ParseExprKindName`).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "invalid expression kind",
            Self::JoinOn => "JOIN/ON",
            Self::FromSubselect => "sub-SELECT in FROM",
            Self::FromFunction => "function in FROM",
            Self::Where => "WHERE",
            Self::Having => "HAVING",
            Self::Filter => "FILTER",
            Self::WindowPartition => "window PARTITION BY",
            Self::WindowOrder => "window ORDER BY",
            Self::WindowFrameRange => "window RANGE",
            Self::WindowFrameRows => "window ROWS",
            Self::WindowFrameGroups => "window GROUPS",
            Self::SelectTarget => "SELECT",
            Self::UpdateSource => "UPDATE",
            Self::GroupBy => "GROUP BY",
            Self::OrderBy => "ORDER BY",
            Self::DistinctOn => "DISTINCT ON",
            Self::Limit => "LIMIT",
            Self::Offset => "OFFSET",
            Self::Returning => "RETURNING",
            Self::Values | Self::ValuesSingle => "VALUES",
            Self::Check => "CHECK",
            Self::Default | Self::FunctionDefault => "DEFAULT",
            Self::IndexExpression => "index expression",
            Self::IndexPredicate => "index predicate",
            Self::AlterTransform => "USING",
            Self::Generated => "GENERATED AS",
            Self::CopyWhere => "WHERE",
            Self::ExecuteParameter => "EXECUTE",
        }
    }

    /// Where the clause is named in the plural by messages about what is not allowed in it.
    pub(super) fn plural(self) -> Option<&'static str> {
        Some(match self {
            Self::JoinOn => "JOIN conditions",
            Self::FromFunction => "functions in FROM",
            Self::Check => "check constraints",
            Self::Default | Self::FunctionDefault => "DEFAULT expressions",
            Self::IndexExpression => "index expressions",
            Self::IndexPredicate => "index predicates",
            Self::AlterTransform => "transform expressions",
            Self::Generated => "column generation expressions",
            Self::CopyWhere => "COPY FROM WHERE conditions",
            Self::ExecuteParameter => "EXECUTE parameters",
            _ => return None,
        })
    }
}

/// One query that is being analyzed.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) range_table: Vec<RangeTableEntry>,
    /// For each entry of the range table, what names can be used for it.
    pub(super) entries: Vec<EntryInfo>,
    pub(super) namespace: Vec<NamespaceItem>,
    /// `WITH`: those that can be named already.
    pub(super) ctes: Vec<CteInfo>,
    /// The names of those that cannot be named yet.
    pub(super) future_ctes: Vec<String>,
    pub(super) clause: Clause,
    /// The table that INSERT fills: its columns cannot be named yet, but are suggested.
    pub(super) insert_target: Option<RangeTableEntry>,
    /// Whether lateral references are allowed here.
    pub(super) lateral_active: bool,
    pub(super) has_aggregates: bool,
    pub(super) has_set_functions: bool,
    pub(super) named_windows: Vec<ast::WindowDef>,
    /// Where columns were named, for messages about columns that are not grouped by.
    pub(super) uses: Vec<ColumnUse>,
    /// What is noted for printing as the query is analyzed; the rest is added at its end.
    pub(super) written: Written,
}

impl Scope {
    /// How the query was written.
    pub(super) fn take_written(&mut self) -> Written {
        let mut written = std::mem::take(&mut self.written);
        // A stored text names columns with an alias even where that is the relation's own name.
        let entry = |(info, entry): (&EntryInfo, &RangeTableEntry)| WrittenEntry {
            aliased: info.aliased
                && !(info.column_aliases && info.relation_name.as_ref() == Some(&entry.alias)),
            column_aliases: info.column_aliases,
            relation: info.relation,
        };
        written.entries = self.entries.iter().zip(&self.range_table).map(entry).collect();
        let window = |window: &ast::WindowDef| WrittenWindow {
            name: window.name.clone(),
            base: window.refname.clone(),
            sorted: !window.order.is_empty(),
            frame: window.frame.as_ref().map(|frame| frame.between),
        };
        written.windows = self.named_windows.iter().map(window).collect();
        written
    }
}

/// What is known of a range table entry besides the entry.
#[derive(Clone, Debug, Default)]
pub(super) struct EntryInfo {
    /// Whether its name is an alias.
    pub(super) aliased: bool,
    /// Whether the alias names columns.
    pub(super) column_aliases: bool,
    /// The stored relation it is, views included.
    pub(super) relation: Option<Oid>,
    /// Whether it is a function that returns one column that is no row: then its name is the
    /// column's value.
    pub(super) scalar_function: bool,
    /// The name of the relation itself.
    pub(super) relation_name: Option<String>,
}

/// A name that columns can be qualified with, or an unnamed join.
#[derive(Clone, Debug)]
pub(super) struct NamespaceItem {
    /// The name.
    pub(super) name: String,
    /// The range table entry; none for a join.
    pub(super) entry: Option<usize>,
    /// The relation, if it may be named with its schema.
    pub(super) relation: Option<Oid>,
    /// The columns.
    pub(super) columns: Vec<NamespaceColumn>,
    /// Whether columns can be qualified with the name.
    pub(super) name_visible: bool,
    /// Whether columns can be named alone.
    pub(super) columns_visible: bool,
    /// Whether only LATERAL items see it.
    pub(super) lateral_only: bool,
    /// Whether a lateral reference to it is allowed.
    pub(super) lateral_ok: bool,
}

/// A column of a [`NamespaceItem`].
#[derive(Clone, Debug)]
pub(super) struct NamespaceColumn {
    /// Its name.
    pub(super) name: String,
    /// What it is, over the range table.
    pub(super) expr: Expr,
}

/// A CTE that can be named.
#[derive(Clone, Debug)]
pub(super) struct CteInfo {
    /// Its name.
    pub(super) name: String,
    /// Its columns.
    pub(super) columns: Vec<(String, TypeRef)>,
    /// Itself, once it is analyzed.
    pub(super) cte: Option<Cte>,
    /// How often it is read.
    pub(super) references: usize,
    /// Whether the reference that is about to be analyzed is the recursive one, and allowed.
    pub(super) recursion: Recursion,
}

/// Where in its own definition a recursive CTE is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recursion {
    /// It is complete.
    Complete,
    /// In its non-recursive term: it cannot be named.
    NonRecursiveTerm,
    /// In its recursive term.
    RecursiveTerm,
}

/// A column named at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnUse {
    pub(super) entry: usize,
    pub(super) column: i16,
    pub(super) at: u32,
    pub(super) in_aggregate: bool,
}

impl Analyzer<'_> {
    /// The query that is being analyzed.
    pub(super) fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Analyzes something in a scope of its own, and gives the scope back.
    pub(super) fn in_new_scope<T>(
        &mut self,
        analyze: impl FnOnce(&mut Self) -> aegis_types::SqlResult<T>,
    ) -> aegis_types::SqlResult<(T, Scope)> {
        self.scopes.push(Scope::default());
        let result = self.deeper(analyze);
        let scope = self.scopes.pop().unwrap_or_default();
        Ok((result?, scope))
    }

    /// Analyzes something as part of a clause.
    pub(super) fn in_clause<T>(
        &mut self,
        clause: Clause,
        analyze: impl FnOnce(&mut Self) -> aegis_types::SqlResult<T>,
    ) -> aegis_types::SqlResult<T> {
        let outer = std::mem::replace(&mut self.scope().clause, clause);
        let result = analyze(self);
        self.scope().clause = outer;
        result
    }

    /// Adds an entry to the range table: its number.
    pub(super) fn add_entry(&mut self, entry: RangeTableEntry, info: EntryInfo) -> usize {
        let scope = self.scope();
        scope.range_table.push(entry);
        scope.entries.push(info);
        scope.range_table.len() - 1
    }

    /// The name of an entry with its columns, all visible.
    pub(super) fn entry_item(&mut self, entry: usize) -> NamespaceItem {
        let scope = self.scope();
        let info = &scope.entries[entry];
        let rte = &scope.range_table[entry];
        let columns = rte
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| !column.dropped)
            .map(|(at, column)| NamespaceColumn {
                name: column.name.clone(),
                expr: Expr::Column {
                    entry,
                    column: i16::try_from(at + 1).unwrap_or(i16::MAX),
                    levels_up: 0,
                    ty: column.ty,
                },
            })
            .collect();
        NamespaceItem {
            name: rte.alias.clone(),
            entry: Some(entry),
            relation: if info.aliased { None } else { info.relation },
            columns,
            name_visible: true,
            columns_visible: true,
            lateral_only: false,
            lateral_ok: true,
        }
    }
}
