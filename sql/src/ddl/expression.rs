//! Expressions and types of definitions: analyzed, and kept as text.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::builtin::{Volatility, builtins};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::Ddl;
use crate::analyze::{Analyzer, AnalyzerContext, ExprPlace, format_type};
use crate::ast::{ConstValue, Expr, TypeName};
use crate::bound;
use crate::evaluate::Program;
use crate::parser;

/// How many places where a default may end are tried.
const ENDS_MAX: usize = 32;

impl Ddl<'_> {
    /// An analyzer over the catalog as it is now.
    pub(super) fn analyzer(&self) -> Analyzer<'_> {
        self.analyzer_under(&self.search_path)
    }

    /// The same under another search path.
    pub(super) fn analyzer_under<'b>(&'b self, search_path: &'b [Oid]) -> Analyzer<'b> {
        Analyzer::new(AnalyzerContext {
            catalog: &self.context.catalog,
            database: self.context.database,
            search_path,
            system_relations: &*self.context.system_relations,
            eval: self.context.eval(),
            parameters: Vec::new(),
            infer_parameters: false,
        })
    }

    /// The type of a column: 42P16 for a pseudo-type.
    pub(super) fn column_type(&self, name: &TypeName, column: &str) -> SqlResult<TypeRef> {
        if name.setof {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!("column \"{column}\" cannot be declared SETOF"),
            ));
        }
        let ty = self.analyzer().resolve_type_name(name)?;
        if builtins().type_row(ty.oid).is_some_and(|row| row.kind == b'p') {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!("column \"{column}\" has pseudo-type {}", self.type_name(ty.oid)),
            ));
        }
        Ok(ty)
    }

    /// A type's name as messages have it.
    pub(super) fn type_name(&self, oid: Oid) -> String {
        format_type(&self.context.catalog, &self.search_path, TypeRef::plain(oid))
    }

    /// Analyzes an expression over a relation.
    pub(super) fn bind(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
        place: ExprPlace,
        coerce_to: Option<(TypeRef, &str)>,
    ) -> SqlResult<bound::Expr> {
        self.analyzer().analyze_expr_over_relation(expr, relation, place, coerce_to)
    }

    /// The text of a default and what it means; none for a plain NULL.
    pub(super) fn default(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
        ty: TypeRef,
        column: &str,
        source: &str,
    ) -> SqlResult<Option<(String, bound::Expr)>> {
        let bound = self.bind(expr, relation, ExprPlace::Default, Some((ty, column)))?;
        let text = match expr {
            Expr::Const(constant) => match &constant.value {
                ConstValue::Null => return Ok(None),
                ConstValue::String(text) => {
                    format!("{}::{}", literal(text), self.type_name(ty.oid))
                }
                ConstValue::Integer(number) if *number < 0 => {
                    format!("'{number}'::{}", self.type_name(ty.oid))
                }
                _ => default_source(source, expr)?,
            },
            Expr::Func(call) => match (call.name.as_slice(), call.args.as_slice()) {
                ([.., name], [argument]) if is_sequence_function(name) => {
                    match self.sequence_named(argument)? {
                        Some(sequence) => format!("{name}({sequence}::regclass)"),
                        None => default_source(source, expr)?,
                    }
                }
                _ => default_source(source, expr)?,
            },
            _ => default_source(source, expr)?,
        };
        Ok(Some((text, bound)))
    }

    /// The literal of a sequence's qualified name, where the argument is a literal name.
    fn sequence_named(&self, argument: &Expr) -> SqlResult<Option<String>> {
        let constant = match argument {
            Expr::Const(constant) => constant,
            Expr::TypeCast(cast) => match &cast.arg {
                Expr::Const(constant) => constant,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let ConstValue::String(text) = &constant.value else {
            return Ok(None);
        };
        let oid = self.context.host.reg_in(aegis_types::type_oid::REGCLASS, text)?;
        let relation = self.relation(oid)?;
        Ok(Some(literal(&self.qualified(relation.schema, &relation.name))))
    }

    /// The text of a CHECK condition, what it means, and the columns it names.
    pub(super) fn check_condition(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
        source: &str,
    ) -> SqlResult<(String, bound::Expr, Vec<i16>)> {
        let bound = self.bind(expr, relation, ExprPlace::Check, None)?;
        let mut columns = Vec::new();
        collect_columns(&bound, &mut columns);
        columns.sort_unstable();
        columns.dedup();
        Ok((check_source(source, expr)?, bound, columns))
    }
}

/// A program over a row with a datum for every column ever added.
pub(super) fn compile_over_row(expr: &bound::Expr) -> SqlResult<Program> {
    Program::compile(expr, &mut |_, column, _| {
        usize::try_from(column - 1)
            .map_err(|_| SqlError::unsupported("a system column in a constraint"))
    })
}

/// The columns of the relation that an expression names.
pub(super) fn collect_columns(expr: &bound::Expr, columns: &mut Vec<i16>) {
    if let bound::Expr::Column { column, .. } = expr {
        columns.push(*column);
    }
    expr.for_each_child(&mut |child| collect_columns(child, columns));
}

/// Whether an expression may give another value each time.
pub(super) fn is_volatile(expr: &bound::Expr) -> bool {
    let own = match expr {
        bound::Expr::Call(call) => builtins()
            .function(call.function)
            .is_none_or(|function| function.volatility == Volatility::Volatile),
        bound::Expr::NextValue { .. } => true,
        _ => false,
    };
    let mut found = own;
    expr.for_each_child(&mut |child| found |= is_volatile(child));
    found
}

fn is_sequence_function(name: &str) -> bool {
    matches!(name, "nextval" | "currval")
}

/// A string as SQL writes it.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

fn lost() -> SqlError {
    SqlError::internal("the text of an expression was not found")
}

/// The tokens of the text, and the one behind the last `word` before the expression.
fn tokens_behind(source: &str, word: &str, expr: &Expr) -> SqlResult<(Vec<(usize, usize)>, usize)> {
    let location = usize::try_from(expr.location()).map_err(|_| lost())?;
    let tokens = parser::token_spans(source);
    let at = tokens
        .iter()
        .rposition(|(start, end)| {
            *end <= location && source[*start..*end].eq_ignore_ascii_case(word)
        })
        .ok_or_else(lost)?;
    Ok((tokens, at + 1))
}

/// What stands between the parentheses behind `CHECK`.
fn check_source(source: &str, expr: &Expr) -> SqlResult<String> {
    let (tokens, first) = tokens_behind(source, "check", expr)?;
    let mut depth = 0_usize;
    let mut start = None;
    for (from, to) in &tokens[first..] {
        match &source[*from..*to] {
            "(" => {
                depth += 1;
                start.get_or_insert(*to);
            }
            ")" => {
                depth = depth.checked_sub(1).ok_or_else(lost)?;
                if depth == 0 {
                    let start = start.ok_or_else(lost)?;
                    return Ok(source[start..*from].trim().to_owned());
                }
            }
            _ => {}
        }
    }
    Err(lost())
}

/// What stands behind `DEFAULT`, up to where the next constraint or the column ends: the longest
/// text that is an expression.
fn default_source(source: &str, expr: &Expr) -> SqlResult<String> {
    let (tokens, first) = tokens_behind(source, "default", expr)?;
    let start = tokens.get(first).ok_or_else(lost)?.0;
    let mut depth = 0_usize;
    let mut ends = Vec::new();
    let mut last = source.len();
    for (from, to) in &tokens[first..] {
        let token = &source[*from..*to];
        match token {
            "(" | "[" => depth += 1,
            ")" | "]" | "," | ";" if depth == 0 => {
                last = *from;
                break;
            }
            ")" | "]" => depth -= 1,
            _ if depth == 0 && *from > start && begins_constraint(token) => ends.push(*from),
            _ => {}
        }
    }
    ends.push(last);
    ends.iter()
        .rev()
        .take(ENDS_MAX)
        .map(|end| source[start..*end].trim())
        .find(|text| parser::parse_expr(text).is_ok())
        .map(str::to_owned)
        .ok_or_else(lost)
}

fn begins_constraint(token: &str) -> bool {
    [
        "constraint",
        "not",
        "null",
        "unique",
        "primary",
        "check",
        "references",
        "generated",
        "deferrable",
        "initially",
        "collate",
        "default",
    ]
    .iter()
    .any(|word| token.eq_ignore_ascii_case(word))
}
