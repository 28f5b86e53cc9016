//! Queries from text to rows. The answers are PostgreSQL's.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is test code: a failed unwrap is a failed test"
)]

use std::sync::Arc;

use aegis_catalog::{
    CatalogSnapshot, Column, Descriptor, IndexBody, IndexKey, Relation, RelationBody, Schema,
    TableBody,
};
use aegis_planner::DataFusionEngine;
use aegis_sql::analyze::{Analyzer, AnalyzerContext};
use aegis_sql::bound::{BoundStatement, Query};
use aegis_sql::query_engine::{CancelFlag, QueryEngine, StatementContext, SystemRelations};
use aegis_sql::row::RowLayout;
use aegis_storage::{MemoryDisk, MemoryLog, Store, StoreOptions, TreeId, TxnOptions};
use aegis_types::context::NoHost;
use aegis_types::{
    Datum, EvalContext, FormatSettings, Oid, SqlError, SqlResult, TypeRef, io, key, type_oid,
};

const DATABASE: Oid = Oid(5);
const PUBLIC: Oid = Oid(2200);

struct NoRelations;

impl SystemRelations for NoRelations {
    fn columns(&self, _: &str) -> Option<Vec<(String, TypeRef)>> {
        None
    }

    fn rows(&self, _: &str, _: &StatementContext) -> SqlResult<Vec<Vec<Datum>>> {
        Ok(Vec::new())
    }
}

struct Database {
    runtime: tokio::runtime::Runtime,
    catalog: Arc<CatalogSnapshot>,
    store: Store,
}

fn relation(oid: u32, name: &str, columns: Vec<Column>, body: RelationBody) -> Relation {
    Relation {
        oid: Oid(oid),
        database: DATABASE,
        schema: PUBLIC,
        name: name.into(),
        owner: Oid(10),
        row_type: Oid(oid + 1),
        row_array_type: Oid(oid + 2),
        columns,
        options: Vec::new(),
        body,
        ..Relation::default()
    }
}

fn table(oid: u32, name: &str, columns: &[(&str, Oid)], indexes: Vec<Oid>) -> Relation {
    let columns = columns
        .iter()
        .enumerate()
        .map(|(at, (name, ty))| Column {
            number: i16::try_from(at + 1).unwrap(),
            name: (*name).into(),
            ty: TypeRef::plain(*ty),
            not_null: false,
            default: None,
            identity: None,
            dropped: false,
            since_version: 0,
            missing: None,
            ..Column::default()
        })
        .collect();
    let body = TableBody {
        tree: u64::from(oid),
        row_key: vec![1],
        row_version: 0,
        indexes,
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        row_count: -1.0,
        ..TableBody::default()
    };
    relation(oid, name, columns, RelationBody::Table(body))
}

impl Database {
    /// `t(a int4, b int4, c text)` with ten rows, keyed by `a`, indexed by `b`;
    /// `u(x int4, y int8)` with five, keyed by `x`.
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let log = MemoryLog::new();
        let options = StoreOptions::new("/planner-test", 64 << 20, Arc::new(|| 0));
        let store = Store::open(options, Arc::new(MemoryDisk::new())).unwrap();
        store.attach_log(log.clone());
        log.attach(Arc::new(store.clone())).unwrap();
        let t = table(
            2000,
            "t",
            &[("a", type_oid::INT4), ("b", type_oid::INT4), ("c", type_oid::TEXT)],
            vec![Oid(2100)],
        );
        let u = table(2010, "u", &[("x", type_oid::INT4), ("y", type_oid::INT8)], vec![]);
        let index = IndexBody {
            table: Oid(2000),
            tree: 2100,
            keys: vec![IndexKey { column: 2, ..IndexKey::default() }],
            unique: false,
            primary: false,
            nulls_not_distinct: false,
            valid_from: 0,
            method: "btree".into(),
            valid: true,
            ..IndexBody::default()
        };
        let index = relation(2100, "t_b_idx", Vec::new(), RelationBody::Index(index));
        let schema =
            Schema { oid: PUBLIC, database: DATABASE, name: "public".into(), owner: Oid(10) };
        let mut txn = store.begin(TxnOptions::default()).unwrap();
        let layout = RowLayout::new(&t);
        for a in 1..=10 {
            let b = if a % 5 == 0 { Datum::Null } else { Datum::Int4(a % 4) };
            let row = [Datum::Int4(a), b.clone(), Datum::text(format!("c{}", a % 3))];
            let (mut row_key, mut value, mut entry) = (Vec::new(), Vec::new(), Vec::new());
            key::encode(type_oid::INT4, &row[0], false, false, &mut row_key).unwrap();
            layout.encode(&row, &mut value).unwrap();
            txn.put(TreeId(2000), &row_key, &value).unwrap();
            key::encode(type_oid::INT4, &b, false, false, &mut entry).unwrap();
            entry.extend_from_slice(&row_key);
            txn.put(TreeId(2100), &entry, &[]).unwrap();
        }
        let layout = RowLayout::new(&u);
        for x in 1..=5 {
            let row = [Datum::Int4(x), Datum::Int8(i64::from(x) * 10)];
            let (mut row_key, mut value) = (Vec::new(), Vec::new());
            key::encode(type_oid::INT4, &row[0], false, false, &mut row_key).unwrap();
            layout.encode(&row, &mut value).unwrap();
            txn.put(TreeId(2010), &row_key, &value).unwrap();
        }
        runtime.block_on(txn.commit()).unwrap();
        let catalog = [t, u, index].into_iter().fold(
            CatalogSnapshot::default().with(&Descriptor::Schema(Arc::new(schema))),
            |catalog, relation| catalog.with(&Descriptor::Relation(Arc::new(relation))),
        );
        Self { runtime, catalog: Arc::new(catalog), store }
    }

    fn analyze(&self, sql: &str) -> SqlResult<Arc<Query>> {
        let settings = FormatSettings::default();
        let parsed = aegis_sql::parser::parse(sql)?;
        let analyzer = Analyzer::new(AnalyzerContext {
            catalog: &self.catalog,
            database: DATABASE,
            search_path: &[PUBLIC],
            system_relations: &NoRelations,
            eval: EvalContext {
                settings: &settings,
                transaction_timestamp: 0,
                statement_timestamp: 0,
                host: &NoHost,
            },
            parameters: Vec::new(),
            infer_parameters: true,
        });
        match analyzer.analyze(&parsed[0].statement)?.statement {
            BoundStatement::Query(query) => Ok(query),
            _ => Err(SqlError::internal("no query")),
        }
    }

    fn context(&self) -> StatementContext {
        StatementContext {
            deferred: Arc::default(),
            temporary_files: std::env::temp_dir().into(),
            view: self.store.newest_view().unwrap(),
            catalog: self.catalog.clone(),
            database: DATABASE,
            settings: Arc::default(),
            transaction_timestamp: 0,
            statement_timestamp: 0,
            parameters: Arc::from([]),
            host: Arc::new(NoHost),
            memory_bytes: 64 << 20,
            cancel: CancelFlag::default(),
            system_relations: Arc::new(NoRelations),
            locks: None,
            may_stop: false,
            measure: None,
            planned: None,
            shortcuts: aegis_sql::settings::Shortcuts::default(),
        }
    }

    fn run(&self, sql: &str) -> SqlResult<String> {
        self.run_within(sql, 64 << 20)
    }

    /// Runs a query that may hold so many bytes.
    fn run_within(&self, sql: &str, memory_bytes: usize) -> SqlResult<String> {
        let query = self.analyze(sql)?;
        let context = StatementContext { memory_bytes, ..self.context() };
        let engine = DataFusionEngine::new(self.runtime.handle().clone());
        let plan = engine.plan(&query, &context)?;
        let mut stream = plan.execute(context)?;
        let types: Vec<TypeRef> = query.visible_targets().map(|target| target.expr.ty()).collect();
        let settings = FormatSettings::default();
        let eval = EvalContext {
            settings: &settings,
            transaction_timestamp: 0,
            statement_timestamp: 0,
            host: &NoHost,
        };
        let mut lines = Vec::new();
        self.runtime.block_on(async {
            while let Some(batch) = stream.next().await? {
                for at in 0..batch.len() {
                    let row = batch.row(at);
                    let fields: Vec<String> = row
                        .iter()
                        .zip(&types)
                        .map(|(value, ty)| {
                            let mut text = Vec::new();
                            if !value.is_null() {
                                io::text_out(ty.oid, value, &eval, &mut text);
                            }
                            String::from_utf8(text).unwrap()
                        })
                        .collect();
                    lines.push(fields.join("|"));
                }
            }
            Ok::<_, SqlError>(())
        })?;
        Ok(lines.join(" "))
    }
}

const CASES: &str = include_str!("queries/cases.txt");

#[test]
fn queries_answer_as_postgresql_does() {
    let database = Database::new();
    let mut failures = Vec::new();
    for case in CASES.lines().filter(|line| !line.is_empty()) {
        let (sql, expected) = case.split_once(" => ").unwrap();
        let got = match database.run(sql) {
            Ok(rows) => rows,
            Err(error) => format!("{}: {}", error.code().code(), error.fields().message),
        };
        if got.trim_end() != expected.trim_end() {
            failures.push(format!("{sql}\n  expected {expected}\n  got      {got}"));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn planning_takes_far_less_than_a_millisecond() {
    let database = Database::new();
    let cases = [
        ("point", "SELECT * FROM t WHERE a = 5"),
        ("order and limit", "SELECT * FROM t WHERE b = 1 ORDER BY a LIMIT 10"),
        ("join by key", "SELECT * FROM t JOIN u ON u.x = t.b WHERE t.a = 5"),
        (
            "join, group, sort",
            "SELECT c, count(*) FROM t JOIN u ON t.b = u.x WHERE a > 1 GROUP BY c ORDER BY c",
        ),
        (
            "eight joins",
            "SELECT 1 FROM t a JOIN u b ON a.b = b.x JOIN t c ON c.a = b.x JOIN u d ON d.x = c.b \
             JOIN t e ON e.a = d.x JOIN u f ON f.x = e.b JOIN t g ON g.a = f.x JOIN u h ON h.x = g.b",
        ),
    ];
    let context = database.context();
    let engine = DataFusionEngine::new(database.runtime.handle().clone());
    for (name, sql) in cases {
        let query = database.analyze(sql).unwrap();
        engine.plan(&query, &context).unwrap();
        let start = std::time::Instant::now();
        for _ in 0..100 {
            engine.plan(&query, &context).unwrap();
        }
        let each = start.elapsed() / 100;
        eprintln!("{name}: {each:?}");
        let bound = if name == "eight joins" { 20_000 } else { 1000 };
        assert!(each.as_micros() < bound, "planning {name} took {each:?}");
    }
}

/// Far less than what these queries hold.
const LITTLE_BYTES: usize = 1 << 20;

#[test]
fn what_does_not_fit_in_memory_spills_and_answers_alike() {
    let database = Database::new();
    let cases = [
        "SELECT count(*), sum(g) FROM (SELECT DISTINCT g % 50000 AS g FROM generate_series(1, 120000) g) s",
        "SELECT count(*), sum(n), max(n) FROM (SELECT g % 30000 AS k, count(*) AS n \
         FROM generate_series(1, 90001) g GROUP BY 1) s",
        "SELECT count(*), sum(n) FROM (SELECT g % 20000 AS k, g % 7 AS l, count(*) AS n \
         FROM generate_series(1, 50000) g GROUP BY GROUPING SETS ((1), (2), (1, 2), ())) s",
        "SELECT count(*), min(g), max(g) FROM (SELECT g FROM generate_series(1, 60000) g \
         EXCEPT SELECT g FROM generate_series(30000, 90000) g) s",
        "SELECT count(*), min(g), max(g) FROM (SELECT g FROM generate_series(1, 60000) g \
         INTERSECT ALL SELECT g FROM generate_series(30000, 90000) g) s",
        "SELECT count(*), min(g), max(g) FROM (SELECT g FROM generate_series(1, 60000) g \
         UNION SELECT g FROM generate_series(30000, 90000) g) s",
        "WITH c AS (SELECT g, 'row ' || g AS s FROM generate_series(1, 50000) g) \
         SELECT (SELECT count(*) FROM c), (SELECT sum(g) FROM c WHERE s LIKE 'row 4%')",
    ];
    for sql in cases {
        let roomy = database.run_within(sql, 256 << 20).unwrap();
        let tight = database.run_within(sql, LITTLE_BYTES);
        assert_eq!(tight.as_deref().ok(), Some(&*roomy), "{sql}: {tight:?}");
    }
    // A sort holds at least a batch of its rows twice.
    let sql = "SELECT g FROM generate_series(1, 100000) g \
               ORDER BY lpad(g::text, 60, 'x') DESC OFFSET 99998";
    let roomy = database.run_within(sql, 256 << 20).unwrap();
    assert_eq!(database.run_within(sql, 4 * LITTLE_BYTES).unwrap(), roomy);
}

#[test]
fn what_cannot_spill_ends_with_out_of_memory() {
    let database = Database::new();
    let cases = [
        "SELECT length(array_agg(g)::text) FROM generate_series(1, 300000) g",
        "SELECT count(DISTINCT g) FROM generate_series(1, 300000) g",
        "SELECT sum(r) FROM (SELECT row_number() OVER (ORDER BY g) AS r \
         FROM generate_series(1, 300000) g) s",
        "SELECT 1 WHERE 5 IN (SELECT g FROM generate_series(10, 300000) g)",
        "SELECT length(ARRAY(SELECT g FROM generate_series(1, 300000) g)::text)",
        "SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a = b",
        "WITH RECURSIVE r AS (SELECT g FROM generate_series(1, 300000) g \
         UNION SELECT g + 1 FROM r WHERE g < 0) SELECT count(*) FROM r",
    ];
    for sql in cases {
        let error = database.run_within(sql, LITTLE_BYTES).unwrap_err();
        let fields = error.fields();
        assert_eq!((error.code().code(), &*fields.message), ("53200", "out of memory"), "{sql}");
        let detail = fields.detail.as_deref().unwrap_or_default();
        assert!(detail.starts_with("Failed on request of size "), "{sql}: {detail}");
        assert!(database.run(sql).is_ok(), "{sql} runs with more memory");
    }
}

/// Each of these queries sorts more than fits, in subqueries of subqueries, on two threads that can
/// not be replaced: if one waited for another one's thread, all would wait forever.
#[test]
fn many_nested_subqueries_on_two_threads_all_end() {
    let database = Database::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let engine = DataFusionEngine::new(runtime.handle().clone());
    let sorted = |rows: usize| {
        format!(
            "SELECT count(*) FROM (SELECT y FROM generate_series(1, {rows}) y \
             ORDER BY lpad((y * x)::text, 100, '0')) s"
        )
    };
    let sql = format!(
        "SELECT x FROM generate_series(1, 2) x WHERE ({}) > x AND EXISTS \
         (SELECT 1 FROM generate_series(1, 2) z WHERE ({}) > z)",
        sorted(20000),
        sorted(16000)
    );
    let query = database.analyze(&sql).unwrap();
    let context = StatementContext { memory_bytes: 4 << 20, ..database.context() };
    let plan = engine.plan(&query, &context).unwrap();
    let sessions: Vec<_> = (0..12)
        .map(|_| {
            let mut stream = plan.clone().execute(context.clone()).unwrap();
            async move {
                let mut rows = 0;
                while let Some(batch) = stream.next().await.unwrap() {
                    rows += batch.len();
                }
                rows
            }
        })
        .collect();
    let all = futures::future::join_all(sessions);
    let waiting = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limit = std::time::Duration::from_secs(120);
    let answered = waiting.block_on(async { tokio::time::timeout(limit, all).await });
    assert!(answered.expect("queries wait for each other").iter().all(|rows| *rows == 2));
    runtime.shutdown_background();
}
