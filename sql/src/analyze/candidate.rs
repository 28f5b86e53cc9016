//! Which of several functions or operators a call means (PostgreSQL 15, chapters 10.2 and 10.3).

use aegis_types::builtin::CastContext;
use aegis_types::{Oid, type_oid as t};

use super::Analyzer;

impl Analyzer<'_> {
    /// The candidates that can take the arguments without a written cast (`func_match_argtypes`).
    pub(super) fn matching<T>(
        &self,
        inputs: &[Oid],
        candidates: Vec<T>,
        arguments: impl Fn(&T) -> &[Oid],
    ) -> Vec<T> {
        candidates
            .into_iter()
            .filter(|candidate| {
                self.can_coerce(
                    inputs,
                    &arguments(candidate)[..inputs.len()],
                    CastContext::Implicit,
                )
            })
            .collect()
    }

    /// The one best candidate of several that match (`func_select_candidate`).
    pub(super) fn best_candidate<T>(
        &self,
        inputs: &[Oid],
        candidates: Vec<T>,
        arguments: impl Fn(&T) -> &[Oid],
    ) -> Option<T> {
        let base: Vec<Oid> = inputs.iter().map(|input| self.base_type(*input)).collect();
        let inputs = base.as_slice();
        let unknowns = inputs.iter().filter(|input| **input == t::UNKNOWN).count();
        let exact = |candidate: &T| {
            let pairs = inputs.iter().zip(arguments(candidate));
            pairs.filter(|(input, want)| **input != t::UNKNOWN && input == want).count()
        };
        let candidates = keep_best(candidates, exact);
        if candidates.len() == 1 {
            return candidates.into_iter().next();
        }
        let exact_or_preferred = |candidate: &T| {
            let pairs = inputs.iter().zip(arguments(candidate));
            pairs
                .filter(|(input, want)| {
                    **input != t::UNKNOWN
                        && (input == want || {
                            let (category, preferred) = self.category(**want);
                            preferred && category == self.category(**input).0
                        })
                })
                .count()
        };
        let candidates = keep_best(candidates, exact_or_preferred);
        if candidates.len() == 1 || unknowns == 0 {
            return (candidates.len() == 1).then(|| candidates.into_iter().next()).flatten();
        }
        let candidates = self.keep_category(inputs, candidates, &arguments);
        if candidates.len() == 1 {
            return candidates.into_iter().next();
        }
        self.assume_alike(inputs, candidates, &arguments)
    }

    /// Chooses a category for each argument of unknown type, strings winning, and keeps the
    /// candidates of those categories; all of them where that decides nothing.
    fn keep_category<T>(
        &self,
        inputs: &[Oid],
        candidates: Vec<T>,
        arguments: &impl Fn(&T) -> &[Oid],
    ) -> Vec<T> {
        let mut wanted: Vec<Option<(u8, bool)>> = vec![None; inputs.len()];
        for (at, input) in inputs.iter().enumerate() {
            if *input != t::UNKNOWN {
                continue;
            }
            let mut slot: Option<(u8, bool)> = None;
            let mut conflict = false;
            for candidate in &candidates {
                let (category, preferred) = self.category(arguments(candidate)[at]);
                match &mut slot {
                    None => slot = Some((category, preferred)),
                    Some((chosen, any_preferred)) if *chosen == category => {
                        *any_preferred |= preferred;
                    }
                    Some(_) if category == b'S' => slot = Some((category, preferred)),
                    Some(_) => conflict = true,
                }
            }
            if conflict && slot.is_none_or(|(category, _)| category != b'S') {
                return candidates;
            }
            wanted[at] = slot;
        }
        let keeps = |candidate: &T| {
            wanted.iter().zip(arguments(candidate)).all(|(wanted, argument)| match wanted {
                None => true,
                Some((category, want_preferred)) => {
                    let (actual, preferred) = self.category(*argument);
                    actual == *category && (preferred || !*want_preferred)
                }
            })
        };
        if candidates.iter().any(keeps) {
            candidates.into_iter().filter(keeps).collect()
        } else {
            candidates
        }
    }

    /// Where all known arguments are of one type, assumes that of the unknown ones too.
    fn assume_alike<T>(
        &self,
        inputs: &[Oid],
        candidates: Vec<T>,
        arguments: &impl Fn(&T) -> &[Oid],
    ) -> Option<T> {
        let mut known = inputs.iter().filter(|input| **input != t::UNKNOWN);
        let first = *known.next()?;
        if known.any(|input| *input != first) {
            return None;
        }
        let alike = vec![first; inputs.len()];
        let mut fitting = candidates.into_iter().filter(|candidate| {
            self.can_coerce(&alike, &arguments(candidate)[..alike.len()], CastContext::Implicit)
        });
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }
}

fn keep_best<T>(candidates: Vec<T>, score: impl Fn(&T) -> usize) -> Vec<T> {
    let best = candidates.iter().map(&score).max().unwrap_or_default();
    candidates.into_iter().filter(|candidate| score(candidate) == best).collect()
}
