//! Calls: of functions, aggregates and window functions, and of columns by call syntax
//! (PostgreSQL's `ParseFuncOrColumn`).

use aegis_types::builtin::{CastContext, FunctionKind, FunctionRef};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, io, type_oid as t};

use super::Analyzer;
use super::function::{Candidate, Detail};
use super::node::{Node, leftmost};
use super::scope::Clause;
use crate::ast;
use crate::bound::{Call, CallForm, Expr};

impl Analyzer<'_> {
    /// A call as it is written.
    pub(super) fn func_call(&mut self, call: &ast::FuncCall) -> SqlResult<Node> {
        let mut args = Vec::with_capacity(call.args.len());
        let mut names: Vec<Option<String>> = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            let (name, value) = match arg {
                ast::Expr::NamedArg(named) => (Some(named.name.clone()), &named.arg),
                other => (None, other),
            };
            check_argument_name(&names, name.as_deref(), arg)?;
            names.push(name);
            args.push(self.expr(value)?);
        }
        let direct = args.len();
        if call.agg_within_group {
            for key in &call.agg_order {
                let node = self.in_clause(Clause::OrderBy, |analyzer| analyzer.expr(&key.node))?;
                args.push(node);
                names.push(None);
            }
        }
        let filter = match &call.agg_filter {
            None => None,
            Some(filter) => Some(self.in_clause(Clause::Filter, |analyzer| {
                let node = analyzer.expr(filter)?;
                analyzer.coerce_to_boolean(node, "FILTER")
            })?),
        };
        if let Some(node) = self.field_by_call(call, &args)? {
            return Ok(node);
        }
        let at = call.location;
        let detail = self
            .function_detail(&call.name, &args, &names, !call.func_variadic, call.form)
            .map_err(|error| error.at(at))?;
        let candidate = match detail {
            Detail::Function(candidate) => candidate,
            Detail::Coercion(target) => {
                check_plain(call, "a function")?;
                let Some(arg) = args.into_iter().next() else {
                    return Err(SqlError::internal("a cast without an argument"));
                };
                let (context, form) = (CastContext::Explicit, CallForm::ExplicitCast);
                return self.coerce(arg, TypeRef::plain(target), context, form, Some(at));
            }
            Detail::Multiple => return Err(self.not_unique(&call.name, &args, &names, at)),
            Detail::NotFound => return Err(self.no_function(call, &args, &names)),
        };
        self.call_candidate(call, candidate, args, direct, filter)
    }

    /// `f(row)` where `f` is a column of the row's type.
    fn field_by_call(&mut self, call: &ast::FuncCall, args: &[Node]) -> SqlResult<Option<Node>> {
        let plain = call.over.is_none()
            && call.agg_order.is_empty()
            && call.agg_filter.is_none()
            && !call.agg_star
            && !call.agg_distinct
            && !call.func_variadic;
        match (call.name.as_slice(), args) {
            ([name], [arg]) if plain => {
                let composite = arg.oid() == t::RECORD || self.is_composite(arg.oid());
                if composite { self.field_of(arg, name) } else { Ok(None) }
            }
            _ => Ok(None),
        }
    }

    /// `row.f` where `f` is no column: a function of the row, or nothing.
    pub(super) fn column_as_function(
        &mut self,
        name: &str,
        row: Node,
        at: u32,
    ) -> SqlResult<Option<Node>> {
        // The columns of a relation have the names that its alias gives them.
        let is_whole_row = matches!(row.expr, Expr::Column { column: 0, .. });
        if !is_whole_row && let Some(node) = self.field_of(&row, name)? {
            return Ok(Some(node));
        }
        let names = [name.to_owned()];
        let args = vec![row];
        match self.function_detail(&names, &args, &[None], true, ast::CallForm::Explicit)? {
            Detail::Function(candidate) if candidate.row.kind == FunctionKind::Function => {
                let call = plain_call(&names, at);
                self.call_candidate(&call, candidate, args, 1, None).map(Some)
            }
            Detail::Coercion(target) => {
                let (context, form) = (CastContext::Explicit, CallForm::ExplicitCast);
                let Some(row) = args.into_iter().next() else {
                    return Ok(None);
                };
                self.coerce(row, TypeRef::plain(target), context, form, Some(at)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Calls what was found: checks what may be said about such a function, fills in defaults,
    /// converts arguments.
    fn call_candidate(
        &mut self,
        call: &ast::FuncCall,
        candidate: Candidate,
        args: Vec<Node>,
        direct: usize,
        filter: Option<Expr>,
    ) -> SqlResult<Node> {
        let at = call.location;
        let row = &*candidate.row;
        let name = call.name.join(".");
        match row.kind {
            FunctionKind::Function | FunctionKind::Window | FunctionKind::Aggregate
                if call.form == ast::CallForm::Procedure =>
            {
                return Err(wrong(format!(
                    "{} is not a procedure",
                    self.signature(&call.name, &args, &[])
                ))
                .hint("To call a function, use SELECT.")
                .at(at));
            }
            FunctionKind::Function => check_plain(call, &name)?,
            FunctionKind::Procedure if call.form == ast::CallForm::Procedure => {
                check_plain(call, &name)?;
            }
            FunctionKind::Procedure => {
                return Err(wrong(format!(
                    "{} is a procedure",
                    self.signature(&call.name, &args, &[])
                ))
                .hint("To call a procedure, use CALL.")
                .at(at));
            }
            FunctionKind::Window => {
                if call.over.is_none() {
                    return Err(
                        wrong(format!("window function {name} requires an OVER clause")).at(at)
                    );
                }
                if call.agg_within_group {
                    return Err(
                        wrong(format!("window function {name} cannot have WITHIN GROUP")).at(at)
                    );
                }
            }
            FunctionKind::Aggregate => {
                self.check_aggregate_syntax(call, row, &args, direct, &candidate)?;
            }
        }
        let expr_at = leftmost(args.first().and_then(|arg| arg.at), Some(at));
        let written = args.len();
        let (mut args, declared) = self.complete_arguments(call, &candidate, args)?;
        let mut declared = declared;
        let actual: Vec<Oid> = args.iter().map(Node::oid).collect();
        let result = self
            .resolve_generic_types(&actual, &mut declared, row.result)
            .map_err(|error| error.at(at))?;
        args = self.coerce_arguments(args, &declared)?;
        if row.kind == FunctionKind::Procedure {
            // What stands for an output is not looked at.
            let modes = row.modes.clone();
            let mut at = 0;
            args.retain(|_| {
                at += 1;
                modes.get(at - 1) != Some(&b'o')
            });
        }
        if candidate.variadic > 0 && row.variadic != t::ANY {
            args = self.gather_variadic(args, candidate.variadic, at)?;
        } else if call.func_variadic && row.variadic == t::ANY {
            let last = args.last().map(|arg| (arg.oid(), arg.at));
            if last.is_some_and(|(ty, _)| crate::evaluate::element_type(ty) == ty) {
                return Err(SqlError::new(
                    SqlState::DatatypeMismatch,
                    "VARIADIC argument must be an array",
                )
                .at_opt(last.and_then(|(_, at)| at)));
            }
        }
        let ty = TypeRef::plain(result);
        match row.kind {
            FunctionKind::Aggregate => {
                self.aggregate_call(call, row, args, direct, filter, ty, expr_at)
            }
            FunctionKind::Window => self.window_call(call, row, args, filter, ty, expr_at),
            FunctionKind::Function | FunctionKind::Procedure => {
                let form = match call.form {
                    ast::CallForm::Explicit if call.func_variadic && row.variadic == t::ANY => {
                        CallForm::Variadic
                    }
                    ast::CallForm::Explicit
                        if candidate.defaults > 0 && candidate.numbers.is_none() =>
                    {
                        CallForm::Defaulted(u8::try_from(written).unwrap_or(u8::MAX))
                    }
                    ast::CallForm::Explicit | ast::CallForm::Procedure => CallForm::Function,
                    ast::CallForm::SqlSyntax => CallForm::SqlSyntax,
                };
                if row.returns_set {
                    self.check_set_function(at)?;
                }
                let args = args.into_iter().map(|arg| arg.expr).collect();
                let args = self.collated_arguments(row, args).map_err(|error| error.at(at))?;
                let call = Call {
                    function: row.oid,
                    args,
                    ty,
                    form,
                    returns_set: row.returns_set,
                    user: match &candidate.row {
                        FunctionRef::BuiltIn(_) => None,
                        FunctionRef::User(row) => Some(row.clone()),
                    },
                    location: Some(at),
                };
                Ok(Node { expr: Expr::Call(Box::new(call)), at: expr_at })
            }
        }
    }

    /// The arguments in the order of the parameters, defaults filled in, and the parameters' types.
    fn complete_arguments(
        &mut self,
        call: &ast::FuncCall,
        candidate: &Candidate,
        args: Vec<Node>,
    ) -> SqlResult<(Vec<Node>, Vec<Oid>)> {
        let row = &*candidate.row;
        if candidate.defaults == 0 && candidate.numbers.is_none() {
            return Ok((args, candidate.args.clone()));
        }
        let parameters = row.arguments.len();
        let mut slots: Vec<Option<Node>> = vec![None; parameters];
        for (at, arg) in args.into_iter().enumerate() {
            let number = candidate.numbers.as_ref().map_or(at, |numbers| numbers[at]);
            slots[number] = Some(arg);
        }
        let defaults = super::function_default::defaults(row.oid);
        let own = self.context.catalog.declared_function(row.oid).cloned();
        let own = own.iter().flat_map(|own| &own.parameters);
        let with_outputs = call.form == ast::CallForm::Procedure;
        let own: Vec<_> = own.filter(|it| it.is_input() || with_outputs).collect();
        let mut complete = Vec::with_capacity(parameters);
        for (number, slot) in slots.into_iter().enumerate() {
            let text = own.get(number).and_then(|input| input.default.as_deref());
            complete.push(match (slot, text) {
                (Some(node), _) => node,
                (None, Some(text)) => self.default_of_parameter(text)?,
                (None, None) => {
                    let from_end = parameters - number;
                    let text = defaults
                        .len()
                        .checked_sub(from_end)
                        .and_then(|at| defaults.get(at))
                        .ok_or_else(|| {
                            SqlError::unsupported(format_args!("a default of {}", row.name))
                                .at(call.location)
                        })?;
                    let ty = TypeRef::plain(row.arguments[number]);
                    let value = io::text_in(ty, text, &self.context.eval)?;
                    Node::unwritten(Expr::Const { value, ty })
                }
            });
        }
        Ok((complete, row.arguments.clone()))
    }

    /// A default that a function of users is kept with.
    fn default_of_parameter(&mut self, text: &str) -> SqlResult<Node> {
        let expr = crate::parser::parse_expr(text)?;
        let outer = (self.stored_text, self.context.search_path);
        (self.stored_text, self.context.search_path) = (true, &[]);
        let node = self.expr(&expr).map_err(SqlError::without_position);
        (self.stored_text, self.context.search_path) = outer;
        Ok(Node::unwritten(node?.expr))
    }

    /// Puts the last arguments into an array.
    fn gather_variadic(
        &mut self,
        mut args: Vec<Node>,
        count: usize,
        at: u32,
    ) -> SqlResult<Vec<Node>> {
        let rest = args.split_off(args.len() - count);
        let element = rest.first().map_or(t::TEXT, Node::oid);
        let array = self.array_type(element).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("could not find array type for data type {}", self.type_name(element)),
            )
            .at(at)
        })?;
        let first = rest.first().and_then(|node| node.at);
        let elements = rest.into_iter().map(|node| node.expr).collect();
        let expr = Expr::Array { elements, nested: false, ty: TypeRef::plain(array) };
        args.push(Node { expr, at: first });
        Ok(args)
    }

    /// `name(type, type)`, as messages have it.
    pub(super) fn signature(
        &self,
        name: &[String],
        args: &[Node],
        names: &[Option<String>],
    ) -> String {
        let args: Vec<String> = args
            .iter()
            .enumerate()
            .map(|(at, arg)| match names.get(at).and_then(Option::as_ref) {
                Some(name) => format!("{name} => {}", self.type_name(arg.oid())),
                None => self.type_name(arg.oid()),
            })
            .collect();
        format!("{}({})", name.join("."), args.join(", "))
    }

    fn not_unique(
        &self,
        name: &[String],
        args: &[Node],
        names: &[Option<String>],
        at: u32,
    ) -> SqlError {
        SqlError::new(
            SqlState::AmbiguousFunction,
            format!("function {} is not unique", self.signature(name, args, names)),
        )
        .hint(
            "Could not choose a best candidate function. You might need to add explicit type \
             casts.",
        )
        .at(at)
    }

    fn no_function(
        &self,
        call: &ast::FuncCall,
        args: &[Node],
        names: &[Option<String>],
    ) -> SqlError {
        let is_call = call.form == ast::CallForm::Procedure;
        let what = if is_call { "procedure" } else { "function" };
        let error = SqlError::new(
            SqlState::UndefinedFunction,
            format!("{what} {} does not exist", self.signature(&call.name, args, names)),
        )
        .at(call.location);
        if call.agg_order.len() > 1 && !call.agg_within_group {
            return error.hint(
                "No aggregate function matches the given name and argument types. Perhaps you \
                 misplaced ORDER BY; ORDER BY must appear after all regular arguments of the \
                 aggregate.",
            );
        }
        error.hint(format!(
            "No {what} matches the given name and argument types. You might need to add explicit \
             type casts."
        ))
    }

    /// Whether a set-returning function may stand where the analyzer is
    /// (`check_srf_call_placement`).
    fn check_set_function(&mut self, at: u32) -> SqlResult<()> {
        let clause = self.scope().clause;
        let refused = match clause {
            Clause::SelectTarget
            | Clause::OrderBy
            | Clause::DistinctOn
            | Clause::GroupBy
            | Clause::ValuesSingle => {
                self.scope().has_set_functions = true;
                return Ok(());
            }
            // Its place within the function is checked by the FROM clause itself.
            Clause::FromFunction | Clause::None => return Ok(()),
            Clause::WindowPartition
            | Clause::WindowOrder
            | Clause::WindowFrameRange
            | Clause::WindowFrameRows
            | Clause::WindowFrameGroups => "window definitions",
            other => other.plural().unwrap_or(other.name()),
        };
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("set-returning functions are not allowed in {refused}"),
        )
        .at(at))
    }
}

fn check_argument_name(
    names: &[Option<String>],
    name: Option<&str>,
    arg: &ast::Expr,
) -> SqlResult<()> {
    let at = arg.location();
    match name {
        Some(name) if names.iter().any(|other| other.as_deref() == Some(name)) => {
            Err(SqlError::new(
                SqlState::SyntaxError,
                format!("argument name \"{name}\" used more than once"),
            )
            .at(at))
        }
        None if names.iter().any(Option::is_some) => Err(SqlError::new(
            SqlState::SyntaxError,
            "positional argument cannot follow named argument",
        )
        .at(at)),
        _ => Ok(()),
    }
}

/// Refuses what only aggregates and window functions take.
fn check_plain(call: &ast::FuncCall, name: &str) -> SqlResult<()> {
    let name = if call.name.is_empty() { name.to_owned() } else { call.name.join(".") };
    let message = if call.agg_star {
        format!("{name}(*) specified, but {name} is not an aggregate function")
    } else if call.agg_distinct {
        format!("DISTINCT specified, but {name} is not an aggregate function")
    } else if call.agg_within_group {
        format!("WITHIN GROUP specified, but {name} is not an aggregate function")
    } else if !call.agg_order.is_empty() {
        format!("ORDER BY specified, but {name} is not an aggregate function")
    } else if call.agg_filter.is_some() {
        format!("FILTER specified, but {name} is not an aggregate function")
    } else if call.over.is_some() {
        format!("OVER specified, but {name} is not a window function nor an aggregate function")
    } else {
        return Ok(());
    };
    Err(wrong(message).at(call.location))
}

/// 42809.
pub(super) fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::WrongObjectType, message)
}

/// A call of nothing but arguments that are bound already.
pub(super) fn plain_call(name: &[String], location: u32) -> ast::FuncCall {
    ast::FuncCall {
        name: name.to_vec(),
        args: Vec::new(),
        agg_order: Vec::new(),
        agg_filter: None,
        over: None,
        agg_within_group: false,
        agg_star: false,
        agg_distinct: false,
        func_variadic: false,
        form: ast::CallForm::Explicit,
        location,
    }
}
