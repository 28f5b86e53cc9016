//! Statements that differ in their literals alone: the text with the literals taken out, and the
//! statement with parameters in their places.
//!
//! ```text
//! text ── Template::of ──► key, literals                 looked up for every statement
//! ast, literals ── lift ──► ast with $1, $2, …           once a key
//! ```
//!
//! A literal is lifted only where a parameter of its type means the same: compared or calculated with
//! what holds a column, an item of VALUES, an assigned value, LIMIT and OFFSET. The others are a part
//! of what the statement is.

use aegis_types::{Datum, EvalContext, Oid, SqlResult, TypeRef, io, type_oid as t};

use crate::ast::{
    AExprKind, Assignment, BoolOp, Const, ConstValue, Expr, ParamRef, SelectBody, SelectStmt,
    Statement,
};
use crate::parser::{Keyword, TokenKind, tokens_of};

/// Longer texts are not looked at.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// A statement with more literals is not one that comes again and again.
const LITERALS_MAX: usize = 200;

/// A text with its literals taken out.
#[derive(Debug)]
pub struct Template {
    /// The same for all texts that differ in literals of the same types.
    pub key: Vec<u8>,
    /// The literals, in order.
    pub literals: Vec<Literal>,
}

/// A literal of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    value: Value,
    /// Where it is; where its sign is, if that belongs to it.
    start: u32,
    sign: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Integer(i32),
    Number(Box<str>),
    String(Box<str>),
}

/// A literal that became a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// Which of the text's literals.
    pub literal: usize,
    /// Whether the minus before it is a part of its value.
    pub negated: bool,
    /// Its type; none for a string, whose type is told by its place.
    pub ty: Option<Oid>,
}

impl Template {
    /// The template of a text that is one SELECT, INSERT, UPDATE or DELETE.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let tokens = tokens_of(text)?;
        let first = tokens.first().map(|token| &token.kind);
        if !matches!(
            first,
            Some(TokenKind::Keyword(
                Keyword::Select | Keyword::Insert | Keyword::Update | Keyword::Delete
            ))
        ) {
            return None;
        }
        let mut key = Vec::with_capacity(text.len());
        let mut literals = Vec::new();
        let mut ended = false;
        let mut minus = None;
        for token in &tokens {
            if ended && !matches!(token.kind, TokenKind::End | TokenKind::Char(';')) {
                return None;
            }
            let sign = minus.take();
            let value = match &token.kind {
                TokenKind::Integer(number) => Value::Integer(*number),
                TokenKind::Float(text) => Value::Number(text.clone()),
                TokenKind::String(text) => Value::String(text.clone()),
                TokenKind::Param(_) | TokenKind::Error(_) | TokenKind::BitString(_) => return None,
                TokenKind::End => break,
                TokenKind::Char(';') => {
                    ended = true;
                    continue;
                }
                other => {
                    if *other == TokenKind::Char('-') {
                        minus = Some(token.start);
                    }
                    let (start, end) = (token.start as usize, token.end as usize);
                    key.extend_from_slice(text.get(start..end)?.as_bytes());
                    key.push(0);
                    continue;
                }
            };
            key.push(match &value {
                Value::Integer(_) => 1,
                Value::Number(text) if text.parse::<i64>().is_ok() => 2,
                Value::Number(_) => 3,
                Value::String(_) => 4,
            });
            key.push(0);
            literals.push(Literal { value, start: token.start, sign });
            if literals.len() > LITERALS_MAX {
                return None;
            }
        }
        Some(Self { key, literals })
    }

    /// The statement with parameters for the literals that can be lifted, and which those are.
    #[must_use]
    pub fn lift(&self, statement: &Statement) -> (Statement, Vec<Lifted>) {
        let mut lifting = Lifting { literals: &self.literals, lifted: Vec::new() };
        let mut statement = statement.clone();
        match &mut statement {
            Statement::Select(select) => lifting.select(select),
            Statement::Insert(insert) => {
                if let Some(SelectStmt { body: SelectBody::Values(rows), .. }) = &mut insert.source
                {
                    rows.iter_mut().flatten().for_each(|value| lifting.literal(value));
                }
            }
            Statement::Update(update) => {
                for assignment in &mut update.assignments {
                    if let Assignment::Single { value, .. } = assignment {
                        lifting.literal(value);
                        lifting.calculated(value);
                    }
                }
                update.where_clause.iter_mut().for_each(|clause| lifting.condition(clause));
            }
            Statement::Delete(delete) => {
                delete.where_clause.iter_mut().for_each(|clause| lifting.condition(clause));
            }
            _ => {}
        }
        (statement, lifting.lifted)
    }

    /// The literals that are not lifted: they are a part of the statement.
    #[must_use]
    pub fn rest(&self, lifted: &[Lifted]) -> Vec<(usize, Literal)> {
        let is_lifted = |at: usize| lifted.iter().any(|one| one.literal == at);
        let rest = self.literals.iter().enumerate().filter(|(at, _)| !is_lifted(*at));
        rest.map(|(at, literal)| (at, literal.clone())).collect()
    }

    /// Whether the text has these literals in these places.
    #[must_use]
    pub fn has(&self, rest: &[(usize, Literal)]) -> bool {
        rest.iter().all(|(at, literal)| {
            self.literals.get(*at).is_some_and(|own| own.value == literal.value)
        })
    }

    /// The values of parameters of these types.
    ///
    /// # Errors
    /// What their input functions raise.
    pub fn values(
        &self,
        lifted: &[Lifted],
        types: &[TypeRef],
        eval: &EvalContext<'_>,
    ) -> SqlResult<Vec<Datum>> {
        let value = |(one, ty): (&Lifted, &TypeRef)| {
            let sign = if one.negated { "-" } else { "" };
            match &self.literals[one.literal].value {
                Value::Integer(number) if ty.oid == t::INT4 => {
                    Ok(Datum::Int4(if one.negated { -number } else { *number }))
                }
                Value::Integer(number) => io::text_in(*ty, &format!("{sign}{number}"), eval),
                Value::Number(text) => io::text_in(*ty, &format!("{sign}{text}"), eval),
                Value::String(text) => io::text_in(*ty, text, eval),
            }
        };
        lifted.iter().zip(types).map(value).collect()
    }
}

struct Lifting<'a> {
    literals: &'a [Literal],
    lifted: Vec<Lifted>,
}

impl Lifting<'_> {
    fn select(&mut self, select: &mut SelectStmt) {
        if let SelectBody::Simple(simple) = &mut select.body {
            simple.where_clause.iter_mut().for_each(|clause| self.condition(clause));
        }
        if !select.limit_with_ties {
            select.limit_count.iter_mut().for_each(|count| self.literal(count));
            select.limit_offset.iter_mut().for_each(|count| self.literal(count));
        }
    }

    /// What must hold of a row.
    fn condition(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Bool(connective) if connective.op != BoolOp::Not => {
                connective.args.iter_mut().for_each(|arg| self.condition(arg));
            }
            Expr::AExpr(operator) if operator.kind == AExprKind::Op => {
                let is_comparison = matches!(
                    operator.name.as_slice(),
                    [name] if matches!(name.as_str(), "=" | "<>" | "<" | ">" | "<=" | ">=")
                );
                if let (true, Some(left)) = (is_comparison, &mut operator.left) {
                    self.beside(left, &mut operator.right);
                }
            }
            Expr::Between(between) if names_column(&between.arg) => {
                self.literal(&mut between.low);
                self.literal(&mut between.high);
            }
            _ => {}
        }
    }

    /// Calculation with a column.
    fn calculated(&mut self, expr: &mut Expr) {
        if let Expr::AExpr(operator) = expr
            && operator.kind == AExprKind::Op
            && matches!(
                operator.name.as_slice(),
                [name] if matches!(name.as_str(), "+" | "-" | "*" | "/" | "%")
            )
            && let Some(left) = &mut operator.left
        {
            self.beside(left, &mut operator.right);
        }
    }

    /// Two operands: a literal beside a column.
    fn beside(&mut self, left: &mut Expr, right: &mut Expr) {
        match (names_column(left), names_column(right)) {
            (true, false) => {
                self.calculated(left);
                self.literal(right);
            }
            (false, true) => {
                self.literal(left);
                self.calculated(right);
            }
            (true, true) => {
                self.calculated(left);
                self.calculated(right);
            }
            (false, false) => {}
        }
    }

    /// Makes a literal a parameter.
    fn literal(&mut self, expr: &mut Expr) {
        let Expr::Const(Const { value, location }) = expr else { return };
        let at = self
            .literals
            .iter()
            .position(|literal| literal.start == *location || literal.sign == Some(*location));
        let Some(at) = at else { return };
        let literal = &self.literals[at];
        let ty = match value {
            ConstValue::Integer(_) => Some(t::INT4),
            ConstValue::Float(text) if text.parse::<i64>().is_ok() => Some(t::INT8),
            ConstValue::Float(_) => Some(t::NUMERIC),
            ConstValue::String(_) => None,
            _ => return,
        };
        // A number that the sign makes fit into another type is another statement's.
        let negated = literal.start != *location;
        let own = match &literal.value {
            Value::Integer(_) => Some(t::INT4),
            Value::Number(text) if text.parse::<i64>().is_ok() => Some(t::INT8),
            Value::Number(_) => Some(t::NUMERIC),
            Value::String(_) => None,
        };
        if own != ty || self.lifted.iter().any(|one| one.literal == at) {
            return;
        }
        self.lifted.push(Lifted { literal: at, negated, ty });
        let number = i32::try_from(self.lifted.len()).unwrap_or(i32::MAX);
        *expr = Expr::Param(ParamRef { number, location: *location });
    }
}

/// Whether an expression is a column, or calculates with one.
fn names_column(expr: &Expr) -> bool {
    match expr {
        Expr::ColumnRef(_) => true,
        Expr::AExpr(operator) if operator.kind == AExprKind::Op => {
            operator.left.as_ref().is_some_and(names_column) || names_column(&operator.right)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifted(text: &str) -> (Vec<u8>, usize, usize) {
        let template = Template::of(text).expect("a template");
        let statement = crate::parser::parse(text).unwrap().remove(0).statement;
        let (_, lifted) = template.lift(&statement);
        (template.key, template.literals.len(), lifted.len())
    }

    #[test]
    fn texts_that_differ_in_literals_have_one_template() {
        let (one, literals, params) = lifted("SELECT a FROM t WHERE id = 5 AND b < 'x' LIMIT 1");
        let (other, ..) = lifted("SELECT a  FROM t\nWHERE id = 70 AND b < 'y' LIMIT 2;");
        assert_eq!((one, literals, params), (other, 3, 3));
        let (big, ..) = lifted("SELECT a FROM t WHERE id = 5000000000 AND b < 'x' LIMIT 1");
        let (small, ..) = lifted("SELECT a FROM t WHERE id = 5 AND b < 'x' LIMIT 1");
        assert_ne!(big, small);
    }

    #[test]
    fn only_what_a_parameter_can_stand_for_is_lifted() {
        assert_eq!(lifted("SELECT 1, 'a' FROM t WHERE 1 = 1 ORDER BY 2").2, 0);
        assert_eq!(lifted("SELECT a FROM t WHERE d = date '2020-01-01'").2, 0);
        assert_eq!(lifted("SELECT a FROM t WHERE a LIKE 'x%' OR f(1) = a").2, 0);
        assert_eq!(lifted("UPDATE t SET a = a + -1, b = -2 WHERE c - 3 = 4").2, 4);
        assert_eq!(lifted("INSERT INTO t VALUES (1, 'x', 2 + 3), (-4, NULL, 5.5)").2, 4);
    }

    #[test]
    fn what_is_no_single_statement_has_no_template() {
        for text in ["SELECT 1; SELECT 2", "BEGIN", "SELECT $1", "SELECT 'x", ""] {
            assert!(Template::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn values_have_their_signs() {
        let text = "UPDATE t SET a = a - 5, b = -7 WHERE c = -8000000000";
        let template = Template::of(text).unwrap();
        let statement = crate::parser::parse(text).unwrap().remove(0).statement;
        let (_, lifted) = template.lift(&statement);
        let types: Vec<TypeRef> =
            lifted.iter().map(|one| TypeRef::plain(one.ty.unwrap_or(t::TEXT))).collect();
        let settings = aegis_types::FormatSettings::default();
        let eval = EvalContext {
            settings: &settings,
            transaction_timestamp: 0,
            statement_timestamp: 0,
            host: &aegis_types::context::NoHost,
        };
        let values = template.values(&lifted, &types, &eval).unwrap();
        assert!(matches!(
            values.as_slice(),
            [Datum::Int4(5), Datum::Int4(-7), Datum::Int8(-8_000_000_000)]
        ));
    }
}
