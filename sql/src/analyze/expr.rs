//! Expressions: from how they are written to typed trees (PostgreSQL's `parse_expr.c`).

use aegis_types::builtin::CastContext;
use aegis_types::{Collation, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::coerce::returns_set;
use super::node::{Node, leftmost, null};
use super::operator::symbol;
use super::scope::Clause;
use crate::ast::{self, AExprKind, BoolOp, BoolTestType, Expr as Ast, SqlValueOp};
use crate::bound::{CallForm, Expr};

/// The most fields of a row constructor.
const ROW_FIELDS_MAX: usize = 1664;

impl Analyzer<'_> {
    /// An expression.
    pub(super) fn expr(&mut self, expr: &Ast) -> SqlResult<Node> {
        self.deeper(|analyzer| analyzer.expr_here(expr))
    }

    /// An expression as part of a clause.
    pub(super) fn expr_in(&mut self, expr: &Ast, clause: Clause) -> SqlResult<Node> {
        self.in_clause(clause, |analyzer| analyzer.expr(expr))
    }

    fn expr_here(&mut self, expr: &Ast) -> SqlResult<Node> {
        match expr {
            Ast::ColumnRef(column) if column.star => self.starred_row(column),
            Ast::ColumnRef(column) => self.column_ref(column),
            Ast::Param(parameter) => self.parameter(parameter),
            Ast::Const(constant) => self.constant(constant),
            Ast::AExpr(operation) => self.operation(operation),
            Ast::In(in_expr) => self.in_list(in_expr),
            Ast::Between(between) => self.between(between),
            Ast::Bool(connective) => self.connective(connective),
            Ast::NullTest(test) => {
                let node = self.expr(&test.arg)?;
                let at = leftmost(node.at, Some(test.location));
                let arg = Box::new(node.expr);
                Ok(Node { expr: Expr::IsNull { arg, negated: test.negated }, at })
            }
            Ast::BooleanTest(test) => self.boolean_test(test),
            Ast::TypeCast(cast) => self.type_cast(cast),
            Ast::Collate(collate) => self.collate(collate),
            Ast::Func(call) => self.func_call(call),
            Ast::NamedArg(named) => Err(SqlError::new(
                SqlState::SyntaxError,
                "a named argument is only allowed in a call",
            )
            .at(named.location)),
            Ast::Indirection(indirection) => self.indirection(indirection),
            Ast::Array(array) => self.array(array, None),
            Ast::Row(row) => self.row(row),
            Ast::Case(case) => self.case(case),
            Ast::Coalesce(coalesce) => self.coalesce(coalesce),
            Ast::MinMax(min_max) => self.min_max(min_max),
            Ast::SqlValue(function) => self.sql_value(function),
            Ast::SubLink(link) => self.sublink(link),
            Ast::Grouping(grouping) => self.grouping(grouping),
            Ast::SetToDefault(default) => {
                Err(SqlError::new(SqlState::SyntaxError, "DEFAULT is not allowed in this context")
                    .at(default.location))
            }
            Ast::CurrentOf(current) => {
                Err(SqlError::unsupported("WHERE CURRENT OF").at(current.location))
            }
        }
    }

    /// `t.*` as a value: the row.
    fn starred_row(&mut self, column: &ast::ColumnRef) -> SqlResult<Node> {
        if column.names.is_empty() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "row expansion via \"*\" is not supported here",
            )
            .at(column.location));
        }
        let columns = self.star(column)?;
        if let [name] = column.names.as_slice() {
            let plain = ast::ColumnRef {
                names: vec![name.clone()],
                star: false,
                location: column.location,
            };
            if let Some(node) = self.row_of_name(&plain)? {
                return Ok(node);
            }
        }
        let (names, fields) = columns.into_iter().map(|(name, node)| (name, node.expr)).unzip();
        let ty = TypeRef::plain(t::RECORD);
        Ok(Node::new(Expr::Row { fields, names, ty }, column.location))
    }

    /// Expressions of a list in which `t.*` stands for several (`transformExpressionList`).
    pub(super) fn expr_list(&mut self, list: &[Ast]) -> SqlResult<Vec<Node>> {
        let mut nodes = Vec::with_capacity(list.len());
        for item in list {
            match item {
                Ast::ColumnRef(column) if column.star => {
                    nodes.extend(self.star(column)?.into_iter().map(|(_, node)| node));
                }
                Ast::Indirection(indirection)
                    if matches!(
                        indirection.indirection.last(),
                        Some(ast::IndirectionElement::Star)
                    ) =>
                {
                    nodes.extend(
                        self.expand_indirection(indirection)?.into_iter().map(|(_, node)| node),
                    );
                }
                other => nodes.push(self.expr(other)?),
            }
        }
        Ok(nodes)
    }

    fn operation(&mut self, operation: &ast::AExpr) -> SqlResult<Node> {
        let at = operation.location;
        match operation.kind {
            AExprKind::Op | AExprKind::Like | AExprKind::ILike | AExprKind::Similar => {
                self.plain_operation(operation)
            }
            AExprKind::OpAny | AExprKind::OpAll => {
                let left = self.left_operand(operation)?;
                let right = self.expr(&operation.right)?;
                let all = operation.kind == AExprKind::OpAll;
                self.array_comparison(&operation.name, all, left, right, at)
            }
            AExprKind::Distinct | AExprKind::NotDistinct => self.distinct(operation),
            AExprKind::NullIf => {
                let left = self.left_operand(operation)?;
                let right = self.expr(&operation.right)?;
                let call = self.operator_call(&operation.name, Some(left), right, at)?;
                if call.ty.oid != t::BOOL {
                    return Err(SqlError::new(
                        SqlState::DatatypeMismatch,
                        "NULLIF requires = operator to yield boolean",
                    )
                    .at(at));
                }
                let ty = call.args[0].ty();
                Ok(Node::new(Expr::NullIf { equal: Box::new(call), ty }, at))
            }
        }
    }

    pub(super) fn left_operand(&mut self, operation: &ast::AExpr) -> SqlResult<Node> {
        match &operation.left {
            Some(left) => self.expr(left),
            None => Err(SqlError::internal("a binary operator without a left operand")),
        }
    }

    fn plain_operation(&mut self, operation: &ast::AExpr) -> SqlResult<Node> {
        let at = operation.location;
        if let Some(left) = &operation.left {
            if let (Ast::Row(_), Ast::SubLink(link)) = (left, &operation.right)
                && link.kind == ast::SubLinkKind::Expr
            {
                return self.row_compare_subquery(left, &operation.name, link, at);
            }
            if let (Ast::Row(left), Ast::Row(right)) = (left, &operation.right) {
                let left = self.expr_list(&left.args)?;
                let right = self.expr_list(&right.args)?;
                return self.row_comparison(&operation.name, left, right, at);
            }
        }
        let left = match &operation.left {
            Some(left) => Some(self.expr(left)?),
            None => None,
        };
        let right = self.expr(&operation.right)?;
        self.operator(&operation.name, left, right, at)
    }

    fn connective(&mut self, connective: &ast::BoolExpr) -> SqlResult<Node> {
        let word = match connective.op {
            BoolOp::And => "AND",
            BoolOp::Or => "OR",
            BoolOp::Not => "NOT",
        };
        let mut at = Some(connective.location);
        let mut args = Vec::with_capacity(connective.args.len());
        for arg in &connective.args {
            let node = self.expr(arg)?;
            at = leftmost(at, node.at);
            args.push(self.coerce_to_boolean(node, word)?);
        }
        let expr = match connective.op {
            BoolOp::And => Expr::And(args),
            BoolOp::Or => Expr::Or(args),
            BoolOp::Not => match args.pop() {
                Some(arg) => Expr::Not(Box::new(arg)),
                None => return Err(SqlError::internal("NOT of nothing")),
            },
        };
        Ok(Node { expr, at })
    }

    fn boolean_test(&mut self, test: &ast::BooleanTest) -> SqlResult<Node> {
        let word = match test.test {
            BoolTestType::IsTrue => "IS TRUE",
            BoolTestType::IsNotTrue => "IS NOT TRUE",
            BoolTestType::IsFalse => "IS FALSE",
            BoolTestType::IsNotFalse => "IS NOT FALSE",
            BoolTestType::IsUnknown => "IS UNKNOWN",
            BoolTestType::IsNotUnknown => "IS NOT UNKNOWN",
        };
        let node = self.expr(&test.arg)?;
        let at = leftmost(node.at, Some(test.location));
        let arg = Box::new(self.coerce_to_boolean(node, word)?);
        Ok(Node { expr: Expr::BooleanTest { arg, test: test.test }, at })
    }

    fn type_cast(&mut self, cast: &ast::TypeCast) -> SqlResult<Node> {
        let target = self.resolve_type_name(&cast.type_name)?;
        let at = cast.location;
        let node = match &cast.arg {
            Ast::Array(array) if self.element_type(target.oid).is_some() => {
                self.array(array, Some(target))?
            }
            arg => self.expr(arg)?,
        };
        let source = node.oid();
        let location = leftmost(node.at, Some(at.min(cast.type_name.location)));
        let (context, form) = (CastContext::Explicit, CallForm::ExplicitCast);
        match self.coerce_to_target(node, target, context, form, Some(at))? {
            Some(node) => Ok(Node { expr: node.expr, at: location }),
            None => Err(self.cannot_cast(source, target.oid, Some(at))),
        }
    }

    fn collate(&mut self, collate: &ast::CollateClause) -> SqlResult<Node> {
        let node = self.expr(&collate.arg)?;
        let at = collate.location;
        let collatable =
            matches!(node.oid(), t::TEXT | t::VARCHAR | t::BPCHAR | t::NAME | t::UNKNOWN)
                || self.element_type(node.oid()).is_some_and(|element| {
                    matches!(element, t::TEXT | t::VARCHAR | t::BPCHAR | t::NAME)
                });
        if !collatable {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!("collations are not supported by type {}", self.type_name(node.oid())),
            )
            .at(at));
        }
        let collation = self.named_collation(&collate.name).map_err(|error| error.at(at))?;
        let location = leftmost(node.at, Some(at));
        let arg = Box::new(node.expr);
        Ok(Node { expr: Expr::Collate { arg, collation, explicit: true }, at: location })
    }

    /// The collation of this name, one of those that order by bytes, as everything here is ordered.
    pub(crate) fn named_collation(&self, name: &[String]) -> SqlResult<Collation> {
        let known = match name {
            [name] => Some(name),
            [schema, name] if schema == "pg_catalog" => Some(name),
            [schema, _] => {
                self.schema_oid(schema)?;
                None
            }
            _ => None,
        };
        if let Some(collation) = known.and_then(|name| Collation::named(name)) {
            return Ok(collation);
        }
        match known.map(String::as_str) {
            Some("unicode" | "en-x-icu" | "und-x-icu") => {
                Err(SqlError::unsupported(format_args!("collation \"{}\"", name.join("."))))
            }
            _ => Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("collation \"{}\" for encoding \"UTF8\" does not exist", name.join(".")),
            )),
        }
    }

    fn array(&mut self, array: &ast::AArrayExpr, target: Option<TypeRef>) -> SqlResult<Node> {
        let at = array.location;
        let mut nodes = Vec::with_capacity(array.elements.len());
        let mut nested = false;
        for element in &array.elements {
            let node = match element {
                Ast::Array(inner) => {
                    nested = true;
                    self.deeper(|analyzer| analyzer.array(inner, target))?
                }
                other => {
                    let node = self.expr(other)?;
                    nested |= self.element_type(node.oid()).is_some();
                    node
                }
            };
            nodes.push(node);
        }
        let array_type = match target {
            Some(target) => target.oid,
            None if nodes.is_empty() => {
                return Err(SqlError::new(
                    SqlState::IndeterminateDatatype,
                    "cannot determine type of empty array",
                )
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                .at(at));
            }
            None => {
                let common = self.common_type(&nodes.iter().collect::<Vec<_>>(), "ARRAY")?;
                let array_type = if nested {
                    Some(common).filter(|c| self.element_type(*c).is_some())
                } else {
                    self.array_type(common)
                };
                array_type.ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedObject,
                        format!(
                            "could not find array type for data type {}",
                            self.type_name(common)
                        ),
                    )
                    .at(at)
                })?
            }
        };
        let element = if nested { Some(array_type) } else { self.element_type(array_type) };
        let element = element.unwrap_or(array_type);
        let mut elements = Vec::with_capacity(nodes.len());
        for node in nodes {
            let node = match target {
                None => self.coerce_to_common(node, element, "ARRAY")?,
                Some(target) => {
                    let (source, node_at) = (node.oid(), node.at);
                    let ty = TypeRef::with_typmod(element, target.typmod);
                    let (context, form) = (CastContext::Explicit, CallForm::ExplicitCast);
                    self.coerce_to_target(node, ty, context, form, None)?
                        .ok_or_else(|| self.cannot_cast(source, element, node_at))?
                }
            };
            elements.push(node.expr);
        }
        let types: Vec<TypeRef> = elements.iter().map(Expr::ty).collect();
        let typmod = super::common_type::common_typmod(&types, element);
        let ty = TypeRef::with_typmod(array_type, typmod);
        Ok(Node::new(Expr::Array { elements, nested, ty }, at))
    }

    fn row(&mut self, row: &ast::RowExpr) -> SqlResult<Node> {
        let nodes = self.expr_list(&row.args)?;
        if nodes.len() > ROW_FIELDS_MAX {
            return Err(SqlError::new(
                SqlState::TooManyColumns,
                format!("ROW expressions can have at most {ROW_FIELDS_MAX} entries"),
            )
            .at(row.location));
        }
        let names = (1..=nodes.len()).map(|number| format!("f{number}")).collect();
        let fields = nodes.into_iter().map(|node| node.expr).collect();
        let ty = TypeRef::plain(t::RECORD);
        Ok(Node::new(Expr::Row { fields, names, ty }, row.location))
    }

    fn case(&mut self, case: &ast::CaseExpr) -> SqlResult<Node> {
        let at = case.location;
        let operand = match &case.arg {
            None => None,
            Some(arg) => {
                let mut node = self.expr(arg)?;
                if node.oid() == t::UNKNOWN {
                    node = self.coerce_to_common(node, t::TEXT, "CASE")?;
                }
                Some(node)
            }
        };
        let mut conditions = Vec::with_capacity(case.whens.len());
        let mut results = Vec::with_capacity(case.whens.len() + 1);
        results.push(Node::unwritten(null(TypeRef::plain(t::UNKNOWN))));
        for when in &case.whens {
            let condition = self.expr(&when.condition)?;
            let condition = match &operand {
                None => condition,
                Some(operand) => {
                    let argument = Expr::CaseArgument { ty: operand.ty() };
                    let argument = Node { expr: argument, at: operand.at };
                    self.operator(&symbol("="), Some(argument), condition, when.location)?
                }
            };
            conditions.push(self.coerce_to_boolean(condition, "CASE/WHEN")?);
            results.push(self.expr(&when.result)?);
        }
        if let Some(default) = &case.default {
            results[0] = self.expr(default)?;
        }
        let common = self.common_type(&results.iter().collect::<Vec<_>>(), "CASE")?;
        let mut coerced = Vec::with_capacity(results.len());
        for (number, node) in results.into_iter().enumerate() {
            let construct = if number == 0 { "CASE/ELSE" } else { "CASE/WHEN" };
            let node = self.coerce_to_common(node, common, construct)?;
            self.refuse_set(&node, "CASE")?;
            coerced.push(node.expr);
        }
        let types: Vec<TypeRef> = coerced.iter().map(Expr::ty).collect();
        let typmod = super::common_type::common_typmod(&types, common);
        let ty = TypeRef::with_typmod(common, typmod);
        let mut coerced = coerced.into_iter();
        let default = coerced.next().filter(|_| case.default.is_some()).map(Box::new);
        let branches = conditions.into_iter().zip(coerced).collect();
        let operand = operand.map(|node| Box::new(node.expr));
        Ok(Node::new(Expr::Case { operand, branches, default, ty }, at))
    }

    fn refuse_set(&self, node: &Node, construct: &str) -> SqlResult<()> {
        if !returns_set(&node.expr) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("set-returning functions are not allowed in {construct}"),
        )
        .hint("You might be able to move the set-returning function into a LATERAL FROM item.")
        .at_opt(node.at))
    }

    fn coalesce(&mut self, coalesce: &ast::CoalesceExpr) -> SqlResult<Node> {
        let nodes = self.each(&coalesce.args)?;
        let (nodes, ty) = self.unify(nodes, "COALESCE")?;
        for node in &nodes {
            self.refuse_set(node, "COALESCE")?;
        }
        let args = nodes.into_iter().map(|node| node.expr).collect();
        Ok(Node::new(Expr::Coalesce { args, ty }, coalesce.location))
    }

    fn min_max(&mut self, min_max: &ast::MinMaxExpr) -> SqlResult<Node> {
        let word = if min_max.least { "LEAST" } else { "GREATEST" };
        let nodes = self.each(&min_max.args)?;
        let (nodes, ty) = self.unify(nodes, word)?;
        if !matches!(self.ordering(ty.oid), super::operator::Ordering::Sortable) {
            return Err(SqlError::new(
                SqlState::UndefinedFunction,
                format!(
                    "could not identify a comparison function for type {}",
                    self.type_name(ty.oid)
                ),
            ));
        }
        let args = nodes.into_iter().map(|node| node.expr).collect();
        Ok(Node::new(Expr::MinMax { args, least: min_max.least, ty }, min_max.location))
    }

    fn each(&mut self, list: &[Ast]) -> SqlResult<Vec<Node>> {
        list.iter().map(|item| self.expr(item)).collect()
    }

    fn sql_value(&mut self, function: &ast::SqlValueFunction) -> SqlResult<Node> {
        let precision = |word: &str, zone: &str| {
            if function.typmod < 0 {
                Ok(-1)
            } else {
                super::type_name::precision(function.typmod, word, zone)
            }
        };
        let ty = match function.op {
            SqlValueOp::CurrentDate => TypeRef::plain(t::DATE),
            SqlValueOp::CurrentTime => {
                TypeRef::with_typmod(t::TIMETZ, precision("TIME", " WITH TIME ZONE")?)
            }
            SqlValueOp::CurrentTimestamp => {
                TypeRef::with_typmod(t::TIMESTAMPTZ, precision("TIMESTAMP", " WITH TIME ZONE")?)
            }
            SqlValueOp::LocalTime => TypeRef::with_typmod(t::TIME, precision("TIME", "")?),
            SqlValueOp::LocalTimestamp => {
                TypeRef::with_typmod(t::TIMESTAMP, precision("TIMESTAMP", "")?)
            }
            SqlValueOp::CurrentRole
            | SqlValueOp::CurrentUser
            | SqlValueOp::User
            | SqlValueOp::SessionUser
            | SqlValueOp::CurrentCatalog
            | SqlValueOp::CurrentSchema => TypeRef::plain(t::NAME),
        };
        Ok(Node::new(Expr::SqlValue { op: function.op, ty }, function.location))
    }
}
