//! `TABLESAMPLE`: a table's rows left out by chance (PostgreSQL's `parse_clause.c`).
//!
//! Both methods look at each row by itself: `system` has no pages to choose from here. With
//! `REPEATABLE` the choice is a hash of the row's key and the seed, so that it stays the same as long
//! as the rows do.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::comparison::has_columns;
use super::node::implicit_call;
use super::scope::Clause;
use crate::ast::RangeTableSample;
use crate::bound::{CallForm, Expr, JoinTree, Query, ROW_KEY, RangeTableEntry, RteKind, Target};
use crate::evaluate::Program;

/// `random()`
const RANDOM: Oid = Oid(1598);
/// `float8 < float8`
const FLOAT8_LESS: Oid = Oid(295);
/// `encode(bytea, text)`
const ENCODE: Oid = Oid(1946);
/// `hashtextextended(text, int8)`
const HASH: Oid = Oid(448);
/// `int8 & int8`
const AND: Oid = Oid(1904);
/// `int8 < int8`
const INT8_LESS: Oid = Oid(469);

impl Analyzer<'_> {
    /// Makes an entry of the range table one of a sample of its rows.
    pub(super) fn sample_entry(&mut self, sample: &RangeTableSample) -> SqlResult<usize> {
        let at = sample.location;
        let entry = self.relation_entry(&sample.relation)?;
        let RteKind::Relation(relation) = &self.scope().range_table[entry].kind else {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "TABLESAMPLE clause can only be applied to tables and materialized views",
            )
            .at(sample.relation.location));
        };
        let relation = relation.clone();
        let name = sample.method.join(".");
        let method = sample.method.last().map_or("", String::as_str);
        if !matches!(method, "bernoulli" | "system") {
            return Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("tablesample method {name} does not exist"),
            )
            .at(at));
        }
        if sample.args.len() != 1 {
            return Err(SqlError::new(
                SqlState::InvalidTablesampleArgument,
                format!("tablesample method {name} requires 1 argument, not {}", sample.args.len()),
            )
            .at(at));
        }
        let percent = self.sample_value(&sample.args[0], t::FLOAT4)?;
        let percent = match percent {
            Datum::Float4(percent) => f64::from(percent),
            _ => {
                return Err(SqlError::new(
                    SqlState::InvalidTablesampleArgument,
                    "TABLESAMPLE parameter cannot be null",
                ));
            }
        };
        let seed = match &sample.repeatable {
            None => None,
            Some(seed) => match self.sample_value(seed, t::FLOAT8)? {
                Datum::Float8(seed) => Some(seed.to_bits().cast_signed()),
                _ => {
                    return Err(SqlError::new(
                        SqlState::InvalidTablesampleRepeat,
                        "TABLESAMPLE REPEATABLE parameter cannot be null",
                    ));
                }
            },
        };
        if !(0.0..=100.0).contains(&percent) {
            return Err(SqlError::new(
                SqlState::InvalidTablesampleArgument,
                "sample percentage must be between 0 and 100",
            ));
        }
        let columns = self.scope().range_table[entry].columns.clone();
        let query = sampled(&relation, &columns, percent / 100.0, seed);
        self.scope().range_table[entry].kind = RteKind::Subquery(Arc::new(query));
        self.scope().entries[entry].relation = None;
        Ok(entry)
    }

    /// A parameter of the clause: the same for all rows.
    fn sample_value(&mut self, value: &crate::ast::Expr, ty: Oid) -> SqlResult<Datum> {
        let node = self.expr_in(value, Clause::FromFunction)?;
        let expr = self.coerce_to_specific(node, ty, "TABLESAMPLE")?;
        let mut has_parameter = has_columns(&expr);
        super::walk::visit_expr(&expr, 0, &mut |expr, _| {
            has_parameter |= matches!(expr, Expr::Param { .. } | Expr::Subquery(_));
            !has_parameter
        });
        if has_parameter {
            return Err(SqlError::unsupported("TABLESAMPLE with a parameter that is no constant"));
        }
        let evaluation = crate::evaluate::Evaluation { eval: self.context.eval, parameters: &[] };
        Program::compile_slots(&expr)?.evaluate(&[], &evaluation)
    }
}

fn call(function: Oid, args: Vec<Expr>, ty: Oid) -> Expr {
    Expr::Call(Box::new(implicit_call(function, args, TypeRef::plain(ty), CallForm::Function)))
}

/// The rows of a table, each there with this probability.
fn sampled(
    relation: &Arc<Relation>,
    columns: &[crate::bound::RteColumn],
    part: f64,
    seed: Option<i64>,
) -> Query {
    let column =
        |number: i16, ty: TypeRef| Expr::Column { entry: 0, column: number, levels_up: 0, ty };
    let value = |value: Datum, ty: Oid| Expr::Const { value, ty: TypeRef::plain(ty) };
    let chosen = match seed {
        _ if part >= 1.0 => value(Datum::Bool(true), t::BOOL),
        _ if part <= 0.0 => value(Datum::Bool(false), t::BOOL),
        None => call(
            FLOAT8_LESS,
            vec![call(RANDOM, Vec::new(), t::FLOAT8), value(Datum::Float8(part), t::FLOAT8)],
            t::BOOL,
        ),
        Some(seed) => {
            let key = column(ROW_KEY, TypeRef::plain(t::BYTEA));
            let text = call(ENCODE, vec![key, value(Datum::text("hex"), t::TEXT)], t::TEXT);
            let hash = call(HASH, vec![text, value(Datum::Int8(seed), t::INT8)], t::INT8);
            let low = i64::from(u32::MAX);
            let low_bits = call(AND, vec![hash, value(Datum::Int8(low), t::INT8)], t::INT8);
            let cut = (part * (low as f64 + 1.0)) as i64;
            call(INT8_LESS, vec![low_bits, value(Datum::Int8(cut), t::INT8)], t::BOOL)
        }
    };
    let targets = (1..)
        .zip(columns)
        .map(|(number, at)| Target {
            expr: if at.dropped { value(Datum::Null, at.ty.oid) } else { column(number, at.ty) },
            name: at.name.clone(),
            hidden: false,
            origin: (!at.dropped).then_some((relation.oid, number)),
        })
        .collect();
    Query {
        range_table: vec![RangeTableEntry {
            alias: relation.name.clone(),
            kind: RteKind::Relation(relation.clone()),
            columns: super::from::relation_columns(relation),
            lateral: false,
        }],
        from: vec![JoinTree::Entry(0)],
        filter: Some(chosen),
        targets,
        ..Query::default()
    }
}
