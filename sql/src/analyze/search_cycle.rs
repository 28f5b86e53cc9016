//! `SEARCH` and `CYCLE` of a recursive query, written out as columns that both terms compute
//! (PostgreSQL's `rewriteSearchCycle.c`).
//!
//! ```text
//! base          SELECT b.*, ARRAY[ROW(b.id)] FROM (base) b
//! UNION ALL
//! recursive     SELECT r.*, r.path || ARRAY[ROW(r.id)] FROM (recursive, with t.path) r
//! ```

use std::sync::Arc;

use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::cte::syntax;
use super::from::query_columns;
use super::operator::symbol;
use super::set_operation::set_column;
use super::walk::deepen_query;
use crate::ast::{self, CommonTableExpr, CteCycleClause, SelectBody, SetOp};
use crate::bound::{
    Call, CallForm, Expr, JoinTree, Query, RangeTableEntry, RteColumn, RteKind, SetOperation,
    Target,
};

/// `array_cat`, and its operator `||`.
const ARRAY_CAT: (Oid, Oid) = (Oid(383), Oid(375));
/// `record_eq`, and its operator `=`.
const RECORD_EQ: (Oid, Oid) = (Oid(2981), Oid(2988));
/// `int8inc`
const INT8INC: Oid = Oid(1219);

/// A column that the clauses add.
struct Added {
    name: String,
    ty: TypeRef,
    rule: Rule,
}

/// What an added column is in each term. The numbers are of columns of the query.
enum Rule {
    /// The rows on the way here.
    Path(Vec<usize>),
    /// How deep, and the row.
    Breadth(Vec<usize>),
    /// Whether the row is on the way here; the next added column is that way.
    Mark { columns: Vec<usize>, value: Box<Expr>, default: Box<Expr> },
}

impl Analyzer<'_> {
    /// What the terms must look like for `SEARCH` and `CYCLE`.
    pub(super) fn check_terms(
        &self,
        cte: &CommonTableExpr,
        operation: &ast::SetOperation,
    ) -> SqlResult<()> {
        let simple = |select: &ast::SelectStmt| !matches!(select.body, SelectBody::SetOperation(_));
        if operation.op != SetOp::Union {
            return Err(syntax("WITH query is not recursive").at(cte.location));
        }
        if !simple(&operation.left) {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "with a SEARCH or CYCLE clause, the left side of the UNION must be a SELECT",
            ));
        }
        if !simple(&operation.right) {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT",
            ));
        }
        Ok(())
    }

    /// Adds the columns of `SEARCH` and `CYCLE` to a recursive query.
    pub(super) fn search_and_cycle(
        &mut self,
        cte: &CommonTableExpr,
        columns: &[(String, TypeRef)],
        query: &mut Query,
    ) -> SqlResult<()> {
        let added = self.added_columns(cte, columns)?;
        let Some(SetOperation::Node { left, right, .. }) = &query.set_operation else {
            return Err(SqlError::internal("a recursive query is a union"));
        };
        let (SetOperation::Leaf(left), SetOperation::Leaf(right)) = (&**left, &**right) else {
            return Err(SqlError::internal("the terms were checked"));
        };
        let (left, right) = (*left, *right);
        let own = self.scope().ctes.iter().position(|info| info.name == cte.name);
        for (entry, is_step) in [(left, false), (right, true)] {
            let entry = &mut query.range_table[entry];
            let RteKind::Subquery(term) = &mut entry.kind else {
                return Err(SqlError::internal("the terms of a union are subqueries"));
            };
            let mut inner = std::mem::take(Arc::make_mut(term));
            if is_step {
                carry_through(&mut inner, own, &added, cte)?;
            }
            deepen_query(&mut inner);
            *term = Arc::new(with_added(inner, columns, &added, is_step));
            for column in &added {
                let name = column.name.clone();
                entry.columns.push(RteColumn { name, ty: column.ty, dropped: false });
            }
        }
        for (at, column) in added.into_iter().enumerate() {
            let expr = set_column(columns.len() + at, column.ty);
            query.targets.push(Target { expr, name: column.name, hidden: false, origin: None });
        }
        Ok(())
    }

    fn added_columns(
        &mut self,
        cte: &CommonTableExpr,
        columns: &[(String, TypeRef)],
    ) -> SqlResult<Vec<Added>> {
        let mut added = Vec::new();
        let path_type = TypeRef::plain(t::RECORD_ARRAY);
        if let Some(search) = &cte.search {
            let by = places(&search.columns, columns, "search", search.location)?;
            let name = search.sequence_column.clone();
            taken(&name, columns, "search sequence", search.location)?;
            added.push(if search.breadth_first {
                Added { name, ty: TypeRef::plain(t::RECORD), rule: Rule::Breadth(by) }
            } else {
                Added { name, ty: path_type, rule: Rule::Path(by) }
            });
        }
        if let Some(cycle) = &cte.cycle {
            let at = cycle.location;
            let by = places(&cycle.columns, columns, "cycle", at)?;
            taken(&cycle.mark_column, columns, "cycle mark", at)?;
            taken(&cycle.path_column, columns, "cycle path", at)?;
            if cycle.mark_column == cycle.path_column {
                let message = "cycle mark column name and cycle path column name are the same";
                return Err(syntax(message).at(at));
            }
            if let Some(search) = &cte.search {
                for (name, what) in [(&cycle.mark_column, "mark"), (&cycle.path_column, "path")] {
                    if *name == search.sequence_column {
                        return Err(syntax(&format!(
                            "search sequence column name and cycle {what} column name are the same"
                        ))
                        .at(search.location));
                    }
                }
            }
            let (value, default) = self.cycle_marks(cycle)?;
            let ty = value.ty();
            let rule =
                Rule::Mark { columns: by.clone(), value: value.into(), default: default.into() };
            added.push(Added { name: cycle.mark_column.clone(), ty, rule });
            let name = cycle.path_column.clone();
            added.push(Added { name, ty: path_type, rule: Rule::Path(by) });
        }
        Ok(added)
    }

    fn cycle_marks(&mut self, cycle: &CteCycleClause) -> SqlResult<(Expr, Expr)> {
        let value = self.expr(&cycle.mark_value)?;
        let default = self.expr(&cycle.mark_default)?;
        let (mut both, ty) = self.unify(vec![value, default], "CYCLE")?;
        self.need_equality(ty.oid, None)?;
        let (Some(default), Some(value)) = (both.pop(), both.pop()) else {
            return Err(SqlError::internal("two marks were unified"));
        };
        // PostgreSQL looks the operator up here, so that one that is missing is told about.
        self.operator_call(&symbol("<>"), Some(value.clone()), default.clone(), cycle.location)?;
        Ok((value.expr, default.expr))
    }
}

/// The places of the columns that a clause names.
fn places(
    names: &[String],
    columns: &[(String, TypeRef)],
    what: &str,
    at: u32,
) -> SqlResult<Vec<usize>> {
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let place = columns.iter().position(|(column, _)| column == name).ok_or_else(|| {
            syntax(&format!("{what} column \"{name}\" not in WITH query column list")).at(at)
        })?;
        if places.contains(&place) {
            return Err(SqlError::new(
                SqlState::DuplicateColumn,
                format!("{what} column \"{name}\" specified more than once"),
            )
            .at(at));
        }
        places.push(place);
    }
    Ok(places)
}

fn taken(name: &str, columns: &[(String, TypeRef)], what: &str, at: u32) -> SqlResult<()> {
    if columns.iter().any(|(column, _)| column == name) {
        let message =
            format!("{what} column name \"{name}\" already used in WITH query column list");
        return Err(syntax(&message).at(at));
    }
    Ok(())
}

/// Makes the recursive term give the added columns of the row that it comes from, and leave out rows
/// that are in a cycle.
fn carry_through(
    step: &mut Query,
    own: Option<usize>,
    added: &[Added],
    cte: &CommonTableExpr,
) -> SqlResult<()> {
    // The term is in the union, which is in the query with the WITH.
    let reads = |entry: &RangeTableEntry| matches!(entry.kind, RteKind::Cte { index, levels_up: 2 } if Some(index) == own);
    let Some(entry) = step.range_table.iter().position(reads) else {
        return Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{}\" must \
                 be at the top level of its right-hand SELECT",
                cte.name
            ),
        ));
    };
    for column in added {
        let columns = &mut step.range_table[entry].columns;
        columns.push(RteColumn { name: column.name.clone(), ty: column.ty, dropped: false });
        let read = entry_column(entry, columns.len() - 1, column.ty);
        if let Rule::Mark { value, .. } = &column.rule {
            let equal = equal_call(read.clone(), (**value).clone())?;
            let differs = Expr::Distinct { equal: Box::new(equal), negated: false };
            step.filter = Some(match step.filter.take() {
                None => differs,
                Some(Expr::And(mut all)) => {
                    all.push(differs);
                    Expr::And(all)
                }
                Some(one) => Expr::And(vec![one, differs]),
            });
        }
        let name = column.name.clone();
        step.targets.push(Target { expr: read, name, hidden: false, origin: None });
    }
    Ok(())
}

/// A term with the added columns computed over it.
fn with_added(
    inner: Query,
    columns: &[(String, TypeRef)],
    added: &[Added],
    is_step: bool,
) -> Query {
    let width = columns.len();
    let mut targets: Vec<Target> = columns
        .iter()
        .enumerate()
        .map(|(at, (name, ty))| {
            let expr = entry_column(0, at, *ty);
            Target { expr, name: name.clone(), hidden: false, origin: None }
        })
        .collect();
    let row = |by: &[usize], first: Option<Expr>| {
        let read = by.iter().map(|at| entry_column(0, *at, columns[*at].1));
        let fields: Vec<Expr> = first.into_iter().chain(read).collect();
        let names = (1..=fields.len()).map(|number| format!("f{number}")).collect();
        Expr::Row { fields, names, ty: TypeRef::plain(t::RECORD) }
    };
    for (at, column) in added.iter().enumerate() {
        let before = entry_column(0, width + at, column.ty);
        let expr = match &column.rule {
            Rule::Path(by) => {
                let elements = vec![row(by, None)];
                let ty = TypeRef::plain(t::RECORD_ARRAY);
                let this = Expr::Array { elements, nested: false, ty };
                if is_step { call(ARRAY_CAT, vec![before, this], ty) } else { this }
            }
            Rule::Breadth(by) => {
                let ty = TypeRef::plain(t::INT8);
                let depth = if is_step {
                    let field = Expr::Field { arg: Box::new(before), index: 0, ty };
                    Expr::Call(Box::new(Call {
                        function: INT8INC,
                        args: vec![field],
                        ty,
                        form: CallForm::Function,
                        returns_set: false,
                        user: None,
                        location: None,
                    }))
                } else {
                    Expr::Const { value: Datum::Int8(0), ty }
                };
                row(by, Some(depth))
            }
            Rule::Mark { default, .. } if !is_step => (**default).clone(),
            Rule::Mark { columns: by, value, default } => {
                let path_type = TypeRef::plain(t::RECORD_ARRAY);
                let path = entry_column(0, width + at + 1, path_type);
                let element = Expr::Slot { index: 0, ty: TypeRef::plain(t::RECORD) };
                let Expr::Call(operator) =
                    call(RECORD_EQ, vec![row(by, None), element], TypeRef::plain(t::BOOL))
                else {
                    continue;
                };
                let found = Expr::ArrayComparison { operator, array: Box::new(path), all: false };
                Expr::Case {
                    operand: None,
                    branches: vec![(found, (**value).clone())],
                    default: Some(default.clone()),
                    ty: column.ty,
                }
            }
        };
        targets.push(Target { expr, name: column.name.clone(), hidden: false, origin: None });
    }
    let mut read = query_columns(&inner);
    for (column, (name, _)) in read.iter_mut().zip(columns) {
        column.name.clone_from(name);
    }
    let entry = RangeTableEntry {
        alias: if is_step { "*TROCRN*" } else { "*TLOCRN*" }.to_owned(),
        columns: read,
        kind: RteKind::Subquery(Arc::new(inner)),
        lateral: false,
    };
    Query { range_table: vec![entry], from: vec![JoinTree::Entry(0)], targets, ..Query::default() }
}

fn entry_column(entry: usize, at: usize, ty: TypeRef) -> Expr {
    let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
    Expr::Column { entry, column, levels_up: 0, ty }
}

fn call((function, operator): (Oid, Oid), args: Vec<Expr>, ty: TypeRef) -> Expr {
    Expr::Call(Box::new(Call {
        function,
        args,
        ty,
        form: CallForm::Operator(operator),
        returns_set: false,
        user: None,
        location: None,
    }))
}

/// `=` of two values of one type.
fn equal_call(left: Expr, right: Expr) -> SqlResult<Call> {
    let ty = left.ty().oid;
    let row = aegis_types::builtin::builtins()
        .operators_named("=")
        .find(|row| row.left == ty && row.right == ty)
        .ok_or_else(|| SqlError::unsupported("CYCLE with a mark of this type"))?;
    Ok(Call {
        function: row.function,
        args: vec![left, right],
        ty: TypeRef::plain(t::BOOL),
        form: CallForm::Operator(row.oid),
        returns_set: false,
        user: None,
        location: None,
    })
}
