"""What the suite's files share: sessions in a schema of their own, and how a failure is asserted."""

import os
import unittest

import asyncpg

# A libpq connection string as keywords: host, port, user, dbname.
DSN = dict(pair.split("=", 1) for pair in os.environ["AEGIS_CLIENTS_DSN"].split())
WHERE = {
    "host": DSN["host"],
    "port": int(DSN["port"]),
    "user": DSN["user"],
    "database": DSN["dbname"],
}


class Case(unittest.IsolatedAsyncioTestCase):
    """A test with a session, in an empty schema that is named after the class and gone afterwards."""

    async def asyncSetUp(self):
        self.schema = f"asyncpg_{type(self).__name__.lower()}"
        self.conn = await self.session()
        await self.conn.execute("SET client_min_messages = warning")
        await self.conn.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        await self.conn.execute(f"CREATE SCHEMA {self.schema}")
        await self.conn.execute("RESET client_min_messages")
        self.addAsyncCleanup(self.drop_schema)

    def settings(self, **more):
        """What a session in the test's schema starts with."""
        return {"timezone": "UTC", "search_path": self.schema} | more

    async def session(self, **how):
        """One more session in the same schema."""
        conn = await asyncpg.connect(**WHERE, server_settings=self.settings(), **how)
        self.addAsyncCleanup(self.close, conn)
        return conn

    async def close(self, conn):
        # Where a test has failed inside a transaction, close() would wait for it.
        conn.terminate()

    async def drop_schema(self):
        conn = await asyncpg.connect(**WHERE)
        try:
            await conn.execute("SET client_min_messages = warning")
            await conn.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        finally:
            await conn.close()

    async def fails(self, error, awaitable):
        """Awaits what must fail so; the error."""
        with self.assertRaises(error) as caught:
            await awaitable
        self.assertIs(type(caught.exception), error)
        return caught.exception
