"""Every type in all four ways: text and binary, as a parameter and as a result, byte for byte."""

import struct

from psycopg import pq
from support import Case, table_of_values

TEXT, BINARY = 0, 1


def quoted(element):
    """An element as array_out prints it."""
    if element is None:
        return "NULL"
    if element == "" or element.upper() == "NULL" or any(c in '{}",\\ \t\n\r\v\f' for c in element):
        return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return element


def array_text(elements):
    return "{" + ",".join(map(quoted, elements)) + "}"


def array_binary(oid, elements, lower=1):
    if not elements:
        return struct.pack("!iiI", 0, 0, oid)
    nulls = int(None in elements)
    data = struct.pack("!iiIii", 1, nulls, oid, len(elements), lower)
    for element in elements:
        if element is None:
            data += struct.pack("!i", -1)
        else:
            data += struct.pack("!i", len(element)) + element
    return data


class Values(Case):
    def setUp(self):
        super().setUp()
        self.by_type = {}
        for type_name, *row in table_of_values():
            self.by_type.setdefault(type_name, []).append(row)

    def ask(self, query, parameter, parameter_format, result_format):
        """One value in, one value out, in raw bytes through libpq."""
        result = self.conn.pgconn.exec_params(
            query.encode(), [parameter], None, [parameter_format], result_format
        )
        self.assertEqual(
            result.status, pq.ExecStatus.TUPLES_OK, (query, parameter, result.error_message)
        )
        return result.get_value(0, 0)

    def oid(self, type_name):
        return int(self.ask("SELECT $1::regtype::oid", type_name.encode(), TEXT, TEXT))

    def all_ways(self, type_name, written, printed, binary):
        query = f"SELECT $1::{type_name}"
        for parameter, parameter_format in ((written, TEXT), (printed, TEXT), (binary, BINARY)):
            for expected, result_format in ((printed, TEXT), (binary, BINARY)):
                with self.subTest(type=type_name, parameter=parameter, result=result_format):
                    answer = self.ask(query, parameter, parameter_format, result_format)
                    self.assertEqual(answer, expected)

    def test_a_value_is_the_same_in_all_ways(self):
        for type_name, rows in self.by_type.items():
            for written, printed, binary in rows:
                self.all_ways(type_name, written.encode(), printed.encode(), binary)

    def test_null_is_null_in_all_ways(self):
        for type_name in self.by_type:
            for name in (type_name, type_name + "[]"):
                for result_format in (TEXT, BINARY):
                    with self.subTest(type=name, result=result_format):
                        query = f"SELECT $1::{name}"
                        self.assertIsNone(self.ask(query, None, BINARY, result_format))

    def test_arrays_of_every_type(self):
        for type_name, rows in self.by_type.items():
            oid = self.oid(type_name)
            written = [row[0] for row in rows] + [None]
            printed = [row[1] for row in rows] + [None]
            binary = [row[2] for row in rows] + [None]
            self.all_ways(
                type_name + "[]",
                array_text(written).encode(),
                array_text(printed).encode(),
                array_binary(oid, binary),
            )
            self.all_ways(type_name + "[]", b" { } ", b"{}", array_binary(oid, []))
            text, data = array_text(printed[:1]), array_binary(oid, binary[:1], lower=-3)
            self.all_ways(
                type_name + "[]", f"[-3:-3] = {text}".encode(), f"[-3:-3]={text}".encode(), data
            )

    def test_stored_values_come_back(self):
        for number, (type_name, rows) in enumerate(self.by_type.items()):
            self.conn.execute(f"CREATE TABLE v{number} (id int, v {type_name}, a {type_name}[])")
            oid = self.oid(type_name)
            for at, (_, printed, binary) in enumerate(rows):
                insert = f"INSERT INTO v{number} VALUES ($1, $2, $3)"
                array = array_binary(oid, [binary, None])
                array_printed = array_text([printed, None]).encode()
                self.conn.pgconn.exec_params(
                    insert.encode(), [b"%d" % at, printed.encode(), array], None, [0, 0, 1], TEXT
                )
                select = f"SELECT v, a FROM v{number} WHERE id = $1".encode()
                for result_format in (TEXT, BINARY):
                    with self.subTest(type=type_name, value=printed, result=result_format):
                        result = self.conn.pgconn.exec_params(
                            select, [b"%d" % at], None, [TEXT], result_format
                        )
                        self.assertEqual(result.ntuples, 1, result.error_message)
                        got = (result.get_value(0, 0), result.get_value(0, 1))
                        expected = (
                            (printed.encode(), array_printed)
                            if result_format == TEXT
                            else (binary, array)
                        )
                        self.assertEqual(got, expected)
                if type_name != "json":
                    found = self.ask(
                        f"SELECT count(*) FROM v{number} WHERE id = {at} AND v = $1",
                        binary,
                        BINARY,
                        TEXT,
                    )
                    self.assertEqual(found, b"1", (type_name, printed))

    def test_a_thousand_digits(self):
        digits = ("1234567890" * 100).encode()
        for text in (digits, b"-0." + digits, digits + b"." + digits):
            binary = self.ask("SELECT $1::numeric", text, TEXT, BINARY)
            self.all_ways("numeric", text, text, binary)

    def test_a_megabyte(self):
        text = "ä→😀\n" * 100_000
        self.all_ways("text", text.encode(), text.encode(), text.encode())
        data = bytes(range(256)) * 4096
        self.all_ways("bytea", b"\\x" + data.hex().encode(), b"\\x" + data.hex().encode(), data)

    def test_malformed_binary_is_refused(self):
        for type_name, data, sqlstate in (
            ("int4", b"\0\0\0", "08P01"),
            ("int4", b"\0\0\0\0\0", "22P03"),
            ("bool", b"", "08P01"),
            ("uuid", b"\0" * 15, "08P01"),
            ("text", b"\xff", "22021"),
            ("text", b"a\0b", "22021"),
            ("jsonb", b"\x02{}", "XX000"),
            ("json", b"{", "22P02"),
            ("numeric", b"\0\1\0\0\0\0\0\0\x27\x10", "22P03"),
            ("timestamp", b"\x80\0\0\0\0\0\0\1", "22008"),
            ("date", b"\x7f\xff\xff\xfe", "22008"),
            ("int4[]", array_binary(20, [b"\0" * 8]), "42804"),
            ("int4[]", struct.pack("!iiI", 7, 0, 23), "54000"),
            ("int4[]", struct.pack("!iiIii", 1, 0, 23, 1 << 30, 1), "54000"),
        ):
            with self.subTest(type=type_name, data=data):
                result = self.conn.pgconn.exec_params(
                    f"SELECT $1::{type_name}".encode(), [data], None, [BINARY], TEXT
                )
                self.assertEqual(result.error_field(pq.DiagnosticField.SQLSTATE), sqlstate.encode())
