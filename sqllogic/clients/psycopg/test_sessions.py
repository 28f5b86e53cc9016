"""Transactions, savepoints, timeouts, notices, settings, and what two sessions see of each other."""

import psycopg
from psycopg import IsolationLevel, pq
from psycopg.pq import TransactionStatus
from support import Background, Case, connect


class Sessions(Case):
    def setUp(self):
        super().setUp()
        self.conn.execute("CREATE TABLE t (i int PRIMARY KEY, x text)")

    def numbers(self, conn=None):
        return [i for (i,) in (conn or self.conn).execute("SELECT i FROM t ORDER BY i")]

    def test_commit_and_rollback(self):
        one = self.session(autocommit=False)
        one.execute("INSERT INTO t VALUES (1)")
        self.assertEqual(one.info.transaction_status, TransactionStatus.INTRANS)
        self.assertEqual((self.numbers(one), self.numbers()), ([1], []))
        one.commit()
        self.assertEqual(one.info.transaction_status, TransactionStatus.IDLE)
        self.assertEqual(self.numbers(), [1])
        one.execute("DELETE FROM t")
        one.execute("CREATE TABLE u (i int)")
        one.rollback()
        self.assertEqual(self.numbers(), [1])
        self.assertIsNone(self.value("SELECT to_regclass('u')"))

    def test_savepoints(self):
        with self.conn.transaction():
            self.conn.execute("INSERT INTO t VALUES (1)")
            with self.assertRaises(psycopg.errors.UniqueViolation):
                with self.conn.transaction():
                    self.conn.execute("INSERT INTO t VALUES (2)")
                    self.conn.execute("INSERT INTO t VALUES (1)")
            with self.conn.transaction():
                self.conn.execute("INSERT INTO t VALUES (3)")
                with self.conn.transaction(force_rollback=True):
                    self.conn.execute("INSERT INTO t VALUES (4)")
                with self.conn.transaction():
                    self.conn.execute("INSERT INTO t VALUES (5)")
                    raise psycopg.Rollback()
            with self.conn.transaction("by name"):
                self.conn.execute("INSERT INTO t VALUES (6)")
        self.assertEqual(self.numbers(), [1, 3, 6])
        with self.assertRaises(ZeroDivisionError):
            with self.conn.transaction():
                self.conn.execute("INSERT INTO t VALUES (7)")
                raise ZeroDivisionError()
        self.assertEqual(self.numbers(), [1, 3, 6])

    def test_a_failed_transaction(self):
        one = self.session(autocommit=False)
        one.execute("INSERT INTO t VALUES (1)")
        self.fails("22012", "SELECT 1/0", conn=one)
        self.assertEqual(one.info.transaction_status, TransactionStatus.INERROR)
        diag = self.fails("25P02", "SELECT 1", conn=one)
        self.assertEqual(
            diag.message_primary,
            "current transaction is aborted, commands ignored until end of transaction block",
        )
        one.commit()
        self.assertEqual(self.numbers(), [])

    def test_characteristics(self):
        one = self.session(autocommit=False)
        one.read_only = True
        self.fails("25006", "INSERT INTO t VALUES (1)", conn=one)
        one.rollback()
        one.read_only = None
        one.isolation_level = IsolationLevel.REPEATABLE_READ
        self.assertEqual(self.numbers(one), [])
        self.conn.execute("INSERT INTO t VALUES (1)")
        self.assertEqual(self.numbers(one), [])
        diag = self.fails("23505", "INSERT INTO t VALUES (1)", conn=one)
        self.assertEqual(diag.constraint_name, "t_pkey")
        one.rollback()
        self.assertEqual(self.numbers(one), [1])
        level = one.execute("SHOW transaction_isolation").fetchone()
        self.assertEqual(level, ("repeatable read",))

    def test_a_lost_connection_rolls_back(self):
        one = self.session(autocommit=False)
        one.execute("INSERT INTO t VALUES (1)")
        one.pgconn.finish()
        # The key is free as soon as the server has noticed; until then the insert waits.
        self.conn.execute("INSERT INTO t VALUES (1, 'second')")
        self.assertEqual(self.value("SELECT x FROM t"), "second")

    def test_a_terminated_session_rolls_back(self):
        one = self.session(autocommit=False)
        one.execute("INSERT INTO t VALUES (1)")
        self.assertTrue(self.value("SELECT pg_terminate_backend(%s)", [one.info.backend_pid]))
        with self.assertRaises(psycopg.OperationalError) as caught:
            one.execute("SELECT 1")
        self.assertEqual(caught.exception.sqlstate, "57P01")
        self.assertTrue(one.closed)
        self.conn.execute("INSERT INTO t VALUES (1, 'second')")
        self.assertEqual(self.numbers(), [1])
        self.assertFalse(self.value("SELECT pg_terminate_backend(2147483647)"))

    def test_idle_in_transaction_session_timeout(self):
        one = self.session()
        one.execute("SET idle_in_transaction_session_timeout = 100")
        one.autocommit = False
        one.execute("INSERT INTO t VALUES (1)")
        # Waits until the session is ended and its row lock with it.
        self.conn.execute("INSERT INTO t VALUES (1, 'second')")
        with self.assertRaises(psycopg.errors.IdleInTransactionSessionTimeout) as caught:
            one.execute("SELECT 1")
        self.assertIn("idle-in-transaction timeout", str(caught.exception))
        self.assertEqual(self.value("SELECT x FROM t"), "second")

    def test_statement_timeout(self):
        with self.conn.transaction():
            self.conn.execute("SET LOCAL statement_timeout = '50ms'")
            with self.assertRaises(psycopg.errors.QueryCanceled) as caught:
                with self.conn.transaction():
                    self.conn.execute(
                        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
                    )
        self.assertEqual(
            caught.exception.diag.message_primary,
            "canceling statement due to statement timeout",
        )
        self.assertEqual(self.value("SHOW statement_timeout"), "0")

    def test_lock_timeout(self):
        one = self.session(autocommit=False)
        one.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        self.conn.execute("SET lock_timeout = '50ms'")
        diag = self.fails("55P03", "SELECT * FROM t")
        self.assertEqual(diag.message_primary, "canceling statement due to lock timeout")

    def test_a_writer_waits_for_another(self):
        self.conn.execute("INSERT INTO t VALUES (1, 'a')")
        one = self.session(autocommit=False)
        one.execute("UPDATE t SET x = x || 'b'")
        with self.conn.transaction():
            self.conn.execute("SET LOCAL lock_timeout = '10ms'")
            with self.assertRaises(psycopg.errors.LockNotAvailable):
                with self.conn.transaction():
                    self.conn.execute("UPDATE t SET x = x || 'c'")
        other = Background(lambda: self.conn.execute("UPDATE t SET x = x || 'c'").rowcount)
        one.commit()
        self.assertEqual(other.result(), 1)
        self.assertEqual(self.value("SELECT x FROM t"), "abc")

    def test_a_deadlock_ends(self):
        self.conn.execute("INSERT INTO t VALUES (1), (2)")
        one, two = self.session(autocommit=False), self.session(autocommit=False)
        for conn in (one, two):
            conn.execute("SET deadlock_timeout = '10ms'")
        one.execute("UPDATE t SET x = 'one' WHERE i = 1")
        two.execute("UPDATE t SET x = 'two' WHERE i = 2")

        def cross(conn, number):
            try:
                conn.execute("UPDATE t SET x = 'cross' WHERE i = %s", [number])
                conn.commit()
                return None
            except psycopg.Error as error:
                conn.rollback()
                return error.sqlstate

        both = [Background(lambda: cross(one, 2)), Background(lambda: cross(two, 1))]
        self.assertEqual(sorted(b.result() or "" for b in both), ["", "40P01"])

    def test_notices(self):
        got = []
        # What a notice says is gone when its handler returns.
        self.conn.add_notice_handler(
            lambda diag: got.append((diag.severity, diag.sqlstate, diag.message_primary))
        )
        self.conn.execute("DROP TABLE IF EXISTS no_such_table")
        self.conn.execute("CREATE TABLE IF NOT EXISTS t (i int)")
        self.conn.execute("COMMIT")
        self.assertEqual(
            got,
            [
                ("NOTICE", "00000", 'table "no_such_table" does not exist, skipping'),
                ("NOTICE", "42P07", 'relation "t" already exists, skipping'),
                ("WARNING", "25P01", "there is no transaction in progress"),
            ],
        )
        got.clear()
        self.conn.execute("SET client_min_messages = error")
        self.conn.execute("DROP TABLE IF EXISTS no_such_table")
        self.assertEqual(got, [])

    def test_parameter_status(self):
        status = self.conn.info.parameter_status
        self.assertEqual(status("server_encoding"), "UTF8")
        self.assertEqual(status("integer_datetimes"), "on")
        self.assertEqual(status("standard_conforming_strings"), "on")
        self.assertEqual(self.conn.info.server_version // 10000, 15)
        self.assertEqual(status("TimeZone"), "UTC")
        self.conn.execute("SET timezone = 'Europe/Zurich'")
        self.assertEqual(status("TimeZone"), "Europe/Zurich")
        self.assertEqual(str(self.conn.info.timezone), "Europe/Zurich")
        moment = self.value("SELECT timestamptz '2024-07-01 12:00+00'")
        self.assertEqual(moment.isoformat(), "2024-07-01T14:00:00+02:00")
        one = self.session(autocommit=False)
        one.execute("SET timezone = 'Asia/Tokyo'")
        self.assertEqual(one.info.parameter_status("TimeZone"), "Asia/Tokyo")
        one.rollback()
        self.assertEqual(one.info.parameter_status("TimeZone"), "UTC")
        self.conn.execute("SET application_name = 'a suite'")
        self.assertEqual(status("application_name"), "a suite")
        self.conn.execute("SET DateStyle = 'SQL, DMY'")
        self.assertEqual(status("DateStyle"), "SQL, DMY")

    def test_startup_options(self):
        with connect(application_name="named") as conn:
            self.assertEqual(conn.execute("SHOW application_name").fetchone(), ("named",))
        options = '-c statement_timeout=5s -c search_path="a\\ b"'
        with psycopg.connect(self.conn.info.dsn, options=options) as conn:
            self.assertEqual(conn.execute("SHOW statement_timeout").fetchone(), ("5s",))
            self.assertEqual(conn.execute("SHOW search_path").fetchone(), ('"a b"',))
        with self.assertRaises(psycopg.OperationalError) as caught:
            psycopg.connect(self.conn.info.dsn, dbname="no_such_database")
        self.assertIn('database "no_such_database" does not exist', str(caught.exception))

    def test_schema_changes_are_seen_by_other_sessions(self):
        one = self.session()
        one.execute("INSERT INTO t VALUES (1, 'a')")
        self.assertEqual(one.execute("SELECT * FROM t").fetchall(), [(1, "a")])
        self.conn.execute("ALTER TABLE t ADD COLUMN y int DEFAULT 5")
        self.assertEqual(one.execute("SELECT * FROM t").fetchall(), [(1, "a", 5)])
        self.conn.execute("DROP TABLE t")
        self.fails("42P01", "SELECT * FROM t", conn=one)

    def test_the_status_of_every_message(self):
        pgconn = self.conn.pgconn
        self.assertEqual(pgconn.exec_(b"BEGIN").status, pq.ExecStatus.COMMAND_OK)
        self.assertEqual(pgconn.transaction_status, TransactionStatus.INTRANS)
        self.assertEqual(pgconn.exec_(b"SELEC").status, pq.ExecStatus.FATAL_ERROR)
        self.assertEqual(pgconn.transaction_status, TransactionStatus.INERROR)
        self.assertEqual(pgconn.exec_(b"ROLLBACK").command_status, b"ROLLBACK")
        self.assertEqual(pgconn.exec_(b"").status, pq.ExecStatus.EMPTY_QUERY)
