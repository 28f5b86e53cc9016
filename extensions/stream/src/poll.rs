//! `stream_poll`: the next messages for one consumer of a group.
//!
//! ```text
//! offset    40   41   42   43   44   45   46 │ 47 …
//!           acked     a    b    a         a  │
//!                     ▲ out, due again       ▲ cursor: behind it nothing was looked at yet
//! ```
//!
//! What was handed out and not acknowledged lies in `aegis.stream_pending`. A key with such a message
//! that is not this poll's own holds its later messages back: they become pending with no delivery,
//! and are due once those before them are gone. So no redelivery comes after what follows it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow};
use aegis_sql::engine::{EngineCall, converted, row_key, time_of};
use aegis_storage::{Block, Direction, RowLockMode, RowLockOutcome, RowLockWait};
use aegis_types::functions::Values;
use aegis_types::{Datum, SqlResult, type_oid};

use crate::arguments::span;
use crate::group::{Group, live, rows_with, share, start};
use crate::known::{Known, Own, Stream, column};
use crate::message::{Message, shown};
use crate::read::{decode, range_from};

/// A consumer is gone that has not polled for the visibility time of its group, within these bounds,
/// beyond what it said it would wait.
const CONSUMER_LIVES_MIN: i64 = 1_000_000;
const CONSUMER_LIVES_MAX: i64 = 30_000_000;
/// When it is looked again at what another consumer's transaction holds, in microseconds.
const LOCKED_WAIT: i64 = 50_000;
/// So many messages of a partition are pending at most.
const PENDING_MAX: usize = 10_000;

/// Places in a row of `aegis.stream_pending`.
pub(crate) mod pending {
    pub(crate) const OFFSET: usize = 3;
    pub(crate) const KEY: usize = 4;
    pub(crate) const CONSUMER: usize = 5;
    pub(crate) const VISIBLE_AT: usize = 6;
    pub(crate) const DELIVERIES: usize = 7;
    pub(crate) const REASON: usize = 8;
}

/// One poll.
struct Poll<'a> {
    known: &'a Known,
    own: Arc<Own>,
    stream: Arc<Stream>,
    group: Group,
    consumer: &'a str,
    at_most: usize,
    visibility: i64,
    /// How long it may wait, in microseconds.
    patience: i64,
    now: i64,
    found: Vec<Datum>,
}

/// `stream_poll`
pub(crate) fn poll(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.needed(1, "the name of a group")?;
    let consumer = call.needed(2, "the name of a consumer")?;
    let (patience, until) = call.patience(4)?;
    let group = Group::find(&own, &stream, name, &call.host.newest_view()?)?;
    let visibility = span(call, 5, "visibility")?.unwrap_or(group.visibility);
    let mut poll = Poll {
        known,
        at_most: call.limit(3, "max_messages")?,
        visibility,
        patience: i64::try_from(patience.as_micros()).unwrap_or(i64::MAX),
        now: time_of(&call.context.view),
        found: Vec::new(),
        own,
        stream,
        group,
        consumer,
    };
    let mut heard = (!patience.is_zero()).then(|| call.host.hear(&poll.stream.channel()));
    poll.come(call)?;
    loop {
        let before = call.host.newest_view()?;
        poll.now = poll.now.max(time_of(&before));
        let again = call.change(&call.context.catalog, async |changes| {
            // What an empty poll has locked is free again at once.
            let mark = changes.txn.savepoint()?;
            let again = poll.once(changes).await?;
            if poll.found.is_empty() && !patience.is_zero() {
                changes.txn.rollback_to(mark)?;
            }
            changes.txn.release(mark)?;
            Ok(again)
        })?;
        let rest = until.saturating_duration_since(Instant::now());
        let Some(heard) = heard.as_mut().filter(|_| poll.found.is_empty() && !rest.is_zero())
        else {
            return Ok(Box::new(poll.found.into_iter().map(Ok)));
        };
        // A message may be due again before another is published.
        let again = again.map_or(rest, |time| {
            let micros = u64::try_from(time.saturating_sub(poll.now)).unwrap_or_default();
            Duration::from_micros(micros).max(Duration::from_millis(1)).min(rest)
        });
        if call.host.newest_view()?.seq() == before.seq() {
            call.wait_to_hear(heard, again, 0)?;
        }
    }
}

impl Poll<'_> {
    /// Looks once. Gives when something is due next that is not yet.
    async fn once(&mut self, changes: &mut Changes<'_>) -> SqlResult<Option<i64>> {
        let Some((nth, of, mut again)) = self.nth(changes)? else { return Ok(None) };
        for partition in share(&self.stream, &self.group, nth, of) {
            if self.found.len() >= self.at_most {
                break;
            }
            let next = self.partition(changes, partition).await?;
            again = again.into_iter().chain(next).min();
        }
        Ok(again)
    }

    /// Tells the others that the consumer is there, whatever becomes of the transaction: they count
    /// with it while it waits.
    fn come(&self, call: &EngineCall<'_>) -> SqlResult<()> {
        let [oid, group] = start(&self.stream, &self.group.name);
        let key = row_key(&[oid.clone(), group.clone(), Datum::text(self.consumer)])?;
        let lives = self.group.visibility.clamp(CONSUMER_LIVES_MIN, CONSUMER_LIVES_MAX);
        let until = self.now.saturating_add(lives).saturating_add(self.patience);
        let seen = call.host.newest_view()?.get(self.own.consumers.tree, &key)?;
        let seen = seen.map(|row| self.own.consumers.layout.decode(&row.value)).transpose()?;
        let is_fresh = seen.as_ref().is_some_and(
            |row| matches!(row[5], Datum::Timestamptz(end) if end > until - lives / 2),
        );
        if is_fresh {
            return Ok(());
        }
        call.change_apart(&call.context.catalog, async |changes| {
            let old = changes.lock_newest(&self.own.consumers, &key).await?;
            let lives = old
                .as_ref()
                .filter(|row| matches!(row.values[5], Datum::Timestamptz(end) if end > self.now));
            let since = lives.map_or(Datum::Timestamptz(self.now), |row| row.values[3].clone());
            let mut row = [
                oid,
                group,
                Datum::text(self.consumer),
                since,
                Datum::Timestamptz(self.now),
                Datum::Timestamptz(until),
            ];
            match old {
                Some(old) => changes.update_row(&self.own.consumers, &old, &mut row).await,
                None => changes.insert_row(&self.own.consumers, &mut row, None).await.map(drop),
            }
        })
    }

    /// Which of how many live consumers it is, and when the first of the others is gone unless it polls.
    fn nth(&self, changes: &Changes<'_>) -> SqlResult<Option<(usize, usize, Option<i64>)>> {
        let view = changes.txn.newest_view()?;
        let live = live(&self.own, &view, &self.stream, &self.group.name, self.now)?;
        let nth = live.iter().position(
            |row| matches!(&row.values[2], Datum::Text(name) if **name == *self.consumer),
        );
        let ends = live.iter().filter_map(|row| match (&row.values[2], &row.values[5]) {
            (Datum::Text(name), Datum::Timestamptz(end)) if **name != *self.consumer => Some(*end),
            _ => None,
        });
        Ok(nth.map(|nth| (nth, live.len(), ends.min())))
    }

    /// What one partition has for the consumer.
    async fn partition(
        &mut self,
        changes: &mut Changes<'_>,
        partition: i32,
    ) -> SqlResult<Option<i64>> {
        let [oid, group] = start(&self.stream, &self.group.name);
        let columns = [oid, group, Datum::Int4(partition)];
        let key = row_key(&columns)?;
        let tree = self.own.cursors.tree;
        let lock =
            changes.txn.lock_row(tree, &key, RowLockMode::ForUpdate, RowLockWait::SkipLocked);
        // Another consumer polls it, or somebody moves the group.
        if matches!(changes.context.cancel.wait(lock).await?, RowLockOutcome::Skipped) {
            return Ok(Some(self.now + LOCKED_WAIT));
        }
        let Some(cursor) = changes.newest(&self.own.cursors, &key)? else { return Ok(None) };
        let Datum::Int8(next) = cursor.values[3] else { return Ok(None) };
        let view = changes.txn.newest_view()?;
        let waiting = rows_with(&self.own.pending, &view, &columns)?;
        let mut blocked: HashSet<String> = HashSet::new();
        let mut again: Option<i64> = None;
        let mut count = waiting.len();
        for row in waiting {
            let key = key_of(&row.values[pending::KEY]);
            if key.as_ref().is_some_and(|key| blocked.contains(key)) {
                // Nobody tells when the one before it is acknowledged.
                if matches!(row.values[pending::DELIVERIES], Datum::Int4(0)) {
                    again = again.into_iter().chain([self.now + LOCKED_WAIT]).min();
                }
                continue;
            }
            let Datum::Timestamptz(visible_at) = row.values[pending::VISIBLE_AT] else { continue };
            if visible_at > self.now || self.found.len() >= self.at_most {
                if visible_at > self.now {
                    again = again.into_iter().chain([visible_at]).min();
                }
                blocked.extend(key);
                continue;
            }
            // Whoever acknowledges or refuses it now decides what becomes of it.
            let (mode, wait) = (RowLockMode::ForUpdate, RowLockWait::SkipLocked);
            let lock = changes.txn.lock_row(self.own.pending.tree, &row.key, mode, wait);
            if matches!(changes.context.cancel.wait(lock).await?, RowLockOutcome::Skipped) {
                again = again.into_iter().chain([self.now + LOCKED_WAIT]).min();
                blocked.extend(key);
                continue;
            }
            let Some(row) = changes.newest(&self.own.pending, &row.key)? else {
                count -= 1;
                continue;
            };
            if self.is_not_due(&row) {
                blocked.extend(key);
                continue;
            }
            count -= usize::from(self.deliver_again(changes, partition, &row).await?);
        }
        let next_now = self.new_messages(changes, partition, next, &blocked, count).await?;
        if next_now != next {
            let mut row = cursor.values.clone();
            row[3] = Datum::Int8(next_now);
            changes.update_row(&self.own.cursors, &cursor, &mut row).await?;
        }
        Ok(again)
    }

    fn is_not_due(&self, row: &OldRow) -> bool {
        matches!(row.values[pending::VISIBLE_AT], Datum::Timestamptz(time) if time > self.now)
    }

    /// Delivers a pending message, or gives it up; whether it is pending no more.
    async fn deliver_again(
        &mut self,
        changes: &mut Changes<'_>,
        partition: i32,
        row: &OldRow,
    ) -> SqlResult<bool> {
        let (Datum::Int8(offset), Datum::Int4(deliveries)) =
            (&row.values[pending::OFFSET], &row.values[pending::DELIVERIES])
        else {
            return Ok(false);
        };
        let view = changes.txn.newest_view()?;
        let key = row_key(&[Datum::Int4(partition), Datum::Int8(*offset)])?;
        let stored = view.get_in(&self.stream.trees, &key)?;
        let message = match stored {
            Some(stored) => decode(&self.stream, &stored.value, &view)?,
            None => None,
        };
        // Trimmed, or past its time to live.
        let Some(message) = message else {
            changes.delete_row(&self.own.pending, row).await?;
            return Ok(true);
        };
        if *deliveries >= self.group.max_deliveries
            && let Datum::Oid(dead) = self.group.dead_letter
            // Without a place to bury it, it is tried again.
            && let Ok(dead) = self.known.stream(changes.context, dead)
        {
            self.bury(changes, &dead, &message, row).await?;
            changes.delete_row(&self.own.pending, row).await?;
            return Ok(true);
        }
        let mut again = row.values.clone();
        again[pending::CONSUMER] = Datum::text(self.consumer);
        again[pending::VISIBLE_AT] = Datum::Timestamptz(self.now.saturating_add(self.visibility));
        again[pending::DELIVERIES] = Datum::Int4(deliveries + 1);
        changes.update_row(&self.own.pending, row, &mut again).await?;
        self.hand_out(&message, deliveries + 1);
        Ok(false)
    }

    /// A payload in the form that a dead-letter stream has, as a string where it is no document.
    fn buried_payload(&self, payload: &Datum, dead: &Stream) -> SqlResult<Datum> {
        let wanted = dead.settings.payload;
        if let Ok(payload) = converted(payload, wanted) {
            return Ok(payload);
        }
        let text = match payload {
            Datum::Text(text) => text.to_string(),
            Datum::Bytea(bytes) => {
                bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
            }
            _ => String::new(),
        };
        if wanted != type_oid::JSONB {
            return Ok(Datum::text(text));
        }
        let mut document = aegis_types::jsonb::Builder::new();
        document.string(&text)?;
        Ok(Datum::Jsonb(document.finish()?))
    }

    /// Publishes a message that nobody could process where it can be looked at.
    async fn bury(
        &self,
        changes: &mut Changes<'_>,
        dead: &Stream,
        message: &[Datum],
        row: &OldRow,
    ) -> SqlResult<()> {
        let mut headers = aegis_types::jsonb::Builder::new();
        headers.begin_object()?;
        let mut put = |name: &str, value: &Datum| -> SqlResult<()> {
            headers.key(name)?;
            match value {
                Datum::Text(text) => headers.string(text),
                Datum::Int4(number) => headers.integer(i64::from(*number)),
                Datum::Int8(number) => headers.integer(*number),
                Datum::Jsonb(json) => headers.node(json.root()),
                _ => headers.null(),
            }
        };
        put("stream", &Datum::text(self.stream.name()))?;
        put("group", &Datum::text(self.group.name.as_str()))?;
        put("partition", &message[column::PARTITION])?;
        put("offset", &message[column::OFFSET])?;
        put("deliveries", &row.values[pending::DELIVERIES])?;
        put("reason", &row.values[pending::REASON])?;
        put("headers", &message[column::HEADERS])?;
        headers.end()?;
        let buried = Message {
            partition: None,
            key: key_of(&message[column::KEY]),
            payload: self.buried_payload(&message[column::PAYLOAD], dead)?,
            headers: Datum::Jsonb(headers.finish()?),
            id: None,
            expires_at: None,
        };
        buried.publish(changes, dead).await
    }

    /// Hands out messages that nobody has seen, from `next` on; where the cursor stands then.
    async fn new_messages(
        &mut self,
        changes: &mut Changes<'_>,
        partition: i32,
        mut next: i64,
        blocked: &HashSet<String>,
        mut waiting: usize,
    ) -> SqlResult<i64> {
        let view = changes.txn.newest_view()?;
        let range = range_from(partition, next)?;
        let mut scan = view.scan_in(&self.stream.trees, range, Direction::Forward)?;
        let mut block = Block::default();
        let [oid, group] = start(&self.stream, &self.group.name);
        while self.found.len() < self.at_most
            && waiting < PENDING_MAX
            && scan.next_block(&mut block)?
        {
            changes.context.cancel.check()?;
            for stored in block.iter() {
                if self.found.len() >= self.at_most || waiting >= PENDING_MAX {
                    break;
                }
                let all = self.stream.table.layout.decode(stored.value)?;
                let Datum::Int8(offset) = all[column::OFFSET] else { continue };
                next = offset + 1;
                let Some(message) = decode(&self.stream, stored.value, &view)? else { continue };
                let key = key_of(&message[column::KEY]);
                let is_held = key.is_some_and(|key| blocked.contains(&key));
                let (visible_at, deliveries) = match is_held {
                    true => (self.now, 0),
                    false => (self.now.saturating_add(self.visibility), 1),
                };
                let mut row = [
                    oid.clone(),
                    group.clone(),
                    Datum::Int4(partition),
                    Datum::Int8(offset),
                    message[column::KEY].clone(),
                    Datum::text(self.consumer),
                    Datum::Timestamptz(visible_at),
                    Datum::Int4(deliveries),
                    Datum::Null,
                ];
                changes.insert_row(&self.own.pending, &mut row, None).await?;
                waiting += 1;
                if !is_held {
                    self.hand_out(&message, 1);
                }
            }
        }
        Ok(next)
    }

    fn hand_out(&mut self, message: &[Datum], deliveries: i32) {
        let mut shown = shown(message);
        shown.push(Datum::Int4(deliveries));
        self.found.push(Datum::record(shown));
    }
}

fn key_of(datum: &Datum) -> Option<String> {
    match datum {
        Datum::Text(key) => Some(key.to_string()),
        _ => None,
    }
}
