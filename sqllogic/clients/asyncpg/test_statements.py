"""Prepared statements, cursors, executemany and COPY."""

import io

import asyncpg
from support import Case


class Prepared(Case):
    async def test_what_a_statement_tells(self):
        await self.conn.execute("CREATE TABLE t (i int, x varchar(7), n numeric(8,2))")
        statement = await self.conn.prepare("SELECT i, x, n, $1::date AS d FROM t WHERE i > $2")
        self.assertEqual(
            [(a.name, a.type.name) for a in statement.get_attributes()],
            [("i", "int4"), ("x", "varchar"), ("n", "numeric"), ("d", "date")],
        )
        self.assertEqual([p.name for p in statement.get_parameters()], ["date", "int4"])
        self.assertEqual(statement.get_statusmsg(), None)
        await statement.fetch(None, 1)
        self.assertEqual(statement.get_statusmsg(), "SELECT 0")

    async def test_running_one_again(self):
        statement = await self.conn.prepare("SELECT $1::int * 2")
        self.assertEqual([await statement.fetchval(i) for i in range(5)], [0, 2, 4, 6, 8])
        self.assertIsNone(await (await self.conn.prepare("SELECT 1 WHERE false")).fetchrow())

    async def test_a_named_one(self):
        statement = await self.conn.prepare("SELECT $1::text || 'b'", name="by_name")
        self.assertEqual(await statement.fetchval("a"), "ab")
        self.assertEqual(await self.conn.fetchval("EXECUTE by_name('c')"), "cb")
        listed = await self.conn.fetchrow(
            "SELECT statement, parameter_types::text, from_sql FROM pg_prepared_statements WHERE name = 'by_name'"
        )
        self.assertEqual(tuple(listed), ("SELECT $1::text || 'b'", "{text}", False))

    async def test_the_cache_follows_the_table(self):
        await self.conn.execute("CREATE TABLE t (i int)")
        await self.conn.execute("INSERT INTO t VALUES (1)")
        query = "SELECT * FROM t"
        self.assertEqual(tuple(await self.conn.fetchrow(query)), (1,))
        await self.conn.execute("ALTER TABLE t ADD COLUMN x text DEFAULT 'y'")
        self.assertEqual(tuple(await self.conn.fetchrow(query)), (1, "y"))
        # In a transaction it cannot be prepared again: the client says so instead.
        async with self.conn.transaction():
            await self.conn.execute("ALTER TABLE t DROP COLUMN x")
        with self.assertRaises(asyncpg.InvalidCachedStatementError):
            async with self.conn.transaction():
                await self.conn.fetchrow(query)
        self.assertEqual(tuple(await self.conn.fetchrow(query)), (1,))

    async def test_explaining_with_parameters(self):
        lines = await self.conn.fetch("EXPLAIN (COSTS OFF) SELECT $1::int", 1)
        self.assertEqual([tuple(line) for line in lines], [("Result",)])
        await self.conn.execute("CREATE TABLE e (i int)")
        statement = await self.conn.prepare("INSERT INTO e VALUES ($1) RETURNING i")
        plan = (await statement.explain(7))[0]["Plan"]
        self.assertEqual((plan["Node Type"], plan["Output"]), ("ModifyTable", ["e.i"]))
        plan = (await statement.explain(7, analyze=True))[0]["Plan"]
        self.assertEqual((plan["Actual Rows"], plan["Plans"][0]["Node Type"]), (1, "Result"))
        # It ran in a transaction that was rolled back.
        self.assertEqual(await self.conn.fetch("TABLE e"), [])

    async def test_types_are_inferred(self):
        await self.conn.execute("CREATE TABLE t (i int8, x text, d date)")
        statement = await self.conn.prepare("INSERT INTO t (d, i, x) VALUES ($1, $2, $3)")
        self.assertEqual([p.name for p in statement.get_parameters()], ["date", "int8", "text"])
        statement = await self.conn.prepare("SELECT * FROM t WHERE x LIKE $1 AND i BETWEEN $2 AND $3 LIMIT $4")
        self.assertEqual(
            [p.name for p in statement.get_parameters()], ["text", "int8", "int8", "int8"]
        )
        await self.fails(
            asyncpg.IndeterminateDatatypeError, self.conn.prepare("SELECT $1 IS NULL")
        )

    async def test_status_of_scripts(self):
        self.assertEqual(
            await self.conn.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1), (2)"),
            "INSERT 0 2",
        )
        self.assertEqual(await self.conn.execute("UPDATE t SET i = i + 1"), "UPDATE 2")
        self.assertEqual(await self.conn.execute("DELETE FROM t WHERE i = $1", 3), "DELETE 1")
        # A script is one transaction.
        await self.fails(
            asyncpg.DivisionByZeroError, self.conn.execute("INSERT INTO t VALUES (9); SELECT 1/0")
        )
        self.assertEqual(await self.conn.fetchval("SELECT count(*) FROM t"), 1)


class Cursors(Case):
    async def test_iteration(self):
        async with self.conn.transaction():
            got = [
                row["i"]
                async for row in self.conn.cursor(
                    "SELECT i FROM generate_series(1, $1) i", 1000, prefetch=7
                )
            ]
        self.assertEqual(got, list(range(1, 1001)))

    async def test_fetching_and_skipping(self):
        async with self.conn.transaction():
            cursor = await self.conn.cursor("SELECT i FROM generate_series(1, 20) i")
            self.assertEqual((await cursor.fetchrow())["i"], 1)
            self.assertEqual([row["i"] for row in await cursor.fetch(3)], [2, 3, 4])
            self.assertEqual(await cursor.forward(10), 10)
            self.assertEqual([row["i"] for row in await cursor.fetch(9)], [15, 16, 17, 18, 19, 20])
            self.assertIsNone(await cursor.fetchrow())

    async def test_it_sees_the_table_as_it_was(self):
        await self.conn.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 200) i")
        async with self.conn.transaction():
            cursor = await self.conn.cursor("SELECT i FROM t ORDER BY i")
            self.assertEqual(len(await cursor.fetch(10)), 10)
            await self.conn.execute("DELETE FROM t WHERE i > 100")
            self.assertEqual(len(await cursor.fetch(1000)), 190)

    async def test_outside_of_a_transaction(self):
        with self.assertRaises(asyncpg.NoActiveSQLTransactionError):
            await self.conn.cursor("SELECT 1")


class Many(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        await self.conn.execute("CREATE TABLE t (i int PRIMARY KEY, x text)")

    async def test_executemany(self):
        await self.conn.executemany(
            "INSERT INTO t VALUES ($1, $2)", ((i, f"x{i}") for i in range(3000))
        )
        self.assertEqual(
            tuple(await self.conn.fetchrow("SELECT count(*), sum(i), max(x) FROM t")),
            (3000, 4498500, "x999"),
        )
        await self.conn.executemany(
            "UPDATE t SET x = $2 WHERE i = $1", [(i, "new") for i in range(0, 3000, 2)]
        )
        self.assertEqual(await self.conn.fetchval("SELECT count(*) FROM t WHERE x = 'new'"), 1500)

    async def test_all_of_it_or_nothing(self):
        await self.fails(
            asyncpg.UniqueViolationError,
            self.conn.executemany("INSERT INTO t VALUES ($1, $2)", [(1, "a"), (2, "b"), (1, "c")]),
        )
        self.assertEqual(await self.conn.fetchval("SELECT count(*) FROM t"), 0)

    async def test_fetchmany(self):
        got = await self.conn.fetchmany(
            "INSERT INTO t VALUES ($1, $2) RETURNING i, upper(x) AS x", [(1, "a"), (2, "b")]
        )
        self.assertEqual([tuple(row) for row in got], [(1, "A"), (2, "B")])


class Copy(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        await self.conn.execute("CREATE TABLE t (i int, x text, n numeric)")

    async def test_from_text(self):
        status = await self.conn.copy_to_table(
            "t", source=io.BytesIO(b"1\ta\t1.5\n2\t\\N\t\\N\n"), schema_name=self.schema
        )
        self.assertEqual(status, "COPY 2")
        self.assertEqual(
            [tuple(row) for row in await self.conn.fetch("SELECT i, x, n::text FROM t")],
            [(1, "a", "1.5"), (2, None, None)],
        )

    async def test_records(self):
        records = [(i, f"x{i}" if i % 3 else None, i / 4) for i in range(2000)]
        status = await self.conn.copy_records_to_table("t", records=records)
        self.assertEqual(status, "COPY 2000")
        self.assertEqual(
            tuple(await self.conn.fetchrow("SELECT count(x), sum(n) FROM t")), (1333, 499750)
        )
        status = await self.conn.copy_records_to_table(
            "t", records=[(-1,), (-2,)], columns=["i"], where="i < -1"
        )
        self.assertEqual(status, "COPY 1")
        out = io.BytesIO()
        await self.conn.copy_from_query("SELECT -2, 'ü'", output=out, format="binary")
        self.assertEqual(
            out.getvalue().hex(),
            "5047434f50590aff0d0a00" + "00" * 8 + "0002" + "00000004fffffffe" + "00000002c3bc" + "ffff",
        )

    async def test_from_csv(self):
        async def chunks():
            for chunk in (b"x;i\n", b'"a;', b'b";1\n', b"nil;2\n"):
                yield chunk

        status = await self.conn.copy_to_table(
            "t", source=chunks(), columns=["x", "i"], format="csv", delimiter=";", header=True, null="nil"
        )
        self.assertEqual(status, "COPY 2")
        self.assertEqual(
            [tuple(row) for row in await self.conn.fetch("SELECT i, x FROM t ORDER BY i")],
            [(1, "a;b"), (2, None)],
        )

    async def test_to_text_and_csv(self):
        await self.conn.execute("INSERT INTO t VALUES (1, E'a\\tb', 1.50), (2, NULL, NULL)")
        out = io.BytesIO()
        self.assertEqual(await self.conn.copy_from_table("t", output=out), "COPY 2")
        self.assertEqual(out.getvalue(), b"1\ta\\tb\t1.50\n2\t\\N\t\\N\n")
        out = io.BytesIO()
        status = await self.conn.copy_from_query(
            "SELECT i, x FROM t WHERE i >= $1 ORDER BY i DESC",
            1,
            output=out,
            format="csv",
            header=True,
            force_quote=["x"],
        )
        self.assertEqual((status, out.getvalue()), ("COPY 2", b'i,x\n2,\n1,"a\tb"\n'))

    async def test_a_bad_line(self):
        error = await self.fails(
            asyncpg.InvalidTextRepresentationError,
            self.conn.copy_to_table("t", source=io.BytesIO(b"1\ta\t1\nx\tb\t2\n")),
        )
        self.assertEqual(error.context, 'COPY t, line 2, column i: "x"')
        self.assertEqual(await self.conn.fetchval("SELECT count(*) FROM t"), 0)

    async def test_a_source_that_fails(self):
        async def chunks():
            yield b"1\ta\t1\n"
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await self.conn.copy_to_table("t", source=chunks())
        self.assertEqual(await self.conn.fetchval("SELECT count(*) FROM t"), 0)
