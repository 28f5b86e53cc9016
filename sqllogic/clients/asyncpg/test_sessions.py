"""Transactions, pools, LISTEN, cancelling, settings, and what errors and notices carry."""

import asyncio

import asyncpg
from support import WHERE, Case


class Transactions(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        await self.conn.execute("CREATE TABLE t (i int PRIMARY KEY, x text)")

    async def numbers(self, conn=None):
        return [row["i"] for row in await (conn or self.conn).fetch("SELECT i FROM t ORDER BY i")]

    async def test_commit_and_rollback(self):
        async with self.conn.transaction():
            await self.conn.execute("INSERT INTO t VALUES (1)")
        with self.assertRaises(ZeroDivisionError):
            async with self.conn.transaction():
                await self.conn.execute("INSERT INTO t VALUES (2)")
                raise ZeroDivisionError
        self.assertEqual(await self.numbers(), [1])

    async def test_savepoints(self):
        async with self.conn.transaction():
            await self.conn.execute("INSERT INTO t VALUES (1)")
            with self.assertRaises(asyncpg.UniqueViolationError):
                async with self.conn.transaction():
                    await self.conn.execute("INSERT INTO t VALUES (2)")
                    async with self.conn.transaction():
                        await self.conn.execute("INSERT INTO t VALUES (3)")
                    await self.conn.execute("INSERT INTO t VALUES (1)")
            async with self.conn.transaction():
                await self.conn.execute("INSERT INTO t VALUES (4)")
        self.assertEqual(await self.numbers(), [1, 4])

    async def test_isolation(self):
        other = await self.session()
        for level, sees in (("read_committed", [1]), ("repeatable_read", []), ("serializable", [])):
            with self.subTest(level=level):
                await self.conn.execute("DELETE FROM t")
                async with other.transaction(isolation=level):
                    self.assertEqual(
                        await other.fetchval("SHOW transaction_isolation"), level.replace("_", " ")
                    )
                    self.assertEqual(await self.numbers(other), [])
                    await self.conn.execute("INSERT INTO t VALUES (1)")
                    self.assertEqual(await self.numbers(other), sees)

    async def test_a_lost_update(self):
        await self.conn.execute("INSERT INTO t VALUES (1)")
        other = await self.session()
        with self.assertRaises(asyncpg.SerializationError) as caught:
            async with other.transaction(isolation="repeatable_read"):
                await self.numbers(other)
                await self.conn.execute("UPDATE t SET x = 'a'")
                await other.execute("UPDATE t SET x = 'b'")
        self.assertEqual(
            str(caught.exception), "could not serialize access due to concurrent update"
        )

    async def test_read_only_and_deferrable(self):
        with self.assertRaises(asyncpg.ReadOnlySQLTransactionError) as caught:
            async with self.conn.transaction(readonly=True):
                await self.conn.execute("INSERT INTO t VALUES (1)")
        self.assertEqual(
            str(caught.exception), "cannot execute INSERT in a read-only transaction"
        )
        async with self.conn.transaction(
            isolation="serializable", readonly=True, deferrable=True
        ):
            self.assertEqual(await self.numbers(), [])

    async def test_a_failed_one(self):
        transaction = self.conn.transaction()
        await transaction.start()
        await self.fails(asyncpg.DivisionByZeroError, self.conn.fetchval("SELECT 1/0"))
        error = await self.fails(
            asyncpg.InFailedSQLTransactionError, self.conn.fetchval("SELECT 1")
        )
        self.assertEqual(error.sqlstate, "25P02")
        await transaction.rollback()
        self.assertFalse(self.conn.is_in_transaction())


class Pools(Case):
    async def test_sessions_are_reset(self):
        async with asyncpg.create_pool(
            **WHERE, min_size=1, max_size=1, server_settings=self.settings()
        ) as pool:
            async with pool.acquire() as conn:
                first = conn.get_server_pid()
                await conn.execute("CREATE TEMP TABLE kept (i int)")
                await conn.execute("SET work_mem = '7MB'; SELECT pg_advisory_lock(77); LISTEN pool")
            async with pool.acquire() as conn:
                self.assertEqual(conn.get_server_pid(), first)
                self.assertEqual(await conn.fetchval("SHOW search_path"), self.schema)
                self.assertNotEqual(await conn.fetchval("SHOW work_mem"), "7MB")
                self.assertEqual(await conn.fetch("SELECT * FROM pg_listening_channels()"), [])
                # Temporary tables are not what a reset ends.
                self.assertIsNotNone(await conn.fetchval("SELECT to_regclass('kept')"))
                self.assertEqual(
                    await conn.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0
                )

    async def test_many_at_once(self):
        await self.conn.execute("CREATE TABLE t (i int PRIMARY KEY, hits int NOT NULL DEFAULT 0)")
        await self.conn.execute("INSERT INTO t VALUES (1)")
        async with asyncpg.create_pool(
            **WHERE, min_size=2, max_size=5, server_settings=self.settings()
        ) as pool:
            await asyncio.gather(
                *(pool.execute("UPDATE t SET hits = hits + $1", 1) for _ in range(50))
            )
        self.assertEqual(await self.conn.fetchval("SELECT hits FROM t"), 50)

    async def test_a_dead_session_is_replaced(self):
        async with asyncpg.create_pool(**WHERE, min_size=1, max_size=1) as pool:
            pid = await pool.fetchval("SELECT pg_backend_pid()")
            async with pool.acquire() as conn:
                sleep = asyncio.ensure_future(conn.fetchval("SELECT pg_sleep(60)"))
                running = "SELECT query = 'SELECT pg_sleep(60)' FROM pg_stat_activity WHERE pid = $1"
                while not await self.conn.fetchval(running, pid):
                    await asyncio.sleep(0)
                self.assertTrue(await self.conn.fetchval("SELECT pg_terminate_backend($1)", pid))
                error = await self.fails(asyncpg.ConnectionDoesNotExistError, sleep)
                self.assertEqual(
                    str(error.__cause__), "terminating connection due to administrator command"
                )
            self.assertNotEqual(await pool.fetchval("SELECT pg_backend_pid()"), pid)


class Listening(Case):
    async def test_notifications(self):
        got = asyncio.Queue()
        await self.conn.add_listener("news", lambda _, *what: got.put_nowait(what))
        other = await self.session()
        pid = other.get_server_pid()
        async with other.transaction():
            await other.execute("NOTIFY news, 'first'")
            await other.execute("SELECT pg_notify($1, $2)", "news", "zwölf")
            await other.execute("NOTIFY other")
            self.assertTrue(got.empty())
        self.assertEqual(await asyncio.wait_for(got.get(), 30), (pid, "news", "first"))
        self.assertEqual(await asyncio.wait_for(got.get(), 30), (pid, "news", "zwölf"))
        with self.assertRaises(ZeroDivisionError):
            async with other.transaction():
                await other.execute("NOTIFY news, 'never'")
                raise ZeroDivisionError
        await other.execute("NOTIFY news")
        self.assertEqual(await asyncio.wait_for(got.get(), 30), (pid, "news", ""))

    async def test_notices(self):
        got = []
        self.conn.add_log_listener(lambda _, message: got.append(message))
        await self.conn.execute("DROP TABLE IF EXISTS nothing; CREATE SCHEMA IF NOT EXISTS public")
        self.assertEqual(
            [(m.severity_en, m.sqlstate, m.message) for m in got],
            [
                ("NOTICE", "00000", 'table "nothing" does not exist, skipping'),
                ("NOTICE", "42P06", 'schema "public" already exists, skipping'),
            ],
        )


class Cancelling(Case):
    async def test_a_timeout_of_the_client(self):
        with self.assertRaises(asyncio.TimeoutError):
            await self.conn.fetchval("SELECT pg_sleep(60)", timeout=0.05)
        self.assertEqual(await self.conn.fetchval("SELECT 1"), 1)

    async def test_a_cancelled_task(self):
        await self.conn.execute("CREATE TABLE t (i int)")
        await self.conn.execute("INSERT INTO t VALUES (1)")
        holder = await self.session()
        async with holder.transaction():
            await holder.execute("UPDATE t SET i = 2")
            waiting = asyncio.ensure_future(self.conn.execute("UPDATE t SET i = 3"))
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(waiting, 0.1)
            self.assertEqual(await self.conn.fetchval("SELECT i FROM t"), 1)
        self.assertEqual(await self.conn.fetchval("SELECT i FROM t"), 2)

    async def test_by_another_session(self):
        other = await self.session()
        sleep = asyncio.ensure_future(other.fetchval("SELECT pg_sleep(60)"))
        cancel = "SELECT pg_cancel_backend($1)"
        while not sleep.done():
            self.assertTrue(await self.conn.fetchval(cancel, other.get_server_pid()))
            await asyncio.wait([sleep], timeout=0.02)
        error = await self.fails(asyncpg.QueryCanceledError, sleep)
        self.assertEqual(str(error), "canceling statement due to user request")

    async def test_statement_timeout(self):
        await self.conn.execute("SET statement_timeout = '30ms'")
        error = await self.fails(
            asyncpg.QueryCanceledError, self.conn.fetchval("SELECT pg_sleep(60)")
        )
        self.assertEqual(str(error), "canceling statement due to statement timeout")


class Settings(Case):
    async def test_reported_ones(self):
        settings = self.conn.get_settings()
        self.assertEqual(
            (settings.server_encoding, settings.integer_datetimes, settings.TimeZone),
            ("UTF8", "on", "UTC"),
        )
        await self.conn.execute("SET application_name = 'a suite'")
        self.assertEqual(self.conn.get_settings().application_name, "a suite")
        self.assertEqual(self.conn.get_server_version().major, 15)

    async def test_a_reset(self):
        await self.conn.execute("SET application_name = 'x'")
        await self.conn.reset()
        self.assertEqual(await self.conn.fetchval("SHOW application_name"), "")


class Errors(Case):
    async def check(self, error, statement, *arguments, **fields):
        raised = await self.fails(error, self.conn.execute(statement, *arguments))
        got = {name: getattr(raised, name) for name in fields}
        self.assertEqual(got, fields)
        return raised

    async def test_constraints(self):
        await self.conn.execute(
            "CREATE TABLE p (i int PRIMARY KEY, x text NOT NULL, n int CHECK (n > 0));"
            "CREATE TABLE c (p int REFERENCES p)"
        )
        await self.conn.execute("INSERT INTO p VALUES (1, 'a', 1)")
        where = {"schema_name": self.schema, "severity_en": "ERROR"}
        await self.check(
            asyncpg.UniqueViolationError,
            "INSERT INTO p VALUES (1, 'b', 1)",
            message='duplicate key value violates unique constraint "p_pkey"',
            detail="Key (i)=(1) already exists.",
            table_name="p",
            constraint_name="p_pkey",
            **where,
        )
        await self.check(
            asyncpg.NotNullViolationError,
            "INSERT INTO p VALUES ($1)",
            2,
            message='null value in column "x" of relation "p" violates not-null constraint',
            detail="Failing row contains (2, null, null).",
            table_name="p",
            column_name="x",
            **where,
        )
        await self.check(
            asyncpg.CheckViolationError,
            "INSERT INTO p VALUES (2, 'b', 0)",
            message='new row for relation "p" violates check constraint "p_n_check"',
            table_name="p",
            constraint_name="p_n_check",
            **where,
        )
        await self.check(
            asyncpg.ForeignKeyViolationError,
            "INSERT INTO c VALUES (7)",
            detail='Key (p)=(7) is not present in table "p".',
            table_name="c",
            constraint_name="c_p_fkey",
            **where,
        )

    async def test_statements(self):
        await self.check(
            asyncpg.PostgresSyntaxError,
            "SELECT 1 FORM t",
            message='syntax error at or near "t"',
            position="15",
        )
        await self.check(
            asyncpg.UndefinedTableError,
            "SELECT * FROM nowhere",
            message='relation "nowhere" does not exist',
            position="15",
        )
        await self.check(
            asyncpg.UndefinedColumnError,
            "SELECT nspnam FROM pg_namespace",
            message='column "nspnam" does not exist',
            hint='Perhaps you meant to reference the column "pg_namespace.nspname".',
        )
        await self.check(
            asyncpg.UndefinedFunctionError,
            "SELECT nothing(1)",
            hint="No function matches the given name and argument types. You might need to add explicit type casts.",
        )
        await self.check(asyncpg.DuplicateSchemaError, f"CREATE SCHEMA {self.schema}", sqlstate="42P06")
        await self.check(asyncpg.AmbiguousColumnError, "SELECT i FROM (VALUES (1)) a (i), (VALUES (1)) b (i)", position="8")
        await self.check(asyncpg.GroupingError, "SELECT relname, count(*) FROM pg_class", position="8")

    async def test_values(self):
        await self.check(asyncpg.NumericValueOutOfRangeError, "SELECT 2147483647 + $1::int", 1, message="integer out of range")
        await self.check(asyncpg.InvalidDatetimeFormatError, "SELECT 'x'::date", message='invalid input syntax for type date: "x"')
        await self.check(asyncpg.DatetimeFieldOverflowError, "SELECT '2023-02-29'::date", message='date/time field value out of range: "2023-02-29"')
        await self.check(asyncpg.StringDataRightTruncationError, "CREATE TABLE v (x varchar(2)); INSERT INTO v VALUES ('abc')", message="value too long for type character varying(2)")
        await self.check(asyncpg.InvalidTextRepresentationError, "SELECT '{'::jsonb", message="invalid input syntax for type json", detail="The input string ended unexpectedly.")

    async def test_connecting(self):
        with self.assertRaises(asyncpg.InvalidCatalogNameError) as caught:
            await asyncpg.connect(**WHERE | {"database": "no_such_database"})
        self.assertEqual(str(caught.exception), 'database "no_such_database" does not exist')
        with self.assertRaises(asyncpg.CantChangeRuntimeParamError):
            await asyncpg.connect(**WHERE, server_settings={"server_version": "1"})
