//! The order of inner joins: the cheapest left-deep one, by dynamic programming over the sets of
//! what is joined; beyond eight items, step by step.
//!
//! An item that no condition connects to those before it waits for one that does, so that there is
//! no cross join where there is a join condition.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_sql::bound::{Expr, JoinTree, Query, RteKind};

use super::Builder;
use super::access::{Wish, equality_of};
use super::from::Item;
use crate::known::COMPARED;
use crate::rewrite::{entries_of, is_volatile};

/// So many items are ordered by looking at every set of them.
const EXHAUSTIVE_MAX: usize = 8;
/// What is known of items that are not tables.
const UNKNOWN_ROWS: f64 = 1000.0;
/// A range of an index found for one outer row, in rows read in a scan.
const LOOKUP: f64 = 3.0;

/// What the order depends on.
struct Facts {
    rows: f64,
    total: f64,
    cost: f64,
    needs: u64,
    keys: Vec<(Vec<i16>, bool)>,
    /// Columns that a constant is equal to.
    fixed: Vec<i16>,
}

/// A condition between items.
struct Link {
    items: u64,
    /// Which part of the combinations passes it.
    passes: f64,
    /// For each item that it is an equality with a column of: the column, and the other items.
    equal: Vec<(usize, i16, u64)>,
}

#[derive(Clone, Copy)]
struct Step {
    cost: f64,
    rows: f64,
    before: u64,
    item: usize,
    /// Whether every join so far is one by key.
    by_key: bool,
}

/// An order of items.
pub(super) struct Ordering {
    pub(super) items: Vec<usize>,
    /// Whether the first item's order is meant to be kept.
    pub(super) keeps_order: bool,
}

impl Builder {
    /// In which order items are joined.
    pub(super) fn join_order(
        &mut self,
        items: &[Item<'_>],
        filters: &[Expr],
        query: &Query,
        wish: Option<&Wish>,
    ) -> Ordering {
        if items.len() < 2 {
            return Ordering { items: (0..items.len()).collect(), keeps_order: true };
        }
        let facts: Vec<Facts> =
            items.iter().map(|item| self.facts(item, items, filters, query)).collect();
        let links = self.links(items, filters);
        if let Some(wish) = wish
            && let Some(limit) = wish.limit
            && let Some(first) = items.iter().position(|item| item.entries.contains(&wish.entry))
            && let Some(relation) = plain_relation(&items[first], query)
        {
            let own = own_filters(&items[first], filters);
            if facts[first].needs == 0 && self.gives_order(wish.entry, &relation, &own, wish) {
                let rows = facts[first].rows.min(limit * 4.0 + 10.0);
                let base = Step { cost: rows, rows, before: 0, item: first, by_key: true };
                let found = search(&facts, &links, &[base]);
                if let Some(found) = found.filter(|found| found.by_key) {
                    return Ordering { items: found.items, keeps_order: true };
                }
            }
        }
        let bases: Vec<Step> = facts
            .iter()
            .enumerate()
            .filter(|(_, facts)| facts.needs == 0)
            .map(|(item, facts)| Step {
                cost: facts.cost,
                rows: facts.rows,
                before: 0,
                item,
                by_key: true,
            })
            .collect();
        let items = match search(&facts, &links, &bases) {
            Some(found) => found.items,
            None => (0..items.len()).collect(),
        };
        Ordering { items, keeps_order: false }
    }

    fn facts(
        &mut self,
        item: &Item<'_>,
        items: &[Item<'_>],
        filters: &[Expr],
        query: &Query,
    ) -> Facts {
        let needs = mask_of(items, &item.needs);
        let own = own_filters(item, filters);
        match (item.tree, plain_relation(item, query)) {
            (JoinTree::Entry(entry), Some(relation)) => {
                let (rows, cost) = self.size(*entry, &relation, &own);
                let total = self.table_rows(&relation);
                let fixed = own
                    .iter()
                    .filter_map(|filter| equality_of(filter, *entry).map(|(column, _)| column))
                    .collect();
                let keys = self.keys_of(&relation);
                Facts { rows, total, cost, needs, keys, fixed }
            }
            (tree, _) => {
                let total = match tree {
                    JoinTree::Entry(entry) => match &query.range_table[*entry].kind {
                        RteKind::Values(rows) => rows.len() as f64,
                        _ => UNKNOWN_ROWS,
                    },
                    JoinTree::Join { .. } => UNKNOWN_ROWS,
                };
                let rows = total * COMPARED.powi(i32::try_from(own.len()).unwrap_or(9));
                let (keys, fixed) = (Vec::new(), Vec::new());
                Facts { rows, total, cost: total, needs, keys, fixed }
            }
        }
    }
}

/// The table that an item is.
pub(super) fn plain_relation(item: &Item<'_>, query: &Query) -> Option<Arc<Relation>> {
    let JoinTree::Entry(entry) = item.tree else { return None };
    match &query.range_table[*entry].kind {
        RteKind::Relation(relation) => Some(relation.clone()),
        _ => None,
    }
}

fn own_filters(item: &Item<'_>, filters: &[Expr]) -> Vec<Expr> {
    let is_own = |filter: &&Expr| {
        let entries = entries_of(filter);
        !entries.is_empty() && entries.is_subset(&item.entries)
    };
    filters.iter().filter(is_own).cloned().collect()
}

fn mask_of(items: &[Item<'_>], entries: &BTreeSet<usize>) -> u64 {
    let touched = items.iter().enumerate().filter(|(_, item)| !item.entries.is_disjoint(entries));
    touched.fold(0, |mask, (at, _)| mask | bit(at))
}

fn bit(at: usize) -> u64 {
    1u64.checked_shl(u32::try_from(at).unwrap_or(63)).unwrap_or(0)
}

impl Builder {
    /// The conditions between items.
    fn links(&mut self, items: &[Item<'_>], filters: &[Expr]) -> Vec<Link> {
        let mut found = Vec::new();
        for filter in filters.iter().filter(|filter| !is_volatile(filter)) {
            let mask = mask_of(items, &entries_of(filter));
            if mask.count_ones() < 2 {
                continue;
            }
            let mut equal = Vec::new();
            for (at, item) in items.iter().enumerate() {
                if let JoinTree::Entry(entry) = item.tree
                    && let Some((column, other)) = equality_of(filter, *entry)
                {
                    let others = mask_of(items, &entries_of(other));
                    if others & bit(at) == 0 {
                        equal.push((at, column, others));
                    }
                }
            }
            let passes = self.passing([filter], None);
            found.push(Link { items: mask, passes, equal });
        }
        found
    }
}

struct Found {
    items: Vec<usize>,
    by_key: bool,
}

fn search(facts: &[Facts], links: &[Link], bases: &[Step]) -> Option<Found> {
    if facts.len() > 63 {
        return None;
    }
    if facts.len() > EXHAUSTIVE_MAX {
        return greedy(facts, links, bases);
    }
    let full = bit(facts.len()) - 1;
    let mut best: Vec<Option<Step>> = vec![None; 1 << facts.len()];
    for base in bases {
        best[bit(base.item) as usize] = Some(*base);
    }
    for set in 1..=full {
        let Some(here) = best[set as usize] else { continue };
        for step in steps(facts, links, set, &here) {
            let after = (set | bit(step.item)) as usize;
            if best[after].is_none_or(|known| step.cost < known.cost) {
                best[after] = Some(step);
            }
        }
    }
    let mut items = Vec::new();
    let last = best[full as usize]?;
    let mut step = last;
    loop {
        items.push(step.item);
        if step.before == 0 {
            break;
        }
        step = best[step.before as usize]?;
    }
    items.reverse();
    Some(Found { items, by_key: last.by_key })
}

fn greedy(facts: &[Facts], links: &[Link], bases: &[Step]) -> Option<Found> {
    let least = |steps: Vec<Step>| steps.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut here = bases.iter().copied().min_by(|a, b| a.rows.total_cmp(&b.rows))?;
    let (mut set, mut items) = (bit(here.item), vec![here.item]);
    while items.len() < facts.len() {
        here = least(steps(facts, links, set, &here))?;
        set |= bit(here.item);
        items.push(here.item);
    }
    Some(Found { items, by_key: here.by_key })
}

/// What can be joined next to a set: what a condition connects, or else anything.
fn steps(facts: &[Facts], links: &[Link], set: u64, here: &Step) -> Vec<Step> {
    let (mut connected, mut others) = (Vec::new(), Vec::new());
    for (item, own) in facts.iter().enumerate() {
        if set & bit(item) != 0 || own.needs & !set != 0 {
            continue;
        }
        let after = set | bit(item);
        let (mut passes, mut links_here) = (1.0, 0);
        let mut columns = own.fixed.clone();
        for link in links {
            let is_here =
                link.items & !after == 0 && link.items & bit(item) != 0 && link.items & set != 0;
            if !is_here {
                continue;
            }
            links_here += 1;
            let own_column =
                link.equal.iter().find(|(at, _, others)| *at == item && others & !set == 0);
            passes *= link.passes;
            columns.extend(own_column.map(|(_, column, _)| *column));
        }
        let has_key = |key: &(Vec<i16>, bool)| {
            key.0.first().is_some_and(|first| columns.contains(first) && !own.fixed.contains(first))
        };
        let is_one = own
            .keys
            .iter()
            .any(|(key, unique)| *unique && key.iter().all(|column| columns.contains(column)));
        let mut rows = (here.rows * own.rows * passes).max(1.0);
        if is_one {
            rows = rows.min(here.rows);
        }
        let lookup = if links_here > 0 && own.keys.iter().any(has_key) {
            here.rows * LOOKUP + (here.rows * own.total * passes).max(1.0) * 2.0
        } else {
            f64::INFINITY
        };
        let scanned = if links_here > 0 || own.needs != 0 {
            own.cost + (here.rows + own.rows) * 0.5 + 10.0
        } else {
            own.cost + here.rows * own.rows + 10.0
        };
        let step = Step {
            cost: here.cost + lookup.min(scanned) + rows * 0.1,
            rows,
            before: set,
            item,
            by_key: here.by_key && lookup < f64::INFINITY,
        };
        if links_here > 0 || own.needs != 0 { connected.push(step) } else { others.push(step) }
    }
    if connected.is_empty() { others } else { connected }
}
