//! Acknowledging messages, and refusing them.

use std::collections::HashSet;

use aegis_catalog::access::Privilege;
use aegis_sql::dml::OldRow;
use aegis_sql::engine::{EngineCall, row_key, time_of};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use crate::arguments::span;
use crate::group::{Group, rows_with, start};
use crate::known::Known;
use crate::poll::pending;

/// How far waiting grows, in doublings.
const DOUBLINGS_MAX: i32 = 16;

fn partition_of_call(call: &EngineCall<'_>) -> SqlResult<Datum> {
    let partition = call.integer(2).and_then(|number| i32::try_from(number).ok());
    partition.map(Datum::Int4).ok_or_else(|| missing("a partition"))
}

fn missing(what: &str) -> SqlError {
    SqlError::new(SqlState::NullValueNotAllowed, format!("{what} cannot be null"))
}

/// `stream_ack`: how many messages it was that waited for it. What is not pending, or another
/// consumer's by now, does not count.
pub(crate) fn acknowledge(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.needed(1, "the name of a group")?;
    let partition = partition_of_call(call)?;
    let offsets: HashSet<i64> = match call.argument(3) {
        Datum::Int8(offset) => HashSet::from([*offset]),
        Datum::Array(offsets) => offsets
            .elements
            .iter()
            .filter_map(|offset| match offset {
                Datum::Int8(offset) => Some(*offset),
                _ => None,
            })
            .collect(),
        _ => return Err(missing("an offset")),
    };
    let consumer = call.text(4);
    call.change(&call.context.catalog, async |changes| {
        let [oid, group] = start(&stream, name);
        let view = changes.txn.newest_view()?;
        Group::find(&own, &stream, name, &view)?;
        let mut earlier: HashSet<String> = HashSet::new();
        let mut done = 0;
        let last = offsets.iter().max().copied().unwrap_or_default();
        for row in rows_with(&own.pending, &view, &[oid, group, partition.clone()])? {
            let Datum::Int8(offset) = row.values[pending::OFFSET] else { continue };
            if offset > last {
                break;
            }
            let key = match &row.values[pending::KEY] {
                Datum::Text(key) => Some(key.to_string()),
                _ => None,
            };
            if !offsets.contains(&offset) {
                earlier.extend(key);
                continue;
            }
            if let Some(key) = key.filter(|key| earlier.contains(key)) {
                return Err(SqlError::new(
                    SqlState::ObjectNotInPrerequisiteState,
                    format!("an earlier message with key \"{key}\" is not acknowledged"),
                )
                .detail(format!("Offset {offset} was to be acknowledged.")));
            }
            if let Some(row) = changes.lock_newest(&own.pending, &row.key).await?
                && is_of(&row, consumer)
            {
                changes.delete_row(&own.pending, &row).await?;
                done += 1;
            }
        }
        Ok(Datum::Int8(done))
    })
}

/// Whether a message was delivered, to this consumer if one is named.
fn is_of(row: &OldRow, consumer: Option<&str>) -> bool {
    let was_delivered = matches!(row.values[pending::DELIVERIES], Datum::Int4(count) if count > 0);
    let is_own = consumer.is_none_or(
        |name| matches!(&row.values[pending::CONSUMER], Datum::Text(holder) if **holder == *name),
    );
    was_delivered && is_own
}

/// `stream_nack`: the message is due again after a while; whether it was pending, and with the consumer
/// that is named.
pub(crate) fn refuse(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.needed(1, "the name of a group")?;
    let partition = partition_of_call(call)?;
    let offset = call.integer(3).ok_or_else(|| missing("an offset"))?;
    let (delay, consumer) = (span(call, 4, "delay")?, call.text(6));
    call.change(&call.context.catalog, async |changes| {
        let [oid, group] = start(&stream, name);
        let view = changes.txn.newest_view()?;
        let settings = Group::find(&own, &stream, name, &view)?;
        let columns = [oid, group, partition, Datum::Int8(offset)];
        let row = changes.lock_newest(&own.pending, &row_key(&columns)?).await?;
        let Some(row) = row.filter(|row| is_of(row, consumer)) else {
            return Ok(Datum::Bool(false));
        };
        let Datum::Int4(deliveries) = row.values[pending::DELIVERIES] else {
            return Ok(Datum::Bool(false));
        };
        let doublings = (deliveries - 1).clamp(0, DOUBLINGS_MAX);
        let delay = delay.unwrap_or_else(|| settings.backoff.saturating_mul(1 << doublings));
        let due = time_of(&changes.context.view).saturating_add(delay);
        let mut refused = row.values.clone();
        refused[pending::VISIBLE_AT] = Datum::Timestamptz(due);
        refused[pending::REASON] = call.argument(5).clone();
        changes.update_row(&own.pending, &row, &mut refused).await?;
        // Later ones of its key, which the same poll handed out, wait behind it again.
        if let Datum::Text(key) = &row.values[pending::KEY] {
            for later in rows_with(&own.pending, &view, &columns[..3])? {
                let is_later = later.key > row.key
                    && matches!(&later.values[pending::KEY], Datum::Text(own) if own == key);
                if !is_later {
                    continue;
                }
                let Some(later) = changes.lock_newest(&own.pending, &later.key).await? else {
                    continue;
                };
                let mut held = later.values.clone();
                held[pending::VISIBLE_AT] = Datum::Timestamptz(due);
                if let Datum::Int4(count) = held[pending::DELIVERIES] {
                    held[pending::DELIVERIES] = Datum::Int4((count - 1).max(0));
                }
                changes.update_row(&own.pending, &later, &mut held).await?;
            }
        }
        changes.context.host.wake(&stream.channel(), "")?;
        Ok(Datum::Bool(true))
    })
}
