//! What the indexes of a table are over besides columns: expressions, and the conditions of partial
//! ones. They are kept as SQL and analyzed once a plan.

use std::collections::HashMap;
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_sql::analyze::{Analyzer, AnalyzerContext, ExprPlace, same_expression};
use aegis_sql::bound::Expr;
use aegis_sql::parser;
use aegis_sql::query_engine::StatementContext;
use aegis_types::{Oid, SqlResult};

use super::Builder;
use super::access::{EXPRESSION, over_entry};

/// The expressions and conditions of a table's indexes, over entry 0.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    expressions: Vec<(String, Expr)>,
    /// Where what is known of each is kept, and whether no value of it comes twice.
    kept: Vec<(Oid, i16, bool)>,
    /// The condition of each partial index.
    pub(super) predicates: HashMap<Oid, Expr>,
}

impl Indexed {
    fn read(relation: &Arc<Relation>, context: &StatementContext) -> Self {
        let mut found = Self::default();
        for oid in relation.as_table().map_or(&[][..], |table| &table.indexes) {
            let Some(body) = context.catalog.relation(*oid).and_then(|index| index.as_index())
            else {
                continue;
            };
            // What cannot be analyzed any more, no plan can use.
            for (number, key) in (1_i16..).zip(&body.keys) {
                let Some(expression) = &key.expression else { continue };
                if found.number(&expression.text).is_none()
                    && let Ok(expr) =
                        analyzed(&expression.text, relation, ExprPlace::IndexExpression, context)
                {
                    found.expressions.push((expression.text.clone(), expr));
                    let is_whole = body.unique && body.valid && body.predicate.is_none();
                    found.kept.push((*oid, number, is_whole && body.keys.len() == 1));
                }
            }
            if let Some(predicate) = &body.predicate
                && let Ok(expr) =
                    analyzed(&predicate.text, relation, ExprPlace::IndexPredicate, context)
            {
                found.predicates.insert(*oid, expr);
            }
        }
        found
    }

    /// The number that stands for an expression.
    pub(super) fn number(&self, text: &str) -> Option<i16> {
        let at = self.expressions.iter().position(|(known, _)| known == text)?;
        Some(EXPRESSION - i16::try_from(at).ok()?)
    }

    /// Where what is known of an expression over an entry is kept: the index, the number of its
    /// column; and whether no value comes twice.
    pub(super) fn statistics_of(&self, at: usize, expr: &Expr) -> Option<(Oid, i16, bool)> {
        let same = |(_, known): &(String, Expr)| same_expression(&over_entry(known, at), expr);
        self.expressions.iter().position(same).map(|place| self.kept[place])
    }

    /// The expressions over an entry of a query.
    pub(super) fn over(&self, at: usize) -> Vec<Expr> {
        self.expressions.iter().map(|(_, expr)| over_entry(expr, at)).collect()
    }
}

fn analyzed(
    text: &str,
    relation: &Arc<Relation>,
    place: ExprPlace,
    context: &StatementContext,
) -> SqlResult<Expr> {
    let parsed = parser::parse_expr(text)?;
    let analyzer = Analyzer::new(AnalyzerContext {
        catalog: &context.catalog,
        database: context.database,
        search_path: &[],
        system_relations: &*context.system_relations,
        eval: context.eval(),
        parameters: Vec::new(),
        infer_parameters: false,
    });
    analyzer.analyze_expr_over_relation(&parsed, relation, place, None)
}

impl Builder {
    /// What the indexes of a table are over besides columns.
    pub(super) fn indexed(&mut self, relation: &Relation) -> Arc<Indexed> {
        if let Some(known) = self.indexed.get(&relation.oid) {
            return known.clone();
        }
        let plain = relation.as_table().is_none_or(|table| {
            table.indexes.iter().all(|oid| {
                let index = self.catalog.relation(*oid).and_then(|index| index.as_index());
                index.is_none_or(aegis_catalog::IndexBody::is_plain)
            })
        });
        let found = match (self.catalog.relation(relation.oid), &self.context) {
            (Some(relation), Some(context)) if !plain => Indexed::read(relation, context),
            _ => Indexed::default(),
        };
        let found = Arc::new(found);
        self.indexed.insert(relation.oid, found.clone());
        found
    }
}
