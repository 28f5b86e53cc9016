//! Functions, procedures, triggers, rules, `DO` and `CALL`.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    AggregateArgs, AlterFunctionStmt, BodyPlace, CallForm, CallStmt, CreateFunctionStmt,
    CreateRuleStmt, CreateTriggerStmt, DoStmt, Expr, FunctionOption, FunctionParameter, ObjectType,
    ObjectWithArgs, ParameterMode, RoutineBody, RuleEvent, Statement, TriggerEvent, TriggerTiming,
    TriggerTransition, TypeName,
};

impl TokenStream<'_> {
    /// Where the body is that the string at hand holds; none where escapes stand in between.
    fn body_place(&self) -> Option<BodyPlace> {
        let start = self.location();
        let text = self.text().get(start as usize..)?;
        match text.as_bytes() {
            [b'\'', ..] => Some(BodyPlace { start: start + 1, doubled: true }),
            [b'$', rest @ ..] => {
                let tag = rest.iter().position(|byte| *byte == b'$')?;
                let start = start.checked_add(u32::try_from(tag).ok()?)?.checked_add(2)?;
                Some(BodyPlace { start, doubled: false })
            }
            _ => None,
        }
    }

    /// What follows `CREATE [OR REPLACE]`, from `FUNCTION` or `PROCEDURE` on.
    pub(super) fn create_function(&mut self, replace: bool) -> SqlResult<Statement> {
        let is_procedure = self.at(Kw::Procedure);
        self.skip();
        let name = self.func_name()?;
        let mut parameters = self.parameters()?;
        let mut return_type = None;
        if !is_procedure && self.eat(Kw::Returns) {
            if self.at(Kw::Table) {
                self.skip();
                let location = self.location();
                let columns = self.parenthesized_list(|stream| {
                    let location = stream.location();
                    Ok(FunctionParameter {
                        name: Some(stream.parameter_name()?),
                        arg_type: stream.func_type()?,
                        mode: ParameterMode::Table,
                        default: None,
                        location,
                    })
                })?;
                // One column returns its type, more return records.
                let mut type_name = match columns.as_slice() {
                    [only] => only.arg_type.clone(),
                    _ => TypeName::system("record", location),
                };
                type_name.setof = true;
                return_type = Some(type_name);
                parameters.extend(columns);
            } else {
                return_type = Some(self.func_type()?);
            }
        }
        let mut options = Vec::new();
        while let Some(option) = self.opt_function_option(true)? {
            options.push(option);
        }
        let body = self.opt_routine_body()?;
        Ok(Statement::CreateFunction(Box::new(CreateFunctionStmt {
            is_procedure,
            replace,
            name,
            parameters,
            return_type,
            options,
            body,
        })))
    }

    /// Parameters in parentheses.
    fn parameters(&mut self) -> SqlResult<Vec<FunctionParameter>> {
        self.expect_char('(')?;
        let parameters =
            if self.at_char(')') { Vec::new() } else { self.comma_list(Self::parameter)? };
        self.expect_char(')')?;
        Ok(parameters)
    }

    fn parameter_name(&mut self) -> SqlResult<String> {
        self.type_function_name()
    }

    fn opt_parameter_mode(&mut self) -> Option<ParameterMode> {
        let mode = match self.keyword() {
            Some(Kw::In) => {
                self.skip();
                if self.eat(Kw::Out) {
                    return Some(ParameterMode::InOut);
                }
                return Some(ParameterMode::In);
            }
            Some(Kw::Out) => ParameterMode::Out,
            Some(Kw::Inout) => ParameterMode::InOut,
            Some(Kw::Variadic) => ParameterMode::Variadic,
            _ => return None,
        };
        self.skip();
        Some(mode)
    }

    /// A parameter with mode, name and default, each if written.
    fn parameter(&mut self) -> SqlResult<FunctionParameter> {
        let location = self.location();
        let mut mode = self.opt_parameter_mode();
        // A name is one if a type can follow it.
        let named = self.type_function_name_ahead(0)
            && match self.peek_ahead(1) {
                TokenKind::Ident(_) => true,
                TokenKind::Keyword(Kw::Default | Kw::Order) => false,
                TokenKind::Keyword(Kw::Precision) => !self.at(Kw::Double),
                TokenKind::Keyword(Kw::Array) => false,
                TokenKind::Keyword(_) => true,
                _ => false,
            };
        let name = if named { Some(self.parameter_name()?) } else { None };
        if mode.is_none() {
            mode = self.opt_parameter_mode();
        }
        let arg_type = self.func_type()?;
        let default =
            if self.eat(Kw::Default) || self.eat_char('=') { Some(self.expr()?) } else { None };
        Ok(FunctionParameter {
            name,
            arg_type,
            mode: mode.unwrap_or(ParameterMode::Default),
            default,
            location,
        })
    }

    /// The parameters of an aggregate: `(*)`, a list, or direct and sorted ones.
    pub(super) fn aggregate_args(&mut self) -> SqlResult<AggregateArgs> {
        self.expect_char('(')?;
        let mut args = AggregateArgs { parameters: Vec::new(), direct_count: None };
        if self.eat_char('*') {
            self.expect_char(')')?;
            return Ok(args);
        }
        if !self.at(Kw::Order) {
            args.parameters = self.comma_list(Self::parameter)?;
        }
        if self.at(Kw::Order) {
            self.skip();
            self.expect(Kw::By)?;
            args.direct_count = Some(args.parameters.len());
            args.parameters.extend(self.comma_list(Self::parameter)?);
        }
        self.expect_char(')')?;
        Ok(args)
    }

    /// A function with its input types, as far as written (`function_with_argtypes`).
    pub(super) fn function_with_args(&mut self) -> SqlResult<ObjectWithArgs> {
        let column_only = self.char_ahead(1, '(') && !self.type_function_name_ahead(0);
        let name = self.func_name_or_column()?;
        if column_only {
            return Err(self.syntax_error());
        }
        if !self.at_char('(') {
            return Ok(ObjectWithArgs { name, args: None, parameters: Vec::new() });
        }
        let parameters = self.parameters()?;
        Ok(with_args(name, parameters))
    }

    /// A function's name; without arguments any column's name will do too.
    fn func_name_or_column(&mut self) -> SqlResult<Vec<String>> {
        if self.char_ahead(1, '.') || self.char_ahead(1, '[') || !self.type_function_name_ahead(0) {
            self.any_name_or_indirection()
        } else {
            Ok(vec![self.type_function_name()?])
        }
    }

    /// An aggregate with its input types.
    pub(super) fn aggregate_with_args(&mut self) -> SqlResult<ObjectWithArgs> {
        let name = self.func_name()?;
        let args = self.aggregate_args()?;
        Ok(with_args(name, args.parameters))
    }

    /// An option of a routine, if one is at hand; `creating` allows those that cannot be altered.
    fn opt_function_option(&mut self, creating: bool) -> SqlResult<Option<FunctionOption>> {
        let Some(keyword) = self.keyword() else {
            return Ok(None);
        };
        let option = match keyword {
            Kw::As if creating => {
                self.skip();
                let (start, place) = (self.location(), self.body_place());
                let mut definition = vec![self.string()?];
                // A string in several pieces has no one place.
                let end = u32::try_from(definition[0].len()).unwrap_or(u32::MAX);
                let is_whole = |place: &BodyPlace| {
                    let end = place.around(&definition[0], end);
                    end.checked_add(place.start - start) == Some(self.previous_end())
                };
                let place = place.filter(is_whole);
                if self.eat_char(',') {
                    definition.push(self.string()?);
                }
                FunctionOption::As { definition, place }
            }
            Kw::Language if creating => {
                self.skip();
                FunctionOption::Language(self.non_reserved_word_or_string()?)
            }
            Kw::Transform if creating => {
                self.skip();
                FunctionOption::Transform(self.comma_list(|stream| {
                    stream.expect_sequence(&[Kw::For, Kw::Type])?;
                    stream.type_name()
                })?)
            }
            Kw::Window if creating => {
                self.skip();
                FunctionOption::Window
            }
            Kw::Called => {
                self.skip();
                self.expect_sequence(&[Kw::On, Kw::Null, Kw::Input])?;
                FunctionOption::Strict(false)
            }
            Kw::Returns => {
                self.skip();
                self.expect_sequence(&[Kw::Null, Kw::On, Kw::Null, Kw::Input])?;
                FunctionOption::Strict(true)
            }
            Kw::Strict => {
                self.skip();
                FunctionOption::Strict(true)
            }
            Kw::Immutable | Kw::Stable | Kw::Volatile => {
                FunctionOption::Volatility(self.take_name())
            }
            Kw::External | Kw::Security => {
                if self.eat(Kw::External) && !self.at(Kw::Security) {
                    return Err(self.syntax_error());
                }
                self.skip();
                let definer = self.eat(Kw::Definer);
                if !definer {
                    self.expect(Kw::Invoker)?;
                }
                FunctionOption::SecurityDefiner(definer)
            }
            Kw::Leakproof => {
                self.skip();
                FunctionOption::LeakProof(true)
            }
            Kw::Not if self.at_ahead(1, Kw::Leakproof) => {
                self.skip();
                self.skip();
                FunctionOption::LeakProof(false)
            }
            Kw::Cost => {
                self.skip();
                FunctionOption::Cost(self.number_text()?)
            }
            Kw::Rows => {
                self.skip();
                FunctionOption::Rows(self.number_text()?)
            }
            Kw::Support => {
                self.skip();
                FunctionOption::Support(self.any_name()?)
            }
            Kw::Set | Kw::Reset => FunctionOption::Set(self.function_setting()?),
            Kw::Parallel => {
                self.skip();
                FunctionOption::Parallel(self.col_id()?)
            }
            _ => return Ok(None),
        };
        Ok(Some(option))
    }

    /// `RETURN e` or `BEGIN ATOMIC … END`, or nothing.
    fn opt_routine_body(&mut self) -> SqlResult<Option<RoutineBody>> {
        if self.at(Kw::Return) {
            self.skip();
            return Ok(Some(RoutineBody::Return(self.expr()?)));
        }
        if !self.at(Kw::Begin) {
            return Ok(None);
        }
        self.skip();
        self.expect(Kw::Atomic)?;
        let mut statements = Vec::new();
        while !self.eat(Kw::End) {
            if self.eat_char(';') {
                continue;
            }
            statements.push(if self.eat(Kw::Return) {
                value_select(self.expr()?)?
            } else {
                self.nested(Self::statement)?
            });
            self.expect_char(';')?;
        }
        Ok(Some(RoutineBody::Atomic(statements)))
    }

    /// What follows a routine's name in `ALTER`: options.
    pub(super) fn alter_function_options(
        &mut self,
        object_type: ObjectType,
        function: ObjectWithArgs,
    ) -> SqlResult<Statement> {
        let mut options = Vec::new();
        while let Some(option) = self.opt_function_option(false)? {
            options.push(option);
        }
        if options.is_empty() {
            return Err(self.syntax_error());
        }
        self.eat(Kw::Restrict);
        Ok(Statement::AlterFunction(Box::new(AlterFunctionStmt { object_type, function, options })))
    }

    /// What follows `CREATE [OR REPLACE]`, from `[CONSTRAINT] TRIGGER` on.
    pub(super) fn create_trigger(&mut self, replace: bool) -> SqlResult<Statement> {
        let is_constraint = self.eat(Kw::Constraint);
        self.expect(Kw::Trigger)?;
        let name = self.col_id()?;
        let timing = if is_constraint {
            self.expect(Kw::After)?;
            TriggerTiming::After
        } else if self.eat(Kw::Before) {
            TriggerTiming::Before
        } else if self.eat(Kw::After) {
            TriggerTiming::After
        } else {
            self.expect_sequence(&[Kw::Instead, Kw::Of])?;
            TriggerTiming::InsteadOf
        };
        let mut events = vec![self.trigger_event()?];
        while self.eat(Kw::Or) {
            let event = self.trigger_event()?;
            let same = |other: &TriggerEvent| {
                std::mem::discriminant(other) == std::mem::discriminant(&event)
            };
            if events.iter().any(same) {
                // PostgreSQL complains where it has read to: behind UPDATE it has looked for OF.
                let message = "duplicate trigger events specified";
                return Err(match event {
                    TriggerEvent::Update(_) => self.error_here(message),
                    _ => self.error_before(message),
                });
            }
            events.push(event);
        }
        self.expect(Kw::On)?;
        let relation = self.qualified_name()?;
        let constraint_relation =
            if is_constraint && self.eat(Kw::From) { Some(self.qualified_name()?) } else { None };
        let (mut deferrable, mut initially_deferred) = (false, false);
        if is_constraint {
            let attributes = self.constraint_attributes()?;
            deferrable = attributes.deferrable || attributes.initially_deferred;
            initially_deferred = attributes.initially_deferred;
        }
        let transitions = self.trigger_transitions()?;
        let mut row = false;
        if self.eat(Kw::For) {
            self.eat(Kw::Each);
            row = self.eat(Kw::Row);
            if !row {
                self.expect(Kw::Statement)?;
            }
        }
        let when = if self.eat(Kw::When) { Some(self.parenthesized_expr()?) } else { None };
        self.expect(Kw::Execute)?;
        if !self.eat(Kw::Function) {
            self.expect(Kw::Procedure)?;
        }
        let function = self.func_name()?;
        let args = self.trigger_args()?;
        Ok(Statement::CreateTrigger(Box::new(CreateTriggerStmt {
            replace,
            is_constraint,
            name,
            relation,
            function,
            args,
            row,
            timing,
            events,
            when,
            transitions,
            deferrable,
            initially_deferred,
            constraint_relation,
        })))
    }

    fn trigger_event(&mut self) -> SqlResult<TriggerEvent> {
        let event = match self.keyword() {
            Some(Kw::Insert) => TriggerEvent::Insert,
            Some(Kw::Delete) => TriggerEvent::Delete,
            Some(Kw::Truncate) => TriggerEvent::Truncate,
            Some(Kw::Update) => {
                self.skip();
                return Ok(TriggerEvent::Update(if self.eat(Kw::Of) {
                    self.name_list()?
                } else {
                    Vec::new()
                }));
            }
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(event)
    }

    fn trigger_transitions(&mut self) -> SqlResult<Vec<TriggerTransition>> {
        let mut transitions = Vec::new();
        if !self.eat(Kw::Referencing) {
            return Ok(transitions);
        }
        loop {
            let is_new = self.eat(Kw::New);
            if !is_new {
                self.expect(Kw::Old)?;
            }
            let is_table = self.eat(Kw::Table);
            if !is_table {
                self.expect(Kw::Row)?;
            }
            self.eat(Kw::As);
            transitions.push(TriggerTransition { name: self.col_id()?, is_new, is_table });
            if !self.at_any(&[Kw::New, Kw::Old]) {
                return Ok(transitions);
            }
        }
    }

    fn trigger_args(&mut self) -> SqlResult<Vec<String>> {
        self.expect_char('(')?;
        if self.eat_char(')') {
            return Ok(Vec::new());
        }
        let args = self.comma_list(|stream| match stream.peek() {
            TokenKind::Integer(_) | TokenKind::Float(_) => stream.number_text(),
            TokenKind::String(_) => stream.string(),
            _ => stream.col_label(),
        })?;
        self.expect_char(')')?;
        Ok(args)
    }

    /// What follows `CREATE [OR REPLACE]`, from `RULE` on.
    pub(super) fn create_rule(&mut self, replace: bool) -> SqlResult<Statement> {
        self.expect(Kw::Rule)?;
        let name = self.col_id()?;
        self.expect_sequence(&[Kw::As, Kw::On])?;
        let event = match self.keyword() {
            Some(Kw::Select) => RuleEvent::Select,
            Some(Kw::Insert) => RuleEvent::Insert,
            Some(Kw::Update) => RuleEvent::Update,
            Some(Kw::Delete) => RuleEvent::Delete,
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        self.expect(Kw::To)?;
        let relation = self.qualified_name()?;
        let where_clause = self.opt_where_clause()?;
        self.expect(Kw::Do)?;
        let instead = self.eat(Kw::Instead);
        if !instead {
            self.eat(Kw::Also);
        }
        let mut actions = Vec::new();
        if self.eat(Kw::Nothing) {
        } else if self.at_char('(') && !self.leads_to_select_in_parens() {
            self.skip();
            loop {
                while self.eat_char(';') {}
                if self.eat_char(')') {
                    break;
                }
                actions.push(self.rule_action()?);
                if !self.at_char(')') && !self.at_char(';') {
                    return Err(self.syntax_error());
                }
            }
        } else {
            actions.push(self.rule_action()?);
        }
        Ok(Statement::CreateRule(Box::new(CreateRuleStmt {
            replace,
            name,
            relation,
            event,
            where_clause,
            instead,
            actions,
        })))
    }

    /// Whether a parenthesis holds a query in further parentheses rather than a list of actions.
    fn leads_to_select_in_parens(&self) -> bool {
        self.char_ahead(1, '(') && self.leads_to_select()
    }

    fn rule_action(&mut self) -> SqlResult<Statement> {
        if self.at(Kw::Notify) {
            return self.notify();
        }
        self.preparable_statement()
    }

    /// `DO …`.
    pub(super) fn do_block(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Do)?;
        let mut code = None;
        let mut language = None;
        loop {
            let location = self.location();
            let seen = if matches!(self.peek(), TokenKind::String(_)) {
                let text = self.string()?;
                code.replace(text).is_some()
            } else if self.eat(Kw::Language) {
                let name = self.non_reserved_word_or_string()?;
                language.replace(name).is_some()
            } else {
                break;
            };
            if seen {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "conflicting or redundant options",
                )
                .at(location));
            }
        }
        match (code, &language) {
            (Some(code), _) => Ok(Statement::Do(DoStmt { code, language })),
            (None, None) => Err(self.syntax_error()),
            (None, Some(_)) if !self.at_end() && !self.at_char(';') => Err(self.syntax_error()),
            (None, Some(_)) => {
                Err(SqlError::new(SqlState::SyntaxError, "no inline code specified"))
            }
        }
    }

    /// `CALL procedure(…)`.
    pub(super) fn call(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Call)?;
        let location = self.location();
        let name = self.func_name()?;
        let mut call = self.func_application(name, location)?;
        call.form = CallForm::Procedure;
        Ok(Statement::Call(CallStmt { call }))
    }
}

/// `SELECT value`, which `RETURN value` stands for.
pub(crate) fn value_select(value: Expr) -> SqlResult<Statement> {
    let location = value.location();
    let nothing = super::name::range_var_from_names(Vec::new(), location)?;
    let mut simple = super::select::select_all_from(nothing, location);
    simple.from.clear();
    simple.targets = vec![crate::ast::ResTarget { name: None, value, location }];
    let body = crate::ast::SelectBody::Simple(Box::new(simple));
    Ok(Statement::Select(Box::new(super::select::select_of(body, location))))
}

/// A routine by the types of its inputs: all parameters but `OUT` and table columns.
fn with_args(name: Vec<String>, parameters: Vec<FunctionParameter>) -> ObjectWithArgs {
    let args = parameters
        .iter()
        .filter(|parameter| !matches!(parameter.mode, ParameterMode::Out | ParameterMode::Table))
        .map(|parameter| Some(parameter.arg_type.clone()))
        .collect();
    ObjectWithArgs { name, args: Some(args), parameters }
}
