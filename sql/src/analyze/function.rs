//! Functions by name and argument types (PostgreSQL's `func_get_detail`).

use std::cmp::Ordering;
use std::sync::Arc;

use aegis_types::builtin::{CastContext, FunctionKind, FunctionRef, FunctionRow, builtins};
use aegis_types::{Oid, SqlResult, type_oid as t};

use super::Analyzer;
use super::coerce::Pathway;
use super::node::Node;
use crate::ast::CallForm;

/// A function that a call may mean, its parameters in the order of the call's arguments.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The function.
    pub(super) row: FunctionRef,
    /// Where its schema is in the search path.
    place: usize,
    /// The type of each argument, defaults' ones at the end.
    pub(super) args: Vec<Oid>,
    /// Which parameter each argument is, where arguments are named.
    pub(super) numbers: Option<Vec<usize>>,
    /// How many arguments go into the variadic array; 0 if none does.
    pub(super) variadic: usize,
    /// How many parameters take their defaults.
    pub(super) defaults: usize,
    /// Whether another function would be just as good.
    pub(super) ambiguous: bool,
}

/// What a call was found to mean.
pub(super) enum Detail {
    /// A function, aggregate, window function or procedure.
    Function(Candidate),
    /// A cast to the type of the function's name.
    Coercion(Oid),
    /// Several functions alike.
    Multiple,
    /// Nothing.
    NotFound,
}

impl Analyzer<'_> {
    /// What a call by this name means.
    pub(super) fn function_detail(
        &self,
        name: &[String],
        args: &[Node],
        argument_names: &[Option<String>],
        expand: bool,
        form: CallForm,
    ) -> SqlResult<Detail> {
        let types: Vec<Oid> = args.iter().map(Node::oid).collect();
        let candidates =
            self.function_candidates(name, types.len(), argument_names, expand, form)?;
        let exact = candidates.iter().find(|candidate| candidate.args[..types.len()] == types[..]);
        let best = match exact {
            Some(exact) => Some(exact.clone()),
            None => {
                if let ([arg], false) = (args, argument_names.iter().any(Option::is_some))
                    && let Some(target) = self.coercion_by_name(name, arg)
                {
                    return Ok(Detail::Coercion(target));
                }
                let matching =
                    self.matching(&types, candidates, |candidate: &Candidate| &candidate.args[..]);
                match matching.len() {
                    0 => None,
                    1 => matching.into_iter().next(),
                    _ => {
                        match self.best_candidate(&types, matching, |candidate| &candidate.args[..])
                        {
                            Some(best) => Some(best),
                            None => return Ok(Detail::Multiple),
                        }
                    }
                }
            }
        };
        Ok(match best {
            None => Detail::NotFound,
            Some(best) if best.ambiguous => Detail::Multiple,
            Some(best) => Detail::Function(best),
        })
    }

    /// The type that a call with one argument casts to, where its name is a type's and the cast
    /// needs no function.
    fn coercion_by_name(&self, name: &[String], arg: &Node) -> Option<Oid> {
        let target = match name {
            [name] => self.type_in_path(name)?,
            [schema, name] if schema == "pg_catalog" => builtins().type_named(name)?.oid,
            _ => return None,
        };
        if self.is_composite(target) || builtins().type_row(target)?.kind == b'p' {
            return None;
        }
        if arg.is_unknown_literal() {
            return Some(target);
        }
        let source = arg.oid();
        match self.pathway(target, source, CastContext::Explicit)? {
            Pathway::Relabel => Some(target),
            Pathway::Text => {
                let row = source == t::RECORD || self.is_composite(source);
                (!(row && self.category(target).0 == b'S')).then_some(target)
            }
            Pathway::Function(_) | Pathway::Array => None,
        }
    }

    /// The functions that could take so many arguments (`FuncnameGetCandidates`).
    fn function_candidates(
        &self,
        name: &[String],
        count: usize,
        argument_names: &[Option<String>],
        expand: bool,
        form: CallForm,
    ) -> SqlResult<Vec<Candidate>> {
        let Some((function, qualifiers)) = name.split_last() else {
            return Ok(Vec::new());
        };
        if let [database, _] = qualifiers {
            self.check_database(database, name)?;
        }
        let schemas: Vec<Oid> = match qualifiers.last() {
            Some(schema) => {
                let oid = self.schema_oid(schema)?;
                let context = &self.context;
                if !self.stored_text
                    && !context.system_relations.may_use_schema(context.catalog, oid)
                {
                    return Err(crate::ddl::denied("schema", schema));
                }
                vec![oid]
            }
            None => self.effective_path().collect(),
        };
        let named = argument_names.iter().any(Option::is_some);
        let mut candidates: Vec<Candidate> = Vec::new();
        for row in self.context.catalog.functions_named(function) {
            let Some(place) = schemas.iter().position(|schema| *schema == row.schema) else {
                continue;
            };
            let row = if form == CallForm::Procedure { with_outputs(row) } else { row };
            let candidate = if named {
                match_named(row, count, argument_names, expand)
            } else {
                match_positional(row, count, expand)
            };
            if let Some(candidate) = candidate {
                add_candidate(&mut candidates, Candidate { place, ..candidate }, count);
            }
        }
        Ok(candidates)
    }
}

/// A procedure as `CALL` names it: its outputs are arguments too.
fn with_outputs(row: FunctionRef) -> FunctionRef {
    if row.kind != FunctionKind::Procedure || !row.modes.contains(&b'o') {
        return row;
    }
    let arguments = row.all_arguments.clone();
    FunctionRef::User(Arc::new(FunctionRow { arguments, ..(*row).clone() }))
}

fn match_positional(row: FunctionRef, count: usize, expand: bool) -> Option<Candidate> {
    let parameters = row.arguments.len();
    let variadic = expand && row.variadic.is_some() && parameters <= count;
    let defaults = if parameters > count {
        if count + row.default_count < parameters {
            return None;
        }
        parameters - count
    } else {
        0
    };
    if parameters != count && !variadic && defaults == 0 {
        return None;
    }
    let mut args = row.arguments.clone();
    let mut surplus = 0;
    if variadic {
        surplus = count + 1 - parameters;
        args.truncate(parameters - 1);
        args.resize(count, row.variadic);
    }
    Some(Candidate {
        row,
        place: 0,
        args,
        numbers: None,
        variadic: surplus,
        defaults,
        ambiguous: false,
    })
}

/// Matches a call with named arguments (`MatchNamedCall`).
fn match_named(
    row: FunctionRef,
    count: usize,
    argument_names: &[Option<String>],
    expand: bool,
) -> Option<Candidate> {
    let parameters = row.arguments.len();
    if (row.variadic.is_some() && expand) || row.names.is_empty() || parameters < count {
        return None;
    }
    if parameters > count && count + row.default_count < parameters {
        return None;
    }
    let inputs: Vec<&str> = if row.modes.is_empty() {
        row.names.iter().map(|name| &**name).take(parameters).collect()
    } else {
        let with_outputs = row.arguments.len() == row.all_arguments.len();
        let is_given = |mode: u8| {
            matches!(mode, b'i' | b'b' | b'v')
                || mode == b'o' && with_outputs && row.kind == FunctionKind::Procedure
        };
        let pairs = row.names.iter().zip(&row.modes);
        pairs.filter(|(_, mode)| is_given(**mode)).map(|(n, _)| &**n).collect()
    };
    let mut used = vec![false; parameters];
    let mut numbers = Vec::with_capacity(parameters);
    for (at, name) in argument_names.iter().enumerate() {
        let number = match name {
            None => at,
            Some(name) => inputs.iter().position(|input| *input == name.as_str())?,
        };
        if std::mem::replace(used.get_mut(number)?, true) {
            return None;
        }
        numbers.push(number);
    }
    let first_default = parameters - row.default_count;
    for (number, used) in used.iter().enumerate() {
        if !used {
            if number < first_default {
                return None;
            }
            numbers.push(number);
        }
    }
    let args = numbers.iter().map(|number| row.arguments[*number]).collect();
    let defaults = parameters - count;
    Some(Candidate {
        row,
        place: 0,
        args,
        numbers: Some(numbers),
        variadic: 0,
        defaults,
        ambiguous: false,
    })
}

/// Adds a candidate unless one that takes the same arguments is better.
fn add_candidate(candidates: &mut Vec<Candidate>, candidate: Candidate, count: usize) {
    let special = |c: &Candidate| c.variadic > 0 || c.defaults > 0 || c.numbers.is_some();
    let twin = candidates.iter_mut().find(|other| other.args[..count] == candidate.args[..count]);
    let Some(twin) = twin else {
        candidates.push(candidate);
        return;
    };
    // Of two alike the one that the path finds first; in one schema, the plainer one.
    let mut preference = candidate.place.cmp(&twin.place);
    if special(twin) || special(&candidate) {
        preference = preference
            .then((candidate.variadic > 0).cmp(&(twin.variadic > 0)))
            .then((candidate.defaults > 0).cmp(&(twin.defaults > 0)));
    }
    match preference {
        Ordering::Less => *twin = candidate,
        Ordering::Greater => {}
        Ordering::Equal => twin.ambiguous = true,
    }
}
