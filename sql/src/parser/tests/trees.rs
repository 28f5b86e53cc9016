//! What trees come out.

use super::{one, show, simple};
use crate::ast::{
    CallForm, ConstValue, DefValue, Expr, FromItem, JoinType, LockStrength, LockWaitPolicy,
    SelectBody, SetOp, SetValue, Statement, TransactionStmt, VariableSetKind, figure_column_name,
    interval_mask,
};
use crate::parser::{GrammarExtension, TokenKind, TokenStream, parse, parse_expr, parse_with};
use aegis_types::{SqlResult, SqlState};

fn shown(text: &str) -> String {
    show(&parse_expr(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[test]
fn operators_bind_as_in_postgresql() {
    for (text, tree) in [
        ("1 + 2 * 3 ^ 4 ^ 5", "(1 + (2 * ((3 ^ 4) ^ 5)))"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("a or b and not c = d", "(or a, (and b, (not (c = d))))"),
        ("not not a", "(not (not a))"),
        ("a and b and c", "(and a, b, c)"),
        ("(a and b) and c", "(and a, b, c)"),
        ("a and (b and c)", "(and a, (and b, c))"),
        ("a = b is null", "(null? (a = b))"),
        ("a is null is null", "(null? (null? a))"),
        ("not a is true", "(not (IsTrue a))"),
        ("a || b + c", "(a || (b + c))"),
        ("@ a + b", "(@ (a + b))"),
        ("@ a || b", "((@ a) || b)"),
        ("- a ^ b", "((- a) ^ b)"),
        ("- a::int", "(- a::pg_catalog.int4)"),
        ("- 1::int", "(- 1::pg_catalog.int4)"),
        ("- - 1", "1"),
        ("-2147483648", "-2147483648"),
        ("+ 1", "(+ 1)"),
        ("a < b + c", "(a < (b + c))"),
        ("a = b like c", "(a = (b ~~ c))"),
        ("a like b || c escape d", "(a ~~ pg_catalog.like_escape((b || c), d))"),
        ("a between b and c and d", "(and (a between b and c), d)"),
        ("a between 1 and 2 = b", "((a between 1 and 2) = b)"),
        ("a in (1, 2) = b", "((a in 1, 2) = b)"),
        ("a not in (select 1)", "(not (a  query))"),
        ("a = any (b) = c", "((a = any b) = c)"),
        ("a <> all (select 1)", "(a <> query)"),
        ("a at time zone b at time zone c", "pg_catalog.timezone(c, pg_catalog.timezone(b, a))"),
        ("a + b at time zone c", "(a + pg_catalog.timezone(c, b))"),
        ("a collate \"C\" || b", "((a collate C) || b)"),
        ("-a collate x", "((- a) collate x)"),
        ("a is distinct from b + c", "(a distinct (b + c))"),
        ("a operator(pg_catalog.+) b * c", "(a pg_catalog.+ (b * c))"),
        ("a != b", "(a <> b)"),
        ("a@-1", "(a @- 1)"),
        ("a*-1", "(a * -1)"),
        ("a=-1", "(a = -1)"),
        ("a[1][2:3].b", "(a)[1][2:3].b"),
        ("(a).b.c", "(a).b.c"),
        ("$1.x", "($1).x"),
        ("((select 1) + 1)", "(query:Expr + 1)"),
        ("((select 1) union select 2)", "query:Expr"),
        ("((select 1), 2)", "row(query:Expr, 2)"),
        ("(((1)))", "1"),
        ("array[[1],[2]]", "[[1], [2]]"),
        ("f(a, b => 1, c := 2)", "f(a, b => 1, c => 2)"),
    ] {
        assert_eq!(shown(text), tree, "{text}");
    }
}

#[test]
fn sql_syntax_becomes_calls_of_pg_catalog() {
    for (text, tree) in [
        ("extract(year from a)", "pg_catalog.extract('year', a)"),
        ("position(a in b)", "pg_catalog.position(b, a)"),
        ("substring(a from 1 for 2)", "pg_catalog.substring(a, 1, 2)"),
        ("substring(a for 2)", "pg_catalog.substring(a, 1, 2::pg_catalog.int4)"),
        ("substring(a similar b escape c)", "pg_catalog.substring(a, b, c)"),
        ("substring(a, 2)", "substring(a, 2)"),
        ("trim(both a from b)", "pg_catalog.btrim(b, a)"),
        ("trim(leading b)", "pg_catalog.ltrim(b)"),
        ("overlay(a placing b from 1)", "pg_catalog.overlay(a, b, 1)"),
        ("(a, b) overlaps (c, d)", "pg_catalog.overlaps(a, b, c, d)"),
        ("a is nfc normalized", "pg_catalog.is_normalized(a, 'NFC')"),
        ("collation for (a)", "pg_catalog.pg_collation_for(a)"),
    ] {
        assert_eq!(shown(text), tree, "{text}");
    }
    match parse_expr("extract(year from a)").unwrap() {
        Expr::Func(call) => assert_eq!(call.form, CallForm::SqlSyntax),
        other => panic!("{other:?}"),
    }
}

#[test]
fn types_get_catalog_names_and_modifiers() {
    let cast = |text: &str| match parse_expr(&format!("a::{text}")).unwrap() {
        Expr::TypeCast(cast) => cast.type_name,
        other => panic!("{other:?}"),
    };
    for (text, name, modifiers) in [
        ("int", "pg_catalog.int4", ""),
        ("float(24)", "pg_catalog.float4", ""),
        ("double precision", "pg_catalog.float8", ""),
        ("numeric(5, 2)", "pg_catalog.numeric", "5,2"),
        ("char", "pg_catalog.bpchar", "1"),
        ("character varying(7)", "pg_catalog.varchar", "7"),
        ("bit", "pg_catalog.bit", "1"),
        ("bit varying", "pg_catalog.varbit", ""),
        ("timestamp(3) with time zone", "pg_catalog.timestamptz", "3"),
        ("time without time zone", "pg_catalog.time", ""),
        ("interval year to month", "pg_catalog.interval", "6"),
        ("interval day to second(2)", "pg_catalog.interval", "7176,2"),
        ("interval(3)", "pg_catalog.interval", "32767,3"),
        ("public.foo(1)", "public.foo", "1"),
        ("text", "text", ""),
    ] {
        let type_name = cast(text);
        assert_eq!(type_name.to_text(), name, "{text}");
        let shown: Vec<String> = type_name.typmods.iter().map(show).collect();
        assert_eq!(shown.join(","), modifiers, "{text}");
    }
    assert_eq!(interval_mask::YEAR | interval_mask::MONTH, 6);
    assert_eq!(cast("int[3][]").array_bounds, [3, -1]);
    assert_eq!(cast("int array[4]").array_bounds, [4]);
}

#[test]
fn literals_resolve_their_escapes() {
    for (text, value) in [
        (r"'a\nb'", r"a\nb"),
        (r"E'a\nb\'\x41\101\u0042\U00000043'", "a\nb'AABC"),
        (r"E'\uD83D\uDE00'", "😀"),
        (r"U&'d\0061t\+000061'", "data"),
        ("U&'d!0061t' uescape '!'", "dat"),
        ("$$it's$$", "it's"),
        ("$x$a$$b$x$", "a$$b"),
        ("'a'\n  -- and so on\n 'b'", "ab"),
    ] {
        match parse_expr(text).unwrap() {
            Expr::Const(constant) => {
                assert_eq!(constant.value, ConstValue::String(value.to_owned()), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(shown("x'1F'"), "x1F");
    assert_eq!(shown("9999999999"), "9999999999");
    assert_eq!(shown("1.5e3"), "1.5e3");
}

#[test]
fn identifiers_fold_and_are_cut_with_a_notice() {
    let long = "A".repeat(70);
    let mut notices = Vec::new();
    let sql = format!("select {long}, \"Ab\", É");
    parse_with(&sql, &[], &mut notices).unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].code(), SqlState::NameTooLong);
    assert_eq!(
        notices[0].fields().message,
        format!("identifier \"{}\" will be truncated to \"{}\"", "a".repeat(70), "a".repeat(63))
    );
    let targets = simple(&sql).targets;
    let names: Vec<String> = targets.iter().map(|target| show(&target.value)).collect();
    assert_eq!(names, ["a".repeat(63), "Ab".to_owned(), "É".to_owned()]);
}

#[test]
fn a_cut_falls_between_characters() {
    let sql = format!("select {}é", "a".repeat(62));
    let name = show(&simple(&sql).targets[0].value);
    assert_eq!(name, "a".repeat(62));
}

#[test]
fn keywords_label_columns_where_postgresql_lets_them() {
    for (sql, name) in [
        ("select 1 and", "and"),
        ("select 1 is", "is"),
        ("select 1 between from t", "between"),
        ("select 1 collate", "collate"),
        ("select 1 as select", "select"),
        ("select 5 at", "at"),
    ] {
        assert_eq!(simple(sql).targets[0].name.as_deref(), Some(name), "{sql}");
    }
    assert_eq!(simple("select a isnull").targets[0].name, None);
}

#[test]
fn unlabelled_columns_are_named_as_postgresql_names_them() {
    for (text, name) in [
        ("a.b", "b"),
        ("f(x)", "f"),
        ("1 + 1", "?column?"),
        ("'1'::int", "int4"),
        ("a::int", "a"),
        ("case when true then 1 end", "case"),
        ("case when true then 1 else b end", "b"),
        ("x[1]", "x"),
        ("(x).y[1]", "y"),
        ("array[1]", "array"),
        ("exists (select 1)", "exists"),
        ("(select a from t)", "a"),
        ("(select 1)::int", "?column?"),
        ("(values (1))", "column1"),
        ("coalesce(a, b)", "coalesce"),
        ("greatest(a, b)", "greatest"),
        ("nullif(a, b)", "nullif"),
        ("current_user", "current_user"),
        ("now() at time zone 'utc'", "timezone"),
        ("row(1)", "row"),
    ] {
        assert_eq!(figure_column_name(&parse_expr(text).unwrap()), name, "{text}");
    }
}

#[test]
fn intersect_binds_before_union_and_parentheses_keep_their_clauses() {
    let Statement::Select(select) =
        one("(select 1 limit 1) union select 2 intersect select 3 order by 1 offset 2")
    else {
        panic!("a query")
    };
    assert_eq!(select.sort.len(), 1);
    assert!(select.limit_offset.is_some());
    let SelectBody::SetOperation(union) = select.body else { panic!("a union") };
    assert_eq!(union.op, SetOp::Union);
    assert!(union.left.limit_count.is_some());
    match union.right.body {
        SelectBody::SetOperation(inner) => assert_eq!(inner.op, SetOp::Intersect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn joins_nest_as_their_conditions_say() {
    let from = simple("select from a join b join c on x on y cross join d").from;
    let [FromItem::Join(cross)] = from.as_slice() else { panic!("{from:?}") };
    let FromItem::Join(outer) = &cross.left else { panic!("{cross:?}") };
    assert_eq!(outer.quals.as_ref().map(show).as_deref(), Some("y"));
    let FromItem::Join(inner) = &outer.right else { panic!("{outer:?}") };
    assert_eq!(inner.join_type, JoinType::Inner);
    assert_eq!(inner.quals.as_ref().map(show).as_deref(), Some("x"));
}

#[test]
fn locking_clauses_keep_strength_relations_and_policy() {
    let Statement::Select(select) =
        one("select * from a, b for no key update of a nowait for key share skip locked")
    else {
        panic!("a query")
    };
    let [first, second] = select.locking.as_slice() else { panic!("{select:?}") };
    assert_eq!(first.strength, LockStrength::ForNoKeyUpdate);
    assert_eq!(first.relations[0].name, "a");
    assert_eq!(first.wait_policy, LockWaitPolicy::Error);
    assert_eq!(second.strength, LockStrength::ForKeyShare);
    assert_eq!(second.wait_policy, LockWaitPolicy::Skip);
}

#[test]
fn statements_carry_their_span_and_empty_ones_vanish() {
    let statements = parse(" ;; select 1 ; -- x\n begin;").unwrap();
    let spans: Vec<(u32, u32)> = statements.iter().map(|raw| (raw.location, raw.length)).collect();
    assert_eq!(spans, [(4, 8), (21, 5)]);
    assert_eq!(parse("").unwrap(), []);
    assert!(matches!(statements[1].statement, Statement::Transaction(TransactionStmt::Begin(_))));
}

#[test]
fn expressions_know_their_leftmost_location() {
    for (text, location) in [("  a + b", 2), ("(a) + b", 1), (" a::int", 1), (" a in (1)", 1)] {
        assert_eq!(parse_expr(text).unwrap().location(), location, "{text}");
    }
}

#[test]
fn settings_keep_their_values_apart() {
    let Statement::VariableSet(set) = one("set local a.b to 1, on, 'x', -2.5, word") else {
        panic!("a SET")
    };
    assert!(set.is_local);
    let VariableSetKind::Value { name, args } = set.kind else { panic!("values") };
    assert_eq!(name, "a.b");
    assert_eq!(
        args,
        [
            SetValue::Integer(1),
            SetValue::String("on".to_owned()),
            SetValue::String("x".to_owned()),
            SetValue::Float("-2.5".to_owned()),
            SetValue::String("word".to_owned()),
        ]
    );
}

#[test]
fn options_of_either_copy_syntax_have_the_newer_names() {
    let Statement::Copy(copy) =
        one("copy t (a) from stdin with csv header delimiter ';' force not null a")
    else {
        panic!("a COPY")
    };
    let names: Vec<&str> = copy.options.iter().map(|option| option.name.as_str()).collect();
    assert_eq!(names, ["format", "header", "delimiter", "force_not_null"]);
    let Statement::Copy(copy) = one("copy (select 1) to stdout (format csv, force_quote *)") else {
        panic!("a COPY")
    };
    assert_eq!(copy.options[0].string().unwrap(), "csv");
    assert_eq!(copy.options[1].value, Some(DefValue::Star));
}

#[test]
fn options_read_booleans_and_numbers_or_say_what_they_want() {
    let Statement::Explain(explain) =
        one("explain (analyze, costs off, buffers 2, x 3.5) select 1")
    else {
        panic!("an EXPLAIN")
    };
    let [analyze, costs, buffers, fraction] = explain.options.as_slice() else {
        panic!("{explain:?}")
    };
    assert!(analyze.boolean().unwrap());
    assert!(!costs.boolean().unwrap());
    let error = buffers.boolean().unwrap_err();
    assert_eq!(error.fields().message, "buffers requires a Boolean value");
    assert_eq!(buffers.int64().unwrap(), 2);
    assert_eq!(fraction.float64().unwrap(), 3.5);
}

#[test]
fn statements_that_are_not_taken_are_named() {
    for (sql, feature) in [
        ("create foreign table t (a int) server s; ", "CREATE FOREIGN TABLE"),
        ("create or replace trusted language x", "CREATE TRUSTED LANGUAGE"),
        (
            "alter operator family f using btree add operator 1 < (int, int)",
            "ALTER OPERATOR FAMILY",
        ),
        ("load 'x'", "LOAD"),
    ] {
        match one(sql) {
            Statement::Unsupported(statement) => assert_eq!(statement.feature, feature),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// An engine's `PING 'text'`, which it rewrites to a query.
struct Ping;

impl GrammarExtension for Ping {
    fn leading(&self) -> &[&str] {
        &["ping"]
    }

    fn parse(&self, tokens: &mut TokenStream<'_>) -> SqlResult<Option<Statement>> {
        if !matches!(tokens.peek_ahead(1), TokenKind::String(_)) {
            return Ok(None);
        }
        tokens.skip();
        tokens.string()?;
        Ok(Some(Statement::Checkpoint))
    }
}

#[test]
fn an_extension_takes_its_statements_and_leaves_the_others() {
    let statements = parse_with("select 1; ping 'x'", &[&Ping], &mut Vec::new()).unwrap();
    assert_eq!(statements[1].statement, Statement::Checkpoint);
    let error = parse_with("ping 1", &[&Ping], &mut Vec::new()).unwrap_err();
    assert_eq!(error.fields().message, "syntax error at or near \"ping\"");
}
