//! Assignments to parts of columns: elements, slices, fields, and what is within them (PostgreSQL's
//! `transformAssignmentIndirection`).

use aegis_catalog::Column;
use aegis_types::builtin::CastContext;
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::node::Node;
use crate::ast::{AssignTarget, IndirectionElement};
use crate::bound::{CallForm, Expr, Subscript};

/// One step into a value.
enum Step {
    /// A field of a row: its place, and the names of all fields.
    Field { index: usize, names: Vec<String> },
    /// Subscripts that stand together.
    Subscripts { subscripts: Vec<Subscript>, ty: TypeRef },
}

/// A part of a column.
pub(super) struct Part {
    /// The way to it, each step with the type of what it is a step into, domains taken off.
    steps: Vec<(Step, TypeRef)>,
    leaf: TypeRef,
    /// The last name on the way, and whether subscripts follow it.
    name: String,
    is_element: bool,
    at: u32,
}

impl Part {
    /// The type of what goes there.
    pub(super) fn ty(&self) -> TypeRef {
        self.leaf
    }

    /// 0A000
    pub(super) fn no_default(&self) -> SqlError {
        let what = if self.is_element { "an array element" } else { "a subfield" };
        SqlError::new(SqlState::FeatureNotSupported, format!("cannot set {what} to DEFAULT"))
            .at(self.at)
    }
}

impl Analyzer<'_> {
    /// The part of a column that an assignment names.
    pub(super) fn part_of(&mut self, column: &Column, target: &AssignTarget) -> SqlResult<Part> {
        let at = target.location;
        let mut part = Part {
            steps: Vec::new(),
            leaf: column.ty,
            name: column.name.clone(),
            is_element: false,
            at,
        };
        let mut rest = target.indirection.as_slice();
        while let Some(first) = rest.first() {
            let within = self.domain_base(part.leaf.oid).unwrap_or(part.leaf);
            let is_subscript = |step: &IndirectionElement| {
                matches!(step, IndirectionElement::Index(_) | IndirectionElement::Slice { .. })
            };
            let count = rest.iter().take_while(|step| is_subscript(step)).count();
            let (step, leaf, taken) = match first {
                IndirectionElement::Field(name) => {
                    let (step, leaf) = self.field_step(part.leaf, within, &part.name, name, at)?;
                    part.name.clone_from(name);
                    part.is_element = false;
                    (step, leaf, 1)
                }
                IndirectionElement::Star => {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "row expansion via \"*\" is not supported here",
                    )
                    .at(at));
                }
                _ => {
                    let place = part.steps.is_empty().then_some(at);
                    let (subscripts, ty) = self.subscripts_of(within, place, &rest[..count])?;
                    part.is_element = true;
                    (Step::Subscripts { subscripts, ty }, ty, count)
                }
            };
            part.steps.push((step, within));
            part.leaf = leaf;
            rest = &rest[taken..];
        }
        Ok(part)
    }

    fn field_step(
        &self,
        of: TypeRef,
        within: TypeRef,
        path: &str,
        name: &str,
        at: u32,
    ) -> SqlResult<(Step, TypeRef)> {
        let wrong = |state: SqlState, why: String| {
            let message =
                format!("cannot assign to field \"{name}\" of column \"{path}\" because {why}");
            SqlError::new(state, message).at(at)
        };
        let Some(fields) = self.composite_fields(within.oid) else {
            let why = format!("its type {} is not a composite type", self.type_name(of.oid));
            return Err(wrong(SqlState::DatatypeMismatch, why));
        };
        let Some(index) = fields.iter().position(|(field, _)| field == name) else {
            let why = format!("there is no such column in data type {}", self.type_name(of.oid));
            return Err(wrong(SqlState::UndefinedColumn, why));
        };
        let ty = fields[index].1;
        let names = fields.into_iter().map(|(name, _)| name).collect();
        Ok((Step::Field { index, names }, ty))
    }

    /// Converts a value to the type of a part.
    pub(super) fn assign_part(&mut self, part: &Part, node: Node) -> SqlResult<Expr> {
        let source = node.oid();
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        if let Some(node) = self.coerce_to_target(node, part.leaf, context, form, None)? {
            return Ok(node.expr);
        }
        let (name, wanted, given) =
            (&part.name, self.type_name(part.leaf.oid), self.type_name(source));
        let message = if part.is_element {
            format!(
                "subscripted assignment to \"{name}\" requires type {wanted} but expression is of \
                 type {given}"
            )
        } else {
            format!("subfield \"{name}\" is of type {wanted} but expression is of type {given}")
        };
        Err(SqlError::new(SqlState::DatatypeMismatch, message)
            .hint("You will need to rewrite or cast the expression.")
            .at(part.at))
    }

    /// The whole with a value in the place of a part.
    pub(super) fn store_part(&mut self, base: Expr, part: &Part, node: Node) -> SqlResult<Expr> {
        let value = self.assign_part(part, node)?;
        self.stored(base, &part.steps, value)
    }

    fn stored(&mut self, base: Expr, steps: &[(Step, TypeRef)], value: Expr) -> SqlResult<Expr> {
        let Some(((step, within), rest)) = steps.split_first() else { return Ok(value) };
        let whole = base.ty();
        let base = self.undomained(Node::unwritten(base)).expr;
        let changed = match step {
            Step::Field { index, names } => {
                let mut fields = self.fields_of_row(&base);
                fields[*index] = self.stored(fields[*index].clone(), rest, value)?;
                Expr::Row { fields, names: names.clone(), ty: *within }
            }
            Step::Subscripts { subscripts, ty } => {
                let value = if rest.is_empty() {
                    value
                } else {
                    let inner = Expr::Subscript {
                        arg: Box::new(base.clone()),
                        subscripts: subscripts.clone(),
                        ty: *ty,
                    };
                    self.stored(inner, rest, value)?
                };
                Expr::SubscriptAssign {
                    arg: Box::new(base),
                    subscripts: subscripts.clone(),
                    value: Box::new(value),
                    ty: *within,
                }
            }
        };
        if whole.oid == within.oid {
            return Ok(changed);
        }
        // What is over a domain is checked as a whole.
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        let changed = Node::unwritten(changed);
        Ok(self.coerce(changed, whole, context, form, None)?.expr)
    }
}
