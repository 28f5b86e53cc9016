// What the suite's files share: where the server is, and a schema of each file's own.

import assert from 'node:assert/strict'

import pg from 'pg'

// A libpq connection string as keywords: host, port, user, dbname.
const dsn = Object.fromEntries(
  process.env.AEGIS_CLIENTS_DSN.split(' ').map((pair) => pair.split('=')),
)

export const where = {
  host: dsn.host,
  port: Number(dsn.port),
  user: dsn.user,
  database: dsn.dbname,
}

/** An empty schema. */
export async function makeSchema(schema) {
  const client = new pg.Client(where)
  await client.connect()
  await client.query('SET client_min_messages = warning')
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}`)
  await client.end()
}

/** The schema is gone. */
export async function dropSchema(schema) {
  const client = new pg.Client(where)
  await client.connect()
  await client.query('SET client_min_messages = warning')
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await client.end()
}

/** Awaits what must fail with this SQLSTATE; the error. */
export async function fails(promise, code) {
  const error = await promise.then(
    () => assert.fail(`it should have failed with ${code}`),
    (raised) => raised,
  )
  assert.equal(error.code, code, error.message)
  return error
}
