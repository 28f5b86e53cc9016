"""What the suite's files share: connections, a schema of their own, and the table of values."""

import os
import threading
import unittest
from pathlib import Path

import psycopg

# A libpq connection string: an Aegis of its own when the Rust test runs this, or a PostgreSQL.
DSN = os.environ["AEGIS_CLIENTS_DSN"]

# The server's process where this machine shows its memory, else none.
SERVER_PROCESS = os.environ.get("AEGIS_CLIENTS_PROCESS")


def resident_bytes():
    """How much memory the server's process holds now."""
    status = Path(f"/proc/{SERVER_PROCESS}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def connect(autocommit=True, **settings):
    """A session with UTC; `settings` are libpq's."""
    return psycopg.connect(DSN, autocommit=autocommit, options="-c timezone=UTC", **settings)


class Case(unittest.TestCase):
    """A test with a session, in an empty schema that is named after the class and gone afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.schema = f"psycopg_{cls.__name__.lower()}"

    def setUp(self):
        self.drop_schema()
        self.conn = self.session()
        self.conn.execute(f"CREATE SCHEMA {self.schema}")
        self.addCleanup(self.drop_schema)

    def session(self, autocommit=True):
        """One more session in the same schema."""
        conn = connect(autocommit=True)
        self.addCleanup(conn.close)
        conn.execute(f"SET search_path = {self.schema}")
        conn.autocommit = autocommit
        return conn

    def drop_schema(self):
        # Tests may leave open transactions behind: those sessions end here, and with them their locks.
        if hasattr(self, "conn"):
            self.conn.close()
        with connect() as conn:
            conn.execute("SET client_min_messages = warning")
            conn.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def value(self, query, parameters=None, **how):
        """The one value of a query's one row."""
        (row,) = self.conn.execute(query, parameters, **how).fetchall()
        (value,) = row
        return value

    def fails(self, sqlstate, query, parameters=None, conn=None):
        """Runs a statement that must fail so; its diagnostics."""
        with self.assertRaises(psycopg.Error) as caught:
            (conn or self.conn).execute(query, parameters)
        self.assertEqual(caught.exception.sqlstate, sqlstate, caught.exception)
        return caught.exception.diag


class Background(threading.Thread):
    """Runs a function beside the test; `result()` waits for what it returned or raised."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self.function, self.returned, self.raised = function, None, None
        self.start()

    def run(self):
        try:
            self.returned = self.function()
        except BaseException as error:  # handed to the test by result()
            self.raised = error

    def result(self):
        self.join(60)
        if self.is_alive():
            raise AssertionError("still running after a minute")
        if self.raised is not None:
            raise self.raised
        return self.returned


def cancel_until_done(conn, background):
    """Sends cancel requests until the session's statement has ended, so that none comes too early."""
    while background.is_alive():
        conn.cancel_safe(timeout=10)
        background.join(0.02)


def unescape(text):
    """Undoes `\\n`, `\\t` and `\\\\` of the table."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")


def table_of_values():
    """The rows of types.tsv: type, input, output, binary form."""
    rows = []
    path = Path(__file__).parent.parent / "types.tsv"
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            type_name, written, printed, binary = line.split("\t")
            rows.append((type_name, unescape(written), unescape(printed), bytes.fromhex(binary)))
    return rows
