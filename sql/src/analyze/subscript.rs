//! Steps into a value: subscripts of arrays and jsonb, fields of rows, `(row).*`.

use aegis_types::builtin::CastContext;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::{Node, int4};
use crate::ast::{self, IndirectionElement};
use crate::bound::{CallForm, Expr, RteKind, Subscript};

impl Analyzer<'_> {
    /// `x[1].f` (`transformIndirection`).
    pub(super) fn indirection(&mut self, indirection: &ast::AIndirection) -> SqlResult<Node> {
        let node = self.expr(&indirection.arg)?;
        self.steps(node, &indirection.indirection)
    }

    fn steps(&mut self, mut node: Node, steps: &[IndirectionElement]) -> SqlResult<Node> {
        let mut rest = steps;
        while let Some(first) = rest.first() {
            match first {
                IndirectionElement::Field(name) => {
                    node = self.field(node, name)?;
                    rest = &rest[1..];
                }
                IndirectionElement::Star => {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "row expansion via \"*\" is not supported here",
                    )
                    .at_opt(node.at));
                }
                IndirectionElement::Index(_) | IndirectionElement::Slice { .. } => {
                    let count = rest
                        .iter()
                        .take_while(|step| {
                            matches!(
                                step,
                                IndirectionElement::Index(_) | IndirectionElement::Slice { .. }
                            )
                        })
                        .count();
                    node = self.subscripts(node, &rest[..count])?;
                    rest = &rest[count..];
                }
            }
        }
        Ok(node)
    }

    /// `(x).f`: a field, or a function of the row.
    fn field(&mut self, node: Node, name: &str) -> SqlResult<Node> {
        let node = self.undomained(node);
        let (oid, at) = (node.oid(), node.at);
        let composite = self.is_composite(oid);
        if (composite || oid == t::RECORD)
            && let Some(field) = self.field_of(&node, name)?
        {
            return Ok(field);
        }
        let whole = node.expr.clone();
        if let Some(node) = self.column_as_function(name, node, at.unwrap_or_default())? {
            return Ok(node);
        }
        if let Expr::Column { entry, column: 0, levels_up, .. } = &whole {
            let alias = &self.scopes[self.scopes.len() - 1 - levels_up].range_table[*entry].alias;
            return Err(SqlError::new(
                SqlState::UndefinedColumn,
                format!("column {alias}.{name} does not exist"),
            )
            .at_opt(at));
        }
        let error = if composite {
            SqlError::new(
                SqlState::UndefinedColumn,
                format!("column \"{name}\" not found in data type {}", self.type_name(oid)),
            )
        } else if oid == t::RECORD {
            SqlError::new(
                SqlState::UndefinedColumn,
                format!("could not identify column \"{name}\" in record data type"),
            )
        } else {
            SqlError::new(
                SqlState::WrongObjectType,
                format!(
                    "column notation .{name} applied to type {}, which is not a composite type",
                    self.type_name(oid)
                ),
            )
        };
        Err(error.at_opt(at))
    }

    /// The field of a row value by its name, if it has one.
    pub(super) fn field_of(&mut self, node: &Node, name: &str) -> SqlResult<Option<Node>> {
        let fields = self.row_fields(&node.expr);
        let Some(index) = fields.iter().position(|(field, _)| field == name) else {
            return Ok(None);
        };
        Ok(Some(Node { expr: self.field_expr(&node.expr, index, fields[index].1), at: node.at }))
    }

    fn field_expr(&self, row: &Expr, index: usize, ty: TypeRef) -> Expr {
        match row {
            Expr::Row { fields, .. } if index < fields.len() => fields[index].clone(),
            Expr::Column { entry, column: 0, levels_up, .. } => {
                let column = self.live_column_number(*entry, *levels_up, index);
                Expr::Column { entry: *entry, column, levels_up: *levels_up, ty }
            }
            other => Expr::Field { arg: Box::new(other.clone()), index, ty },
        }
    }

    /// The fields of a whole row, each an expression.
    pub(super) fn fields_of_row(&self, row: &Expr) -> Vec<Expr> {
        let fields = self.row_fields(row).into_iter().enumerate();
        fields.map(|(index, (_, ty))| self.field_expr(row, index, ty)).collect()
    }

    /// The number of the live column at a place among the live ones.
    fn live_column_number(&self, entry: usize, levels_up: usize, index: usize) -> i16 {
        let scope = &self.scopes[self.scopes.len() - 1 - levels_up];
        let columns = &scope.range_table[entry].columns;
        let live = columns.iter().enumerate().filter(|(_, column)| !column.dropped);
        let number = live.map(|(at, _)| at + 1).nth(index).unwrap_or_default();
        i16::try_from(number).unwrap_or(i16::MAX)
    }

    /// The names and types of a row value's fields, as far as they are known.
    pub(super) fn row_fields(&self, row: &Expr) -> Vec<(String, TypeRef)> {
        if let Some(fields) = self.composite_fields(row.ty().oid) {
            return fields;
        }
        match row {
            Expr::Row { fields, names, .. } => {
                names.iter().cloned().zip(fields.iter().map(Expr::ty)).collect()
            }
            Expr::Column { entry, column: 0, levels_up, .. } => {
                let scope = &self.scopes[self.scopes.len() - 1 - *levels_up];
                let columns = &scope.range_table[*entry].columns;
                let live = columns.iter().filter(|column| !column.dropped);
                live.map(|column| (column.name.clone(), column.ty)).collect()
            }
            Expr::Column { entry, column, levels_up, .. } => {
                let scope = &self.scopes[self.scopes.len() - 1 - *levels_up];
                let target = match &scope.range_table[*entry].kind {
                    RteKind::Subquery(query) => usize::try_from(*column - 1)
                        .ok()
                        .and_then(|at| query.visible_targets().nth(at)),
                    _ => None,
                };
                match target.map(|target| &target.expr) {
                    Some(Expr::Row { fields, names, .. }) => {
                        names.iter().cloned().zip(fields.iter().map(Expr::ty)).collect()
                    }
                    Some(Expr::Call(call)) => {
                        self.record_function_columns(call).unwrap_or_default()
                    }
                    _ => Vec::new(),
                }
            }
            Expr::Call(call) => self.record_function_columns(call).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The fields that `(x).*` stands for.
    pub(super) fn expand_indirection(
        &mut self,
        indirection: &ast::AIndirection,
    ) -> SqlResult<Vec<(String, Node)>> {
        let node = self.expr(&indirection.arg)?;
        let steps = &indirection.indirection[..indirection.indirection.len() - 1];
        let node = self.steps(node, steps)?;
        let node = self.undomained(node);
        let oid = node.oid();
        if oid != t::RECORD && !self.is_composite(oid) {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("type {} is not composite", self.type_name(oid)),
            )
            .at_opt(node.at));
        }
        let fields = self.row_fields(&node.expr);
        if fields.is_empty() && oid == t::RECORD {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                "record type has not been registered",
            )
            .at_opt(node.at));
        }
        for _ in &fields {
            self.copied(&node)?;
        }
        Ok(fields
            .into_iter()
            .enumerate()
            .map(|(index, (name, ty))| {
                (name, Node { expr: self.field_expr(&node.expr, index, ty), at: node.at })
            })
            .collect())
    }

    fn subscripts(&mut self, node: Node, steps: &[IndirectionElement]) -> SqlResult<Node> {
        let node = self.undomained(node);
        let at = node.at;
        let (subscripts, ty) = self.subscripts_of(node.ty(), at, steps)?;
        Ok(Node { expr: Expr::Subscript { arg: Box::new(node.expr), subscripts, ty }, at })
    }

    /// Subscripts of a value of a type that is no domain, and the type of what they lead to.
    pub(super) fn subscripts_of(
        &mut self,
        of: TypeRef,
        at: Option<u32>,
        steps: &[IndirectionElement],
    ) -> SqlResult<(Vec<Subscript>, TypeRef)> {
        let oid = of.oid;
        if oid == t::JSONB {
            return Ok((self.jsonb_subscripts(at, steps)?, TypeRef::plain(t::JSONB)));
        }
        let element = if oid == t::NAME { Some(t::CHAR) } else { self.element_type(oid) };
        let Some(element) = element else {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "cannot subscript type {} because it does not support subscripting",
                    self.type_name(oid)
                ),
            )
            .at_opt(at));
        };
        let slice = steps.iter().any(|step| matches!(step, IndirectionElement::Slice { .. }));
        if slice && oid == t::NAME {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "slices of fixed-length arrays not implemented",
            ));
        }
        let mut subscripts = Vec::with_capacity(steps.len());
        for step in steps {
            subscripts.push(match step {
                IndirectionElement::Index(index) => {
                    let index = self.integer_subscript(index)?;
                    // Beside a slice, an index is the upper bound of one from 1.
                    if slice {
                        Subscript::Slice(Some(int4(1)), Some(index))
                    } else {
                        Subscript::Index(index)
                    }
                }
                IndirectionElement::Slice { lower, upper } => {
                    let lower = match lower {
                        Some(lower) => Some(self.integer_subscript(lower)?),
                        None => None,
                    };
                    let upper = match upper {
                        Some(upper) => Some(self.integer_subscript(upper)?),
                        None => None,
                    };
                    Subscript::Slice(lower, upper)
                }
                _ => return Err(SqlError::internal("a field among subscripts")),
            });
        }
        let array = match oid {
            t::INT2VECTOR => t::INT2_ARRAY,
            t::OIDVECTOR => t::OID_ARRAY,
            other => other,
        };
        Ok((subscripts, TypeRef::with_typmod(if slice { array } else { element }, of.typmod)))
    }

    fn integer_subscript(&mut self, subscript: &ast::Expr) -> SqlResult<Expr> {
        let node = self.expr(subscript)?;
        let at = node.at;
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        self.coerce_to_target(node, TypeRef::plain(t::INT4), context, form, None)?
            .map(|node| node.expr)
            .ok_or_else(|| {
                SqlError::new(SqlState::DatatypeMismatch, "array subscript must have type integer")
                    .at_opt(at)
            })
    }

    fn jsonb_subscripts(
        &mut self,
        place: Option<u32>,
        steps: &[IndirectionElement],
    ) -> SqlResult<Vec<Subscript>> {
        let mut subscripts = Vec::with_capacity(steps.len());
        for step in steps {
            match step {
                IndirectionElement::Index(index) => {
                    let index = self.expr(index)?;
                    subscripts.push(Subscript::Index(self.jsonb_key(index)?));
                }
                IndirectionElement::Slice { lower, upper } => {
                    let at = upper.as_ref().or(lower.as_ref()).map(ast::Expr::location);
                    return Err(SqlError::new(
                        SqlState::DatatypeMismatch,
                        "jsonb subscript does not support slices",
                    )
                    .at_opt(at.or(place)));
                }
                _ => return Err(SqlError::internal("a field among subscripts")),
            }
        }
        Ok(subscripts)
    }

    /// A subscript of jsonb: an integer or a text, whichever it can become by itself.
    fn jsonb_key(&mut self, index: Node) -> SqlResult<Expr> {
        let (oid, at) = (index.oid(), index.at);
        let fits = |analyzer: &Self, target: Oid| {
            analyzer.can_coerce(&[oid], &[target], CastContext::Implicit)
        };
        let target = match (oid, fits(self, t::INT4), fits(self, t::TEXT)) {
            (t::UNKNOWN, ..) => t::TEXT,
            (_, true, false) => t::INT4,
            (_, false, true) => t::TEXT,
            (_, true, true) => {
                return Err(SqlError::new(
                    SqlState::DatatypeMismatch,
                    format!("subscript type {} is not supported", self.type_name(oid)),
                )
                .hint("jsonb subscript must be coercible to only one type, integer or text.")
                .at_opt(at));
            }
            (_, false, false) => {
                return Err(SqlError::new(
                    SqlState::DatatypeMismatch,
                    format!("subscript type {} is not supported", self.type_name(oid)),
                )
                .hint("jsonb subscript must be coercible to either integer or text.")
                .at_opt(at));
            }
        };
        let (context, form) = (CastContext::Implicit, CallForm::ImplicitCast);
        Ok(self.coerce(index, TypeRef::plain(target), context, form, None)?.expr)
    }
}
