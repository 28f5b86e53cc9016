//! The beginning of a session: which database, which role, which settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use aegis_sql::query_engine::CancelFlag;
use aegis_sql::settings::SessionSettings;
use aegis_types::{SqlError, SqlResult, SqlState};

use super::{PreparedStatements, Session, host};
use crate::cancel::StopHandle;
use crate::instance::{Activity, Instance, SessionEntry};
use crate::notify::Channels;

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
        let mut settings = SessionSettings::default();
        for (name, value) in &startup.parameters {
            settings.set_startup(name, value).map_err(SqlError::fatal)?;
        }
        let statements = Arc::new(PreparedStatements::default());
        let portals = Arc::<parking_lot::Mutex<super::portal::Portals>>::default();
        let host = host::SessionHost::new(host::Identity {
            instance: instance.clone(),
            statements: Arc::clone(&statements),
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
            user: startup.user.clone(),
            process_id: startup.process_id,
            client_address: startup.client_address,
        });
        let mut session = Self {
            process_id: startup.process_id,
            database: database.oid,
            database_name: database.name.clone(),
            user: startup.user,
            role: role.oid,
            settings,
            reported: BTreeMap::new(),
            host: Arc::new(host),
            block: None,
            statements,
            portals,
            notices: Vec::new(),
            cancel: CancelFlag::default(),
            statement_timestamp: aegis_types::clock::now(),
            several_statements: false,
            uses_temporary: false,
            instance,
        };
        session.current_catalog();
        session.instance.register(
            session.process_id,
            SessionEntry {
                database: session.database_name.clone(),
                user: session.user.clone(),
                start_time: session.statement_timestamp,
                stop_handle: startup.stop_handle,
                activity: Activity::default(),
            },
        );
        session.note_idle();
        Ok(session)
    }
}
