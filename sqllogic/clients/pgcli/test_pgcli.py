"""pgcli without its terminal: what it asks to complete names, and its backslash commands."""

import os
import unittest

from pgcli.pgexecute import PGExecute
from pgspecial.main import PGSpecial
from psycopg.conninfo import conninfo_to_dict

SCHEMA = "pgcli_suite"

OBJECTS = f"""
CREATE SCHEMA {SCHEMA};
SET search_path = {SCHEMA};
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', feels mood);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customer, total numeric(10,2));
CREATE VIEW big AS SELECT id, total FROM orders WHERE total > 100;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
INSERT INTO customer VALUES (1, 'Ann', 'happy');
"""


def execute():
    """A connection as pgcli makes it."""
    dsn = conninfo_to_dict(os.environ["AEGIS_CLIENTS_DSN"])
    return PGExecute(dsn["dbname"], dsn["user"], None, dsn["host"], dsn["port"], None, application_name="pgcli")


class Pgcli(unittest.TestCase):
    """One connection over one schema."""

    @classmethod
    def setUpClass(cls):
        cls.pgcli = execute()
        cls.addClassCleanup(cls.pgcli.conn.close)
        cls.pgcli.conn.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        cls.pgcli.conn.execute(OBJECTS)
        cls.addClassCleanup(cls.pgcli.conn.execute, f"DROP SCHEMA {SCHEMA} CASCADE")

    def here(self, rows):
        """Those of the schema, without its name."""
        return sorted(tuple(row)[1:] for row in rows if row[0] == SCHEMA)

    def test_completion_learns_the_schema(self):
        self.assertEqual(self.pgcli.search_path(), ["pg_catalog", SCHEMA])
        self.assertLessEqual({SCHEMA, "public", "pg_catalog", "information_schema"}, set(self.pgcli.schemata()))
        self.assertEqual(self.here(self.pgcli.tables()), [("customer",), ("orders",)])
        self.assertEqual(self.here(self.pgcli.views()), [("big",), ("totals",)])
        self.assertEqual(
            self.here(self.pgcli.table_columns()),
            [
                ("customer", "feels", "mood", False, None),
                ("customer", "id", "integer", False, None),
                ("customer", "name", "text", True, "'x'::text"),
                ("orders", "customer", "integer", False, None),
                ("orders", "id", "integer", False, None),
                ("orders", "total", "numeric", False, None),
            ],
        )
        self.assertEqual([row[:2] for row in self.here(self.pgcli.view_columns())], [
            ("big", "id"), ("big", "total"), ("totals", "customer"), ("totals", "sum"),
        ])
        self.assertEqual(self.here(self.pgcli.datatypes()), [("mood",), ("pair",)])
        keys = [key for key in self.pgcli.foreignkeys() if key.childschema == SCHEMA]
        self.assertEqual([(key.childtable, key.childcolumn, key.parenttable, key.parentcolumn) for key in keys], [
            ("orders", "customer", "customer", "id"),
        ])
        self.assertIn("postgres", self.pgcli.databases())
        functions = {(meta.func_name, meta.is_aggregate, meta.is_set_returning) for meta in self.pgcli.functions()}
        self.assertLessEqual({("lower", False, False), ("sum", True, False), ("generate_series", False, True)}, functions)
        # No function of a user is there whose words could be taken.
        self.assertEqual(list(self.pgcli.casing()), [])
        self.assertTrue(self.pgcli.get_timezone())
        self.assertEqual(self.pgcli.view_definition("big").split()[:5], ["CREATE", "OR", "REPLACE", "VIEW", f'"{SCHEMA}"."big"'])

    def shown(self, command):
        """The titles, heads and rows of a command."""
        results = []
        for title, rows, head, *_ in self.pgcli.run(command, PGSpecial()):
            results.append((title, list(head or []), [tuple(row) for row in rows or []]))
        return results

    def test_commands_describe(self):
        ((_, head, rows),) = self.shown(r"\dt")
        self.assertEqual(head, ["Schema", "Name", "Type", "Owner"])
        self.assertEqual([row[1] for row in rows], ["customer", "orders"])
        ((_, head, rows),) = self.shown(r"\d orders")
        self.assertEqual(head, ["Column", "Type", "Modifiers"])
        self.assertEqual([row[:2] for row in rows], [
            ("id", "integer"), ("customer", "integer"), ("total", "numeric(10,2)"),
        ])
        for command in (r"\d", r"\d+ orders", r"\dv", r"\dm", r"\di", r"\dn", r"\du", r"\l", r"\dT", r"\df lower", r"\dp"):
            ((_, head, rows),) = self.shown(command)
            self.assertTrue(head and rows, command)
        ((_, _, rows),) = self.shown("SELECT name FROM customer")
        self.assertEqual(rows, [("Ann",)])


if __name__ == "__main__":
    unittest.main()
