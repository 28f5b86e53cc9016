"""What the suite's files share: engines over two drivers, in a schema of the test's own."""

import asyncio
import os
import unittest

from sqlalchemy import URL, MetaData, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

# A libpq connection string as keywords: host, port, user, dbname.
DSN = dict(pair.split("=", 1) for pair in os.environ["AEGIS_CLIENTS_DSN"].split())


def url(driver):
    """Where the server is, for a driver of PostgreSQL."""
    return URL.create(
        f"postgresql+{driver}", DSN["user"], None, DSN["host"], int(DSN["port"]), DSN["dbname"]
    )


class Case(unittest.TestCase):
    """A test with an engine whose sessions are in an empty schema, named after the class."""

    def engine_in(self, schema):
        options = f"-c search_path={schema} -c timezone=UTC"
        return create_engine(
            url("psycopg"), connect_args={"options": options}, poolclass=NullPool
        )

    def setUp(self):
        self.schema = f"sqlalchemy_{type(self).__name__.lower()}"
        self.engine = self.engine_in(self.schema)
        self.metadata = MetaData()
        self.drop_schema()
        with self.engine.begin() as conn:
            conn.execute(text(f"CREATE SCHEMA {self.schema}"))
        self.addCleanup(self.drop_schema)

    def drop_schema(self):
        with self.engine.begin() as conn:
            conn.execute(text("SET LOCAL client_min_messages = warning"))
            conn.execute(text(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE"))

    def rows(self, statement, parameters=None):
        """The rows of a statement as tuples, run in a transaction of its own."""
        with self.engine.begin() as conn:
            return [tuple(row) for row in conn.execute(statement, parameters)]

    def fails(self, error, sqlstate, statement, parameters=None):
        """Runs a statement that must fail so; the driver's error."""
        with self.assertRaises(error) as caught:
            with self.engine.begin() as conn:
                conn.execute(statement, parameters)
        original = caught.exception.orig
        self.assertEqual(original.sqlstate, sqlstate)
        return original


class Asyncpg:
    """Put before a class of tests: they run over asyncpg instead of psycopg."""

    def engine_in(self, schema):
        settings = {"search_path": schema, "timezone": "UTC"}
        engine = create_async_engine(
            url("asyncpg"), connect_args={"server_settings": settings}, poolclass=NullPool
        )
        return engine.sync_engine

    def run(self, result=None):
        # What SQLAlchemy does within a greenlet may wait for asyncpg in the loop around it.
        return asyncio.run(greenlet_spawn(super().run, result))
