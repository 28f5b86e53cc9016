//! The functions of engines: built in, in `pg_catalog` of every database, and declared by the engine
//! that answers them.
//!
//! A declaration is a signature as SQL has it, with defaults behind `=`; its OID is fixed, below those
//! of users' objects, so that no dump has it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use aegis_types::Oid;
use aegis_types::builtin::{FunctionRow, Implementation, builtins};

use crate::descriptor::{Function, FunctionBody, FunctionParameter};
use crate::snapshot::{BOOTSTRAP_ROLE, PG_CATALOG};

/// A function as an engine declares it.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Its name; others may have it with other arguments.
    pub name: &'static str,
    /// `name type = default, …`: the default is SQL.
    pub arguments: &'static str,
    /// A type, `setof` and a type, or `table(name type, …)`.
    pub result: &'static str,
    /// The letter of `provolatile`.
    pub volatility: u8,
    /// `proisstrict`
    pub strict: bool,
    /// Whether it may wait for others: where a statement calls nothing else, it is called anew then
    /// instead of keeping a thread.
    pub waits: bool,
}

impl Declaration {
    /// A function that reads.
    #[must_use]
    pub const fn stable(
        name: &'static str,
        arguments: &'static str,
        result: &'static str,
        strict: bool,
    ) -> Self {
        Self { name, arguments, result, volatility: b's', strict, waits: false }
    }

    /// A function that writes.
    #[must_use]
    pub const fn volatile(
        name: &'static str,
        arguments: &'static str,
        result: &'static str,
        strict: bool,
    ) -> Self {
        Self { name, arguments, result, volatility: b'v', strict, waits: false }
    }

    /// A function that waits until there is something.
    #[must_use]
    pub const fn waiting(
        name: &'static str,
        arguments: &'static str,
        result: &'static str,
    ) -> Self {
        Self { name, arguments, result, volatility: b'v', strict: false, waits: true }
    }
}

/// A declared function, ready to be resolved.
#[derive(Debug)]
pub struct EngineFunction {
    /// As catalogs show it.
    pub descriptor: Arc<Function>,
    /// As calls of it are resolved.
    pub row: Arc<FunctionRow>,
    /// The engine that answers it.
    pub engine: &'static str,
    /// Whether it may wait for others.
    pub waits: bool,
}

#[derive(Debug, Default)]
struct Functions {
    by_oid: HashMap<Oid, EngineFunction>,
    by_name: HashMap<&'static str, Vec<Oid>>,
}

static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

/// Makes the functions of all engines known, for as long as the process lives: what is registered
/// first stays. Each engine has its name, the OID of its first function, and its declarations.
///
/// # Panics
/// If a declaration names a type that is not there.
pub fn register<'a>(engines: impl Iterator<Item = (&'static str, Oid, &'a [Declaration])>) {
    FUNCTIONS.get_or_init(|| {
        let mut known = Functions::default();
        for (engine, first, declarations) in engines {
            for (oid, declaration) in (first.0..).map(Oid).zip(declarations) {
                assert!(builtins().function(oid).is_none(), "function {oid} is there already");
                let descriptor = Arc::new(descriptor(oid, declaration));
                let mut row = descriptor.row();
                row.language = "internal";
                row.implementation = Implementation::Statements;
                let row = Arc::new(row);
                known.by_name.entry(declaration.name).or_default().push(oid);
                let waits = declaration.waits;
                known.by_oid.insert(oid, EngineFunction { descriptor, row, engine, waits });
            }
        }
        known
    });
}

/// The function of an engine with this OID.
#[must_use]
pub fn function(oid: Oid) -> Option<&'static EngineFunction> {
    FUNCTIONS.get()?.by_oid.get(&oid)
}

/// The functions of engines with this name.
pub fn functions_named(name: &str) -> impl Iterator<Item = &'static EngineFunction> + use<> {
    let known = FUNCTIONS.get();
    let named = known.and_then(|known| known.by_name.get(name)).into_iter().flatten();
    named.filter_map(|oid| function(*oid))
}

/// All of them, by OID.
#[must_use]
pub fn functions() -> Vec<&'static EngineFunction> {
    let known = FUNCTIONS.get().into_iter();
    let mut all: Vec<&EngineFunction> = known.flat_map(|known| known.by_oid.values()).collect();
    all.sort_by_key(|function| function.descriptor.oid);
    all
}

fn descriptor(oid: Oid, declaration: &Declaration) -> Function {
    let mut parameters: Vec<FunctionParameter> =
        list(declaration.arguments).map(|text| parameter(text, b'i')).collect();
    let (returns_set, result) = match declaration.result.strip_prefix("setof ") {
        Some(one) => (true, one),
        None => (declaration.result.starts_with("table("), declaration.result),
    };
    let columns = result.strip_prefix("table(").and_then(|rest| rest.strip_suffix(')'));
    let outputs: Vec<FunctionParameter> =
        list(columns.unwrap_or_default()).map(|text| parameter(text, b't')).collect();
    let result = match (columns, outputs.as_slice()) {
        (None, _) => type_named(result),
        (Some(_), [one]) => one.ty,
        (Some(_), _) => aegis_types::type_oid::RECORD,
    };
    parameters.extend(outputs);
    Function {
        oid,
        schema: PG_CATALOG,
        name: declaration.name.to_owned(),
        owner: BOOTSTRAP_ROLE,
        parameters,
        result,
        returns_set,
        strict: declaration.strict,
        volatility: declaration.volatility,
        parallel: b'u',
        cost: 1.0,
        rows: if returns_set { 1000.0 } else { 0.0 },
        body: FunctionBody::Symbol(declaration.name.to_owned()),
        ..Function::default()
    }
}

/// Splits at commas outside of quotes and parentheses.
fn list(text: &'static str) -> impl Iterator<Item = &'static str> {
    let (mut quoted, mut depth) = (false, 0_i32);
    let parts = text.split(move |letter| {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        letter == ',' && !quoted && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn parameter(text: &str, mode: u8) -> FunctionParameter {
    let (declared, default) = match text.split_once(" = ") {
        Some((declared, default)) => (declared, Some(default)),
        None => (text, None),
    };
    let (name, ty) = declared.split_once(' ').expect("a parameter is a name and a type");
    // A NULL is of the parameter's type.
    let default = default.map(|text| match text {
        "NULL" => format!("NULL::{ty}"),
        text => text.to_owned(),
    });
    let name = name.trim_matches('"');
    FunctionParameter { name: name.to_owned(), ty: type_named(ty), mode, default }
}

fn type_named(name: &str) -> Oid {
    let plain = name.trim_end_matches("[]");
    let known = match plain {
        "bigint" => "int8",
        "integer" => "int4",
        "boolean" => "bool",
        other => other,
    };
    let row = builtins().type_named(known);
    let row = row.unwrap_or_else(|| panic!("an engine declares a function of type {name}"));
    if plain == name { row.oid } else { row.array }
}
