"""Values both ways, which asyncpg sends and reads in binary: built-in types, arrays, own types, codecs."""

import datetime as dt
import ipaddress
import json
import math
import uuid
from decimal import Decimal

import asyncpg
from support import Case

UTC = dt.timezone.utc

# A type, and values of it that have to come back equal.
ROUND_TRIPS = [
    ("bool", [True, False]),
    ("int2", [0, -32768, 32767]),
    ("int4", [0, -(2**31), 2**31 - 1]),
    ("int8", [0, -(2**63), 2**63 - 1]),
    ("oid", [0, 2**32 - 1]),
    ("float4", [0.0, 1.5, -0.25, math.inf, -math.inf]),
    ("float8", [0.1, 1e308, 5e-324, -math.inf]),
    (
        "numeric",
        [
            Decimal("0"),
            Decimal("-1.10"),
            Decimal("1E+30"),
            Decimal("12345678901234567890.123456789012345678901"),
            Decimal("0.000000000000000000000000000001"),
            Decimal("Infinity"),
            Decimal("-Infinity"),
        ],
    ),
    ("text", ["", "a\tb\nc", "äöü 漢字 🦀", "x" * 100_000]),
    ("varchar(5)", ["", "abcde"]),
    ("char(3)", ["abc", "a  "]),
    ("name", ["a_name"]),
    ("bytea", [b"", bytes(range(256))]),
    ("date", [dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)]),
    ("time", [dt.time(0), dt.time(23, 59, 59, 999999)]),
    (
        "timetz",
        [
            dt.time(12, 30, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
            dt.time(1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=-8))),
        ],
    ),
    ("timestamp", [dt.datetime(1, 1, 1), dt.datetime(2024, 2, 29, 1, 2, 3, 456789)]),
    (
        "timestamptz",
        [
            dt.datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC),
            dt.datetime(1900, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=9))),
        ],
    ),
    (
        "interval",
        [
            dt.timedelta(0),
            dt.timedelta(days=40, hours=5, microseconds=7),
            dt.timedelta(days=-1, seconds=-1),
        ],
    ),
    ("uuid", [uuid.UUID(int=0), uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")]),
    ("json", ['{"b": 1,  "a": [1, null]}']),
    ("jsonb", ['{"a": [1, null], "b": 1}', "null", '"x"', "1.50"]),
    ("inet", [ipaddress.ip_address("::1"), ipaddress.ip_interface("10.1.2.3/8")]),
    ("cidr", [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")]),
    ("macaddr", ["08:00:2b:01:02:03"]),
    ("bit(5)", [asyncpg.BitString("10110")]),
    ("varbit", [asyncpg.BitString(""), asyncpg.BitString("101" * 9)]),
    ("money", ["$1,234.50", "-$0.01"]),
    ("point", [asyncpg.Point(1.5, -2)]),
    ("tid", [(3, 4)]),
]


class Builtin(Case):
    async def test_round_trips(self):
        for type_name, values in ROUND_TRIPS:
            for value in values:
                with self.subTest(type=type_name, value=str(value)[:40]):
                    got = await self.conn.fetchval(f"SELECT $1::{type_name}", value)
                    self.assertEqual(got, value)
                    self.assertIsInstance(got, type(value))

    async def test_arrays_of_all_of_them(self):
        # In one statement, since asyncpg asks the catalog about all of its types at once.
        arrays = [f"${at + 1}::{type_name}[]" for at, (type_name, _) in enumerate(ROUND_TRIPS)]
        sent = [[*values, None] for _, values in ROUND_TRIPS]
        got = await self.conn.fetchrow(f"SELECT {', '.join(arrays)}", *sent)
        for (type_name, _), came_back, went in zip(ROUND_TRIPS, got, sent):
            with self.subTest(type=type_name):
                self.assertEqual(came_back, went)

    async def test_a_table_of_them(self):
        columns = [f"c{at} {type_name}" for at, (type_name, _) in enumerate(ROUND_TRIPS)]
        await self.conn.execute(f"CREATE TABLE t ({', '.join(columns)})")
        marks = ", ".join(f"${at + 1}" for at in range(len(columns)))
        first = [values[0] for _, values in ROUND_TRIPS]
        last = [values[-1] for _, values in ROUND_TRIPS]
        nothing = [None] * len(columns)
        insert = await self.conn.prepare(f"INSERT INTO t VALUES ({marks})")
        self.assertEqual(
            [p.name for p in insert.get_parameters()][:4], ["bool", "int2", "int4", "int8"]
        )
        for row in (first, last, nothing):
            await insert.fetch(*row)
        self.assertEqual(
            [list(row) for row in await self.conn.fetch("SELECT * FROM t")],
            [first, last, nothing],
        )

    async def test_nan_and_negative_zero(self):
        for type_name in ("float4", "float8"):
            got = await self.conn.fetchval(f"SELECT $1::{type_name}", math.nan)
            self.assertTrue(math.isnan(got))
            got = await self.conn.fetchval(f"SELECT $1::{type_name}", -0.0)
            self.assertEqual(math.copysign(1, got), -1)
        got = await self.conn.fetchval("SELECT $1::numeric", Decimal("NaN"))
        self.assertTrue(got.is_nan())

    async def test_infinite_dates_are_the_ends_of_pythons(self):
        row = await self.conn.fetchrow(
            "SELECT 'infinity'::date, '-infinity'::date, 'infinity'::timestamp, '-infinity'::timestamptz"
        )
        self.assertEqual(
            list(row),
            [dt.date.max, dt.date.min, dt.datetime.max, dt.datetime.min],
        )
        got = await self.conn.fetchval("SELECT $1::timestamp::text", dt.datetime.max)
        self.assertEqual(got, "infinity")

    async def test_months_of_intervals(self):
        got = await self.conn.fetchval("SELECT '1 year 2 mons 3 days 04:05:06.7'::interval")
        self.assertEqual(
            got, dt.timedelta(days=365 + 2 * 30 + 3, hours=4, minutes=5, seconds=6.7)
        )

    async def test_arrays_of_more_dimensions(self):
        for value in ([], [[1, 2], [3, None]], [[[1], [2]], [[3], [4]]]):
            self.assertEqual(await self.conn.fetchval("SELECT $1::int[]", value), value)
        self.assertEqual(
            await self.conn.fetchval("SELECT $1::text[]::text", [["a b", 'c"'], ["", None]]),
            '{{"a b","c\\""},{"",NULL}}',
        )
        # A lower bound of one's own is not Python's.
        self.assertEqual(await self.conn.fetchval("SELECT '[5:6]={1,2}'::int[]"), [1, 2])
        error = await self.fails(
            asyncpg.DataError, self.conn.fetchval("SELECT $1::int[]", [[1], [2, 3]])
        )
        self.assertIn("non-homogeneous array", str(error))

    async def test_lists_as_parameters(self):
        got = await self.conn.fetch(
            "SELECT i FROM generate_series(1, 9) i WHERE i = ANY($1::int[]) ORDER BY i", [7, 3, 99]
        )
        self.assertEqual([row["i"] for row in got], [3, 7])
        got = await self.conn.fetch(
            "SELECT * FROM unnest($1::int[], $2::text[]) AS t (i, x)", [1, 2, 3], ["a", "b"]
        )
        self.assertEqual([tuple(row) for row in got], [(1, "a"), (2, "b"), (3, None)])

    async def test_unnamed_rows(self):
        got = await self.conn.fetchval("SELECT (1, 'x'::text, NULL::int, (true, 2.5))")
        self.assertEqual(got, (1, "x", None, (True, Decimal("2.5"))))
        got = await self.conn.fetchval("SELECT array_agg(r) FROM (VALUES (1, 'a'), (2, 'b')) r")
        self.assertEqual([tuple(row) for row in got], [(1, "a"), (2, "b")])

    async def test_values_out_of_range_stay_at_home(self):
        error = await self.fails(
            asyncpg.DataError, self.conn.fetchval("SELECT $1::int2", 32768)
        )
        self.assertIn("value out of int16 range", str(error))
        error = await self.fails(asyncpg.DataError, self.conn.fetchval("SELECT $1::int", "1"))
        self.assertIn("'str' object cannot be interpreted as an integer", str(error))


class Own(Case):
    async def test_enums(self):
        await self.conn.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')")
        self.assertEqual(await self.conn.fetchval("SELECT $1::mood", "ok"), "ok")
        got = await self.conn.fetchval("SELECT $1::mood[]", ["happy", None, "sad"])
        self.assertEqual(got, ["happy", None, "sad"])
        self.assertTrue(await self.conn.fetchval("SELECT $1::mood < 'happy'", "sad"))
        error = await self.fails(
            asyncpg.InvalidTextRepresentationError,
            self.conn.fetchval("SELECT $1::mood", "bored"),
        )
        self.assertEqual(str(error), 'invalid input value for enum mood: "bored"')

    async def test_domains(self):
        await self.conn.execute("CREATE DOMAIN small AS int CHECK (VALUE < 10)")
        await self.conn.execute("CREATE DOMAIN words AS text[]")
        self.assertEqual(await self.conn.fetchval("SELECT $1::small", 9), 9)
        self.assertEqual(await self.conn.fetchval("SELECT $1::words", ["a", "b"]), ["a", "b"])
        error = await self.fails(
            asyncpg.CheckViolationError, self.conn.fetchval("SELECT $1::small", 10)
        )
        self.assertEqual((error.data_type_name, error.constraint_name), ("small", "small_check"))

    async def test_composites(self):
        await self.conn.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        await self.conn.execute("CREATE TYPE point3 AS (x float8, y float8, z float8)")
        await self.conn.execute("CREATE TYPE thing AS (name text, at point3, moods mood[])")
        thing = ("a", (1.0, None, 3.0), ["ok", "sad"])
        got = await self.conn.fetchval("SELECT $1::thing", thing)
        self.assertEqual((got["name"], got["at"]["z"], got["moods"]), ("a", 3.0, ["ok", "sad"]))
        self.assertEqual(tuple(got), thing)
        got = await self.conn.fetchval("SELECT $1::thing[]", [thing, None])
        self.assertEqual([got[0] and tuple(got[0]), got[1]], [thing, None])
        got = await self.conn.fetchval(
            "SELECT ($1::thing).at.z", {"name": "b", "at": {"x": 1, "y": 2, "z": 4}}
        )
        self.assertEqual(got, 4)
        await self.conn.execute("CREATE TABLE t (i int PRIMARY KEY, it thing)")
        await self.conn.execute("INSERT INTO t VALUES ($1, $2)", 1, thing)
        row = await self.conn.fetchval("SELECT t FROM t")
        self.assertEqual((row["i"], tuple(row["it"])), (1, thing))

    async def test_a_type_made_anew(self):
        await self.conn.execute("CREATE TYPE pair AS (a int, b int)")
        self.assertEqual(tuple(await self.conn.fetchval("SELECT '(1,2)'::pair")), (1, 2))
        await self.conn.execute("DROP TYPE pair")
        await self.conn.execute("CREATE TYPE pair AS (a int, b text, c int)")
        self.assertEqual(tuple(await self.conn.fetchval("SELECT '(1,x,3)'::pair")), (1, "x", 3))

    async def test_introspection_by_another_session(self):
        await self.conn.execute("CREATE TYPE inner_type AS (a int, b text[])")
        await self.conn.execute("CREATE DOMAIN outer_type AS inner_type")
        other = await self.session(statement_cache_size=0)
        got = await other.fetch("SELECT '(1,\"{x,y}\")'::outer_type AS it FROM generate_series(1, 2)")
        self.assertEqual([tuple(row["it"]) for row in got], [(1, ["x", "y"])] * 2)


class Codecs(Case):
    async def test_json(self):
        for name in ("json", "jsonb"):
            await self.conn.set_type_codec(
                name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
            value = {"a": [1, 2.5, None], "ü": {"b": "x\ny"}, "c": True}
            self.assertEqual(await self.conn.fetchval(f"SELECT $1::{name}", value), value)
            got = await self.conn.fetchval(f"SELECT $1::{name}[]", [value, 1, "x", None])
            self.assertEqual(got, [value, 1, "x", None])
        await self.conn.execute("CREATE TABLE t (i int, doc jsonb)")
        await self.conn.executemany(
            "INSERT INTO t VALUES ($1, $2)", [(i, {"n": i, "odd": i % 2 == 1}) for i in range(10)]
        )
        got = await self.conn.fetchval(
            "SELECT jsonb_agg(doc -> 'n' ORDER BY i) FROM t WHERE doc @> $1", {"odd": True}
        )
        self.assertEqual(got, [1, 3, 5, 7, 9])
        await self.conn.reset_type_codec("jsonb", schema="pg_catalog")
        self.assertEqual(await self.conn.fetchval("SELECT '[1]'::jsonb"), "[1]")

    async def test_text(self):
        await self.conn.set_type_codec(
            "numeric", encoder=str, decoder=float, schema="pg_catalog", format="text"
        )
        self.assertEqual(await self.conn.fetchval("SELECT $1::numeric / 4", 1), 0.25)

    async def test_tuple(self):
        # Microseconds, days, months.
        await self.conn.set_type_codec(
            "interval",
            encoder=lambda value: value,
            decoder=lambda value: value,
            schema="pg_catalog",
            format="tuple",
        )
        got = await self.conn.fetchval("SELECT '1 year -2 days 3 us'::interval")
        self.assertEqual(got, (12, -2, 3))
        got = await self.conn.fetchval("SELECT $1::interval::text", (1, 2, 3_000_000))
        self.assertEqual(got, "1 mon 2 days 00:00:03")

    async def test_an_enum_of_python(self):
        await self.conn.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        await self.conn.set_type_codec(
            "mood", encoder=str.lower, decoder=str.upper, schema=self.schema, format="text"
        )
        self.assertEqual(await self.conn.fetchval("SELECT $1::mood", "OK"), "OK")
        self.assertEqual(await self.conn.fetchval("SELECT $1::mood[]", ["SAD"]), ["SAD"])
