"""Roles and privileges as psycopg sees them: the error classes, and what libpq is told of the role."""

import psycopg
from psycopg import errors

from support import Case, connect


class Access(Case):
    def setUp(self):
        super().setUp()
        self.conn.execute("DROP ROLE IF EXISTS psycopg_reader")
        self.conn.execute("CREATE ROLE psycopg_reader LOGIN")
        self.addCleanup(self.drop_role)

    def drop_role(self):
        with connect() as conn:
            conn.execute("DROP OWNED BY psycopg_reader CASCADE")
            conn.execute("DROP ROLE psycopg_reader")

    def test_what_is_not_granted_is_refused(self):
        self.conn.execute("CREATE TABLE kept (open int, closed int)")
        self.conn.execute(f"GRANT USAGE ON SCHEMA {self.schema} TO psycopg_reader")
        self.conn.execute("GRANT SELECT (open) ON kept TO psycopg_reader")
        reader = self.session()
        reader.execute("SET ROLE psycopg_reader")
        self.assertEqual(reader.execute("SELECT open FROM kept").fetchall(), [])
        with self.assertRaises(errors.InsufficientPrivilege) as caught:
            reader.execute("SELECT closed FROM kept")
        self.assertEqual(caught.exception.diag.message_primary, "permission denied for table kept")
        with self.assertRaises(errors.InsufficientPrivilege):
            reader.execute("DROP TABLE kept")
        reader.execute("RESET ROLE")
        self.assertEqual(reader.execute("SELECT closed FROM kept").fetchall(), [])

    def test_details_show_only_what_may_be_read(self):
        self.conn.execute("CREATE TABLE kept (open int, closed int NOT NULL UNIQUE)")
        self.conn.execute("INSERT INTO kept VALUES (1, 5)")
        self.conn.execute(f"GRANT USAGE ON SCHEMA {self.schema} TO psycopg_reader")
        self.conn.execute("GRANT INSERT, SELECT (open) ON kept TO psycopg_reader")
        writer = self.session()
        writer.execute("SET ROLE psycopg_reader")
        with self.assertRaises(errors.NotNullViolation) as caught:
            writer.execute("INSERT INTO kept (open) VALUES (1)")
        self.assertEqual(
            caught.exception.diag.message_detail, "Failing row contains (open) = (1)."
        )
        with self.assertRaises(errors.UniqueViolation) as caught:
            writer.execute("INSERT INTO kept VALUES (2, 5)")
        self.assertIsNone(caught.exception.diag.message_detail)

    def test_parameters_tell_who_one_is(self):
        told = self.conn.info.parameter_status
        self.assertEqual(told("is_superuser"), "on")
        self.assertEqual(told("session_authorization"), self.conn.info.user)
        self.conn.execute("SET SESSION AUTHORIZATION psycopg_reader")
        self.assertEqual(told("is_superuser"), "off")
        self.assertEqual(told("session_authorization"), "psycopg_reader")
        self.conn.execute("RESET SESSION AUTHORIZATION")
        self.assertEqual(told("is_superuser"), "on")

    def test_a_role_that_may_not_log_in_is_refused(self):
        self.conn.execute("ALTER ROLE psycopg_reader NOLOGIN")
        with self.assertRaises(psycopg.OperationalError) as caught:
            connect(user="psycopg_reader")
        self.assertIn('role "psycopg_reader" is not permitted to log in', str(caught.exception))
