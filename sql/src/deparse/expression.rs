//! Expressions (`get_rule_expr`). `implicit` says whether casts that nobody wrote are shown.

use aegis_types::functions::quote_ident;
use aegis_types::{Datum, SqlResult, TypeRef, type_oid as t};

use super::buffer::{INDENT_BROKEN, Printer};
use super::constant::Label;
use super::shape::is_simple;
use super::unprintable;
use crate::ast::{BoolTestType, SqlValueOp};
use crate::bound::{
    Call, CallForm, Expr, RowCompareField, RowCompareOp, Subquery, SubqueryKind, Subscript,
};

impl<'a> Printer<'a> {
    /// Prints an expression.
    pub(super) fn expression(&mut self, expr: &'a Expr, implicit: bool) -> SqlResult<()> {
        match expr {
            Expr::Const { value, ty } => self.constant(value, *ty, Label::Needed),
            Expr::Column { entry, column, levels_up, .. } => {
                self.column(*entry, *column, *levels_up).map(drop)
            }
            Expr::Call(call) => self.call(expr, call, implicit),
            Expr::ConvertViaText { arg, ty, form }
            | Expr::Relabel { arg, ty, form }
            | Expr::ConvertArray { arg, ty, form, .. } => {
                if *form == CallForm::ImplicitCast && !implicit {
                    return self.within(arg, false, expr);
                }
                self.cast(arg, *ty, expr)
            }
            Expr::Collate { arg, explicit: false, .. } => self.within(arg, implicit, expr),
            Expr::Collate { arg, collation, .. } => self.enclosed(|printer| {
                printer.within(arg, implicit, expr)?;
                printer.put(" COLLATE ");
                printer.put(&quote_ident(collation.name()));
                Ok(())
            }),
            Expr::And(args) => self.connective(args, " AND ", expr),
            Expr::Or(args) => self.connective(args, " OR ", expr),
            Expr::Not(arg) => self.enclosed(|printer| {
                printer.put("NOT ");
                printer.within(arg, false, expr)
            }),
            Expr::IsNull { arg, negated } => self.null_test(arg, *negated, expr),
            Expr::BooleanTest { arg, test } => self.enclosed(|printer| {
                printer.within(arg, false, expr)?;
                printer.put(boolean_test(*test));
                Ok(())
            }),
            Expr::Distinct { equal, negated } => self.distinct(equal, *negated, expr),
            Expr::NullIf { equal, .. } => {
                self.put("NULLIF(");
                self.list(&equal.args, true)?;
                self.put(")");
                Ok(())
            }
            Expr::Case { .. } => self.case(expr),
            Expr::Coalesce { args, .. } => self.coalesce(args),
            Expr::MinMax { args, least, .. } => {
                self.put(if *least { "LEAST(" } else { "GREATEST(" });
                self.list(args, true)?;
                self.put(")");
                Ok(())
            }
            Expr::ArrayComparison { operator, array, all } => {
                self.array_comparison(operator, array, *all, expr)
            }
            Expr::Array { elements, ty, nested: false }
                if self.constant_array(elements, *ty)? =>
            {
                Ok(())
            }
            Expr::Array { elements, ty, .. } => {
                self.put("ARRAY[");
                self.list(elements, true)?;
                self.put("]");
                if elements.is_empty() {
                    self.label(*ty);
                }
                Ok(())
            }
            Expr::Subscript { arg, subscripts, .. } => self.subscripts(arg, subscripts),
            // Only EXPLAIN shows it.
            Expr::SubscriptAssign { arg, subscripts, value, .. } => {
                self.subscripts(arg, subscripts)?;
                self.put(" := ");
                self.expression(value, implicit)
            }
            Expr::Row { fields, ty, .. } => {
                self.row(fields)?;
                if ty.oid != t::RECORD {
                    self.label(*ty);
                }
                Ok(())
            }
            Expr::RowCompare { op, fields } => self.row_comparison(*op, fields),
            Expr::Field { arg, index, .. } => self.field(arg, *index),
            Expr::SqlValue { op, ty } => {
                self.sql_value(*op, *ty);
                Ok(())
            }
            Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::WindowCall(call) => self.window_call(call),
            Expr::Grouping(args) => {
                self.put("GROUPING(");
                self.list(args, true)?;
                self.put(")");
                Ok(())
            }
            Expr::Param { number, ty } if self.plan.is_some() => self.plan_parameter(*number, *ty),
            Expr::Param { number, .. } => {
                self.parameter(*number);
                Ok(())
            }
            // In the condition of a domain.
            Expr::Slot { index: 0, .. } => {
                self.put("VALUE");
                Ok(())
            }
            Expr::Slot { .. } | Expr::CaseArgument { .. } | Expr::NextValue { .. } => {
                Err(unprintable("this expression"))
            }
        }
    }

    /// An argument, in parentheses where its parent needs them and only those are printed.
    pub(super) fn within(&mut self, arg: &'a Expr, implicit: bool, parent: &Expr) -> SqlResult<()> {
        let needed = self.pretty() && !is_simple(arg, parent);
        if needed {
            self.put("(");
        }
        self.expression(arg, implicit)?;
        if needed {
            self.put(")");
        }
        Ok(())
    }

    /// In parentheses unless only those that are needed are printed.
    pub(super) fn enclosed(
        &mut self,
        print: impl FnOnce(&mut Self) -> SqlResult<()>,
    ) -> SqlResult<()> {
        if self.pretty() {
            return print(self);
        }
        self.put("(");
        print(self)?;
        self.put(")");
        Ok(())
    }

    /// Expressions between commas.
    pub(super) fn list(&mut self, list: &'a [Expr], implicit: bool) -> SqlResult<()> {
        for (at, expr) in list.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            self.expression(expr, implicit)?;
        }
        Ok(())
    }

    /// An expression that stands in a list where a whole row would be taken apart.
    pub(super) fn top_level(&mut self, expr: &'a Expr, implicit: bool) -> SqlResult<()> {
        self.expression(expr, implicit)?;
        if let Expr::Column { column: 0, ty, .. } = expr {
            self.label(*ty);
        }
        Ok(())
    }

    /// A cast (`get_coercion_expr`).
    pub(super) fn cast(&mut self, arg: &'a Expr, ty: TypeRef, parent: &Expr) -> SqlResult<()> {
        match arg {
            Expr::Const { value, ty: own } if own.oid == ty.oid && own.typmod == -1 => {
                self.constant(value, *own, Label::Never)?;
            }
            _ => self.enclosed(|printer| {
                printer.within(arg, false, parent)?;
                // Without a type of its own its elements would be converted one by one.
                if printer.deparser.layout.stored
                    && let Expr::Array { ty: own, elements, .. } = arg
                    && !elements.is_empty()
                {
                    printer.label(*own);
                }
                Ok(())
            })?,
        }
        self.label(ty);
        Ok(())
    }

    fn connective(&mut self, args: &'a [Expr], word: &str, parent: &Expr) -> SqlResult<()> {
        self.enclosed(|printer| {
            for (at, arg) in args.iter().enumerate() {
                if at > 0 {
                    printer.put(word);
                }
                printer.within(arg, false, parent)?;
            }
            Ok(())
        })
    }

    fn null_test(&mut self, arg: &'a Expr, negated: bool, expr: &Expr) -> SqlResult<()> {
        self.enclosed(|printer| {
            printer.within(arg, true, expr)?;
            printer.put(if negated { " IS NOT NULL" } else { " IS NULL" });
            Ok(())
        })
    }

    fn distinct(&mut self, equal: &'a Call, negated: bool, expr: &Expr) -> SqlResult<()> {
        let [left, right] = equal.args.as_slice() else {
            return Err(unprintable("a comparison without two sides"));
        };
        let test = |printer: &mut Self| {
            printer.enclosed(|printer| {
                printer.within(left, true, expr)?;
                printer.put(" IS DISTINCT FROM ");
                printer.within(right, true, expr)
            })
        };
        if !negated {
            return test(self);
        }
        self.enclosed(|printer| {
            printer.put("NOT ");
            test(printer)
        })
    }

    fn case(&mut self, expr: &'a Expr) -> SqlResult<()> {
        let Expr::Case { operand, branches, default, ty } = expr else {
            return Err(unprintable("a CASE that is none"));
        };
        self.keyword_case("CASE", 0, INDENT_BROKEN);
        if let Some(operand) = operand {
            self.put(" ");
            self.expression(operand, true)?;
        }
        for (condition, result) in branches {
            self.keyword_case("WHEN ", 0, 0);
            let shown = match operand {
                Some(_) => compared_with(condition),
                None => condition,
            };
            self.expression(shown, false)?;
            self.put(" THEN ");
            self.expression(result, true)?;
        }
        self.keyword_case("ELSE ", 0, 0);
        match default {
            Some(default) => self.expression(default, true)?,
            None => self.constant(&Datum::Null, *ty, Label::Needed)?,
        }
        self.keyword_case("END", -INDENT_BROKEN, 0);
        Ok(())
    }

    fn keyword_case(&mut self, word: &str, before: i32, after: i32) {
        self.keyword(word, before, after, 0);
    }

    fn coalesce(&mut self, args: &'a [Expr]) -> SqlResult<()> {
        let merged = self.level(0)?.merged_column(args).map(|(alias, name)| {
            let name = aegis_types::functions::quote_ident(name);
            alias.map_or_else(
                || name.clone(),
                |alias| format!("{}.{name}", aegis_types::functions::quote_ident(alias)),
            )
        });
        if let Some(name) = merged.filter(|_| self.plan.is_none()) {
            args.iter().for_each(|arg| self.note_all(arg));
            self.put(&name);
            return Ok(());
        }
        self.put("COALESCE(");
        self.list(args, true)?;
        self.put(")");
        Ok(())
    }

    fn array_comparison(
        &mut self,
        operator: &'a Call,
        array: &'a Expr,
        all: bool,
        expr: &Expr,
    ) -> SqlResult<()> {
        let [left, Expr::Slot { .. }] = operator.args.as_slice() else {
            return Err(unprintable("this comparison with an array"));
        };
        self.enclosed(|printer| {
            printer.within(left, true, expr)?;
            let name = super::call::operator_name(operator)?;
            printer.put(&format!(" {name} {} (", if all { "ALL" } else { "ANY" }));
            printer.within(array, true, expr)?;
            // Without a cast a subquery would be read as the set of its rows.
            if let Expr::Subquery(subquery) = array
                && matches!(subquery.kind, SubqueryKind::Scalar)
            {
                printer.label(subquery.ty);
            }
            printer.put(")");
            Ok(())
        })
    }

    fn subscripts(&mut self, arg: &'a Expr, subscripts: &'a [Subscript]) -> SqlResult<()> {
        let bare = matches!(arg, Expr::Column { .. } | Expr::Field { .. });
        if !bare {
            self.put("(");
        }
        self.expression(arg, true)?;
        if !bare {
            self.put(")");
        }
        for subscript in subscripts {
            self.put("[");
            match subscript {
                Subscript::Index(index) => self.expression(index, false)?,
                Subscript::Slice(lower, upper) => {
                    if let Some(lower) = lower {
                        self.expression(lower, false)?;
                    }
                    self.put(":");
                    if let Some(upper) = upper {
                        self.expression(upper, false)?;
                    }
                }
            }
            self.put("]");
        }
        Ok(())
    }

    fn row(&mut self, fields: &'a [Expr]) -> SqlResult<()> {
        self.put("ROW(");
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            self.top_level(field, true)?;
        }
        self.put(")");
        Ok(())
    }

    fn row_comparison(&mut self, op: RowCompareOp, fields: &'a [RowCompareField]) -> SqlResult<()> {
        self.put("(ROW(");
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            self.top_level(compared(&field.left), true)?;
        }
        self.put(&format!(") {} ROW(", row_operator(op)));
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            self.top_level(compared(&field.right), true)?;
        }
        self.put("))");
        Ok(())
    }

    fn field(&mut self, arg: &'a Expr, index: usize) -> SqlResult<()> {
        let names = self.deparser.names;
        let oid = arg.ty().oid;
        let name = names
            .record_fields(TypeRef::plain(oid))
            .and_then(|fields| fields.get(index).map(|(name, _)| name.to_string()))
            .ok_or_else(|| unprintable("a field of a row without a type"))?;
        let bare = matches!(arg, Expr::Subscript { .. } | Expr::Field { .. });
        if !bare {
            self.put("(");
        }
        self.expression(arg, true)?;
        if !bare {
            self.put(")");
        }
        self.put(".");
        self.put(&aegis_types::functions::quote_ident(&name));
        Ok(())
    }

    fn sql_value(&mut self, op: SqlValueOp, ty: TypeRef) {
        let word = match op {
            SqlValueOp::CurrentDate => "CURRENT_DATE",
            SqlValueOp::CurrentTime => "CURRENT_TIME",
            SqlValueOp::CurrentTimestamp => "CURRENT_TIMESTAMP",
            SqlValueOp::LocalTime => "LOCALTIME",
            SqlValueOp::LocalTimestamp => "LOCALTIMESTAMP",
            SqlValueOp::CurrentRole => "CURRENT_ROLE",
            SqlValueOp::CurrentUser => "CURRENT_USER",
            SqlValueOp::User => "USER",
            SqlValueOp::SessionUser => "SESSION_USER",
            SqlValueOp::CurrentCatalog => "CURRENT_CATALOG",
            SqlValueOp::CurrentSchema => "CURRENT_SCHEMA",
        };
        self.put(word);
        if ty.typmod >= 0 {
            self.put(&format!("({})", ty.typmod));
        }
    }

    fn subquery(&mut self, subquery: &'a Subquery) -> SqlResult<()> {
        if self.plan_subquery()? {
            return Ok(());
        }
        self.put(if matches!(subquery.kind, SubqueryKind::Array) { "ARRAY(" } else { "(" });
        let mut closing = "))";
        match &subquery.kind {
            SubqueryKind::Exists => self.put("EXISTS ("),
            SubqueryKind::Scalar | SubqueryKind::Array => closing = ")",
            SubqueryKind::Any(test) => {
                let name = self.tested(test)?;
                match name.as_str() {
                    "=" => self.put(" IN ("),
                    name => self.put(&format!(" {name} ANY (")),
                }
            }
            SubqueryKind::All(test) => {
                let name = self.tested(test)?;
                self.put(&format!(" {name} ALL ("));
            }
            SubqueryKind::RowCompare(test) => {
                let name = self.tested(test)?;
                self.put(&format!(" {name} ("));
            }
        }
        let indent = self.indent;
        self.query(&subquery.query, None, false)?;
        self.indent = indent;
        self.put(closing);
        Ok(())
    }

    /// The left side of a comparison with a subquery's columns; gives the operator.
    fn tested(&mut self, test: &'a Expr) -> SqlResult<String> {
        match test {
            Expr::Call(call) => {
                let left = call.args.first();
                self.expression(left.ok_or_else(|| unprintable("no left side"))?, true)?;
                super::call::operator_name(call).map(str::to_owned)
            }
            Expr::And(calls) | Expr::Or(calls) => {
                let mut name = None;
                self.put("(");
                for (at, call) in calls.iter().enumerate() {
                    let Expr::Call(call) = call else {
                        return Err(unprintable("this comparison with a subquery"));
                    };
                    if at > 0 {
                        self.put(", ");
                    }
                    let left = call.args.first();
                    self.expression(left.ok_or_else(|| unprintable("no left side"))?, true)?;
                    name = Some(super::call::operator_name(call)?);
                }
                self.put(")");
                name.map(str::to_owned).ok_or_else(|| unprintable("no operator"))
            }
            Expr::RowCompare { op, fields } => {
                self.put("(");
                for (at, field) in fields.iter().enumerate() {
                    if at > 0 {
                        self.put(", ");
                    }
                    self.expression(&field.left, true)?;
                }
                self.put(")");
                Ok(row_operator(*op).to_owned())
            }
            _ => Err(unprintable("this comparison with a subquery")),
        }
    }
}

/// A side of a comparison of rows without the conversion that operators over the two types do
/// without.
fn compared(side: &Expr) -> &Expr {
    const FAMILIES: [&[aegis_types::Oid]; 3] = [
        &[t::INT2, t::INT4, t::INT8],
        &[t::FLOAT4, t::FLOAT8],
        &[t::DATE, t::TIMESTAMP, t::TIMESTAMPTZ],
    ];
    match side {
        Expr::Call(call) if call.form == CallForm::ImplicitCast => match call.args.first() {
            Some(arg)
                if FAMILIES.iter().any(|family| {
                    family.contains(&arg.ty().oid) && family.contains(&call.ty.oid)
                }) =>
            {
                arg
            }
            _ => side,
        },
        side => side,
    }
}

/// What the operand of a CASE is compared with in a condition.
fn compared_with(condition: &Expr) -> &Expr {
    match condition {
        Expr::Call(call) => match call.args.as_slice() {
            [left, right] if is_case_argument(left) => right,
            _ => condition,
        },
        _ => condition,
    }
}

fn is_case_argument(expr: &Expr) -> bool {
    match expr {
        Expr::CaseArgument { .. } => true,
        Expr::Call(call) if call.form == CallForm::ImplicitCast => {
            call.args.first().is_some_and(is_case_argument)
        }
        Expr::Relabel { arg, form: CallForm::ImplicitCast, .. }
        | Expr::ConvertViaText { arg, form: CallForm::ImplicitCast, .. }
        | Expr::ConvertArray { arg, form: CallForm::ImplicitCast, .. }
        | Expr::Collate { arg, explicit: false, .. } => is_case_argument(arg),
        _ => false,
    }
}

const fn row_operator(op: RowCompareOp) -> &'static str {
    match op {
        RowCompareOp::Less => "<",
        RowCompareOp::LessEqual => "<=",
        RowCompareOp::Greater => ">",
        RowCompareOp::GreaterEqual => ">=",
    }
}

const fn boolean_test(test: BoolTestType) -> &'static str {
    match test {
        BoolTestType::IsTrue => " IS TRUE",
        BoolTestType::IsNotTrue => " IS NOT TRUE",
        BoolTestType::IsFalse => " IS FALSE",
        BoolTestType::IsNotFalse => " IS NOT FALSE",
        BoolTestType::IsUnknown => " IS UNKNOWN",
        BoolTestType::IsNotUnknown => " IS NOT UNKNOWN",
    }
}
