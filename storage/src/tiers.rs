//! What is published: a sequence, the tiers that answer for it, and the catalog made of them.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::commit_log::LogIndex;
use crate::hot::{HotMap, Version};
use crate::run::{Run, Stamps};
use crate::warm::{AppliedPoint, WarmSnapshot};
use crate::{CommitSeq, Result, Row, TreeId};

/// Everything that a snapshot is. Never changed: the next state is another value.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) seq: CommitSeq,
    pub(crate) timestamp_us: i64,
    pub(crate) tiers: Tiers,
    /// Trees dropped at or before `seq` whose rows some tier may still hold.
    pub(crate) dropped: Arc<BTreeSet<TreeId>>,
    pub(crate) catalog: Arc<dyn Any + Send + Sync>,
}

/// Where rows are looked for, from above: an upper tier overrides a lower one, key by key.
#[derive(Clone, Debug)]
pub(crate) struct Tiers {
    pub(crate) active: Arc<HotMap>,
    /// Newest first.
    pub(crate) frozen: Arc<[Arc<Frozen>]>,
    pub(crate) warm: Arc<WarmSnapshot>,
}

/// A tier between the active map and the warm one, waiting to be flushed.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) source: FrozenSource,
    /// What `applied` becomes when it has been flushed.
    pub(crate) applied: AppliedPoint,
    /// The last entry of which it holds something: noted before the first batch.
    pub(crate) target: LogIndex,
    /// Trees that were dropped since the tier below it: reclaimed after it has been flushed.
    pub(crate) drops: Vec<TreeId>,
}

#[derive(Clone, Debug)]
pub(crate) enum FrozenSource {
    Memory(Arc<HotMap>),
    /// What the stamps of its rows are.
    Run(Arc<Run>, Stamps),
}

impl FrozenSource {
    pub(crate) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Memory(map) => map.bytes(),
            Self::Run(..) => 0,
        }
    }
}

impl Published {
    /// Reads a key as of a sequence at or below its own.
    pub(crate) fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Row>> {
        if !self.dropped.is_empty() && self.dropped.contains(&tree) {
            return Ok(None);
        }
        if let Some(version) = self.tiers.active.get(tree, key, self.seq) {
            return Ok(row(version));
        }
        self.tiers.below_active(tree, key, self.seq)
    }
}

impl Tiers {
    /// Reads a key that the active map does not know, as of a sequence.
    pub(crate) fn below_active(
        &self,
        tree: TreeId,
        key: &[u8],
        seq: CommitSeq,
    ) -> Result<Option<Row>> {
        for frozen in self.frozen.iter() {
            match &frozen.source {
                FrozenSource::Memory(map) => {
                    if let Some(version) = map.get(tree, key, seq) {
                        return Ok(row(version));
                    }
                }
                FrozenSource::Run(run, stamps) => {
                    if let Some(found) = run.get(tree, key, stamps)? {
                        return Ok(found);
                    }
                }
            }
        }
        self.warm.get(tree, key)
    }
}

fn row(version: Version) -> Option<Row> {
    version.value.map(|value| Row { seq: version.seq, value })
}
