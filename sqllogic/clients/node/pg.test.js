// node-postgres: types, prepared statements, pools, cursors, COPY streams, LISTEN, errors, transactions.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, beforeEach, test } from 'node:test'

import pg from 'pg'
import copy from 'pg-copy-streams'
import Cursor from 'pg-cursor'

import { dropSchema, fails, makeSchema, where } from './support.js'

const schema = 'node_pg'
const options = { ...where, options: `-c search_path=${schema} -c timezone=UTC` }
let pool
let client

before(() => makeSchema(schema))
beforeEach(async (t) => {
  pool = new pg.Pool({ ...options, max: 5 })
  client = await pool.connect()
  await client.query(`SET client_min_messages = warning; DROP TABLE IF EXISTS t; CREATE TABLE t (i int PRIMARY KEY, x text)`)
  await client.query('RESET client_min_messages')
})
test.afterEach(async () => {
  client.release()
  await pool.end()
})
after(() => dropSchema(schema))

const value = async (query, parameters) =>
  (await client.query({ text: query, values: parameters, rowMode: 'array' })).rows[0][0]

test('values of all types come as JavaScript has them', async () => {
  const result = await client.query(
    `SELECT 1::int2 AS a, 2::int4 AS b, 9007199254740993::int8 AS c, 1.5::float4 AS d, 'NaN'::float8 AS e,
            1.10::numeric AS f, true AS g, 'x''y'::text AS h, '\\x00ff'::bytea AS i, NULL::int AS j,
            '{"a": [1, null]}'::json AS k, '{"b":  2}'::jsonb AS l, ARRAY[1, NULL, 3] AS m,
            ARRAY[['a b', 'c"d'], ['', 'NULL']] AS n, '2024-02-29 12:00:00.123+02'::timestamptz AS o,
            '1 year 2 days 03:04:05.006'::interval AS p, '(1.5,-2)'::point AS q,
            '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid AS r, 7::oid AS s, ARRAY[true] AS t`,
  )
  const [row] = result.rows
  assert.deepEqual(
    { ...row, p: row.p.toPostgres() },
    {
      a: 1,
      b: 2,
      c: '9007199254740993',
      d: 1.5,
      e: NaN,
      f: '1.10',
      g: true,
      h: "x'y",
      i: Buffer.from([0, 255]),
      j: null,
      k: { a: [1, null] },
      l: { b: 2 },
      m: [1, null, 3],
      n: [
        ['a b', 'c"d'],
        ['', 'NULL'],
      ],
      o: new Date('2024-02-29T10:00:00.123Z'),
      p: '5.006 seconds 4 minutes 3 hours 2 days 1 years',
      q: { x: 1.5, y: -2 },
      r: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
      s: 7,
      t: [true],
    },
  )
  assert.deepEqual(
    result.fields.slice(0, 4).map((field) => [field.name, field.dataTypeID, field.dataTypeSize]),
    [
      ['a', 21, 2],
      ['b', 23, 4],
      ['c', 20, 8],
      ['d', 700, 4],
    ],
  )
})

test('parameters of all types come back', async () => {
  const sent = [
    ['int', 42, 42],
    ['float8', -0.5, -0.5],
    ['text', 'ü"\\', 'ü"\\'],
    ['bool', false, false],
    ['bytea', Buffer.from([0, 1, 255]), Buffer.from([0, 1, 255])],
    ['jsonb', { a: [1, { b: null }] }, { a: [1, { b: null }] }],
    ['timestamptz', new Date('2024-06-01T01:02:03.004Z'), new Date('2024-06-01T01:02:03.004Z')],
    ['int[]', [1, null, 3], [1, null, 3]],
    ['text[]', [['a,b', '{}'], ['"', null]], [['a,b', '{}'], ['"', null]]],
    ['int', null, null],
    ['int8', 2n ** 62n, String(2n ** 62n)],
  ]
  for (const [type, parameter, expected] of sent) {
    assert.deepEqual(await value(`SELECT $1::${type}`, [parameter]), expected, type)
  }
})

test('prepared statements by name', async () => {
  const query = { name: 'add', text: 'INSERT INTO t VALUES ($1, $2) RETURNING i, upper(x) AS x' }
  for (let i = 0; i < 5; i += 1) {
    const { rows, command, rowCount } = await client.query({ ...query, values: [i, `x${i}`] })
    assert.deepEqual([rows, command, rowCount], [[{ i, x: `X${i}` }], 'INSERT', 1])
  }
  const listed = await client.query(
    "SELECT name, parameter_types::text AS types FROM pg_prepared_statements",
  )
  assert.deepEqual(listed.rows, [{ name: 'add', types: '{integer,text}' }])
  await fails(client.query({ ...query, values: [1, 'again'] }), '23505')
  assert.equal((await client.query({ ...query, values: [9, null] })).rows[0].x, null)
})

test('several statements in one query', async () => {
  const results = await client.query(
    "INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET x = 'c'; SELECT * FROM t ORDER BY i; DROP TABLE IF EXISTS u",
  )
  assert.deepEqual(
    results.map((result) => [result.command, result.rowCount]),
    [
      ['INSERT', 2],
      ['UPDATE', 2],
      ['SELECT', 2],
      ['DROP', null],
    ],
  )
  await fails(client.query("INSERT INTO t VALUES (3, 'z'); SELECT 1/0"), '22012')
  assert.equal(await value('SELECT count(*)::int FROM t'), 2)
})

test('queries queue up on one connection', async () => {
  const all = Array.from({ length: 100 }, (_, i) => client.query('SELECT $1::int AS n', [i]))
  all.splice(50, 0, assert.rejects(client.query('SELECT nothing')))
  const results = await Promise.all(all)
  assert.equal(results.filter(Boolean).reduce((sum, { rows }) => sum + rows[0].n, 0), 4950)
})

test('a pipeline of queries', async () => {
  const piped = new pg.Client({ ...options, pipeline: true })
  await piped.connect()
  try {
    const results = await Promise.allSettled([
      piped.query('INSERT INTO t VALUES ($1, $2)', [1, 'a']),
      piped.query('INSERT INTO t VALUES ($1, $2)', [1, 'b']),
      piped.query('SELECT x FROM t WHERE i = $1', [1]),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.equal(results[2].value.rows[0].x, 'a')
  } finally {
    await piped.end()
  }
})

test('a pool of clients', async () => {
  const pids = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const other = await pool.connect()
      const { rows } = await other.query('SELECT pg_backend_pid() AS pid, pg_sleep(0.01)')
      other.release()
      return rows[0].pid
    }),
  )
  assert.equal(new Set(pids).size, 4)
  await Promise.all(
    Array.from({ length: 40 }, (_, i) => pool.query('INSERT INTO t VALUES ($1, $2)', [i, 'p'])),
  )
  assert.equal(await value('SELECT count(*)::int FROM t'), 40)
})

test('a terminated client leaves the pool', async () => {
  const other = await pool.connect()
  // The error that the server sends comes first, and then that the connection has ended.
  const errors = []
  const gone = new Promise((resolve) => {
    other.on('error', (error) => resolve(errors.push(error)))
  })
  const pid = (await other.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
  assert.equal(await value('SELECT pg_terminate_backend($1)', [pid]), true)
  await gone
  assert.equal(errors[0].code, '57P01')
  other.release(true)
  assert.notEqual((await pool.query('SELECT pg_backend_pid() AS pid')).rows[0].pid, pid)
})

test('transactions and savepoints', async () => {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await client.query("INSERT INTO t VALUES (1, 'a')")
  await client.query('SAVEPOINT s')
  await fails(client.query("INSERT INTO t VALUES (1, 'b')"), '23505')
  await fails(client.query('SELECT 1'), '25P02')
  await client.query('ROLLBACK TO s')
  await client.query("INSERT INTO t VALUES (2, 'b')")
  assert.equal((await pool.query('SELECT * FROM t')).rowCount, 0)
  await client.query('COMMIT')
  assert.equal((await pool.query('SELECT * FROM t')).rowCount, 2)
  await client.query('BEGIN')
  await client.query('DELETE FROM t')
  await client.query('ROLLBACK')
  assert.equal((await pool.query('SELECT * FROM t')).rowCount, 2)
})

test('cursors read in parts', async () => {
  const cursor = client.query(new Cursor('SELECT n FROM generate_series(1, $1::int) n', [1000]))
  assert.deepEqual((await cursor.read(3)).map((row) => row.n), [1, 2, 3])
  let seen = 3
  for (;;) {
    const rows = await cursor.read(300)
    if (rows.length === 0) break
    seen += rows.length
  }
  assert.equal(seen, 1000)
  await cursor.close()
  const second = client.query(new Cursor('SELECT n FROM generate_series(1, 1000000) n'))
  await second.read(1)
  await second.close()
  assert.equal(await value('SELECT 1'), 1)
  const failing = client.query(new Cursor('SELECT 1 / (5 - n) FROM generate_series(1, 9) n'))
  await fails(failing.read(100), '22012')
})

test('COPY streams', async () => {
  const lines = Array.from({ length: 5000 }, (_, i) => `${i}\tline ${i}\n`)
  const into = client.query(copy.from('COPY t FROM STDIN'))
  await pipeline(Readable.from(lines), into)
  assert.equal(into.rowCount, 5000)
  const out = client.query(copy.to("COPY (SELECT i, x FROM t WHERE i < 3 ORDER BY i) TO STDOUT (FORMAT csv, HEADER)"))
  const chunks = []
  for await (const chunk of out) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), 'i,x\n0,line 0\n1,line 1\n2,line 2\n')
  const bad = client.query(copy.from('COPY t FROM STDIN'))
  const error = await fails(pipeline(Readable.from(['9000\ta\n', 'nine\tb\n']), bad), '22P02')
  assert.equal(error.where, 'COPY t, line 2, column i: "nine"')
  assert.equal(await value('SELECT count(*)::int FROM t'), 5000)
})

test('LISTEN and NOTIFY', async () => {
  const listener = await pool.connect()
  await listener.query('LISTEN "News"')
  const heard = once(listener, 'notification')
  await client.query("SELECT pg_notify('News', 'hé')")
  const [{ channel, payload, processId }] = await heard
  assert.deepEqual([channel, payload, processId], ['News', 'hé', client.processID])
  listener.release()
})

test('notices', async () => {
  const noticed = once(client, 'notice')
  await client.query('DROP TABLE IF EXISTS nothing_here')
  const [notice] = await noticed
  assert.deepEqual(
    [notice.severity, notice.code, notice.message],
    ['NOTICE', '00000', 'table "nothing_here" does not exist, skipping'],
  )
})

test('errors carry all fields', async () => {
  await client.query("INSERT INTO t VALUES (1, 'a')")
  const error = await fails(client.query('INSERT INTO t VALUES ($1)', [1]), '23505')
  assert.deepEqual(
    [error.severity, error.message, error.detail, error.schema, error.table, error.constraint],
    [
      'ERROR',
      'duplicate key value violates unique constraint "t_pkey"',
      'Key (i)=(1) already exists.',
      schema,
      't',
      't_pkey',
    ],
  )
  assert.equal((await fails(client.query('SELECT * FORM t'), '42601')).position, '10')
  const hint = (await fails(client.query('SELECT ii FROM t'), '42703')).hint
  assert.equal(hint, 'Perhaps you meant to reference the column "t.i".')
  await fails(client.query('SELECT $1::int', ['x']), '22P02')
  await fails(client.query('SELECT $1', [1, 2]), '08P01')
})

test('connections that are refused', async () => {
  const refused = new pg.Client({ ...options, database: 'no_such_database' })
  const error = await fails(refused.connect(), '3D000')
  assert.equal(error.message, 'database "no_such_database" does not exist')
})

test('timeouts', async () => {
  const timed = new pg.Client({ ...options, statement_timeout: 50, application_name: 'timed' })
  await timed.connect()
  try {
    await fails(timed.query('SELECT pg_sleep(60)'), '57014')
    const { rows } = await timed.query('SHOW application_name')
    assert.equal(rows[0].application_name, 'timed')
  } finally {
    await timed.end()
  }
})
