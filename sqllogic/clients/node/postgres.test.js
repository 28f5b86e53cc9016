// postgres.js: tagged queries, helpers, types, pipelining, cursors, COPY, LISTEN, transactions, errors.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, beforeEach, test } from 'node:test'

import postgres from 'postgres'

import { dropSchema, fails, makeSchema, where } from './support.js'

const schema = 'node_postgres'
let sql

before(async () => {
  await makeSchema(schema)
  sql = postgres({
    ...where,
    username: where.user,
    max: 4,
    connection: { search_path: schema, timezone: 'UTC' },
    onnotice: () => {},
  })
})
beforeEach(async () => {
  await sql`DROP TABLE IF EXISTS t`
  await sql`CREATE TABLE t (i int PRIMARY KEY, x text, doc jsonb, tags text[])`
})
after(async () => {
  await sql.end()
  await dropSchema(schema)
})

test('values both ways', async () => {
  const moment = new Date('2024-02-29T10:00:00.123Z')
  const [row] = await sql`
    SELECT ${1}::int AS a, ${2.5}::float8 AS b, ${'ü'}::text AS c, ${true}::bool AS d, ${moment}::timestamptz AS e,
           ${sql.json({ k: [1, null] })}::jsonb AS f, ${sql.array([1, 2])}::int[] AS g, ${null}::int AS h,
           ${Buffer.from([0, 255])}::bytea AS i, ${'1.10'}::numeric AS j, ${2n ** 60n}::int8 AS k,
           ${sql.array(['a b', 'c"', 'NULL'])}::text[] AS l, '{{1,2},{3,4}}'::int[] AS m`
  assert.deepEqual({ ...row }, {
    a: 1,
    b: 2.5,
    c: 'ü',
    d: true,
    e: moment,
    f: { k: [1, null] },
    g: [1, 2],
    h: null,
    i: Buffer.from([0, 255]),
    j: '1.10',
    k: String(2n ** 60n),
    l: ['a b', 'c"', 'NULL'],
    m: [
      [1, 2],
      [3, 4],
    ],
  })
})

test('helpers of inserts, updates and lists', async () => {
  const rows = [
    { i: 1, x: 'a', doc: { n: 1 }, tags: ['p', 'q'] },
    { i: 2, x: null, doc: null, tags: [] },
  ]
  const made = await sql`INSERT INTO t ${sql(rows, 'i', 'x', 'doc', 'tags')} RETURNING *`
  assert.deepEqual([...made].map((row) => ({ ...row })), rows)
  assert.deepEqual([made.count, made.command], [2, 'INSERT'])
  await sql`UPDATE t SET ${sql({ x: 'new' }, 'x')} WHERE i IN ${sql([2, 3])}`
  const found = await sql`SELECT ${sql(['i', 'x'])} FROM ${sql('t')} WHERE i = ANY(${[2, 9]}) ORDER BY ${sql('i')}`
  assert.deepEqual([...found], [{ i: 2, x: 'new' }])
  const more = await sql`
    INSERT INTO t (i, x) SELECT * FROM unnest(${sql.array([5, 6])}::int[], ${sql.array(['y', 'z'])}::text[])`
  assert.equal(more.count, 2)
})

test('what a statement tells', async () => {
  const statement = await sql`SELECT i, x FROM t WHERE i > ${1}`.describe()
  assert.deepEqual(statement.types, [23])
  assert.deepEqual(
    statement.columns.map(({ name, type }) => [name, type]),
    [
      ['i', 23],
      ['x', 25],
    ],
  )
})

test('many queries at once', async () => {
  const results = await Promise.all(Array.from({ length: 200 }, (_, i) => sql`SELECT ${i}::int AS n`))
  assert.equal(results.reduce((sum, [{ n }]) => sum + n, 0), 19900)
})

test('transactions, savepoints and what is pipelined in them', async () => {
  await sql.begin(async (tx) => {
    await tx`INSERT INTO t (i) VALUES (1)`
    await tx
      .savepoint(async (inner) => {
        await inner`INSERT INTO t (i) VALUES (2)`
        await inner`INSERT INTO t (i) VALUES (1)`
      })
      .catch((error) => assert.equal(error.code, '23505'))
    await tx`INSERT INTO t (i) VALUES (3)`
  })
  assert.deepEqual((await sql`SELECT i FROM t ORDER BY i`).map(({ i }) => i), [1, 3])
  await fails(
    sql.begin('isolation level serializable read only', (tx) => tx`INSERT INTO t (i) VALUES (9)`),
    '25006',
  )
  const [, inserted, counted] = await sql.begin((tx) => [
    tx`DELETE FROM t`,
    tx`INSERT INTO t (i) VALUES (7), (8)`,
    tx`SELECT count(*)::int AS n FROM t`,
  ])
  assert.deepEqual([inserted.count, counted[0].n], [2, 2])
  await fails(
    sql.begin((tx) => [tx`DELETE FROM t`, tx`SELECT 1/0`, tx`SELECT 1`]),
    '22012',
  )
  assert.equal((await sql`SELECT * FROM t`).count, 2)
})

test('cursors', async () => {
  const sizes = []
  await sql`SELECT n FROM generate_series(1, ${1000}::int) n`.cursor(300, (rows) => {
    sizes.push(rows.length)
  })
  assert.deepEqual(sizes, [300, 300, 300, 100])
  let first
  for await (const [row] of sql`SELECT n FROM generate_series(1, 100000) n`.cursor()) {
    first = row.n
    break
  }
  assert.equal(first, 1)
})

test('rows one by one, as arrays, raw', async () => {
  let sum = 0
  await sql`SELECT n FROM generate_series(1, 100) n`.forEach(({ n }) => (sum += n))
  assert.equal(sum, 5050)
  assert.deepEqual([...(await sql`SELECT 1 AS a, 2 AS a`.values())], [[1, 2]])
  const [[raw]] = await sql`SELECT 42::int`.raw()
  assert.equal(raw.toString(), '42')
})

test('COPY both ways', async () => {
  const into = await sql`COPY t (i, x) FROM STDIN`.writable()
  await pipeline(Readable.from(['1\ta\n2\t', 'b\\tc\n3\t\\N\n']), into)
  const out = await sql`COPY t (x, i) TO STDOUT (FORMAT csv, NULL 'nil')`.readable()
  const chunks = []
  for await (const chunk of out) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), 'a,1\nb\tc,2\nnil,3\n')
})

test('LISTEN and NOTIFY', async () => {
  let heard
  const payload = new Promise((resolve) => (heard = resolve))
  const { unlisten } = await sql.listen('news', heard)
  await sql.notify('news', 'fresh')
  assert.equal(await payload, 'fresh')
  await unlisten()
})

test('scripts and unsafe text', async () => {
  const results = await sql.unsafe("INSERT INTO t (i) VALUES (1); SELECT i FROM t; SELECT 'x' AS y")
  assert.deepEqual(
    results.map((result) => [result.command, result.count]),
    [
      ['INSERT', 1],
      ['SELECT', 1],
      ['SELECT', 1],
    ],
  )
  assert.equal((await sql.unsafe('SELECT $1::int + 1 AS n', [41]))[0].n, 42)
})

test('cancelling', async () => {
  const query = sql`SELECT pg_sleep(60)`
  setTimeout(() => query.cancel(), 100)
  await fails(query, '57014')
  assert.equal((await sql`SELECT 1 AS n`)[0].n, 1)
})

test('errors', async () => {
  await sql`INSERT INTO t (i) VALUES (1)`
  const error = await fails(sql`INSERT INTO t (i) VALUES (${1})`, '23505')
  assert.deepEqual(
    [error.detail, error.schema_name, error.table_name, error.constraint_name],
    ['Key (i)=(1) already exists.', schema, 't', 't_pkey'],
  )
  assert.equal((await fails(sql`SELECT * FORM t`, '42601')).position, '10')
  await fails(sql`SELECT ${'x'}::text::int`, '22P02')
})

test('a schema that changes under prepared statements', async () => {
  const all = () => sql`SELECT * FROM t`
  await sql`INSERT INTO t (i) VALUES (1)`
  assert.deepEqual(Object.keys((await all())[0]), ['i', 'x', 'doc', 'tags'])
  await sql`ALTER TABLE t ADD COLUMN extra int DEFAULT 5`
  assert.equal((await all())[0].extra, 5)
})

test('own types', async () => {
  const own = postgres({
    ...where,
    username: where.user,
    max: 1,
    types: { point: { to: 600, from: [600], serialize: ([x, y]) => `(${x},${y})`, parse: (text) => JSON.parse(`[${text.slice(1, -1)}]`) } },
  })
  const [{ p }] = await own`SELECT ${own.types.point([1.5, 2])}::point AS p`
  assert.deepEqual(p, [1.5, 2])
  await own.end()
})
