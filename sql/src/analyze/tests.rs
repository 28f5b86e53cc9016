//! Statements against a small catalog: output types, and errors in PostgreSQL's words.

use std::sync::Arc;

use aegis_catalog::{
    CatalogSnapshot, Column, Constraint, ConstraintKind, Database, Descriptor, Identity, IndexBody,
    IndexKey, Relation, RelationBody, Schema, SequenceBody, TableBody,
};
use aegis_types::context::NoHost;
use aegis_types::{EvalContext, FormatSettings, Oid, SqlResult, TypeRef, type_oid as t};

use super::{Analyzed, Analyzer, AnalyzerContext, format_type};
use crate::parser;
use crate::query_engine::{StatementContext, SystemRelations};

const DATABASE: Oid = Oid(5);
const PUBLIC: Oid = Oid(2200);

struct NoSystemRelations;

impl SystemRelations for NoSystemRelations {
    fn columns(&self, name: &str) -> Option<Vec<(String, TypeRef)>> {
        (name == "pg_catalog.pg_class").then(|| {
            vec![
                ("oid".to_owned(), TypeRef::plain(t::OID)),
                ("relname".to_owned(), TypeRef::plain(t::NAME)),
            ]
        })
    }

    fn rows(&self, _: &str, _: &StatementContext) -> SqlResult<Vec<Vec<aegis_types::Datum>>> {
        Ok(Vec::new())
    }
}

fn relation(oid: u32, name: &str, columns: Vec<Column>, body: RelationBody) -> Descriptor {
    Descriptor::Relation(Arc::new(Relation {
        oid: Oid(oid),
        database: DATABASE,
        schema: PUBLIC,
        name: name.to_owned(),
        owner: Oid(10),
        row_type: Oid(oid + 1),
        row_array_type: Oid(oid + 2),
        columns,
        options: Vec::new(),
        body,
        ..Relation::default()
    }))
}

fn columns(list: &[(&str, TypeRef)]) -> Vec<Column> {
    list.iter()
        .enumerate()
        .map(|(at, (name, ty))| Column {
            number: i16::try_from(at + 1).unwrap(),
            name: (*name).to_owned(),
            ty: *ty,
            not_null: false,
            default: None,
            identity: None,
            dropped: false,
            since_version: 0,
            missing: None,
            ..Column::default()
        })
        .collect()
}

fn table(indexes: Vec<Oid>, constraints: Vec<Constraint>) -> RelationBody {
    RelationBody::Table(TableBody {
        tree: 1,
        row_key: Vec::new(),
        row_version: 0,
        indexes,
        constraints,
        referenced_by: Vec::new(),
        row_count: -1.0,
        ..TableBody::default()
    })
}

fn primary_key(oid: u32, name: &str, on: u32) -> (Descriptor, Constraint) {
    let index = IndexBody {
        table: Oid(on),
        tree: 2,
        keys: vec![IndexKey { column: 1, ..IndexKey::default() }],
        unique: true,
        primary: true,
        nulls_not_distinct: false,
        valid_from: 0,
        method: "btree".to_owned(),
        valid: true,
        ..IndexBody::default()
    };
    let constraint = Constraint {
        oid: Oid(oid + 5),
        name: name.to_owned(),
        kind: ConstraintKind::PrimaryKey { index: Oid(oid) },
        validated: true,
        deferral: aegis_catalog::Deferral::NotDeferrable,
    };
    let Descriptor::Relation(mut relation) =
        relation(oid, name, Vec::new(), RelationBody::Index(index))
    else {
        unreachable!("relation() makes relations");
    };
    let plain = Arc::make_mut(&mut relation);
    plain.row_type = Oid::NONE;
    plain.row_array_type = Oid::NONE;
    (Descriptor::Relation(relation), constraint)
}

/// Tables `t`, `u` and `s`, and a view `v` over the first.
fn catalog() -> Arc<CatalogSnapshot> {
    let plain = TypeRef::plain;
    let numeric = TypeRef::with_typmod(t::NUMERIC, ((10 << 16) | 2) + 4);
    let varchar = TypeRef::with_typmod(t::VARCHAR, 5 + 4);
    let mut t_columns = columns(&[
        ("a", plain(t::INT4)),
        ("b", plain(t::TEXT)),
        ("c", numeric),
        ("d", plain(t::TIMESTAMPTZ)),
        ("e", plain(t::INT4_ARRAY)),
        ("f", plain(t::JSONB)),
        ("g", varchar),
        ("h", plain(t::INT8)),
        ("i", plain(t::FLOAT8)),
        ("j", plain(t::BOOL)),
        ("k", plain(t::DATE)),
        ("l", plain(t::JSON)),
    ]);
    t_columns[1].default = Some("'none'::text".to_owned());
    let u_columns = columns(&[("a", plain(t::INT4)), ("x", plain(t::TEXT)), ("y", plain(t::INT8))]);
    let mut s_columns = columns(&[("id", plain(t::INT4)), ("v", plain(t::TEXT))]);
    s_columns[0].identity = Some(Identity::Always);
    let (t_index, t_key) = primary_key(17000, "t_pkey", 16500);
    let (u_index, u_key) = primary_key(17010, "u_pkey", 16510);
    let sequence = SequenceBody {
        ty: t::INT4,
        start: 1,
        increment: 1,
        minimum: 1,
        maximum: 100,
        cache: 1,
        cycle: false,
        owned_by: Some((Oid(16520), 1)),
        internal: true,
        generation: 0,
        initial: 1,
    };
    let view = RelationBody::View {
        definition: "SELECT t.a, t.b AS name FROM public.t WHERE t.a > 1".to_owned(),
    };
    let view_columns = columns(&[("a", plain(t::INT4)), ("name", plain(t::TEXT))]);
    let descriptors = [
        Descriptor::Database(Arc::new(Database {
            oid: DATABASE,
            name: "postgres".to_owned(),
            owner: Oid(10),
            allow_connections: true,
            is_template: false,
            connection_limit: -1,
            collate: "C".into(),
            ctype: "C.UTF-8".into(),
        })),
        Descriptor::Schema(Arc::new(Schema {
            oid: PUBLIC,
            database: DATABASE,
            name: "public".to_owned(),
            owner: Oid(10),
        })),
        relation(16500, "t", t_columns, table(vec![Oid(17000)], vec![t_key])),
        relation(16510, "u", u_columns, table(vec![Oid(17010)], vec![u_key])),
        relation(16520, "s", s_columns, table(Vec::new(), Vec::new())),
        relation(16530, "s_id_seq", Vec::new(), RelationBody::Sequence(sequence)),
        relation(16540, "v", view_columns, view),
        t_index,
        u_index,
    ];
    let mut snapshot = CatalogSnapshot::default();
    for descriptor in &descriptors {
        snapshot = snapshot.with(descriptor);
    }
    Arc::new(snapshot)
}

fn analyze(sql: &str) -> SqlResult<Analyzed> {
    let catalog = catalog();
    let settings = FormatSettings::default();
    let eval = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    };
    let context = AnalyzerContext {
        catalog: &catalog,
        database: DATABASE,
        search_path: &[PUBLIC],
        system_relations: &NoSystemRelations,
        eval,
        parameters: Vec::new(),
        infer_parameters: true,
    };
    let statements = parser::parse(sql)?;
    Analyzer::new(context).analyze(&statements[0].statement)
}

/// The output columns as `name type`, or the error as `SQLSTATE message`, its position counted in
/// characters from 1, and its detail and hint.
fn describe(sql: &str) -> String {
    match analyze(sql) {
        Ok(analyzed) => {
            let columns: Vec<String> = analyzed
                .columns
                .iter()
                .map(|column| {
                    let ty = format_type(&catalog(), &[PUBLIC], column.ty);
                    format!("{} {ty}", column.name)
                })
                .collect();
            columns.join(", ")
        }
        Err(error) => {
            let fields = error.fields();
            let mut out = format!("{} {}", fields.code.code(), fields.message);
            if let Some(at) = fields.position {
                let at = usize::try_from(at).unwrap();
                out.push_str(&format!(" @{}", sql[..at].chars().count() + 1));
            }
            for (word, text) in [("DETAIL", &fields.detail), ("HINT", &fields.hint)] {
                if let Some(text) = text {
                    out.push_str(&format!(" {word}: {text}"));
                }
            }
            out
        }
    }
}

#[test]
fn queries_give_the_columns_that_postgresql_describes() {
    let cases = [
        ("select 1", "?column? integer"),
        (
            "select t.*, u.x from t, u",
            "a integer, b text, c numeric(10,2), d timestamp with time zone, e integer[], f jsonb, g character varying(5), h bigint, i double precision, j boolean, k date, l json, x text",
        ),
        (
            "select a+1, a+h, a+i, a+c, a+'1', a||b, b||b, b||1 from t",
            "?column? integer, ?column? bigint, ?column? double precision, ?column? numeric, ?column? integer, ?column? text, ?column? text, ?column? text",
        ),
        (
            "select sum(a), avg(a), count(*), max(b), min(c), sum(h), sum(c), avg(i) from t",
            "sum bigint, avg numeric, count bigint, max text, min numeric, sum numeric, sum numeric, avg double precision",
        ),
        ("select b as q, count(*) from t group by q", "q text, count bigint"),
        ("select a from t limit 1.5", "a integer"),
        ("select null union select 1", "?column? integer"),
        ("select case a when 1 then 1 when 2 then 2.5 end from t", "case numeric"),
        (
            "select a in (1,2,3), a in (1, h), a in ('1', '2'), b in ('x','y') from t",
            "?column? boolean, ?column? boolean, ?column? boolean, ?column? boolean",
        ),
        (
            "select a is distinct from 1, a is not distinct from null, (a,b) is distinct from (1,'x') from t",
            "?column? boolean, ?column? boolean, ?column? boolean",
        ),
        (
            "select a = any(select a from u), a in (select a from u), a not in (select a from u) from t",
            "?column? boolean, ?column? boolean, ?column? boolean",
        ),
        ("select (select count(*) from u where u.a = t.a) from t", "count bigint"),
        (
            "select array[1,2], array[1,2.5], array['a','b'], array[[1,2],[3,4]], array[]::int[]",
            "array integer[], array numeric[], array text[], array integer[], array integer[]",
        ),
        ("select (t).a, (t).b from t", "a integer, b text"),
        (
            "select cast(a as text), a::varchar(3), c::int, '12'::numeric(5,2), 'x'::char(3), '1 day'::interval from t",
            "a text, a character varying(3), c integer, numeric numeric(5,2), bpchar character(3), interval interval",
        ),
        (
            "select abs(a), abs(c), abs('1'), round(c), round(c, 1), round(i), floor(i), mod(a, 2), power(a, 2), sqrt(a) from t",
            "abs integer, abs numeric, abs double precision, round numeric, round numeric, round double precision, floor double precision, mod integer, power double precision, sqrt double precision",
        ),
        (
            "select d at time zone 'UTC', timezone('UTC', d) from t",
            "timezone timestamp without time zone, timezone timestamp without time zone",
        ),
        ("select * from generate_series(1, 3)", "generate_series integer"),
        (
            "select * from generate_series(1, 3) with ordinality",
            "generate_series integer, ordinality bigint",
        ),
        ("select * from unnest(array[1,2], array['a','b']) as z(p, q)", "p integer, q text"),
        (
            "select * from rows from (generate_series(1,2), generate_series(1,3))",
            "generate_series integer, generate_series integer",
        ),
        ("select a, t.a, u.a from t join u using (a)", "a integer, a integer, a integer"),
        (
            "select * from t join u on t.a = u.a",
            "a integer, b text, c numeric(10,2), d timestamp with time zone, e integer[], f jsonb, g character varying(5), h bigint, i double precision, j boolean, k date, l json, a integer, x text, y bigint",
        ),
        ("select * from (values (1,'a'),(2,'b')) v", "column1 integer, column2 text"),
        ("select column1 from (values (1)) v", "column1 integer"),
        (
            "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select * from r",
            "n integer",
        ),
        (
            "select sum(a) over (), row_number() over (order by a), lag(a) over (partition by b order by a), rank() over w from t window w as (order by b)",
            "sum bigint, row_number bigint, lag integer, rank bigint",
        ),
        ("select sum(sum(a)) over () from t", "sum numeric"),
        (
            "select a, b, grouping(a), count(*) from t group by rollup(a, b)",
            "a integer, b text, grouping integer, count bigint",
        ),
        (
            "select * from t where d > '2020-01-01' and k = '2020-01-01'",
            "a integer, b text, c numeric(10,2), d timestamp with time zone, e integer[], f jsonb, g character varying(5), h bigint, i double precision, j boolean, k date, l json",
        ),
        ("select $1 + 1", "?column? integer"),
        ("select coalesce($1, 1)", "coalesce integer"),
        ("select b collate \"C\" from t", "b text"),
        ("select row_to_json(t), to_jsonb(t) from t", "row_to_json json, to_jsonb jsonb"),
        ("select pg_typeof(a), a::regclass from t", "pg_typeof regtype, a regclass"),
        (
            "select d::date, d::time, k::timestamp, '2020-01-01'::date + interval '1 day' from t",
            "d date, d time without time zone, k timestamp without time zone, ?column? timestamp without time zone",
        ),
        (
            "select i = c, a = i, h = c from t",
            "?column? boolean, ?column? boolean, ?column? boolean",
        ),
        ("select (select sum(t.a)) from t", "sum bigint"),
        ("select max(a), b from t group by b order by max(a), b", "max integer, b text"),
        ("select 1 + + 2", "?column? integer"),
        (
            "select coalesce(null, null), nullif(null, null), case when true then null end",
            "coalesce text, nullif text, case text",
        ),
        ("select * from (select 1, 2) q(a)", "a integer, ?column? integer"),
        (
            "select 'x'::\"char\", 'abc'::name, 'a'::bpchar",
            "char \"char\", name name, bpchar bpchar",
        ),
        (
            "select stddev(a), variance(c), corr(i, i) from t",
            "stddev numeric, variance numeric, corr double precision",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(describe(sql), expected, "{sql}");
    }
}

#[test]
fn mistaken_queries_fail_in_the_words_of_postgresql() {
    let cases = [
        ("select a from t, u", "42702 column reference \"a\" is ambiguous @8"),
        ("select nope from t", "42703 column \"nope\" does not exist @8"),
        ("select z.a from t", "42P01 missing FROM-clause entry for table \"z\" @8"),
        (
            "select aa from t",
            "42703 column \"aa\" does not exist @8 HINT: Perhaps you meant to reference the column \"t.a\".",
        ),
        ("select * from nosch.t", "42P01 relation \"nosch.t\" does not exist @15"),
        (
            "select a+j from t",
            "42883 operator does not exist: integer + boolean @9 HINT: No operator matches the given name and argument types. You might need to add explicit type casts.",
        ),
        (
            "select a = '1', a = 'x' from t",
            "22P02 invalid input syntax for type integer: \"x\" @21",
        ),
        ("select 1 + 'x'", "22P02 invalid input syntax for type integer: \"x\" @12"),
        (
            "select a, b, count(*) from t group by b",
            "42803 column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function @8",
        ),
        ("select sum(count(*)) from t", "42803 aggregate function calls cannot be nested @12"),
        (
            "select count(*) from t having a > 1",
            "42803 column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function @31",
        ),
        ("select a from t order by 3", "42P10 ORDER BY position 3 is not in select list @26"),
        ("select a from t group by 2", "42P10 GROUP BY position 2 is not in select list @26"),
        (
            "select distinct a from t order by b",
            "42P10 for SELECT DISTINCT, ORDER BY expressions must appear in select list @35",
        ),
        ("select a from t limit a", "42P10 argument of LIMIT must not contain variables @23"),
        (
            "select a from t union select b from t",
            "42804 UNION types integer and text cannot be matched @30",
        ),
        ("select 1 union select 'b'", "22P02 invalid input syntax for type integer: \"b\" @23"),
        (
            "select a from t union select h from t order by a+1",
            "0A000 invalid UNION/INTERSECT/EXCEPT ORDER BY clause @48 DETAIL: Only result column names can be used, not expressions or functions. HINT: Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
        ),
        (
            "select l from t union select l from t",
            "42883 could not identify an equality operator for type json @8",
        ),
        (
            "select a from t order by l",
            "42883 could not identify an ordering operator for type json @26 HINT: Use an explicit ordering operator or modify the query.",
        ),
        (
            "select case when a then 1 end from t",
            "42804 argument of CASE/WHEN must be type boolean, not type integer @18",
        ),
        (
            "select coalesce(a, h), coalesce(a, 'x') from t",
            "22P02 invalid input syntax for type integer: \"x\" @36",
        ),
        ("select a in ('x', 'y') from t", "22P02 invalid input syntax for type integer: \"x\" @14"),
        (
            "select a between 1 and 'x' from t",
            "22P02 invalid input syntax for type integer: \"x\" @24",
        ),
        (
            "select a like 'x' from t",
            "42883 operator does not exist: integer ~~ unknown @10 HINT: No operator matches the given name and argument types. You might need to add explicit type casts.",
        ),
        (
            "select b = any(e) from t",
            "42883 operator does not exist: text = integer @10 HINT: No operator matches the given name and argument types. You might need to add explicit type casts.",
        ),
        (
            "select (select a from u), (select a, x from u) from t",
            "42601 subquery must return only one column @27",
        ),
        (
            "select a[1] from t",
            "42804 cannot subscript type integer because it does not support subscripting @8",
        ),
        (
            "select array[]",
            "42P18 cannot determine type of empty array @8 HINT: Explicitly cast to the desired type, for example ARRAY[]::integer[].",
        ),
        ("select (t).zz from t", "42703 column t.zz does not exist @9"),
        ("select a::date from t", "42846 cannot cast type integer to date @9"),
        ("select 'abc'::nosuch", "42704 type \"nosuch\" does not exist @15"),
        ("select 1::numeric(2000)", "22023 NUMERIC precision 2000 must be between 1 and 1000 @11"),
        (
            "select cast(row(1,2) as t)",
            "42846 cannot cast type record to t @8 DETAIL: Input has too few columns.",
        ),
        (
            "select nosuch(1, 'x')",
            "42883 function nosuch(integer, unknown) does not exist @8 HINT: No function matches the given name and argument types. You might need to add explicit type casts.",
        ),
        (
            "select * from json_to_recordset('[]')",
            "42601 a column definition list is required for functions returning \"record\" @15",
        ),
        (
            "select * from t right join lateral (select t.a as z) q on true",
            "42P10 invalid reference to FROM-clause entry for table \"t\" @44 DETAIL: The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
        ),
        ("select * from t join u on t.zz = u.a", "42703 column t.zz does not exist @27"),
        (
            "select * from t join u using (b)",
            "42703 column \"b\" specified in USING clause does not exist in right table",
        ),
        ("select * from t, t", "42712 table name \"t\" specified more than once"),
        ("values (1, 2), (3)", "42601 VALUES lists must all be the same length @17"),
        (
            "with q as (select 1), q as (select 2) select 1",
            "42712 WITH query name \"q\" specified more than once @23",
        ),
        (
            "with q as (select * from z), z as (select 1) select * from q",
            "42P01 relation \"z\" does not exist @26 DETAIL: There is a WITH item named \"z\", but it cannot be referenced from this part of the query. HINT: Use WITH RECURSIVE, or re-order the WITH items to remove forward references.",
        ),
        ("select sum(a) over nope from t", "42704 window \"nope\" does not exist @20"),
        (
            "select a from t where row_number() over () > 1",
            "42P20 window functions are not allowed in WHERE @23",
        ),
        (
            "select string_agg(distinct b, ',' order by a) from t",
            "42P10 in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list @44",
        ),
        (
            "select upper(distinct b) from t",
            "42809 DISTINCT specified, but upper is not an aggregate function @8",
        ),
        (
            "select count() from t",
            "42809 count(*) must be used to call a parameterless aggregate function @8",
        ),
        (
            "select a from t group by a for update",
            "0A000 FOR UPDATE is not allowed with GROUP BY clause",
        ),
        (
            "select * from t where d > 'foo'",
            "22007 invalid input syntax for type timestamp with time zone: \"foo\" @27",
        ),
        ("select 1 where 1", "42804 argument of WHERE must be type boolean, not type integer @16"),
        (
            "select a and j from t",
            "42804 argument of AND must be type boolean, not type integer @8",
        ),
        (
            "select $1, $1::int",
            "42P08 inconsistent types deduced for parameter $1 @8 DETAIL: integer versus text",
        ),
        ("select a collate \"C\" from t", "42804 collations are not supported by type integer @10"),
        (
            "select array_append(e, 'x') from t",
            "22P02 invalid input syntax for type integer: \"x\" @24",
        ),
        ("select u.a from t", "42P01 missing FROM-clause entry for table \"u\" @8"),
        (
            "select sum(a) from t where sum(a) > 1",
            "42803 aggregate functions are not allowed in WHERE @28",
        ),
        ("select 'a' 'b'", "42601 syntax error at or near \"'b'\" @12"),
        ("select a.b.c.d.e", "42601 improper qualified name (too many dotted names): a.b.c.d.e @8"),
        ("select q.x from (select 1) q", "42703 column q.x does not exist @8"),
        (
            "select generate_series(1,2) from t where generate_series(1,2) = 1",
            "0A000 set-returning functions are not allowed in WHERE @42",
        ),
        (
            "select string_agg(a, ',') from t",
            "42883 function string_agg(integer, unknown) does not exist @8 HINT: No function matches the given name and argument types. You might need to add explicit type casts.",
        ),
        (
            "select avg(b) from t",
            "42883 function avg(text) does not exist @8 HINT: No function matches the given name and argument types. You might need to add explicit type casts.",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(describe(sql), expected, "{sql}");
    }
}

#[test]
fn changes_of_data_are_described_and_refused_as_by_postgresql() {
    let cases = [
        ("insert into t(a, b) values (1, 'x')", ""),
        ("insert into t values (1)", ""),
        (
            "insert into t(a) values (1, 2)",
            "42601 INSERT has more expressions than target columns @29",
        ),
        ("insert into t(a, a) values (1, 2)", "42701 column \"a\" specified more than once @18"),
        (
            "insert into t(a) values (b)",
            "42703 column \"b\" does not exist @26 HINT: There is a column named \"b\" in table \"t\", but it cannot be referenced from this part of the query.",
        ),
        (
            "insert into t(a) values (true)",
            "42804 column \"a\" is of type integer but expression is of type boolean @26 HINT: You will need to rewrite or cast the expression.",
        ),
        ("insert into t(a, b) values (1, 'x'), (default, 'y')", ""),
        ("insert into t(a, b) select a, 'lit' from u", ""),
        ("insert into t(a) select a from u returning a, b as q", "a integer, q text"),
        ("insert into s(id) overriding system value values (1)", ""),
        ("insert into s default values", ""),
        ("insert into t(a) values (1) on conflict (a) do update set b = excluded.b", ""),
        (
            "insert into t(a) values (1) on conflict (a) do update set b = b",
            "42702 column reference \"b\" is ambiguous @63",
        ),
        (
            "insert into t(a) values (1) on conflict do update set b = 'x'",
            "42601 ON CONFLICT DO UPDATE requires inference specification or constraint name @29 HINT: For example, ON CONFLICT (column_name).",
        ),
        (
            "insert into t(a) values (1) on conflict on constraint nope do nothing",
            "42704 constraint \"nope\" for table \"t\" does not exist",
        ),
        ("insert into t(a) values ((select max(a) from u))", ""),
        ("insert into t(a, b) values ($1, $2)", ""),
        ("update t set a = a + 1, b = default where a = 2 returning a, b", "a integer, b text"),
        ("update t set a = 'x'", "22P02 invalid input syntax for type integer: \"x\" @18"),
        ("update t set a = 1, a = 2", "42601 multiple assignments to same column \"a\""),
        ("update t set (a, b) = (select a, x from u)", ""),
        (
            "update t set (a, b) = (1, 2, 3)",
            "42601 number of columns does not match number of values @23",
        ),
        (
            "update t as q set a = 1 where t.a = 1",
            "42P01 invalid reference to FROM-clause entry for table \"t\" @31 HINT: Perhaps you meant to reference the table alias \"q\".",
        ),
        ("update t set a = count(*)", "42803 aggregate functions are not allowed in UPDATE @18"),
        ("update t set a = $1 where b = $2", ""),
        ("update s set id = default", ""),
        (
            "delete from t where a = 1 returning *",
            "a integer, b text, c numeric(10,2), d timestamp with time zone, e integer[], f jsonb, g character varying(5), h bigint, i double precision, j boolean, k date, l json",
        ),
        ("delete from t where zz = 1", "42703 column \"zz\" does not exist @21"),
        ("update t set a = 1 from t", "42712 table name \"t\" specified more than once"),
        (
            "insert into t(a) values (1) returning sum(a)",
            "42803 aggregate functions are not allowed in RETURNING @39",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(describe(sql), expected, "{sql}");
    }
}

#[test]
fn parameters_get_the_types_of_their_use() {
    let types = |sql: &str| -> Vec<Oid> {
        analyze(sql).unwrap().parameter_types.iter().map(|ty| ty.oid).collect()
    };
    assert_eq!(types("select a from t where a = $1 and b = $2"), [t::INT4, t::TEXT]);
    assert_eq!(types("insert into t(a, c) values ($2, $1)"), [t::NUMERIC, t::INT4]);
    assert_eq!(types("select a from t limit $1"), [t::INT8]);
}

#[test]
fn an_insert_fills_every_live_column() {
    let analyzed = analyze("insert into t(a) values (1)").unwrap();
    let crate::bound::BoundStatement::Insert(insert) = analyzed.statement else {
        panic!("INSERT is bound as something else");
    };
    assert_eq!(insert.source.visible_targets().count(), 12);
}

#[test]
fn deep_expressions_are_refused_and_do_not_overflow_the_stack() {
    let sql = format!("select {}1", "1+".repeat(5000));
    assert!(describe(&sql).starts_with("54001 stack depth limit exceeded"));
}

#[test]
fn nesting_at_the_limit_fits_the_stack() {
    let abs = format!("select {}1{}", "abs(".repeat(240), ")".repeat(240));
    assert_eq!(describe(&abs), "abs integer");
    let case = format!("select {}1{}", "case when true then ".repeat(240), " end".repeat(240));
    assert_eq!(describe(&case), "case integer");
    let from = format!("select {}1{}", "(select * from (select ".repeat(70), ") q)".repeat(70));
    assert_eq!(describe(&from), "?column? integer");
    let sum = format!("select {}1", "1+".repeat(500));
    assert_eq!(describe(&sum), "?column? integer");
}

#[test]
fn small_text_that_means_a_huge_tree_is_refused() {
    let between =
        format!("select {}true{}", "(".repeat(60), " between true and j)".repeat(60)) + " from t";
    assert!(describe(&between).starts_with("54001"), "{}", describe(&between));
    let within =
        format!("select {}true{}", "(".repeat(60), " in (j, a = 1))".repeat(60)) + " from t";
    assert!(describe(&within).starts_with("54001"), "{}", describe(&within));
}
