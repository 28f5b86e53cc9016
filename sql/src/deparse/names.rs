//! What the entries of range tables and their columns are called: aliases made unique over all open
//! queries, columns as the catalog has them now (`set_rtable_names`, `set_relation_column_names`).

use std::collections::{HashMap, HashSet};

use aegis_catalog::Relation;
use aegis_types::SqlResult;
use aegis_types::functions::quote_ident;

use super::buffer::Printer;
use super::unprintable;
use crate::bound::written::{WrittenEntry, WrittenJoin};
use crate::bound::{Expr, Query, RteKind, TABLE_OID, XMIN};

/// One open query, or the relation that an expression is over.
pub(super) struct Level<'a> {
    /// The query; none for an expression over a relation.
    pub(super) query: Option<&'a Query>,
    /// What each entry is called.
    pub(super) aliases: Vec<String>,
    /// For each entry, what its columns are called; `None` for dropped ones.
    pub(super) columns: Vec<Vec<Option<String>>>,
    /// Whether the columns must be named with the alias.
    pub(super) renamed: Vec<bool>,
    /// For each join with an alias, what its columns are called, and whether they must be named.
    pub(super) joins: Vec<(Vec<String>, bool)>,
    /// Whether columns are printed with what they are of.
    pub(super) prefix: bool,
}

impl<'a> Printer<'a> {
    /// Opens the level of an expression over one relation.
    pub(super) fn push_relation(&mut self, relation: Option<&Relation>) {
        let columns = relation.map(|relation| {
            let names = relation.columns.iter();
            names.map(|c| (!c.dropped).then(|| c.name.clone())).collect()
        });
        self.levels.push(Level {
            query: None,
            aliases: relation.iter().map(|relation| relation.name.clone()).collect(),
            columns: columns.into_iter().collect(),
            renamed: vec![false],
            joins: Vec::new(),
            prefix: false,
        });
    }

    /// Opens a query.
    pub(super) fn push_query(&mut self, query: &'a Query) {
        let mut used: HashSet<String> = self.reserved.clone();
        used.extend(self.levels.iter().flat_map(|level| level.aliases.iter().cloned()));
        let mut aliases = Vec::with_capacity(query.range_table.len());
        for (at, entry) in query.range_table.iter().enumerate() {
            if let Some(alias) = self.plan_alias(query, at) {
                aliases.push(alias);
                continue;
            }
            let written = query.written.entries.get(at);
            // A relation without an alias goes by the name it has now.
            let name = match written {
                Some(WrittenEntry { aliased: false, relation: Some(oid), .. }) => {
                    self.deparser.names.relation_parts(*oid).map(|(_, name)| name.to_owned())
                }
                _ => None,
            };
            aliases.push(first_free(name.unwrap_or_else(|| entry.alias.clone()), &mut used));
        }
        let forced = forced_names(&query.written.joins);
        let mut columns = Vec::with_capacity(aliases.len());
        let mut renamed = Vec::with_capacity(aliases.len());
        for at in 0..query.range_table.len() {
            let (names, aliased) = self.entry_columns(query, at, &forced);
            columns.push(names);
            renamed.push(aliased);
        }
        let joins = query.written.joins.iter().map(|join| {
            let mut used = HashSet::new();
            let names: Vec<String> =
                join.columns.iter().map(|(name, _)| first_free(name.clone(), &mut used)).collect();
            let changed = names.iter().ne(join.columns.iter().map(|(name, _)| name));
            (names, changed || join.column_aliases)
        });
        let (joins, prefix) = (joins.collect(), true);
        self.levels.push(Level { query: Some(query), aliases, columns, renamed, joins, prefix });
    }

    /// The names of an entry's columns, and whether they must be printed with the alias.
    fn entry_columns(
        &self,
        query: &Query,
        at: usize,
        forced: &HashMap<(usize, i16), String>,
    ) -> (Vec<Option<String>>, bool) {
        let entry = &query.range_table[at];
        let written = query.written.entries.get(at).cloned().unwrap_or_default();
        let names = self.deparser.names;
        let real: Option<Vec<(i16, &str)>> = match (&entry.kind, written.relation) {
            (RteKind::Relation(relation), _) => Some(relation.oid),
            (_, Some(oid)) => Some(oid),
            (RteKind::System(full), _) => full
                .split_once('.')
                .and_then(|(schema, name)| names.relation_in(names.schema(schema)?, name)),
            _ => None,
        }
        .map(|oid| names.columns(oid).into_iter().map(|(n, name, _)| (n, name)).collect());
        let mut changed = false;
        let mut used: HashSet<String> = HashSet::new();
        let mut columns = Vec::with_capacity(entry.columns.len());
        for (number, column) in (1_i16..).zip(&entry.columns) {
            if column.dropped {
                columns.push(None);
                continue;
            }
            let real = match &real {
                Some(real) => real.iter().find(|(n, _)| *n == number).map(|(_, name)| *name),
                None => Some(column.name.as_str()),
            };
            // Where aliases name columns they all are as they were; else as they are now.
            let given = if written.column_aliases { Some(column.name.as_str()) } else { real };
            let wanted = match forced.get(&(at, number)) {
                Some(name) => name.clone(),
                None => given.unwrap_or(&column.name).to_owned(),
            };
            let name = first_free(wanted, &mut used);
            changed |= real.is_some_and(|real| real != name);
            columns.push(Some(name));
        }
        let renamed = match &entry.kind {
            RteKind::Functions { .. } => true,
            _ if real.is_none() && written.column_aliases => true,
            _ => changed,
        };
        (columns, renamed)
    }

    /// The level that a column with so many levels up is of.
    pub(super) fn level(&self, levels_up: usize) -> SqlResult<&Level<'a>> {
        let at = self.levels.len().checked_sub(levels_up + 1);
        at.and_then(|at| self.levels.get(at)).ok_or_else(|| unprintable("a column of no query"))
    }

    /// Notes the column of a stored relation among what is used.
    pub(super) fn note(&mut self, entry: usize, number: i16, levels_up: usize) {
        let query = self.level(levels_up).ok().and_then(|level| level.query);
        let written = query.and_then(|query| query.written.entries.get(entry));
        if let Some(oid) = written.and_then(|written| written.relation) {
            self.uses.insert((oid, number.max(0)));
        }
    }

    /// Notes every column in an expression that is not printed.
    pub(super) fn note_all(&mut self, expr: &Expr) {
        if let Expr::Column { entry, column, levels_up, .. } = expr {
            self.note(*entry, *column, *levels_up);
        }
        expr.for_each_child(&mut |child| self.note_all(child));
    }

    /// Prints a column; gives its name, none for a whole row (`get_variable`).
    pub(super) fn column(
        &mut self,
        entry: usize,
        number: i16,
        levels_up: usize,
    ) -> SqlResult<Option<String>> {
        self.note(entry, number, levels_up);
        if self.plan_column(entry, number, levels_up)? {
            return Ok(None);
        }
        let prefix = self.has_prefix(entry, levels_up)?;
        let level = self.level(levels_up)?;
        if self.plan.is_none()
            && let Some((join, name)) = level.join_column(entry, number)
        {
            let text = format!("{}.{}", quote_ident(join), quote_ident(name));
            let name = name.to_owned();
            self.put(&text);
            return Ok(Some(name));
        }
        let alias =
            level.aliases.get(entry).ok_or_else(|| unprintable("a column of no entry"))?.clone();
        let name = match number {
            0 => None,
            TABLE_OID => Some("tableoid".to_owned()),
            XMIN => Some("xmin".to_owned()),
            number => {
                let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
                let found = level.columns.get(entry).and_then(|columns| columns.get(at));
                let found = found.ok_or_else(|| unprintable("a hidden column"))?;
                Some(found.clone().unwrap_or_else(|| "?dropped?column?".to_owned()))
            }
        };
        if prefix || name.is_none() {
            self.put(&quote_ident(&alias));
            self.put(".");
        }
        match &name {
            Some(name) => self.put(&quote_ident(name)),
            None => self.put("*"),
        }
        Ok(name)
    }
}

impl Level<'_> {
    /// How the query was written.
    fn joins(&self) -> &[WrittenJoin] {
        self.query.map_or(&[], |query| &query.written.joins)
    }

    /// The alias of the join that hides an entry, and its name for a column.
    fn join_column(&self, entry: usize, number: i16) -> Option<(&str, &str)> {
        self.joins().iter().zip(&self.joins).rev().find_map(|(join, (names, _))| {
            let alias = join.alias.as_deref()?;
            let at = join.columns.iter().position(|(_, expr)| is_column(expr, entry, number))?;
            Some((alias, names.get(at)?.as_str()))
        })
    }

    /// The name of the merged column of a full join that an expression is.
    pub(super) fn merged_column(&self, args: &[Expr]) -> Option<(Option<&str>, &str)> {
        let [Expr::Column { entry, column, levels_up: 0, .. }, right] = args else {
            return None;
        };
        let Expr::Column { entry: other, column: other_column, levels_up: 0, .. } = right else {
            return None;
        };
        self.joins().iter().rev().find_map(|join| {
            let at = join.merged.iter().position(|(left, right)| {
                is_column(left, *entry, *column) && is_column(right, *other, *other_column)
            })?;
            Some((join.alias.as_deref(), join.using.get(at)?.as_str()))
        })
    }
}

fn is_column(expr: &Expr, entry: usize, number: i16) -> bool {
    matches!(expr, Expr::Column { entry: e, column, levels_up: 0, .. }
        if *e == entry && *column == number)
}

/// The names that `USING` needs the columns that it merges to have.
fn forced_names(joins: &[WrittenJoin]) -> HashMap<(usize, i16), String> {
    let mut forced = HashMap::new();
    for join in joins.iter().rev() {
        for (name, (left, right)) in join.using.iter().zip(&join.merged) {
            force(left, name, &mut forced);
            force(right, name, &mut forced);
        }
    }
    forced
}

fn force(expr: &Expr, name: &str, forced: &mut HashMap<(usize, i16), String>) {
    match expr {
        Expr::Column { entry, column, levels_up: 0, .. } => {
            forced.entry((*entry, *column)).or_insert_with(|| name.to_owned());
        }
        other => other.for_each_child(&mut |child| force(child, name, forced)),
    }
}

/// The name itself, or numbered if it is taken.
fn first_free(name: String, used: &mut HashSet<String>) -> String {
    let mut free = name.clone();
    let mut number = 0_u32;
    while used.contains(&free) {
        number += 1;
        free = format!("{name}_{number}");
    }
    used.insert(free.clone());
    free
}
