//! What the session lends the functions of engines.

use std::sync::Arc;
use std::time::Duration;

use aegis_catalog::CatalogSnapshot;
use aegis_catalog::engine::EngineFunction;
use aegis_sql::dml::RowIds;
use aegis_sql::engine::{EngineCall, EngineHost, Patience, named};
use aegis_sql::query_engine::QueryEngine;
use aegis_storage::{ReadView, Transaction, TxnOptions, at_length};
use aegis_types::functions::Values;
use aegis_types::{CallContext, Datum, Host, Oid, SqlError, SqlResult};
use tokio::sync::{Mutex, watch};

use super::{Observed, SessionHost, routine};

/// A statement of the session, as an engine sees it.
struct Lender<'a> {
    host: &'a SessionHost,
    seen: Arc<Observed>,
    running: &'a routine::Running,
}

impl SessionHost {
    /// The value of an engine's function.
    pub(super) fn value_of_engine(
        &self,
        function: &EngineFunction,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Datum> {
        self.with_engine(function, call, arguments, |engine, call| engine.call(call))
    }

    /// The rows of an engine's function.
    pub(super) fn rows_of_engine(
        &self,
        function: &EngineFunction,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Values> {
        self.with_engine(function, call, arguments, |engine, call| engine.rows(call))
    }

    fn with_engine<T>(
        &self,
        function: &EngineFunction,
        call: &CallContext<'_>,
        arguments: &[Datum],
        answer: impl FnOnce(&dyn aegis_sql::engine::Engine, &EngineCall<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let name = function.descriptor.name.as_str();
        let running = self.running.as_ref().ok_or_else(|| {
            SqlError::internal(format!("{name}() was called outside of a statement"))
        })?;
        let engine = named(function.engine)
            .ok_or_else(|| SqlError::internal(format!("no engine {}", function.engine)))?;
        let lender = Lender { host: self, seen: self.seen(), running };
        let context = running.context();
        answer(&**engine, &EngineCall { name, call, arguments, context, host: &lender })
    }
}

impl EngineHost for Lender<'_> {
    fn transaction(&self) -> Arc<Mutex<Option<Transaction>>> {
        self.running.transaction()
    }

    fn is_read_only(&self) -> bool {
        self.seen.read_only
    }

    fn planner(&self) -> &dyn QueryEngine {
        &*self.host.identity.instance.engine
    }

    fn row_ids(&self) -> &RowIds {
        &self.host.identity.instance.row_ids
    }

    fn lock_timeout(&self) -> Option<Duration> {
        self.running.lock_timeout()
    }

    fn role(&self) -> Oid {
        self.seen.roles.current
    }

    fn runtime(&self) -> &tokio::runtime::Handle {
        &self.host.identity.instance.runtime
    }

    fn newest_view(&self) -> SqlResult<ReadView> {
        Ok(self.host.identity.instance.store.newest_view()?)
    }

    fn begin(&self) -> SqlResult<Transaction> {
        let identity = &self.host.identity;
        let options = TxnOptions { process_id: identity.process_id, ..TxnOptions::default() };
        Ok(identity.instance.store.begin(options)?)
    }

    fn patience(&self) -> Option<&Patience> {
        self.running.patience()
    }

    fn install(&self) -> SqlResult<Arc<CatalogSnapshot>> {
        let identity = &self.host.identity;
        let instance = identity.instance.clone();
        let installed = instance.install_engines(&identity.database_name);
        at_length(|| instance.runtime.block_on(installed))?;
        Ok(instance.catalog())
    }

    fn host(&self) -> Arc<dyn Host> {
        Arc::new(self.host.within(self.seen.clone(), self.running.clone()))
    }

    fn hear(&self, channel: &str) -> watch::Receiver<u64> {
        let identity = &self.host.identity;
        identity.instance.notifications.hear(identity.database, channel)
    }
}
