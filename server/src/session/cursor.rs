//! The rows of a portal and a place among them (PostgreSQL's `PortalRunFetch`).
//!
//! ```text
//!   plan ──► batch at hand ──► forward: streams, nothing is kept
//!                │
//!                └──► spool ──► backward: any row again. From the beginning for SCROLL; for a cursor
//!                               that merely may scroll the query runs once more, over the same
//!                               snapshot, when it is first asked to
//! ```
//!
//! A place is a number of rows: those up to and with the current one. At the end it stays the number
//! of all rows, and `at_end` tells that no row is current.

use std::any::Any;
use std::sync::Arc;

use aegis_sql::ast::{FETCH_ALL, FetchDirection};
use aegis_sql::query_engine::{
    CancelFlag, DatumRows, QueryPlan, RowBatch, RowStream, StatementContext,
};
use aegis_sql::spool::Spool;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef};
use async_trait::async_trait;
use tokio::sync::Mutex;

/// A cursor, shared by its portal and the streams of what is fetched from it.
pub(crate) type SharedCursor = Arc<Mutex<Cursor>>;

/// A query that can run again, with the types of all its columns.
pub(super) struct Rerun {
    pub(super) plan: Arc<dyn QueryPlan>,
    pub(super) context: StatementContext,
}

/// Where the rows that were passed come from again.
enum Scroll {
    /// Forward only.
    No,
    /// From the query, run once more.
    Again(Rerun),
    /// From the spool.
    Spooled(Spool),
}

/// The rows of a portal, and a place among them.
pub(crate) struct Cursor {
    /// `None` once it has ended.
    stream: Option<Box<dyn RowStream>>,
    /// Rows that the stream gave and nobody took yet, and which of them is next.
    batch: Option<(Arc<dyn RowBatch>, usize)>,
    /// How many rows came out of the stream and the batch.
    read: u64,
    scroll: Scroll,
    /// The number of the spool's first row.
    spool_first: u64,
    types: Vec<TypeRef>,
    position: u64,
    at_start: bool,
    at_end: bool,
    failed: bool,
    flag: CancelFlag,
    /// The row that was given last.
    current: Option<(Arc<dyn RowBatch>, usize)>,
    keys: RowKeys,
}

/// Which keys of rows lie behind the columns of a cursor.
#[derive(Default)]
pub(super) struct RowKeys {
    /// From this column on.
    pub(super) first: usize,
    /// Of rows of these relations.
    pub(super) relations: Vec<Oid>,
    /// Whether they are those that FOR UPDATE and its kin name.
    pub(super) locking: bool,
}

/// The last step of a FETCH, after which rows are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    forward: bool,
    /// [`FETCH_ALL`] for all.
    count: i64,
}

/// How a cursor may move.
pub(super) enum Movement {
    /// Forward only.
    NoScroll,
    /// Backward too, by running the query again.
    MayScroll(Rerun),
    /// Backward too: rows are kept from the first on.
    Scroll(Spool),
}

impl Cursor {
    /// The rows of a portal of the protocol.
    #[must_use]
    pub(crate) fn forward_only(rows: Box<dyn RowStream>, flag: CancelFlag) -> Self {
        Self::new(rows, flag, Vec::new(), Movement::NoScroll, RowKeys::default())
    }

    pub(super) fn new(
        rows: Box<dyn RowStream>,
        flag: CancelFlag,
        types: Vec<TypeRef>,
        movement: Movement,
        keys: RowKeys,
    ) -> Self {
        let scroll = match movement {
            Movement::NoScroll => Scroll::No,
            Movement::MayScroll(rerun) => Scroll::Again(rerun),
            Movement::Scroll(spool) => Scroll::Spooled(spool),
        };
        Self {
            stream: Some(rows),
            batch: None,
            read: 0,
            scroll,
            spool_first: 0,
            types,
            position: 0,
            at_start: true,
            at_end: false,
            failed: false,
            flag,
            current: None,
            keys,
        }
    }

    /// To be shared.
    #[must_use]
    pub(crate) fn shared(self) -> SharedCursor {
        Arc::new(Mutex::new(self))
    }

    /// Whether an error ended it.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// The flag that its query looks at.
    pub(super) fn flag(&self) -> &CancelFlag {
        &self.flag
    }

    /// The key of a relation's row in the current row: `None` if the relation is not among those
    /// whose rows can be told.
    pub(super) fn current_key(&self, relation: Oid) -> Option<Datum> {
        let at = self.keys.relations.iter().position(|oid| *oid == relation)?;
        let column = self.keys.first + at;
        self.current.as_ref().map(|(batch, row)| batch.datum(*row, column))
    }

    /// Whether it stands on a row.
    pub(super) const fn is_on_row(&self) -> bool {
        !self.at_start && !self.at_end
    }

    /// How often its rows name a relation whose rows can be told.
    pub(super) fn references_to(&self, relation: Oid) -> usize {
        self.keys.relations.iter().filter(|oid| **oid == relation).count()
    }

    /// Whether its query locks rows.
    pub(super) const fn is_locking(&self) -> bool {
        self.keys.locking
    }

    /// Moves as FETCH says, up to the last step, which gives rows: the caller takes them. A MOVE has
    /// no last step where the number of rows is known without it.
    ///
    /// # Errors
    /// 55000 for going back without SCROLL; whatever the query raises.
    pub(super) async fn approach(
        &mut self,
        direction: FetchDirection,
        count: i64,
        is_move: bool,
    ) -> SqlResult<Result<Step, u64>> {
        let (mut forward, mut count) = match direction {
            FetchDirection::Forward => (count >= 0, count.saturating_abs()),
            FetchDirection::Backward => (count < 0, count.saturating_abs()),
            FetchDirection::Absolute => return self.approach_absolute(count).await.map(Ok),
            FetchDirection::Relative if count != 0 => {
                let forward = count > 0;
                self.pass(forward, count.saturating_abs() - 1).await?;
                return Ok(Ok(Step { forward, count: 1 }));
            }
            FetchDirection::Relative => (true, 0),
        };
        if count == 0 {
            // The current row once more, if there is one.
            if is_move {
                return Ok(Err(u64::from(self.is_on_row())));
            }
            if self.is_on_row() {
                self.pass(false, 1).await?;
                (forward, count) = (true, 1);
            }
        }
        if !forward && count == FETCH_ALL && is_move {
            let passed = if self.at_end { self.position } else { self.position.saturating_sub(1) };
            self.rewind()?;
            return Ok(Err(passed));
        }
        Ok(Ok(Step { forward, count }))
    }

    async fn approach_absolute(&mut self, count: i64) -> SqlResult<Step> {
        if count < 0 {
            self.pass(true, FETCH_ALL).await?;
            self.pass(false, count.saturating_abs() - 1).await?;
            return Ok(Step { forward: false, count: 1 });
        }
        if count == 0 {
            self.rewind()?;
            return Ok(Step { forward: true, count: 0 });
        }
        let position = i64::try_from(self.position).unwrap_or(i64::MAX);
        if count - 1 <= position / 2 {
            self.rewind()?;
            self.pass(true, count - 1).await?;
        } else {
            let position = if self.at_end { position + 1 } else { position };
            if count <= position {
                self.pass(false, position - count + 1).await?;
            } else {
                self.pass(true, count - position - 1).await?;
            }
        }
        Ok(Step { forward: true, count: 1 })
    }

    fn rewind(&mut self) -> SqlResult<()> {
        // Nothing is to be done before the first step.
        if self.at_start && !self.at_end {
            return Ok(());
        }
        if matches!(self.scroll, Scroll::No) {
            return Err(only_forward());
        }
        self.position = 0;
        self.at_start = true;
        self.at_end = false;
        self.current = None;
        Ok(())
    }

    /// Takes a step without giving its rows: how many they were.
    ///
    /// # Errors
    /// As [`Cursor::approach`].
    pub(super) async fn walk(&mut self, step: Step) -> SqlResult<u64> {
        self.pass(step.forward, step.count).await
    }

    async fn pass(&mut self, forward: bool, count: i64) -> SqlResult<u64> {
        let mut rest = Rest::of(count);
        let mut passed = 0;
        while let Some(rows) = self.take(forward, &mut rest).await? {
            passed += rows.len() as u64;
        }
        Ok(passed)
    }

    /// The next rows of a step, at most `rest`; `None` once it is taken.
    async fn take(&mut self, forward: bool, rest: &mut Rest) -> SqlResult<Option<Slice>> {
        let taken = if forward { self.forward(rest).await } else { self.backward(rest).await };
        self.failed |= taken.is_err();
        let taken = taken?;
        if let Some(slice) = &taken {
            self.current = Some((Arc::clone(&slice.batch), slice.to - 1));
        }
        if !self.is_on_row() {
            self.current = None;
        }
        Ok(taken)
    }

    async fn forward(&mut self, rest: &mut Rest) -> SqlResult<Option<Slice>> {
        if self.at_end || rest.is_none() {
            return Ok(None);
        }
        let slice = if self.position < self.read {
            self.passed_rows(rest).await?
        } else {
            self.new_rows(rest).await?
        };
        match &slice {
            None => self.at_end = true,
            Some(slice) => {
                self.at_start = false;
                self.position += slice.len() as u64;
                rest.less(slice.len());
            }
        }
        Ok(slice)
    }

    /// Rows that were read before.
    async fn passed_rows(&mut self, rest: &Rest) -> SqlResult<Option<Slice>> {
        self.spool_passed().await?;
        let (position, read) = (self.position, self.read);
        let first_kept = self.spool_first;
        let Some((first, rows)) = self.spool()?.block_at(position - first_kept)? else {
            return Err(SqlError::internal("a cursor has lost rows that it has read"));
        };
        let from = usize::try_from(position - first_kept - first).unwrap_or(usize::MAX);
        let until = usize::try_from(read - first_kept - first).unwrap_or(usize::MAX);
        let to = rows.len().min(until).min(from.saturating_add(rest.rows_max()));
        Ok(Some(Slice { batch: Arc::new(SharedRows(rows)), from, to }))
    }

    /// Rows that the query has yet to give.
    async fn new_rows(&mut self, rest: &Rest) -> SqlResult<Option<Slice>> {
        loop {
            if let Some((batch, next)) = self.batch.take()
                && next < batch.len()
            {
                let to = batch.len().min(next.saturating_add(rest.rows_max()));
                if let Scroll::Spooled(spool) = &mut self.scroll {
                    for row in next..to {
                        spool.push(batch.row(row))?;
                    }
                }
                self.read += (to - next) as u64;
                self.batch = Some((Arc::clone(&batch), to));
                return Ok(Some(Slice { batch, from: next, to }));
            }
            let Some(stream) = &mut self.stream else {
                return Ok(None);
            };
            self.flag.check()?;
            match stream.next().await? {
                Some(batch) => self.batch = Some((Arc::from(batch), 0)),
                None => self.stream = None,
            }
        }
    }

    async fn backward(&mut self, rest: &mut Rest) -> SqlResult<Option<Slice>> {
        if matches!(self.scroll, Scroll::No) {
            return Err(only_forward());
        }
        if self.at_start || rest.is_none() {
            return Ok(None);
        }
        let before = if self.at_end { self.position } else { self.position.saturating_sub(1) };
        if before == 0 {
            self.at_start = true;
            self.position = 0;
            return Ok(None);
        }
        self.spool_passed().await?;
        let Some((first, rows)) = self.spool()?.block_at(before - 1)? else {
            return Err(SqlError::internal("a cursor has lost rows that it has read"));
        };
        let end = usize::try_from(before - first).unwrap_or(usize::MAX);
        let count = end.min(rest.rows_max());
        let batch: Vec<Vec<Datum>> = rows[end - count..end].iter().rev().cloned().collect();
        self.at_end = false;
        self.position = before + 1 - count as u64;
        rest.less(count);
        Ok(Some(Slice { batch: Arc::new(DatumRows(batch)), from: 0, to: count }))
    }

    fn spool(&mut self) -> SqlResult<&mut Spool> {
        match &mut self.scroll {
            Scroll::Spooled(spool) => Ok(spool),
            Scroll::No | Scroll::Again(_) => Err(SqlError::internal("a cursor has no spool")),
        }
    }

    /// Makes the rows that were read readable again: runs the query once more, up to here.
    async fn spool_passed(&mut self) -> SqlResult<()> {
        let Scroll::Again(rerun) = &self.scroll else {
            return Ok(());
        };
        let context = rerun.context.clone();
        let mut again = Self::new(
            rerun.plan.clone().execute(context.clone())?,
            self.flag.clone(),
            self.types.clone(),
            Movement::Scroll(new_spool(self.types.clone(), &context)),
            RowKeys::default(),
        );
        let mut rest = Rest::of(i64::try_from(self.read).unwrap_or(i64::MAX));
        while let Some(slice) = again.new_rows(&rest).await? {
            rest.less(slice.len());
            if rest.is_none() {
                break;
            }
        }
        if again.read != self.read {
            return Err(SqlError::internal("a cursor's query gave fewer rows than before"));
        }
        self.scroll = again.scroll;
        self.stream = again.stream;
        self.batch = again.batch;
        Ok(())
    }

    /// Reads the query to its end: from now on the rows are the cursor's own, and no transaction is
    /// needed. Of a cursor that only goes forward the rows that were passed are given up.
    ///
    /// # Errors
    /// Whatever the query raises.
    pub(super) async fn hold(&mut self, context: &HoldContext) -> SqlResult<()> {
        self.spool_passed().await?;
        let only_forward = matches!(self.scroll, Scroll::No);
        if only_forward {
            self.spool_first = self.read;
            let (types, folder) = (self.types.clone(), context.temporary_files.clone());
            let spool = Spool::new(types, SPOOL_BYTES.min(context.memory_bytes), folder);
            self.scroll = Scroll::Spooled(spool);
        }
        while self.new_rows(&Rest::of(FETCH_ALL)).await?.is_some() {}
        self.batch = None;
        if only_forward {
            let Scroll::Spooled(spool) = std::mem::replace(&mut self.scroll, Scroll::No) else {
                return Err(SqlError::internal("a cursor has no spool"));
            };
            self.stream = Some(Box::new(HeldRows { spool, next: 0 }));
            self.read = self.position;
        }
        self.current = None;
        Ok(())
    }
}

/// How much of a cursor's rows lies in memory.
const SPOOL_BYTES: usize = 4 << 20;

/// Where the rows of held cursors are kept.
pub(super) struct HoldContext {
    pub(super) memory_bytes: usize,
    pub(super) temporary_files: Arc<std::path::Path>,
}

/// A spool for the rows of a statement.
pub(super) fn new_spool(types: Vec<TypeRef>, context: &StatementContext) -> Spool {
    Spool::new(types, SPOOL_BYTES.min(context.memory_bytes), context.temporary_files.clone())
}

/// 55000
fn only_forward() -> SqlError {
    SqlError::new(SqlState::ObjectNotInPrerequisiteState, "cursor can only scan forward")
        .hint("Declare it with SCROLL option to enable backward scan.")
}

/// How many rows of a step are left; `None` is all.
struct Rest(Option<u64>);

impl Rest {
    fn of(count: i64) -> Self {
        Self((count != FETCH_ALL).then(|| u64::try_from(count).unwrap_or(0)))
    }

    const fn is_none(&self) -> bool {
        matches!(self.0, Some(0))
    }

    fn rows_max(&self) -> usize {
        self.0.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX))
    }

    fn less(&mut self, rows: usize) {
        if let Some(left) = &mut self.0 {
            *left = left.saturating_sub(rows as u64);
        }
    }
}

/// Some rows of a batch.
struct Slice {
    batch: Arc<dyn RowBatch>,
    from: usize,
    to: usize,
}

impl RowBatch for Slice {
    fn len(&self) -> usize {
        self.to - self.from
    }

    fn datum(&self, row: usize, column: usize) -> Datum {
        self.batch.datum(self.from + row, column)
    }

    fn row(&self, row: usize) -> Vec<Datum> {
        self.batch.row(self.from + row)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Rows of a spool.
struct SharedRows(Arc<Vec<Vec<Datum>>>);

impl RowBatch for SharedRows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn datum(&self, row: usize, column: usize) -> Datum {
        self.0[row][column].clone()
    }

    fn row(&self, row: usize) -> Vec<Datum> {
        self.0[row].clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The rows of a held cursor that only goes forward.
struct HeldRows {
    spool: Spool,
    next: u64,
}

#[async_trait]
impl RowStream for HeldRows {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        let Some((first, rows)) = self.spool.block_at(self.next)? else {
            return Ok(None);
        };
        self.next = first + rows.len() as u64;
        Ok(Some(Box::new(SharedRows(rows))))
    }
}

/// The rows of one FETCH, or of one Execute with or without a limit.
pub(crate) struct Fetched {
    cursor: SharedCursor,
    forward: bool,
    rest: Rest,
}

impl Fetched {
    pub(super) fn new(cursor: SharedCursor, step: Step) -> Self {
        Self { cursor, forward: step.forward, rest: Rest::of(step.count) }
    }

    /// The next rows of a portal; `None` for all of them.
    #[must_use]
    pub(crate) fn next_rows(cursor: &SharedCursor, rows_max: Option<u64>) -> Self {
        Self { cursor: Arc::clone(cursor), forward: true, rest: Rest(rows_max) }
    }
}

#[async_trait]
impl RowStream for Fetched {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        let mut cursor = self.cursor.lock().await;
        let slice = cursor.take(self.forward, &mut self.rest).await?;
        Ok(slice.map(|slice| Box::new(slice) as Box<dyn RowBatch>))
    }
}
