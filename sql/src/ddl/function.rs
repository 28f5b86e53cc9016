//! `CREATE`, `ALTER` and `DROP` of functions and procedures in SQL, and how statements name them
//! (PostgreSQL's `functioncmds.c` and `pg_proc.c`).

use std::sync::Arc;

use aegis_catalog::access::Kind;
use aegis_catalog::snapshot::PG_PROC;
use aegis_catalog::{
    CatalogSnapshot, Descriptor, DescriptorKey, Function, FunctionBody, FunctionParameter,
};
use aegis_types::builtin::{FunctionKind, FunctionRef, builtins};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Ddl;
use super::dependency::Item;
use super::ownership::not_owner;
use crate::analyze::{is_polymorphic, is_polymorphic_family1};
use crate::ast::{
    AlterFunctionStmt, CreateFunctionStmt, DropStmt, FunctionOption, FunctionParameter as Written,
    ObjectName, ObjectType, ObjectWithArgs, ParameterMode, RoutineBody, Statement, VariableSetKind,
};
use crate::routine::{analyze_body, parse_body};
use crate::settings;

/// What the claim of a function's name begins with.
const NAME_CLAIM: u8 = u8::MAX - 5;

/// The attributes that the options of a statement give.
#[derive(Default)]
struct Attributes {
    language: Option<String>,
    definition: Option<Vec<String>>,
    /// Where its text is, if that can be told.
    place: Option<crate::ast::BodyPlace>,
    strict: Option<bool>,
    volatility: Option<u8>,
    security_definer: Option<bool>,
    leakproof: Option<bool>,
    cost: Option<f32>,
    rows: Option<f32>,
    parallel: Option<u8>,
    settings: Vec<VariableSetKind>,
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidFunctionDefinition, message)
}

fn conflicting() -> SqlError {
    SqlError::new(SqlState::SyntaxError, "conflicting or redundant options")
}

fn set<T>(slot: &mut Option<T>, value: T) -> SqlResult<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(conflicting()),
    }
}

impl Attributes {
    fn read(options: &[FunctionOption], is_procedure: bool) -> SqlResult<Self> {
        let mut found = Self::default();
        let of_function = || {
            if is_procedure {
                return Err(invalid("invalid attribute in procedure definition"));
            }
            Ok(())
        };
        for option in options {
            match option {
                FunctionOption::As { definition, place } => {
                    set(&mut found.definition, definition.clone())?;
                    found.place = *place;
                }
                FunctionOption::Language(language) => set(&mut found.language, language.clone())?,
                FunctionOption::SecurityDefiner(definer) => {
                    set(&mut found.security_definer, *definer)?;
                }
                FunctionOption::Set(change) => found.settings.push(change.kind.clone()),
                FunctionOption::Strict(strict) => {
                    of_function()?;
                    set(&mut found.strict, *strict)?;
                }
                FunctionOption::Volatility(word) => {
                    of_function()?;
                    set(&mut found.volatility, word.as_bytes()[0])?;
                }
                FunctionOption::LeakProof(leakproof) => {
                    of_function()?;
                    set(&mut found.leakproof, *leakproof)?;
                }
                FunctionOption::Cost(cost) => {
                    of_function()?;
                    set(&mut found.cost, positive(cost, "COST")?)?;
                }
                FunctionOption::Rows(rows) => {
                    of_function()?;
                    set(&mut found.rows, positive(rows, "ROWS")?)?;
                }
                FunctionOption::Parallel(word) => {
                    of_function()?;
                    set(&mut found.parallel, parallel(word)?)?;
                }
                FunctionOption::Window => {
                    of_function()?;
                    return Err(SqlError::unsupported("WINDOW functions in SQL"));
                }
                FunctionOption::Support(_) => {
                    of_function()?;
                    return Err(SqlError::unsupported("SUPPORT of a function"));
                }
                FunctionOption::Transform(_) => {
                    return Err(SqlError::unsupported("TRANSFORM of a function"));
                }
            }
        }
        Ok(found)
    }

    /// What an existing function becomes.
    fn apply(&self, function: &mut Function) -> SqlResult<()> {
        if let Some(strict) = self.strict {
            function.strict = strict;
        }
        if let Some(volatility) = self.volatility {
            function.volatility = volatility;
        }
        if let Some(definer) = self.security_definer {
            function.security_definer = definer;
        }
        if let Some(leakproof) = self.leakproof {
            function.leakproof = leakproof;
        }
        if let Some(cost) = self.cost {
            function.cost = cost;
        }
        if let Some(rows) = self.rows {
            if !function.returns_set {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    "ROWS is not applicable when function does not return a set",
                ));
            }
            function.rows = rows;
        }
        if let Some(parallel) = self.parallel {
            function.parallel = parallel;
        }
        Ok(())
    }
}

fn positive(text: &str, what: &str) -> SqlResult<f32> {
    let value: f32 = text.parse().unwrap_or(0.0);
    if value > 0.0 {
        return Ok(value);
    }
    Err(SqlError::new(SqlState::InvalidParameterValue, format!("{what} must be positive")))
}

fn parallel(word: &str) -> SqlResult<u8> {
    match word {
        "safe" => Ok(b's'),
        "unsafe" => Ok(b'u'),
        "restricted" => Ok(b'r'),
        _ => Err(SqlError::new(
            SqlState::SyntaxError,
            "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE",
        )),
    }
}

/// What messages call a kind of routine.
const fn word(is_procedure: bool) -> &'static str {
    if is_procedure { "procedure" } else { "function" }
}

const fn mode_letter(mode: ParameterMode) -> u8 {
    match mode {
        ParameterMode::Default | ParameterMode::In => b'i',
        ParameterMode::Out => b'o',
        ParameterMode::InOut => b'b',
        ParameterMode::Variadic => b'v',
        ParameterMode::Table => b't',
    }
}

impl Ddl<'_> {
    /// `CREATE [OR REPLACE] FUNCTION` and `PROCEDURE`.
    pub(super) async fn create_function(
        &mut self,
        create: &CreateFunctionStmt,
    ) -> SqlResult<&'static str> {
        let range_var = super::name::range_var(&create.name)?;
        let schema = self.creation_schema_of_type(&range_var)?;
        let attributes = Attributes::read(&create.options, create.is_procedure)?;
        self.check_language(attributes.language.as_deref(), create.body.is_some())?;
        let mut function = Function {
            database: self.context.database,
            schema,
            name: range_var.name.clone(),
            owner: self.role,
            is_procedure: create.is_procedure,
            volatility: b'v',
            parallel: b'u',
            cost: 100.0,
            ..Function::default()
        };
        self.read_parameters(create, &mut function)?;
        self.read_result(create, &mut function)?;
        function.rows = if function.returns_set { 1000.0 } else { 0.0 };
        self.check_leakproof(&attributes)?;
        attributes.apply(&mut function)?;
        for change in &attributes.settings {
            self.change_list_of_settings(&mut function.settings, change)?;
        }
        function.returns_value = matches!(create.body, Some(RoutineBody::Return(_)));
        function.body = self.read_body(create, attributes.definition.as_deref(), &function)?;
        let text = match &function.body {
            FunctionBody::Text(text) => text.clone(),
            _ => String::new(),
        };
        // Mistakes in the body are where they are in the statement around it.
        let has_place = attributes.place.is_some();
        self.put_function(function, create.replace, has_place).await.map_err(|error| {
            let place = error.fields().position.zip(attributes.place);
            match place {
                Some((position, place)) => {
                    error.without_position().at(place.around(&text, position))
                }
                None => error,
            }
        })?;
        Ok(if create.is_procedure { "CREATE PROCEDURE" } else { "CREATE FUNCTION" })
    }

    fn check_language(&self, language: Option<&str>, has_body: bool) -> SqlResult<()> {
        match language {
            None if has_body => Ok(()),
            None => Err(invalid("no language specified")),
            Some("sql") => Ok(()),
            Some(name @ ("c" | "internal")) => {
                if !self.is_superuser() {
                    return Err(super::denied("language", name));
                }
                Err(SqlError::unsupported(format!("LANGUAGE {name}")))
            }
            Some("plpgsql") => Err(SqlError::unsupported("LANGUAGE plpgsql")),
            Some(other) => Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("language \"{other}\" does not exist"),
            )),
        }
    }

    fn check_leakproof(&self, attributes: &Attributes) -> SqlResult<()> {
        if attributes.leakproof == Some(true) && !self.is_superuser() {
            return Err(super::role::refused("only superuser can define a leakproof function"));
        }
        Ok(())
    }

    /// `interpret_function_parameter_list`
    fn read_parameters(
        &self,
        create: &CreateFunctionStmt,
        function: &mut Function,
    ) -> SqlResult<()> {
        let (mut has_default, mut variadic_seen) = (false, false);
        for written in &create.parameters {
            let mode = mode_letter(written.mode);
            if written.arg_type.setof {
                let what = word(create.is_procedure);
                return Err(invalid(format!("{what}s cannot accept set arguments")));
            }
            let ty = self.analyzer().resolve_type_name(&written.arg_type)?.oid;
            check_parameter_type(ty)?;
            let parameter = FunctionParameter {
                name: written.name.clone().unwrap_or_default(),
                ty,
                mode,
                default: self.read_default(written, ty, mode, &mut has_default, create)?,
            };
            if parameter.is_input() && variadic_seen {
                return Err(invalid("VARIADIC parameter must be the last input parameter"));
            }
            if create.is_procedure && mode == b'o' && variadic_seen {
                return Err(invalid("VARIADIC parameter must be the last parameter"));
            }
            if mode == b'v' {
                variadic_seen = true;
                function.variadic = self.variadic_element(ty)?;
            }
            self.check_parameter_name(&parameter, function)?;
            self.check_type_usage(ty)?;
            function.parameters.push(parameter);
        }
        Ok(())
    }

    fn check_parameter_name(
        &self,
        parameter: &FunctionParameter,
        function: &Function,
    ) -> SqlResult<()> {
        let clash = |other: &FunctionParameter| {
            // Inputs and columns of the result may share names with outputs alone.
            let apart = (parameter.mode == b'i' || parameter.mode == b'v') && other.mode == b'o'
                || parameter.mode == b'o' && (other.mode == b'i' || other.mode == b'v');
            !apart && !other.name.is_empty() && other.name == parameter.name
        };
        if function.parameters.iter().any(clash) {
            return Err(invalid(format!(
                "parameter name \"{}\" used more than once",
                parameter.name
            )));
        }
        Ok(())
    }

    fn read_default(
        &self,
        written: &Written,
        ty: Oid,
        mode: u8,
        has_default: &mut bool,
        create: &CreateFunctionStmt,
    ) -> SqlResult<Option<String>> {
        let is_input = matches!(mode, b'i' | b'b' | b'v');
        let Some(default) = &written.default else {
            if is_input && *has_default {
                return Err(invalid(
                    "input parameters after one with a default value must also have defaults",
                ));
            }
            if create.is_procedure && mode == b'o' && *has_default {
                return Err(invalid(
                    "procedure OUT parameters cannot appear after one with a default value",
                ));
            }
            return Ok(None);
        };
        if !is_input {
            return Err(invalid("only input parameters can have default values"));
        }
        *has_default = true;
        let ty = TypeRef::plain(ty);
        let bound = self.analyzer().analyze_parameter_default(default, ty)?;
        let around = aegis_catalog::Relation::default();
        Ok(Some(self.expression_text(&bound, &around)?))
    }

    fn variadic_element(&self, ty: Oid) -> SqlResult<Oid> {
        match ty {
            t::ANY => return Ok(t::ANY),
            t::ANYARRAY => return Ok(t::ANYELEMENT),
            t::ANYCOMPATIBLEARRAY => return Ok(t::ANYCOMPATIBLE),
            _ => {}
        }
        let element = self.context.catalog.element_of(ty).or(aegis_types::io::element_type(ty));
        element.ok_or_else(|| invalid("VARIADIC parameter must be an array"))
    }

    fn check_type_usage(&self, ty: Oid) -> SqlResult<()> {
        let privilege = aegis_catalog::access::Privilege::USAGE;
        if ty < Oid::FIRST_USER || self.access().allows(self.role, Kind::Type, ty, privilege) {
            return Ok(());
        }
        Err(super::denied("type", &self.type_name(ty)))
    }

    /// What it returns, by `RETURNS` and by its outputs.
    fn read_result(&self, create: &CreateFunctionStmt, function: &mut Function) -> SqlResult<()> {
        let outputs: Vec<Oid> = function
            .parameters
            .iter()
            .filter(|parameter| parameter.is_output())
            .map(|parameter| parameter.ty)
            .collect();
        let required = match outputs.as_slice() {
            [] => None,
            [_] if create.is_procedure => Some(t::RECORD),
            [one] => Some(*one),
            _ => Some(t::RECORD),
        };
        match (&create.return_type, required) {
            (Some(written), required) => {
                function.result = self.analyzer().resolve_type_name(written)?.oid;
                function.returns_set = written.setof;
                self.check_type_usage(function.result)?;
                if let Some(required) = required.filter(|required| *required != function.result) {
                    return Err(invalid(format!(
                        "function result type must be {} because of OUT parameters",
                        self.type_name(required)
                    )));
                }
            }
            (None, Some(required)) => function.result = required,
            (None, None) if create.is_procedure => function.result = t::VOID,
            (None, None) => return Err(invalid("function result type must be specified")),
        }
        self.check_polymorphic_result(function)?;
        match function.result {
            t::TRIGGER | t::EVENT_TRIGGER | t::INTERNAL | t::CSTRING | t::LANGUAGE_HANDLER => {
                Err(invalid(format!(
                    "SQL functions cannot return type {}",
                    self.type_name(function.result)
                )))
            }
            _ => Ok(()),
        }
    }

    /// 42P13 for a polymorphic result that no argument tells.
    fn check_polymorphic_result(&self, function: &Function) -> SqlResult<()> {
        let inputs = function.input_types();
        let outputs = function.parameters.iter().filter(|parameter| parameter.is_output());
        for ty in outputs.map(|parameter| parameter.ty).chain([function.result]) {
            if !is_polymorphic(ty) {
                continue;
            }
            let first = is_polymorphic_family1(ty);
            let tells =
                |input: &Oid| is_polymorphic(*input) && is_polymorphic_family1(*input) == first;
            if inputs.iter().any(tells) {
                continue;
            }
            let family = if first {
                "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange"
            } else {
                "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or \
                 anycompatiblemultirange"
            };
            return Err(invalid("cannot determine result data type").detail(format!(
                "A result of type {} requires at least one input of type {family}.",
                self.type_name(ty)
            )));
        }
        Ok(())
    }

    fn read_body(
        &self,
        create: &CreateFunctionStmt,
        definition: Option<&[String]>,
        function: &Function,
    ) -> SqlResult<FunctionBody> {
        let Some(body) = &create.body else {
            return match definition {
                None => Err(invalid("no function body specified")),
                Some([text]) => Ok(FunctionBody::Text(text.clone())),
                Some(_) => Err(invalid("only one AS item needed for language \"sql\"")),
            };
        };
        if definition.is_some() {
            return Err(invalid("duplicate function body specified"));
        }
        if function.input_types().iter().any(|ty| is_polymorphic(*ty)) {
            return Err(invalid(
                "SQL function with unquoted function body cannot have polymorphic arguments",
            ));
        }
        let returned;
        let statements = match body {
            RoutineBody::Atomic(statements) => statements,
            RoutineBody::Return(value) => {
                returned = vec![crate::parser::value_select(value.clone())?];
                &returned
            }
        };
        let mut texts = Vec::with_capacity(statements.len());
        for statement in statements {
            let Statement::Select(select) = statement else {
                return Err(SqlError::unsupported("a change of data in BEGIN ATOMIC"));
            };
            let routine = crate::analyze::Routine {
                name: function.name.clone(),
                parameters: function.inputs().map(|input| input.name.clone()).collect(),
            };
            let query = self
                .analyzer_with_parameters(&function.input_types())
                .of_routine(&routine)
                .analyze_view(select)?;
            texts.push(self.query_text(&query)?);
        }
        Ok(FunctionBody::Statements(texts))
    }

    /// `ProcedureCreate`
    async fn put_function(
        &mut self,
        mut function: Function,
        replace: bool,
        has_place: bool,
    ) -> SqlResult<()> {
        let inputs = function.input_types();
        self.claim_function(function.schema, &function.name).await?;
        let found = self
            .context
            .catalog
            .function_with_inputs(function.schema, &function.name, &inputs)
            .and_then(|row| self.context.catalog.user_function(row.oid).cloned());
        match &found {
            Some(_) if !replace => {
                return Err(SqlError::new(
                    SqlState::DuplicateFunction,
                    format!(
                        "function \"{}\" already exists with same argument types",
                        function.name
                    ),
                ));
            }
            Some(old) => {
                if !self.access().has_privileges_of(self.role, old.owner) {
                    return Err(not_owner(word(old.is_procedure), &old.name));
                }
                self.check_replacement(old, &function)?;
                function.oid = old.oid;
                function.owner = old.owner;
                function.extension = old.extension;
            }
            None => function.oid = self.counters.next_oid()?,
        }
        self.validate(&function, has_place)?;
        self.put(Descriptor::Function(Arc::new(function)))
    }

    /// Adds a function that an extension brings.
    pub(super) async fn put_extension_function(&mut self, mut function: Function) -> SqlResult<()> {
        let inputs = function.input_types();
        self.claim_function(function.schema, &function.name).await?;
        let catalog = &self.context.catalog;
        if catalog.function_with_inputs(function.schema, &function.name, &inputs).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateFunction,
                format!("function \"{}\" already exists with same argument types", function.name),
            ));
        }
        function.oid = self.counters.next_oid()?;
        self.put(Descriptor::Function(Arc::new(function)))
    }

    async fn claim_function(&mut self, schema: Oid, name: &str) -> SqlResult<()> {
        self.claim_name(&[NAME_CLAIM], schema, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>() {
            let here = newest.functions_named(name).filter(|row| row.schema == schema);
            let here: Vec<Oid> = here.map(|row| row.oid).collect();
            for oid in here.into_iter().filter(|oid| *oid >= Oid::FIRST_USER) {
                self.refresh(DescriptorKey::Function(oid))?;
            }
        }
        Ok(())
    }

    /// What `OR REPLACE` may not change.
    fn check_replacement(&self, old: &Function, new: &Function) -> SqlResult<()> {
        let drop_first = |error: SqlError| {
            let kind = word(old.is_procedure).to_uppercase();
            error.hint(format!("Use DROP {kind} {} first.", self.shown_function(old.oid)))
        };
        if old.is_procedure != new.is_procedure {
            return Err(SqlError::new(SqlState::WrongObjectType, "cannot change routine kind")
                .detail(format!("\"{}\" is a {}.", old.name, word(old.is_procedure))));
        }
        if old.result != new.result || old.returns_set != new.returns_set {
            let message = if old.is_procedure {
                "cannot change whether a procedure has output parameters"
            } else {
                "cannot change return type of existing function"
            };
            return Err(drop_first(invalid(message)));
        }
        let outputs = |function: &Function| -> Vec<(String, Oid)> {
            let outputs = function.parameters.iter().filter(|it| it.is_output());
            outputs.map(|it| (it.name.clone(), it.ty)).collect()
        };
        if old.result == t::RECORD && outputs(old) != outputs(new) {
            return Err(drop_first(
                invalid("cannot change return type of existing function")
                    .detail("Row type defined by OUT parameters is different."),
            ));
        }
        for (was, is) in old.inputs().zip(new.inputs()) {
            if !was.name.is_empty() && was.name != is.name {
                return Err(drop_first(invalid(format!(
                    "cannot change name of input parameter \"{}\"",
                    was.name
                ))));
            }
        }
        let defaults =
            |function: &Function| function.inputs().filter(|it| it.default.is_some()).count();
        if defaults(new) < defaults(old) {
            return Err(drop_first(invalid(
                "cannot remove parameter defaults from existing function",
            )));
        }
        Ok(())
    }

    /// Looks at the body, as `check_function_bodies` wants it.
    fn validate(&self, function: &Function, has_place: bool) -> SqlResult<()> {
        if !self.session_settings.bool("check_function_bodies") {
            return Ok(());
        }
        let in_function = |error: SqlError| {
            let in_text = matches!(function.body, FunctionBody::Text(_));
            if has_place && in_text && error.fields().position.is_some() {
                return error;
            }
            error.without_position().context(format!("SQL function \"{}\"", function.name))
        };
        if function.input_types().iter().any(|ty| is_polymorphic(*ty)) {
            return parse_body(function).map(drop).map_err(in_function);
        }
        // Its own calls are found while it is looked at.
        let catalog = Arc::new(
            (*self.context.catalog).clone().with(&Descriptor::Function(Arc::new(function.clone()))),
        );
        let path = self.path_of_function(function);
        let context = crate::analyze::AnalyzerContext {
            catalog: &catalog,
            database: self.context.database,
            search_path: &path,
            system_relations: &*self.context.system_relations,
            eval: self.context.eval(),
            parameters: Vec::new(),
            infer_parameters: false,
        };
        let arguments: Vec<TypeRef> =
            function.input_types().into_iter().map(TypeRef::plain).collect();
        let result = TypeRef::plain(function.result);
        analyze_body(&context, function, &arguments, result, &[]).map(drop).map_err(in_function)
    }

    /// The schemas that names in a body are looked up in.
    fn path_of_function(&self, function: &Function) -> Vec<Oid> {
        let own = function.settings.iter().find(|(name, _)| name == "search_path");
        let Some((_, value)) = own else { return self.search_path.clone() };
        let names = settings::path_names(value);
        let found = names
            .iter()
            .filter_map(|name| self.context.catalog.schema_named(self.context.database, name));
        found.collect()
    }

    /// `name(types)`, as messages have it.
    pub(super) fn shown_function(&self, oid: Oid) -> String {
        match self.context.catalog.function(oid) {
            Some(row) => {
                let types: Vec<String> =
                    row.arguments.iter().map(|ty| self.type_name(*ty)).collect();
                let visible = self
                    .effective_path()
                    .find_map(|schema| {
                        let catalog = &self.context.catalog;
                        catalog.function_with_inputs(schema, &row.name, &row.arguments)
                    })
                    .is_some_and(|found| found.oid == oid);
                let name = aegis_types::functions::quote_ident(&row.name);
                let prefix = match self.context.catalog.schema_name(row.schema) {
                    Some(schema) if !visible => {
                        format!("{}.", aegis_types::functions::quote_ident(schema))
                    }
                    _ => String::new(),
                };
                format!("{prefix}{name}({})", types.join(","))
            }
            None => oid.to_string(),
        }
    }

    fn effective_path(&self) -> impl Iterator<Item = Oid> + '_ {
        let catalog_first = !self.search_path.contains(&aegis_catalog::snapshot::PG_CATALOG);
        let first = catalog_first.then_some(aegis_catalog::snapshot::PG_CATALOG);
        first.into_iter().chain(self.search_path.iter().copied())
    }

    /// The routine that a statement names; none if there is none and `missing_ok` is set.
    pub(super) fn named_function(
        &mut self,
        object: &ObjectWithArgs,
        kind: ObjectType,
        missing_ok: bool,
    ) -> SqlResult<Option<FunctionRef>> {
        match self.find_function(object, kind, missing_ok)? {
            Ok(found) => Ok(Some(found)),
            Err(missing) => {
                self.notice(SqlState::SuccessfulCompletion, format!("{missing}, skipping"));
                Ok(None)
            }
        }
    }

    /// The same, or what is missing.
    pub(super) fn find_function(
        &self,
        object: &ObjectWithArgs,
        kind: ObjectType,
        missing_ok: bool,
    ) -> SqlResult<Result<FunctionRef, String>> {
        let what = match kind {
            ObjectType::Procedure => "procedure",
            ObjectType::Aggregate => "aggregate",
            ObjectType::Routine => "routine",
            _ => "function",
        };
        let (name, qualifiers) =
            object.name.split_last().ok_or_else(|| SqlError::internal("a function's name"))?;
        let schemas: Vec<Oid> = match qualifiers.last() {
            Some(schema) => match self.schema(schema) {
                Ok(oid) => vec![oid],
                Err(error) if missing_ok => return Ok(Err(error.fields().message.clone())),
                Err(error) => return Err(error),
            },
            None => self.effective_path().collect(),
        };
        let mut types = None;
        if let Some(args) = &object.args {
            let mut list = Vec::new();
            for arg in args.iter().flatten() {
                match self.analyzer().resolve_type_name(arg) {
                    Ok(ty) => list.push(ty.oid),
                    Err(error) if missing_ok && error.code() == SqlState::UndefinedObject => {
                        return Ok(Err(error.fields().message.clone()));
                    }
                    Err(error) => return Err(error.without_position()),
                }
            }
            types = Some(list);
        }
        let catalog = self.context.catalog.clone();
        let wanted = |row: &FunctionRef| match kind {
            ObjectType::Function => row.kind != FunctionKind::Procedure,
            ObjectType::Procedure => row.kind == FunctionKind::Procedure,
            ObjectType::Aggregate => row.kind == FunctionKind::Aggregate,
            _ => true,
        };
        let all: Vec<FunctionRef> = schemas
            .iter()
            .flat_map(|schema| catalog.functions_named(name).filter(|row| row.schema == *schema))
            .filter(|row| types.as_ref().is_none_or(|types| row.arguments == *types))
            .collect();
        let of_kind: Vec<&FunctionRef> = all.iter().filter(|row| wanted(row)).collect();
        let shown_name = object.name.join(".");
        let shown = match &types {
            Some(types) => {
                let types: Vec<String> = types.iter().map(|ty| self.type_name(*ty)).collect();
                format!("{shown_name}({})", types.join(", "))
            }
            None => shown_name.clone(),
        };
        match (of_kind.as_slice(), &types) {
            ([one], _) | ([one, ..], Some(_)) => Ok(Ok((*one).clone())),
            ([_, ..], None) => Err(SqlError::new(
                SqlState::AmbiguousFunction,
                format!("{what} name \"{shown_name}\" is not unique"),
            )
            .hint(format!("Specify the argument list to select the {what} unambiguously."))),
            ([], _) if !all.is_empty() => {
                let article = if kind == ObjectType::Aggregate { "an" } else { "a" };
                Err(SqlError::new(
                    SqlState::WrongObjectType,
                    format!("{shown} is not {article} {what}"),
                ))
            }
            ([], types) if missing_ok => Ok(Err(match types {
                Some(_) => format!(
                    "{what} {shown_name}({}) does not exist",
                    object
                        .args
                        .iter()
                        .flatten()
                        .flatten()
                        .map(written_type)
                        .collect::<Vec<_>>()
                        .join(",")
                ),
                None => format!("{what} {shown}() does not exist"),
            })),
            ([], Some(_)) => Err(SqlError::new(
                SqlState::UndefinedFunction,
                format!("{what} {shown} does not exist"),
            )),
            ([], None) => Err(SqlError::new(
                SqlState::UndefinedFunction,
                format!("could not find a {what} named \"{shown_name}\""),
            )),
        }
    }

    /// A routine of users that a statement names, which the role owns.
    pub(super) async fn own_function(
        &mut self,
        object: &ObjectWithArgs,
        kind: ObjectType,
    ) -> SqlResult<Arc<Function>> {
        let found = self.named_function(object, kind, false)?;
        let found = found.ok_or_else(|| SqlError::internal("a function that is missing"))?;
        self.claim_function(found.schema, &found.name).await?;
        let own = self.context.catalog.user_function(found.oid).cloned();
        let is_owner = |own: &Arc<Function>| self.access().has_privileges_of(self.role, own.owner);
        own.filter(is_owner).ok_or_else(|| {
            let what = word(found.kind == FunctionKind::Procedure);
            not_owner(what, &found.name)
        })
    }

    /// `DROP FUNCTION`, `PROCEDURE` and `ROUTINE`.
    pub(super) async fn drop_functions(&mut self, drop: &DropStmt) -> SqlResult<&'static str> {
        let mut targets = Vec::new();
        for object in &drop.objects {
            let ObjectName::WithArgs(object) = object else {
                return Err(SqlError::internal("a function is dropped by name and arguments"));
            };
            let found = self.named_function(object, drop.object_type, drop.missing_ok)?;
            let Some(found) = found else { continue };
            let item = Item::Function(found.oid);
            let Some(own) = self.context.catalog.user_function(found.oid).cloned() else {
                if found.kind == FunctionKind::Aggregate
                    && drop.object_type != ObjectType::Aggregate
                {
                    return Err(SqlError::new(
                        SqlState::WrongObjectType,
                        format!("\"{}\" is an aggregate function", found.name),
                    )
                    .hint("Use DROP AGGREGATE to drop aggregate functions."));
                }
                if !self.is_superuser() {
                    return Err(not_owner("function", &found.name));
                }
                return Err(SqlError::new(
                    SqlState::DependentObjectsStillExist,
                    format!(
                        "cannot drop {} because it is required by the database system",
                        self.describe(item)
                    ),
                ));
            };
            self.claim_function(own.schema, &own.name).await?;
            let access = self.access();
            if !access.has_privileges_of(self.role, own.owner)
                && !access.owns(self.role, Kind::Schema, own.schema)
            {
                return Err(not_owner(word(own.is_procedure), &object.name.join(".")));
            }
            if let Some(extension) = own.extension {
                return Err(self.required_by_extension(item, extension));
            }
            if !targets.contains(&item) {
                targets.push(item);
            }
        }
        self.drop_items(&targets, drop.behavior).await?;
        Ok(match drop.object_type {
            ObjectType::Procedure => "DROP PROCEDURE",
            ObjectType::Routine => "DROP ROUTINE",
            _ => "DROP FUNCTION",
        })
    }

    /// Removes a function.
    pub(super) fn delete_function(&mut self, oid: Oid) -> SqlResult<()> {
        self.delete_comments(PG_PROC, oid)?;
        self.delete(DescriptorKey::Function(oid))
    }

    /// `ALTER FUNCTION` and its like, with options.
    pub(super) async fn alter_function(
        &mut self,
        alter: &AlterFunctionStmt,
    ) -> SqlResult<&'static str> {
        let function = self.own_function(&alter.function, alter.object_type).await?;
        let attributes = Attributes::read(&alter.options, function.is_procedure)?;
        self.check_leakproof(&attributes)?;
        let mut changed = (*function).clone();
        attributes.apply(&mut changed)?;
        for change in &attributes.settings {
            self.change_list_of_settings(&mut changed.settings, change)?;
        }
        self.put(Descriptor::Function(Arc::new(changed)))?;
        Ok(altered(alter.object_type))
    }

    /// `ALTER FUNCTION … RENAME TO`
    pub(super) async fn rename_function(
        &mut self,
        object: &ObjectWithArgs,
        kind: ObjectType,
        new: &str,
    ) -> SqlResult<&'static str> {
        let function = self.own_function(object, kind).await?;
        self.check_may_create_in(function.schema)?;
        self.move_function(&function, function.schema, new).await?;
        Ok(altered(kind))
    }

    /// `ALTER FUNCTION … SET SCHEMA`
    pub(super) async fn set_function_schema(
        &mut self,
        object: &ObjectWithArgs,
        kind: ObjectType,
        schema: &str,
    ) -> SqlResult<&'static str> {
        let function = self.own_function(object, kind).await?;
        let schema = self.schema(schema)?;
        self.check_may_create_in(schema)?;
        if schema != function.schema {
            self.move_function(&function, schema, &function.name).await?;
        }
        Ok(altered(kind))
    }

    async fn move_function(
        &mut self,
        function: &Function,
        schema: Oid,
        name: &str,
    ) -> SqlResult<()> {
        self.claim_function(schema, name).await?;
        let inputs = function.input_types();
        let catalog = self.context.catalog.clone();
        if let Some(taken) = catalog.function_with_inputs(schema, name, &inputs) {
            let types: Vec<String> = inputs.iter().map(|ty| self.type_name(*ty)).collect();
            return Err(SqlError::new(
                SqlState::DuplicateFunction,
                format!(
                    "function {}({}) already exists in schema \"{}\"",
                    taken.name,
                    types.join(", "),
                    catalog.schema_name(schema).unwrap_or_default()
                ),
            ));
        }
        let changed = Function { schema, name: name.to_owned(), ..function.clone() };
        self.put(Descriptor::Function(Arc::new(changed)))?;
        self.reprint(&catalog).await
    }

    /// `ALTER FUNCTION … OWNER TO`
    pub(super) async fn own_function_by(
        &mut self,
        object: &ObjectWithArgs,
        kind: ObjectType,
        owner: Oid,
    ) -> SqlResult<&'static str> {
        let function = self.own_function(object, kind).await?;
        if function.owner != owner {
            self.check_is_member(owner)?;
            self.set_function_owner(&function, owner)?;
        }
        Ok(altered(kind))
    }

    /// Gives a function another owner.
    pub(super) fn set_function_owner(&mut self, function: &Function, owner: Oid) -> SqlResult<()> {
        self.put(Descriptor::Function(Arc::new(Function { owner, ..function.clone() })))?;
        self.pass_privileges(Kind::Function, function.oid, function.owner, owner)
    }
}

const fn altered(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Procedure => "ALTER PROCEDURE",
        ObjectType::Routine => "ALTER ROUTINE",
        _ => "ALTER FUNCTION",
    }
}

/// A type's name as the parser leaves it (`TypeNameToString`).
fn written_type(name: &crate::ast::TypeName) -> String {
    let array = if name.array_bounds.is_empty() { "" } else { "[]" };
    format!("{}{array}", name.names.join("."))
}

/// 42P13 for types that no function in SQL takes.
fn check_parameter_type(ty: Oid) -> SqlResult<()> {
    let is_pseudo = builtins().type_row(ty).is_some_and(|row| row.kind == b'p');
    if !is_pseudo || is_polymorphic(ty) || ty == t::RECORD {
        return Ok(());
    }
    let name = builtins().type_row(ty).map_or("", |row| row.name);
    Err(invalid(format!("SQL functions cannot have arguments of type {name}")))
}
