"""What psql completes when TAB is pressed: each asks the server."""

import unittest

import support

SCHEMA = "psql_terminal"


class Completion(unittest.TestCase):
    """One terminal for all: the session goes on whatever is typed."""

    @classmethod
    def setUpClass(cls):
        support.fresh(SCHEMA)
        cls.addClassCleanup(support.drop, SCHEMA)
        cls.terminal = support.Terminal(SCHEMA)
        cls.addClassCleanup(cls.terminal.close)
        cls.terminal.runs("PREPARE ready AS SELECT 1; LISTEN told;")

    def completes(self, line, *expected):
        """Exactly these."""
        self.assertEqual(self.terminal.completions(line), list(expected), line)

    def offers(self, line, *expected):
        """These among others."""
        found = self.terminal.completions(line)
        self.assertLessEqual(set(expected), set(found), line)

    def test_relations(self):
        self.completes("SELECT * FROM o", "orders", "orders_id_seq")
        self.completes("SELECT * FROM psql_terminal.c", "psql_terminal.customer")
        self.completes("SELECT * FROM pg_catalog.pg_cl", "pg_catalog.pg_class")
        self.offers("INSERT INTO ", "big", "customer", "orders", "information_schema.", "psql_terminal.")
        self.offers("TABLE ", "big", "totals", "numbers")
        self.completes("DROP INDEX orders_", "orders_customer", "orders_pkey", "orders_total")
        self.completes("DROP MATERIALIZED VIEW t", "totals")
        self.completes("ALTER SEQUENCE n", "numbers")
        self.completes("REFRESH MATERIALIZED VIEW t", "totals")
        self.completes("GRANT SELECT ON o", "orders", "orders_id_seq")
        self.offers("\\d p", "pair", "psql_terminal.", "public.")

    def test_columns(self):
        columns = ['"Mixed Case"', "customer", "id", "total"]
        self.completes("SELECT * FROM orders WHERE ", *columns)
        self.completes("UPDATE orders SET ", *columns)
        self.completes("INSERT INTO orders (", *columns)
        self.completes("ALTER TABLE orders DROP COLUMN ", *columns)
        self.completes("CREATE INDEX ON orders (", *columns)
        self.completes("ALTER TYPE pair ALTER ATTRIBUTE ", "a", "b")

    def test_what_belongs_to_a_table(self):
        self.completes(
            "ALTER TABLE orders DROP CONSTRAINT ", "orders_customer_fkey", "orders_pkey", "worth"
        )
        self.completes("CLUSTER orders USING ", "orders_customer", "orders_pkey", "orders_total")
        self.completes("ALTER DOMAIN positive DROP CONSTRAINT ", "positive_check")
        self.completes("ALTER TYPE mood RENAME VALUE ", "'happy'", "'sad'")

    def test_types_functions_and_their_arguments(self):
        self.completes("DROP TYPE moo", "mood")
        self.completes("DROP DOMAIN pos", "positive")
        self.completes("DROP AGGREGATE bool_or(", "boolean)")
        self.completes("DROP FUNCTION md5(", "bytea)", "text)")
        self.offers("ALTER TABLE orders ALTER id TYPE int", "int4", "int8", "integer")
        self.completes("CREATE DOMAIN d AS timestamp w")

    def test_names_of_the_server(self):
        self.offers("ALTER TABLE orders OWNER TO ", "postgres", "pg_monitor")
        self.offers("DROP DATABASE ", "postgres", "template1")
        self.offers("ALTER TABLE orders SET SCHEMA ", "psql_terminal", "public", "pg_catalog")
        self.completes("SET enable_seq", "enable_seqscan")
        self.completes("SHOW session_a")
        self.completes("SET enable_seqscan TO ", "0", "1", "DEFAULT", "FALSE", "NO", "OFF", "ON", "TRUE", "YES")
        self.offers("SET TimeZone TO ", "'Europe/Berlin'", "'UTC'")
        self.completes("SET TimeZone TO 'Europe/Berl", "Europe/Berlin")
        self.offers("SET default_transaction_isolation TO ", '"read committed"', "serializable")

    def test_what_the_session_has(self):
        self.completes("EXECUTE ", "ready")
        self.completes("DEALLOCATE ", "ALL", "ready")
        self.offers("UNLISTEN ", "told")
        self.terminal.runs("BEGIN; DECLARE walk CURSOR FOR SELECT 1;")
        self.completes("CLOSE ", "ALL", "walk")
        self.completes("MOVE NEXT FROM ", "walk")
        self.terminal.runs("ROLLBACK;")


if __name__ == "__main__":
    unittest.main()
