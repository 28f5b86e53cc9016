//! Changes of tables as a stream: what random statements of several sessions leave behind is what the
//! messages, applied one after another to other tables, leave there.
//!
//! Every transaction writes a mark as the last thing it does: in the stream, the messages from number 1
//! to a mark are that transaction, whole, once. `AEGIS_STATEMENTS` and `AEGIS_SEED` say how many
//! statements and which.

use std::collections::{BTreeMap, HashSet};

use aegis_sqllogic::random::Random;
use aegis_sqllogic::wire::{Client, ClientError};

use super::{lines, number, refused, rows, run, value};
use crate::server::{Server, setting};

const SESSIONS: u64 = 4;
const IDS: u64 = 40;

const TABLES: &str = "CREATE SCHEMA a; CREATE SCHEMA b;
    CREATE TABLE a.item (id int PRIMARY KEY, name text, amount numeric);
    CREATE TABLE b.part (id int PRIMARY KEY, note text,
        item int REFERENCES a.item ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE b.mark (id int PRIMARY KEY, session text)";

#[test]
fn the_stream_of_changes_makes_the_same_tables_again() {
    let statements = setting("AEGIS_STATEMENTS", 1_500);
    let seed = setting("AEGIS_SEED", 42);
    println!("AEGIS_SEED={seed} AEGIS_STATEMENTS={statements}");
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(&mut client, TABLES);
    run(&mut client, "INSERT INTO a.item SELECT g, 'early', g / 4.0 FROM generate_series(0, 19) g");
    run(&mut client, "INSERT INTO b.part SELECT g, 'early', g FROM generate_series(0, 9) g");
    run(
        &mut client,
        "CREATE STREAM changes FROM TABLE a.item, b.part, b.mark WITH (before, snapshot)",
    );
    let mut seeds = Random::new(seed);
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let (server, seed) = (&server, seeds.number());
            scope.spawn(move || {
                let mut client = server.connect();
                change_at_random(&mut client, session, statements / SESSIONS, seed);
            });
        }
    });
    let server = {
        // The stream is there after a crash, as the tables are.
        server.kill();
        Server::start(data.path())
    };
    replay(&mut server.connect());
}

/// Transactions of random statements, some rolled back, some in part.
fn change_at_random(client: &mut Client, session: u64, statements: u64, seed: u64) {
    let mut random = Random::new(seed);
    let (mut left, mut mark) = (statements, session * 1_000_000);
    // They deadlock often, and a second each would be most of the test's time.
    run(client, "SET deadlock_timeout = '10ms'");
    while left > 0 {
        run(client, "BEGIN");
        let (mut is_well, mut has_savepoint) = (true, false);
        for _ in 0..=random.below(8) {
            left = left.saturating_sub(1);
            let done = match random.below(14) {
                0 => {
                    has_savepoint = true;
                    client.run("SAVEPOINT s").map(drop)
                }
                1 if has_savepoint => client.run("ROLLBACK TO s").map(drop),
                2 => copy(client, &mut random, session, left),
                _ => client.run(&statement(&mut random)).map(drop),
            };
            let Err(error) = done else { continue };
            let code = error.sql_state().unwrap_or_else(|| panic!("{error}"));
            let expected = ["23503", "23505", "40P01", "42701", "42703", "55P03"];
            assert!(expected.contains(&code), "{error}");
            is_well = has_savepoint && code != "40P01" && client.run("ROLLBACK TO s").is_ok();
            if !is_well {
                break;
            }
        }
        mark += 1;
        let end = match random.below(8) {
            _ if !is_well => "ROLLBACK",
            0 => "ROLLBACK",
            _ => "COMMIT",
        };
        if end == "COMMIT" {
            run(client, &format!("INSERT INTO b.mark VALUES ({mark}, 'session {session}')"));
        }
        run(client, end);
    }
}

fn copy(
    client: &mut Client,
    random: &mut Random,
    session: u64,
    left: u64,
) -> Result<(), ClientError> {
    let first = 100_000 * (session + 1) + 10 * left;
    let mut data = String::new();
    for id in first..=first + random.below(5) {
        data.push_str(&format!("{id}\tco\\tpied\t\\N\n"));
    }
    client.copy_in("COPY a.item (id, name, amount) FROM STDIN", data.as_bytes()).map(drop)
}

fn statement(random: &mut Random) -> String {
    let (id, other) = (random.below(IDS), random.below(IDS));
    let some = random.below(1_000);
    let word = ["o'ne", "\u{e4}\u{1f600}", "", "x\ty\\z", "{\"a\": [1]}"][random.place(5)]
        .replace('\'', "''");
    match random.below(40) {
        0..5 => {
            format!("INSERT INTO a.item (id, name, amount) VALUES ({id}, '{word}', {some} / 8.0)")
        }
        5..8 => format!(
            "INSERT INTO a.item (id, name) VALUES ({id}, '{word}'), ({other} + {IDS}, NULL) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name || item.id, amount = {some}"
        ),
        8..10 => format!(
            "INSERT INTO a.item (id, name) SELECT g, 'g' || g FROM generate_series({id}, {id} + 9) g \
             ON CONFLICT DO NOTHING"
        ),
        10..15 => format!(
            "UPDATE a.item SET amount = coalesce(amount, 0) + {some} / 3.0 WHERE id % 7 = {id} % 7"
        ),
        15..17 => format!("UPDATE a.item SET id = {other} + 1000 WHERE id = {id}"),
        17..19 => format!("UPDATE a.item SET id = {other} WHERE id = {id} + 1000"),
        19..23 => format!("DELETE FROM a.item WHERE id = {id}"),
        23..28 => format!("INSERT INTO b.part VALUES ({other}, '{word}', {id})"),
        28..31 => format!("UPDATE b.part SET item = {id}, note = '{word}' WHERE id = {other}"),
        31..33 => {
            format!("DELETE FROM b.part USING a.item WHERE item.id = part.item AND item.id > {id}")
        }
        33..36 => format!(
            "INSERT INTO b.part SELECT {other} + 100, name, id FROM a.item WHERE id >= {id} ORDER BY id \
             LIMIT 1 ON CONFLICT (id) DO UPDATE SET item = excluded.item"
        ),
        36 => "TRUNCATE b.part".to_owned(),
        37 if some < 300 => "TRUNCATE a.item CASCADE".to_owned(),
        38 if some < 300 => format!("ALTER TABLE a.item ADD COLUMN x{} int", id % 3),
        39 if some < 300 => format!("ALTER TABLE a.item DROP COLUMN x{}", id % 3),
        39 if some < 500 => "ALTER TABLE b.part ALTER item TYPE bigint".to_owned(),
        38 if some < 500 => "ALTER TABLE b.part ALTER item TYPE int".to_owned(),
        _ => format!("UPDATE a.item SET name = '{word}' WHERE id IN ({id}, {other})"),
    }
}

/// Applies the messages to tables in the schema `copy`, and compares.
fn replay(client: &mut Client) {
    run(
        client,
        "CREATE SCHEMA copy; CREATE TABLE copy.item (id int PRIMARY KEY, name text, amount numeric); \
         CREATE TABLE copy.part (id int PRIMARY KEY, note text, item int); \
         CREATE TABLE copy.mark (id int PRIMARY KEY, session text)",
    );
    let messages = rows(
        client,
        "SELECT headers->>'operation', headers->>'table', headers->>'transaction', \
         headers->>'number', payload->'new', payload->'old', payload->'columns', key, \
         coalesce(payload->'new', payload->'old')->>'id' \
         FROM changes ORDER BY partition, \"offset\"",
    );
    println!("{} messages", messages.len());
    let mut transactions: HashSet<String> = HashSet::new();
    let mut last = (String::new(), 0, String::from("snapshot"));
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for message in &messages {
        let [operation, table, transaction, n, new, old, columns, key, id] = &message[..] else {
            panic!("{message:?}")
        };
        let n: u64 = n.parse().unwrap();
        if n == 1 {
            assert!(matches!(last.2.as_str(), "b.mark" | "snapshot"), "ends with a mark: {last:?}");
            assert!(transactions.insert(transaction.clone()), "{transaction} begins twice");
        } else {
            assert_eq!((&last.0, last.1 + 1), (transaction, n), "{message:?}");
            assert_ne!(last.2, "b.mark", "nothing follows a mark: {message:?}");
        }
        let what = if operation == "snapshot" { operation.clone() } else { table.clone() };
        last = (transaction.clone(), n, what);
        *kinds.entry(operation.clone()).or_default() += 1;
        assert_eq!(
            key == "NULL",
            matches!(operation.as_str(), "truncate" | "schema"),
            "{message:?}"
        );
        assert!(id.parse::<i64>().is_ok() || key == "NULL", "{message:?}");
        let name = table.split('.').nth(1).unwrap();
        apply(client, operation, name, new, old, columns);
    }
    println!("{kinds:?} in {} transactions", transactions.len());
    let all = ["insert", "update", "delete", "snapshot"];
    assert!(all.iter().all(|kind| kinds.contains_key(*kind)), "{kinds:?}");
    assert_eq!(number(client, "SELECT count(*) FROM b.mark") + 1, transactions.len() as u64);
    for (table, copy) in [("a.item", "copy.item"), ("b.part", "copy.part"), ("b.mark", "copy.mark")]
    {
        let both = [table, copy].map(|table| {
            lines(client, &format!("SELECT to_jsonb(t) FROM {table} AS t ORDER BY id"))
        });
        assert_eq!(both[0], both[1], "{table}");
    }
}

fn apply(client: &mut Client, operation: &str, table: &str, new: &str, old: &str, columns: &str) {
    let row = |json: &str| {
        let json = json.replace('\'', "''");
        format!("jsonb_populate_record(NULL::copy.{table}, '{json}')")
    };
    let delete = || {
        // The old row is there, as it is said to be.
        format!("DELETE FROM copy.{table} AS t WHERE t = {}", row(old))
    };
    let insert = || format!("INSERT INTO copy.{table} SELECT * FROM {}", row(new));
    match operation {
        "insert" | "snapshot" => assert_eq!(run(client, &insert()), "INSERT 0 1"),
        "update" => {
            assert_eq!(run(client, &delete()), "DELETE 1", "{old}");
            assert_eq!(run(client, &insert()), "INSERT 0 1");
        }
        "delete" => assert_eq!(run(client, &delete()), "DELETE 1", "{old}"),
        "truncate" => {
            run(client, &format!("TRUNCATE copy.{table}"));
        }
        "schema" => follow_columns(client, table, columns),
        _ => panic!("{operation}"),
    }
}

/// Makes the columns of a copy what those of its table have become.
fn follow_columns(client: &mut Client, table: &str, columns: &str) {
    let now = rows(
        client,
        &format!(
            "SELECT c->>'name', c->>'type' FROM jsonb_array_elements('{columns}'::jsonb) AS c"
        ),
    );
    let before = rows(
        client,
        &format!(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = 'copy.{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        ),
    );
    for gone in before.iter().filter(|column| now.iter().all(|it| it[0] != column[0])) {
        run(client, &format!("ALTER TABLE copy.{table} DROP COLUMN {}", gone[0]));
    }
    for column in &now {
        let (name, ty) = (&column[0], &column[1]);
        match before.iter().find(|it| it[0] == *name) {
            None => run(client, &format!("ALTER TABLE copy.{table} ADD COLUMN {name} {ty}")),
            Some(old) if old[1] != *ty => {
                run(client, &format!("ALTER TABLE copy.{table} ALTER {name} TYPE {ty}"))
            }
            Some(_) => String::new(),
        };
    }
}

/// What a stream of changes says of single statements.
#[test]
fn changes_say_what_happened() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut client = server.connect();
    run(
        &mut client,
        "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a')",
    );
    run(&mut client, "CREATE STREAM new_rows PARTITIONS 3 FROM TABLE t");
    run(&mut client, "CREATE STREAM both_rows FROM TABLE t WITH (before = true)");
    run(
        &mut client,
        "BEGIN; INSERT INTO t VALUES (2, 'b'), (3, 'c'); UPDATE t SET name = 'd'; COMMIT",
    );
    run(&mut client, "DELETE FROM t WHERE id = 1");
    let numbers = "SELECT string_agg(headers->>'number', ' ' \
         ORDER BY (headers->>'transaction')::bigint, (headers->>'number')::int)";
    for stream in ["new_rows", "both_rows"] {
        let found = value(&mut client, &format!("{numbers} FROM {stream}"));
        assert_eq!(found, "1 2 3 4 5 1", "{stream}");
    }
    let shown = "SELECT headers->>'operation', key, payload FROM both_rows \
                 WHERE headers->>'operation' <> 'insert' ORDER BY \"offset\"";
    assert_eq!(
        lines(&mut client, shown),
        [
            r#"update {"id": 1} {"new": {"id": 1, "name": "d"}, "old": {"id": 1, "name": "a"}}"#,
            r#"update {"id": 2} {"new": {"id": 2, "name": "d"}, "old": {"id": 2, "name": "b"}}"#,
            r#"update {"id": 3} {"new": {"id": 3, "name": "d"}, "old": {"id": 3, "name": "c"}}"#,
            r#"delete {"id": 1} {"old": {"id": 1, "name": "d"}}"#,
        ]
    );
    let without = "SELECT count(*) FROM new_rows \
                   WHERE payload ? 'old' AND headers->>'operation' <> 'delete'";
    assert_eq!(number(&mut client, without), 0);
    // Whoever may write the table writes the stream through it, and not otherwise.
    run(&mut client, "CREATE ROLE writer; GRANT ALL ON t TO writer; SET ROLE writer");
    run(&mut client, "INSERT INTO t VALUES (9, 'x')");
    assert_eq!(refused(&mut client, "INSERT INTO both_rows (payload) VALUES ('{}')"), "42501");
    run(&mut client, "RESET ROLE");
    assert_eq!(number(&mut client, "SELECT count(*) FROM both_rows WHERE key = '{\"id\": 9}'"), 1);
    // A table in a stream of a transaction that is rolled back was never in it.
    run(
        &mut client,
        "BEGIN; CREATE STREAM third FROM TABLE t; INSERT INTO t VALUES (10, 'y'); ROLLBACK",
    );
    run(&mut client, "DROP STREAM both_rows");
    run(&mut client, "INSERT INTO t VALUES (11, 'z')");
    run(&mut client, "DROP TABLE t");
}
