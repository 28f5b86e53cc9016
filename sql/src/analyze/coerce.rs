//! Conversions: which exist in which context, and the expressions that carry them out
//! (PostgreSQL's `parse_coerce.c`).

use aegis_types::builtin::{CastContext, CastMethod, builtins};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::{Node, boolean, implicit_call, int4, null};
use super::types::is_polymorphic;
use crate::bound::{CallForm, Expr};
use crate::row::is_oid_like;

/// How one type becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pathway {
    /// By a function of `pg_proc`.
    Function(Oid),
    /// The value stays.
    Relabel,
    /// Element by element.
    Array,
    /// Through the text form.
    Text,
}

impl Analyzer<'_> {
    /// How `source` becomes `target` in this context, if it can (`find_coercion_pathway`).
    pub(super) fn pathway(
        &self,
        target: Oid,
        source: Oid,
        context: CastContext,
    ) -> Option<Pathway> {
        let (source, target) = (self.base_type(source), self.base_type(target));
        if source == target {
            return Some(Pathway::Relabel);
        }
        if let Some(cast) = builtins().cast(source, target) {
            if context < cast.context {
                return None;
            }
            return Some(match cast.method {
                CastMethod::Function(function) => Pathway::Function(function),
                CastMethod::Binary => Pathway::Relabel,
                CastMethod::InOut => Pathway::Text,
            });
        }
        if !matches!(target, t::OIDVECTOR | t::INT2VECTOR)
            && let (Some(to), Some(from)) = (self.element_type(target), self.element_type(source))
            && self.pathway(to, from, context).is_some()
        {
            return Some(Pathway::Array);
        }
        let by_text = (context >= CastContext::Assignment && self.category(target).0 == b'S')
            || (context >= CastContext::Explicit && self.category(source).0 == b'S');
        by_text.then_some(Pathway::Text)
    }

    /// Whether values of the one types can become values of the others (`can_coerce_type`).
    pub(super) fn can_coerce(
        &self,
        sources: &[Oid],
        targets: &[Oid],
        context: CastContext,
    ) -> bool {
        let mut generic = false;
        for (source, target) in sources.iter().copied().zip(targets.iter().copied()) {
            if is_polymorphic(target) {
                generic = true;
                continue;
            }
            let possible = source == target
                || target == t::ANY
                || source == t::UNKNOWN
                || self.pathway(target, source, context).is_some()
                || (source == t::RECORD && self.is_composite(target))
                || (target == t::RECORD && self.is_composite(source))
                || (target == t::RECORD_ARRAY && self.is_composite_array(source));
            if !possible {
                return false;
            }
        }
        !generic || self.generic_types_fit(sources, targets)
    }

    fn is_composite_array(&self, oid: Oid) -> bool {
        self.element_type(oid).is_some_and(|element| self.is_composite(element))
    }

    /// Converts an expression, modifier included; `None` if there is no way
    /// (`coerce_to_target_type`).
    pub(super) fn coerce_to_target(
        &mut self,
        node: Node,
        target: TypeRef,
        context: CastContext,
        form: CallForm,
        location: Option<u32>,
    ) -> SqlResult<Option<Node>> {
        if !self.can_coerce(&[node.oid()], &[target.oid], context) {
            return Ok(None);
        }
        let unchanged = node.oid() == target.oid;
        let node = self.coerce(node, target, context, form, location)?;
        let hide = !unchanged && !matches!(node.expr, Expr::Const { .. });
        self.coerce_typmod(node, target, context, form, location, hide).map(Some)
    }

    /// Converts an expression whose type can be converted, its modifier aside (`coerce_type`).
    pub(super) fn coerce(
        &mut self,
        node: Node,
        target: TypeRef,
        context: CastContext,
        form: CallForm,
        location: Option<u32>,
    ) -> SqlResult<Node> {
        let source = node.oid();
        if source == target.oid {
            return Ok(node);
        }
        match target.oid {
            t::ANY
            | t::ANYELEMENT
            | t::ANYNONARRAY
            | t::ANYCOMPATIBLE
            | t::ANYCOMPATIBLENONARRAY => {
                return Ok(node);
            }
            oid if is_polymorphic(oid) && source != t::UNKNOWN => return Ok(node),
            _ => {}
        }
        let at = node.at;
        if let Expr::Collate { arg, collation, explicit } = node.expr {
            // The conversion goes beneath it; what has no collations loses it.
            let node = self.coerce(Node { expr: *arg, at }, target, context, form, location)?;
            let keeps = builtins().type_row(target.oid).is_none_or(|row| row.collation.is_some());
            let expr = match node.expr {
                expr if keeps => Expr::Collate { arg: Box::new(expr), collation, explicit },
                expr => expr,
            };
            return Ok(Node { expr, at });
        }
        let unknown_parameter = matches!(node.expr, Expr::Param { .. }) && source == t::UNKNOWN;
        if !unknown_parameter && let Some(base) = self.domain_base(target.oid) {
            let node = self.coerce(node, base, context, CallForm::ImplicitCast, location)?;
            let hidden = CallForm::ImplicitCast;
            let node = self.coerce_typmod(node, base, context, hidden, location, false)?;
            let ty = TypeRef::plain(target.oid);
            let expr = Expr::Relabel { arg: Box::new(node.expr), ty, form };
            let expr = match self.domain_collation(target.oid) {
                Some(collation) => {
                    Expr::Collate { arg: Box::new(expr), collation, explicit: false }
                }
                None => expr,
            };
            return Ok(Node { expr, at });
        }
        let expr = match node.expr {
            Expr::Const { value, ty } if ty.oid == t::UNKNOWN => {
                return self.coerce_literal(value, target, at);
            }
            Expr::Param { number, ty } if ty.oid == t::UNKNOWN => {
                let ty = self.infer_parameter(number, target.oid, at)?;
                return Ok(Node { expr: Expr::Param { number, ty }, at });
            }
            expr => expr,
        };
        if let Some(pathway) = self.pathway(target.oid, source, context) {
            let expr = self.conversion(expr, pathway, target, context, form, location)?;
            return Ok(Node { expr, at });
        }
        if source == t::RECORD && self.is_composite(target.oid) {
            return self.coerce_record(Node { expr, at }, target, context, location);
        }
        if matches!(target.oid, t::RECORD | t::RECORD_ARRAY) {
            return Ok(Node { expr, at });
        }
        Err(SqlError::internal(format!(
            "failed to find conversion function from {} to {}",
            self.type_name(source),
            self.type_name(target.oid)
        )))
    }

    /// Reads a string literal as a value of the type it turns out to have. Only `interval` is told
    /// its modifier: others apply theirs afterwards, as a cast or an assignment does.
    fn coerce_literal(&self, value: Datum, target: TypeRef, at: Option<u32>) -> SqlResult<Node> {
        let typmod = if target.oid == t::INTERVAL { target.typmod } else { -1 };
        let ty = TypeRef::with_typmod(target.oid, typmod);
        let value = match value {
            Datum::Text(text) => self.read_literal(ty, &text, at)?,
            other => other,
        };
        Ok(Node { expr: Expr::Const { value, ty }, at })
    }

    /// The expression of one pathway (`build_coercion_expression`).
    fn conversion(
        &mut self,
        arg: Expr,
        pathway: Pathway,
        target: TypeRef,
        context: CastContext,
        form: CallForm,
        location: Option<u32>,
    ) -> SqlResult<Expr> {
        let plain = TypeRef::plain(target.oid);
        Ok(match pathway {
            Pathway::Relabel => match arg {
                // A constant's value is the same under either type.
                Expr::Const { value: Datum::Null, .. } => null(plain),
                arg => Expr::Relabel { arg: Box::new(arg), ty: plain, form },
            },
            Pathway::Text => Expr::ConvertViaText { arg: Box::new(arg), ty: plain, form },
            Pathway::Function(function) => {
                let row = builtins().function(function).ok_or_else(|| {
                    SqlError::internal(format!("cast function {function} is missing"))
                })?;
                let mut args = vec![arg];
                let mut ty = plain;
                if row.arguments.len() >= 2 {
                    args.push(int4(target.typmod));
                    ty = target;
                }
                if row.arguments.len() == 3 {
                    args.push(boolean(context == CastContext::Explicit));
                }
                // int2 becomes oid by the function that makes int4 of it.
                let reinterpreted = is_oid_like(target.oid) && !is_oid_like(row.result);
                let (called_ty, called_form) = if reinterpreted {
                    (TypeRef::plain(row.result), CallForm::ImplicitCast)
                } else {
                    (ty, form)
                };
                let mut call = implicit_call(function, args, called_ty, called_form);
                call.location = location;
                let call = Expr::Call(Box::new(call));
                if reinterpreted { Expr::Relabel { arg: Box::new(call), ty, form } } else { call }
            }
            Pathway::Array => {
                let source = arg.ty();
                let (Some(from), Some(to)) =
                    (self.element_type(source.oid), self.element_type(target.oid))
                else {
                    return Err(SqlError::internal("an array conversion between non-arrays"));
                };
                let slot = Node::unwritten(Expr::Slot {
                    index: 0,
                    ty: TypeRef::with_typmod(from, source.typmod),
                });
                let to = TypeRef::with_typmod(to, target.typmod);
                let element = self
                    .coerce_to_target(slot, to, context, form, location)?
                    .ok_or_else(|| SqlError::internal("an array's elements do not convert"))?;
                Expr::ConvertArray {
                    arg: Box::new(arg),
                    element: Box::new(element.expr),
                    ty: target,
                    form,
                }
            }
        })
    }

    /// Applies a modifier (`coerce_type_typmod`).
    pub(super) fn coerce_typmod(
        &mut self,
        node: Node,
        target: TypeRef,
        context: CastContext,
        form: CallForm,
        location: Option<u32>,
        hide_input: bool,
    ) -> SqlResult<Node> {
        if target.typmod == node.ty().typmod {
            return Ok(node);
        }
        let Node { mut expr, at } = node;
        if hide_input {
            hide_conversion(&mut expr);
        }
        let element = self.element_type(target.oid);
        let length = element.unwrap_or(target.oid);
        let function = builtins().cast(length, length).and_then(|cast| match cast.method {
            CastMethod::Function(function) => Some(function),
            _ => None,
        });
        let expr = match (function, element) {
            (Some(_), Some(element)) if target.typmod >= 0 => {
                let slot = Node::unwritten(Expr::Slot {
                    index: 0,
                    ty: TypeRef::with_typmod(element, expr.ty().typmod),
                });
                let to = TypeRef::with_typmod(element, target.typmod);
                let inner = self.coerce_typmod(slot, to, context, form, location, false)?;
                Expr::ConvertArray {
                    arg: Box::new(expr),
                    element: Box::new(inner.expr),
                    ty: target,
                    form,
                }
            }
            (Some(function), None) if target.typmod >= 0 => {
                let pathway = Pathway::Function(function);
                self.conversion(expr, pathway, target, context, form, location)?
            }
            _ => relabel(expr, target, form),
        };
        Ok(Node { expr, at })
    }

    /// Converts a row constructor or a whole row to a composite type, field by field.
    fn coerce_record(
        &mut self,
        node: Node,
        target: TypeRef,
        context: CastContext,
        location: Option<u32>,
    ) -> SqlResult<Node> {
        let at = node.at;
        let cannot = |analyzer: &Self, detail: String| {
            SqlError::new(
                SqlState::CannotCoerce,
                format!("cannot cast type record to {}", analyzer.type_name(target.oid)),
            )
            .detail(detail)
            .at_opt(location.or(at))
        };
        let fields = match node.expr {
            Expr::Row { fields, .. } => fields,
            // A whole row of a subquery: its fields one by one.
            expr @ Expr::Column { column: 0, .. } => self.fields_of_row(&expr),
            _ => Vec::new(),
        };
        if fields.is_empty() {
            return Err(SqlError::new(
                SqlState::CannotCoerce,
                format!("cannot cast type record to {}", self.type_name(target.oid)),
            )
            .at_opt(location.or(at)));
        }
        let columns = self.composite_fields(target.oid).unwrap_or_default();
        if fields.len() < columns.len() {
            return Err(cannot(self, "Input has too few columns.".to_owned()));
        }
        if fields.len() > columns.len() {
            return Err(cannot(self, "Input has too many columns.".to_owned()));
        }
        let mut converted = Vec::with_capacity(fields.len());
        let mut names = Vec::with_capacity(fields.len());
        for (at_field, (field, (name, ty))) in fields.into_iter().zip(columns).enumerate() {
            let source = field.ty().oid;
            let field = Node { expr: field, at };
            let implicit = CallForm::ImplicitCast;
            match self.coerce_to_target(field, ty, context, implicit, location)? {
                Some(field) => converted.push(field.expr),
                None => {
                    return Err(cannot(
                        self,
                        format!(
                            "Cannot cast type {} to {} in column {}.",
                            self.type_name(source),
                            self.type_name(ty.oid),
                            at_field + 1
                        ),
                    ));
                }
            }
            names.push(name);
        }
        let row = Expr::Row { fields: converted, names, ty: TypeRef::plain(target.oid) };
        Ok(Node { expr: row, at })
    }

    /// Checks that a condition is boolean, converting a literal (`coerce_to_boolean`).
    pub(super) fn coerce_to_boolean(&mut self, node: Node, what: &str) -> SqlResult<Expr> {
        self.coerce_to_specific(node, t::BOOL, what)
    }

    /// Checks that an argument of a construct is of its type (`coerce_to_specific_type`).
    pub(super) fn coerce_to_specific(
        &mut self,
        node: Node,
        target: Oid,
        what: &str,
    ) -> SqlResult<Expr> {
        let at = node.at;
        let source = node.oid();
        let mut expr = node.expr;
        if source != target {
            let node = Node { expr, at };
            let ty = TypeRef::plain(target);
            let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
            expr = match self.coerce_to_target(node, ty, context, form, None)? {
                Some(node) => node.expr,
                None => {
                    return Err(SqlError::new(
                        SqlState::DatatypeMismatch,
                        format!(
                            "argument of {what} must be type {}, not type {}",
                            self.type_name(target),
                            self.type_name(source)
                        ),
                    )
                    .at_opt(at));
                }
            };
        }
        if returns_set(&expr) {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!("argument of {what} must not return a set"),
            )
            .at_opt(at));
        }
        Ok(expr)
    }

    /// 42846.
    pub(super) fn cannot_cast(&self, source: Oid, target: Oid, at: Option<u32>) -> SqlError {
        SqlError::new(
            SqlState::CannotCoerce,
            format!("cannot cast type {} to {}", self.type_name(source), self.type_name(target)),
        )
        .at_opt(at)
    }
}

/// The same value with another modifier exposed.
fn relabel(expr: Expr, ty: TypeRef, form: CallForm) -> Expr {
    match expr {
        Expr::Const { value, ty: old } if old.oid == ty.oid => Expr::Const { value, ty },
        Expr::Relabel { arg, form, .. } => Expr::Relabel { arg, ty, form },
        expr => Expr::Relabel { arg: Box::new(expr), ty, form },
    }
}

/// Marks a conversion that only prepares the next one as not written.
fn hide_conversion(expr: &mut Expr) {
    match expr {
        Expr::Call(call) => call.form = CallForm::ImplicitCast,
        Expr::Relabel { form, .. }
        | Expr::ConvertViaText { form, .. }
        | Expr::ConvertArray { form, .. } => *form = CallForm::ImplicitCast,
        _ => {}
    }
}

/// Whether an expression has a set-returning function in it (`expression_returns_set`).
pub(super) fn returns_set(expr: &Expr) -> bool {
    if matches!(expr, Expr::Call(call) if call.returns_set) {
        return true;
    }
    let mut found = false;
    expr.for_each_child(&mut |child| found = found || returns_set(child));
    found
}
