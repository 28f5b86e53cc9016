//! The engines that this server has, how their relations come into being, and their chores.
//!
//! Both are done by statements of sessions within the process, as the cluster's first role: what an
//! engine writes goes the way of every other write.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use aegis_catalog::snapshot::BOOTSTRAP_ROLE;
use aegis_sql::engine::{Engine, SCHEMA, engines};
use aegis_types::{Array, Datum, SqlError, SqlResult, SqlState};
use tracing::warn;

use crate::cancel::StopHandle;
use crate::instance::Instance;
use crate::session::{Outcome, Place, Session, Startup};
use crate::shutdown::Shutdown;

/// One line for each: without it the engine is gone.
fn all() -> Vec<Arc<dyn Engine>> {
    vec![Arc::new(aegis_kv::KeyValues::default()), Arc::new(aegis_stream::Streams::default())]
}

/// How often it is looked whether there are chores.
const CHORES_EVERY: Duration = Duration::from_secs(1);
/// The process id of the last session within the process: they are counted down, so that no client's
/// has it.
static LAST_PROCESS_ID: AtomicI32 = AtomicI32::new(i32::MAX);

/// Makes the engines known to everybody in the process.
pub fn register() {
    aegis_sql::engine::register(all());
}

impl Instance {
    /// Runs statements in a database, each in a transaction of its own, and gives the first column of
    /// the last one's first row.
    ///
    /// # Errors
    /// Whatever a statement raises.
    pub(crate) async fn run_within(
        self: &Arc<Self>,
        database: &str,
        application: &str,
        statements: &str,
    ) -> SqlResult<Option<Datum>> {
        let role = self.catalog().role(BOOTSTRAP_ROLE).cloned();
        let role = role.ok_or_else(|| SqlError::internal("the cluster's first role is gone"))?;
        let startup = Startup {
            user: role.name.clone(),
            database: Some(database.to_owned()),
            parameters: vec![("application_name".to_owned(), application.to_owned())],
            process_id: LAST_PROCESS_ID.fetch_sub(1, Ordering::Relaxed),
            stop_handle: StopHandle::unconnected(),
            client_address: None,
            tls: None,
        };
        let mut session = Session::open(self.clone(), startup).await?;
        session.is_within();
        let answer = run_all(&mut session, statements).await;
        if answer.is_err() {
            session.fail().await;
        }
        session.close().await;
        answer
    }

    /// Makes the relations of engines in a database that has none.
    ///
    /// # Errors
    /// What making them raises.
    pub(crate) async fn install_engines(self: &Arc<Self>, database: &str) -> SqlResult<()> {
        // The transaction that waits for this may itself hold what this waits for.
        let statements =
            format!("SET lock_timeout = '5s'; CREATE EXTENSION IF NOT EXISTS {SCHEMA}");
        self.run_within(database, "engines", &statements).await.map(drop)
    }

    /// Runs the statements that are due, each for itself: one that has to wait for others is left for
    /// later, and keeps none of the rest from being run.
    async fn do_due(self: &Arc<Self>, database: &str, due: &Array, shutdown: &Shutdown) {
        for statement in due.elements.iter().map(Datum::as_text) {
            if shutdown.has_begun() {
                return;
            }
            let statements = format!("SET lock_timeout = '200ms'; {statement}");
            if let Err(error) = self.run_within(database, "engines", &statements).await {
                leave_for_later(database, statement, &error);
            }
        }
    }
}

/// Nobody waits long for a chore: it is tried again, and whoever held it up need not be told.
fn leave_for_later(database: &str, chore: &str, error: &SqlError) {
    if error.code() != SqlState::LockNotAvailable {
        warn!(database, chore, %error, "a chore is left for later");
    }
}

async fn run_all(session: &mut Session, text: &str) -> SqlResult<Option<Datum>> {
    let mut first = None;
    for raw in session.parse(text)? {
        let place = Place { location: raw.location, length: raw.length };
        let statement = Some(Arc::new(raw.statement));
        let prepared = session.prepare(statement, text.into(), None, place).await?;
        first = None;
        if let Outcome::Rows { mut rows, .. } = session.execute(&prepared, Vec::new()).await? {
            while let Some(batch) = rows.next().await? {
                if first.is_none() && !batch.is_empty() {
                    first = Some(batch.datum(0, 0));
                }
            }
        }
        session.end_statement().await?;
        session.finish().await?;
    }
    Ok(first)
}

/// Does the chores of engines, in every database that has their relations, until the server stops.
pub async fn do_chores(instance: Arc<Instance>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(CHORES_EVERY) => {}
        }
        let catalog = instance.catalog();
        let databases: Vec<String> = catalog
            .databases()
            .filter(|it| it.allow_connections && catalog.schema_named(it.oid, SCHEMA).is_some())
            .map(|it| it.name.clone())
            .collect();
        for database in databases {
            for chore in engines().iter().flat_map(|engine| engine.chores()) {
                // A chore that finds more to do is done again at once.
                loop {
                    if shutdown.has_begun() {
                        return;
                    }
                    match instance.run_within(&database, "engines", chore).await {
                        Ok(Some(Datum::Bool(true))) => continue,
                        Ok(Some(Datum::Array(due))) => {
                            instance.do_due(&database, &due, &shutdown).await;
                        }
                        Ok(_) => {}
                        Err(error) => leave_for_later(&database, chore, &error),
                    }
                    break;
                }
            }
        }
    }
}
