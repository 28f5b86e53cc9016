"""Cancelling what runs: scans, sorts, joins, COPY both ways, waits. The session lives on."""

import psycopg
from support import Background, Case, cancel_until_done


class Cancel(Case):
    def cancelled(self, run, conn=None):
        conn = conn or self.conn
        background = Background(run)
        cancel_until_done(conn, background)
        with self.assertRaises(psycopg.errors.QueryCanceled) as caught:
            background.result()
        self.assertEqual(
            caught.exception.diag.message_primary, "canceling statement due to user request"
        )
        self.assertEqual(caught.exception.sqlstate, "57014")
        self.assertEqual(conn.execute("SELECT 1").fetchone(), (1,))

    def test_running_statements(self):
        endless = "generate_series(1, 100000) a, generate_series(1, 100000) b"
        self.conn.execute(
            "CREATE TABLE t AS SELECT g AS i, g %% 7 AS x FROM generate_series(1, 2000) g", ()
        )
        for query in (
            f"SELECT count(*) FROM {endless}",
            "SELECT count(*) FROM t a, t b, t c WHERE a.x + b.x + c.x = -1",
            f"SELECT a, b FROM {endless} ORDER BY a * b %% 1000, a, b LIMIT 5",
            f"SELECT a, count(*) FROM {endless} GROUP BY a",
            f"SELECT sum(a) OVER (ORDER BY b) FROM {endless} OFFSET 2000000000",
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
            "SELECT count(*) FROM t a JOIN t b USING (x) JOIN t c USING (x) JOIN t d USING (x)",
            f"INSERT INTO t SELECT a, b FROM {endless}",
            f"UPDATE t SET x = (SELECT count(*) FROM {endless} WHERE a = t.i)",
            "SELECT pg_sleep(600)",
        ):
            with self.subTest(query=query):
                self.cancelled(lambda query=query: self.conn.execute(query, ()))
        self.assertEqual(self.value("SELECT count(*) FROM t WHERE x < 7"), 2000)

    def test_within_a_transaction(self):
        one = self.session(autocommit=False)
        one.execute("CREATE TABLE t (i int)")
        with one.transaction():
            one.execute("INSERT INTO t VALUES (1)")
            background = Background(lambda: self.in_a_savepoint(one))
            cancel_until_done(one, background)
            with self.assertRaises(psycopg.errors.QueryCanceled):
                background.result()
            one.execute("INSERT INTO t VALUES (2)")
        one.commit()
        self.assertEqual(self.conn.execute("SELECT i FROM t ORDER BY i").fetchall(), [(1,), (2,)])

    def in_a_savepoint(self, conn):
        with conn.transaction():
            conn.execute("INSERT INTO t VALUES (10)")
            conn.execute("SELECT pg_sleep(600)")

    def test_a_wait_for_a_lock(self):
        self.conn.execute("CREATE TABLE t (i int PRIMARY KEY)")
        self.conn.execute("INSERT INTO t VALUES (1)")
        holder = self.session(autocommit=False)
        holder.execute("UPDATE t SET i = 2")
        self.cancelled(lambda: self.conn.execute("DELETE FROM t"))
        self.cancelled(lambda: self.conn.execute("INSERT INTO t VALUES (2)"))
        holder.execute("LOCK TABLE t")
        self.cancelled(lambda: self.conn.execute("SELECT * FROM t"))
        holder.commit()
        self.assertEqual(self.conn.execute("SELECT * FROM t").fetchall(), [(2,)])

    def test_copy_out(self):
        def copy_out():
            with self.conn.cursor().copy(
                "COPY (SELECT a, repeat('x', 100) FROM generate_series(1, 100000) a, generate_series(1, 100000) b) TO STDOUT"
            ) as copy:
                for _part in copy:
                    pass

        self.cancelled(copy_out)

    def test_copy_in(self):
        self.conn.execute("CREATE TABLE t (i int, x text)")

        with self.assertRaises(psycopg.errors.QueryCanceled):
            with self.conn.cursor().copy("COPY t FROM STDIN") as copy:
                copy.write(b"1\tx\n" * 1000)
                self.conn.cancel_safe(timeout=10)
                # libpq sees the error at the end only.
                for _ in range(300):
                    copy.write(b"1\tx\n" * 1000)
        self.assertEqual(self.value("SELECT count(*) FROM t"), 0)

    def test_a_stream(self):
        def read():
            for _row in self.conn.cursor().stream(
                "SELECT a, repeat('x', 100) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
            ):
                pass

        self.cancelled(read)

    def test_cancel_of_an_idle_session_does_nothing(self):
        self.conn.cancel_safe(timeout=10)
        self.assertEqual(self.value("SELECT 1"), 1)

    def test_cancel_by_another_session(self):
        other = self.session()
        background = Background(lambda: self.conn.execute("SELECT pg_sleep(600)"))
        while background.is_alive():
            other.execute("SELECT pg_cancel_backend(%s)", [self.conn.info.backend_pid])
            background.join(0.02)
        with self.assertRaises(psycopg.errors.QueryCanceled):
            background.result()
