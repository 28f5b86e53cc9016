//! What the session answers for functions and reg types: the implementation of
//! [`aegis_types::Host`].
//!
//! Before each analysis the session shows its catalog, search path and settings
//! ([`SessionHost::observe`]); whatever is asked until the next time is answered from those. A
//! `set_config` waits in a queue that the session takes ([`SessionHost::take_settings`]).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_catalog::access::{Access, Kind, Privilege};
use aegis_catalog::system::Names;
use aegis_sql::query_engine::SystemRelations;
use aegis_sql::settings::SessionSettings;
use aegis_storage::AdvisoryLocks;
use aegis_types::builtin::builtins;
use aegis_types::functions::Values;
use aegis_types::user_type::UserType;
use aegis_types::{
    CallContext, Datum, EvalContext, Host, Oid, SqlError, SqlResult, SqlState, TypeRef,
};
use parking_lot::Mutex;

use super::PreparedStatements;
use super::role::Roles;
use super::tracking::Tracking;
use crate::cancel::StopHandle;
use crate::instance::Instance;
use crate::notify::Channels;

mod advisory;
mod comment;
mod definition;
mod engine;
mod domain;
mod identity;
mod keyword;
mod list;
mod lock;
mod notify;
mod privilege;
mod registered;
mod routine;
mod sequence;
mod setting;
mod size;
mod sleep;
mod snapshot;
mod statistics;
pub(super) mod stored_text;
mod system;
mod visibility;

pub(super) use routine::Running;

/// How many warnings of functions wait for the client at most.
const WARNINGS_MAX: usize = 10_000;

/// Who the session is.
pub(super) struct Identity {
    /// The server.
    pub(super) instance: Arc<Instance>,
    /// Its named prepared statements.
    pub(super) statements: Arc<PreparedStatements>,
    /// Names of snapshots that it has given and that are not known yet.
    pub(super) exports: Mutex<Vec<String>>,
    /// Its portals.
    pub(super) portals: Arc<Mutex<super::portal::Portals>>,
    /// Its advisory locks.
    pub(super) advisory: AdvisoryLocks,
    /// What it listens to and notifies.
    pub(super) channels: Channels,
    /// What others stop it with.
    pub(super) stop_handle: StopHandle,
    /// The database that it is connected to.
    pub(super) database: Oid,
    /// The name of that.
    pub(super) database_name: String,
    /// Its number.
    pub(super) process_id: i32,
    /// Where its client is.
    pub(super) client_address: Option<SocketAddr>,
}

/// A `set_config` that the session has to apply.
#[derive(Clone, Debug)]
pub(super) struct PendingSetting {
    /// The setting.
    pub(super) name: String,
    /// Its value; `None` for the one that the session began with.
    pub(super) value: Option<String>,
    /// Whether it ends with the transaction.
    pub(super) local: bool,
}

/// The session as functions see it; or one of its statements, which goes on seeing what the session
/// was when it began.
pub(super) struct SessionHost {
    identity: Arc<Identity>,
    observed: Mutex<Arc<Observed>>,
    sequences: Arc<Mutex<SequenceMemory>>,
    pending: Arc<Mutex<Vec<PendingSetting>>>,
    warnings: Arc<Mutex<Vec<SqlError>>>,
    domains: Arc<domain::DomainPrograms>,
    routines: Arc<routine::Routines>,
    random: Arc<aegis_types::functions::Generator>,
    /// The statement that runs, for the statements of the functions that it calls.
    running: Option<routine::Running>,
}

/// What was last observed.
#[derive(Clone, Default)]
struct Observed {
    catalog: Arc<CatalogSnapshot>,
    search_path: Vec<Oid>,
    settings: SessionSettings,
    roles: Roles,
    /// Whether the transaction is read-only.
    read_only: bool,
    /// What is gathered of its statements.
    tracking: Tracking,
}

/// What `currval` and `lastval` remember.
#[derive(Default)]
struct SequenceMemory {
    values: BTreeMap<Oid, i64>,
    last: Option<Oid>,
}

/// One call of a function.
struct Call<'a> {
    host: &'a SessionHost,
    seen: &'a Observed,
    args: &'a [Datum],
}

/// The implementation of a function of the host.
type HostFunction = fn(&Call<'_>) -> SqlResult<Datum>;

/// One family's functions, by name.
type HostTable = &'static [(&'static str, HostFunction)];

static TABLES: &[HostTable] = &[
    advisory::FUNCTIONS,
    comment::FUNCTIONS,
    definition::FUNCTIONS,
    identity::FUNCTIONS,
    keyword::FUNCTIONS,
    list::FUNCTIONS,
    lock::FUNCTIONS,
    notify::FUNCTIONS,
    privilege::FUNCTIONS,
    registered::FUNCTIONS,
    sequence::FUNCTIONS,
    setting::FUNCTIONS,
    size::FUNCTIONS,
    sleep::FUNCTIONS,
    snapshot::FUNCTIONS,
    visibility::FUNCTIONS,
];

fn find(name: &str) -> Option<HostFunction> {
    let mut all = TABLES.iter().flat_map(|table| table.iter());
    all.find(|(known, _)| *known == name).map(|(_, function)| *function)
}

impl SessionHost {
    /// A host that has observed nothing yet.
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity: Arc::new(identity),
            observed: Mutex::default(),
            sequences: Arc::default(),
            pending: Arc::default(),
            warnings: Arc::default(),
            domains: Arc::default(),
            routines: Arc::default(),
            random: Arc::default(),
            running: None,
        }
    }

    /// The host of a statement of the session, or of a function that it calls.
    fn within(&self, observed: Arc<Observed>, running: routine::Running) -> Self {
        Self {
            identity: self.identity.clone(),
            observed: Mutex::new(observed),
            sequences: self.sequences.clone(),
            pending: self.pending.clone(),
            warnings: self.warnings.clone(),
            domains: self.domains.clone(),
            routines: self.routines.clone(),
            random: self.random.clone(),
            running: Some(running),
        }
    }

    /// The host of a statement's parts that run with another role's rights. What they set is lost.
    fn restricted(&self, role: Oid) -> Option<Self> {
        let running = self.running.clone()?;
        let mut observed = (*self.seen()).clone();
        observed.roles = Roles { current: role, ..observed.roles };
        let host = self.within(Arc::new(observed), running);
        Some(Self { pending: Arc::default(), ..host })
    }

    /// Whether this is what was last observed.
    pub(super) fn has_observed(
        &self,
        catalog: &Arc<CatalogSnapshot>,
        settings: &SessionSettings,
        read_only: bool,
    ) -> bool {
        let seen = self.observed.lock();
        Arc::ptr_eq(&seen.catalog, catalog)
            && seen.settings.is_same(settings)
            && seen.read_only == read_only
    }

    /// The schemas that names are looked up in, as last observed.
    pub(super) fn search_path(&self) -> Vec<Oid> {
        self.observed.lock().search_path.clone()
    }

    /// Whether those are these.
    pub(super) fn has_search_path(&self, path: &[Oid]) -> bool {
        self.observed.lock().search_path == path
    }

    /// The current role, as last observed.
    pub(super) fn current_role(&self) -> Oid {
        self.observed.lock().roles.current
    }

    /// Takes what the next statement is to see.
    pub(super) fn observe(
        &self,
        catalog: Arc<CatalogSnapshot>,
        search_path: Vec<Oid>,
        settings: &SessionSettings,
        roles: Roles,
        read_only: bool,
        tracking: Tracking,
    ) {
        let settings = settings.clone();
        let observed = Observed { catalog, search_path, settings, roles, read_only, tracking };
        *self.observed.lock() = Arc::new(observed);
    }

    /// Who the session is, and what it holds.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Tells the client of something that is no error; beyond some, of no more of a statement.
    fn warn(&self, warning: SqlError) {
        let mut warnings = self.warnings.lock();
        if warnings.len() < WARNINGS_MAX {
            warnings.push(warning);
        }
    }

    /// What functions warned of since this was last called, in order.
    pub(super) fn take_warnings(&self) -> Vec<SqlError> {
        std::mem::take(&mut self.warnings.lock())
    }

    /// What `set_config` asked for since this was last called, in order.
    pub(super) fn take_settings(&self) -> Vec<PendingSetting> {
        std::mem::take(&mut self.pending.lock())
    }

    /// The computed relations, as this session sees them.
    pub(super) fn system_relations(&self) -> Arc<dyn SystemRelations> {
        Arc::new(system::SessionRelations {
            identity: self.identity.clone(),
            observed: self.seen(),
        })
    }

    /// `DISCARD SEQUENCES`
    pub(super) fn forget_sequences(&self) {
        *self.sequences.lock() = SequenceMemory::default();
    }

    fn seen(&self) -> Arc<Observed> {
        self.observed.lock().clone()
    }
}

impl Observed {
    fn names(&self, database: Oid) -> Names<'_> {
        Names {
            catalog: &self.catalog,
            database,
            search_path: &self.search_path,
            text: &stored_text::Shown,
        }
    }
}

impl<'a> Call<'a> {
    fn names(&self) -> Names<'a> {
        self.seen.names(self.host.identity.database)
    }

    fn arg(&self, at: usize) -> &'a Datum {
        self.args.get(at).unwrap_or(&Datum::Null)
    }

    fn oid(&self, at: usize) -> Oid {
        match self.arg(at) {
            Datum::Oid(oid) => *oid,
            _ => Oid::NONE,
        }
    }

    /// Who may do what, in the session's database.
    fn access(&self) -> Access<'a> {
        self.seen.catalog.access(self.host.identity.database)
    }

    /// The name of a role of the session.
    fn role_name(&self, role: Oid) -> SqlResult<Datum> {
        match self.seen.catalog.role(role) {
            Some(role) => Ok(Datum::text(role.name.as_str())),
            None => Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("role with OID {role} does not exist"),
            )),
        }
    }

    fn text(&self, at: usize) -> &'a str {
        match self.arg(at) {
            Datum::Text(text) => text,
            _ => "",
        }
    }

    fn boolean(&self, at: usize) -> bool {
        matches!(self.arg(at), Datum::Bool(true))
    }
}

/// A text, or NULL.
fn text_or_null(text: Option<impl Into<Arc<str>>>) -> Datum {
    text.map_or(Datum::Null, Datum::text)
}

impl Host for SessionHost {
    fn on_behalf_of(&self, role: Oid) -> Option<Arc<dyn Host>> {
        Some(Arc::new(self.restricted(role)?))
    }

    fn call(&self, function: Oid, arguments: &[Datum]) -> SqlResult<Datum> {
        let row = builtins()
            .function(function)
            .ok_or_else(|| SqlError::internal(format!("no function {function}")))?;
        let implementation = find(&row.name)
            .ok_or_else(|| SqlError::internal(format!("unknown host function {}", row.name)))?;
        if row.strict && arguments.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        implementation(&Call { host: self, seen: &self.seen(), args: arguments })
    }

    fn call_user(
        &self,
        function: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Datum> {
        match aegis_catalog::engine::function(function) {
            Some(known) => self.value_of_engine(known, call, arguments),
            None => self.value_of_routine(function, call, arguments),
        }
    }

    fn rows_of_user(
        &self,
        function: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Values> {
        match aegis_catalog::engine::function(function) {
            Some(known) => self.rows_of_engine(known, call, arguments),
            None => self.rows_of_routine(function, call, arguments),
        }
    }

    fn call_symbol(&self, symbol: &str, arguments: &[Datum]) -> SqlResult<Datum> {
        let answer = self.statistics_function(symbol, arguments);
        answer.unwrap_or_else(|| Err(SqlError::internal(format!("no function {symbol}"))))
    }

    fn wake(&self, channel: &str, payload: &str) -> SqlResult<()> {
        self.identity.channels.wake(channel, payload)
    }

    fn random(&self) -> &aegis_types::functions::Generator {
        &self.random
    }

    fn reg_out(&self, reg_type: Oid, value: Oid) -> String {
        registered::print(&self.seen().names(self.identity.database), reg_type, value)
    }

    fn reg_in(&self, reg_type: Oid, text: &str) -> SqlResult<Oid> {
        registered::read(&self.seen().names(self.identity.database), reg_type, text)
    }

    fn check_domain(&self, domain: Oid, value: &Datum, context: &EvalContext<'_>) -> SqlResult<()> {
        self.check_domain_value(domain, value, context)
    }

    fn may_read(&self, relation: Oid, column: i16) -> bool {
        let seen = self.seen();
        let (role, access) = (seen.roles.current, seen.catalog.access(self.identity.database));
        let on_column = || {
            let held = access.held(role, Kind::Column, relation, i32::from(column));
            held.privileges.contains(Privilege::SELECT)
        };
        access.allows(role, Kind::Table, relation, Privilege::SELECT) || on_column()
    }

    fn user_type(&self, oid: Oid) -> Option<UserType> {
        self.seen().names(self.identity.database).user_type(oid)
    }

    fn record_fields(&self, record: TypeRef) -> Option<Arc<[(Arc<str>, TypeRef)]>> {
        self.seen().names(self.identity.database).record_fields(record)
    }
}

#[cfg(test)]
mod tests {
    use aegis_types::functions::host::{HOST_FUNCTIONS, HOST_SET_FUNCTIONS};

    use super::*;

    #[test]
    fn every_host_function_is_answered() {
        for name in HOST_FUNCTIONS.iter().chain(HOST_SET_FUNCTIONS) {
            assert!(find(name).is_some(), "unknown host function {name}");
        }
    }

    #[test]
    fn no_function_is_answered_that_is_not_declared() {
        for (name, _) in TABLES.iter().flat_map(|table| table.iter()) {
            let declared = HOST_FUNCTIONS.contains(name) || HOST_SET_FUNCTIONS.contains(name);
            assert!(declared, "{name}");
        }
    }
}
