//! Columns outside aggregates must be grouped by, or depend on what is (PostgreSQL's
//! `parseCheckAggregates`).

use std::cell::RefCell;
use std::collections::BTreeSet;

use aegis_catalog::ConstraintKind;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Analyzer;
use super::node::same;
use super::walk::{visit_expr, visit_query};
use crate::bound::{Expr, Query, RteKind};

/// An ungrouped column, and whether a subquery reads it.
struct Ungrouped {
    entry: usize,
    column: i16,
    in_subquery: bool,
}

/// How often a column is read in an expression before it is read where it may not be: nothing in
/// the expression says where it was written.
fn reads_before(check: &Check<'_>, expr: &Expr, wanted: &Ungrouped) -> usize {
    fn count(check: &Check<'_>, expr: &Expr, wanted: &Ungrouped, reads: &mut usize) -> bool {
        if let Expr::Column { entry, column, levels_up: 0, .. } = expr {
            if (*entry, *column) == (wanted.entry, wanted.column) {
                *reads += 1;
            }
            return false;
        }
        let mut done = false;
        expr.for_each_child(&mut |child| {
            if done {
                return;
            }
            if matches!(child, Expr::Column { .. }) && check.find(child, 0).is_some() {
                done = true;
            } else if check.find(child, 0).is_none() {
                visit_expr(child, 0, &mut |expr, depth| {
                    if let Expr::Column { entry, column, levels_up, .. } = expr {
                        let same = (*entry, *column) == (wanted.entry, wanted.column);
                        *reads += usize::from(same && *levels_up == depth);
                    }
                    true
                });
            } else {
                done = count(check, child, wanted, reads);
            }
        });
        done
    }
    let mut reads = 0;
    if !matches!(expr, Expr::Column { .. }) {
        count(check, expr, wanted, &mut reads);
    }
    reads
}

/// The primary key of a table, as a constraint.
fn primary_key_of(kind: &RteKind) -> Option<Oid> {
    let RteKind::Relation(relation) = kind else { return None };
    let constraints = &relation.as_table()?.constraints;
    let is_key = |kind: &ConstraintKind| matches!(kind, ConstraintKind::PrimaryKey { .. });
    constraints.iter().find(|constraint| is_key(&constraint.kind)).map(|found| found.oid)
}

/// What is known while a grouped query is checked.
struct Check<'q> {
    /// All expressions grouped by.
    groups: Vec<&'q Expr>,
    /// Those in every grouping set.
    common: Vec<&'q Expr>,
    index_columns: &'q dyn Fn(usize) -> Option<Vec<i16>>,
    /// The entries whose primary keys were needed.
    by_key: RefCell<BTreeSet<usize>>,
}

impl Analyzer<'_> {
    /// Checks a grouped query. `places` says where each target begins. Gives the primary keys that
    /// ungrouped columns depend on.
    pub(super) fn check_grouping(
        &mut self,
        query: &Query,
        places: &[Option<u32>],
        having_at: Option<u32>,
    ) -> SqlResult<Vec<Oid>> {
        let groups: Vec<&Expr> = query.grouping_sets.iter().flatten().collect();
        let common: Vec<&Expr> = match query.grouping_sets.split_first() {
            None => Vec::new(),
            Some((first, rest)) => first
                .iter()
                .filter(|expr| rest.iter().all(|set| set.iter().any(|other| same(expr, other))))
                .collect(),
        };
        let catalog = self.context.catalog.clone();
        let primary_key = |entry: usize| {
            let RteKind::Relation(relation) = &query.range_table.get(entry)?.kind else {
                return None;
            };
            let table = relation.as_table()?;
            table.indexes.iter().find_map(|oid| {
                let index = catalog.relation(*oid)?.as_index()?;
                (index.primary && !index.deferrable)
                    .then(|| index.keys.iter().map(|key| key.column).collect())
            })
        };
        let by_key = RefCell::default();
        let check = Check { groups, common, index_columns: &primary_key, by_key };
        for (at, target) in query.targets.iter().enumerate() {
            if let Some(ungrouped) = check.find(&target.expr, 0) {
                let from = places.get(at).copied().flatten();
                let before = reads_before(&check, &target.expr, &ungrouped);
                return Err(self.ungrouped(query, &ungrouped, from, before));
            }
        }
        if let Some(having) = &query.having
            && let Some(ungrouped) = check.find(having, 0)
        {
            let before = reads_before(&check, having, &ungrouped);
            return Err(self.ungrouped(query, &ungrouped, having_at, before));
        }
        for window in &query.windows {
            let keys = window.order_by.iter().map(|key| &key.expr);
            for expr in window.partition_by.iter().chain(keys) {
                if let Some(ungrouped) = check.find(expr, 0) {
                    return Err(self.ungrouped(query, &ungrouped, None, 0));
                }
            }
        }
        let stray = check.stray_grouping_argument(query);
        let keys = check.by_key.into_inner().into_iter();
        let keys = keys.filter_map(|entry| primary_key_of(&query.range_table.get(entry)?.kind));
        stray.map_or(Ok(keys.collect()), |column| {
            let place = column.and_then(|(entry, column)| {
                let mut uses = self.scope().uses.iter();
                uses.find(|place| (place.entry, place.column) == (entry, column)).map(|p| p.at)
            });
            Err(SqlError::new(
                SqlState::GroupingError,
                "arguments to GROUPING must be grouping expressions of the associated query level",
            )
            .at_opt(place))
        })
    }

    fn ungrouped(
        &mut self,
        query: &Query,
        found: &Ungrouped,
        from: Option<u32>,
        before: usize,
    ) -> SqlError {
        let entry = &query.range_table[found.entry];
        let column = usize::try_from(found.column - 1)
            .ok()
            .and_then(|at| entry.columns.get(at))
            .map_or("*", |column| column.name.as_str());
        let name = format!("{}.{column}", entry.alias);
        let mut places: Vec<u32> = self
            .scope()
            .uses
            .iter()
            .filter(|place| place.entry == found.entry && place.column == found.column)
            .map(|place| place.at)
            .collect();
        places.sort_unstable();
        places.dedup();
        let own = places.iter().copied().filter(|place| from.is_none_or(|from| *place >= from));
        let own: Vec<u32> = own.collect();
        let at = own.get(before).or(own.last()).or(places.first()).copied();
        let message = if found.in_subquery {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        } else {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate \
                 function"
            )
        };
        SqlError::new(SqlState::GroupingError, message).at_opt(at)
    }
}

impl Check<'_> {
    /// The first ungrouped column in an expression `depth` queries inside.
    fn find(&self, expr: &Expr, depth: usize) -> Option<Ungrouped> {
        match expr {
            Expr::Aggregate(aggregate) if aggregate.levels_up == depth => {
                // Only direct arguments of ordered-set aggregates are evaluated once a group.
                if !aggregate.within_group {
                    return None;
                }
                return aggregate.args.iter().find_map(|arg| self.find(arg, depth));
            }
            Expr::Aggregate(aggregate) if aggregate.levels_up > depth => return None,
            Expr::Grouping(_) if depth == 0 => return None,
            _ => {}
        }
        if depth == 0 && self.groups.iter().any(|group| same(group, expr)) {
            return None;
        }
        if let Expr::Column { entry, column, levels_up, .. } = expr {
            if *levels_up != depth || self.is_grouped(*entry, *column) {
                return None;
            }
            return Some(Ungrouped { entry: *entry, column: *column, in_subquery: depth > 0 });
        }
        let mut found = None;
        if let Expr::Subquery(subquery) = expr {
            found = self.find_in_query(&subquery.query, depth + 1);
        }
        expr.for_each_child(&mut |child| {
            if found.is_none() {
                found = self.find(child, depth);
            }
        });
        found
    }

    fn find_in_query(&self, query: &Query, depth: usize) -> Option<Ungrouped> {
        let mut found = None;
        visit_query(query, depth, &mut |expr, depth| {
            if found.is_some() {
                return false;
            }
            match expr {
                Expr::Aggregate(aggregate) if aggregate.levels_up >= depth => {
                    if aggregate.levels_up == depth {
                        found = self.find(expr, depth);
                    }
                    false
                }
                Expr::Column { .. } => {
                    found = self.find(expr, depth);
                    false
                }
                _ => true,
            }
        });
        found
    }

    /// Whether a column is grouped by, or its table's primary key is.
    fn is_grouped(&self, entry: usize, column: i16) -> bool {
        let grouped = |groups: &[&Expr], wanted: i16| {
            groups.iter().any(|group| {
                matches!(group, Expr::Column { entry: e, column: c, levels_up: 0, .. }
                    if *e == entry && *c == wanted)
            })
        };
        if grouped(&self.groups, column) {
            return true;
        }
        let determined = (self.index_columns)(entry)
            .is_some_and(|key| key.iter().all(|column| grouped(&self.common, *column)));
        if determined {
            self.by_key.borrow_mut().insert(entry);
        }
        determined
    }

    /// The first argument of a `GROUPING` that is not grouped by: which column, if it is one.
    fn stray_grouping_argument(&self, query: &Query) -> Option<Option<(usize, i16)>> {
        let mut stray = None;
        let mut check = |expr: &Expr| {
            visit_expr(expr, 0, &mut |expr, depth| {
                if let (Expr::Grouping(args), 0, None) = (expr, depth, stray) {
                    let found = args.iter().find(|arg| !self.groups.iter().any(|g| same(g, arg)));
                    stray = found.map(|arg| match arg {
                        Expr::Column { entry, column, .. } => Some((*entry, *column)),
                        _ => None,
                    });
                }
                true
            });
        };
        query.targets.iter().for_each(|target| check(&target.expr));
        query.having.iter().for_each(&mut check);
        stray
    }
}
