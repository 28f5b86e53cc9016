//! Bodies of functions in SQL: names of parameters, and what the last statement gives as the result
//! (PostgreSQL's `sql_fn_post_column_ref` and `check_sql_fn_retval`).

use std::sync::Arc;

use aegis_catalog::Function;
use aegis_types::builtin::CastContext;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::node::Node;
use super::{Analyzed, Analyzer};
use crate::ast;
use crate::bound::{
    BoundStatement, CallForm, Expr, JoinTree, Query, RangeTableEntry, RteColumn, RteKind, Target,
};

/// The function whose body is analyzed.
#[derive(Clone, Debug, Default)]
pub struct Routine {
    /// Its name: `f.x` is its parameter `x`.
    pub name: String,
    /// The names of its inputs, empty for none.
    pub parameters: Vec<String>,
}

/// What a function is to give.
#[derive(Clone, Debug)]
pub enum RoutineResult {
    /// Nothing.
    Void,
    /// A value of this type, from one column.
    Scalar(TypeRef),
    /// A record, from columns of these types; or from one column of the whole type, if it has one.
    Record {
        /// The types of the columns.
        columns: Vec<TypeRef>,
        /// The composite type; none for an anonymous record.
        ty: Option<TypeRef>,
    },
    /// A record of the columns that a column definition list has; or from one column that is one.
    Defined(Vec<TypeRef>),
    /// A record of whatever columns the last statement has.
    AnyRecord,
}

impl<'a> Analyzer<'a> {
    /// The same for statements of a function's body.
    #[must_use]
    pub fn of_routine(mut self, routine: &'a Routine) -> Self {
        self.routine = Some(routine);
        self
    }

    /// Analyzes the last statement of a function's body. Its columns are converted to what the
    /// function is to give.
    ///
    /// # Errors
    /// 42P13 where it gives something else; what analysis raises.
    pub fn analyze_final(
        mut self,
        statement: &ast::Statement,
        result: &RoutineResult,
        shown: &str,
    ) -> SqlResult<Analyzed> {
        let context = self.context.clone();
        let routine = self.routine;
        self.keep_unknown_targets =
            !matches!(result, RoutineResult::Void | RoutineResult::AnyRecord);
        let mut analyzed = self.analyze(statement)?;
        let mut finisher = Analyzer::new(context);
        finisher.routine = routine;
        finisher.finish_routine(&mut analyzed.statement, result, shown)?;
        let catalog = finisher.context.catalog;
        analyzed.columns = match &analyzed.statement {
            BoundStatement::Query(query) => super::output_columns(catalog, &query.targets),
            BoundStatement::Insert(insert) => super::output_columns(catalog, &insert.returning),
            BoundStatement::Update(update) => super::output_columns(catalog, &update.returning),
            BoundStatement::Delete(delete) => super::output_columns(catalog, &delete.returning),
            BoundStatement::Utility(_) => Vec::new(),
        };
        Ok(analyzed)
    }

    /// What a call of a function gives, for arguments of these types and a result of this one;
    /// `defined` is its column definition list, if it has one.
    #[must_use]
    pub fn routine_result(
        &self,
        function: &Function,
        actual: &[Oid],
        result: TypeRef,
        defined: &[TypeRef],
    ) -> RoutineResult {
        let outputs = function.parameters.iter().filter(|parameter| parameter.is_output());
        let outputs: Vec<Oid> = outputs.map(|parameter| parameter.ty).collect();
        if outputs.is_empty() && (function.is_procedure || result.oid == t::VOID) {
            return RoutineResult::Void;
        }
        if result.oid == t::RECORD {
            if outputs.is_empty() {
                return match defined {
                    [] => RoutineResult::AnyRecord,
                    columns => RoutineResult::Defined(columns.to_vec()),
                };
            }
            let declared = function.input_types();
            let columns = outputs.into_iter().map(|ty| {
                let mut declared = declared.clone();
                let resolved = self.resolve_generic_types(actual, &mut declared, ty);
                TypeRef::plain(resolved.unwrap_or(ty))
            });
            return RoutineResult::Record { columns: columns.collect(), ty: None };
        }
        match self.composite_fields(result.oid) {
            Some(fields) => RoutineResult::Record {
                columns: fields.into_iter().map(|(_, ty)| ty).collect(),
                ty: Some(result),
            },
            None => RoutineResult::Scalar(result),
        }
    }

    /// A type as messages have it.
    #[must_use]
    pub fn shown_type(&self, ty: TypeRef) -> String {
        self.type_name(ty.oid)
    }

    fn finish_routine(
        &mut self,
        statement: &mut BoundStatement,
        result: &RoutineResult,
        shown: &str,
    ) -> SqlResult<()> {
        if matches!(result, RoutineResult::Void) {
            return Ok(());
        }
        if !statement.returns_rows() {
            return Err(mismatch(shown).detail(
                "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.",
            ));
        }
        match statement {
            BoundStatement::Query(query) => {
                let given: Vec<TypeRef> = query.visible_targets().map(|it| it.expr.ty()).collect();
                let wanted = self.wanted(&given, result, shown)?;
                if wanted != given {
                    *query = Arc::new(self.converted(query, &wanted, shown)?);
                }
                Ok(())
            }
            BoundStatement::Insert(insert) => {
                self.convert_targets(&mut Arc::make_mut(insert).returning, result, shown)
            }
            BoundStatement::Update(update) => {
                self.convert_targets(&mut Arc::make_mut(update).returning, result, shown)
            }
            BoundStatement::Delete(delete) => {
                self.convert_targets(&mut Arc::make_mut(delete).returning, result, shown)
            }
            BoundStatement::Utility(_) => Ok(()),
        }
    }

    /// The types that columns of these types are to be converted to.
    fn wanted(
        &self,
        given: &[TypeRef],
        result: &RoutineResult,
        shown: &str,
    ) -> SqlResult<Vec<TypeRef>> {
        match result {
            RoutineResult::Void | RoutineResult::AnyRecord => Ok(given.to_vec()),
            RoutineResult::Scalar(ty) => match given {
                [_] => Ok(vec![*ty]),
                _ => Err(mismatch(shown).detail("Final statement must return exactly one column.")),
            },
            RoutineResult::Defined(columns) => {
                if let [one] = given
                    && (one.oid == t::RECORD || self.is_composite(one.oid))
                    && columns.iter().map(|column| column.oid).ne([one.oid])
                {
                    return Ok(given.to_vec());
                }
                check_count(given, columns, shown)?;
                Ok(columns.clone())
            }
            RoutineResult::Record { columns, ty } => {
                if let ([one], Some(ty)) = (given, ty)
                    && (columns.len() != 1 || one.oid == ty.oid)
                    && self.can_coerce(&[one.oid], &[ty.oid], CastContext::Assignment)
                {
                    return Ok(vec![*ty]);
                }
                check_count(given, columns, shown)?;
                Ok(columns.clone())
            }
        }
    }

    /// A query around another that converts its columns.
    fn converted(
        &mut self,
        query: &Arc<Query>,
        wanted: &[TypeRef],
        shown: &str,
    ) -> SqlResult<Query> {
        let visible: Vec<&Target> = query.visible_targets().collect();
        let column = |target: &&Target| RteColumn {
            name: target.name.clone(),
            ty: target.expr.ty(),
            dropped: false,
        };
        let entry = RangeTableEntry {
            alias: "*SELECT*".to_owned(),
            columns: visible.iter().map(column).collect(),
            kind: RteKind::Subquery(query.clone()),
            lateral: false,
        };
        let mut targets = Vec::with_capacity(visible.len());
        for (at, (target, wanted)) in visible.iter().zip(wanted).enumerate() {
            let expr = match &target.expr {
                // A literal that no type was found for takes the one that is wanted.
                literal @ Expr::Const { .. } => literal.clone(),
                other => Expr::Column {
                    entry: 0,
                    column: i16::try_from(at + 1).unwrap_or(i16::MAX),
                    levels_up: 0,
                    ty: other.ty(),
                },
            };
            let expr = self.converted_column(expr, *wanted, at, shown)?;
            targets.push(Target {
                expr,
                name: target.name.clone(),
                hidden: false,
                origin: target.origin,
            });
        }
        Ok(Query {
            range_table: vec![entry],
            from: vec![JoinTree::Entry(0)],
            targets,
            ..Query::default()
        })
    }

    fn convert_targets(
        &mut self,
        targets: &mut [Target],
        result: &RoutineResult,
        shown: &str,
    ) -> SqlResult<()> {
        let given: Vec<TypeRef> =
            targets.iter().filter(|it| !it.hidden).map(|it| it.expr.ty()).collect();
        let wanted = self.wanted(&given, result, shown)?;
        let visible = targets.iter_mut().filter(|target| !target.hidden);
        for (at, (target, wanted)) in visible.zip(wanted).enumerate() {
            target.expr = self.converted_column(target.expr.clone(), wanted, at, shown)?;
        }
        Ok(())
    }

    fn converted_column(
        &mut self,
        expr: Expr,
        wanted: TypeRef,
        at: usize,
        shown: &str,
    ) -> SqlResult<Expr> {
        let given = expr.ty();
        if given.oid == wanted.oid {
            return Ok(expr);
        }
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        let node = Node::unwritten(expr);
        match self.coerce_to_target(node, wanted, context, form, None)? {
            Some(node) => Ok(node.expr),
            None => {
                let (given, wanted) = (self.type_name(given.oid), self.type_name(wanted.oid));
                let detail = if shown == wanted {
                    format!("Actual return type is {given}.")
                } else {
                    format!(
                        "Final statement returns {given} instead of {wanted} at column {}.",
                        at + 1
                    )
                };
                Err(mismatch(shown).detail(detail))
            }
        }
    }

    /// A parameter by its name, where no column has it.
    pub(super) fn routine_parameter(&self, name: &str, at: u32) -> Option<Node> {
        let routine = self.routine?;
        let number = routine.parameters.iter().position(|known| known == name)?;
        let ty = self.parameters.get(number).copied().flatten()?;
        Some(Node::new(Expr::Param { number: number + 1, ty }, at))
    }

    /// A parameter, or a field of one, by a name with dots where no table has it.
    pub(super) fn qualified_routine_parameter(
        &mut self,
        names: &[String],
        at: u32,
    ) -> SqlResult<Option<Node>> {
        let Some(routine) = self.routine else { return Ok(None) };
        let (parameter, field) = match names {
            [function, name] if *function == routine.name => {
                match self.routine_parameter(name, at) {
                    Some(node) => return Ok(Some(node)),
                    None => (function, name),
                }
            }
            [parameter, field] => (parameter, field),
            [function, parameter, field] if *function == routine.name => (parameter, field),
            _ => return Ok(None),
        };
        let Some(node) = self.routine_parameter(parameter, at) else { return Ok(None) };
        match self.field_of(&node, field)? {
            Some(node) => Ok(Some(node)),
            None => self.column_as_function(field, node, at),
        }
    }

    /// `CALL`: a query over what the procedure gives, of as many columns as it has outputs.
    pub(super) fn call_procedure(&mut self, call: &ast::FuncCall) -> SqlResult<Query> {
        let node = self.func_call(call)?;
        let Expr::Call(bound) = &node.expr else {
            return Err(SqlError::internal("a procedure that is none"));
        };
        let outputs = self.record_function_columns(bound).unwrap_or_default();
        let column = |(name, ty): &(String, TypeRef)| RteColumn {
            name: name.clone(),
            ty: *ty,
            dropped: false,
        };
        let target = |(at, (name, ty)): (usize, &(String, TypeRef))| Target {
            expr: Expr::Column {
                entry: 0,
                column: i16::try_from(at + 1).unwrap_or(i16::MAX),
                levels_up: 0,
                ty: *ty,
            },
            name: name.clone(),
            hidden: false,
            origin: None,
        };
        let targets = outputs.iter().enumerate().map(target).collect();
        let mut columns: Vec<RteColumn> = outputs.iter().map(column).collect();
        if columns.is_empty() {
            let ty = TypeRef::plain(t::VOID);
            columns.push(RteColumn { name: String::new(), ty, dropped: false });
        }
        let width = columns.len();
        let kind = RteKind::Functions { calls: vec![(node.expr, width)], with_ordinality: false };
        let alias = call.name.last().cloned().unwrap_or_default();
        Ok(Query {
            range_table: vec![RangeTableEntry { alias, kind, columns, lateral: false }],
            from: vec![JoinTree::Entry(0)],
            targets,
            ..Query::default()
        })
    }
}

fn check_count(given: &[TypeRef], wanted: &[TypeRef], shown: &str) -> SqlResult<()> {
    let detail = match given.len().cmp(&wanted.len()) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "Final statement returns too many columns.",
        std::cmp::Ordering::Less => "Final statement returns too few columns.",
    };
    Err(mismatch(shown).detail(detail))
}

fn mismatch(shown: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidFunctionDefinition,
        format!("return type mismatch in function declared to return {shown}"),
    )
}
