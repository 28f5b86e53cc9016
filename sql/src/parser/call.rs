//! Function calls, and the calls that SQL has a syntax of its own for: PostgreSQL's `func_expr`.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::expr::{operator, sql_call, string_const};
use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    AExprKind, CallForm, CoalesceExpr, Const, ConstValue, Expr, FuncCall, MinMaxExpr, NamedArgExpr,
    SqlValueFunction, SqlValueOp, TypeCast, TypeName,
};

impl FuncCall {
    /// A call of nothing but arguments.
    pub(super) fn plain(name: Vec<String>, args: Vec<Expr>, location: u32) -> Self {
        Self {
            name,
            args,
            agg_order: Vec::new(),
            agg_filter: None,
            over: None,
            agg_within_group: false,
            agg_star: false,
            agg_distinct: false,
            func_variadic: false,
            form: CallForm::Explicit,
            location,
        }
    }
}

impl TokenStream<'_> {
    /// `name(…)` with all that may follow it, or `type(…) 'literal'`. The parenthesis is at hand.
    pub(super) fn call_or_typed_const(
        &mut self,
        name: Vec<String>,
        location: u32,
    ) -> SqlResult<Expr> {
        let call = self.nested(|stream| stream.func_application(name, location))?;
        if matches!(self.peek(), TokenKind::String(_)) && is_typmod_list(&call) {
            return self.generic_typed_const(call);
        }
        self.call_suffixes(call)
    }

    /// `WITHIN GROUP`, `FILTER` and `OVER` behind a call.
    fn call_suffixes(&mut self, mut call: FuncCall) -> SqlResult<Expr> {
        if self.at(Kw::Within) {
            let location = self.location();
            self.skip();
            self.expect(Kw::Group)?;
            self.expect_char('(')?;
            let order = self.sort_clause()?;
            self.expect_char(')')?;
            let refused = if !call.agg_order.is_empty() {
                Some("multiple ORDER BY clauses")
            } else if call.agg_distinct {
                Some("DISTINCT")
            } else if call.func_variadic {
                Some("VARIADIC")
            } else {
                None
            };
            if let Some(what) = refused {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    format!("cannot use {what} with WITHIN GROUP"),
                )
                .at(location));
            }
            call.agg_order = order;
            call.agg_within_group = true;
        }
        if self.eat(Kw::Filter) {
            self.expect_char('(')?;
            self.expect(Kw::Where)?;
            call.agg_filter = Some(self.expr()?);
            self.expect_char(')')?;
        }
        if self.eat(Kw::Over) {
            call.over = Some(self.over_window()?);
        }
        Ok(Expr::Func(Box::new(call)))
    }

    /// `type(modifiers) 'literal'`.
    fn generic_typed_const(&mut self, call: FuncCall) -> SqlResult<Expr> {
        let named = call.args.iter().find_map(|arg| match arg {
            Expr::NamedArg(named) => Some(named.location),
            _ => None,
        });
        if let Some(location) = named {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "type modifier cannot have parameter name",
            )
            .at(location));
        }
        if !call.agg_order.is_empty() {
            return Err(SqlError::new(SqlState::SyntaxError, "type modifier cannot have ORDER BY")
                .at(call.location));
        }
        let location = call.location;
        let mut type_name = TypeName::generic(call.name, location);
        type_name.typmods = call.args;
        let string_location = self.location();
        let value = self.string()?;
        Ok(Expr::TypeCast(Box::new(TypeCast {
            arg: string_const(value, string_location),
            type_name,
            location,
        })))
    }

    /// The arguments of a call (`func_application`).
    pub(super) fn func_application(
        &mut self,
        name: Vec<String>,
        location: u32,
    ) -> SqlResult<FuncCall> {
        let mut call = FuncCall::plain(name, Vec::new(), location);
        self.expect_char('(')?;
        if self.eat_char(')') {
            return Ok(call);
        }
        if self.eat_char('*') {
            call.agg_star = true;
            self.expect_char(')')?;
            return Ok(call);
        }
        let quantified = self.at_any(&[Kw::All, Kw::Distinct]);
        if quantified {
            call.agg_distinct = self.at(Kw::Distinct);
            self.skip();
        }
        loop {
            if !quantified && self.eat(Kw::Variadic) {
                call.func_variadic = true;
                call.args.push(self.func_arg()?);
                break;
            }
            call.args.push(self.func_arg()?);
            if !self.eat_char(',') {
                break;
            }
        }
        if self.at(Kw::Order) {
            call.agg_order = self.sort_clause()?;
        }
        self.expect_char(')')?;
        Ok(call)
    }

    /// Whether a parameter's name and its arrow are at hand.
    fn at_argument_name(&self) -> bool {
        self.type_function_name_ahead(0)
            && matches!(self.peek_ahead(1), TokenKind::ColonEquals | TokenKind::EqualsGreater)
    }

    /// An argument, with its parameter's name or without.
    fn func_arg(&mut self) -> SqlResult<Expr> {
        if self.at_argument_name() {
            let location = self.location();
            let name = self.take_name();
            self.skip();
            let arg = self.expr()?;
            return Ok(Expr::NamedArg(Box::new(NamedArgExpr { name, arg, location })));
        }
        self.expr()
    }

    /// A call in `FROM` or in an index, where nothing may follow it (`func_expr_windowless`).
    pub(super) fn func_expr_windowless(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        if let Some(keyword) = self.keyword()
            && self.is_special_call(keyword)
        {
            return self.special_call();
        }
        let name = self.func_name()?;
        if !self.at_char('(') {
            return Err(self.syntax_error());
        }
        let call = self.nested(|stream| stream.func_application(name, location))?;
        Ok(Expr::Func(Box::new(call)))
    }

    /// Whether a call in SQL's own syntax begins here.
    pub(super) fn is_special_call(&self, keyword: Kw) -> bool {
        match keyword {
            Kw::Cast
            | Kw::CurrentDate
            | Kw::CurrentTime
            | Kw::CurrentTimestamp
            | Kw::Localtime
            | Kw::Localtimestamp
            | Kw::CurrentRole
            | Kw::CurrentUser
            | Kw::SessionUser
            | Kw::User
            | Kw::CurrentCatalog => true,
            Kw::CurrentSchema => {
                !self.char_ahead(1, '(') && !matches!(self.peek_ahead(1), TokenKind::String(_))
            }
            Kw::Collation => self.at_ahead(1, Kw::For),
            Kw::Extract
            | Kw::Normalize
            | Kw::Overlay
            | Kw::Position
            | Kw::Substring
            | Kw::Treat
            | Kw::Trim
            | Kw::Nullif
            | Kw::Coalesce
            | Kw::Greatest
            | Kw::Least
            | Kw::Xmlconcat
            | Kw::Xmlelement
            | Kw::Xmlexists
            | Kw::Xmlforest
            | Kw::Xmlparse
            | Kw::Xmlpi
            | Kw::Xmlroot
            | Kw::Xmlserialize => self.char_ahead(1, '('),
            _ => false,
        }
    }

    /// A call in SQL's own syntax (`func_expr_common_subexpr`).
    pub(super) fn special_call(&mut self) -> SqlResult<Expr> {
        self.nested(Self::special_call_inner)
    }

    fn special_call_inner(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        let Some(keyword) = self.keyword() else {
            return Err(self.syntax_error());
        };
        if let Some((op, has_precision)) = sql_value_op(keyword) {
            self.skip();
            let mut typmod = -1;
            if has_precision && self.eat_char('(') {
                typmod = self.integer()?;
                self.expect_char(')')?;
            }
            return Ok(Expr::SqlValue(SqlValueFunction { op, typmod, location }));
        }
        if keyword.word().starts_with("xml") {
            return Err(SqlError::unsupported(keyword.word()).at(location));
        }
        self.skip();
        if keyword == Kw::Collation {
            self.expect(Kw::For)?;
        }
        self.expect_char('(')?;
        let expr = self.special_args(keyword, location)?;
        self.expect_char(')')?;
        Ok(expr)
    }

    /// What stands in the parentheses of a call in SQL's own syntax.
    fn special_args(&mut self, keyword: Kw, location: u32) -> SqlResult<Expr> {
        match keyword {
            Kw::Collation => Ok(sql_call("pg_collation_for", vec![self.expr()?], location)),
            Kw::Cast => {
                let arg = self.expr()?;
                self.expect(Kw::As)?;
                let type_name = self.type_name()?;
                Ok(Expr::TypeCast(Box::new(TypeCast { arg, type_name, location })))
            }
            Kw::Treat => {
                let arg = self.expr()?;
                self.expect(Kw::As)?;
                let mut type_name = self.type_name()?;
                let name = type_name.names.pop().unwrap_or_default();
                Ok(Expr::Func(Box::new(FuncCall::plain(
                    vec!["pg_catalog".to_owned(), name],
                    vec![arg],
                    location,
                ))))
            }
            Kw::Coalesce => Ok(Expr::Coalesce(CoalesceExpr { args: self.expr_list()?, location })),
            Kw::Greatest | Kw::Least => Ok(Expr::MinMax(MinMaxExpr {
                least: keyword == Kw::Least,
                args: self.expr_list()?,
                location,
            })),
            Kw::Nullif => {
                let left = self.expr()?;
                self.expect_char(',')?;
                let right = self.expr()?;
                Ok(operator(AExprKind::NullIf, vec!["=".to_owned()], Some(left), right, location))
            }
            Kw::Extract => self.extract_args(location),
            Kw::Normalize => self.normalize_args(location),
            Kw::Overlay => self.overlay_args(location),
            Kw::Position => {
                let needle = self.b_expr()?;
                self.expect(Kw::In)?;
                let haystack = self.b_expr()?;
                Ok(sql_call("position", vec![haystack, needle], location))
            }
            Kw::Substring => self.substring_args(location),
            _ => self.trim_args(location),
        }
    }

    /// `field FROM x`.
    fn extract_args(&mut self, location: u32) -> SqlResult<Expr> {
        let field_location = self.location();
        let field = match self.peek() {
            TokenKind::String(_) => self.string()?,
            TokenKind::Ident(_)
            | TokenKind::Keyword(
                Kw::Year | Kw::Month | Kw::Day | Kw::Hour | Kw::Minute | Kw::Second,
            ) => self.take_name(),
            _ => return Err(self.syntax_error()),
        };
        self.expect(Kw::From)?;
        let arg = self.expr()?;
        let field = string_const(field, field_location);
        Ok(sql_call("extract", vec![field, arg], location))
    }

    /// `x [, NFC]`.
    fn normalize_args(&mut self, location: u32) -> SqlResult<Expr> {
        let mut args = vec![self.expr()?];
        if self.eat_char(',') {
            let form_location = self.location();
            if !self.at_any(&[Kw::Nfc, Kw::Nfd, Kw::Nfkc, Kw::Nfkd]) {
                return Err(self.syntax_error());
            }
            let form = self.take_name().to_ascii_uppercase();
            args.push(string_const(form, form_location));
        }
        Ok(sql_call("normalize", args, location))
    }

    /// `x PLACING y FROM n [FOR m]`, or plain arguments.
    fn overlay_args(&mut self, location: u32) -> SqlResult<Expr> {
        let mut args = self.opt_func_args()?;
        if args.len() == 1 && self.eat(Kw::Placing) {
            args.push(self.expr()?);
            self.expect(Kw::From)?;
            args.push(self.expr()?);
            if self.eat(Kw::For) {
                args.push(self.expr()?);
            }
            return Ok(sql_call("overlay", args, location));
        }
        Ok(Expr::Func(Box::new(FuncCall::plain(vec!["overlay".to_owned()], args, location))))
    }

    /// `x FROM n FOR m` in its variants, `x SIMILAR p ESCAPE e`, or plain arguments.
    fn substring_args(&mut self, location: u32) -> SqlResult<Expr> {
        let mut args = Vec::new();
        if self.at_argument_name() || self.at_char(')') {
            args = self.opt_func_args()?;
        } else {
            args.push(self.substring_expr()?);
            while self.eat_char(',') {
                args.push(self.func_arg()?);
            }
        }
        if args.len() == 1 {
            if self.eat(Kw::From) {
                args.push(self.expr()?);
                if self.eat(Kw::For) {
                    args.push(self.expr()?);
                }
                return Ok(sql_call("substring", args, location));
            }
            if self.eat(Kw::For) {
                let length = self.expr()?;
                if self.eat(Kw::From) {
                    args.push(self.expr()?);
                    args.push(length);
                } else {
                    // Without a start it is 1, and the length must be an integer to tell this
                    // function from the one that takes a pattern.
                    args.push(Expr::Const(Const { value: ConstValue::Integer(1), location }));
                    args.push(Expr::TypeCast(Box::new(TypeCast {
                        arg: length,
                        type_name: TypeName::system("int4", location),
                        location,
                    })));
                }
                return Ok(sql_call("substring", args, location));
            }
            if self.eat(Kw::Similar) {
                args.push(self.expr()?);
                self.expect(Kw::Escape)?;
                args.push(self.expr()?);
                return Ok(sql_call("substring", args, location));
            }
        }
        Ok(Expr::Func(Box::new(FuncCall::plain(vec!["substring".to_owned()], args, location))))
    }

    /// `[BOTH|LEADING|TRAILING] [characters FROM] x`.
    fn trim_args(&mut self, location: u32) -> SqlResult<Expr> {
        let name = match self.keyword() {
            Some(Kw::Both) => Some("btrim"),
            Some(Kw::Leading) => Some("ltrim"),
            Some(Kw::Trailing) => Some("rtrim"),
            _ => None,
        };
        if name.is_some() {
            self.skip();
        }
        let args = if self.eat(Kw::From) {
            self.expr_list()?
        } else {
            let mut args = self.expr_list()?;
            if args.len() == 1 && self.eat(Kw::From) {
                let mut subject = self.expr_list()?;
                subject.append(&mut args);
                subject
            } else {
                args
            }
        };
        Ok(sql_call(name.unwrap_or("btrim"), args, location))
    }

    /// Arguments, possibly none, in front of a closing parenthesis that stays.
    fn opt_func_args(&mut self) -> SqlResult<Vec<Expr>> {
        if self.at_char(')') {
            return Ok(Vec::new());
        }
        self.comma_list(Self::func_arg)
    }
}

/// Whether the arguments of a call could be the modifiers of a type.
fn is_typmod_list(call: &FuncCall) -> bool {
    !call.args.is_empty() && !call.agg_star && !call.agg_distinct && !call.func_variadic
}

/// The function without parentheses that a keyword is, and whether it takes a precision.
fn sql_value_op(keyword: Kw) -> Option<(SqlValueOp, bool)> {
    Some(match keyword {
        Kw::CurrentDate => (SqlValueOp::CurrentDate, false),
        Kw::CurrentTime => (SqlValueOp::CurrentTime, true),
        Kw::CurrentTimestamp => (SqlValueOp::CurrentTimestamp, true),
        Kw::Localtime => (SqlValueOp::LocalTime, true),
        Kw::Localtimestamp => (SqlValueOp::LocalTimestamp, true),
        Kw::CurrentRole => (SqlValueOp::CurrentRole, false),
        Kw::CurrentUser => (SqlValueOp::CurrentUser, false),
        Kw::SessionUser => (SqlValueOp::SessionUser, false),
        Kw::User => (SqlValueOp::User, false),
        Kw::CurrentCatalog => (SqlValueOp::CurrentCatalog, false),
        Kw::CurrentSchema => (SqlValueOp::CurrentSchema, false),
        _ => return None,
    })
}
