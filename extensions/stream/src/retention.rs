//! Retention: messages lie in trees by age, and what is kept no longer goes a whole tree at a time.
//!
//! ```text
//! older: [closed 1 Nov] [closed 8 Nov] [closed 15 Nov]   newest: open since 15 Nov
//!             ▲ dropped when everything in it is past the retention
//! ```
//!
//! A stream with a limit moves on to a new tree when the newest has an eighth of what is kept, in time
//! or in bytes: so it holds at most that much more than it was asked to.

use std::sync::Arc;

use aegis_catalog::{Descriptor, OlderTree, Relation, RelationBody, TableBody};
use aegis_sql::ast::RangeVar;
use aegis_sql::ddl::Ddl;
use aegis_sql::engine::time_of;
use aegis_storage::{Block, Direction, KeyRange, ReadView, TableLockMode, TreeId};
use aegis_types::{Datum, SqlResult};

use crate::known::{Known, Stream, column, no_stream};
use crate::settings::Settings;

/// So many parts of what is kept lie in trees of their own.
const PARTS: i64 = 8;
/// No tree is closed before so many bytes are in it, as far as bytes decide.
const BYTES_MIN: u64 = 64 << 10;
/// Rows that are looked at to know how wide they are.
const SAMPLE: u64 = 1_000;

/// Whether a stream has a tree to close or to drop.
pub(crate) fn is_due(
    stream: &Stream,
    body: &TableBody,
    view: &ReadView,
    now: i64,
) -> SqlResult<bool> {
    let plan = Plan::new(stream, body, view, now)?;
    Ok(plan.closes || plan.drops > 0)
}

/// What is to be done to a stream's trees.
struct Plan {
    /// Whether the newest takes no more.
    closes: bool,
    /// How many of the oldest go.
    drops: usize,
}

impl Plan {
    fn new(stream: &Stream, body: &TableBody, view: &ReadView, now: i64) -> SqlResult<Self> {
        let settings = &stream.settings;
        let kept = span_of(settings);
        let mut plan = Self { closes: false, drops: 0 };
        if let Some(kept) = kept {
            let past = |older: &&OlderTree| older.closed < now.saturating_sub(kept);
            plan.drops = body.older.iter().take_while(past).count();
            let first = first_time(stream, view, stream.trees.newest)?;
            plan.closes = first.is_some_and(|first| first < now.saturating_sub(kept / PARTS));
        }
        if let Some(kept) = settings.retention_bytes.and_then(|kept| u64::try_from(kept).ok()) {
            let newest = bytes_of(view, stream.trees.newest)?;
            plan.closes |= newest > (kept / PARTS.unsigned_abs()).max(BYTES_MIN);
            let mut bytes = newest;
            for older in stream.trees.older.iter() {
                bytes = bytes.saturating_add(bytes_of(view, *older)?);
            }
            let mut drops = 0;
            for older in stream.trees.older.iter() {
                // What stays is as much as is to be kept, or more.
                bytes = bytes.saturating_sub(bytes_of(view, *older)?);
                if bytes < kept {
                    break;
                }
                drops += 1;
            }
            plan.drops = plan.drops.max(drops);
        }
        Ok(plan)
    }
}

fn span_of(settings: &Settings) -> Option<i64> {
    let retention = settings.retention.as_ref()?;
    Some(i64::try_from(retention.span()).unwrap_or(i64::MAX))
}

/// When the first message of a tree was published, as far as its first partition tells.
fn first_time(stream: &Stream, view: &ReadView, tree: TreeId) -> SqlResult<Option<i64>> {
    let mut scan = view.scan(tree, KeyRange::all(), Direction::Forward)?;
    let mut block = Block::default();
    while scan.next_block(&mut block)? {
        if !block.is_empty() {
            let at = stream.table.layout.decode_column(block.row(0).value, column::PUBLISHED_AT)?;
            return Ok(match at {
                Datum::Timestamptz(at) => Some(at),
                _ => None,
            });
        }
    }
    Ok(None)
}

/// About how many bytes the rows of a tree take: all are as wide as the first.
fn bytes_of(view: &ReadView, tree: TreeId) -> SqlResult<u64> {
    let rows = view.row_estimate(tree)?;
    let mut scan = view.scan(tree, KeyRange::all(), Direction::Forward)?;
    let (mut block, mut bytes, mut seen) = (Block::default(), 0_u64, 0_u64);
    while seen < SAMPLE && scan.next_block(&mut block)? {
        for stored in block.iter() {
            bytes += (stored.key.len() + stored.value.len()) as u64;
            seen += 1;
        }
    }
    Ok(rows.saturating_mul(bytes) / seen.max(1))
}

/// `ALTER STREAM … ROTATE`: closes the newest tree, and drops those whose messages are kept no longer.
/// Publishers wait meanwhile, readers do not.
pub(crate) async fn rotate(known: &Known, ddl: &mut Ddl<'_>, name: &RangeVar) -> SqlResult<()> {
    let found = ddl.open_if_exists(name, TableLockMode::ShareRowExclusive).await?;
    let found = found.filter(|relation| crate::known::is_stream(relation));
    let Some(found) = found else { return Err(no_stream(&name.name)) };
    ddl.check_owns(&found)?;
    let view = ddl.txn.newest_view()?;
    let (now, context) = (time_of(&view), ddl.context.clone());
    let stream = known.stream(&context, found.oid)?;
    let mut relation = (*found).clone();
    let RelationBody::Table(body) = &mut relation.body else { return Err(no_stream(&found.name)) };
    let plan = Plan::new(&stream, body, &view, now)?;
    let has_rows = first_time(&stream, &view, stream.trees.newest)?.is_some();
    let closes = has_rows && (plan.closes || plan.drops == 0);
    for dropped in body.older.drain(..plan.drops) {
        ddl.txn.drop_tree(TreeId(dropped.tree))?;
    }
    if closes {
        body.older.push(OlderTree { tree: body.tree, closed: now });
        body.tree = ddl.store.allocate_tree_id().await?.0;
    }
    let indexes = body.indexes.clone();
    ddl.put(Descriptor::Relation(Arc::new(relation)))?;
    for index in indexes {
        let Some(index) = ddl.context.catalog.relation(index).cloned() else { continue };
        rotate_index(ddl, &index, plan.drops, closes).await?;
    }
    Ok(())
}

async fn rotate_index(
    ddl: &mut Ddl<'_>,
    index: &Relation,
    drops: usize,
    closes: bool,
) -> SqlResult<()> {
    let mut rotated = index.clone();
    let RelationBody::Index(body) = &mut rotated.body else { return Ok(()) };
    // The rows themselves are in its order.
    if body.tree == 0 {
        return Ok(());
    }
    for dropped in body.older.drain(..drops.min(body.older.len())) {
        ddl.txn.drop_tree(TreeId(dropped))?;
    }
    if closes {
        body.older.push(body.tree);
        body.tree = ddl.store.allocate_tree_id().await?.0;
    }
    ddl.put(Descriptor::Relation(Arc::new(rotated)))
}
