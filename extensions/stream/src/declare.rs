//! What the engine brings: functions, and the script that makes its tables.

use aegis_catalog::engine::Declaration;

/// The columns of a message as functions return it.
macro_rules! message {
    ($($more:literal)?) => {
        concat!(
            "table(partition integer, \"offset\" bigint, key text, payload jsonb, text text, ",
            "bytes bytea, headers jsonb, published_at timestamptz, id uuid",
            $($more,)?
            ")"
        )
    };
}

macro_rules! publish {
    ($ty:literal) => {
        concat!(
            "stream regclass, payload ",
            $ty,
            ", key text = NULL, headers jsonb = NULL, message_id text = NULL, \
             expected_offset bigint = NULL, expected_version bigint = NULL, \
             deliver_at timestamptz = NULL, ttl interval = NULL, partition integer = NULL"
        )
    };
}

/// New functions go to the end: their OIDs follow their places.
pub(crate) static FUNCTIONS: &[Declaration] = &[
    Declaration::volatile("stream_publish", publish!("text"), "uuid", false),
    Declaration::volatile("stream_publish", publish!("jsonb"), "uuid", false),
    Declaration::volatile("stream_publish", publish!("bytea"), "uuid", false),
    Declaration::volatile(
        "stream_publish_batch",
        "stream regclass, messages jsonb",
        "bigint",
        true,
    ),
    // No default: what is written without a type is the messages of the other.
    Declaration::volatile(
        "stream_publish_batch",
        "stream regclass, payloads text[], keys text[]",
        "bigint",
        false,
    ),
    Declaration::stable(
        "stream_read",
        "stream regclass, from_offset bigint = NULL, from_time timestamptz = NULL, \
         max_messages integer = 1000, partition integer = NULL, key text = NULL",
        message!(),
        false,
    ),
    Declaration::stable("stream_last", "stream regclass, key text", message!(), true),
    Declaration::stable("stream_version", "stream regclass, key text", "bigint", true),
    Declaration::volatile(
        "stream_trim",
        "stream regclass, before_offset bigint, partition integer = NULL",
        "bigint",
        false,
    ),
    Declaration::stable(
        "stream_info",
        "stream regclass",
        "table(partition integer, first_offset bigint, next_offset bigint, \
         last_published_at timestamptz)",
        true,
    ),
    Declaration::stable(
        "streams",
        "",
        "table(stream regclass, partitions integer, payload text, retention interval, \
         retention_bytes bigint, max_message_bytes bigint)",
        true,
    ),
    Declaration::volatile(
        "stream_create_group",
        "stream regclass, group_name text, start text = 'earliest', \
         visibility interval = '30 seconds', max_deliveries integer = 5, \
         backoff interval = '1 second', dead_letter regclass = NULL, \
         single_active boolean = false, if_not_exists boolean = false",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "stream_drop_group",
        "stream regclass, group_name text, if_exists boolean = false",
        "boolean",
        true,
    ),
    Declaration::waiting(
        "stream_poll",
        "stream regclass, group_name text, consumer text, max_messages integer = 100, \
         block_ms integer = 0, visibility interval = NULL",
        message!(", deliveries integer"),
    ),
    Declaration::volatile(
        "stream_ack",
        "stream regclass, group_name text, partition integer, message_offset bigint, \
         consumer text = NULL",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "stream_ack",
        "stream regclass, group_name text, partition integer, message_offsets bigint[], \
         consumer text = NULL",
        "bigint",
        false,
    ),
    Declaration::volatile(
        "stream_nack",
        "stream regclass, group_name text, partition integer, message_offset bigint, \
         delay interval = NULL, reason text = NULL, consumer text = NULL",
        "boolean",
        false,
    ),
    Declaration::volatile(
        "stream_seek",
        "stream regclass, group_name text, start text, partition integer = NULL",
        "bigint",
        false,
    ),
    Declaration::stable(
        "stream_lag",
        "stream regclass, group_name text",
        "table(partition integer, next_offset bigint, end_offset bigint, lag bigint, \
         pending bigint)",
        true,
    ),
    Declaration::stable(
        "stream_groups",
        "stream regclass",
        "table(group_name text, visibility interval, max_deliveries integer, backoff interval, \
         dead_letter regclass, single_active boolean, created_at timestamptz)",
        true,
    ),
    Declaration::stable(
        "stream_consumers",
        "stream regclass, group_name text",
        "table(consumer text, since timestamptz, seen_at timestamptz, partitions integer[])",
        true,
    ),
    Declaration::stable(
        "stream_offsets",
        "stream regclass, start text",
        "table(partition integer, next_offset bigint)",
        true,
    ),
    Declaration::stable("stream_due", "", "text[]", true),
    Declaration::volatile("stream_sweep", "max_messages integer = 1000", "boolean", true),
];

pub(crate) static SCRIPT: &[&str] = &[
    "CREATE TABLE aegis.stream_groups (
         stream oid, group_name text,
         visibility interval NOT NULL, max_deliveries integer NOT NULL, backoff interval NOT NULL,
         dead_letter oid, single_active boolean NOT NULL, created_at timestamptz NOT NULL,
         PRIMARY KEY (stream, group_name))",
    "CREATE TABLE aegis.stream_cursors (
         stream oid, group_name text, partition integer, next_offset bigint NOT NULL,
         PRIMARY KEY (stream, group_name, partition))",
    "CREATE TABLE aegis.stream_pending (
         stream oid, group_name text, partition integer, message_offset bigint,
         key text, consumer text, visible_at timestamptz NOT NULL, deliveries integer NOT NULL,
         reason text,
         PRIMARY KEY (stream, group_name, partition, message_offset))",
    "CREATE TABLE aegis.stream_consumers (
         stream oid, group_name text, consumer text,
         since timestamptz NOT NULL, seen_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
         PRIMARY KEY (stream, group_name, consumer))",
    "CREATE TABLE aegis.stream_ids (
         stream oid, id uuid, expires_at timestamptz NOT NULL,
         PRIMARY KEY (stream, id))",
    "CREATE INDEX stream_ids_expires_at ON aegis.stream_ids (expires_at)",
    "CREATE TABLE aegis.stream_delayed (
         deliver_at timestamptz, id uuid, stream oid, partition integer, key text,
         payload jsonb, text text, bytes bytea, headers jsonb, ttl interval,
         PRIMARY KEY (deliver_at, id))",
];
