//! PostgreSQL's own types, functions, operators, casts and aggregates, as its catalogs list them.
//!
//! The tables under `data/` are facts read off a PostgreSQL 15 by `tools/generate_builtin.sh`; what
//! of them runs here is decided by the implementations in [`crate::functions`]. The analyzer
//! resolves calls over all rows, so that a call means what it means in PostgreSQL, and raises 0A000
//! where the chosen row has no implementation.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use crate::functions::{self, ScalarFunction, SetFunction, aggregate::AggregateFunction};
use crate::oid::Oid;

/// A row of `pg_type`.
#[derive(Clone, Debug)]
pub struct TypeRow {
    /// `oid`
    pub oid: Oid,
    /// `typname`
    pub name: &'static str,
    /// `typlen`: bytes, -1 for variable length, -2 for a C string
    pub length: i16,
    /// `typbyval`
    pub by_value: bool,
    /// `typtype`
    pub kind: u8,
    /// `typcategory`
    pub category: u8,
    /// `typispreferred`
    pub preferred: bool,
    /// `typdelim`
    pub delimiter: u8,
    /// `typelem`
    pub element: Oid,
    /// `typarray`
    pub array: Oid,
    /// `typinput`, `typoutput`, `typreceive`, `typsend`, `typmodin`, `typmodout`
    pub io: [Oid; 6],
    /// `typalign`
    pub align: u8,
    /// `typstorage`
    pub storage: u8,
    /// `typcollation`
    pub collation: Oid,
}

/// `prokind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// `f`
    Function,
    /// `a`
    Aggregate,
    /// `w`
    Window,
    /// `p`
    Procedure,
}

/// `provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// `i`
    Immutable,
    /// `s`
    Stable,
    /// `v`
    Volatile,
}

/// How a function runs here.
#[derive(Clone, Copy, Debug)]
pub enum Implementation {
    /// By a function of its arguments.
    Scalar(ScalarFunction),
    /// By an iterator.
    Set(SetFunction),
    /// By an accumulator a group.
    Aggregate(AggregateFunction),
    /// By the session: [`crate::context::Host::call`].
    Host,
    /// By a node of the planner (window functions).
    Planner,
    /// By statements, which the session runs: [`crate::context::Host::call_user`].
    Statements,
    /// Not at all: 0A000.
    Missing,
}

/// A row of `pg_proc`.
#[derive(Clone, Debug)]
pub struct FunctionRow {
    /// `oid`
    pub oid: Oid,
    /// `pronamespace`
    pub schema: Oid,
    /// `proname`
    pub name: Cow<'static, str>,
    /// `lanname` of `prolang`
    pub language: &'static str,
    /// `prokind`
    pub kind: FunctionKind,
    /// `proisstrict`
    pub strict: bool,
    /// `proretset`
    pub returns_set: bool,
    /// `provolatile`
    pub volatility: Volatility,
    /// `provariadic`
    pub variadic: Oid,
    /// `pronargdefaults`
    pub default_count: usize,
    /// `prorettype`
    pub result: Oid,
    /// `proargtypes`
    pub arguments: Vec<Oid>,
    /// `proallargtypes`; empty where all are inputs
    pub all_arguments: Vec<Oid>,
    /// `proargmodes`
    pub modes: Vec<u8>,
    /// `proargnames`
    pub names: Vec<Cow<'static, str>>,
    /// `prosrc`; empty for functions that PostgreSQL writes in SQL
    pub source: Cow<'static, str>,
    /// How it runs here.
    pub implementation: Implementation,
}

/// A function of PostgreSQL's own, or one that users made.
#[derive(Clone, Debug)]
pub enum FunctionRef {
    /// From the tables.
    BuiltIn(&'static FunctionRow),
    /// From a catalog.
    User(Arc<FunctionRow>),
}

impl Deref for FunctionRef {
    type Target = FunctionRow;

    fn deref(&self) -> &FunctionRow {
        match self {
            Self::BuiltIn(row) => row,
            Self::User(row) => row,
        }
    }
}

/// A row of `pg_operator`.
#[derive(Clone, Debug)]
pub struct OperatorRow {
    /// `oid`
    pub oid: Oid,
    /// `oprname`
    pub name: &'static str,
    /// `oprcanmerge`
    pub can_merge: bool,
    /// `oprcanhash`
    pub can_hash: bool,
    /// `oprleft`; 0 for a prefix operator
    pub left: Oid,
    /// `oprright`
    pub right: Oid,
    /// `oprresult`
    pub result: Oid,
    /// `oprcom`
    pub commutator: Oid,
    /// `oprnegate`
    pub negator: Oid,
    /// `oprcode`
    pub function: Oid,
}

/// `castcontext`: where a cast applies by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// `i`: anywhere
    Implicit,
    /// `a`: in assignment
    Assignment,
    /// `e`: only where it is written
    Explicit,
}

/// `castmethod` with its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastMethod {
    /// `f`
    Function(Oid),
    /// `b`: the value stays as it is
    Binary,
    /// `i`: through the text form
    InOut,
}

/// A row of `pg_cast`.
#[derive(Clone, Copy, Debug)]
pub struct CastRow {
    /// `castsource`
    pub source: Oid,
    /// `casttarget`
    pub target: Oid,
    /// `oid`
    pub oid: Oid,
    /// `castcontext`
    pub context: CastContext,
    /// `castmethod` and `castfunc`
    pub method: CastMethod,
}

/// A row of `pg_aggregate`.
#[derive(Clone, Debug)]
pub struct AggregateRow {
    /// `aggfnoid`
    pub function: Oid,
    /// `aggkind`: `n` normal, `o` ordered-set, `h` hypothetical-set
    pub kind: u8,
    /// `aggnumdirectargs`
    pub direct_arguments: usize,
    /// `aggtransfn`
    pub transition: Oid,
    /// `aggfinalfn`
    pub final_function: Oid,
    /// `aggsortop`
    pub sort_operator: Oid,
    /// `aggtranstype`
    pub transition_type: Oid,
    /// `agginitval`
    pub initial: &'static str,
}

/// All built-in rows with their indexes.
pub struct Builtins {
    /// `pg_type`, by OID.
    pub types: Vec<TypeRow>,
    /// `pg_proc`, by OID.
    pub functions: Vec<FunctionRow>,
    /// `pg_operator`, by OID.
    pub operators: Vec<OperatorRow>,
    /// `pg_cast`.
    pub casts: Vec<CastRow>,
    /// `pg_aggregate`.
    pub aggregates: Vec<AggregateRow>,
    type_by_oid: HashMap<Oid, usize>,
    type_by_name: HashMap<&'static str, usize>,
    function_by_oid: HashMap<Oid, usize>,
    functions_by_name: HashMap<Cow<'static, str>, Vec<usize>>,
    operator_by_oid: HashMap<Oid, usize>,
    operators_by_name: HashMap<&'static str, Vec<usize>>,
    cast_by_types: HashMap<(Oid, Oid), usize>,
    aggregate_by_function: HashMap<Oid, usize>,
}

/// `pg_catalog`'s OID, as in PostgreSQL.
pub const PG_CATALOG: Oid = Oid(11);
/// `information_schema`'s OID, as `initdb` of PostgreSQL 15 happens to give it.
pub const INFORMATION_SCHEMA: Oid = Oid(13207);

static BUILTINS: LazyLock<Builtins> = LazyLock::new(Builtins::load);

/// The tables.
#[must_use]
pub fn builtins() -> &'static Builtins {
    &BUILTINS
}

impl Builtins {
    /// The type with this OID.
    #[must_use]
    pub fn type_row(&self, oid: Oid) -> Option<&TypeRow> {
        self.type_by_oid.get(&oid).map(|at| &self.types[*at])
    }

    /// The type with this name.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<&TypeRow> {
        self.type_by_name.get(name).map(|at| &self.types[*at])
    }

    /// The function with this OID.
    #[must_use]
    pub fn function(&self, oid: Oid) -> Option<&FunctionRow> {
        self.function_by_oid.get(&oid).map(|at| &self.functions[*at])
    }

    /// The functions with this name.
    pub fn functions_named(&self, name: &str) -> impl Iterator<Item = &FunctionRow> {
        self.functions_by_name.get(name).into_iter().flatten().map(|at| &self.functions[*at])
    }

    /// The operator with this OID.
    #[must_use]
    pub fn operator(&self, oid: Oid) -> Option<&OperatorRow> {
        self.operator_by_oid.get(&oid).map(|at| &self.operators[*at])
    }

    /// The operators with this name.
    pub fn operators_named(&self, name: &str) -> impl Iterator<Item = &OperatorRow> {
        self.operators_by_name.get(name).into_iter().flatten().map(|at| &self.operators[*at])
    }

    /// The cast between these types, if `pg_cast` has one.
    #[must_use]
    pub fn cast(&self, source: Oid, target: Oid) -> Option<&CastRow> {
        self.cast_by_types.get(&(source, target)).map(|at| &self.casts[*at])
    }

    /// The aggregate that this function is.
    #[must_use]
    pub fn aggregate(&self, function: Oid) -> Option<&AggregateRow> {
        self.aggregate_by_function.get(&function).map(|at| &self.aggregates[*at])
    }

    fn load() -> Self {
        let types: Vec<TypeRow> = rows(include_str!("../data/pg_type.tsv")).map(type_row).collect();
        let type_by_oid: HashMap<Oid, usize> =
            types.iter().enumerate().map(|(at, row)| (row.oid, at)).collect();
        let aggregates: Vec<AggregateRow> =
            rows(include_str!("../data/pg_aggregate.tsv")).map(aggregate_row).collect();
        let type_name = |oid: &Oid| type_by_oid.get(oid).map_or("-", |at| types[*at].name);
        let tables = [
            (PG_CATALOG, include_str!("../data/pg_proc.tsv")),
            (INFORMATION_SCHEMA, include_str!("../data/information_schema_proc.tsv")),
        ];
        let mut functions: Vec<FunctionRow> = tables
            .into_iter()
            .flat_map(|(schema, table)| rows(table).map(move |row| function_row(schema, &row)))
            .map(|row| FunctionRow { implementation: implementation(&row, &type_name), ..row })
            .collect();
        functions.sort_by_key(|row| row.oid);
        let operators: Vec<OperatorRow> =
            rows(include_str!("../data/pg_operator.tsv")).map(operator_row).collect();
        let casts: Vec<CastRow> = rows(include_str!("../data/pg_cast.tsv")).map(cast_row).collect();

        let mut functions_by_name: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, row) in functions.iter().enumerate() {
            functions_by_name.entry(row.name.clone()).or_default().push(at);
        }
        let mut operators_by_name: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, row) in operators.iter().enumerate() {
            operators_by_name.entry(row.name).or_default().push(at);
        }
        Self {
            type_by_name: types.iter().enumerate().map(|(at, row)| (row.name, at)).collect(),
            function_by_oid: functions.iter().enumerate().map(|(at, row)| (row.oid, at)).collect(),
            functions_by_name,
            operator_by_oid: operators.iter().enumerate().map(|(at, row)| (row.oid, at)).collect(),
            operators_by_name,
            cast_by_types: casts
                .iter()
                .enumerate()
                .map(|(at, row)| ((row.source, row.target), at))
                .collect(),
            aggregate_by_function: aggregates
                .iter()
                .enumerate()
                .map(|(at, row)| (row.function, at))
                .collect(),
            type_by_oid,
            types,
            functions,
            operators,
            casts,
            aggregates,
        }
    }
}

/// The key of functions that PostgreSQL writes in SQL, and of aggregates: `name(type,type)`.
fn signature(row: &FunctionRow, type_name: &impl Fn(&Oid) -> &'static str) -> String {
    let arguments: Vec<&str> = row.arguments.iter().map(type_name).collect();
    format!("{}({})", row.name, arguments.join(","))
}

fn implementation(row: &FunctionRow, type_name: &impl Fn(&Oid) -> &'static str) -> Implementation {
    let key = signature(row, type_name);
    match row.kind {
        FunctionKind::Aggregate => functions::aggregate::aggregate(&key)
            .map_or(Implementation::Missing, Implementation::Aggregate),
        FunctionKind::Window => Implementation::Planner,
        FunctionKind::Procedure => Implementation::Missing,
        FunctionKind::Function => {
            if functions::host::HOST_FUNCTIONS.contains(&&*row.name) {
                return Implementation::Host;
            }
            let keys = [key.as_str(), &row.source];
            let scalar = keys.iter().find_map(|key| functions::scalar(key));
            let set = keys.iter().find_map(|key| functions::set_returning(key));
            match (row.returns_set, scalar, set) {
                (true, _, Some(function)) => Implementation::Set(function),
                (false, Some(function), _) => Implementation::Scalar(function),
                _ => Implementation::Missing,
            }
        }
    }
}

/// What runs a function that an extension brings: it has no row, and names a symbol.
#[must_use]
pub fn implementation_of_symbol(symbol: &str) -> Implementation {
    if functions::host::HOST_FUNCTIONS.contains(&symbol) {
        return Implementation::Host;
    }
    match (functions::scalar(symbol), functions::set_returning(symbol)) {
        (Some(function), _) => Implementation::Scalar(function),
        (None, Some(function)) => Implementation::Set(function),
        (None, None) => Implementation::Missing,
    }
}

type Fields = Vec<&'static str>;

fn rows(table: &'static str) -> impl Iterator<Item = Fields> {
    table.lines().map(|line| line.split('\t').collect())
}

fn oid(field: &str) -> Oid {
    Oid(number(field))
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(field: &str) -> T {
    field.parse().expect("the generated tables hold numbers in their numeric columns")
}

fn oids(field: &str) -> Vec<Oid> {
    field.split_ascii_whitespace().map(oid).collect()
}

fn first_byte(field: &str) -> u8 {
    field.as_bytes().first().copied().unwrap_or_default()
}

fn type_row(row: Fields) -> TypeRow {
    TypeRow {
        oid: oid(row[0]),
        name: row[1],
        length: number(row[2]),
        by_value: row[3] == "t",
        kind: first_byte(row[4]),
        category: first_byte(row[5]),
        preferred: row[6] == "t",
        delimiter: first_byte(row[7]),
        element: oid(row[8]),
        array: oid(row[9]),
        io: std::array::from_fn(|at| oid(row[10 + at])),
        align: first_byte(row[16]),
        storage: first_byte(row[17]),
        collation: oid(row[18]),
    }
}

fn function_row(schema: Oid, row: &Fields) -> FunctionRow {
    FunctionRow {
        oid: oid(row[0]),
        schema,
        name: row[1].into(),
        language: row[2],
        kind: match row[3] {
            "a" => FunctionKind::Aggregate,
            "w" => FunctionKind::Window,
            "p" => FunctionKind::Procedure,
            _ => FunctionKind::Function,
        },
        strict: row[4] == "t",
        returns_set: row[5] == "t",
        volatility: match row[6] {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        variadic: oid(row[7]),
        default_count: number(row[8]),
        result: oid(row[9]),
        arguments: oids(row[10]),
        all_arguments: oids(row[11]),
        modes: row[12].split_ascii_whitespace().map(first_byte).collect(),
        names: match row[13] {
            "" => Vec::new(),
            names => names.split(',').map(Cow::from).collect(),
        },
        source: row[14].into(),
        implementation: Implementation::Missing,
    }
}

fn operator_row(row: Fields) -> OperatorRow {
    OperatorRow {
        oid: oid(row[0]),
        name: row[1],
        can_merge: row[3] == "t",
        can_hash: row[4] == "t",
        left: oid(row[5]),
        right: oid(row[6]),
        result: oid(row[7]),
        commutator: oid(row[8]),
        negator: oid(row[9]),
        function: oid(row[10]),
    }
}

fn cast_row(row: Fields) -> CastRow {
    CastRow {
        source: oid(row[0]),
        target: oid(row[1]),
        oid: oid(row[5]),
        context: match row[3] {
            "i" => CastContext::Implicit,
            "a" => CastContext::Assignment,
            _ => CastContext::Explicit,
        },
        method: match row[4] {
            "f" => CastMethod::Function(oid(row[2])),
            "b" => CastMethod::Binary,
            _ => CastMethod::InOut,
        },
    }
}

fn aggregate_row(row: Fields) -> AggregateRow {
    AggregateRow {
        function: oid(row[0]),
        kind: first_byte(row[1]),
        direct_arguments: number(row[2]),
        transition: oid(row[3]),
        final_function: oid(row[4]),
        sort_operator: oid(row[5]),
        transition_type: oid(row[6]),
        initial: row[7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_loaded_and_found_by_oid_and_name() {
        let builtins = builtins();
        assert_eq!(builtins.type_named("int4").map(|row| row.oid), Some(crate::type_oid::INT4));
        assert!(builtins.functions_named("abs").count() >= 6);
        assert!(builtins.operators_named("+").count() > 20);
        assert!(builtins.cast(crate::type_oid::INT4, crate::type_oid::INT8).is_some());
    }
}
