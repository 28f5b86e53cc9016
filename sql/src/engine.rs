//! What an engine brings, and what it is lent: the seam through which key-values, streams and their
//! like work in the same transaction as tables, without `sql` knowing any of them.
//!
//! ```text
//! server: register(engines) ─► functions in pg_catalog, relations in the schema `aegis`
//! SELECT kv_put(…)  ─► host ─► Engine::call ─► EngineCall::change ─► Changes ─► the transaction
//! INSERT INTO aegis.kv ──────► Changes::insert_row ─► RowHook of the table ─┘
//! ```
//!
//! The relations of engines are tables: reading them is reading tables. They come into being in a
//! database when a statement first names their schema or an engine first writes.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aegis_catalog::access::{Kind, Privilege};
use aegis_catalog::engine::Declaration;
use aegis_catalog::snapshot::CatalogSnapshot;
use aegis_catalog::{IndexBody, Relation};
use aegis_storage::{ReadView, Transaction};
use aegis_types::functions::Values;
use aegis_types::{CallContext, Datum, Host, Oid, SqlError, SqlResult, SqlState};
use async_trait::async_trait;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::ast::EngineStmt;
use crate::ddl::{Ddl, denied};
use crate::dml::{Changes, OldRow, RowIds, TableAccess, holding, is_held_here};
use crate::parser::GrammarExtension;
use crate::query_engine::{QueryEngine, StatementContext};

mod value;
mod wait;

pub use value::{converted, invalid, row_key, size, time_of};
pub use wait::{Patience, Pause};

/// The schema of the relations of engines.
pub const SCHEMA: &str = "aegis";

/// A table of an engine.
#[derive(Clone, Copy, Debug)]
pub struct ManagedTable {
    /// Its name in the schema of engines.
    pub name: &'static str,
    /// The column after whose time a row is not there any more.
    pub expires: Option<&'static str>,
    /// Which of its rows are in dumps, as a WHERE clause, empty for all: they can be written as those
    /// of any table.
    pub dumped: Option<&'static str>,
}

/// A change of a table.
#[derive(Clone, Copy, Debug)]
pub enum TableChange<'a> {
    /// A row is there.
    Insert(&'a [Datum]),
    /// A row has taken another's place.
    Update(&'a OldRow, &'a [Datum]),
    /// A row is gone.
    Delete(&'a OldRow),
    /// All rows are gone.
    Truncate,
    /// Its columns are others.
    Columns,
}

/// An engine.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Its name, under which its tables are known.
    fn name(&self) -> &'static str;

    /// The OID of its first function; the others follow.
    fn first_function(&self) -> Oid;

    /// Its functions.
    fn functions(&self) -> &'static [Declaration];

    /// What makes its relations, statement by statement.
    fn script(&self) -> &'static [&'static str];

    /// Which of the tables that the script makes are the engine's to look after.
    fn tables(&self) -> &'static [ManagedTable];

    /// The statements that it adds to the grammar.
    fn grammar(&self) -> Option<&dyn GrammarExtension> {
        None
    }

    /// Runs one of its statements.
    ///
    /// # Errors
    /// Whatever the statement raises.
    async fn define(&self, ddl: &mut Ddl<'_>, statement: &EngineStmt) -> SqlResult<()> {
        let _ = ddl;
        Err(SqlError::unsupported(statement.tag))
    }

    /// A table that an object of the engine captures has changed.
    ///
    /// # Errors
    /// What writing more raises.
    async fn capture(
        &self,
        changes: &mut Changes<'_>,
        object: Oid,
        table: &TableAccess,
        change: TableChange<'_>,
    ) -> SqlResult<()> {
        let _ = (changes, object, table, change);
        Ok(())
    }

    /// Whose readers may listen to a channel: one of its tables, where the channel tells what is in it.
    fn table_of_channel(&self, channel: &str) -> Option<&'static str> {
        let _ = channel;
        None
    }

    /// Whether it cannot work without an index of one of its tables.
    fn needs_index(&self, index: &IndexBody) -> bool {
        let _ = index;
        false
    }

    /// Who looks after rows of one of its tables.
    fn hook(&self, table: &str) -> Option<&dyn RowHook>;

    /// Answers a call of a function that returns one value.
    ///
    /// # Errors
    /// Whatever the function raises.
    fn call(&self, call: &EngineCall<'_>) -> SqlResult<Datum>;

    /// Answers a call of a function that returns rows.
    ///
    /// # Errors
    /// Likewise.
    fn rows(&self, call: &EngineCall<'_>) -> SqlResult<Values>;

    /// Queries that are run now and then in every database that has its relations. Each does a
    /// bounded amount of work, and says with `true` that there is more, or with an array of texts which
    /// statements are due.
    fn chores(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Who looks after the rows of a table, whichever statement writes them.
#[async_trait]
pub trait RowHook: Send + Sync {
    /// Takes a new row in the table's stead; false leaves it to the table.
    ///
    /// # Errors
    /// Whatever is wrong with the row.
    async fn insert(
        &self,
        changes: &mut Changes<'_>,
        table: &TableAccess,
        row: &mut [Datum],
    ) -> SqlResult<bool> {
        let _ = (changes, table, row);
        Ok(false)
    }

    /// A row is about to be written, in another's place or new; its key is locked.
    ///
    /// # Errors
    /// Whatever is wrong with the row.
    fn before(
        &self,
        changes: &mut Changes<'_>,
        table: &TableAccess,
        old: Option<&OldRow>,
        row: &mut [Datum],
    ) -> SqlResult<()>;

    /// A row was written, replaced or removed.
    ///
    /// # Errors
    /// What writing more raises.
    async fn after(
        &self,
        changes: &mut Changes<'_>,
        table: &TableAccess,
        old: Option<&OldRow>,
        row: Option<&[Datum]>,
    ) -> SqlResult<()>;
}

static ENGINES: OnceLock<Vec<Arc<dyn Engine>>> = OnceLock::new();

/// Makes the engines known, for as long as the process lives: what is registered first stays.
pub fn register(engines: Vec<Arc<dyn Engine>>) {
    let engines = ENGINES.get_or_init(|| engines);
    aegis_catalog::engine::register(
        engines.iter().map(|it| (it.name(), it.first_function(), it.functions())),
    );
}

/// All engines, in the order in which they were registered.
#[must_use]
pub fn engines() -> &'static [Arc<dyn Engine>] {
    ENGINES.get().map_or(&[], Vec::as_slice)
}

/// The engine with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Arc<dyn Engine>> {
    engines().iter().find(|engine| engine.name() == name)
}

/// What a session, or whoever works in the background, lends an engine.
pub trait EngineHost: Send + Sync {
    /// The transaction, which everybody of the statement works with.
    fn transaction(&self) -> Arc<Mutex<Option<Transaction>>>;

    /// Whether the transaction must not write.
    fn is_read_only(&self) -> bool;

    /// Who plans.
    fn planner(&self) -> &dyn QueryEngine;

    /// Hidden row ids.
    fn row_ids(&self) -> &RowIds;

    /// `lock_timeout`
    fn lock_timeout(&self) -> Option<Duration>;

    /// The current role.
    fn role(&self) -> Oid;

    /// What waiting is done on.
    fn runtime(&self) -> &tokio::runtime::Handle;

    /// The newest catalog of a database that has the relations of engines; they are made where they
    /// are missing.
    ///
    /// # Errors
    /// What making them raises.
    fn install(&self) -> SqlResult<Arc<CatalogSnapshot>>;

    /// The session, as what is written asks it.
    fn host(&self) -> Arc<dyn Host>;

    /// What changes whenever a transaction has committed that wakes a channel.
    fn hear(&self, channel: &str) -> watch::Receiver<u64>;

    /// A view over what is committed by now, whatever the statement sees.
    ///
    /// # Errors
    /// What storage raises.
    fn newest_view(&self) -> SqlResult<ReadView>;

    /// A transaction of its own.
    ///
    /// # Errors
    /// What storage raises.
    fn begin(&self) -> SqlResult<Transaction>;

    /// How the statement waits, where it does nothing but call one function.
    fn patience(&self) -> Option<&Patience>;
}

/// One call of an engine's function.
pub struct EngineCall<'a> {
    /// The function's name.
    pub name: &'a str,
    /// The types that the call was resolved to.
    pub call: &'a CallContext<'a>,
    /// The arguments.
    pub arguments: &'a [Datum],
    /// What holds for the statement.
    pub context: &'a StatementContext,
    /// The session.
    pub host: &'a dyn EngineHost,
}

/// How long a function waits for others of its statement to be done with the transaction.
const TURN_MAX: Duration = Duration::from_secs(60);

impl EngineCall<'_> {
    /// An argument; NULL where there is none.
    #[must_use]
    pub fn argument(&self, at: usize) -> &Datum {
        self.arguments.get(at).unwrap_or(&Datum::Null)
    }

    /// A text argument; none for NULL.
    #[must_use]
    pub fn text(&self, at: usize) -> Option<&str> {
        match self.argument(at) {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer argument; none for NULL.
    #[must_use]
    pub fn integer(&self, at: usize) -> Option<i64> {
        match self.argument(at) {
            Datum::Int8(value) => Some(*value),
            Datum::Int4(value) => Some(i64::from(*value)),
            Datum::Int2(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// A text argument that must be there.
    ///
    /// # Errors
    /// 22004
    pub fn needed(&self, at: usize, what: &str) -> SqlResult<&str> {
        self.text(at).ok_or_else(|| {
            SqlError::new(SqlState::NullValueNotAllowed, format!("{what} cannot be null"))
        })
    }

    /// A limit on how many rows are returned; NULL is none.
    ///
    /// # Errors
    /// 22023
    pub fn limit(&self, at: usize, what: &str) -> SqlResult<usize> {
        self.integer(at).map_or(Ok(usize::MAX), |limit| {
            usize::try_from(limit).map_err(|_| invalid(format!("{what} is negative")))
        })
    }

    /// How many milliseconds it may wait, counted from when the statement began to, and until when that
    /// is; NULL is none.
    ///
    /// # Errors
    /// 22023
    pub fn patience(&self, at: usize) -> SqlResult<(Duration, Instant)> {
        let millis = self.integer(at).unwrap_or_default();
        let millis = u64::try_from(millis).map_err(|_| invalid("block_ms is negative"))?;
        let patience = Duration::from_millis(millis);
        Ok((patience, self.waits_since() + patience))
    }

    /// A boolean argument; false for NULL.
    #[must_use]
    pub fn flag(&self, at: usize) -> bool {
        matches!(self.argument(at), Datum::Bool(true))
    }

    /// The schema of engines under the statement's catalog, if the database has it.
    #[must_use]
    pub fn schema(&self) -> Option<(Arc<CatalogSnapshot>, Oid)> {
        let catalog = &self.context.catalog;
        let schema = catalog.schema_named(self.context.database, SCHEMA)?;
        Some((catalog.clone(), schema))
    }

    /// Likewise, made where the database has none. Errors: what making it raises.
    ///
    /// # Errors
    /// 25006, and what making it raises.
    pub fn schema_for_writing(&self) -> SqlResult<(Arc<CatalogSnapshot>, Oid)> {
        self.refuse_in_read_only()?;
        if let Some(found) = self.schema() {
            return Ok(found);
        }
        let catalog = self.host.install()?;
        let schema = catalog.schema_named(self.context.database, SCHEMA);
        let missing = || SqlError::internal("the relations of engines were not made");
        Ok((catalog, schema.ok_or_else(missing)?))
    }

    /// 25006
    ///
    /// # Errors
    /// In a transaction that must not write.
    pub fn refuse_in_read_only(&self) -> SqlResult<()> {
        if self.host.is_read_only() {
            return Err(SqlError::new(
                SqlState::ReadOnlySqlTransaction,
                format!("cannot execute {}() in a read-only transaction", self.name),
            ));
        }
        Ok(())
    }

    /// 42501 unless the role has a privilege on a table.
    ///
    /// # Errors
    /// 42501
    pub fn check_privilege(
        &self,
        catalog: &CatalogSnapshot,
        table: &Relation,
        privilege: Privilege,
    ) -> SqlResult<()> {
        let access = catalog.access(self.context.database);
        if access.allows(self.host.role(), Kind::Table, table.oid, privilege) {
            return Ok(());
        }
        Err(denied("table", &table.name))
    }

    /// Writes under a catalog in a transaction of its own, which is committed whatever becomes of the
    /// statement's.
    ///
    /// # Errors
    /// Whatever the work and its commit raise.
    pub fn change_apart<T>(
        &self,
        catalog: &Arc<CatalogSnapshot>,
        work: impl AsyncFnOnce(&mut Changes<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let mut transaction = self.host.begin()?;
        let context = StatementContext {
            view: transaction.read_view()?,
            host: self.host.host(),
            catalog: catalog.clone(),
            ..self.context.clone()
        };
        let (planner, row_ids) = (self.host.planner(), self.host.row_ids());
        let lock_timeout = self.host.lock_timeout();
        let mut changes = Changes::new(&mut transaction, &context, planner, row_ids, lock_timeout);
        let done = self.wait(async {
            let done = work(&mut changes).await?;
            changes.finish_statement().await?;
            SqlResult::Ok(done)
        })?;
        drop(changes);
        self.wait(transaction.commit())?;
        Ok(done)
    }

    /// Writes under a catalog, in the transaction of the statement: what is written is seen by the next
    /// command.
    ///
    /// # Errors
    /// Whatever the work raises; 0A000 where a statement calls the function that holds the transaction.
    pub fn change<T>(
        &self,
        catalog: &Arc<CatalogSnapshot>,
        work: impl AsyncFnOnce(&mut Changes<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let mut guard = self.turn()?;
        let transaction = guard
            .as_mut()
            .ok_or_else(|| SqlError::internal("the statement's transaction is over"))?;
        let (planner, row_ids) = (self.host.planner(), self.host.row_ids());
        let lock_timeout = self.host.lock_timeout();
        let context = StatementContext {
            host: self.host.host(),
            catalog: catalog.clone(),
            ..self.context.clone()
        };
        let mut changes = Changes::new(transaction, &context, planner, row_ids, lock_timeout);
        // What it evaluates, on this thread, finds the transaction taken.
        holding(|| {
            self.wait(async {
                let done = work(&mut changes).await?;
                changes.finish_statement().await?;
                changes.txn.next_command()?;
                Ok(done)
            })
        })
    }

    /// The transaction, once what runs beside this in the same statement is done with it: that may be
    /// waiting for a row. Nobody waits for who waits for this.
    fn turn(&self) -> SqlResult<OwnedMutexGuard<Option<Transaction>>> {
        let transaction = self.host.transaction();
        if let Ok(guard) = transaction.clone().try_lock_owned() {
            return Ok(guard);
        }
        let refused =
            || SqlError::unsupported(format_args!("{}() within this statement", self.name));
        let is_held =
            self.context.locks.as_ref().map_or_else(is_held_here, |locks| locks.is_held());
        if is_held {
            return Err(refused());
        }
        self.wait(async {
            tokio::select! {
                biased;
                error = self.context.cancel.cancelled() => Err(error),
                guard = transaction.lock_owned() => Ok(guard),
                () = tokio::time::sleep(TURN_MAX) => Err(refused()),
            }
        })
    }
}
