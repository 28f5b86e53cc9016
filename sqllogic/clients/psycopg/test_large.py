"""Results larger than the server may hold: it streams them, and a reader that stops holds it up."""

import unittest

from support import SERVER_PROCESS, Case, resident_bytes

MEBIBYTE = 1 << 20


class Large(Case):
    # 600 MB of rows, where the server was started with much less to use.
    QUERY = "SELECT a, repeat('x', 1000) FROM generate_series(1, 600) a, generate_series(1, 1000) b"

    def grown(self, before):
        return (resident_bytes() - before) // MEBIBYTE

    @unittest.skipUnless(SERVER_PROCESS, "the server's memory cannot be seen")
    def test_memory_stays_bounded_while_rows_stream(self):
        before, rows, most = resident_bytes(), 0, 0
        for _row in self.conn.cursor().stream(self.QUERY, size=1000):
            rows += 1
            if rows % 20_000 == 0:
                most = max(most, self.grown(before))
        self.assertEqual(rows, 600_000)
        self.assertLess(most, 300, "MiB grown")

    @unittest.skipUnless(SERVER_PROCESS, "the server's memory cannot be seen")
    def test_memory_stays_bounded_while_rows_are_copied(self):
        before, most, size = resident_bytes(), 0, 0
        with self.conn.cursor().copy(f"COPY ({self.QUERY}) TO STDOUT") as copy:
            for at, part in enumerate(copy):
                size += len(part)
                if at % 20_000 == 0:
                    most = max(most, self.grown(before))
        self.assertGreater(size, 600_000_000)
        self.assertLess(most, 300, "MiB grown")

    def test_a_reader_that_stops_holds_up_itself_alone(self):
        stream = self.conn.cursor().stream(self.QUERY)
        self.assertEqual(next(stream)[0], 1)
        before = resident_bytes() if SERVER_PROCESS else 0
        other = self.session()
        other.execute("CREATE TABLE t (i int)")
        for at in range(300):
            other.execute("INSERT INTO t VALUES (%s)", [at])
        self.assertEqual(other.execute("SELECT sum(i) FROM t").fetchone(), (44850,))
        if SERVER_PROCESS:
            self.assertLess(self.grown(before), 200, "MiB grown")
        for _ in range(1000):
            next(stream)
        stream.close()
        self.assertEqual(self.value("SELECT 1"), 1)
