//! Window definitions: named, extended, in place; frames and their checks (PostgreSQL's
//! `transformWindowDefinitions`).

use aegis_types::{SqlError, SqlResult, SqlState, type_oid as t};

use super::Analyzer;
use super::comparison::has_columns;
use super::node::Node;
use super::scope::Clause;
use super::target::TargetItem;
use crate::ast;
use crate::bound::{Expr, Frame, FrameBound, FrameExclusion, FrameUnit, OrderExpr, Window};

impl Analyzer<'_> {
    /// The number of the window that an `OVER` means; a new one where it is written in place.
    pub(super) fn window_number(&mut self, over: &ast::WindowDef) -> SqlResult<usize> {
        let scope = self.scope();
        if let Some(name) = &over.name {
            return scope
                .named_windows
                .iter()
                .position(|window| window.name.as_ref() == Some(name))
                .ok_or_else(|| missing_window(name, over.location));
        }
        let same = |window: &ast::WindowDef| without_locations(window) == without_locations(over);
        if let Some(at) = scope.named_windows.iter().position(same) {
            return Ok(at);
        }
        scope.named_windows.push(over.clone());
        Ok(scope.named_windows.len() - 1)
    }

    /// Binds all windows of the query, those named but unused too.
    pub(super) fn bind_windows(&mut self, targets: &mut Vec<TargetItem>) -> SqlResult<Vec<Window>> {
        let mut bound: Vec<Window> = Vec::new();
        let mut at = 0;
        while let Some(definition) = self.scope().named_windows.get(at).cloned() {
            if let Some(name) = &definition.name {
                let earlier = &self.scope().named_windows[..at];
                if earlier.iter().any(|other| other.name.as_ref() == Some(name)) {
                    return Err(SqlError::new(
                        SqlState::WindowingError,
                        format!("window \"{name}\" is already defined"),
                    )
                    .at(definition.location));
                }
            }
            let window = self.bind_window(&definition, &bound, at, targets)?;
            bound.push(window);
            at += 1;
        }
        Ok(bound)
    }

    fn bind_window(
        &mut self,
        definition: &ast::WindowDef,
        bound: &[Window],
        number: usize,
        targets: &[TargetItem],
    ) -> SqlResult<Window> {
        let at = definition.location;
        let base = match &definition.refname {
            None => None,
            Some(name) => {
                let earlier = &self.scope().named_windows[..number];
                let found = earlier.iter().position(|other| other.name.as_ref() == Some(name));
                Some((name, found.ok_or_else(|| missing_window(name, at))?))
            }
        };
        let mut partition_by = Vec::with_capacity(definition.partition.len());
        for expr in &definition.partition {
            let node = self.window_key(expr, Clause::WindowPartition, targets)?;
            self.need_equality(node.oid(), node.at)?;
            partition_by.push(node.expr);
        }
        let mut nodes = Vec::with_capacity(definition.order.len());
        for key in &definition.order {
            nodes.push(self.window_key(&key.node, Clause::WindowOrder, targets)?);
        }
        let mut order_by = self.sort_nodes(&definition.order, nodes)?;
        if let Some((name, base)) = base {
            let refused =
                |what: &str| Err(SqlError::new(SqlState::WindowingError, what.to_owned()).at(at));
            if !partition_by.is_empty() {
                return refused(&format!(
                    "cannot override PARTITION BY clause of window \"{name}\""
                ));
            }
            if !order_by.is_empty() && !bound[base].order_by.is_empty() {
                return refused(&format!("cannot override ORDER BY clause of window \"{name}\""));
            }
            if self.scope().named_windows[base].frame.is_some() {
                let error = SqlError::new(
                    SqlState::WindowingError,
                    format!("cannot copy window \"{name}\" because it has a frame clause"),
                )
                .at(at);
                let bare = definition.order.is_empty() && definition.frame.is_none();
                return Err(if bare {
                    error.hint("Omit the parentheses in this OVER clause.")
                } else {
                    error
                });
            }
            partition_by.clone_from(&bound[base].partition_by);
            if order_by.is_empty() {
                order_by.clone_from(&bound[base].order_by);
            }
        }
        let frame = self.bind_frame(definition.frame.as_ref(), &order_by, at)?;
        Ok(Window { partition_by, order_by, frame })
    }

    /// A key of a window: an expression, never an output column's name or number.
    fn window_key(
        &mut self,
        expr: &ast::Expr,
        clause: Clause,
        _targets: &[TargetItem],
    ) -> SqlResult<Node> {
        let node = self.expr_in(expr, clause)?;
        self.known_type(node)
    }

    fn bind_frame(
        &mut self,
        frame: Option<&ast::WindowFrame>,
        order_by: &[OrderExpr],
        at: u32,
    ) -> SqlResult<Frame> {
        let Some(frame) = frame else {
            return Ok(Frame {
                unit: FrameUnit::Range,
                start: FrameBound::UnboundedPreceding,
                end: FrameBound::CurrentRow,
                exclude: FrameExclusion::NoOthers,
            });
        };
        let unit = match frame.mode {
            ast::FrameMode::Range => FrameUnit::Range,
            ast::FrameMode::Rows => FrameUnit::Rows,
            ast::FrameMode::Groups => FrameUnit::Groups,
        };
        if unit == FrameUnit::Groups && order_by.is_empty() {
            return Err(SqlError::new(
                SqlState::WindowingError,
                "GROUPS mode requires an ORDER BY clause",
            )
            .at(at));
        }
        let offset = |bound: &ast::FrameBound| {
            matches!(bound, ast::FrameBound::Preceding(_) | ast::FrameBound::Following(_))
        };
        let has_offset = offset(&frame.start) || offset(&frame.end);
        if unit == FrameUnit::Range && has_offset && order_by.len() != 1 {
            return Err(SqlError::new(
                SqlState::WindowingError,
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            )
            .at(at));
        }
        let start = self.bind_bound(&frame.start, unit, order_by)?;
        let end = self.bind_bound(&frame.end, unit, order_by)?;
        let exclude = match frame.exclusion {
            ast::FrameExclusion::NoOthers => FrameExclusion::NoOthers,
            ast::FrameExclusion::CurrentRow => FrameExclusion::CurrentRow,
            ast::FrameExclusion::Group => FrameExclusion::Group,
            ast::FrameExclusion::Ties => FrameExclusion::Ties,
        };
        Ok(Frame { unit, start, end, exclude })
    }

    fn bind_bound(
        &mut self,
        bound: &ast::FrameBound,
        unit: FrameUnit,
        order_by: &[OrderExpr],
    ) -> SqlResult<FrameBound> {
        Ok(match bound {
            ast::FrameBound::UnboundedPreceding => FrameBound::UnboundedPreceding,
            ast::FrameBound::UnboundedFollowing => FrameBound::UnboundedFollowing,
            ast::FrameBound::CurrentRow => FrameBound::CurrentRow,
            ast::FrameBound::Preceding(offset) => {
                FrameBound::Preceding(Box::new(self.frame_offset(offset, unit, order_by)?))
            }
            ast::FrameBound::Following(offset) => {
                FrameBound::Following(Box::new(self.frame_offset(offset, unit, order_by)?))
            }
        })
    }

    fn frame_offset(
        &mut self,
        offset: &ast::Expr,
        unit: FrameUnit,
        order_by: &[OrderExpr],
    ) -> SqlResult<Expr> {
        let (clause, word) = match unit {
            FrameUnit::Rows => (Clause::WindowFrameRows, "ROWS"),
            FrameUnit::Range => (Clause::WindowFrameRange, "RANGE"),
            FrameUnit::Groups => (Clause::WindowFrameGroups, "GROUPS"),
        };
        let node = self.expr_in(offset, clause)?;
        let at = node.at;
        let expr = match (unit, order_by) {
            (FrameUnit::Range, [key]) => self.range_offset(node, key.expr.ty().oid)?,
            _ => self.coerce_to_specific(node, t::INT8, word)?,
        };
        if has_columns(&expr) {
            return Err(variables(word, at));
        }
        Ok(expr)
    }

    /// The offset of a RANGE frame is of the type that `in_range` takes for the sort column's.
    fn range_offset(&mut self, node: Node, column: aegis_types::Oid) -> SqlResult<Expr> {
        let at = node.at;
        let offset = match column {
            t::INT2 | t::INT4 | t::INT8 => match node.oid() {
                t::INT2 | t::INT4 | t::INT8 => node.oid(),
                t::UNKNOWN => column,
                _ => t::INT8,
            },
            t::FLOAT4 | t::FLOAT8 => t::FLOAT8,
            t::NUMERIC => t::NUMERIC,
            t::DATE | t::TIME | t::TIMETZ | t::TIMESTAMP | t::TIMESTAMPTZ | t::INTERVAL => {
                t::INTERVAL
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!(
                        "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}",
                        self.type_name(column)
                    ),
                )
                .at_opt(at));
            }
        };
        let source = node.oid();
        let fits =
            self.can_coerce(&[source], &[offset], aegis_types::builtin::CastContext::Implicit);
        if !fits {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!(
                    "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {} and \
                     offset type {}",
                    self.type_name(column),
                    self.type_name(source)
                ),
            )
            .hint("Cast the offset value to an appropriate type.")
            .at_opt(at));
        }
        self.coerce_to_specific(node, offset, "RANGE")
    }
}

/// 42P10 for a column in a clause that is evaluated once.
pub(super) fn variables(word: &str, at: Option<u32>) -> SqlError {
    SqlError::new(
        SqlState::InvalidColumnReference,
        format!("argument of {word} must not contain variables"),
    )
    .at_opt(at)
}

fn missing_window(name: &str, at: u32) -> SqlError {
    SqlError::new(SqlState::UndefinedObject, format!("window \"{name}\" does not exist")).at(at)
}

/// A definition's debugging form without positions, to find one that is written twice.
fn without_locations(window: &ast::WindowDef) -> String {
    let text = format!("{window:?}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("location: ") {
        out.push_str(&rest[..at]);
        let digits = &rest[at + "location: ".len()..];
        rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}
