"""Every field of an error, as programs read them from `diag`."""

import psycopg
from support import Case


class Errors(Case):
    maxDiff = None

    def check(self, query, parameters=None, **expected):
        """Runs what fails, and compares all fields; those not named must be absent."""
        with self.assertRaises(psycopg.Error, msg=query) as caught:
            self.conn.execute(query, parameters)
        diag = caught.exception.diag
        names = {
            "sqlstate": "sqlstate",
            "message": "message_primary",
            "detail": "message_detail",
            "hint": "message_hint",
            "position": "statement_position",
            "schema": "schema_name",
            "table": "table_name",
            "column": "column_name",
            "datatype": "datatype_name",
            "constraint": "constraint_name",
        }
        got = {ours: getattr(diag, field) for ours, field in names.items()}
        got = {name: value for name, value in got.items() if value is not None}
        if "position" in expected:
            expected["position"] = str(expected["position"])
        self.assertEqual(got, expected, query)
        self.assertEqual((diag.severity, diag.severity_nonlocalized), ("ERROR", "ERROR"))
        return caught.exception

    def test_constraints(self):
        run, schema = self.conn.execute, self.schema
        run("CREATE TABLE p (a int, b text, PRIMARY KEY (a, b))")
        run(
            "CREATE TABLE c (id int UNIQUE, a int, b text NOT NULL, n int DEFAULT 1, "
            "CONSTRAINT positive CHECK (n > 0), CONSTRAINT up FOREIGN KEY (a, b) REFERENCES p)"
        )
        run("INSERT INTO p VALUES (1, 'x')")
        run("INSERT INTO c VALUES (1, 1, 'x')")
        error = self.check(
            "INSERT INTO c VALUES (%s, NULL, 'y')",
            [1],
            sqlstate="23505",
            message='duplicate key value violates unique constraint "c_id_key"',
            detail="Key (id)=(1) already exists.",
            schema=schema,
            table="c",
            constraint="c_id_key",
        )
        self.assertIsInstance(error, psycopg.errors.UniqueViolation)
        self.check(
            "INSERT INTO p VALUES (1, 'x')",
            sqlstate="23505",
            message='duplicate key value violates unique constraint "p_pkey"',
            detail="Key (a, b)=(1, x) already exists.",
            schema=schema,
            table="p",
            constraint="p_pkey",
        )
        error = self.check(
            "UPDATE c SET a = 2",
            sqlstate="23503",
            message='insert or update on table "c" violates foreign key constraint "up"',
            detail='Key (a, b)=(2, x) is not present in table "p".',
            schema=schema,
            table="c",
            constraint="up",
        )
        self.assertIsInstance(error, psycopg.errors.ForeignKeyViolation)
        self.check(
            "DELETE FROM p",
            sqlstate="23503",
            message='update or delete on table "p" violates foreign key constraint "up" on table "c"',
            detail='Key (a, b)=(1, x) is still referenced from table "c".',
            schema=schema,
            table="c",
            constraint="up",
        )
        self.check(
            "UPDATE c SET n = 0",
            sqlstate="23514",
            message='new row for relation "c" violates check constraint "positive"',
            detail="Failing row contains (1, 1, x, 0).",
            schema=schema,
            table="c",
            constraint="positive",
        )
        self.check(
            "INSERT INTO c (id) VALUES (2)",
            sqlstate="23502",
            message='null value in column "b" of relation "c" violates not-null constraint',
            detail="Failing row contains (2, null, null, 1).",
            schema=schema,
            table="c",
            column="b",
        )
        self.check(
            "CREATE UNIQUE INDEX again ON (SELECT 1)",
            sqlstate="42601",
            message='syntax error at or near "("',
            position=30,
        )
        run("INSERT INTO c VALUES (3, NULL, 'x')")
        self.check(
            "CREATE UNIQUE INDEX again ON c (b)",
            sqlstate="23505",
            message='could not create unique index "again"',
            detail="Key (b)=(x) is duplicated.",
            schema=schema,
            table="c",
            constraint="again",
        )
        self.check(
            "ALTER TABLE c ADD CONSTRAINT big CHECK (id > 1)",
            sqlstate="23514",
            message='check constraint "big" of relation "c" is violated by some row',
            schema=schema,
            table="c",
            constraint="big",
        )
        self.check(
            "ALTER TABLE c ALTER a SET NOT NULL",
            sqlstate="23502",
            message='column "a" of relation "c" contains null values',
            schema=schema,
            table="c",
            column="a",
        )

    def test_names(self):
        run = self.conn.execute
        run("CREATE TABLE t (name text, number int)")
        self.check(
            "SELECT 'ä', nam FROM t",
            sqlstate="42703",
            message='column "nam" does not exist',
            hint='Perhaps you meant to reference the column "t.name".',
            position=13,
        )
        self.check(
            "SELECT * FROM no_such_table",
            sqlstate="42P01",
            message='relation "no_such_table" does not exist',
            position=15,
        )
        self.check(
            "INSERT INTO t (name, nope) VALUES (%s, 1)",
            ["x"],
            sqlstate="42703",
            message='column "nope" of relation "t" does not exist',
            position=22,
        )
        self.check(
            "SELECT no_such_function(1, 'x')",
            sqlstate="42883",
            message="function no_such_function(integer, unknown) does not exist",
            hint="No function matches the given name and argument types. "
            "You might need to add explicit type casts.",
            position=8,
        )
        self.check(
            "SELECT 1 + true",
            sqlstate="42883",
            message="operator does not exist: integer + boolean",
            hint="No operator matches the given name and argument types. "
            "You might need to add explicit type casts.",
            position=10,
        )
        self.check(
            "SELECT a.number FROM t b",
            sqlstate="42P01",
            message='missing FROM-clause entry for table "a"',
            position=8,
        )
        self.check(
            "SELECT t.number FROM t b",
            sqlstate="42P01",
            message='invalid reference to FROM-clause entry for table "t"',
            hint='Perhaps you meant to reference the table alias "b".',
            position=8,
        )
        self.check(
            "SELECT number FROM t a, t b",
            sqlstate="42702",
            message='column reference "number" is ambiguous',
            position=8,
        )
        self.check(
            "SELECT name, count(*) FROM t",
            sqlstate="42803",
            message='column "t.name" must appear in the GROUP BY clause or be used in an aggregate function',
            position=8,
        )
        self.check(
            "CREATE TABLE t (i int)", sqlstate="42P07", message='relation "t" already exists'
        )
        self.check(
            "CREATE TABLE u (i no_such_type)",
            sqlstate="42704",
            message='type "no_such_type" does not exist',
            position=19,
        )
        self.check(
            "CREATE TABLE u (i int, i int)",
            sqlstate="42701",
            message='column "i" specified more than once',
        )
        self.check(
            "CREATE TABLE nowhere.u (i int)",
            sqlstate="3F000",
            message='schema "nowhere" does not exist',
            position=14,
        )
        self.check(
            "DROP TABLE nope",
            sqlstate="42P01",
            message='table "nope" does not exist',
        )
        self.check(
            "SET no_such_setting = 1",
            sqlstate="42704",
            message='unrecognized configuration parameter "no_such_setting"',
        )
        self.check(
            "SET statement_timeout = 'soon'",
            sqlstate="22023",
            message='invalid value for parameter "statement_timeout": "soon"',
        )

    def test_dependencies(self):
        self.conn.execute("CREATE TABLE t (i int PRIMARY KEY)")
        self.conn.execute("CREATE TABLE u (i int REFERENCES t)")
        self.check(
            "DROP TABLE t",
            sqlstate="2BP01",
            message="cannot drop table t because other objects depend on it",
            detail="constraint u_i_fkey on table u depends on table t",
            hint="Use DROP ... CASCADE to drop the dependent objects too.",
        )

    def test_syntax(self):
        self.check(
            "SELEC 1", sqlstate="42601", message='syntax error at or near "SELEC"', position=1
        )
        self.check(
            "SELECT 'ä→' FROM WHERE",
            sqlstate="42601",
            message='syntax error at or near "WHERE"',
            position=18,
        )
        self.check(
            "SELECT (1", sqlstate="42601", message="syntax error at end of input", position=10
        )
        self.check(
            "SELECT 'abc",
            sqlstate="42601",
            message='unterminated quoted string at or near "\'abc"',
            position=8,
        )
        self.check(
            'SELECT 1 AS ""',
            sqlstate="42601",
            message='zero-length delimited identifier at or near """"',
            position=13,
        )

    def test_values(self):
        self.conn.execute("CREATE TABLE t (v varchar(3), n numeric(4,1), s int2, d date)")
        self.check(
            "SELECT 'x1'::int",
            sqlstate="22P02",
            message='invalid input syntax for type integer: "x1"',
            position=8,
        )
        self.check(
            "SELECT %s::int",
            ["x1"],
            sqlstate="22P02",
            message='invalid input syntax for type integer: "x1"',
        )
        self.check("SELECT 1 / %s::int", [0], sqlstate="22012", message="division by zero")
        self.check("SELECT 2147483647 + 1", sqlstate="22003", message="integer out of range")
        self.check(
            "INSERT INTO t (v) VALUES ('abcd')",
            sqlstate="22001",
            message="value too long for type character varying(3)",
        )
        self.check(
            "INSERT INTO t (n) VALUES (1000)",
            sqlstate="22003",
            message="numeric field overflow",
            detail="A field with precision 4, scale 1 must round to an absolute value less than 10^3.",
        )
        self.check(
            "INSERT INTO t (s) VALUES (32768)", sqlstate="22003", message="smallint out of range"
        )
        self.check(
            "INSERT INTO t (d) VALUES ('2023-02-29')",
            sqlstate="22008",
            message='date/time field value out of range: "2023-02-29"',
            position=27,
        )
        self.check(
            "SELECT 'nodate'::date",
            sqlstate="22007",
            message='invalid input syntax for type date: "nodate"',
            position=8,
        )
        self.check(
            "INSERT INTO t (s) VALUES (true)",
            sqlstate="42804",
            message='column "s" is of type smallint but expression is of type boolean',
            hint="You will need to rewrite or cast the expression.",
            position=27,
        )
        self.check(
            "SELECT '{1,2'::int[]",
            sqlstate="22P02",
            message='malformed array literal: "{1,2"',
            detail="Unexpected end of input.",
            position=8,
        )
        self.check(
            "SELECT '{\"a\": nope}'::jsonb",
            sqlstate="22P02",
            message="invalid input syntax for type json",
            detail='Token "nope" is invalid.',
            position=8,
        )
        self.check(
            "SELECT 'not a uuid'::uuid",
            sqlstate="22P02",
            message='invalid input syntax for type uuid: "not a uuid"',
            position=8,
        )
        self.check(
            "SELECT 'x' ~ '('",
            sqlstate="2201B",
            message="invalid regular expression: parentheses () not balanced",
        )
        self.check(
            "SELECT (SELECT g FROM generate_series(1, 2) g)",
            sqlstate="21000",
            message="more than one row returned by a subquery used as an expression",
        )
        self.check(
            "SELECT sqrt(-1::float8)",
            sqlstate="2201F",
            message="cannot take square root of a negative number",
        )

    def test_protocol(self):
        self.check(
            "SELECT $1::int",
            sqlstate="42P02",
            message="there is no parameter $1",
            position=8,
        )
        self.check(
            "SELECT pg_typeof(%s)",
            [None],
            sqlstate="42P18",
            message="could not determine data type of parameter $1",
        )
        result = self.conn.pgconn.exec_prepared(b"nope", [])
        self.assertIn('prepared statement "nope" does not exist', result.get_error_message())
        self.conn.pgconn.prepare(b"once", b"SELECT 1")
        result = self.conn.pgconn.prepare(b"once", b"SELECT 1")
        self.assertIn('prepared statement "once" already exists', result.get_error_message())
