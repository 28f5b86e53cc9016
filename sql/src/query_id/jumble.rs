//! What a bound tree means as bytes: everything that tells two statements apart, in one order. Names,
//! places and the values of constants are left out; of a view its OID alone counts.

use aegis_types::{Collation, Oid, TypeRef};

use crate::bound::{
    BoundStatement, Cte, Distinct, Expr, FrameBound, JoinTree, OrderExpr, Query, RangeTableEntry,
    RteKind, SetOperation, SubqueryKind, Subscript, Target, Window,
};

/// How much stack a level wants to find, and how much it gets otherwise.
const STACK_WANTED: usize = 64 << 10;
const STACK_GIVEN: usize = 1 << 20;

/// The bytes of a statement, and the greatest number of a parameter in it; none for a utility.
pub(super) fn bytes_of(statement: &BoundStatement) -> Option<(Vec<u8>, usize)> {
    if matches!(statement, BoundStatement::Utility(_)) {
        return None;
    }
    let mut jumble = Jumble { bytes: Vec::with_capacity(256), parameter_max: 0 };
    jumble.statement(statement);
    Some((jumble.bytes, jumble.parameter_max))
}

struct Jumble {
    bytes: Vec<u8>,
    parameter_max: usize,
}

impl Jumble {
    fn tag(&mut self, tag: u8) {
        self.bytes.push(tag);
    }

    fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    fn number(&mut self, number: usize) {
        self.bytes.extend_from_slice(&(number as u64).to_le_bytes());
    }

    fn column(&mut self, column: i16) {
        self.bytes.extend_from_slice(&column.to_le_bytes());
    }

    fn oid(&mut self, oid: Oid) {
        self.bytes.extend_from_slice(&oid.0.to_le_bytes());
    }

    /// A type and, for a cast, its modifier.
    fn ty(&mut self, ty: TypeRef) {
        self.oid(ty.oid);
        self.bytes.extend_from_slice(&ty.typmod.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// What has no data of its own, by how it is written in our source.
    fn word(&mut self, word: &dyn std::fmt::Debug) {
        self.text(&format!("{word:?}"));
    }

    fn statement(&mut self, statement: &BoundStatement) {
        match statement {
            BoundStatement::Query(query) => self.query(query),
            BoundStatement::Insert(insert) => {
                self.tag(b'I');
                self.oid(insert.table.oid);
                insert.columns.iter().for_each(|column| self.column(*column));
                self.query(&insert.source);
                if let Some(conflict) = &insert.on_conflict {
                    self.tag(b'c');
                    conflict.arbiters.iter().for_each(|arbiter| self.oid(*arbiter));
                    if let Some(update) = &conflict.update {
                        for (column, value) in &update.assignments {
                            self.column(*column);
                            self.expr(value);
                        }
                        self.exprs(&update.filter);
                    }
                }
                self.targets(&insert.returning);
            }
            BoundStatement::Update(update) => {
                self.tag(b'U');
                self.oid(update.table.oid);
                update.columns.iter().for_each(|column| self.column(*column));
                self.query(&update.source);
                self.targets(&update.returning);
            }
            BoundStatement::Delete(delete) => {
                self.tag(b'D');
                self.oid(delete.table.oid);
                self.query(&delete.source);
                self.targets(&delete.returning);
            }
            BoundStatement::Utility(_) => {}
        }
    }

    fn query(&mut self, query: &Query) {
        stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || self.parts(query));
    }

    fn parts(&mut self, query: &Query) {
        self.tag(b'Q');
        if let Some(view) = query.view {
            self.tag(b'v');
            return self.oid(view);
        }
        query.ctes.iter().for_each(|cte| self.cte(cte));
        query.range_table.iter().for_each(|entry| self.entry(entry));
        query.from.iter().for_each(|tree| self.join(tree));
        self.exprs(&query.filter);
        self.targets(&query.targets);
        self.flag(query.grouped);
        for set in &query.grouping_sets {
            self.exprs(set);
        }
        self.exprs(&query.having);
        query.windows.iter().for_each(|window| self.window(window));
        match &query.distinct {
            Distinct::No => self.tag(b'n'),
            Distinct::All => self.tag(b'a'),
            Distinct::On(targets) => {
                self.tag(b'o');
                targets.iter().for_each(|target| self.number(*target));
            }
        }
        query.set_operation.iter().for_each(|operation| self.set_operation(operation));
        for key in &query.order_by {
            self.number(key.target);
            self.flag(key.descending);
            self.flag(key.nulls_first);
        }
        self.exprs(&query.limit);
        self.flag(query.with_ties);
        self.exprs(&query.offset);
        for mark in &query.row_marks {
            mark.path.iter().for_each(|entry| self.number(*entry));
            self.word(&mark.mode);
            self.word(&mark.wait);
        }
    }

    fn cte(&mut self, cte: &Cte) {
        self.tag(b'W');
        self.text(&cte.name);
        self.flag(cte.recursive);
        self.word(&cte.materialized);
        match &cte.change {
            Some(change) => self.statement(change),
            None => self.query(&cte.query),
        }
    }

    fn entry(&mut self, entry: &RangeTableEntry) {
        self.tag(b'R');
        self.flag(entry.lateral);
        match &entry.kind {
            RteKind::Relation(relation) | RteKind::Row(relation) => {
                self.tag(b'r');
                self.oid(relation.oid);
            }
            RteKind::System(name) => self.text(name),
            RteKind::Subquery(query) => self.query(query),
            RteKind::Functions { calls, with_ordinality } => {
                self.tag(b'f');
                self.flag(*with_ordinality);
                self.exprs(calls.iter().map(|(call, _)| call));
            }
            RteKind::Values(rows) => {
                self.tag(b'V');
                rows.iter().for_each(|row| self.exprs(row));
            }
            RteKind::Cte { index, levels_up } => {
                self.tag(b'c');
                self.number(*index);
                self.number(*levels_up);
            }
            RteKind::Known(_) | RteKind::Returned(_) => self.tag(b'k'),
        }
    }

    fn join(&mut self, tree: &JoinTree) {
        match tree {
            JoinTree::Entry(entry) => self.number(*entry),
            JoinTree::Join { kind, left, right, on } => {
                self.word(kind);
                stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || {
                    self.join(left);
                    self.join(right);
                });
                self.exprs(on);
            }
        }
    }

    fn set_operation(&mut self, operation: &SetOperation) {
        match operation {
            SetOperation::Leaf(entry) => self.number(*entry),
            SetOperation::Node { op, all, left, right } => {
                self.word(op);
                self.flag(*all);
                stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || {
                    self.set_operation(left);
                    self.set_operation(right);
                });
            }
        }
    }

    fn window(&mut self, window: &Window) {
        self.tag(b'w');
        self.exprs(&window.partition_by);
        self.order(&window.order_by);
        self.word(&window.frame.unit);
        self.word(&window.frame.exclude);
        for bound in [&window.frame.start, &window.frame.end] {
            match bound {
                FrameBound::UnboundedPreceding => self.tag(b'<'),
                FrameBound::UnboundedFollowing => self.tag(b'>'),
                FrameBound::CurrentRow => self.tag(b'='),
                FrameBound::Preceding(offset) => {
                    self.tag(b'-');
                    self.expr(offset);
                }
                FrameBound::Following(offset) => {
                    self.tag(b'+');
                    self.expr(offset);
                }
            }
        }
    }

    fn order(&mut self, keys: &[OrderExpr]) {
        for key in keys {
            self.expr(&key.expr);
            self.flag(key.descending);
            self.flag(key.nulls_first);
        }
    }

    fn targets(&mut self, targets: &[Target]) {
        for target in targets {
            self.flag(target.hidden);
            self.expr(&target.expr);
        }
        self.number(targets.len());
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        let mut count = 0;
        for expr in exprs {
            self.expr(expr);
            count += 1;
        }
        self.number(count);
    }

    fn collation(&mut self, collation: Collation) {
        self.word(&collation);
    }

    fn expr(&mut self, expr: &Expr) {
        stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || {
            self.own(expr);
            let mut count = 0;
            expr.for_each_child(&mut |child| {
                self.expr(child);
                count += 1;
            });
            self.number(count);
        });
    }

    /// What an expression is besides its children.
    fn own(&mut self, expr: &Expr) {
        match expr {
            Expr::Const { ty, .. } => {
                self.tag(1);
                self.oid(ty.oid);
            }
            Expr::Param { number, ty } => {
                self.tag(2);
                self.parameter_max = self.parameter_max.max(*number);
                self.number(*number);
                self.oid(ty.oid);
            }
            Expr::Column { entry, column, levels_up, .. } => {
                self.tag(3);
                self.number(*entry);
                self.column(*column);
                self.number(*levels_up);
            }
            Expr::Slot { index, .. } => {
                self.tag(4);
                self.number(*index);
            }
            Expr::Call(call) => {
                self.tag(5);
                self.oid(call.function);
            }
            Expr::ConvertViaText { ty, .. } => {
                self.tag(6);
                self.ty(*ty);
            }
            Expr::Relabel { ty, .. } => {
                self.tag(7);
                self.ty(*ty);
            }
            Expr::Collate { collation, .. } => {
                self.tag(8);
                self.collation(*collation);
            }
            Expr::ConvertArray { ty, element, .. } => {
                self.tag(9);
                self.ty(*ty);
                self.expr(element);
            }
            Expr::And(_) => self.tag(10),
            Expr::Or(_) => self.tag(11),
            Expr::Not(_) => self.tag(12),
            Expr::IsNull { negated, .. } => {
                self.tag(13);
                self.flag(*negated);
            }
            Expr::BooleanTest { test, .. } => {
                self.tag(14);
                self.word(test);
            }
            Expr::Distinct { equal, negated } => {
                self.tag(15);
                self.oid(equal.function);
                self.flag(*negated);
            }
            Expr::NullIf { equal, .. } => {
                self.tag(16);
                self.oid(equal.function);
            }
            Expr::Case { operand, default, .. } => {
                self.tag(17);
                self.flag(operand.is_some());
                self.flag(default.is_some());
            }
            Expr::CaseArgument { ty } => {
                self.tag(18);
                self.oid(ty.oid);
            }
            Expr::Coalesce { .. } => self.tag(19),
            Expr::MinMax { least, .. } => {
                self.tag(20);
                self.flag(*least);
            }
            Expr::ArrayComparison { operator, all, .. } => {
                self.tag(21);
                self.oid(operator.function);
                self.flag(*all);
            }
            Expr::Array { nested, ty, .. } => {
                self.tag(22);
                self.flag(*nested);
                self.oid(ty.oid);
            }
            Expr::Subscript { subscripts, .. } | Expr::SubscriptAssign { subscripts, .. } => {
                self.tag(23);
                for subscript in subscripts {
                    match subscript {
                        Subscript::Index(_) => self.tag(b'i'),
                        Subscript::Slice(lower, upper) => {
                            self.tag(b's');
                            self.flag(lower.is_some());
                            self.flag(upper.is_some());
                        }
                    }
                }
            }
            Expr::Row { ty, .. } => {
                self.tag(24);
                self.oid(ty.oid);
            }
            Expr::RowCompare { op, .. } => {
                self.tag(25);
                self.word(op);
            }
            Expr::Field { index, .. } => {
                self.tag(26);
                self.number(*index);
            }
            Expr::SqlValue { op, ty } => {
                self.tag(27);
                self.word(op);
                self.ty(*ty);
            }
            Expr::Subquery(subquery) => {
                self.tag(28);
                self.tag(match &subquery.kind {
                    SubqueryKind::Exists => b'e',
                    SubqueryKind::Scalar => b's',
                    SubqueryKind::Array => b'a',
                    SubqueryKind::Any(_) => b'y',
                    SubqueryKind::All(_) => b'l',
                    SubqueryKind::RowCompare(_) => b'r',
                });
                self.query(&subquery.query);
            }
            Expr::Aggregate(aggregate) => {
                self.tag(29);
                self.oid(aggregate.function);
                self.flag(aggregate.distinct);
                self.flag(aggregate.within_group);
                self.number(aggregate.levels_up);
                self.number(aggregate.args.len());
                for key in &aggregate.order_by {
                    self.flag(key.descending);
                    self.flag(key.nulls_first);
                }
                self.flag(aggregate.filter.is_some());
            }
            Expr::WindowCall(call) => {
                self.tag(30);
                self.oid(call.function);
                self.number(call.window);
                self.flag(call.filter.is_some());
            }
            Expr::Grouping(_) => self.tag(31),
            Expr::NextValue { sequence, .. } => {
                self.tag(32);
                self.oid(*sequence);
            }
        }
    }
}
