//! What a statement of the session is known by, and what it cost: for `pg_stat_activity`, `EXPLAIN`
//! and [`crate::statement_statistics`].
//!
//! ```text
//! run ── watch ──► began ──► outcome ── all done? ──► entry.add
//!                              └── rows, COPY: a stream that watches itself until its end
//! ```
//!
//! Nothing here runs unless identifiers are computed. A statement that fails is not counted; time
//! between two portions of a portal's rows is not either.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aegis_catalog::CatalogSnapshot;
use aegis_sql::analyze::Analyzed;
use aegis_sql::ast::Statement;
use aegis_sql::bound::BoundStatement;
use aegis_sql::query_engine::{Batches, CancelFlag, RowBatch, RowStream};
use aegis_sql::query_id::{self, Meaning};
use aegis_sql::settings::SessionSettings;
use aegis_types::{Oid, SqlResult};
use async_trait::async_trait;
use parking_lot::Mutex;

use super::{CopyIn, CopyOut, Outcome, Prepared, Session, utility};
use crate::statement_statistics::{Entry, Key, Sample, StatementStatistics};

/// The extension whose presence, in whatever database, turns gathering on.
const EXTENSION: &str = "pg_stat_statements";

/// What a session gathers, by its settings and the catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Tracking {
    /// Statements have identifiers.
    pub(in crate::session) identifies: bool,
    /// `EXPLAIN` shows them.
    pub(in crate::session) explains: bool,
    /// What clients send is counted.
    pub(in crate::session) top: bool,
    /// What functions run is counted.
    pub(in crate::session) nested: bool,
    utility: bool,
    planning: bool,
}

impl Tracking {
    /// What these settings ask for.
    pub(in crate::session) fn of(settings: &SessionSettings, catalog: &CatalogSnapshot) -> Self {
        let exists = catalog.extensions().any(|extension| extension.name == EXTENSION);
        let wanted = settings.get("compute_query_id");
        let identifies = match wanted {
            "on" => true,
            "off" => false,
            _ => exists,
        };
        let counts = identifies && exists;
        let track = settings.get("pg_stat_statements.track");
        Self {
            identifies,
            explains: identifies && wanted != "regress",
            top: counts && track != "none",
            nested: counts && track == "all",
            utility: settings.bool("pg_stat_statements.track_utility"),
            planning: settings.bool("pg_stat_statements.track_planning"),
        }
    }
}

/// Where a statement stands in the string that it was parsed from: where it begins and how many bytes
/// it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Its first byte.
    pub location: u32,
    /// Its bytes.
    pub length: u32,
}

/// What a statement is known by.
pub(in crate::session) struct Identity {
    /// The identifier.
    pub(in crate::session) id: i64,
    text: Arc<str>,
    /// Its entry, as it was last found.
    entry: Mutex<Option<Arc<Entry>>>,
}

impl Identity {
    fn new(id: i64, text: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self { id, text: text.into(), entry: Mutex::default() })
    }

    /// Adds a run to the entry of this statement under a role.
    fn add(&self, statistics: &StatementStatistics, whose: Whose, sample: &Sample) {
        let Whose { role, database, top_level } = whose;
        let key = Key { role, database, query_id: self.id, top_level };
        let mut kept = self.entry.lock();
        if let Some(entry) = &*kept
            && entry.key == key
            && entry.is_live()
        {
            return entry.add(sample);
        }
        let entry = statistics.entry(key, &self.text);
        entry.add(sample);
        *kept = Some(entry);
    }
}

/// What a kept statement is known by, and the meaning that it is so known for.
pub(super) type KeptIdentity = Mutex<Option<(Option<Arc<Analyzed>>, Arc<Identity>)>>;

#[derive(Clone, Copy)]
pub(in crate::session) struct Whose {
    pub(in crate::session) role: Oid,
    pub(in crate::session) database: Oid,
    pub(in crate::session) top_level: bool,
}

/// A statement that runs and is to be counted.
pub(super) struct Watch {
    identity: Arc<Identity>,
    /// Records and bytes that its transaction had written before it.
    written: (u64, u64),
}

/// A statement that goes on after its outcome.
struct Going {
    identity: Arc<Identity>,
    instance: Arc<crate::instance::Instance>,
    whose: Whose,
    sample: Sample,
    spent: Duration,
    /// What it stops by: one that was stopped is not counted.
    flag: CancelFlag,
}

impl Going {
    fn done(mut self) {
        self.sample.execution_ms += milliseconds(self.spent);
        self.identity.add(&self.instance.statistics, self.whose, &self.sample);
    }
}

impl Session {
    /// What a statement is known by; none where identifiers are not computed, or what it means cannot
    /// be told.
    pub(super) fn identity_of(&mut self, prepared: &Prepared) -> Option<Arc<Identity>> {
        if !self.tracking.identifies {
            return None;
        }
        let statement = prepared.statement.as_ref()?;
        let newest = prepared.newest.lock().as_ref().map(|(newest, ..)| newest.clone());
        let meaning = newest.or_else(|| prepared.analyzed.clone());
        if let Some((of, identity)) = &*prepared.identity.lock()
            && match (of, &meaning) {
                (Some(of), Some(meaning)) => Arc::ptr_eq(of, meaning),
                (None, None) => true,
                _ => false,
            }
        {
            return Some(identity.clone());
        }
        let source = &prepared.source;
        let Place { location, length } = prepared.place;
        let extent = query_id::extent(source, location, length);
        let analyzed = meaning.as_ref().filter(|_| !matches!(**statement, Statement::Call(_)));
        let identity = match (analyzed, &prepared.written) {
            (None, _) => {
                let text = source.get(extent).unwrap_or_default();
                Identity::new(query_id::of_text(text), text)
            }
            (Some(analyzed), None) => identity_of_meaning(analyzed, source, extent, statement),
            // Its literals have become parameters: it is known by what it was.
            (Some(_), Some(written)) => {
                let catalog = self.current_catalog();
                let analyzed = self.analyze(written, Vec::new(), false, &catalog).ok()?;
                identity_of_meaning(&analyzed, source, extent, written)
            }
        };
        *prepared.identity.lock() = Some((meaning, identity.clone()));
        Some(identity)
    }

    /// Begins to watch a statement, if it is to be counted.
    pub(super) async fn watch(
        &mut self,
        prepared: &Prepared,
        statement: &Statement,
    ) -> Option<Watch> {
        if !self.tracking.top {
            return None;
        }
        let counts = match statement {
            // What these are about is counted for itself, or costs nothing.
            Statement::Prepare(_) | Statement::Execute(_) | Statement::Deallocate(_) => false,
            Statement::Call(_) => self.tracking.utility,
            statement => self.tracking.utility || utility::is_plannable(statement),
        };
        if !counts {
            return None;
        }
        let identity = self.identity_of(prepared)?;
        let written = self.written().await;
        self.planned = Some(Arc::default());
        self.execution_began = Some(Instant::now());
        Some(Watch { identity, written })
    }

    /// Records and bytes that the open transaction has written so far.
    async fn written(&self) -> (u64, u64) {
        let Ok(shared) = self.shared_transaction() else { return (0, 0) };
        let guard = shared.lock().await;
        guard.as_ref().map_or((0, 0), |txn| txn.written())
    }

    /// Counts a statement that has run, or lets its rows do so.
    pub(super) async fn watched(&mut self, watch: Watch, outcome: Outcome) -> Outcome {
        let spent = self.execution_began.take().map_or(Duration::ZERO, |began| began.elapsed());
        let planned = self.planned.take().map_or(0, |clock| clock.load(Ordering::Relaxed));
        let planned = Duration::from_nanos(planned);
        let (records, bytes) = self.written().await;
        let sample = Sample {
            planning_ms: (self.tracking.planning && !planned.is_zero())
                .then(|| milliseconds(planned)),
            records: records.saturating_sub(watch.written.0),
            bytes: bytes.saturating_sub(watch.written.1),
            ..Sample::default()
        };
        let whose = Whose { role: self.roles().current, database: self.database, top_level: true };
        let mut going = Going {
            identity: watch.identity,
            instance: self.instance.clone(),
            whose,
            sample,
            spent: spent.saturating_sub(planned),
            flag: self.cancel.clone(),
        };
        match outcome {
            Outcome::Rows { tag, columns, rows } => {
                let rows = Box::new(WatchedRows { rows, going: Some(going) });
                Outcome::Rows { tag, columns, rows }
            }
            Outcome::CopyIn(copy) => Outcome::CopyIn(Box::new(WatchedCopyIn { copy, going })),
            Outcome::CopyOut(copy) => {
                let going = Some(going);
                Outcome::CopyOut(Box::new(WatchedCopyOut { copy, going }))
            }
            Outcome::Done(ref tag) | Outcome::Returned { ref tag, .. } => {
                going.sample.rows = rows_of(tag);
                going.done();
                outcome
            }
            Outcome::Empty => outcome,
        }
    }
}

/// What a statement with a bound tree is known by.
fn identity_of_meaning(
    analyzed: &Analyzed,
    source: &str,
    extent: Range<usize>,
    statement: &Statement,
) -> Arc<Identity> {
    let Meaning { id, parameter_max } = query_id::of_meaning(&analyzed.statement);
    Identity::new(id, query_id::normalized(source, extent, statement, parameter_max))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The rows that a tag counts, where they are counted: MOVE gives none.
fn rows_of(tag: &str) -> u64 {
    let counted = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "COPY ", "FETCH "];
    match tag.rsplit_once(' ') {
        Some((_, number)) if counted.iter().any(|word| tag.starts_with(word)) => {
            number.parse().unwrap_or_default()
        }
        _ => 0,
    }
}

/// Rows of a statement that is counted at their end, or where nobody wants more of them.
struct WatchedRows {
    rows: Box<dyn RowStream>,
    going: Option<Going>,
}

#[async_trait]
impl RowStream for WatchedRows {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        let Some(going) = &mut self.going else { return self.rows.next().await };
        let began = Instant::now();
        let next = self.rows.next().await;
        going.spent += began.elapsed();
        match &next {
            Ok(Some(batch)) => going.sample.rows += batch.len() as u64,
            Ok(None) => self.going.take().into_iter().for_each(Going::done),
            Err(_) => self.going = None,
        }
        next
    }
}

impl Drop for WatchedRows {
    fn drop(&mut self) {
        if let Some(going) = self.going.take().filter(|going| going.flag.check().is_ok()) {
            going.done();
        }
    }
}

struct WatchedCopyIn {
    copy: Box<dyn CopyIn>,
    going: Going,
}

#[async_trait]
impl CopyIn for WatchedCopyIn {
    fn format(&self) -> (u8, usize) {
        self.copy.format()
    }

    async fn data(&mut self, bytes: &[u8], session: &mut Session) -> SqlResult<()> {
        let began = Instant::now();
        let taken = self.copy.data(bytes, session).await;
        self.going.spent += began.elapsed();
        taken
    }

    async fn done(self: Box<Self>, session: &mut Session) -> SqlResult<String> {
        let Self { copy, mut going } = *self;
        let began = Instant::now();
        let tag = copy.done(session).await?;
        going.spent += began.elapsed();
        going.sample.rows = rows_of(&tag);
        (going.sample.records, going.sample.bytes) = session.written().await;
        going.done();
        Ok(tag)
    }
}

struct WatchedCopyOut {
    copy: Box<dyn CopyOut>,
    going: Option<Going>,
}

#[async_trait]
impl CopyOut for WatchedCopyOut {
    fn format(&self) -> (u8, usize) {
        self.copy.format()
    }

    async fn next(&mut self) -> SqlResult<Option<Vec<Vec<u8>>>> {
        let began = Instant::now();
        let rows = self.copy.next().await?;
        if let Some(going) = &mut self.going {
            going.spent += began.elapsed();
        }
        if rows.is_none()
            && let Some(mut going) = self.going.take()
        {
            going.sample.rows = rows_of(&self.copy.tag());
            going.done();
        }
        Ok(rows)
    }

    fn tag(&self) -> String {
        self.copy.tag()
    }
}

/// What the statements of a function's body are known by; none for those that are not counted.
pub(in crate::session) fn identities_of_body(
    text: &str,
    statements: &[Analyzed],
) -> Vec<Option<Arc<Identity>>> {
    let parsed = aegis_sql::parser::parse(text).unwrap_or_default();
    let identity = |(raw, analyzed): (&aegis_sql::ast::RawStatement, &Analyzed)| {
        let extent = query_id::extent(text, raw.location, raw.length);
        Some(identity_of_meaning(analyzed, text, extent, &raw.statement)).filter(|it| it.id != 0)
    };
    parsed.iter().zip(statements).map(identity).collect()
}

/// Whether a body is one expression, which PostgreSQL puts in the place of the call.
pub(in crate::session) fn is_one_expression(statements: &[Analyzed]) -> bool {
    let [Analyzed { statement: BoundStatement::Query(query), .. }] = statements else {
        return false;
    };
    query.range_table.is_empty()
        && query.ctes.is_empty()
        && query.filter.is_none()
        && !query.grouped
        && query.limit.is_none()
        && query.offset.is_none()
        && query.targets.len() == 1
        && !query.has_set_functions
}

/// The rows of a statement of a function, counted where they end.
pub(in crate::session) fn watched_batches(
    batches: Batches,
    identity: Arc<Identity>,
    instance: Arc<crate::instance::Instance>,
    whose: Whose,
    (began, cost): (Instant, Option<Sample>),
) -> Batches {
    let going = Going {
        identity,
        instance,
        whose,
        sample: cost.unwrap_or_default(),
        spent: began.elapsed(),
        flag: CancelFlag::default(),
    };
    Box::new(WatchedBatches { batches, counts: cost.is_none(), going: Some(going) })
}

struct WatchedBatches {
    batches: Batches,
    /// Whether the rows that it gives are those that count.
    counts: bool,
    going: Option<Going>,
}

impl Iterator for WatchedBatches {
    type Item = SqlResult<Box<dyn RowBatch>>;

    fn next(&mut self) -> Option<Self::Item> {
        let began = Instant::now();
        let next = self.batches.next();
        let going = self.going.as_mut()?;
        going.spent += began.elapsed();
        match &next {
            Some(Ok(batch)) if self.counts => going.sample.rows += batch.len() as u64,
            Some(Ok(_)) => {}
            Some(Err(_)) => self.going = None,
            None => self.going.take().into_iter().for_each(Going::done),
        }
        next
    }
}

impl Drop for WatchedBatches {
    fn drop(&mut self) {
        self.going.take().into_iter().for_each(Going::done);
    }
}

/// How long planning took while a statement was watched, in nanoseconds.
pub(super) type PlanningClock = Arc<AtomicU64>;
