"""COPY in and out, as text, CSV and binary, of typed rows and of raw bytes."""

from datetime import date, datetime, timezone
from decimal import Decimal

import psycopg
from psycopg.types.json import Jsonb
from support import Case

TYPES = ["int4", "numeric", "text", "bytea", "date", "timestamptz", "int4[]", "jsonb", "bool"]
COLUMNS = ", ".join(f"c{at} {name}" for at, name in enumerate(TYPES))

ROWS = [
    (
        1,
        Decimal("1.50"),
        "a",
        b"\0\xff\\",
        date(2024, 2, 29),
        datetime(2024, 1, 1, tzinfo=timezone.utc),
        [1, None, 3],
        {"a": "x\ty"},
        True,
    ),
    (None,) * 9,
    (
        -2,
        Decimal("NaN"),
        "tab\tnewline\nreturn\rback\\slash\\N",
        b"",
        date.min,
        datetime(1, 1, 1, tzinfo=timezone.utc),
        [],
        [],
        False,
    ),
    (
        3,
        Decimal("1" + "0" * 40),
        "",
        b"\\x",
        date.max,
        datetime(9999, 1, 1, tzinfo=timezone.utc),
        [-1],
        {"q": "\"',"},
        True,
    ),
    (4, Decimal("0.00"), "\\.", b".", None, None, None, None, None),
]


def written(row):
    return [
        Jsonb(value) if at == 7 and value is not None else value for at, value in enumerate(row)
    ]


class Copy(Case):
    def setUp(self):
        super().setUp()
        self.conn.execute(f"CREATE TABLE t ({COLUMNS})")
        self.cursor = self.conn.cursor()

    def read(self, statement):
        with self.cursor.copy(statement) as copy:
            return b"".join(bytes(part) for part in copy)

    def write(self, statement, *parts):
        with self.cursor.copy(statement) as copy:
            for part in parts:
                copy.write(part)
        return self.cursor.rowcount

    def equal_rows(self, got):
        # NaN is not equal to itself.
        self.assertEqual(
            [list(map(str, row)) for row in got], [list(map(str, row)) for row in ROWS]
        )

    def test_typed_rows_in_and_out(self):
        with self.cursor.copy("COPY t FROM STDIN") as copy:
            copy.set_types(TYPES)
            for row in ROWS:
                copy.write_row(written(row))
        self.assertEqual((self.cursor.rowcount, self.cursor.statusmessage), (5, "COPY 5"))
        self.equal_rows(self.conn.execute("SELECT * FROM t").fetchall())
        with self.cursor.copy("COPY t TO STDOUT") as copy:
            copy.set_types(TYPES)
            self.equal_rows(copy.rows())

    def test_what_is_copied_out_can_be_copied_in(self):
        with self.cursor.copy("COPY t FROM STDIN") as copy:
            for row in ROWS:
                copy.write_row(written(row))
        for options in (
            "",
            "(FORMAT csv)",
            "(FORMAT csv, HEADER, DELIMITER ';', NULL 'none')",
            "(DELIMITER '|', NULL '')",
            "(FORMAT csv, QUOTE '''', ESCAPE '/')",
        ):
            if options == "(DELIMITER '|', NULL '')":
                # An empty text would read back as NULL.
                self.conn.execute("DELETE FROM t WHERE c2 = '' OR c3 = ''")
            with self.subTest(options=options):
                out = self.read(f"COPY t TO STDOUT {options}")
                self.conn.execute("CREATE TABLE u (LIKE t)")
                # In pieces that end anywhere: in the middle of a row, of an escape, of a character.
                parts = [out[at : at + 7] for at in range(0, len(out), 7)]
                count = self.write(f"COPY u FROM STDIN {options}", *parts)
                self.assertEqual(count, self.conn.execute("SELECT * FROM t").rowcount)
                self.assertEqual(self.read(f"COPY u TO STDOUT {options}"), out)
                self.conn.execute("DROP TABLE u")

    def test_typed_rows_in_and_out_in_binary(self):
        with self.cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(TYPES)
            for row in ROWS:
                copy.write_row(written(row))
        self.assertEqual(self.cursor.statusmessage, "COPY 5")
        self.equal_rows(self.conn.execute("SELECT * FROM t").fetchall())
        with self.cursor.copy("COPY t TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(TYPES)
            self.equal_rows(copy.rows())
        out = self.read("COPY t TO STDOUT (FORMAT binary)")
        self.conn.execute("CREATE TABLE u (LIKE t)")
        parts = [out[at : at + 7] for at in range(0, len(out), 7)]
        self.assertEqual(self.write("COPY u FROM STDIN (FORMAT binary)", *parts), 5)
        self.assertEqual(self.read("COPY u TO STDOUT (FORMAT binary)"), out)

    def test_the_bytes_of_binary(self):
        self.conn.execute("CREATE TABLE b (i int, x text)")
        header = b"PGCOPY\n\xff\r\n\0" + bytes(8)
        self.assertEqual(self.read("COPY b TO STDOUT (FORMAT binary)"), header + b"\xff\xff")
        self.conn.execute("INSERT INTO b VALUES (1, 'ab'), (NULL, '')")
        rows = b"\0\2\0\0\0\4\0\0\0\1\0\0\0\2ab" + b"\0\2\xff\xff\xff\xff\0\0\0\0"
        out = header + rows + b"\xff\xff"
        self.assertEqual(self.read("COPY b TO STDOUT BINARY"), out)
        self.conn.execute("DELETE FROM b")
        diag = self.refused("22P04", "COPY b FROM STDIN BINARY", header + rows + b"\0\1")
        self.assertEqual(diag.message_primary, "row field count is 1, expected 2")
        self.assertEqual(diag.context, "COPY b, line 3")
        wrong = b"\0\2\0\0\0\5\0\0\0\1\0\0\0\0\0"
        diag = self.refused("22P03", "COPY b FROM STDIN BINARY", header + wrong)
        self.assertEqual(diag.message_primary, "incorrect binary data format")
        self.assertEqual(diag.context, "COPY b, line 1, column i")

    def test_where_leaves_rows_out(self):
        self.conn.execute("CREATE TABLE b (i int, x text DEFAULT 'none')")
        self.assertEqual(self.write("COPY b FROM STDIN WHERE i > 1", b"1\ta\n2\tb\n\\N\tc\n"), 1)
        self.assertEqual(self.write("COPY b (i) FROM STDIN WHERE x = 'none'", b"7\n"), 1)
        rows = self.conn.execute("SELECT i, x FROM b ORDER BY i").fetchall()
        self.assertEqual(rows, [(2, "b"), (7, "none")])
        self.conn.execute("DELETE FROM b")
        diag = self.refused("22012", "COPY b FROM STDIN WHERE 1 / i > 0", b"0\ta\n")
        self.assertEqual(diag.context, 'COPY b, line 1: "0\ta"')
        self.refused("0A000", "COPY b FROM STDIN WHERE (SELECT true)", b"")
        self.refused("42803", "COPY b FROM STDIN WHERE count(*) > 0", b"")
        self.refused("42804", "COPY b FROM STDIN WHERE i", b"")

    def test_what_a_change_returns_is_copied_out(self):
        self.conn.execute("CREATE TABLE b (i int, x text)")
        out = self.read("COPY (INSERT INTO b VALUES (1, 'a'), (2, 'b') RETURNING x, i) TO STDOUT")
        self.assertEqual(out, b"a\t1\nb\t2\n")
        self.assertEqual(self.read("COPY (DELETE FROM b WHERE i = 1 RETURNING i) TO STDOUT"), b"1\n")
        self.assertEqual(self.value("SELECT string_agg(x, ',') FROM b"), "b")
        with self.assertRaises(psycopg.errors.FeatureNotSupported) as caught:
            self.read("COPY (DELETE FROM b) TO STDOUT")
        self.assertEqual(
            caught.exception.diag.message_primary, "COPY query must have a RETURNING clause"
        )

    def test_the_bytes_of_both_formats(self):
        self.conn.execute("CREATE TABLE b (i int, x text)")
        self.conn.execute(
            "INSERT INTO b VALUES (1, E'a\\tb\\\\'), (2, NULL), (3, ''), (NULL, 'q\"q,')"
        )
        self.assertEqual(self.read("COPY b TO STDOUT"), b'1\ta\\tb\\\\\n2\t\\N\n3\t\n\\N\tq"q,\n')
        self.assertEqual(
            self.read("COPY b TO STDOUT (FORMAT csv, HEADER)"),
            b'i,x\n1,a\tb\\\n2,\n3,""\n,"q""q,"\n',
        )
        self.assertEqual(
            self.read("COPY (SELECT x, i FROM b WHERE i > 1 ORDER BY i DESC) TO STDOUT"),
            b"\t3\n\\N\t2\n",
        )
        self.assertEqual(self.read("COPY b (x) TO STDOUT CSV"), b'a\tb\\\n\n""\n"q""q,"\n')

    def test_columns_and_defaults(self):
        self.conn.execute(
            "CREATE TABLE d (id int GENERATED BY DEFAULT AS IDENTITY, x text DEFAULT 'none', y int)"
        )
        self.write("COPY d (y) FROM STDIN", b"10\n20\n")
        self.write("COPY d (y, x) FROM STDIN (FORMAT csv)", b'30,"a\nb"\n40,\n50,""\n')
        self.assertEqual(
            self.conn.execute("SELECT * FROM d").fetchall(),
            [(1, "none", 10), (2, "none", 20), (3, "a\nb", 30), (4, None, 40), (5, "", 50)],
        )

    def test_line_ends(self):
        self.conn.execute("CREATE TABLE b (i int, x text)")
        self.assertEqual(self.write("COPY b FROM STDIN", b"1\ta\r\n2\tb\r\n"), 2)
        self.assertEqual(self.write("COPY b FROM STDIN", b"3\tc\n4\td"), 2)
        self.assertEqual(self.write("COPY b FROM STDIN", b"5\te\n\\.\n"), 1)
        self.assertEqual(self.write("COPY b FROM STDIN (FORMAT csv)", b"6,f\r\n7,g"), 2)
        got = self.conn.execute("SELECT string_agg(i || x, ' ' ORDER BY i) FROM b").fetchone()
        self.assertEqual(got, ("1a 2b 3c 4d 5e 6f 7g",))

    def refused(self, sqlstate, statement, data):
        with self.assertRaises(psycopg.Error) as caught:
            self.write(statement, data)
        self.assertEqual(caught.exception.sqlstate, sqlstate, caught.exception)
        self.assertEqual(self.value("SELECT count(*) FROM b"), 0)
        return caught.exception.diag

    def test_errors_say_where(self):
        self.conn.execute("CREATE TABLE b (i int PRIMARY KEY, x varchar(3) NOT NULL)")
        diag = self.refused("22P02", "COPY b FROM STDIN", b"1\ta\nx\tb\n")
        self.assertEqual(diag.message_primary, 'invalid input syntax for type integer: "x"')
        self.assertEqual(diag.context, 'COPY b, line 2, column i: "x"')
        diag = self.refused("22P04", "COPY b FROM STDIN", b"1\ta\n2\n")
        self.assertEqual(diag.message_primary, 'missing data for column "x"')
        self.assertEqual(diag.context, 'COPY b, line 2: "2"')
        diag = self.refused("22P04", "COPY b FROM STDIN", b"1\ta\tb\n")
        self.assertEqual(diag.message_primary, "extra data after last expected column")
        diag = self.refused("23505", "COPY b FROM STDIN", b"1\ta\n1\tb\n")
        self.assertEqual((diag.table_name, diag.constraint_name), ("b", "b_pkey"))
        self.assertEqual(diag.message_detail, "Key (i)=(1) already exists.")
        self.assertEqual(diag.context, "COPY b, line 2")
        diag = self.refused("23502", "COPY b FROM STDIN", b"1\t\\N\n")
        self.assertEqual((diag.table_name, diag.column_name), ("b", "x"))
        self.assertEqual(diag.context, 'COPY b, line 1: "1\t\\N"')
        diag = self.refused("22001", "COPY b FROM STDIN", b"1\tabcd\n")
        self.assertEqual(diag.context, 'COPY b, line 1, column x: "abcd"')
        diag = self.refused("22P04", "COPY b FROM STDIN CSV", b'1,"abc\n')
        self.assertEqual(diag.message_primary, "unterminated CSV quoted field")
        diag = self.refused("22021", "COPY b FROM STDIN", b"1\t\xff\n")
        self.assertEqual(diag.message_primary, 'invalid byte sequence for encoding "UTF8": 0xff')

    def test_a_client_that_gives_up(self):
        with self.assertRaises(ZeroDivisionError):
            with self.cursor.copy("COPY t (c0) FROM STDIN") as copy:
                copy.write(b"1\n")
                raise ZeroDivisionError("enough")
        self.assertEqual(self.value("SELECT count(*) FROM t"), 0)
        with self.assertRaises(ZeroDivisionError):
            with self.cursor.copy(
                "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"
            ) as copy:
                for _part in copy:
                    raise ZeroDivisionError("enough")
        self.assertEqual(self.value("SELECT 1"), 1)

    def test_a_copy_is_part_of_its_transaction(self):
        with self.conn.transaction(force_rollback=True):
            self.write("COPY t (c0) FROM STDIN", b"1\n2\n")
            self.assertEqual(self.value("SELECT count(*) FROM t"), 2)
        self.assertEqual(self.value("SELECT count(*) FROM t"), 0)

    def test_many_rows(self):
        self.conn.execute("CREATE TABLE b (i int, x text)")
        with self.cursor.copy("COPY b FROM STDIN") as copy:
            for at in range(20_000):
                copy.write_row((at, f"row {at}"))
        self.assertEqual(self.value("SELECT sum(i) FROM b"), 199990000)
        with self.cursor.copy("COPY b TO STDOUT") as copy:
            total = sum(int(i) for i, _ in copy.rows())
        self.assertEqual(total, 199990000)

    def test_unknown_relations_and_columns(self):
        with self.assertRaises(psycopg.errors.UndefinedTable):
            self.read("COPY no_such_table TO STDOUT")
        with self.assertRaises(psycopg.errors.UndefinedColumn):
            self.read("COPY t (nope) TO STDOUT")
