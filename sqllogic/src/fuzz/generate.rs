//! Random statements: queries of a few shapes, and expressions by the type that is wanted.

use std::fmt::Write as _;

use super::callables::{Callables, TYPES};
use crate::random::Random;

/// A statement, and how its answer is compared.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The statement.
    pub sql: String,
    /// Whether it says the order of its rows in full.
    pub ordered: bool,
    /// Whether it computes over rows.
    pub reads_rows: bool,
    /// Whether it changes data.
    pub changes: bool,
}

/// Places in [`TYPES`].
const BOOL: usize = 0;
const INT4: usize = 2;

/// The columns of the two tables.
const COLUMNS: [&[(&str, usize)]; 2] = [
    &[
        ("id", 2),
        ("i2", 1),
        ("i4", 2),
        ("i8", 3),
        ("n", 4),
        ("f8", 5),
        ("t", 6),
        ("vc", 7),
        ("c", 8),
        ("b", 0),
        ("d", 10),
        ("ts", 12),
        ("tz", 13),
        ("iv", 14),
        ("j", 16),
        ("ia", 17),
        ("ta", 18),
        ("ba", 9),
        ("u", 15),
    ],
    &[
        ("id", 2),
        ("a_id", 2),
        ("i4", 2),
        ("n", 4),
        ("t", 6),
        ("b", 0),
        ("d", 10),
        ("j", 16),
        ("ia", 17),
    ],
];
const TABLES: [&str; 2] = ["a", "b"];

/// Values of each type, as they are written between quotes.
const LITERALS: [&[&str]; TYPES.len()] = [
    &["true", "false"],
    &["0", "1", "-1", "7", "32767", "-32768"],
    &["0", "1", "-1", "2", "3", "10", "31", "100", "2147483647", "-2147483648"],
    &["0", "1", "-1", "5", "1000", "9223372036854775807", "-9223372036854775808"],
    &[
        "0",
        "1",
        "-1",
        "0.5",
        "1.50",
        "-2.25",
        "100",
        "12345.678",
        "0.000001",
        "NaN",
        "Infinity",
        "-Infinity",
        "99999999999999999999",
    ],
    &["0", "-0", "1", "-1", "0.5", "2.5", "1e10", "1e-10", "1e300", "NaN", "Infinity", "-Infinity"],
    &[
        "",
        "a",
        "A",
        "abc",
        "a b c",
        "ABC",
        "%",
        "a%",
        "_b",
        "1",
        " 12 ",
        "x,y,z",
        "2024-01-01",
        "ü",
        "日本",
        "\\",
        "{1,2}",
        "{\"a\":1}",
        "true",
        "YYYY-MM-DD",
        "999.99",
    ],
    &["", "a", "abc", "Zz", "1", "ü"],
    &["", "a", "abc", "b "],
    &["", "\\x00", "\\xdeadbeef", "abc", "\\x616263"],
    &[
        "2024-02-29",
        "2000-01-01",
        "1999-12-31",
        "0001-01-01",
        "infinity",
        "-infinity",
        "4000-01-01 BC",
    ],
    &["00:00:00", "12:34:56.789", "23:59:59.999999", "24:00:00"],
    &[
        "2024-02-29 12:00:00",
        "1970-01-01 00:00:00",
        "2024-03-31 02:30:00",
        "infinity",
        "-infinity",
        "0044-03-15 12:00:00 BC",
        "2024-12-31 23:59:59.999999",
    ],
    &[
        "2024-02-29 12:00:00+00",
        "1970-01-01 00:00:00+00",
        "2024-10-27 01:30:00+00",
        "infinity",
        "-infinity",
        "2024-12-31 23:59:59.5-08",
    ],
    &[
        "0",
        "1 day",
        "-1 month",
        "1 year 2 mons 3 days 04:05:06.789",
        "-00:00:01",
        "100 years",
        "36:00:00",
    ],
    &["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    &[
        "null",
        "true",
        "0",
        "1.50",
        "\"a\"",
        "[]",
        "{}",
        "[1, 2, 3]",
        "{\"a\": 1, \"b\": {\"c\": [1, null]}}",
        "[{\"a\": 1}, {\"a\": 2}]",
    ],
    &["{}", "{1}", "{1,2,3}", "{NULL,1}", "{{1,2},{3,4}}", "[0:1]={5,6}"],
    &["{}", "{a}", "{a,b,c}", "{NULL,\"x y\"}", "{{a,b},{c,d}}"],
];

/// Types that can be grouped by and ordered, and whose equal values look alike: which of `1 day` and
/// `24:00:00` stands for both is left open.
const ORDERED: [usize; 12] = [0, 1, 2, 3, 6, 7, 9, 10, 12, 13, 15, 17];

/// A row source in scope.
#[derive(Clone, Debug)]
struct Source {
    alias: String,
    columns: Vec<(String, usize)>,
}

/// Makes statements.
pub struct Generator<'a> {
    callables: &'a Callables,
    random: &'a mut Random,
    scope: Vec<Source>,
    aliases: usize,
}

impl<'a> Generator<'a> {
    /// A generator of one statement.
    pub fn new(callables: &'a Callables, random: &'a mut Random) -> Self {
        Self { callables, random, scope: Vec::new(), aliases: 0 }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random.below(one_in) == 0
    }

    fn any_type(&mut self) -> usize {
        self.random.place(TYPES.len())
    }

    fn ordered_type(&mut self) -> usize {
        *self.random.one(&ORDERED)
    }

    /// The statement.
    pub fn statement(mut self) -> Generated {
        let (sql, ordered, reads_rows, changes) = match self.random.below(12) {
            0..=3 => (self.constants(), false, false, false),
            4 | 5 => (self.rows(), false, true, false),
            6 => (self.groups(), false, true, false),
            7 => (self.sorted(), true, true, false),
            8 => (self.set_operation(), false, true, false),
            9 => (self.windows(), false, true, false),
            10 => (self.common(), false, true, false),
            _ => (self.change(), false, true, true),
        };
        Generated { sql, ordered, reads_rows, changes }
    }

    /// `SELECT` of expressions alone.
    fn constants(&mut self) -> String {
        let count = 1 + self.random.below(3);
        let list: Vec<String> = (0..count)
            .map(|_| {
                let ty = self.any_type();
                self.expression(ty, 3)
            })
            .collect();
        format!("SELECT {}", list.join(", "))
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("s{}", self.aliases)
    }

    fn table(&mut self) -> String {
        let at = self.random.place(TABLES.len());
        let alias = self.alias();
        let columns = COLUMNS[at].iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
        self.scope.push(Source { alias: alias.clone(), columns });
        format!("{} AS {alias}", TABLES[at])
    }

    /// A `FROM` list; its sources are in scope afterwards.
    fn from(&mut self) -> String {
        let mut text = self.table();
        for _ in 0..self.random.below(3) {
            let lateral = self.chance(5);
            if lateral {
                let ty = self.any_type();
                let shown = self.expression(ty, 1);
                let inner_scope = self.scope.len();
                let table = self.table();
                let filter = self.expression(BOOL, 1);
                let key = self.scope[inner_scope].alias.clone();
                self.scope.truncate(inner_scope);
                let alias = self.alias();
                let kind = if self.chance(2) { "LEFT JOIN LATERAL" } else { "JOIN LATERAL" };
                let _infallible = write!(
                    text,
                    " {kind} (SELECT {shown} AS x, {key}.id AS y FROM {table} WHERE {filter}) AS {alias} ON true"
                );
                let columns = vec![("x".to_owned(), ty), ("y".to_owned(), INT4)];
                self.scope.push(Source { alias, columns });
                continue;
            }
            let kind = *self.random.one(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "CROSS JOIN", "JOIN"]);
            let before = self.scope.len();
            let table = self.table();
            let _infallible = write!(text, " {kind} {table}");
            if kind != "CROSS JOIN" {
                let (one, other) = (self.scope[before - 1].clone(), self.scope[before].clone());
                let condition = if self.chance(3) {
                    self.expression(BOOL, 1)
                } else {
                    let key = |random: &mut Random, source: &Source| {
                        let keys: Vec<_> =
                            source.columns.iter().filter(|column| column.1 == INT4).collect();
                        format!("{}.{}", source.alias, random.one(&keys).0)
                    };
                    format!("{} = {}", key(self.random, &one), key(self.random, &other))
                };
                let _infallible = write!(text, " ON {condition}");
            }
        }
        text
    }

    fn filter(&mut self) -> String {
        if self.chance(3) {
            return String::new();
        }
        format!(" WHERE {}", self.expression(BOOL, 2))
    }

    fn rows(&mut self) -> String {
        let from = self.from();
        let filter = self.filter();
        let count = 1 + self.random.below(4);
        let list: Vec<String> = (0..count)
            .map(|_| {
                let ty = self.any_type();
                self.expression(ty, 2)
            })
            .collect();
        format!("SELECT {} FROM {from}{filter}", list.join(", "))
    }

    fn groups(&mut self) -> String {
        let from = self.from();
        let filter = self.filter();
        let keys: Vec<String> = (0..self.random.below(3))
            .map(|_| {
                let ty = self.ordered_type();
                self.column(ty).unwrap_or_else(|| self.literal(ty))
            })
            .filter(|key| key.contains('.'))
            .collect();
        let mut list = keys.clone();
        for _ in 0..=self.random.below(3) {
            list.push(self.aggregate());
        }
        let mut text = format!("SELECT {} FROM {from}{filter}", list.join(", "));
        if !keys.is_empty() {
            let form = self.random.below(6);
            let keys = keys.join(", ");
            let _infallible = match form {
                0 => write!(text, " GROUP BY ROLLUP ({keys})"),
                1 => write!(text, " GROUP BY CUBE ({keys})"),
                2 => write!(text, " GROUP BY GROUPING SETS (({keys}), ())"),
                _ => write!(text, " GROUP BY {keys}"),
            };
        }
        if self.chance(3) {
            let _infallible = write!(text, " HAVING count(*) > {}", self.random.below(3));
        }
        text
    }

    /// An aggregate of any type.
    fn aggregate(&mut self) -> String {
        let giving: Vec<usize> = self.callables.aggregates.keys().copied().collect();
        if giving.is_empty() || self.chance(5) {
            return "count(*)".to_owned();
        }
        let ty = *self.random.one(&giving);
        let callables = self.callables;
        let list = &callables.aggregates[&ty];
        if list.is_empty() {
            return "count(*)".to_owned();
        }
        let callable = self.random.one(list);
        let arguments: Vec<String> =
            callable.arguments.iter().map(|ty| self.expression(*ty, 1)).collect();
        let call = callable.call(&arguments);
        if self.chance(4) {
            return format!("{call} FILTER (WHERE {})", self.expression(BOOL, 1));
        }
        call
    }

    /// A query whose `ORDER BY` leaves nothing open.
    fn sorted(&mut self) -> String {
        let from = self.from();
        let filter = self.filter();
        let count = 1 + self.random.below(3);
        let list: Vec<String> = (0..count)
            .map(|_| {
                let ty = self.ordered_type();
                self.expression(ty, 1)
            })
            .collect();
        let mut order: Vec<String> = (1..=list.len())
            .map(|at| {
                let direction =
                    *self.random.one(&["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]);
                format!("{at}{direction}")
            })
            .collect();
        let turn = self.random.place(order.len());
        order.rotate_left(turn);
        let distinct = if self.chance(4) { "DISTINCT " } else { "" };
        let mut text = format!(
            "SELECT {distinct}{} FROM {from}{filter} ORDER BY {}",
            list.join(", "),
            order.join(", ")
        );
        if self.chance(2) {
            let _infallible = write!(text, " LIMIT {}", self.random.below(9));
        }
        if self.chance(3) {
            let _infallible = write!(text, " OFFSET {}", self.random.below(5));
        }
        text
    }

    fn set_operation(&mut self) -> String {
        let types: Vec<usize> = (0..=self.random.below(2)).map(|_| self.ordered_type()).collect();
        let part = |generator: &mut Self| {
            generator.scope.clear();
            let from = generator.from();
            let filter = generator.filter();
            let list: Vec<String> = types.iter().map(|ty| generator.expression(*ty, 1)).collect();
            format!("SELECT {} FROM {from}{filter}", list.join(", "))
        };
        let (one, other) = (part(self), part(self));
        let operation = *self.random.one(&[
            "UNION",
            "UNION ALL",
            "INTERSECT",
            "INTERSECT ALL",
            "EXCEPT",
            "EXCEPT ALL",
        ]);
        format!("{one} {operation} {other}")
    }

    fn windows(&mut self) -> String {
        let from = self.table();
        let filter = self.filter();
        let key = format!("{}.id", self.scope[0].alias);
        let ty = self.ordered_type();
        let partition = self.expression(ty, 1);
        let ty = self.ordered_type();
        let order = self.expression(ty, 1);
        let value_type = self.any_type();
        let value = self.expression(value_type, 1);
        let frame = *self.random.one(&[
            "",
            " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW",
            " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
        ]);
        let function = match self.random.below(10) {
            0 => "row_number()".to_owned(),
            1 => "rank()".to_owned(),
            2 => "dense_rank()".to_owned(),
            3 => "ntile(3)".to_owned(),
            4 => format!("lag({value})"),
            5 => format!("lead({value}, 2)"),
            6 => format!("first_value({value})"),
            7 => format!("last_value({value})"),
            8 => format!("count({value})"),
            _ => format!("nth_value({value}, 2)"),
        };
        format!(
            "SELECT {key}, {function} OVER (PARTITION BY {partition} ORDER BY {order}, {key}{frame}) \
             FROM {from}{filter}"
        )
    }

    /// A query with a common table expression, or over a subquery.
    fn common(&mut self) -> String {
        let types: Vec<usize> = (0..=self.random.below(2)).map(|_| self.any_type()).collect();
        let from = self.from();
        let filter = self.filter();
        let list: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(at, ty)| format!("{} AS x{at}", self.expression(*ty, 1)))
            .collect();
        let inner = format!("SELECT {} FROM {from}{filter}", list.join(", "));
        self.scope.clear();
        let columns = types.iter().enumerate().map(|(at, ty)| (format!("x{at}"), *ty)).collect();
        self.scope.push(Source { alias: "w".to_owned(), columns });
        let ty = self.any_type();
        let shown = self.expression(ty, 2);
        let filter = self.filter();
        if self.chance(2) {
            let kind = *self.random.one(&["", " MATERIALIZED", " NOT MATERIALIZED"]);
            return format!("WITH w AS{kind} ({inner}) SELECT {shown} FROM w{filter}");
        }
        format!("SELECT {shown} FROM ({inner}) AS w{filter}")
    }

    fn change(&mut self) -> String {
        let _named = self.table();
        // The two tables have these columns alike.
        let source = self.scope[0].clone();
        let table = if source.columns.len() == COLUMNS[0].len() { "a" } else { "b" };
        let alias = source.alias.clone();
        let settable: Vec<(String, usize)> =
            source.columns.iter().filter(|column| !column.0.contains("id")).cloned().collect();
        let (column, ty) = self.random.one(&settable).clone();
        let returned = self.any_type();
        match self.random.below(4) {
            0 => {
                let filter = self.expression(BOOL, 2);
                let returned = self.expression(returned, 1);
                format!(
                    "DELETE FROM {table} AS {alias} WHERE {filter} RETURNING {alias}.id, {returned}"
                )
            }
            1 => {
                let value = self.expression(ty, 1);
                format!(
                    "INSERT INTO {table} AS t (id, {column}) SELECT {alias}.id + {}, {value} FROM {table} AS {alias} \
                     ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column} RETURNING t.id, t.{column}",
                    self.random.below(2) * 1000
                )
            }
            _ => {
                let value = self.expression(ty, 2);
                let filter = self.filter();
                format!(
                    "UPDATE {table} AS {alias} SET {column} = {value}{filter} RETURNING {alias}.id, {alias}.{column}"
                )
            }
        }
    }

    fn literal(&mut self, ty: usize) -> String {
        if self.chance(12) {
            return format!("NULL::{}", TYPES[ty]);
        }
        let text = self.random.one(LITERALS[ty]);
        format!("'{}'::{}", text.replace('\'', "''"), TYPES[ty])
    }

    fn column(&mut self, ty: usize) -> Option<String> {
        let found: Vec<String> = self
            .scope
            .iter()
            .flat_map(|source| {
                let columns = source.columns.iter().filter(|column| column.1 == ty);
                columns.map(|column| format!("{}.{}", source.alias, column.0))
            })
            .collect();
        (!found.is_empty()).then(|| self.random.one(&found).clone())
    }

    fn leaf(&mut self, ty: usize) -> String {
        if !self.scope.is_empty()
            && !self.chance(4)
            && let Some(column) = self.column(ty)
        {
            return column;
        }
        self.literal(ty)
    }

    /// An expression of a type, so many levels deep at most.
    fn expression(&mut self, ty: usize, depth: u32) -> String {
        if depth == 0 || self.chance(5) {
            return self.leaf(ty);
        }
        let below = depth - 1;
        match self.random.below(24) {
            0 => {
                let test = self.expression(BOOL, below);
                let (one, other) = (self.expression(ty, below), self.expression(ty, below));
                format!("CASE WHEN {test} THEN {one} ELSE {other} END")
            }
            1 => {
                let (one, other) = (self.expression(ty, below), self.expression(ty, below));
                format!("coalesce({one}, {other})")
            }
            2 if ORDERED.contains(&ty) => {
                let (one, other) = (self.expression(ty, below), self.expression(ty, below));
                let function = *self.random.one(&["greatest", "least", "nullif"]);
                format!("{function}({one}, {other})")
            }
            3 | 4 => match self.callables.casts.get(&ty) {
                Some(sources) => {
                    let source = *self.random.one(sources);
                    format!("({})::{}", self.expression(source, below), TYPES[ty])
                }
                None => self.leaf(ty),
            },
            5 if ty == BOOL => self.condition(below),
            6 if ty == BOOL => {
                let (one, other) = (self.expression(BOOL, below), self.expression(BOOL, below));
                let word = *self.random.one(&["AND", "OR"]);
                format!("({one} {word} {other})")
            }
            7 if ty == BOOL => format!("(NOT {})", self.expression(BOOL, below)),
            8 if ty == BOOL && !self.scope.is_empty() => self.subquery_condition(),
            9 if !self.scope.is_empty() && self.callables.aggregates.contains_key(&ty) => {
                self.scalar_subquery(ty)
            }
            _ => {
                let callables = self.callables;
                let list = callables.giving.get(&ty).map(Vec::as_slice).unwrap_or_default();
                if list.is_empty() {
                    return self.leaf(ty);
                }
                let callable = self.random.one(list);
                let arguments: Vec<String> =
                    callable.arguments.iter().map(|ty| self.expression(*ty, below)).collect();
                callable.call(&arguments)
            }
        }
    }

    /// A condition that is no call.
    fn condition(&mut self, below: u32) -> String {
        let ty = self.ordered_type();
        let value = self.expression(ty, below);
        match self.random.below(5) {
            0 => format!("({value} IS NULL)"),
            1 => format!("({value} IS DISTINCT FROM {})", self.expression(ty, below)),
            2 => {
                let (low, high) = (self.expression(ty, below), self.expression(ty, below));
                format!("({value} BETWEEN {low} AND {high})")
            }
            3 => {
                let list: Vec<String> = (0..3).map(|_| self.expression(ty, 0)).collect();
                format!("({value} IN ({}))", list.join(", "))
            }
            _ => format!("({} IS NOT TRUE)", self.expression(BOOL, below)),
        }
    }

    /// `EXISTS` or `IN` over a table, which may name what is outside.
    fn subquery_condition(&mut self) -> String {
        let outside = self.scope.len();
        let ty = self.ordered_type();
        let value = self.expression(ty, 0);
        let table = self.table();
        let filter = self.expression(BOOL, 1);
        let inner = self.column(ty).unwrap_or_else(|| self.literal(ty));
        self.scope.truncate(outside);
        match self.random.below(3) {
            0 => format!("EXISTS (SELECT FROM {table} WHERE {filter})"),
            1 => format!("({value} IN (SELECT {inner} FROM {table} WHERE {filter}))"),
            _ => format!("({value} NOT IN (SELECT {inner} FROM {table} WHERE {filter}))"),
        }
    }

    /// An aggregate over a table, which may name what is outside.
    fn scalar_subquery(&mut self, ty: usize) -> String {
        let callables = self.callables;
        let list = callables.aggregates.get(&ty).map(Vec::as_slice).unwrap_or_default();
        if list.is_empty() {
            return self.leaf(ty);
        }
        let outside = self.scope.len();
        let table = self.table();
        let callable = self.random.one(list);
        // Arguments name the inner table alone: else the aggregate would be the outer query's.
        let inner = self.scope.split_off(outside);
        let outer = std::mem::replace(&mut self.scope, inner);
        let arguments: Vec<String> = callable
            .arguments
            .iter()
            .map(|ty| self.column(*ty).unwrap_or_else(|| self.literal(*ty)))
            .collect();
        let inner = std::mem::replace(&mut self.scope, outer);
        self.scope.extend(inner);
        let filter = self.expression(BOOL, 1);
        self.scope.truncate(outside);
        format!("(SELECT {} FROM {table} WHERE {filter})", callable.call(&arguments))
    }
}
