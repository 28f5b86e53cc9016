//! The roles of a session, and what they may do.
//!
//! ```text
//! login ──► session (SET SESSION AUTHORIZATION) ──► current (SET ROLE)
//! ```
//!
//! A privilege is the current role's; whether a role may be taken on is the session's to ask.

use std::sync::Arc;

use aegis_catalog::access::{Kind, Privilege};
use aegis_catalog::snapshot::BOOTSTRAP_ROLE;
use aegis_catalog::system::SystemRelation;
use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_sql::analyze::Analyzed;
use aegis_sql::ast::LockMode;
use aegis_sql::ddl::denied;
use aegis_sql::privilege;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Session;

/// The roles that a session acts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    /// The one that logged in, or that `SET SESSION AUTHORIZATION` names: `session_user`.
    pub(super) session: Oid,
    /// The one that `SET ROLE` names, or the session's: `current_user`.
    pub(super) current: Oid,
}

fn refused(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InsufficientPrivilege, message)
}

/// 22023
fn no_role(name: &str) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, format!("role \"{name}\" does not exist"))
}

impl Session {
    /// Who the session acts as now.
    pub(super) fn roles(&self) -> Roles {
        let session = self.settings.session_role().unwrap_or(self.login_role);
        Roles { session, current: self.settings.role().unwrap_or(session) }
    }

    /// Tells the settings whether the current role is a superuser, where the end of a transaction may
    /// have changed the role.
    pub(super) fn note_role(&mut self) {
        let current = self.roles().current;
        let catalog = self.instance.catalog();
        self.settings.is_superuser = catalog.role(current).is_some_and(|role| role.superuser);
    }

    /// `SET ROLE`; `None` for what the session began with.
    ///
    /// # Errors
    /// 22023 for a role that is not there, 42501 for one that the session's is no member of.
    pub(super) fn set_role(&mut self, name: Option<&str>, local: bool) -> SqlResult<()> {
        let Some(name) = name.filter(|name| *name != "none") else {
            self.settings.set_role(None, local);
            self.current_catalog();
            return Ok(());
        };
        let catalog = self.current_catalog();
        let role = catalog.role_named(name).ok_or_else(|| no_role(name))?;
        if !catalog.access(self.database).is_member(self.roles().session, role.oid) {
            return Err(refused(format!("permission denied to set role \"{name}\"")));
        }
        self.settings.set_role(Some((name, role.oid)), local);
        self.current_catalog();
        Ok(())
    }

    /// `SET SESSION AUTHORIZATION`; `None` for the role that logged in.
    ///
    /// # Errors
    /// 22023 for a role that is not there, 42501 unless a superuser logged in.
    pub(super) fn set_session_authorization(
        &mut self,
        name: Option<&str>,
        local: bool,
    ) -> SqlResult<()> {
        let Some(name) = name else {
            self.settings.set_session_role(None, local);
            self.current_catalog();
            return Ok(());
        };
        let catalog = self.current_catalog();
        let role = catalog.role_named(name).ok_or_else(|| no_role(name))?;
        let is_superuser = catalog.role(self.login_role).is_some_and(|login| login.superuser);
        if role.oid != self.login_role && !is_superuser {
            return Err(refused("permission denied to set session authorization"));
        }
        self.settings.set_session_role(Some((name, role.oid)), local);
        self.current_catalog();
        Ok(())
    }

    /// Refuses a statement that the current role may not run.
    ///
    /// # Errors
    /// 42501.
    pub(super) fn check_allowed(
        &mut self,
        analyzed: &Arc<Analyzed>,
        catalog: &Arc<CatalogSnapshot>,
    ) -> SqlResult<()> {
        let role = self.roles().current;
        if analyzed.kept.is_allowed(role) {
            return Ok(());
        }
        privilege::check(catalog, self.database, role, &analyzed.statement)?;
        analyzed.kept.allow(role);
        Ok(())
    }

    /// Refuses `LOCK TABLE` to whoever may not do to the table what the mode is for
    /// (`LockTableAclCheck`).
    pub(super) fn check_may_lock(
        &self,
        catalog: &CatalogSnapshot,
        relation: &Relation,
        mode: LockMode,
    ) -> SqlResult<()> {
        let change = Privilege::UPDATE | Privilege::DELETE | Privilege::TRUNCATE;
        let enough = match mode {
            LockMode::AccessShare => Privilege::SELECT | change,
            LockMode::RowShare | LockMode::RowExclusive => change | Privilege::INSERT,
            _ => change,
        };
        let enough = match mode {
            LockMode::RowShare => change,
            _ => enough,
        };
        let access = catalog.access(self.database);
        let held = access.held(self.roles().current, Kind::Table, relation.oid, 0);
        if (held.privileges & enough).is_empty() {
            let (what, name) = privilege::relation_words(catalog, relation.oid);
            return Err(denied(what, &name));
        }
        Ok(())
    }

    /// Whether the current role may vacuum or analyze a table; the client is told if not.
    pub(super) fn may_maintain(
        &mut self,
        catalog: &CatalogSnapshot,
        table: &Relation,
        vacuum: bool,
    ) -> bool {
        let access = catalog.access(self.database);
        let role = self.roles().current;
        if access.has_privileges_of(role, table.owner)
            || access.owns(role, Kind::Database, self.database)
        {
            return true;
        }
        let verb = if vacuum { "vacuum" } else { "analyze" };
        self.notice(
            "WARNING",
            SqlState::Warning,
            format!("skipping \"{}\" --- only table or database owner can {verb} it", table.name),
        );
        false
    }

    /// A computed relation has no dead rows: VACUUM and ANALYZE of one tell what PostgreSQL would
    /// refuse, and do nothing else.
    pub(super) fn skip_system_relation(
        &mut self,
        catalog: &CatalogSnapshot,
        relation: &SystemRelation,
        vacuum: bool,
    ) {
        let access = catalog.access(self.database);
        let role = self.roles().current;
        let may = access.has_privileges_of(role, BOOTSTRAP_ROLE)
            || (!relation.shared && access.owns(role, Kind::Database, self.database));
        let verb = if vacuum { "vacuum" } else { "analyze" };
        let why = if !may && relation.shared {
            format!("only superuser can {verb} it")
        } else if !may {
            format!("only superuser or database owner can {verb} it")
        } else if relation.kind == b'v' {
            format!("cannot {verb} non-tables or special system tables")
        } else {
            return;
        };
        let message = format!("skipping \"{}\" --- {why}", relation.short_name());
        self.notice("WARNING", SqlState::Warning, message);
    }

    /// Refuses `CHECKPOINT` to all but superusers and the role for it.
    pub(super) fn check_may_checkpoint(&mut self) -> SqlResult<()> {
        /// `pg_checkpoint`
        const CHECKPOINT: Oid = Oid(4544);
        let catalog = self.current_catalog();
        if catalog.access(self.database).has_privileges_of(self.roles().current, CHECKPOINT) {
            return Ok(());
        }
        Err(refused("must be superuser or have privileges of pg_checkpoint to do CHECKPOINT"))
    }
}
