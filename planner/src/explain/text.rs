//! Expressions as `EXPLAIN` shows them.

use std::sync::Arc;

use aegis_sql::bound::{Expr, Query};
use aegis_sql::deparse::{PlanAliases, PlanText};
use aegis_sql::explain::ExplainRequest;

/// The queries around an expression, the innermost first: what its columns are called.
pub(crate) struct Names {
    pub(crate) query: Arc<Query>,
    pub(crate) around: Option<Arc<Self>>,
}

/// An expression with the names in it, to be shown.
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) expr: Expr,
    pub(crate) names: Arc<Names>,
}

/// How the columns of an expression are shown.
#[derive(Clone, Copy)]
pub(super) struct Style<'a> {
    /// Whether all stand with what they are of.
    pub(super) prefix: bool,
    /// The entry whose columns stand alone otherwise, while all others never do.
    pub(super) own: Option<(&'a Query, usize)>,
    /// What the subqueries are called, in order.
    pub(super) subqueries: &'a [String],
    /// What the entries are called.
    pub(super) aliases: &'a PlanAliases,
}

impl Names {
    /// The queries, the outermost first.
    fn queries(&self) -> Vec<&Query> {
        let mut queries = match &self.around {
            Some(around) => around.queries(),
            None => Vec::new(),
        };
        queries.push(&self.query);
        queries
    }

    /// The text of an expression; none where it has a part that is not shown.
    pub(super) fn text(
        &self,
        expr: &Expr,
        style: Style<'_>,
        request: &ExplainRequest<'_>,
    ) -> Option<String> {
        let Style { prefix, own, subqueries, aliases } = style;
        let text = PlanText { prefix, own, subqueries, aliases, parameters: request.parameters };
        request.deparser.plan_expression(expr, &self.queries(), text).ok()
    }
}

impl Described {
    /// The text; none where it has a part that is not shown.
    pub(super) fn text(&self, style: Style<'_>, request: &ExplainRequest<'_>) -> Option<String> {
        self.names.text(&self.expr, style, request)
    }
}

/// Several conditions that all hold.
pub(super) fn all(
    conditions: &[&Described],
    style: Style<'_>,
    request: &ExplainRequest<'_>,
) -> Option<String> {
    match conditions {
        [] => None,
        [one] => one.text(style, request),
        many => {
            // Each takes the names of its own subqueries.
            let mut left = style.subqueries;
            let mut texts = Vec::with_capacity(many.len());
            for one in many {
                texts.push(one.text(Style { subqueries: left, ..style }, request)?);
                let taken = subqueries(&one.expr).min(left.len());
                left = &left[taken..];
            }
            Some(format!("({})", texts.join(" AND ")))
        }
    }
}

/// How many subqueries stand in an expression, those within others not counted.
pub(super) fn subqueries(expr: &Expr) -> usize {
    let mut count = usize::from(matches!(expr, Expr::Subquery(_)));
    expr.for_each_child(&mut |child| count += subqueries(child));
    count
}
