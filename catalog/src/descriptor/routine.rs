//! Functions and procedures that users make, and the extensions that bring their own.

use aegis_types::Oid;
use aegis_types::builtin::{
    FunctionKind, FunctionRow, Implementation, Volatility, implementation_of_symbol,
};
use serde::{Deserialize, Serialize};

/// `pg_proc`: a function or a procedure, written in SQL or brought by an extension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its OID.
    pub oid: Oid,
    /// The database it belongs to.
    pub database: Oid,
    /// The schema it lies in.
    pub schema: Oid,
    /// Its name; others of the schema may have it with other inputs.
    pub name: String,
    /// The role that owns it.
    pub owner: Oid,
    /// Whether a procedure.
    pub is_procedure: bool,
    /// Its parameters in order, outputs and the columns of `RETURNS TABLE` too.
    pub parameters: Vec<FunctionParameter>,
    /// `provariadic`: the type of each element that the last input gathers.
    pub variadic: Oid,
    /// `prorettype`
    pub result: Oid,
    /// `proretset`
    pub returns_set: bool,
    /// `proisstrict`
    pub strict: bool,
    /// The letter of `provolatile`.
    pub volatility: u8,
    /// `prosecdef`
    pub security_definer: bool,
    /// `proleakproof`: kept and shown.
    pub leakproof: bool,
    /// The letter of `proparallel`: kept and shown.
    pub parallel: u8,
    /// `procost`
    pub cost: f32,
    /// `prorows`
    pub rows: f32,
    /// `proconfig`: settings that hold while it runs, in the order in which they were written.
    pub settings: Vec<(String, String)>,
    /// What it does.
    pub body: FunctionBody,
    /// Whether the body was written as `RETURN value`.
    #[serde(default)]
    pub returns_value: bool,
    /// The extension that it belongs to.
    pub extension: Option<Oid>,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionParameter {
    /// Its name, empty for none.
    pub name: String,
    /// Its type.
    pub ty: Oid,
    /// The letter of `proargmodes`: `i`, `o`, `b`, `v`, `t`.
    pub mode: u8,
    /// Its default, as SQL with qualified names.
    pub default: Option<String>,
}

impl FunctionParameter {
    /// Whether a call gives it.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(self.mode, b'i' | b'b' | b'v')
    }

    /// Whether a call gets it.
    #[must_use]
    pub const fn is_output(&self) -> bool {
        matches!(self.mode, b'o' | b'b' | b't')
    }
}

/// What a function does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FunctionBody {
    /// `LANGUAGE sql AS '…'`: read anew in each session, its names looked up there.
    Text(String),
    /// `RETURN …` or `BEGIN ATOMIC … END`: statements as SQL with qualified names.
    Statements(Vec<String>),
    /// A function of the server's own, by its symbol: of an extension.
    Symbol(String),
}

impl Default for FunctionBody {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Function {
    /// The parameters that a call gives.
    pub fn inputs(&self) -> impl Iterator<Item = &FunctionParameter> {
        self.parameters.iter().filter(|parameter| parameter.is_input())
    }

    /// The types that tell it from others of its name.
    #[must_use]
    pub fn input_types(&self) -> Vec<Oid> {
        self.inputs().map(|parameter| parameter.ty).collect()
    }

    /// `lanname` of `prolang`
    #[must_use]
    pub const fn language(&self) -> &'static str {
        match self.body {
            FunctionBody::Text(_) | FunctionBody::Statements(_) => "sql",
            FunctionBody::Symbol(_) => "c",
        }
    }

    /// As calls of it are resolved.
    #[must_use]
    pub fn row(&self) -> FunctionRow {
        let plain = self.parameters.iter().all(|parameter| parameter.mode == b'i');
        let named = self.parameters.iter().any(|parameter| !parameter.name.is_empty());
        let names = self.parameters.iter().map(|parameter| parameter.name.clone().into());
        FunctionRow {
            oid: self.oid,
            schema: self.schema,
            name: self.name.clone().into(),
            language: self.language(),
            kind: match self.is_procedure {
                true => FunctionKind::Procedure,
                false => FunctionKind::Function,
            },
            strict: self.strict,
            returns_set: self.returns_set,
            volatility: match self.volatility {
                b'i' => Volatility::Immutable,
                b's' => Volatility::Stable,
                _ => Volatility::Volatile,
            },
            variadic: self.variadic,
            default_count: self.inputs().filter(|it| it.default.is_some()).count(),
            result: self.result,
            arguments: self.input_types(),
            all_arguments: match plain {
                true => Vec::new(),
                false => self.parameters.iter().map(|parameter| parameter.ty).collect(),
            },
            modes: match plain {
                true => Vec::new(),
                false => self.parameters.iter().map(|parameter| parameter.mode).collect(),
            },
            names: if named { names.collect() } else { Vec::new() },
            source: match &self.body {
                FunctionBody::Text(text) | FunctionBody::Symbol(text) => text.clone().into(),
                FunctionBody::Statements(_) => "".into(),
            },
            implementation: match &self.body {
                FunctionBody::Text(_) | FunctionBody::Statements(_) => Implementation::Statements,
                FunctionBody::Symbol(symbol) => implementation_of_symbol(symbol),
            },
        }
    }
}

/// `pg_extension`: objects that come and go together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its OID.
    pub oid: Oid,
    /// The database.
    pub database: Oid,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub owner: Oid,
    /// The schema of its objects.
    pub schema: Oid,
    /// `extversion`
    pub version: String,
    /// The relations that belong to it.
    #[serde(default)]
    pub relations: Vec<Oid>,
    /// `extconfig`: those of them whose rows are in dumps.
    #[serde(default)]
    pub dumped: Vec<Oid>,
    /// `extcondition`: which rows of each, as a WHERE clause; empty for all.
    #[serde(default)]
    pub dumped_rows: Vec<String>,
    /// The schemas that belong to it.
    #[serde(default)]
    pub schemas: Vec<Oid>,
}
