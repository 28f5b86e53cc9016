//! The children of expressions, to be looked at or changed.

use super::{Expr, SubqueryKind, Subscript};

impl Expr {
    /// The direct children, in the order of evaluation; not the queries of subqueries.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        match self {
            Self::Const { .. }
            | Self::Param { .. }
            | Self::Column { .. }
            | Self::Slot { .. }
            | Self::CaseArgument { .. }
            | Self::SqlValue { .. }
            | Self::NextValue { .. } => {}
            Self::Call(call) => call.args.iter().for_each(visit),
            Self::ConvertViaText { arg, .. }
            | Self::Relabel { arg, .. }
            | Self::ConvertArray { arg, .. }
            | Self::Collate { arg, .. }
            | Self::Not(arg)
            | Self::IsNull { arg, .. }
            | Self::BooleanTest { arg, .. }
            | Self::Field { arg, .. } => visit(arg),
            Self::Distinct { equal, .. } | Self::NullIf { equal, .. } => {
                equal.args.iter().for_each(visit);
            }
            Self::And(args)
            | Self::Or(args)
            | Self::Coalesce { args, .. }
            | Self::MinMax { args, .. }
            | Self::Grouping(args) => args.iter().for_each(visit),
            Self::Array { elements, .. } => elements.iter().for_each(visit),
            Self::Row { fields, .. } => fields.iter().for_each(visit),
            Self::Case { operand, branches, default, .. } => {
                operand.iter().for_each(|expr| visit(expr));
                for (condition, result) in branches {
                    visit(condition);
                    visit(result);
                }
                default.iter().for_each(|expr| visit(expr));
            }
            Self::ArrayComparison { operator, array, .. } => {
                operator.args.iter().for_each(&mut *visit);
                visit(array);
            }
            Self::Subscript { arg, subscripts, .. } => {
                visit(arg);
                for subscript in subscripts {
                    match subscript {
                        Subscript::Index(index) => visit(index),
                        Subscript::Slice(lower, upper) => {
                            lower.iter().chain(upper).for_each(&mut *visit);
                        }
                    }
                }
            }
            Self::SubscriptAssign { arg, subscripts, value, .. } => {
                visit(arg);
                for subscript in subscripts {
                    match subscript {
                        Subscript::Index(index) => visit(index),
                        Subscript::Slice(lower, upper) => {
                            lower.iter().chain(upper).for_each(&mut *visit);
                        }
                    }
                }
                visit(value);
            }
            Self::RowCompare { fields, .. } => {
                for field in fields {
                    visit(&field.left);
                    visit(&field.right);
                }
            }
            Self::Subquery(subquery) => match &subquery.kind {
                SubqueryKind::Exists | SubqueryKind::Scalar | SubqueryKind::Array => {}
                SubqueryKind::Any(test)
                | SubqueryKind::All(test)
                | SubqueryKind::RowCompare(test) => visit(test),
            },
            Self::Aggregate(aggregate) => {
                aggregate.args.iter().for_each(&mut *visit);
                aggregate.order_by.iter().for_each(|key| visit(&key.expr));
                aggregate.filter.iter().for_each(visit);
            }
            Self::WindowCall(call) => {
                call.args.iter().for_each(&mut *visit);
                call.filter.iter().for_each(visit);
            }
        }
    }
}

impl Expr {
    /// Visits the index of every slot that counts over the row around, not those that stand for an
    /// element of an array or a column of a subquery.
    pub fn visit_outer_slots(&mut self, visit: &mut dyn FnMut(&mut usize)) {
        if let Self::Slot { index, .. } = self {
            visit(index);
            return;
        }
        self.for_each_outer_child_mut(&mut |child| child.visit_outer_slots(visit));
    }

    /// The direct children that are evaluated over the same row, to be changed.
    pub fn for_each_outer_child_mut(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        match self {
            Self::Const { .. }
            | Self::Param { .. }
            | Self::Column { .. }
            | Self::Slot { .. }
            | Self::CaseArgument { .. }
            | Self::SqlValue { .. }
            | Self::NextValue { .. }
            | Self::Subquery(_) => {}
            Self::Call(call) => call.args.iter_mut().for_each(visit),
            Self::ConvertViaText { arg, .. }
            | Self::Relabel { arg, .. }
            | Self::ConvertArray { arg, .. }
            | Self::Collate { arg, .. }
            | Self::Not(arg)
            | Self::IsNull { arg, .. }
            | Self::BooleanTest { arg, .. }
            | Self::Field { arg, .. } => visit(arg),
            Self::Distinct { equal, .. } | Self::NullIf { equal, .. } => {
                equal.args.iter_mut().for_each(visit);
            }
            Self::And(args)
            | Self::Or(args)
            | Self::Coalesce { args, .. }
            | Self::MinMax { args, .. }
            | Self::Grouping(args) => args.iter_mut().for_each(visit),
            Self::Array { elements, .. } => elements.iter_mut().for_each(visit),
            Self::Row { fields, .. } => fields.iter_mut().for_each(visit),
            Self::Case { operand, branches, default, .. } => {
                operand.iter_mut().for_each(|expr| visit(expr));
                for (condition, result) in branches {
                    visit(condition);
                    visit(result);
                }
                default.iter_mut().for_each(|expr| visit(expr));
            }
            Self::ArrayComparison { operator, array, .. } => {
                operator.args.iter_mut().take(1).for_each(&mut *visit);
                visit(array);
            }
            Self::Subscript { arg, subscripts, .. } => {
                visit(arg);
                for subscript in subscripts {
                    match subscript {
                        Subscript::Index(index) => visit(index),
                        Subscript::Slice(lower, upper) => {
                            lower.iter_mut().chain(upper).for_each(&mut *visit);
                        }
                    }
                }
            }
            Self::SubscriptAssign { arg, subscripts, value, .. } => {
                visit(arg);
                for subscript in subscripts {
                    match subscript {
                        Subscript::Index(index) => visit(index),
                        Subscript::Slice(lower, upper) => {
                            lower.iter_mut().chain(upper).for_each(&mut *visit);
                        }
                    }
                }
                visit(value);
            }
            Self::RowCompare { fields, .. } => {
                for field in fields {
                    visit(&mut field.left);
                    visit(&mut field.right);
                }
            }
            Self::Aggregate(aggregate) => {
                aggregate.args.iter_mut().for_each(&mut *visit);
                aggregate.order_by.iter_mut().for_each(|key| visit(&mut key.expr));
                aggregate.filter.iter_mut().for_each(visit);
            }
            Self::WindowCall(call) => {
                call.args.iter_mut().for_each(&mut *visit);
                call.filter.iter_mut().for_each(visit);
            }
        }
    }
}
