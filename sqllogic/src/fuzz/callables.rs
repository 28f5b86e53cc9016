//! What can be called: operators, functions, casts and aggregates as the reference's catalog has
//! them, over the types that the fuzzer knows.

use std::collections::BTreeMap;

use crate::wire::{Client, ClientError};

/// The types of random expressions.
pub(super) const TYPES: [&str; 19] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "double precision",
    "text",
    "character varying",
    "character",
    "bytea",
    "date",
    "time without time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "uuid",
    "jsonb",
    "integer[]",
    "text[]",
];

/// A function or an operator.
#[derive(Clone, Debug)]
pub struct Callable {
    /// Its name.
    pub name: String,
    /// Whether it is written between or before its arguments.
    pub is_operator: bool,
    /// The types of its arguments, places in [`TYPES`].
    pub arguments: Vec<usize>,
}

/// What can be called, by what it gives.
#[derive(Clone, Debug, Default)]
pub struct Callables {
    /// Functions and operators that give a type.
    pub giving: BTreeMap<usize, Vec<Callable>>,
    /// From which types a type can be cast.
    pub casts: BTreeMap<usize, Vec<usize>>,
    /// Aggregates that give a type.
    pub aggregates: BTreeMap<usize, Vec<Callable>>,
}

/// What grows without bound, or whose result hangs on the server's build (the last digit of `cbrt`
/// on the C library), its clock or the order of rows. `age` of an infinite time is noise, and
/// `width_bucket` of a numeric rounds up into a bucket too many.
const LEFT_OUT: &str = "'age', 'width_bucket', 'cbrt', 'dcbrt', 'repeat', 'lpad', 'rpad', 'pg_sleep', 'factorial', 'set_bit', 'regexp_replace', \
    'similar_escape', 'like_escape', 'array_fill', 'convert', 'convert_from', 'convert_to', \
    'to_ascii', 'normalize', 'is_normalized', 'unicode_assigned', 'inet_merge', 'pg_char_to_encoding'";

impl Callables {
    /// Those of a server.
    pub(super) fn of(client: &mut Client) -> Result<Self, ClientError> {
        let mut found = Self::default();
        let functions = client.run(&format!(
            "SELECT proname, prokind, format_type(prorettype, NULL), \
                    array(SELECT format_type(a, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS u (a, n) ORDER BY n)::text \
             FROM pg_proc p \
             WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a') AND NOT proretset \
               AND provariadic = 0 AND proname NOT IN ({LEFT_OUT}) AND pronargs BETWEEN 1 AND 4 \
               AND (prokind = 'a' OR provolatile = 'i') \
               AND NOT EXISTS (SELECT FROM pg_aggregate g WHERE g.aggtransfn = p.oid OR g.aggfinalfn = p.oid) \
               AND NOT EXISTS (SELECT FROM pg_cast WHERE castfunc = p.oid) \
               AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid OR o.oprrest = p.oid OR o.oprjoin = p.oid) \
               AND NOT EXISTS (SELECT FROM pg_amproc WHERE amproc = p.oid) \
               AND proname !~ '(in|out|recv|send|typmodin|typmodout|_accum|_accum_inv|_combine|_sel|_sortsupport|_support|_transfn|_finalfn)$' \
               AND (prokind = 'f' OR (SELECT aggkind FROM pg_aggregate WHERE aggfnoid = p.oid) = 'n') \
             ORDER BY 1, 4"
        ))?;
        for row in functions.rows {
            let [Some(name), Some(kind), Some(result), Some(arguments)] = row.as_slice() else {
                continue;
            };
            let (Some(result), Some(arguments)) = (place(result), places(arguments)) else {
                continue;
            };
            let callable = Callable { name: name.clone(), is_operator: false, arguments };
            let (list, is_aggregate) = match kind.as_str() {
                "a" => (&mut found.aggregates, true),
                _ => (&mut found.giving, false),
            };
            // The order of rows shows in sums of floats and in what is collected.
            let shows_order = [
                "sum",
                "avg",
                "array_agg",
                "string_agg",
                "json",
                "xml",
                "stddev",
                "var",
                "regr",
                "corr",
                "covar",
            ];
            let is_float = callable.arguments.contains(&FLOAT8);
            let collects = !matches!(name.as_str(), "sum" | "avg")
                && !name.starts_with("std")
                && !name.starts_with("var");
            if is_aggregate
                && shows_order.iter().any(|prefix| name.starts_with(prefix))
                && (is_float || collects)
            {
                continue;
            }
            list.entry(result).or_default().push(callable);
        }
        let operators = client.run(
            "SELECT oprname, format_type(oprresult, NULL), \
                    CASE WHEN oprleft <> 0 THEN format_type(oprleft, NULL) END, format_type(oprright, NULL) \
             FROM pg_operator JOIN pg_proc p ON p.oid = oprcode WHERE provolatile = 'i' AND oprname <> '||/' ORDER BY 1, 2, 3, 4",
        )?;
        for row in operators.rows {
            let [Some(name), Some(result), left, Some(right)] = row.as_slice() else { continue };
            let arguments: Option<Vec<usize>> =
                left.iter().chain([right]).map(|ty| place(ty)).collect();
            let (Some(result), Some(arguments)) = (place(result), arguments) else { continue };
            let callable = Callable { name: name.clone(), is_operator: true, arguments };
            found.giving.entry(result).or_default().push(callable);
        }
        let casts = client.run(
            "SELECT format_type(castsource, NULL), format_type(casttarget, NULL) FROM pg_cast \
             LEFT JOIN pg_proc p ON p.oid = castfunc WHERE castsource <> casttarget \
               AND coalesce(provolatile, 'i') = 'i' ORDER BY 1, 2",
        )?;
        for row in casts.rows {
            if let [Some(source), Some(target)] = row.as_slice()
                && let (Some(source), Some(target)) = (place(source), place(target))
            {
                found.casts.entry(target).or_default().push(source);
            }
        }
        Ok(found)
    }

    /// Keeps what a server does not refuse by name.
    pub(super) fn keep_what_answers(&mut self, client: &mut Client) -> Result<(), ClientError> {
        for list in self.giving.values_mut().chain(self.aggregates.values_mut()) {
            let mut kept = Vec::new();
            for callable in list.drain(..) {
                let arguments: Vec<String> =
                    callable.arguments.iter().map(|ty| format!("NULL::{}", TYPES[*ty])).collect();
                match client.run(&format!("SELECT {}", callable.call(&arguments))) {
                    Ok(_) => kept.push(callable),
                    Err(error) => match error.sql_state() {
                        Some("42883" | "0A000") => {}
                        Some(_) => kept.push(callable),
                        None => return Err(error),
                    },
                }
            }
            *list = kept;
        }
        Ok(())
    }

    /// How many functions, operators and aggregates there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.giving.values().chain(self.aggregates.values()).map(Vec::len).sum()
    }
}

impl Callable {
    /// Its call.
    #[must_use]
    pub fn call(&self, arguments: &[String]) -> String {
        match arguments {
            [left, right] if self.is_operator => format!("({left} {} {right})", self.name),
            [right] if self.is_operator => format!("({} {right})", self.name),
            _ => format!("\"{}\"({})", self.name, arguments.join(", ")),
        }
    }
}

/// The place of `double precision`.
const FLOAT8: usize = 5;

fn place(name: &str) -> Option<usize> {
    TYPES.iter().position(|ty| *ty == name)
}

/// The places of the types of an array's text.
fn places(array: &str) -> Option<Vec<usize>> {
    let inner = array.strip_prefix('{')?.strip_suffix('}')?;
    inner.split(',').map(|name| place(name.trim_matches('"'))).collect()
}
