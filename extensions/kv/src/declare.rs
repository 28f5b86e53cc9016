//! What the engine brings: functions, and the script that makes its tables.

use aegis_catalog::engine::Declaration;
use aegis_sql::engine::ManagedTable;

/// New functions go to the end: their OIDs follow their places.
pub(crate) static FUNCTIONS: &[Declaration] = &[
    Declaration::stable("kv_get", "key text, namespace text = 'default'", "text", true),
    Declaration::stable("kv_get_jsonb", "key text, namespace text = 'default'", "jsonb", true),
    Declaration::stable("kv_get_bytea", "key text, namespace text = 'default'", "bytea", true),
    Declaration::stable("kv_exists", "key text, namespace text = 'default'", "boolean", true),
    Declaration::stable("kv_version", "key text, namespace text = 'default'", "bigint", true),
    Declaration::stable("kv_ttl", "key text, namespace text = 'default'", "interval", true),
    Declaration::stable("kv_count", "prefix text = '', namespace text = 'default'", "bigint", true),
    Declaration::stable(
        "kv_entry",
        "key text, namespace text = 'default'",
        "table(value text, json jsonb, bytes bytea, version bigint, expires_at timestamptz, \
         lease bigint, changed_at timestamptz)",
        true,
    ),
    Declaration::stable(
        "kv_scan",
        "prefix text = '', from_key text = NULL, to_key text = NULL, after text = NULL, \
         max_keys integer = 1000, namespace text = 'default'",
        "table(key text, value text, json jsonb, bytes bytea, version bigint, \
         expires_at timestamptz)",
        false,
    ),
    Declaration::stable(
        "kv_mget",
        "keys text[], namespace text = 'default'",
        "table(key text, value text, json jsonb, bytes bytea, version bigint)",
        true,
    ),
    Declaration::stable(
        "kv_history",
        "key text, max_entries integer = 100, namespace text = 'default'",
        "table(version bigint, operation text, value text, json jsonb, bytes bytea, \
         changed_at timestamptz)",
        true,
    ),
    Declaration::volatile(
        "kv_put",
        "key text, value text, ttl interval = NULL, if_absent boolean = false, \
         if_version bigint = NULL, lease bigint = NULL, namespace text = 'default'",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "kv_put",
        "key text, value jsonb, ttl interval = NULL, if_absent boolean = false, \
         if_version bigint = NULL, lease bigint = NULL, namespace text = 'default'",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "kv_put",
        "key text, value bytea, ttl interval = NULL, if_absent boolean = false, \
         if_version bigint = NULL, lease bigint = NULL, namespace text = 'default'",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "kv_delete",
        "key text, if_version bigint = NULL, namespace text = 'default'",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "kv_cas",
        "key text, expected text, value text, ttl interval = NULL, namespace text = 'default'",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "kv_cas",
        "key text, expected jsonb, value jsonb, ttl interval = NULL, namespace text = 'default'",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "kv_cas",
        "key text, expected bytea, value bytea, ttl interval = NULL, namespace text = 'default'",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "kv_incr",
        "key text, by bigint = 1, ttl interval = NULL, namespace text = 'default'",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "kv_mput",
        "entries jsonb, ttl interval = NULL, namespace text = 'default'",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "kv_mput",
        "keys text[], contents text[], ttl interval = NULL, namespace text = 'default'",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "kv_expire",
        "key text, ttl interval, namespace text = 'default'",
        "boolean",
        true,
    ),
    Declaration::volatile("kv_persist", "key text, namespace text = 'default'", "boolean", true),
    Declaration::volatile(
        "kv_create_namespace",
        "name text, history integer = 0, max_bytes bigint = NULL, if_not_exists boolean = false",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "kv_drop_namespace",
        "name text, if_exists boolean = false",
        "boolean",
        true,
    ),
    Declaration::stable(
        "kv_namespaces",
        "",
        "table(name text, history integer, max_bytes bigint, bytes bigint, \
         created_at timestamptz)",
        true,
    ),
    Declaration::waiting(
        "kv_watch",
        "key text = NULL, prefix text = NULL, from_version bigint = NULL, \
         from_revision bigint = NULL, max_changes integer = 1000, block_ms integer = 0, \
         namespace text = 'default'",
        "table(revision bigint, key text, operation text, value text, json jsonb, bytes bytea, \
         version bigint, changed_at timestamptz)",
    ),
    Declaration::stable("kv_revision", "", "bigint", true),
    Declaration::volatile("kv_lease_grant", "ttl interval, id bigint = NULL", "bigint", false),
    Declaration::volatile("kv_lease_keep_alive", "id bigint", "timestamptz", true),
    Declaration::volatile("kv_lease_revoke", "id bigint", "bigint", true),
    Declaration::stable(
        "kv_leases",
        "",
        "table(id bigint, ttl interval, granted_at timestamptz, expires_at timestamptz, \
         keys bigint)",
        true,
    ),
    Declaration::volatile("kv_sweep", "max_keys integer = 1000", "boolean", true),
    Declaration::volatile(
        "kv_alter_namespace",
        "name text, history integer = NULL, max_bytes bigint = NULL",
        "void",
        false,
    ),
];

/// The reference from keys to namespaces is kept by [`crate::namespace::join`]; being one, it puts
/// namespaces before keys in dumps.
///
/// The tables, in the order of [`crate::tables::Tables`].
pub(crate) static SCRIPT: &[&str] = &[
    "CREATE TABLE aegis.kv_namespaces (
         name text PRIMARY KEY,
         history integer NOT NULL DEFAULT 0 CHECK (history BETWEEN 0 AND 1000),
         max_bytes bigint CHECK (max_bytes > 0),
         created_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE aegis.kv (
         namespace text NOT NULL DEFAULT 'default' REFERENCES aegis.kv_namespaces,
         key text NOT NULL,
         value text,
         json jsonb,
         bytes bytea,
         version bigint NOT NULL DEFAULT 0,
         expires_at timestamptz,
         lease bigint,
         changed_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (namespace, key),
         CONSTRAINT kv_one_value CHECK (num_nonnulls(value, json, bytes) = 1))",
    "CREATE INDEX kv_expires_at ON aegis.kv (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX kv_lease ON aegis.kv (lease) WHERE lease IS NOT NULL",
    "CREATE TABLE aegis.kv_changes (
         revision bigint PRIMARY KEY,
         namespace text NOT NULL,
         key text,
         operation text NOT NULL,
         value text,
         json jsonb,
         bytes bytea,
         version bigint,
         changed_at timestamptz NOT NULL)",
    "CREATE INDEX kv_changes_version ON aegis.kv_changes (version)",
    "CREATE TABLE aegis.kv_history (
         namespace text NOT NULL,
         key text NOT NULL,
         version bigint NOT NULL,
         operation text NOT NULL,
         value text,
         json jsonb,
         bytes bytea,
         changed_at timestamptz NOT NULL,
         PRIMARY KEY (namespace, key, version))",
    "CREATE TABLE aegis.kv_leases (
         id bigint PRIMARY KEY,
         ttl interval NOT NULL,
         granted_at timestamptz NOT NULL DEFAULT now(),
         expires_at timestamptz NOT NULL)",
    "CREATE TABLE aegis.kv_sizes (namespace text PRIMARY KEY, bytes bigint NOT NULL)",
    "COMMENT ON TABLE aegis.kv IS 'the keys of kv_put and its kin'",
    "COMMENT ON TABLE aegis.kv_changes IS 'what kv_watch shows'",
];

pub(crate) static TABLES: &[ManagedTable] = &[
    ManagedTable { name: "kv_namespaces", expires: None, dumped: Some("") },
    // Who held a lease is not there any more where a dump is restored.
    ManagedTable { name: "kv", expires: Some("expires_at"), dumped: Some("WHERE lease IS NULL") },
    ManagedTable { name: "kv_changes", expires: None, dumped: None },
    ManagedTable { name: "kv_history", expires: None, dumped: None },
    ManagedTable { name: "kv_leases", expires: Some("expires_at"), dumped: None },
    ManagedTable { name: "kv_sizes", expires: None, dumped: None },
];
