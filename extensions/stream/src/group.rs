//! Consumer groups: what the server remembers of who reads a stream together.

use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow, TableAccess};
use aegis_sql::engine::{EngineCall, invalid, row_key, time_of};
use aegis_storage::{Block, Direction, KeyRange, ReadView};
use aegis_types::functions::Values;
use aegis_types::{Array, Datum, SqlError, SqlResult, SqlState, io, type_oid};

use crate::arguments::span;
use crate::known::{Known, Own, Stream};
use crate::read::{ends, next_offset, offset_at};

/// What a group asks for.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// How long a message is its consumer's alone, in microseconds.
    pub(crate) visibility: i64,
    pub(crate) max_deliveries: i32,
    /// How long a refused message waits the first time; then twice as long, and so on.
    pub(crate) backoff: i64,
    pub(crate) dead_letter: Datum,
    pub(crate) single_active: bool,
}

/// The columns that begin every key of a group's rows.
pub(crate) fn start(stream: &Stream, group: &str) -> [Datum; 2] {
    [Datum::Oid(stream.oid()), Datum::text(group)]
}

/// 42704
fn unknown(stream: &Stream, group: &str) -> SqlError {
    SqlError::new(
        SqlState::UndefinedObject,
        format!("consumer group \"{group}\" of stream \"{}\" does not exist", stream.name()),
    )
    .hint("Use stream_create_group() to create it.")
}

impl Group {
    /// A group as a view shows it. Errors: 42704.
    pub(crate) fn find(own: &Own, stream: &Stream, name: &str, view: &ReadView) -> SqlResult<Self> {
        let key = row_key(&start(stream, name))?;
        let Some(stored) = view.get(own.groups.tree, &key)? else {
            return Err(unknown(stream, name));
        };
        let row = own.groups.layout.decode(&stored.value)?;
        let span = |at: usize| match &row[at] {
            Datum::Interval(interval) => i64::try_from(interval.span()).unwrap_or(i64::MAX),
            _ => 0,
        };
        Ok(Self {
            name: name.to_owned(),
            visibility: span(2),
            max_deliveries: match row[3] {
                Datum::Int4(count) => count,
                _ => 1,
            },
            backoff: span(4),
            dead_letter: row[5].clone(),
            single_active: matches!(row[6], Datum::Bool(true)),
        })
    }
}

/// Rows of a table whose keys begin with these columns, as a view shows them.
pub(crate) fn rows_with(
    table: &TableAccess,
    view: &ReadView,
    columns: &[Datum],
) -> SqlResult<Vec<OldRow>> {
    let range = KeyRange::prefix(&row_key(columns)?);
    let mut scan = view.scan(table.tree, range, Direction::Forward)?;
    let (mut block, mut found) = (Block::default(), Vec::new());
    while scan.next_block(&mut block)? {
        for stored in block.iter() {
            let values = table.layout.decode(stored.value)?;
            found.push(OldRow { key: stored.key.to_vec(), values });
        }
    }
    Ok(found)
}

/// Where a group begins in a partition.
fn offset_of_start(
    call: &EngineCall<'_>,
    stream: &Stream,
    view: &ReadView,
    start: &str,
    partition: i32,
) -> SqlResult<i64> {
    let next = next_offset(stream, view, partition)?;
    Ok(match start {
        "earliest" => ends(stream, view, partition)?.map_or(next, |(first, ..)| first),
        "latest" => next,
        text if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            // What is not there yet comes under the next offset.
            let offset: i64 =
                text.parse().map_err(|_| invalid(format!("offset {text} is out of range")))?;
            offset.min(next)
        }
        text if text.parse::<i64>().is_ok() => {
            return Err(invalid(format!("offset {text} is negative")));
        }
        text => {
            let ty = aegis_types::TypeRef::plain(type_oid::TIMESTAMPTZ);
            match io::text_in(ty, text, &call.call.eval)? {
                Datum::Timestamptz(time) => offset_at(stream, view, partition, time)?,
                _ => 0,
            }
        }
    })
}

/// `stream_create_group`
pub(crate) fn create(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.needed(1, "the name of a group")?;
    let from = call.needed(2, "start")?;
    let visibility = span(call, 3, "visibility")?.filter(|span| *span > 0);
    if visibility.is_none() {
        return Err(invalid("visibility must be greater than zero"));
    }
    let max_deliveries = call.integer(4).unwrap_or(5);
    let max_deliveries = match i32::try_from(max_deliveries) {
        Ok(count) if count > 0 => count,
        _ => return Err(invalid("max_deliveries must be greater than zero")),
    };
    if span(call, 5, "backoff")?.is_none() {
        return Err(invalid("backoff cannot be null"));
    }
    if let Datum::Oid(dead_letter) = call.argument(6) {
        let dead = known.stream(call.context, *dead_letter)?;
        if dead.oid() == stream.oid() {
            return Err(invalid("a stream cannot be its own dead-letter stream"));
        }
        // Whoever polls publishes there.
        call.check_privilege(&call.context.catalog, &dead.table.relation, Privilege::INSERT)?;
    }
    call.change(&call.context.catalog, async |changes| {
        let key = row_key(&start(&stream, name))?;
        if changes.lock_newest(&own.groups, &key).await?.is_some() {
            if call.flag(8) {
                return Ok(Datum::Bool(false));
            }
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("consumer group \"{name}\" of stream \"{}\" already exists", stream.name()),
            ));
        }
        let [oid, group] = start(&stream, name);
        let mut row = [
            oid.clone(),
            group.clone(),
            call.argument(3).clone(),
            Datum::Int4(max_deliveries),
            call.argument(5).clone(),
            call.argument(6).clone(),
            Datum::Bool(call.flag(7)),
            Datum::Timestamptz(time_of(&changes.context.view)),
        ];
        changes.insert_row(&own.groups, &mut row, None).await?;
        let view = changes.txn.newest_view()?;
        for partition in stream.partitions() {
            let next = offset_of_start(call, &stream, &view, from, partition)?;
            let mut row = [oid.clone(), group.clone(), Datum::Int4(partition), Datum::Int8(next)];
            changes.insert_row(&own.cursors, &mut row, None).await?;
        }
        Ok(Datum::Bool(true))
    })
}

/// Removes all rows of a table whose keys begin with these columns.
pub(crate) async fn remove_with(
    changes: &mut Changes<'_>,
    table: &TableAccess,
    columns: &[Datum],
) -> SqlResult<i64> {
    let view = changes.txn.newest_view()?;
    let mut removed = 0;
    for row in rows_with(table, &view, columns)? {
        if let Some(row) = changes.lock_newest(table, &row.key).await? {
            changes.delete_row(table, &row).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// `stream_drop_group`
pub(crate) fn drop(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.needed(1, "the name of a group")?;
    call.change(&call.context.catalog, async |changes| {
        let columns = start(&stream, name);
        let Some(row) = changes.lock_newest(&own.groups, &row_key(&columns)?).await? else {
            let forgiving = call.flag(2);
            return if forgiving { Ok(Datum::Bool(false)) } else { Err(unknown(&stream, name)) };
        };
        changes.delete_row(&own.groups, &row).await?;
        for table in [&own.cursors, &own.pending, &own.consumers] {
            remove_with(changes, table, &columns).await?;
        }
        // Whoever waits for its messages is told.
        changes.context.host.wake(&stream.channel(), "")?;
        Ok(Datum::Bool(true))
    })
}

/// `stream_seek`: moves a group to an offset or a time; what it was delivered is forgotten. Gives in
/// how many partitions.
pub(crate) fn seek(known: &Known, call: &EngineCall<'_>) -> SqlResult<Datum> {
    call.refuse_in_read_only()?;
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let (name, to) = (call.needed(1, "the name of a group")?, call.needed(2, "start")?);
    Group::find(&own, &stream, name, &call.context.view)?;
    let only = call.integer(3);
    if only.is_some_and(|only| !stream.partitions().any(|it| i64::from(it) == only)) {
        return Err(stream.no_partition());
    }
    call.change(&call.context.catalog, async |changes| {
        let mut moved = 0;
        for partition in stream.partitions() {
            if only.is_some_and(|only| only != i64::from(partition)) {
                continue;
            }
            let [oid, group] = start(&stream, name);
            let columns = [oid, group, Datum::Int4(partition)];
            let Some(cursor) = changes.lock_newest(&own.cursors, &row_key(&columns)?).await? else {
                continue;
            };
            remove_with(changes, &own.pending, &columns).await?;
            let view = changes.txn.newest_view()?;
            let next = offset_of_start(call, &stream, &view, to, partition)?;
            let mut row = cursor.values.clone();
            row[3] = Datum::Int8(next);
            changes.update_row(&own.cursors, &cursor, &mut row).await?;
            moved += 1;
        }
        changes.context.host.wake(&stream.channel(), "")?;
        Ok(Datum::Int8(moved))
    })
}

/// `stream_lag`
pub(crate) fn lag(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.text(1).unwrap_or_default();
    let view = &call.context.view;
    Group::find(&own, &stream, name, view)?;
    let mut found = Vec::new();
    for cursor in rows_with(&own.cursors, view, &start(&stream, name))? {
        let (Datum::Int4(partition), Datum::Int8(next)) = (&cursor.values[2], &cursor.values[3])
        else {
            continue;
        };
        let end = next_offset(&stream, view, *partition)?;
        let [oid, group] = start(&stream, name);
        let pending = rows_with(&own.pending, view, &[oid, group, Datum::Int4(*partition)])?;
        let pending = i64::try_from(pending.len()).unwrap_or(i64::MAX);
        found.push(Ok(Datum::record(vec![
            Datum::Int4(*partition),
            Datum::Int8(*next),
            Datum::Int8(end),
            Datum::Int8((end - next).max(0) + pending),
            Datum::Int8(pending),
        ])));
    }
    Ok(Box::new(found.into_iter()))
}

/// `stream_groups`
pub(crate) fn list(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let rows = rows_with(&own.groups, &call.context.view, &[Datum::Oid(stream.oid())])?;
    Ok(Box::new(rows.into_iter().map(|row| Ok(Datum::record(&row.values[1..])))))
}

/// The live consumers of a group, in the order in which they came.
pub(crate) fn live(
    own: &Own,
    view: &ReadView,
    stream: &Stream,
    group: &str,
    now: i64,
) -> SqlResult<Vec<OldRow>> {
    let mut rows = rows_with(&own.consumers, view, &start(stream, group))?;
    rows.retain(|row| matches!(row.values[5], Datum::Timestamptz(until) if until > now));
    rows.sort_by_key(|row| match (&row.values[3], &row.values[2]) {
        (Datum::Timestamptz(since), Datum::Text(name)) => (*since, name.to_string()),
        _ => (0, String::new()),
    });
    Ok(rows)
}

/// The partitions of the nth of so many consumers.
pub(crate) fn share(stream: &Stream, group: &Group, nth: usize, of: usize) -> Vec<i32> {
    let is_own = |partition: &i32| match group.single_active {
        true => nth == 0,
        false => usize::try_from(*partition).unwrap_or_default() % of.max(1) == nth,
    };
    stream.partitions().filter(is_own).collect()
}

/// `stream_consumers`
pub(crate) fn consumers(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let own = known.own(call.context)?;
    let name = call.text(1).unwrap_or_default();
    let view = &call.context.view;
    let group = Group::find(&own, &stream, name, view)?;
    let rows = live(&own, view, &stream, name, time_of(view))?;
    let count = rows.len();
    let shown = rows.into_iter().enumerate().map(move |(nth, row)| {
        let partitions = share(&stream, &group, nth, count);
        let partitions = partitions.into_iter().map(Datum::Int4).collect();
        Ok(Datum::record(vec![
            row.values[2].clone(),
            row.values[3].clone(),
            row.values[4].clone(),
            Datum::Array(Array::one_dimensional(type_oid::INT4, partitions).into()),
        ]))
    });
    Ok(Box::new(shown.collect::<Vec<_>>().into_iter()))
}

/// `stream_offsets`: where in each partition a reader begins.
pub(crate) fn offsets(known: &Known, call: &EngineCall<'_>) -> SqlResult<Values> {
    let stream = known.of_call(call, Privilege::SELECT)?;
    let (view, start) = (&call.context.view, call.text(1).unwrap_or_default());
    let mut found = Vec::new();
    for partition in stream.partitions() {
        let next = offset_of_start(call, &stream, view, start, partition)?;
        found.push(Ok(Datum::record(vec![Datum::Int4(partition), Datum::Int8(next)])));
    }
    Ok(Box::new(found.into_iter()))
}
