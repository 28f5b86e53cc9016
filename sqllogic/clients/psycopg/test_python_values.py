"""Python's own values through psycopg's adapters, in both formats each way, and what programs do with
them: prepared statements, executemany, pipelines, streams, rows in other shapes."""

import math
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import psycopg
from psycopg.rows import dict_row, namedtuple_row, scalar_row
from psycopg.types import TypeInfo
from psycopg.types.json import Json, Jsonb
from support import Case

INDIA = timezone(timedelta(hours=5, minutes=30))

VALUES = [
    ("bool", [True, False]),
    ("int2", [0, -32768, 32767]),
    ("int4", [0, -(2**31), 2**31 - 1]),
    ("int8", [0, -(2**63), 2**63 - 1]),
    ("float8", [0.1, -0.0, 1e308, 5e-324, math.inf, -math.inf]),
    ("float4", [1.5, -math.inf]),
    ("numeric", [Decimal("1.50"), Decimal("-0.000001"), Decimal("1E+30"), Decimal("Infinity")]),
    ("numeric", [Decimal(7) ** 1000, Decimal("0.5") ** 40]),
    ("text", ["", "a'b\"c\\d", "ä→😀", "line\nline"]),
    ("varchar(10)", ["", "abc"]),
    ("bytea", [b"", bytes(range(256))]),
    ("date", [date.min, date(2024, 2, 29), date.max]),
    ("time", [time(0), time(23, 59, 59, 999999)]),
    ("timetz", [time(1, 2, 3, tzinfo=timezone.utc), time(4, 5, tzinfo=INDIA)]),
    ("timestamp", [datetime.min, datetime(2024, 2, 29, 1, 2, 3, 4), datetime.max]),
    ("timestamptz", [datetime(2024, 7, 1, 12, 0, tzinfo=timezone.utc)]),
    ("timestamptz", [datetime(2024, 7, 1, 12, 0, tzinfo=INDIA)]),
    ("interval", [timedelta(0), timedelta(days=-3, microseconds=5), timedelta(days=40000)]),
    ("uuid", [uuid.UUID(int=0), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("oid", [0, 2**32 - 1]),
]


class PythonValues(Case):
    def both_formats(self):
        for mark in ("%t", "%b"):
            for binary in (False, True):
                yield mark, binary

    def test_values_and_lists_come_back(self):
        for type_name, values in VALUES:
            for mark, binary in self.both_formats():
                for value in values:
                    with self.subTest(type=type_name, value=value, mark=mark, binary=binary):
                        query = f"SELECT {mark}::{type_name}"
                        got = self.value(query, [value], binary=binary)
                        self.assertEqual(got, value)
                        self.assertEqual(repr(got)[:2], repr(value)[:2])
                with self.subTest(type=type_name, mark=mark, binary=binary):
                    query = f"SELECT {mark}::{type_name}[]"
                    listed = [*values, None]
                    self.assertEqual(self.value(query, [listed], binary=binary), listed)
                    self.assertEqual(self.value(query, [[]], binary=binary), [])
                    nested = [values[:], values[:]]
                    self.assertEqual(self.value(query, [nested], binary=binary), nested)

    def test_nan(self):
        for mark, binary in self.both_formats():
            self.assertTrue(math.isnan(self.value(f"SELECT {mark}", [math.nan], binary=binary)))
            got = self.value(f"SELECT {mark}::numeric", [Decimal("NaN")], binary=binary)
            self.assertTrue(got.is_nan())

    def test_json(self):
        document = {"a": [1, 2.5, None, True], "ä": {"b": "\n\"'"}, "c": []}
        for wrapper, type_name in ((Json, "json"), (Jsonb, "jsonb")):
            for mark, binary in self.both_formats():
                query = f"SELECT {mark}::{type_name}"
                self.assertEqual(self.value(query, [wrapper(document)], binary=binary), document)
                self.assertIsNone(self.value(query, [wrapper(None)], binary=binary))
                query = f"SELECT ({mark}::{type_name} -> 'a' -> 1)::text"
                self.assertEqual(self.value(query, [wrapper(document)], binary=binary), "2.5")

    def test_an_unmarked_type_is_inferred(self):
        self.conn.execute("CREATE TABLE t (i int2, n numeric(6,2), d date, x text, a int8[])")
        row = (3, Decimal("1.005"), date(2024, 1, 2), "x", [1, None])
        self.conn.execute("INSERT INTO t VALUES (%s, %s, %s, %s, %s)", row)
        self.conn.execute("INSERT INTO t (i, n) VALUES (%s, %s)", (Decimal(4), 5))
        got = self.conn.execute("SELECT * FROM t WHERE i = ANY(%s) ORDER BY i", [[3, 4]])
        self.assertEqual(
            got.fetchall(),
            [
                (3, Decimal("1.01"), date(2024, 1, 2), "x", [1, None]),
                (4, Decimal("5.00"), None, None, None),
            ],
        )
        self.assertEqual(self.value("SELECT %s + 1", [2]), 3)
        self.assertEqual(self.value("SELECT %s || 'b'", ["a"]), "ab")
        self.assertEqual(self.value("SELECT count(*) FROM t WHERE x = %s", ["x"]), 1)
        self.assertEqual(self.value("SELECT count(*) FROM t WHERE d < %s", [date.max]), 1)
        self.fails("42P18", "SELECT pg_typeof(%s)", [None])

    def test_description(self):
        self.conn.execute("CREATE TABLE t (i int4, n numeric(6,2), v varchar(7), a text[])")
        cursor = self.conn.execute("SELECT i, n, v, a, i + 1 AS more FROM t")
        described = [(c.name, c.type_code, c.precision, c.scale) for c in cursor.description]
        self.assertEqual(
            described,
            [
                ("i", 23, None, None),
                ("n", 1700, 6, 2),
                ("v", 1043, None, None),
                ("a", 1009, None, None),
                ("more", 23, None, None),
            ],
        )
        self.assertEqual(cursor.description[2].display_size, 7)
        self.assertEqual(cursor.pgresult.ftable(0), self.value("SELECT 't'::regclass::oid"))
        self.assertEqual([cursor.pgresult.ftablecol(at) for at in range(5)], [1, 2, 3, 4, 0])

    def test_type_information(self):
        info = TypeInfo.fetch(self.conn, "timestamptz")
        self.assertEqual((info.oid, info.array_oid), (1184, 1185))
        self.assertEqual(info.regtype, "timestamp with time zone")
        self.assertIsNone(TypeInfo.fetch(self.conn, "no_such_type"))

    def test_rows_in_other_shapes(self):
        query = "SELECT 1 AS a, 'x' AS b"
        cursor = self.conn.cursor(row_factory=dict_row)
        self.assertEqual(cursor.execute(query).fetchone(), {"a": 1, "b": "x"})
        cursor = self.conn.cursor(row_factory=namedtuple_row)
        self.assertEqual(cursor.execute(query).fetchone().b, "x")
        cursor = self.conn.cursor(row_factory=scalar_row)
        cursor.execute("SELECT g FROM generate_series(1, 5) g")
        self.assertEqual(cursor.fetchmany(2), [1, 2])
        cursor.scroll(1)
        self.assertEqual(list(cursor), [4, 5])

    def test_prepared_statements_are_used_again(self):
        self.conn.execute("CREATE TABLE t (i int PRIMARY KEY, x text)")
        for at in range(50):
            self.conn.execute("INSERT INTO t VALUES (%s, %s)", (at, str(at)), prepare=True)
        for at in range(50):
            got = self.value("SELECT x FROM t WHERE i = %s", [at], prepare=True)
            self.assertEqual(got, str(at))
        names = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '%pg3%'"
        self.assertEqual(self.value(names), 2)
        # A changed table is looked up again, but the shape of a result may not change.
        # Another session changes it: psycopg forgets its statements when it sees an ALTER itself.
        other = self.session()
        other.execute("ALTER TABLE t ADD COLUMN y int DEFAULT 7")
        self.assertEqual(self.value("SELECT x FROM t WHERE i = %s", [3], prepare=True), "3")
        self.conn.execute("SELECT * FROM t WHERE i = %s", [3], prepare=True)
        other.execute("ALTER TABLE t ADD COLUMN z int")
        diag = self.fails_prepared("SELECT * FROM t WHERE i = %s", [3])
        self.assertEqual(diag.message_primary, "cached plan must not change result type")
        self.conn.execute("DEALLOCATE ALL")
        self.assertEqual(self.value("SELECT count(*) FROM pg_prepared_statements"), 0)

    def fails_prepared(self, query, parameters):
        with self.assertRaises(psycopg.errors.FeatureNotSupported) as caught:
            self.conn.execute(query, parameters, prepare=True)
        return caught.exception.diag

    def test_a_prepared_statement_takes_another_type(self):
        for value, name in (
            (1, "smallint"),
            (b"a", "bytea"),
            (Decimal(1), "numeric"),
            (2, "smallint"),
        ):
            for _ in range(7):
                got = self.value("SELECT pg_typeof(%s)::text", [value])
                self.assertEqual(got, name)

    def test_executemany(self):
        self.conn.execute("CREATE TABLE t (i int, x text)")
        cursor = self.conn.cursor()
        rows = [(at, f"x{at}") for at in range(300)]
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", rows)
        self.assertEqual(cursor.rowcount, 300)
        cursor.executemany(
            "UPDATE t SET x = x || '!' WHERE i %% 100 = %s RETURNING i, x",
            [(1,), (2,)],
            returning=True,
        )
        got = [sorted(cursor.fetchall())]
        while cursor.nextset():
            got.append(sorted(cursor.fetchall()))
        self.assertEqual(got[0], [(1, "x1!"), (101, "x101!"), (201, "x201!")])
        self.assertEqual(got[1], [(2, "x2!"), (102, "x102!"), (202, "x202!")])

    def test_statement_tags(self):
        cursor = self.conn.cursor()
        for query, status, count in (
            ("CREATE TABLE t (i int)", "CREATE TABLE", -1),
            ("INSERT INTO t SELECT generate_series(1, 3)", "INSERT 0 3", 3),
            ("UPDATE t SET i = i + 1 WHERE i > 1", "UPDATE 2", 2),
            ("DELETE FROM t WHERE i = 1", "DELETE 1", 1),
            ("SELECT * FROM t", "SELECT 2", 2),
            ("", None, -1),
        ):
            cursor.execute(query)
            self.assertEqual((cursor.statusmessage or None, cursor.rowcount), (status, count))

    def test_many_statements_in_one_text(self):
        cursor = self.conn.execute("SELECT 1; SELECT 2, 3; CREATE TABLE t (i int); TABLE t")
        got = [cursor.fetchall()]
        while cursor.nextset():
            got.append(cursor.fetchall() if cursor.description else cursor.statusmessage)
        self.assertEqual(got, [[(1,)], [(2, 3)], "CREATE TABLE", []])
        self.fails("42601", "SELECT %s; SELECT 2", [1])

    def test_a_pipeline(self):
        self.conn.execute("CREATE TABLE t (i int PRIMARY KEY)")
        with self.conn.pipeline() as pipeline:
            for at in range(200):
                self.conn.execute("INSERT INTO t VALUES (%s)", [at])
            counted = self.conn.execute("SELECT count(*) FROM t")
            pipeline.sync()
            self.assertEqual(counted.fetchone(), (200,))
        with self.assertRaises(psycopg.errors.UniqueViolation):
            with self.conn.pipeline():
                # One implicit transaction up to the Sync: the error takes all of it back.
                self.conn.execute("INSERT INTO t VALUES (1000)")
                self.conn.execute("INSERT INTO t VALUES (5)")
                self.conn.execute("INSERT INTO t VALUES (1001)")
        self.assertEqual(self.value("SELECT max(i) FROM t"), 199)
        with self.conn.pipeline() as pipeline:
            with self.conn.transaction():
                self.conn.execute("DELETE FROM t WHERE i < 100")
            self.conn.execute("INSERT INTO t VALUES (500)")
        self.assertEqual(self.value("SELECT count(*) FROM t"), 101)

    def test_a_stream(self):
        query = "SELECT g, repeat('x', g %% 10), g::numeric / 4 FROM generate_series(1, %s) g"
        for binary in (False, True):
            cursor, count = self.conn.cursor(), 0
            for row in cursor.stream(query, [20_000], binary=binary):
                count += 1
                self.assertEqual(row, (count, "x" * (count % 10), Decimal(count) / 4))
            self.assertEqual(count, 20_000)
        # An error in the middle of a stream comes after the rows before it.
        got = []
        with self.assertRaises(psycopg.errors.DivisionByZero):
            for row in self.conn.cursor().stream(
                "SELECT 10 / (50000 - g) FROM generate_series(1, 100000) g"
            ):
                got.append(row)
        self.assertGreater(len(got), 0)
        self.assertEqual(self.value("SELECT 1"), 1)

    def test_client_side_binding(self):
        cursor = psycopg.ClientCursor(self.conn)
        cursor.execute(
            "SELECT %s, %s, %s, %s::text[], %s::jsonb",
            (1, "it's \\ ä", b"\0\xff", ["a,b", None, '"'], Jsonb({"a": "'"})),
        )
        self.assertEqual(
            cursor.fetchone(), (1, "it's \\ ä", b"\0\xff", ["a,b", None, '"'], {"a": "'"})
        )

    def test_raw_placeholders(self):
        cursor = psycopg.RawCursor(self.conn)
        cursor.execute("SELECT $2::text, $1::int, $2::text", [1, "b"])
        self.assertEqual(cursor.fetchone(), ("b", 1, "b"))
