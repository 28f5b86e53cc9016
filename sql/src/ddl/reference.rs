//! Which relations a query names, as parsed: for the qualification of a view's text and for
//! dependencies. Names of common table expressions are left out where they are in scope.

use crate::ast::{
    Expr, FromItem, FuncCall, GroupByItem, IndirectionElement, RangeVar, SelectBody, SelectStmt,
    SortBy, Statement,
};

/// The relations that a query names, in the order of the walk.
pub(super) fn relations(select: &SelectStmt) -> Vec<&RangeVar> {
    let mut walk = Walk { ctes: Vec::new(), found: Vec::new() };
    walk.select(select);
    walk.found
}

struct Walk<'a> {
    ctes: Vec<&'a str>,
    found: Vec<&'a RangeVar>,
}

impl<'a> Walk<'a> {
    fn select(&mut self, select: &'a SelectStmt) {
        let depth = self.ctes.len();
        if let Some(with) = &select.with {
            if with.recursive {
                self.ctes.extend(with.ctes.iter().map(|cte| cte.name.as_str()));
            }
            for cte in &with.ctes {
                if let Statement::Select(query) = &cte.query {
                    self.select(query);
                }
                self.ctes.push(&cte.name);
            }
        }
        match &select.body {
            SelectBody::Simple(simple) => {
                simple.targets.iter().for_each(|target| self.expr(&target.value));
                simple.from.iter().for_each(|item| self.from(item));
                simple.where_clause.iter().for_each(|expr| self.expr(expr));
                simple.group_by.iter().for_each(|item| self.group(item));
                simple.having.iter().for_each(|expr| self.expr(expr));
                for window in &simple.window {
                    window.partition.iter().for_each(|expr| self.expr(expr));
                    self.sort(&window.order);
                }
            }
            SelectBody::Values(rows) => rows.iter().flatten().for_each(|expr| self.expr(expr)),
            SelectBody::SetOperation(operation) => {
                self.select(&operation.left);
                self.select(&operation.right);
            }
        }
        self.sort(&select.sort);
        select.limit_count.iter().chain(&select.limit_offset).for_each(|expr| self.expr(expr));
        self.ctes.truncate(depth);
    }

    fn sort(&mut self, sort: &'a [SortBy]) {
        sort.iter().for_each(|key| self.expr(&key.node));
    }

    fn group(&mut self, item: &'a GroupByItem) {
        match item {
            GroupByItem::Expr(expr) => self.expr(expr),
            GroupByItem::Empty(_) => {}
            GroupByItem::Set(set) => set.content.iter().for_each(|item| self.group(item)),
        }
    }

    fn relation(&mut self, relation: &'a RangeVar) {
        if relation.schema.is_some() || !self.ctes.contains(&relation.name.as_str()) {
            self.found.push(relation);
        }
    }

    fn from(&mut self, item: &'a FromItem) {
        match item {
            FromItem::Relation(relation) => self.relation(relation),
            FromItem::Subselect(subselect) => self.select(&subselect.subquery),
            FromItem::Function(function) => {
                function.functions.iter().for_each(|item| self.expr(&item.function));
            }
            FromItem::Join(join) => {
                self.from(&join.left);
                self.from(&join.right);
                join.quals.iter().for_each(|expr| self.expr(expr));
            }
            FromItem::TableSample(sample) => {
                self.relation(&sample.relation);
                sample.args.iter().chain(&sample.repeatable).for_each(|expr| self.expr(expr));
            }
        }
    }

    fn call(&mut self, call: &'a FuncCall) {
        call.args.iter().chain(&call.agg_filter).for_each(|expr| self.expr(expr));
        self.sort(&call.agg_order);
        if let Some(window) = &call.over {
            window.partition.iter().for_each(|expr| self.expr(expr));
            self.sort(&window.order);
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::ColumnRef(_)
            | Expr::Param(_)
            | Expr::Const(_)
            | Expr::SqlValue(_)
            | Expr::SetToDefault(_)
            | Expr::CurrentOf(_) => {}
            Expr::AExpr(node) => {
                // Chains lean left by thousands.
                let mut node = node;
                loop {
                    self.expr(&node.right);
                    match &node.left {
                        Some(Expr::AExpr(left)) => node = left,
                        Some(left) => return self.expr(left),
                        None => return,
                    }
                }
            }
            Expr::In(node) => {
                self.expr(&node.left);
                node.list.iter().for_each(|expr| self.expr(expr));
            }
            Expr::Between(node) => {
                [&node.arg, &node.low, &node.high].into_iter().for_each(|expr| self.expr(expr));
            }
            Expr::Bool(node) => node.args.iter().for_each(|expr| self.expr(expr)),
            Expr::NullTest(node) => self.expr(&node.arg),
            Expr::BooleanTest(node) => self.expr(&node.arg),
            Expr::TypeCast(node) => self.expr(&node.arg),
            Expr::Collate(node) => self.expr(&node.arg),
            Expr::Func(call) => self.call(call),
            Expr::NamedArg(node) => self.expr(&node.arg),
            Expr::Indirection(node) => {
                self.expr(&node.arg);
                for step in &node.indirection {
                    match step {
                        IndirectionElement::Index(expr) => self.expr(expr),
                        IndirectionElement::Slice { lower, upper } => {
                            lower.iter().chain(upper).for_each(|expr| self.expr(expr));
                        }
                        IndirectionElement::Field(_) | IndirectionElement::Star => {}
                    }
                }
            }
            Expr::Array(node) => node.elements.iter().for_each(|expr| self.expr(expr)),
            Expr::Row(node) => node.args.iter().for_each(|expr| self.expr(expr)),
            Expr::Case(node) => {
                node.arg.iter().chain(&node.default).for_each(|expr| self.expr(expr));
                for when in &node.whens {
                    self.expr(&when.condition);
                    self.expr(&when.result);
                }
            }
            Expr::Coalesce(node) => node.args.iter().for_each(|expr| self.expr(expr)),
            Expr::MinMax(node) => node.args.iter().for_each(|expr| self.expr(expr)),
            Expr::Grouping(node) => node.args.iter().for_each(|expr| self.expr(expr)),
            Expr::SubLink(node) => {
                node.test.iter().for_each(|expr| self.expr(expr));
                self.select(&node.subselect);
            }
        }
    }
}
