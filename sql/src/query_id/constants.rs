//! The constants of a statement as it is written: those that its meaning holds.
//!
//! The numbers of `ORDER BY 1` name a column and are none. An expression of `GROUP BY`, `ORDER BY`
//! or `DISTINCT ON` that stands among the targets as well is one with it, so that only its first
//! writing counts; so PostgreSQL finds them in its tree.

use std::fmt::Write as _;

use crate::ast::{
    Assignment, Const, ConstValue, DeleteStmt, DistinctClause, Expr, FrameBound, FromItem,
    FuncCall, GroupByItem, IndirectionElement, InferClause, InsertStmt, OnConflictAction,
    ResTarget, SelectBody, SelectStmt, SimpleSelect, SortBy, Statement, UpdateStmt, WindowDef,
    WithClause,
};

/// How much stack a level wants to find, and how much it gets otherwise.
const STACK_WANTED: usize = 64 << 10;
const STACK_GIVEN: usize = 1 << 20;

/// A constant.
pub(super) struct Constant {
    /// Where it begins.
    pub(super) location: u32,
    /// Whether a word may stand for it: `TRUE`, `NULL`, the field of `EXTRACT`.
    pub(super) is_word: bool,
}

/// The constants of a statement, in the order of the text.
pub(super) fn of(statement: &Statement) -> Vec<Constant> {
    let mut walk = Walk::default();
    walk.statement(statement);
    let mut found = walk.found;
    found.sort_by_key(|constant| constant.location);
    found.dedup_by_key(|constant| constant.location);
    found
}

#[derive(Default)]
struct Walk {
    found: Vec<Constant>,
    /// What was walked over, without places: two expressions of the same shape mean the same.
    shape: Option<String>,
}

impl Walk {
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Select(select) => self.select(select),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Prepare(prepare) => self.statement(&prepare.query),
            Statement::Explain(explain) => self.statement(&explain.query),
            Statement::DeclareCursor(declare) => self.select(&declare.query),
            _ => {}
        }
    }

    fn select(&mut self, select: &SelectStmt) {
        stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || self.parts_of_select(select));
    }

    fn parts_of_select(&mut self, select: &SelectStmt) {
        // A query within an expression makes it unlike any other.
        if let Some(shape) = &mut self.shape {
            let _infallible = write!(shape, "query {}", select.location);
        }
        select.with.iter().for_each(|with| self.with(with));
        match &select.body {
            SelectBody::Simple(simple) => self.simple(simple, &select.sort),
            SelectBody::Values(rows) => {
                self.exprs(rows.iter().flatten());
                self.keys(&select.sort);
            }
            SelectBody::SetOperation(operation) => {
                self.select(&operation.left);
                self.select(&operation.right);
                self.keys(&select.sort);
            }
        }
        self.exprs(select.limit_offset.iter().chain(&select.limit_count));
    }

    fn simple(&mut self, simple: &SimpleSelect, sort: &[SortBy]) {
        self.targets(&simple.targets);
        simple.from.iter().for_each(|item| self.from(item));
        self.exprs(simple.where_clause.iter().chain(&simple.having));
        let mut known: Vec<String> = Vec::new();
        let keyed = !sort.is_empty()
            || !simple.group_by.is_empty()
            || matches!(simple.distinct, Some(DistinctClause::On(_)));
        if keyed {
            known.extend(simple.targets.iter().map(|target| self.shape_of(&target.value)));
        }
        for key in sort {
            self.key(&key.node, &mut known);
        }
        for item in &simple.group_by {
            self.group(item, &mut known);
        }
        if let Some(DistinctClause::On(keys)) = &simple.distinct {
            keys.iter().for_each(|key| self.key(key, &mut known));
        }
        simple.window.iter().for_each(|window| self.window(window));
    }

    fn group(&mut self, item: &GroupByItem, known: &mut Vec<String>) {
        match item {
            GroupByItem::Expr(expr) => self.key(expr, known),
            GroupByItem::Empty(_) => {}
            GroupByItem::Set(set) => {
                for item in &set.content {
                    self.group(item, known);
                }
            }
        }
    }

    /// A key of sorting or grouping: a column's number, what is known already, or a new expression.
    fn key(&mut self, expr: &Expr, known: &mut Vec<String>) {
        if matches!(expr, Expr::Const(_)) {
            return;
        }
        let shape = self.shape_of(expr);
        if known.contains(&shape) {
            return;
        }
        known.push(shape);
        self.expr(expr);
    }

    fn keys(&mut self, keys: &[SortBy]) {
        for key in keys {
            if !matches!(key.node, Expr::Const(_)) {
                self.expr(&key.node);
            }
        }
    }

    /// The shape of an expression; the constants in it are not counted.
    fn shape_of(&mut self, expr: &Expr) -> String {
        let mut walk = Self { shape: Some(String::new()), ..Self::default() };
        walk.expr(expr);
        walk.shape.unwrap_or_default()
    }

    fn with(&mut self, with: &WithClause) {
        for cte in &with.ctes {
            self.statement(&cte.query);
            if let Some(cycle) = &cte.cycle {
                self.exprs([&cycle.mark_value, &cycle.mark_default]);
            }
        }
    }

    fn targets(&mut self, targets: &[ResTarget]) {
        self.exprs(targets.iter().map(|target| &target.value));
    }

    fn from(&mut self, item: &FromItem) {
        match item {
            FromItem::Relation(_) => {}
            FromItem::Subselect(subselect) => self.select(&subselect.subquery),
            FromItem::Function(function) => {
                self.exprs(function.functions.iter().map(|item| &item.function));
            }
            FromItem::Join(join) => {
                stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || {
                    self.from(&join.left);
                    self.from(&join.right);
                });
                self.exprs(&join.quals);
            }
            FromItem::TableSample(sample) => {
                self.exprs(sample.args.iter().chain(&sample.repeatable));
            }
        }
    }

    fn window(&mut self, window: &WindowDef) {
        self.note(format_args!("{:?}{:?}", window.name, window.refname));
        self.exprs(&window.partition);
        self.keys(&window.order);
        if let Some(frame) = &window.frame {
            self.note(format_args!("{:?}{:?}", frame.mode, frame.exclusion));
            for bound in [&frame.start, &frame.end] {
                if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                    self.expr(offset);
                }
            }
        }
    }

    fn insert(&mut self, insert: &InsertStmt) {
        insert.with.iter().for_each(|with| self.with(with));
        insert.columns.iter().for_each(|target| self.indirection(&target.indirection));
        insert.source.iter().for_each(|source| self.select(source));
        if let Some(conflict) = &insert.on_conflict {
            if let Some(InferClause::Index { where_clause, .. }) = &conflict.infer {
                self.exprs(where_clause);
            }
            if let OnConflictAction::Update { assignments, where_clause } = &conflict.action {
                self.assignments(assignments);
                self.exprs(where_clause);
            }
        }
        self.targets(&insert.returning);
    }

    fn update(&mut self, update: &UpdateStmt) {
        update.with.iter().for_each(|with| self.with(with));
        self.assignments(&update.assignments);
        update.from.iter().for_each(|item| self.from(item));
        self.exprs(&update.where_clause);
        self.targets(&update.returning);
    }

    fn delete(&mut self, delete: &DeleteStmt) {
        delete.with.iter().for_each(|with| self.with(with));
        delete.using.iter().for_each(|item| self.from(item));
        self.exprs(&delete.where_clause);
        self.targets(&delete.returning);
    }

    fn assignments(&mut self, assignments: &[Assignment]) {
        for assignment in assignments {
            assignment.targets().iter().for_each(|target| self.indirection(&target.indirection));
            match assignment {
                Assignment::Single { value, .. } => self.expr(value),
                Assignment::Multi { source, .. } => self.expr(source),
            }
        }
    }

    fn indirection(&mut self, elements: &[IndirectionElement]) {
        for element in elements {
            match element {
                IndirectionElement::Field(name) => self.note(format_args!(".{name}")),
                IndirectionElement::Star => self.note(format_args!(".*")),
                IndirectionElement::Index(index) => self.expr(index),
                IndirectionElement::Slice { lower, upper } => {
                    self.note(format_args!("[{}:{}]", lower.is_some(), upper.is_some()));
                    self.exprs(lower.iter().chain(upper));
                }
            }
        }
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        if let Some(shape) = &mut self.shape {
            let _infallible = write!(shape, "({what})");
        }
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        let mut count = 0;
        for expr in exprs {
            self.expr(expr);
            count += 1;
        }
        self.note(format_args!("{count}"));
    }

    fn constant(&mut self, constant: &Const) {
        self.note(format_args!("{:?}", constant.value));
        let is_word = match constant.value {
            ConstValue::Boolean(_) | ConstValue::Null | ConstValue::String(_) => true,
            ConstValue::Integer(_) | ConstValue::Float(_) | ConstValue::BitString(_) => false,
        };
        self.found.push(Constant { location: constant.location, is_word });
    }

    fn call(&mut self, call: &FuncCall) {
        self.note(format_args!(
            "{:?}{}{}{}{}",
            call.name, call.agg_within_group, call.agg_star, call.agg_distinct, call.func_variadic
        ));
        self.exprs(&call.args);
        self.keys(&call.agg_order);
        self.exprs(&call.agg_filter);
        call.over.iter().for_each(|window| self.window(window));
    }

    fn expr(&mut self, expr: &Expr) {
        stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || self.node(expr));
    }

    fn node(&mut self, expr: &Expr) {
        match expr {
            Expr::Const(constant) => self.constant(constant),
            Expr::Param(parameter) => {
                self.note(format_args!("${}", parameter.number));
            }
            Expr::ColumnRef(column) => {
                self.note(format_args!("{:?}{}", column.names, column.star));
            }
            Expr::AExpr(operator) => {
                self.note(format_args!("{:?}{:?}", operator.kind, operator.name));
                self.exprs(operator.left.iter().chain([&operator.right]));
            }
            Expr::In(test) => {
                self.note(format_args!("in{}", test.negated));
                self.exprs([&test.left].into_iter().chain(&test.list));
            }
            Expr::Between(test) => {
                self.note(format_args!("between{}{}", test.negated, test.symmetric));
                self.exprs([&test.arg, &test.low, &test.high]);
            }
            Expr::Bool(connective) => {
                self.note(format_args!("{:?}", connective.op));
                self.exprs(&connective.args);
            }
            Expr::NullTest(test) => {
                self.note(format_args!("null{}", test.negated));
                self.expr(&test.arg);
            }
            Expr::BooleanTest(test) => {
                self.note(format_args!("{:?}", test.test));
                self.expr(&test.arg);
            }
            Expr::TypeCast(cast) => {
                let ty = &cast.type_name;
                self.note(format_args!("::{:?}{:?}", ty.names, ty.array_bounds));
                self.expr(&cast.arg);
            }
            Expr::Collate(collate) => {
                self.note(format_args!("collate{:?}", collate.name));
                self.expr(&collate.arg);
            }
            Expr::Func(call) => self.call(call),
            Expr::NamedArg(arg) => {
                self.note(format_args!("{}=>", arg.name));
                self.expr(&arg.arg);
            }
            Expr::Indirection(indirection) => {
                self.expr(&indirection.arg);
                self.indirection(&indirection.indirection);
            }
            Expr::Array(array) => {
                self.note(format_args!("array"));
                self.exprs(&array.elements);
            }
            Expr::Row(row) => {
                self.note(format_args!("row"));
                self.exprs(&row.args);
            }
            Expr::Case(case) => {
                self.note(format_args!("case{}", case.arg.is_some()));
                self.exprs(&case.arg);
                for when in &case.whens {
                    self.exprs([&when.condition, &when.result]);
                }
                self.exprs(&case.default);
            }
            Expr::Coalesce(coalesce) => {
                self.note(format_args!("coalesce"));
                self.exprs(&coalesce.args);
            }
            Expr::MinMax(extreme) => {
                self.note(format_args!("least{}", extreme.least));
                self.exprs(&extreme.args);
            }
            Expr::SqlValue(value) => self.note(format_args!("{:?}", value.op)),
            Expr::SubLink(link) => {
                self.exprs(&link.test);
                self.select(&link.subselect);
            }
            Expr::Grouping(grouping) => {
                self.note(format_args!("grouping"));
                self.exprs(&grouping.args);
            }
            Expr::SetToDefault(_) | Expr::CurrentOf(_) => {}
        }
    }
}
