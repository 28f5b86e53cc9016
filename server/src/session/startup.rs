//! The beginning of a session: which database, which role, which settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use aegis_catalog::access::{Kind, Privilege};
use aegis_catalog::snapshot::BOOTSTRAP_ROLE;
use aegis_catalog::{CatalogSnapshot, Database, Role};
use aegis_sql::query_engine::CancelFlag;
use aegis_sql::settings::SessionSettings;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};
use tokio_util::sync::CancellationToken;

use super::{PreparedStatements, Session, host};
use crate::cancel::{CancelRegistry, StopHandle};
use crate::instance::{Activity, Instance, SessionEntry};
use crate::notify::Channels;
use crate::tls::TlsSession;

/// The process id of sessions that the server has itself: no client's.
const INTERNAL_PROCESS: i32 = 0;

/// What StartupMessage asked for.
#[derive(Clone, Debug)]
pub struct Startup {
    /// `user`
    pub user: String,
    /// `database`; the user's name if missing.
    pub database: Option<String>,
    /// The other parameters, `options` taken apart.
    pub parameters: Vec<(String, String)>,
    /// The number that BackendKeyData tells.
    pub process_id: i32,
    /// What others stop the session with.
    pub stop_handle: StopHandle,
    /// Where the client is.
    pub client_address: Option<SocketAddr>,
    /// How it is encrypted, if it is.
    pub tls: Option<TlsSession>,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// 28000, 3D000, 55000, and what the settings raise; all end the connection.
    pub async fn open(instance: Arc<Instance>, startup: Startup) -> SqlResult<Self> {
        let catalog = instance.catalog();
        let role = catalog.role_named(&startup.user).ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidAuthorizationSpecification,
                format!("role \"{}\" does not exist", startup.user),
            )
            .fatal()
        })?;
        if !role.can_login {
            return Err(SqlError::new(
                SqlState::InvalidAuthorizationSpecification,
                format!("role \"{}\" is not permitted to log in", startup.user),
            )
            .fatal());
        }
        let name = startup.database.as_deref().unwrap_or(&startup.user);
        let database = catalog.database_named(name).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedDatabase,
                format!("database \"{name}\" does not exist"),
            )
            .fatal()
        })?;
        if !database.allow_connections {
            return Err(SqlError::new(
                SqlState::ObjectNotInPrerequisiteState,
                format!("database \"{name}\" is not currently accepting connections"),
            )
            .fatal());
        }
        let access = catalog.access(database.oid);
        if !access.allows(role.oid, Kind::Database, database.oid, Privilege::CONNECT) {
            return Err(SqlError::new(
                SqlState::InsufficientPrivilege,
                format!("permission denied for database \"{name}\""),
            )
            .detail("User does not have CONNECT privilege.")
            .fatal());
        }
        let limit = |limit: i32| if role.superuser { -1 } else { limit };
        let limits = (limit(role.connection_limit), limit(database.connection_limit));
        let entry = SessionEntry {
            database: database.name.clone(),
            user: startup.user.clone(),
            start_time: aegis_types::clock::now(),
            stop_handle: startup.stop_handle.clone(),
            client_address: startup.client_address,
            tls: startup.tls.clone(),
            activity: Arc::default(),
        };
        let (role, database) = (role.clone(), database.clone());
        let session = Self::made(instance, startup, &role, &database, entry.activity.clone())?;
        session.instance.register(session.process_id, entry, limits.0, limits.1)?;
        session.note_idle();
        Ok(session)
    }

    /// A session of the server's own in a database, which nobody sees.
    ///
    /// # Errors
    /// 3D000; what the settings raise.
    pub(crate) fn open_internal(instance: Arc<Instance>, database: Oid) -> SqlResult<Self> {
        let catalog = instance.catalog();
        let role = catalog.role(BOOTSTRAP_ROLE).cloned();
        let role = role.ok_or_else(|| SqlError::internal("the first role is gone"))?;
        let database = catalog.database(database).cloned().ok_or_else(|| {
            SqlError::new(SqlState::UndefinedDatabase, "the database does not exist any more")
        })?;
        let slot = CancelRegistry::default()
            .enter(CancellationToken::new())
            .map_err(|error| SqlError::internal(error.to_string()))?;
        let startup = Startup {
            user: role.name.clone(),
            database: Some(database.name.clone()),
            parameters: Vec::new(),
            process_id: INTERNAL_PROCESS,
            stop_handle: slot.stop_handle(),
            client_address: None,
            tls: None,
        };
        Self::made(instance, startup, &role, &database, Arc::default())
    }

    /// A session of a role that may have it.
    fn made(
        instance: Arc<Instance>,
        startup: Startup,
        role: &Role,
        database: &Database,
        activity: Arc<parking_lot::Mutex<Activity>>,
    ) -> SqlResult<Self> {
        let catalog = instance.catalog();
        let mut settings = SessionSettings::default();
        settings.log_in(&role.name);
        settings.is_superuser = role.superuser;
        for (name, value) in instance.authentication.settings() {
            settings.fix(name, value);
        }
        let statistics = instance.statistics.options();
        settings.fix("pg_stat_statements.max", statistics.statements_max.to_string());
        settings.fix("pg_stat_statements.save", on_or_off(statistics.save).to_owned());
        let analyzing = instance.auto_analyze();
        settings.fix("autovacuum", on_or_off(analyzing.enabled).to_owned());
        settings.fix("autovacuum_analyze_scale_factor", analyzing.scale_factor.to_string());
        settings.fix("autovacuum_analyze_threshold", analyzing.threshold.to_string());
        settings.fix("autovacuum_naptime", analyzing.naptime.as_secs().to_string());
        settings.fix("lc_collate", database.collate.clone());
        settings.fix("lc_ctype", database.ctype.clone());
        let mut stored = stored_settings(&instance, &catalog, database.oid, role.oid);
        for (name, value) in &startup.parameters {
            // A role is taken on once there is a session that may ask for it.
            if name.eq_ignore_ascii_case("role") {
                stored.push(("role".to_owned(), value.clone()));
                continue;
            }
            if name.eq_ignore_ascii_case("session_authorization") {
                let what = "session_authorization at the start of a session";
                return Err(SqlError::unsupported(what).fatal());
            }
            settings.set_startup(name, value).map_err(SqlError::fatal)?;
        }
        let statements = Arc::new(PreparedStatements::default());
        let portals = Arc::<parking_lot::Mutex<super::portal::Portals>>::default();
        let host = host::SessionHost::new(host::Identity {
            instance: instance.clone(),
            statements: Arc::clone(&statements),
            exports: parking_lot::Mutex::default(),
            portals: Arc::clone(&portals),
            advisory: instance.store.advisory_locks(startup.process_id),
            channels: Channels::new(
                Arc::clone(&instance.notifications),
                database.oid,
                startup.process_id,
            ),
            stop_handle: startup.stop_handle.clone(),
            database: database.oid,
            database_name: database.name.clone(),
            process_id: startup.process_id,
            client_address: startup.client_address,
        });
        let mut session = Self {
            process_id: startup.process_id,
            database: database.oid,
            database_name: database.name.clone(),
            login_role: role.oid,
            settings,
            reported: BTreeMap::new(),
            reported_of: None,
            host: Arc::new(host),
            block: None,
            statements,
            portals,
            notices: Vec::new(),
            cancel: CancelFlag::default(),
            activity,
            statement_timestamp: aegis_types::clock::now(),
            measure: None,
            tracking: super::tracking::Tracking::default(),
            planned: None,
            execution_began: None,
            several_statements: false,
            uses_temporary: false,
            makes_engines: false,
            instance,
        };
        session.current_catalog();
        session.begin_with(stored);
        Ok(session)
    }

    /// Takes what `ALTER ROLE` and `ALTER DATABASE … SET` keep for sessions like this. What cannot be
    /// set any more is left out, and the client told.
    fn begin_with(&mut self, stored: Vec<(String, String)>) {
        for (name, value) in stored {
            let given = self.settings.is_from_client(&name);
            let set = match name.as_str() {
                "role" => self.set_role(Some(&value), false),
                _ if given => Ok(()),
                _ => self.settings.set_startup(&name, &value),
            };
            if let Err(error) = set {
                self.notice("WARNING", error.code(), error.fields().message.clone());
            }
        }
        self.current_catalog();
    }
}

const fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// The settings that sessions of a role in a database begin with: the most general first, each name
/// once.
fn stored_settings(
    instance: &Instance,
    catalog: &CatalogSnapshot,
    database: Oid,
    role: Oid,
) -> Vec<(String, String)> {
    let mut found: BTreeMap<String, String> = instance.settings().iter().cloned().collect();
    for (database, role) in
        [(Oid::NONE, Oid::NONE), (database, Oid::NONE), (Oid::NONE, role), (database, role)]
    {
        let stored = catalog.role_settings(database, role);
        found.extend(stored.into_iter().flat_map(|stored| stored.settings.iter().cloned()));
    }
    found.into_iter().collect()
}
