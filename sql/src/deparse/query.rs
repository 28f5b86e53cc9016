//! Whole queries, clause by clause (`get_query_def`).

use std::collections::HashSet;

use aegis_types::SqlResult;
use aegis_types::functions::quote_ident;

use super::buffer::{INDENT_CLAUSE, Printer};
use super::call::direction;
use super::unprintable;
use crate::ast::GroupingSetKind;
use crate::bound::written::WrittenGroup;
use crate::bound::{
    CallForm, Distinct, Expr, JoinTree, MarkWait, Query, RteKind, SetOperation, SetOperator,
};

impl<'a> Printer<'a> {
    /// Prints a query. `columns` are what its output columns are called, if somebody else says;
    /// `named` says whether anybody sees their names.
    pub(super) fn query(
        &mut self,
        query: &'a Query,
        columns: Option<&[String]>,
        named: bool,
    ) -> SqlResult<()> {
        let indent = self.indent;
        self.push_query(query);
        self.uses.extend(query.keys.iter().map(|key| (*key, 0)));
        let result = self.clauses(query, columns, named);
        self.levels.pop();
        self.indent = indent;
        result
    }

    fn clauses(
        &mut self,
        query: &'a Query,
        columns: Option<&[String]>,
        named: bool,
    ) -> SqlResult<()> {
        let side = std::mem::take(&mut self.side);
        self.with_clause(query)?;
        let by_number = query.set_operation.is_some();
        match &query.set_operation {
            Some(operation) => self.set_operation(operation, query, columns, named)?,
            None => self.simple_query(query, columns, named, side)?,
        }
        if !query.order_by.is_empty() {
            self.clause(" ORDER BY ", 1);
            for (at, key) in query.order_by.iter().enumerate() {
                if at > 0 {
                    self.put(", ");
                }
                if by_number {
                    self.put(&(key.target + 1).to_string());
                } else {
                    self.target_as_key(query, key.target)?;
                }
                self.put(direction(key.descending, key.nulls_first));
            }
        }
        if let Some(offset) = &query.offset {
            self.clause(" OFFSET ", 0);
            self.expression(offset, false)?;
        }
        if let Some(limit) = &query.limit {
            if query.with_ties {
                self.clause(" FETCH FIRST ", 0);
                self.put("(");
                self.expression(limit, false)?;
                self.put(") ROWS WITH TIES");
            } else {
                self.clause(" LIMIT ", 0);
                match limit {
                    Expr::Const { value, .. } if value.is_null() => self.put("ALL"),
                    limit => self.expression(limit, false)?,
                }
            }
        }
        // A clause that names a subquery has marked every table within it.
        let mut printed = HashSet::new();
        for mark in &query.row_marks {
            let Some(outermost) = mark.path.first().copied() else {
                continue;
            };
            if !printed.insert(outermost) {
                continue;
            }
            use aegis_storage::RowLockMode as Mode;
            let word = match mark.mode {
                Mode::ForKeyShare => " FOR KEY SHARE",
                Mode::ForShare => " FOR SHARE",
                Mode::ForNoKeyUpdate => " FOR NO KEY UPDATE",
                Mode::ForUpdate => " FOR UPDATE",
            };
            self.clause(word, 0);
            let alias = self.level(0)?.aliases.get(outermost).cloned().unwrap_or_default();
            self.put(&format!(" OF {}", quote_ident(&alias)));
            self.put(match mark.wait {
                MarkWait::Block => "",
                MarkWait::NoWait => " NOWAIT",
                MarkWait::SkipLocked => " SKIP LOCKED",
            });
        }
        Ok(())
    }

    /// Begins a clause on its line.
    pub(super) fn clause(&mut self, word: &str, plus: i32) {
        self.keyword(word, -INDENT_CLAUSE, INDENT_CLAUSE, plus);
    }

    fn with_clause(&mut self, query: &'a Query) -> SqlResult<()> {
        if query.ctes.is_empty() {
            return Ok(());
        }
        self.indent += INDENT_CLAUSE;
        self.begin_query();
        for (at, cte) in query.ctes.iter().enumerate() {
            self.put(match (at, query.written.recursive) {
                (0, true) => "WITH RECURSIVE ",
                (0, false) => "WITH ",
                _ => ", ",
            });
            self.put(&quote_ident(&cte.name));
            let columns = query.written.cte_columns.iter().find(|(name, _)| *name == cte.name);
            if let Some((_, columns)) = columns {
                let columns: Vec<String> = columns.iter().map(|name| quote_ident(name)).collect();
                self.put(&format!("({})", columns.join(", ")));
            }
            self.put(match cte.materialized {
                None => " AS (",
                Some(true) => " AS MATERIALIZED (",
                Some(false) => " AS NOT MATERIALIZED (",
            });
            self.keyword("", 0, 0, 0);
            self.query(&cte.query, None, true)?;
            self.keyword(")", 0, 0, 0);
        }
        self.indent -= INDENT_CLAUSE;
        self.keyword("", 0, 0, 0);
        Ok(())
    }

    fn simple_query(
        &mut self,
        query: &'a Query,
        columns: Option<&[String]>,
        named: bool,
        side: bool,
    ) -> SqlResult<()> {
        self.indent += INDENT_CLAUSE;
        self.begin_query();
        if let Some(rows) = plain_values(query, columns) {
            return self.values(rows);
        }
        self.put("SELECT");
        match &query.distinct {
            Distinct::No => {}
            Distinct::All => self.put(" DISTINCT"),
            Distinct::On(targets) => {
                self.put(" DISTINCT ON (");
                for (at, target) in targets.iter().enumerate() {
                    if at > 0 {
                        self.put(", ");
                    }
                    self.target_as_key(query, *target)?;
                }
                self.put(")");
            }
        }
        self.targets(query, columns, named, side)?;
        self.print_from(query)?;
        if let Some(filter) = &query.filter {
            self.clause(" WHERE ", 1);
            self.expression(filter, false)?;
        }
        self.group_by(query)?;
        if let Some(having) = &query.having {
            self.clause(" HAVING ", 0);
            self.expression(having, false)?;
        }
        let mut first = true;
        for (at, window) in query.written.windows.iter().enumerate() {
            let Some(name) = &window.name else { continue };
            if std::mem::take(&mut first) {
                self.clause(" WINDOW ", 1);
            } else {
                self.put(", ");
            }
            self.put(&format!("{} AS ", quote_ident(name)));
            self.window(at)?;
        }
        Ok(())
    }

    /// `VALUES`
    pub(super) fn values(&mut self, rows: &'a [Vec<Expr>]) -> SqlResult<()> {
        self.put("VALUES ");
        for (at, row) in rows.iter().enumerate() {
            self.put(if at == 0 { "(" } else { ", (" });
            for (at, value) in row.iter().enumerate() {
                if at > 0 {
                    self.put(",");
                }
                self.top_level(value, false)?;
            }
            self.put(")");
        }
        Ok(())
    }

    fn targets(
        &mut self,
        query: &'a Query,
        columns: Option<&[String]>,
        named: bool,
        side: bool,
    ) -> SqlResult<()> {
        let mut broken = false;
        for (at, target) in query.visible_targets().enumerate() {
            self.put(if at == 0 { " " } else { ", " });
            let name = columns.and_then(|columns| columns.get(at)).unwrap_or(&target.name);
            let item = self.apart(|printer| {
                let shown = if side { without_implicit(&target.expr) } else { &target.expr };
                let own = match shown {
                    Expr::Column { entry, column, levels_up, ty } => {
                        let own = printer.column(*entry, *column, *levels_up)?;
                        if own.is_none() {
                            printer.label(*ty);
                        }
                        own
                    }
                    expr => {
                        let merged = match expr {
                            Expr::Coalesce { args, .. } => printer
                                .level(0)?
                                .merged_column(args)
                                .map(|(_, name)| name.to_owned()),
                            _ => None,
                        };
                        printer.expression(expr, true)?;
                        merged.or_else(|| (!named).then(|| "?column?".to_owned()))
                    }
                };
                if own.as_deref() != Some(name.as_str()) {
                    printer.put(&format!(" AS {}", quote_ident(name)));
                }
                aegis_types::SqlResult::Ok(())
            })?;
            self.put_item(&item, at == 0, broken);
            broken = item.get(1..).is_some_and(|rest| rest.contains('\n'));
        }
        Ok(())
    }

    /// A target that is sorted or grouped by.
    fn target_as_key(&mut self, query: &'a Query, target: usize) -> SqlResult<()> {
        let target = query.targets.get(target);
        let target = target.ok_or_else(|| unprintable("a key that is no target"))?;
        self.sort_expression(&target.expr)
    }

    fn group_by(&mut self, query: &'a Query) -> SqlResult<()> {
        let written = &query.written.group_by;
        if query.grouping_sets.is_empty() {
            return Ok(());
        }
        self.clause(" GROUP BY ", 1);
        if written.is_empty() {
            let plain = query.grouping_sets.first();
            for (at, expr) in plain.into_iter().flatten().enumerate() {
                if at > 0 {
                    self.put(", ");
                }
                self.sort_expression(expr)?;
            }
            return Ok(());
        }
        for (at, item) in written.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            self.grouping_item(item, true)?;
        }
        Ok(())
    }

    fn grouping_item(&mut self, item: &'a WrittenGroup, bare: bool) -> SqlResult<()> {
        match item {
            WrittenGroup::Expressions(exprs) => {
                let open = !bare || exprs.len() != 1;
                self.put(if open { "(" } else { "" });
                for (at, expr) in exprs.iter().enumerate() {
                    if at > 0 {
                        self.put(", ");
                    }
                    self.sort_expression(expr)?;
                }
                self.put(if open { ")" } else { "" });
                Ok(())
            }
            WrittenGroup::Set(kind, items) => {
                let (word, bare) = match kind {
                    GroupingSetKind::Rollup => ("ROLLUP(", true),
                    GroupingSetKind::Cube => ("CUBE(", true),
                    GroupingSetKind::Sets => ("GROUPING SETS (", false),
                };
                self.put(word);
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.put(", ");
                    }
                    self.grouping_item(item, bare)?;
                }
                self.put(")");
                Ok(())
            }
        }
    }

    fn set_operation(
        &mut self,
        operation: &'a SetOperation,
        query: &'a Query,
        columns: Option<&[String]>,
        named: bool,
    ) -> SqlResult<()> {
        let (op, all, left, right) = match operation {
            SetOperation::Leaf(entry) => return self.leaf(query, *entry, columns, named),
            SetOperation::Node { op, all, left, right } => (*op, *all, &**left, &**right),
        };
        let differs = matches!(left, SetOperation::Node { op: o, all: a, .. }
            if *o != op || *a != all);
        if differs {
            self.put("(");
            self.keyword("", INDENT_CLAUSE, 0, 0);
        }
        self.set_operation(left, query, columns, named)?;
        if differs {
            self.keyword(") ", -INDENT_CLAUSE, 0, 0);
        } else {
            self.keyword("", 0, 0, 0);
        }
        self.put(match op {
            SetOperator::Union => "UNION ",
            SetOperator::Intersect => "INTERSECT ",
            SetOperator::Except => "EXCEPT ",
        });
        if all {
            self.put("ALL ");
        }
        let nested = matches!(right, SetOperation::Node { .. });
        let subindent = if nested { INDENT_CLAUSE } else { 0 };
        if nested {
            self.put("(");
        }
        self.keyword("", subindent, 0, 0);
        self.set_operation(right, query, columns, false)?;
        self.indent -= subindent;
        if nested {
            self.keyword(")", 0, 0, 0);
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        query: &'a Query,
        entry: usize,
        columns: Option<&[String]>,
        named: bool,
    ) -> SqlResult<()> {
        let entry = query.range_table.get(entry);
        let Some(RteKind::Subquery(inner)) = entry.map(|entry| &entry.kind) else {
            return Err(unprintable("a set operation over no query"));
        };
        let outer = &**inner;
        let inner = unwrapped(outer);
        let wrapped = !std::ptr::eq(outer, inner);
        if wrapped {
            self.push_query(outer);
        }
        let open = !inner.ctes.is_empty()
            || !inner.order_by.is_empty()
            || !inner.row_marks.is_empty()
            || inner.limit.is_some()
            || inner.offset.is_some();
        if open {
            self.put("(");
        }
        self.side = true;
        self.query(inner, columns, named)?;
        if open {
            self.put(")");
        }
        if wrapped {
            self.levels.pop();
        }
        Ok(())
    }
}

/// The rows, if a query is nothing but `VALUES` and its columns are called so.
fn plain_values<'a>(query: &'a Query, columns: Option<&[String]>) -> Option<&'a [Vec<Expr>]> {
    let ([entry], [JoinTree::Entry(0)]) = (query.range_table.as_slice(), query.from.as_slice())
    else {
        return None;
    };
    let RteKind::Values(rows) = &entry.kind else { return None };
    if query.targets.len() != entry.columns.len() {
        return None;
    }
    let names =
        query.targets.iter().enumerate().map(|(at, target)| {
            columns.and_then(|columns| columns.get(at)).unwrap_or(&target.name)
        });
    names.eq(entry.columns.iter().map(|column| &column.name)).then_some(rows)
}

/// The query itself where the analyzer put it into one that only converts its columns.
fn unwrapped(query: &Query) -> &Query {
    match query.range_table.as_slice() {
        [entry] if entry.alias == "*SELECT*" && query.written.entries.is_empty() => {
            match &entry.kind {
                RteKind::Subquery(inner) => inner,
                _ => query,
            }
        }
        _ => query,
    }
}

/// An expression without the casts around it that nobody wrote.
pub(super) fn without_implicit(expr: &Expr) -> &Expr {
    match expr {
        Expr::Call(call) if call.form == CallForm::ImplicitCast => {
            call.args.first().map_or(expr, without_implicit)
        }
        Expr::Relabel { arg, form: CallForm::ImplicitCast, .. }
        | Expr::ConvertViaText { arg, form: CallForm::ImplicitCast, .. }
        | Expr::ConvertArray { arg, form: CallForm::ImplicitCast, .. }
        | Expr::Collate { arg, explicit: false, .. } => without_implicit(arg),
        expr => expr,
    }
}
