//! Functions in `FROM`: one row a result, several side by side, ordinality.

use aegis_types::builtin::Implementation;
use aegis_types::{Array, Datum, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::coerce::returns_set;
use super::from::{alias_name, plain_columns, rename_columns};
use super::scope::{Clause, EntryInfo};
use crate::ast::{self, Expr as Ast};
use crate::bound::{Call, CallForm, Expr, RangeTableEntry, RteKind};

impl Analyzer<'_> {
    /// A function, or `ROWS FROM` several (`transformRangeFunction`).
    pub(super) fn function_entry(&mut self, function: &ast::RangeFunction) -> SqlResult<usize> {
        check_definition_place(function)?;
        let before = std::mem::replace(&mut self.scope().lateral_active, true);
        let result =
            self.in_clause(Clause::FromFunction, |analyzer| analyzer.range_functions(function));
        self.scope().lateral_active = before;
        let (calls, mut columns, name) = result?;
        if function.ordinality {
            columns.push(("ordinality".to_owned(), TypeRef::plain(t::INT8)));
        }
        let alias = function.alias.as_ref();
        let scalar = match calls.as_slice() {
            [(call, 1)] => {
                let ty = call.ty().oid;
                !function.ordinality && ty != t::RECORD && !self.is_composite(ty)
            }
            _ => false,
        };
        // A function of one column gives it the name of the alias, unless its one OUT parameter has
        // a name.
        if let (true, Some(alias)) = (calls.len() == 1 && calls[0].1 == 1, alias) {
            let ty = calls[0].0.ty().oid;
            let is_named = self.output_name(&calls[0].0).is_some();
            if ty != t::RECORD && !self.is_composite(ty) && !is_named {
                columns[0].0.clone_from(&alias.name);
            }
        }
        let mut columns = plain_columns(columns);
        rename_columns(&mut columns, alias)?;
        let info =
            EntryInfo { aliased: alias.is_some(), scalar_function: scalar, ..EntryInfo::default() };
        let kind = RteKind::Functions { calls, with_ordinality: function.ordinality };
        let alias = alias_name(alias, &name);
        Ok(self.add_entry(RangeTableEntry { alias, kind, columns, lateral: true }, info))
    }

    fn range_functions(
        &mut self,
        function: &ast::RangeFunction,
    ) -> SqlResult<(Vec<(Expr, usize)>, Vec<(String, TypeRef)>, String)> {
        let mut calls = Vec::new();
        let mut columns = Vec::new();
        let mut entry_name = None;
        for item in &function.functions {
            for call in unnest_parts(&item.function) {
                let name = ast::figure_column_name(&call);
                let node = self.expr(&call)?;
                if let Expr::Call(call) = &node.expr
                    && call.args.iter().any(returns_set)
                {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "set-returning functions must appear at top level of FROM",
                    )
                    .at_opt(node.at));
                }
                let mut expr = node.expr;
                let defs = if function.column_defs.is_empty() {
                    &item.column_defs
                } else {
                    &function.column_defs
                };
                let own = if defs.is_empty() {
                    self.function_columns(&expr, &name).map_err(|e| e.at_opt(node.at))?
                } else {
                    self.defined_columns(&mut expr, defs)?
                };
                entry_name.get_or_insert(name);
                calls.push((expr, own.len()));
                columns.extend(own);
            }
        }
        Ok((calls, columns, entry_name.unwrap_or_default()))
    }

    /// The columns of a column definition list, which is handed to the function.
    fn defined_columns(
        &mut self,
        expr: &mut Expr,
        defs: &[ast::ColumnDef],
    ) -> SqlResult<Vec<(String, TypeRef)>> {
        let at = defs.first().map(|def| def.location);
        let refused = |message: &str| SqlError::new(SqlState::SyntaxError, message).at_opt(at);
        let record = expr.ty().oid == t::RECORD;
        let call = match expr {
            Expr::Call(call) if record => call,
            _ => {
                return Err(refused(
                    "a column definition list is only allowed for functions returning \"record\"",
                ));
            }
        };
        if self.record_function_columns(call).is_some() {
            return Err(refused(
                "a column definition list is redundant for a function with OUT parameters",
            ));
        }
        let mut columns: Vec<(String, TypeRef)> = Vec::with_capacity(defs.len());
        for def in defs {
            let name = def.type_name.as_ref();
            let name = name.ok_or_else(|| SqlError::internal("a column without a type"))?;
            if name.setof {
                return Err(SqlError::new(
                    SqlState::InvalidTableDefinition,
                    format!("column \"{}\" cannot be declared SETOF", def.name),
                )
                .at(def.location));
            }
            if columns.iter().any(|(other, _)| *other == def.name) {
                return Err(SqlError::new(
                    SqlState::DuplicateColumn,
                    format!("column name \"{}\" specified more than once", def.name),
                ));
            }
            columns.push((def.name.clone(), self.resolve_type_name(name)?));
        }
        let takes_list = call.row().is_some_and(|row| {
            matches!(row.implementation, Implementation::Statements)
                || row.source.starts_with("json")
        });
        if !takes_list {
            return Err(SqlError::unsupported("a column definition list of this function"));
        }
        let list = columns.iter().flat_map(|(name, ty)| {
            [
                Datum::text(name.as_str()),
                Datum::text(ty.oid.0.to_string()),
                Datum::text(ty.typmod.to_string()),
            ]
        });
        let list = Array::one_dimensional(t::TEXT, list.collect());
        let written = u8::try_from(call.args.len()).unwrap_or(u8::MAX);
        if let CallForm::Function = call.form {
            call.form = CallForm::Defaulted(written);
        }
        call.args.push(Expr::Const {
            value: Datum::Array(list.into()),
            ty: TypeRef::plain(t::TEXT_ARRAY),
        });
        Ok(columns)
    }

    /// The columns that a function gives as a table.
    fn function_columns(&self, expr: &Expr, name: &str) -> SqlResult<Vec<(String, TypeRef)>> {
        let ty = expr.ty();
        if let Some(fields) = self.composite_fields(ty.oid) {
            return Ok(fields);
        }
        if ty.oid != t::RECORD {
            return Ok(vec![(self.output_name(expr).unwrap_or(name).to_owned(), ty)]);
        }
        let columns = match expr {
            Expr::Call(call) => self.record_function_columns(call),
            _ => None,
        };
        columns.ok_or_else(|| {
            SqlError::new(
                SqlState::SyntaxError,
                "a column definition list is required for functions returning \"record\"",
            )
        })
    }

    /// The name of a function's one OUT parameter (`get_func_result_name`).
    fn output_name<'e>(&self, expr: &'e Expr) -> Option<&'e str> {
        let Expr::Call(call) = expr else { return None };
        let row = call.row()?;
        let outputs = row.modes.iter().enumerate();
        let mut outputs = outputs.filter(|(_, mode)| matches!(**mode, b'o' | b'b' | b't'));
        let (Some((at, _)), None) = (outputs.next(), outputs.next()) else { return None };
        row.names.get(at).map(|name| &**name).filter(|name| !name.is_empty())
    }

    /// The output parameters of a function that returns a record, their polymorphic types resolved.
    pub(super) fn record_function_columns(&self, call: &Call) -> Option<Vec<(String, TypeRef)>> {
        let row = call.row()?;
        if row.result != t::RECORD || row.modes.is_empty() {
            return None;
        }
        let outputs: Vec<usize> = row
            .modes
            .iter()
            .enumerate()
            .filter(|(_, mode)| matches!(**mode, b'o' | b'b' | b't'))
            .map(|(at, _)| at)
            .collect();
        if outputs.is_empty() {
            return None;
        }
        let actual: Vec<_> = call.args.iter().map(|arg| arg.ty().oid).collect();
        let mut columns = Vec::with_capacity(outputs.len());
        for (number, at) in outputs.into_iter().enumerate() {
            let mut declared = row.arguments.clone();
            let ty = row.all_arguments[at];
            let ty = self.resolve_generic_types(&actual, &mut declared, ty).unwrap_or(ty);
            let name = row.names.get(at).filter(|name| !name.is_empty());
            let name =
                name.map_or_else(|| format!("column{}", number + 1), |name| name.to_string());
            columns.push((name, TypeRef::plain(ty)));
        }
        Some(columns)
    }
}

/// Where a column definition list may stand.
fn check_definition_place(function: &ast::RangeFunction) -> SqlResult<()> {
    let Some(first) = function.column_defs.first() else {
        return Ok(());
    };
    let refused = |message: &str, hint: &str| {
        Err(SqlError::new(SqlState::SyntaxError, message).hint(hint).at(first.location))
    };
    if function.functions.len() > 1 {
        return refused(
            "ROWS FROM() with multiple functions cannot have a column definition list",
            "Put a separate column definition list for each function inside ROWS FROM().",
        );
    }
    if function.ordinality {
        return refused(
            "WITH ORDINALITY cannot be used with a column definition list",
            "Put the column definition list inside ROWS FROM().",
        );
    }
    Ok(())
}

/// `unnest` of several arrays stands for as many functions in `ROWS FROM` or alone.
fn unnest_parts(function: &Ast) -> Vec<Ast> {
    match function {
        Ast::Func(call)
            if call.name.last().is_some_and(|name| name == "unnest")
                && (call.name.len() == 1 || call.name[0] == "pg_catalog")
                && call.args.len() > 1
                && call.agg_order.is_empty()
                && !call.func_variadic =>
        {
            call.args
                .iter()
                .map(|arg| {
                    let mut part = (**call).clone();
                    part.args = vec![arg.clone()];
                    Ast::Func(Box::new(part))
                })
                .collect()
        }
        other => vec![other.clone()],
    }
}
