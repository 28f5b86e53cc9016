//! Calls: operators, functions, casts, SQL's own syntax, aggregates, windows (`get_func_expr`,
//! `get_oper_expr`, `get_agg_expr`, `get_windowfunc_expr`, `get_func_sql_syntax`).

use aegis_types::builtin::{FunctionKind, FunctionRow, builtins};
use aegis_types::functions::quote_ident;
use aegis_types::{Datum, SqlResult, TypeRef, type_oid as t};

use super::buffer::Printer;
use super::unprintable;
use crate::bound::{
    Aggregate, Call, CallForm, Expr, Frame, FrameBound, FrameExclusion, FrameUnit, OrderExpr,
    WindowCall,
};

/// The symbol of the operator that a call is of.
pub(super) fn operator_name(call: &Call) -> SqlResult<&'static str> {
    match call.form {
        CallForm::Operator(oid) => builtins().operator(oid).map(|row| row.name),
        _ => None,
    }
    .ok_or_else(|| unprintable("an operator that is none"))
}

fn function(oid: aegis_types::Oid) -> SqlResult<&'static FunctionRow> {
    builtins().function(oid).ok_or_else(|| unprintable("an unknown function"))
}

/// Whether the function's last parameter takes an array that its surplus arguments make.
fn gathers(row: &FunctionRow) -> bool {
    row.variadic.is_some() && row.variadic != t::ANY
}

impl<'a> Printer<'a> {
    /// A call of a function, an operator or a cast.
    pub(super) fn call(&mut self, expr: &'a Expr, call: &'a Call, implicit: bool) -> SqlResult<()> {
        let first = call.args.first();
        match (call.form, first) {
            (CallForm::Operator(_), _) => self.operator(expr, call),
            (CallForm::ImplicitCast, Some(arg)) if !implicit => self.within(arg, false, expr),
            (CallForm::ImplicitCast | CallForm::ExplicitCast, Some(arg)) => {
                self.cast(arg, result_type(call), expr)
            }
            _ if call.user.is_some() => self.user_call(call),
            (CallForm::SqlSyntax, _) => {
                let row = function(call.function)?;
                if self.sql_syntax(&row.name, &call.args, expr)? {
                    return Ok(());
                }
                self.function_call(row, &call.args)
            }
            (CallForm::Defaulted(written), _) => {
                let row = function(call.function)?;
                let written = usize::from(written).min(call.args.len());
                self.function_call(row, &call.args[..written])
            }
            (CallForm::Variadic, _) => {
                self.variadic_call(function(call.function)?, &call.args, true)
            }
            _ => self.function_call(function(call.function)?, &call.args),
        }
    }

    fn operator(&mut self, expr: &'a Expr, call: &'a Call) -> SqlResult<()> {
        let name = operator_name(call)?;
        self.enclosed(|printer| match call.args.as_slice() {
            [left, right] => {
                printer.within(left, true, expr)?;
                printer.put(&format!(" {name} "));
                printer.within(right, true, expr)
            }
            [arg] => {
                printer.put(&format!("{name} "));
                printer.within(arg, true, expr)
            }
            _ => Err(unprintable("an operator of many arguments")),
        })
    }

    /// A parameter: `$n`, or its name, with the function's where a query could have such a column.
    pub(super) fn parameter(&mut self, number: usize) {
        let routine = self.deparser.routine;
        let name = routine.and_then(|routine| routine.parameters.get(number - 1));
        match (routine, name.filter(|name| !name.is_empty())) {
            (Some(routine), Some(name)) => {
                let reads = |level: &super::names::Level<'_>| {
                    level.query.is_some_and(|query| !query.range_table.is_empty())
                };
                if self.levels.iter().any(reads) {
                    self.put(&format!("{}.", quote_ident(&routine.name)));
                }
                self.put(&quote_ident(name));
            }
            _ => self.put(&format!("${number}")),
        }
    }

    /// A call of a function that users made: its name as the path finds it.
    fn user_call(&mut self, call: &'a Call) -> SqlResult<()> {
        let row = call.row().ok_or_else(|| unprintable("an unknown function"))?;
        self.uses.insert((row.oid, 0));
        // Under the catalog that is printed for, which may call it otherwise.
        let names = &self.deparser.names;
        let now = names.catalog.function(row.oid);
        let now = now.as_deref().unwrap_or(row);
        let name = match aegis_catalog::system::function::is_visible(names, now) {
            true => quote_ident(&now.name),
            false => names.qualified(now.schema, &now.name),
        };
        let args = match call.form {
            CallForm::Defaulted(written) => &call.args[..usize::from(written).min(call.args.len())],
            _ => &call.args,
        };
        let gathered = gathers(row) && args.len() == row.arguments.len();
        self.put(&name);
        self.arguments(args, gathered)
    }

    fn function_call(&mut self, row: &FunctionRow, args: &'a [Expr]) -> SqlResult<()> {
        self.variadic_call(row, args, gathers(row) && args.len() == row.arguments.len())
    }

    fn variadic_call(
        &mut self,
        row: &FunctionRow,
        args: &'a [Expr],
        is_variadic: bool,
    ) -> SqlResult<()> {
        self.put(&quote_ident(&row.name));
        self.arguments(args, is_variadic)
    }

    fn arguments(&mut self, args: &'a [Expr], is_variadic: bool) -> SqlResult<()> {
        self.put("(");
        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            if is_variadic && at + 1 == args.len() {
                self.put("VARIADIC ");
            }
            self.expression(arg, true)?;
        }
        self.put(")");
        Ok(())
    }

    /// The syntax that SQL has for some functions; false for others.
    fn sql_syntax(&mut self, name: &str, args: &'a [Expr], expr: &'a Expr) -> SqlResult<bool> {
        match (name, args) {
            ("timezone", [zone, value]) => {
                self.put("(");
                self.within(value, false, expr)?;
                self.put(" AT TIME ZONE ");
                self.within(zone, false, expr)?;
                self.put(")");
            }
            ("overlaps", [a, b, c, d]) => {
                self.put("((");
                self.spaced(&[(a, ", "), (b, ") OVERLAPS ("), (c, ", "), (d, "))")])?;
            }
            ("extract", [Expr::Const { value: Datum::Text(field), .. }, value]) => {
                self.put(&format!("EXTRACT({field} FROM "));
                self.expression(value, false)?;
                self.put(")");
            }
            ("normalize", [value]) => {
                self.put("NORMALIZE(");
                self.spaced(&[(value, ")")])?;
            }
            ("normalize", [value, Expr::Const { value: Datum::Text(form), .. }]) => {
                self.put("NORMALIZE(");
                self.expression(value, false)?;
                // The default is filled in.
                if &**form != "NFC" {
                    self.put(&format!(", {form}"));
                }
                self.put(")");
            }
            ("overlay", [value, new, from]) => {
                self.put("OVERLAY(");
                self.spaced(&[(value, " PLACING "), (new, " FROM "), (from, ")")])?;
            }
            ("overlay", [value, new, from, count]) => {
                self.put("OVERLAY(");
                let parts = [(value, " PLACING "), (new, " FROM "), (from, " FOR "), (count, ")")];
                self.spaced(&parts)?;
            }
            ("position", [value, part]) => {
                self.put("POSITION((");
                self.spaced(&[(part, ") IN ("), (value, "))")])?;
            }
            ("substring", [value, from]) if from.ty().oid == t::INT4 => {
                self.put("SUBSTRING(");
                self.spaced(&[(value, " FROM "), (from, ")")])?;
            }
            ("substring", [value, pattern, escape])
                if pattern.ty().oid == t::TEXT && escape.ty().oid == t::TEXT =>
            {
                self.put("SUBSTRING(");
                self.spaced(&[(value, " SIMILAR "), (pattern, " ESCAPE "), (escape, ")")])?;
            }
            ("substring", [value, from, count]) if from.ty().oid == t::INT4 => {
                self.put("SUBSTRING(");
                self.spaced(&[(value, " FROM "), (from, " FOR "), (count, ")")])?;
            }
            ("btrim" | "ltrim" | "rtrim", [value, rest @ ..]) => {
                self.put(match name {
                    "btrim" => "TRIM(BOTH",
                    "ltrim" => "TRIM(LEADING",
                    _ => "TRIM(TRAILING",
                });
                if let [characters] = rest {
                    self.put(" ");
                    self.expression(characters, false)?;
                }
                self.put(" FROM ");
                self.spaced(&[(value, ")")])?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Expressions, each with what stands behind it.
    fn spaced(&mut self, parts: &[(&'a Expr, &str)]) -> SqlResult<()> {
        for (expr, behind) in parts {
            self.expression(expr, false)?;
            self.put(behind);
        }
        Ok(())
    }

    /// An aggregate.
    pub(super) fn aggregate(&mut self, aggregate: &'a Aggregate) -> SqlResult<()> {
        let row = function(aggregate.function)?;
        self.put(&quote_ident(&row.name));
        self.put("(");
        if aggregate.distinct {
            self.put("DISTINCT ");
        }
        if aggregate.within_group {
            self.list(&aggregate.args, true)?;
            self.put(") WITHIN GROUP (ORDER BY ");
            self.order(&aggregate.order_by)?;
        } else {
            if aggregate.args.is_empty() {
                self.put("*");
            }
            self.list(&aggregate.args, true)?;
            if !aggregate.order_by.is_empty() {
                self.put(" ORDER BY ");
                self.order(&aggregate.order_by)?;
            }
        }
        if let Some(filter) = &aggregate.filter {
            self.put(") FILTER (WHERE ");
            self.expression(filter, false)?;
        }
        self.put(")");
        Ok(())
    }

    /// A call over a window.
    pub(super) fn window_call(&mut self, call: &'a WindowCall) -> SqlResult<()> {
        let row = function(call.function)?;
        self.put(&quote_ident(&row.name));
        self.put("(");
        if call.args.is_empty() && row.kind == FunctionKind::Aggregate {
            self.put("*");
        }
        self.list(&call.args, true)?;
        if let Some(filter) = &call.filter {
            self.put(") FILTER (WHERE ");
            self.expression(filter, false)?;
        }
        self.put(") OVER ");
        let query = self.level(0)?.query.ok_or_else(|| unprintable("a window of no query"))?;
        let name = query.written.windows.get(call.window).and_then(|w| w.name.as_deref());
        match name {
            Some(name) => {
                let name = quote_ident(name);
                self.put(&name);
                Ok(())
            }
            None => self.window(call.window),
        }
    }

    /// What a window is, in parentheses.
    pub(super) fn window(&mut self, number: usize) -> SqlResult<()> {
        let query = self.level(0)?.query.ok_or_else(|| unprintable("a window of no query"))?;
        let window =
            query.windows.get(number).ok_or_else(|| unprintable("a window that is missing"))?;
        let written = query.written.windows.get(number).cloned().unwrap_or_default();
        self.put("(");
        let mut space = "";
        if let Some(base) = &written.base {
            self.put(&quote_ident(base));
            space = " ";
        } else if !window.partition_by.is_empty() {
            self.put("PARTITION BY ");
            for (at, expr) in window.partition_by.iter().enumerate() {
                if at > 0 {
                    self.put(", ");
                }
                self.sort_expression(expr)?;
            }
            space = " ";
        }
        if !window.order_by.is_empty() && (written.base.is_none() || written.sorted) {
            self.put(space);
            self.put("ORDER BY ");
            self.order(&window.order_by)?;
            space = " ";
        }
        if let Some(between) = written.frame {
            self.put(space);
            self.frame(&window.frame, between)?;
        }
        self.put(")");
        Ok(())
    }

    fn frame(&mut self, frame: &'a Frame, between: bool) -> SqlResult<()> {
        self.put(match frame.unit {
            FrameUnit::Rows => "ROWS ",
            FrameUnit::Range => "RANGE ",
            FrameUnit::Groups => "GROUPS ",
        });
        if between {
            self.put("BETWEEN ");
        }
        self.frame_bound(&frame.start)?;
        if between {
            self.put(" AND ");
            self.frame_bound(&frame.end)?;
        }
        self.put(match frame.exclude {
            FrameExclusion::NoOthers => "",
            FrameExclusion::CurrentRow => " EXCLUDE CURRENT ROW",
            FrameExclusion::Group => " EXCLUDE GROUP",
            FrameExclusion::Ties => " EXCLUDE TIES",
        });
        Ok(())
    }

    fn frame_bound(&mut self, bound: &'a FrameBound) -> SqlResult<()> {
        match bound {
            FrameBound::UnboundedPreceding => self.put("UNBOUNDED PRECEDING"),
            FrameBound::UnboundedFollowing => self.put("UNBOUNDED FOLLOWING"),
            FrameBound::CurrentRow => self.put("CURRENT ROW"),
            FrameBound::Preceding(offset) => {
                self.expression(offset, false)?;
                self.put(" PRECEDING");
            }
            FrameBound::Following(offset) => {
                self.expression(offset, false)?;
                self.put(" FOLLOWING");
            }
        }
        Ok(())
    }

    /// Keys of `ORDER BY` within a call or a window.
    pub(super) fn order(&mut self, keys: &'a [OrderExpr]) -> SqlResult<()> {
        for (at, key) in keys.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            self.sort_expression(&key.expr)?;
            self.put(direction(key.descending, key.nulls_first));
        }
        Ok(())
    }

    /// What is sorted or grouped by, so that it cannot be read as an output column's number or name
    /// (`get_rule_sortgroupclause`).
    pub(super) fn sort_expression(&mut self, expr: &'a Expr) -> SqlResult<()> {
        match expr {
            Expr::Const { value, ty } => self.constant(value, *ty, super::constant::Label::Always),
            Expr::Column { .. } => self.expression(expr, true),
            _ => {
                let call = matches!(expr, Expr::Aggregate(_) | Expr::WindowCall(_))
                    || matches!(expr, Expr::Call(call)
                        if !matches!(call.form, CallForm::Operator(_)));
                let needed = self.pretty() || call;
                if needed {
                    self.put("(");
                }
                self.expression(expr, true)?;
                if needed {
                    self.put(")");
                }
                Ok(())
            }
        }
    }
}

/// The words behind a sort key.
pub(super) const fn direction(descending: bool, nulls_first: bool) -> &'static str {
    match (descending, nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

/// The type that a cast's function gives, with the modifier that it is told.
fn result_type(call: &Call) -> TypeRef {
    match call.args.get(1) {
        Some(Expr::Const { value: Datum::Int4(typmod), .. }) => {
            TypeRef::with_typmod(call.ty.oid, *typmod)
        }
        _ => TypeRef::plain(call.ty.oid),
    }
}
