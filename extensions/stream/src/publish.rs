//! Publishing: by INSERT and COPY, and by functions that can ask for more.

use std::sync::Arc;

use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow, TableAccess};
use aegis_sql::engine::{EngineCall, RowHook, converted, invalid, row_key, size, time_of};
use aegis_storage::{LockWait, RowLockMode, TableLockMode};
use aegis_types::jsonb::Value;
use aegis_types::{Datum, SqlError, SqlResult, SqlState, type_oid};
use async_trait::async_trait;

use crate::arguments::{relation, span};
use crate::known::{Known, Own, Stream, column};
use crate::message::{Message, id_of, in_columns, new_id, partition_of};
use crate::version::count_for_writing;

/// Looks after the rows of streams.
#[derive(Debug)]
pub(crate) struct Hook(pub(crate) Arc<Known>);

/// What a publisher expects to find.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    /// The last offset, of the key or else of the partition; -1 for none.
    offset: Option<i64>,
    /// How many messages the key has.
    version: Option<i64>,
}

#[async_trait]
impl RowHook for Hook {
    async fn insert(
        &self,
        changes: &mut Changes<'_>,
        table: &TableAccess,
        row: &mut [Datum],
    ) -> SqlResult<bool> {
        let stream = self.0.stream(changes.context, table.relation.oid)?;
        for (at, name) in [(column::OFFSET, "offset"), (column::PUBLISHED_AT, "published_at")] {
            if !row[at].is_null() {
                return Err(SqlError::new(
                    SqlState::GeneratedAlways,
                    format!("cannot insert a non-DEFAULT value into column \"{name}\""),
                )
                .detail(format!("Column \"{name}\" is given when a message is published.")));
            }
        }
        let number = i16::try_from(column::OFFSET + 1).unwrap_or_default();
        let time = i16::try_from(column::PUBLISHED_AT + 1).unwrap_or_default();
        let returned = &changes.returned_columns;
        let wants_number = [0, number, time].iter().any(|column| returned.contains(column));
        check_size(&stream, row)?;
        publish(changes, &stream, row, Expected::default(), wants_number).await?;
        Ok(true)
    }

    fn before(
        &self,
        _: &mut Changes<'_>,
        table: &TableAccess,
        _: Option<&OldRow>,
        _: &mut [Datum],
    ) -> SqlResult<()> {
        Err(append_only("update", table))
    }

    async fn after(
        &self,
        _: &mut Changes<'_>,
        table: &TableAccess,
        _: Option<&OldRow>,
        _: Option<&[Datum]>,
    ) -> SqlResult<()> {
        Err(append_only("delete from", table))
    }
}

/// 42809
fn append_only(what: &str, table: &TableAccess) -> SqlError {
    SqlError::new(
        SqlState::WrongObjectType,
        format!("cannot {what} stream \"{}\"", table.relation.name),
    )
    .detail("A stream is append-only.")
    .hint("Use stream_trim() to remove messages, or set its retention.")
}

/// Locks something of a stream until the transaction ends.
async fn lock(
    changes: &mut Changes<'_>,
    stream: &Stream,
    what: &[u8],
    mode: RowLockMode,
) -> SqlResult<()> {
    let wait = changes.lock_wait();
    let cancel = &changes.context.cancel;
    cancel.wait(changes.txn.lock_row(stream.locks(), what, mode, wait)).await?;
    Ok(())
}

/// Keeps a stream's trees as they are until the transaction ends, as INSERT does.
pub(crate) async fn join(changes: &mut Changes<'_>, stream: &Stream) -> SqlResult<()> {
    let relation = &stream.table.relation;
    let object = (u64::from(relation.database.0) << 32) | u64::from(relation.oid.0);
    let wait = LockWait::Wait { timeout: changes.lock_timeout };
    let cancel = &changes.context.cancel;
    cancel.wait(changes.txn.lock_table(object, TableLockMode::RowExclusive, wait)).await?;
    Ok(())
}

/// 54000 for what is longer than a stream's messages may be.
fn check_size(stream: &Stream, row: &[Datum]) -> SqlResult<()> {
    let bytes = size(&row[column::KEY]) + size(&row[column::PAYLOAD]) + size(&row[column::HEADERS]);
    if i64::try_from(bytes).unwrap_or(i64::MAX) > stream.settings.max_message_bytes {
        return Err(SqlError::new(
            SqlState::ProgramLimitExceeded,
            format!("message of {bytes} bytes is too long for stream \"{}\"", stream.name()),
        )
        .detail(format!("Its limit is {} bytes.", stream.settings.max_message_bytes)));
    }
    Ok(())
}

/// The partition of a message with an id: its key's, the one that it names, or any. Whether it is the
/// key's. Errors: 22023.
fn place(stream: &Stream, row: &[Datum]) -> SqlResult<(i32, bool)> {
    let partitions = stream.settings.partitions;
    let by_key = match &row[column::KEY] {
        Datum::Text(key) => Some(partition_of(key, partitions)),
        _ => None,
    };
    let found = match (&row[column::PARTITION], by_key) {
        (Datum::Null, Some(by_key)) => by_key,
        (Datum::Null, None) => match &row[column::ID] {
            Datum::Uuid(id) => i32::from(id[15]) % partitions,
            _ => 0,
        },
        (Datum::Int4(given), Some(by_key)) if *given != by_key => {
            return Err(invalid(format!(
                "messages with this key belong to partition {by_key} of stream \"{}\"",
                stream.name()
            )));
        }
        (Datum::Int4(given), _) if (0..partitions).contains(given) => *given,
        _ => return Err(stream.no_partition()),
    };
    Ok((found, by_key.is_some()))
}

/// Publishes a row of a stream, whose offset and time are filled in where they are asked for.
async fn publish(
    changes: &mut Changes<'_>,
    stream: &Stream,
    row: &mut [Datum],
    expected: Expected,
    wants_number: bool,
) -> SqlResult<()> {
    if row[column::ID].is_null() {
        row[column::ID] = Datum::Uuid(new_id()?);
    }
    let (partition, is_by_key) = place(stream, row)?;
    row[column::PARTITION] = Datum::Int4(partition);
    // Who wants to know offsets has the partition alone; the others share it.
    let alone = wants_number || (expected.offset.is_some() && !is_by_key);
    let mode = |alone| if alone { RowLockMode::ForUpdate } else { RowLockMode::ForKeyShare };
    lock(changes, stream, &lock_of(partition)?, mode(alone)).await?;
    if let Datum::Text(key) = row[column::KEY].clone() {
        let alone = expected.offset.is_some() || expected.version.is_some();
        let name = [&b"k"[..], key.as_bytes()].concat();
        lock(changes, stream, &name, mode(alone)).await?;
    }
    check_expected(changes, stream, row, partition, expected)?;
    let counter = stream.counter(partition);
    let mut time = Some(column::PUBLISHED_AT);
    let mut number = 0;
    if alone {
        number = i64::try_from(changes.txn.next_number(counter, 0)?).unwrap_or(i64::MAX);
        let newest = changes.txn.newest_view()?;
        row[column::PUBLISHED_AT] = Datum::Timestamptz(time_of(&newest));
        time = None;
    }
    changes.append_row(&stream.table, row, counter, 0, time)?;
    row[column::OFFSET] = Datum::Int8(number);
    if changes.txn.should_number_now() {
        number_now(changes, stream).await?;
    }
    changes.context.host.wake(&stream.channel(), "")
}

/// Takes the partitions that a large transaction publishes to for itself, so that memory need not hold
/// its messages until the commit: others who publish there wait for its end.
async fn number_now(changes: &mut Changes<'_>, stream: &Stream) -> SqlResult<()> {
    for partition in stream.partitions() {
        let counter = stream.counter(partition);
        if changes.txn.appended_to(counter) > 0 {
            lock(changes, stream, &lock_of(partition)?, RowLockMode::ForUpdate).await?;
            changes.txn.number_now(counter, 0)?;
        }
    }
    Ok(())
}

/// The name under which a partition is locked.
fn lock_of(partition: i32) -> SqlResult<Vec<u8>> {
    Ok([&b"p"[..], &row_key(&[Datum::Int4(partition)])?].concat())
}

/// 40001 where a publisher expects what is not.
fn check_expected(
    changes: &Changes<'_>,
    stream: &Stream,
    row: &[Datum],
    partition: i32,
    expected: Expected,
) -> SqlResult<()> {
    if expected.offset.is_none() && expected.version.is_none() {
        return Ok(());
    }
    let refused = |what: &str, wanted: i64, found: i64| {
        Err(SqlError::new(
            SqlState::TRSerializationFailure,
            format!("wrong expected {what} in stream \"{}\"", stream.name()),
        )
        .detail(format!("Expected {wanted}, found {found}.")))
    };
    let key = match &row[column::KEY] {
        Datum::Text(key) => Some(key.clone()),
        _ => None,
    };
    if let (Some(_), None) = (expected.version, &key) {
        return Err(invalid("expected_version is of a key: a message without one has none"));
    }
    let found = match &key {
        Some(key) => count_for_writing(changes, stream, key)?,
        None => (
            0,
            i64::try_from(changes.txn.next_number(stream.counter(partition), 0)?)
                .unwrap_or(i64::MAX)
                - 1,
        ),
    };
    if let Some(version) = expected.version
        && version != found.0
    {
        return refused("version", version, found.0);
    }
    if let Some(offset) = expected.offset
        && offset != found.1
    {
        return refused("offset", offset, found.1);
    }
    Ok(())
}

impl Message {
    /// Publishes what the engine itself has to say, or was given before: however long it is.
    pub(crate) async fn publish(self, changes: &mut Changes<'_>, stream: &Stream) -> SqlResult<()> {
        let mut row = self.into_row(stream)?;
        join(changes, stream).await?;
        publish(changes, stream, &mut row, Expected::default(), false).await
    }

    async fn publish_expecting(
        self,
        changes: &mut Changes<'_>,
        stream: &Stream,
        expected: Expected,
    ) -> SqlResult<()> {
        let mut row = self.into_row(stream)?;
        check_size(stream, &row)?;
        join(changes, stream).await?;
        publish(changes, stream, &mut row, expected, false).await
    }

    fn into_row(self, stream: &Stream) -> SqlResult<Vec<Datum>> {
        let mut row = vec![Datum::Null; column::COUNT];
        row[column::PARTITION] = self.partition.map_or(Datum::Null, Datum::Int4);
        row[column::KEY] = self.key.map_or(Datum::Null, Datum::text);
        row[column::PAYLOAD] = converted(&self.payload, stream.settings.payload)?;
        row[column::HEADERS] = self.headers;
        row[column::ID] = self.id.map_or(Datum::Null, Datum::Uuid);
        row[column::EXPIRES_AT] = self.expires_at.map_or(Datum::Null, Datum::Timestamptz);
        Ok(row)
    }
}

/// `stream_publish`: the message's id.
pub(crate) fn one(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::INSERT)?;
    let id = match call.text(4) {
        Some(name) => id_of(&stream, name),
        None => new_id()?,
    };
    let ttl = span(call, 8, "ttl")?;
    if ttl == Some(0) {
        return Err(invalid("ttl must be greater than zero"));
    }
    let deliver_at = match call.argument(7) {
        Datum::Timestamptz(time) => Some(*time),
        _ => None,
    };
    let partition = call.integer(9).and_then(|number| i32::try_from(number).ok());
    let message = Message {
        partition,
        key: call.text(2).map(str::to_owned),
        payload: call.argument(1).clone(),
        headers: call.argument(3).clone(),
        id: Some(id),
        expires_at: None,
    };
    let expected = Expected { offset: call.integer(5), version: call.integer(6) };
    if deliver_at.is_some() && (expected.offset.is_some() || expected.version.is_some()) {
        return Err(invalid("what a delayed message will find is not known now"));
    }
    let is_named = call.text(4).is_some();
    let own = known.own(call.context)?;
    call.change(&call.context.catalog, async |changes| {
        if is_named && !is_first(changes, &own, &stream, id).await? {
            return Ok(());
        }
        let now = time_of(&changes.context.view);
        match deliver_at.filter(|time| *time > now) {
            Some(time) => delay(changes, &own, &stream, message, time, call.argument(8)).await,
            None => {
                let expires_at = ttl.map(|ttl| now.saturating_add(ttl));
                let message = Message { expires_at, ..message };
                message.publish_expecting(changes, &stream, expected).await
            }
        }
    })?;
    Ok(Datum::Uuid(id))
}

/// Whether a message with this id has not been published within the stream's window.
async fn is_first(
    changes: &mut Changes<'_>,
    own: &Own,
    stream: &Stream,
    id: [u8; 16],
) -> SqlResult<bool> {
    let now = time_of(&changes.context.view);
    let key = row_key(&[Datum::Oid(stream.oid()), Datum::Uuid(id)])?;
    let until = Datum::Timestamptz(now.saturating_add(stream.settings.window));
    let mut row = [Datum::Oid(stream.oid()), Datum::Uuid(id), until];
    match changes.lock_newest(&own.ids, &key).await? {
        Some(old) if matches!(old.values[2], Datum::Timestamptz(until) if until > now) => Ok(false),
        Some(old) => changes.update_row(&own.ids, &old, &mut row).await.map(|()| true),
        None => changes.insert_row(&own.ids, &mut row, None).await.map(|_| true),
    }
}

/// Keeps a message until its time comes.
async fn delay(
    changes: &mut Changes<'_>,
    own: &Own,
    stream: &Stream,
    message: Message,
    deliver_at: i64,
    ttl: &Datum,
) -> SqlResult<()> {
    let published = message.clone().into_row(stream)?;
    check_size(stream, &published)?;
    place(stream, &published)?;
    let payload = published[column::PAYLOAD].clone();
    let mut row = vec![
        Datum::Timestamptz(deliver_at),
        message.id.map_or(Datum::Null, Datum::Uuid),
        Datum::Oid(stream.oid()),
        message.partition.map_or(Datum::Null, Datum::Int4),
        message.key.map_or(Datum::Null, Datum::text),
    ];
    row.extend(in_columns(payload));
    row.extend([message.headers, ttl.clone()]);
    changes.insert_row(&own.delayed, &mut row, None).await.map(drop)
}

/// `stream_publish_batch`: how many were published.
pub(crate) fn batch(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    relation(call, 0)?;
    let stream = known.of_call(call, Privilege::INSERT)?;
    let mut messages: Vec<(Message, bool)> = Vec::new();
    match (call.argument(1), call.argument(2)) {
        (Datum::Jsonb(list), _) => {
            let Value::Array(elements) = list.root().value() else {
                return Err(invalid("stream_publish_batch() expects an array of messages"));
            };
            for element in elements.iter() {
                messages.push(message_of(&stream, element)?);
            }
        }
        (Datum::Array(payloads), keys) => {
            let keys = match keys {
                Datum::Array(keys) if keys.elements.len() == payloads.elements.len() => {
                    Some(&keys.elements)
                }
                Datum::Null => None,
                _ => return Err(invalid("there must be as many keys as payloads")),
            };
            for (at, payload) in payloads.elements.iter().enumerate() {
                let key = keys.and_then(|keys| match &keys[at] {
                    Datum::Text(key) => Some(key.to_string()),
                    _ => None,
                });
                let message = Message { key, ..Message::of(payload.clone()) };
                messages.push((message, false));
            }
        }
        _ => return Ok(Datum::Null),
    }
    let own = known.own(call.context)?;
    let published = call.change(&call.context.catalog, async |changes| {
        let mut published = 0;
        for (message, is_named) in messages {
            changes.context.cancel.check()?;
            let is_new = match message.id {
                Some(id) if is_named => is_first(changes, &own, &stream, id).await?,
                _ => true,
            };
            if is_new {
                message.publish_expecting(changes, &stream, Expected::default()).await?;
                published += 1;
            }
        }
        Ok(published)
    })?;
    Ok(Datum::Int8(published))
}

/// An element of a batch: an object with `payload`, and what else a message has.
fn message_of(
    stream: &Stream,
    element: aegis_types::jsonb::Node<'_>,
) -> SqlResult<(Message, bool)> {
    let Value::Object(fields) = element.value() else {
        return Err(invalid("a message is an object with a payload"));
    };
    let mut message = Message::of(Datum::Null);
    let (mut is_named, mut has_payload) = (false, false);
    for (name, node) in fields.iter() {
        let text = || node.as_text();
        match name {
            "payload" => {
                has_payload = true;
                message.payload = match (node.value(), stream.settings.payload) {
                    (Value::Null, type_oid::TEXT | type_oid::BYTEA) => Datum::Null,
                    (Value::String(_), type_oid::TEXT | type_oid::BYTEA) => {
                        Datum::text(text().unwrap_or_default())
                    }
                    _ => Datum::Jsonb(aegis_types::jsonb::Jsonb::from_node(node)),
                };
            }
            "key" => message.key = text(),
            "headers" => message.headers = Datum::Jsonb(aegis_types::jsonb::Jsonb::from_node(node)),
            "message_id" => {
                message.id = text().map(|text| id_of(stream, &text));
                is_named = message.id.is_some();
            }
            "partition" => {
                let number = text().map(|text| {
                    let number = text.parse();
                    number.map_err(|_| invalid(format!("\"{text}\" is not a partition")))
                });
                message.partition = number.transpose()?;
            }
            _ => return Err(invalid(format!("a message has no \"{name}\""))),
        }
    }
    if !has_payload {
        return Err(invalid("a message is an object with a payload"));
    }
    Ok((message, is_named))
}
