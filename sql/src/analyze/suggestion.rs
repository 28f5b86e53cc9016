//! Errors about names that mean nothing, with PostgreSQL's hints about what was meant.

use aegis_types::{SqlError, SqlState};

use super::Analyzer;

/// Names farther from what was written are not suggested.
const DISTANCE_MAX: usize = 3;

/// The closest columns found so far.
struct Closest {
    distance: usize,
    first: Option<(String, Option<String>)>,
    second: Option<(String, String)>,
}

impl Closest {
    /// Takes a column into account (`updateFuzzyAttrMatchState`).
    fn consider(&mut self, penalty: usize, alias: &str, actual: &str, wanted: &str) {
        if penalty > self.distance || actual.is_empty() {
            return;
        }
        let distance = levenshtein(actual, wanted);
        if distance > wanted.len() / 2 {
            return;
        }
        let distance = distance + penalty;
        if distance < self.distance {
            self.distance = distance;
            self.first = Some((alias.to_owned(), Some(actual.to_owned())));
            self.second = None;
        } else if distance == self.distance {
            if self.second.is_some() {
                self.first = None;
                self.second = None;
            } else if matches!(&self.first, Some((_, Some(_)))) {
                self.second = Some((alias.to_owned(), actual.to_owned()));
            } else if self.distance <= DISTANCE_MAX {
                self.first = Some((alias.to_owned(), Some(actual.to_owned())));
            }
        }
    }
}

impl Analyzer<'_> {
    /// 42703, with the column that was perhaps meant (`errorMissingColumn`).
    pub(super) fn missing_column(
        &self,
        qualifier: Option<&str>,
        column: &str,
        at: u32,
    ) -> SqlError {
        let message = match qualifier {
            Some(qualifier) => format!("column {qualifier}.{column} does not exist"),
            None => format!("column \"{column}\" does not exist"),
        };
        let error = SqlError::new(SqlState::UndefinedColumn, message).at(at);
        let closest = self.closest_column(qualifier, column);
        match (closest.first, closest.second) {
            (Some((alias, Some(name))), None) => {
                error.hint(format!("Perhaps you meant to reference the column \"{alias}.{name}\"."))
            }
            (Some((alias, None)), _) => error.hint(format!(
                "There is a column named \"{column}\" in table \"{alias}\", but it cannot be \
                 referenced from this part of the query."
            )),
            (Some((alias, Some(name))), Some((other_alias, other_name))) => error.hint(format!(
                "Perhaps you meant to reference the column \"{alias}.{name}\" or the column \
                 \"{other_alias}.{other_name}\"."
            )),
            (None, _) => error,
        }
    }

    fn closest_column(&self, qualifier: Option<&str>, column: &str) -> Closest {
        let mut closest = Closest { distance: DISTANCE_MAX + 1, first: None, second: None };
        for scope in self.scopes.iter().rev() {
            for entry in scope.insert_target.iter().chain(&scope.range_table) {
                let penalty = qualifier.map_or(0, |qualifier| levenshtein(qualifier, &entry.alias));
                let penalty = penalty.min(DISTANCE_MAX + 1);
                let mut exact = false;
                for candidate in entry.columns.iter().filter(|column| !column.dropped) {
                    if candidate.name == column {
                        exact = true;
                    } else {
                        closest.consider(penalty, &entry.alias, &candidate.name, column);
                    }
                }
                if exact && penalty == 0 {
                    closest.first = Some((entry.alias.clone(), None));
                    closest.second = None;
                    return closest;
                }
            }
        }
        closest
    }

    /// 42P01 about a qualifier that names nothing here (`errorMissingRTE`).
    pub(super) fn missing_entry(&self, schema: Option<&str>, name: &str, at: u32) -> SqlError {
        let found = self.scopes.iter().rev().find_map(|scope| {
            scope.range_table.iter().zip(&scope.entries).find_map(|(entry, info)| {
                let by_alias = schema.is_none() && entry.alias == name;
                let by_relation = info.relation_name.as_deref() == Some(name);
                (by_alias || by_relation).then(|| (entry.alias.clone(), info.aliased))
            })
        });
        let Some((alias, aliased)) = found else {
            return SqlError::new(
                SqlState::UndefinedTable,
                format!("missing FROM-clause entry for table \"{name}\""),
            )
            .at(at);
        };
        let error = SqlError::new(
            SqlState::UndefinedTable,
            format!("invalid reference to FROM-clause entry for table \"{name}\""),
        )
        .at(at);
        let visible = self.scopes.iter().any(|scope| {
            scope.namespace.iter().any(|item| {
                item.name == alias
                    && item.name_visible
                    && (!item.lateral_only || scope.lateral_active)
            })
        });
        if aliased && alias != name && visible {
            error.hint(format!("Perhaps you meant to reference the table alias \"{alias}\"."))
        } else {
            error.hint(format!(
                "There is an entry for table \"{alias}\", but it cannot be referenced from this \
                 part of the query."
            ))
        }
    }
}

/// The number of insertions, deletions and substitutions of bytes between two names.
fn levenshtein(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
