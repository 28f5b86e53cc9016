//! Roles: `CREATE`, `ALTER` and `DROP ROLE`, their names and their settings (PostgreSQL's `user.c`).
//!
//! What a role may do to another depends on both: superusers make anything, `CREATEROLE` everything
//! but what only superusers are or may be.

use std::sync::Arc;

use aegis_catalog::snapshot::{BOOTSTRAP_ROLE, DATABASE_OWNER_ROLE, PG_AUTHID};
use aegis_catalog::{CatalogSnapshot, Descriptor, DescriptorKey, Role, RoleSettings};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::Ddl;
use super::membership::Members;
use crate::ast::{
    AlterRoleSetStmt, AlterRoleStmt, CreateRoleStmt, DropRoleStmt, RoleOption, RoleOptionKind,
    RoleSpec, RoleSpecKind, RoleStmtType, VariableSetKind,
};
use crate::password;
use crate::settings;

/// The OIDs below this are the server's own.
const FIRST_NORMAL_OID: u32 = 16384;

/// What the options of a statement say.
#[derive(Default)]
struct Options<'a> {
    password: Option<Option<&'a str>>,
    superuser: Option<bool>,
    inherit: Option<bool>,
    create_role: Option<bool>,
    create_database: Option<bool>,
    can_login: Option<bool>,
    replication: Option<bool>,
    bypass_row_security: Option<bool>,
    connection_limit: Option<i32>,
    valid_until: Option<&'a str>,
    role_members: Option<&'a [RoleSpec]>,
    admin_members: Option<&'a [RoleSpec]>,
    add_to: Option<&'a [RoleSpec]>,
    sysid: Option<()>,
}

impl<'a> Options<'a> {
    fn read(options: &'a [RoleOption]) -> SqlResult<Self> {
        let mut read = Self::default();
        for option in options {
            let twice = match &option.kind {
                RoleOptionKind::Password(text) => read.password.replace(text.as_deref()).is_some(),
                RoleOptionKind::Superuser(on) => read.superuser.replace(*on).is_some(),
                RoleOptionKind::CreateDb(on) => read.create_database.replace(*on).is_some(),
                RoleOptionKind::CreateRole(on) => read.create_role.replace(*on).is_some(),
                RoleOptionKind::Inherit(on) => read.inherit.replace(*on).is_some(),
                RoleOptionKind::Login(on) => read.can_login.replace(*on).is_some(),
                RoleOptionKind::Replication(on) => read.replication.replace(*on).is_some(),
                RoleOptionKind::BypassRls(on) => read.bypass_row_security.replace(*on).is_some(),
                RoleOptionKind::ConnectionLimit(limit) => {
                    read.connection_limit.replace(*limit).is_some()
                }
                RoleOptionKind::ValidUntil(text) => read.valid_until.replace(text).is_some(),
                RoleOptionKind::SysId(_) => read.sysid.replace(()).is_some(),
                RoleOptionKind::AdminMembers(roles) => read.admin_members.replace(roles).is_some(),
                RoleOptionKind::RoleMembers(roles) => read.role_members.replace(roles).is_some(),
                RoleOptionKind::AddToRole(roles) => read.add_to.replace(roles).is_some(),
            };
            if twice {
                let message = "conflicting or redundant options";
                return Err(SqlError::new(SqlState::SyntaxError, message).at(option.location));
            }
        }
        match read.connection_limit {
            Some(limit) if limit < -1 => Err(SqlError::new(
                SqlState::InvalidParameterValue,
                format!("invalid connection limit: {limit}"),
            )),
            _ => Ok(read),
        }
    }

    /// Whether nothing is asked for but a password.
    fn is_password_alone(&self) -> bool {
        self.password.is_some()
            && self.inherit.is_none()
            && self.create_role.is_none()
            && self.create_database.is_none()
            && self.can_login.is_none()
            && self.connection_limit.is_none()
            && self.valid_until.is_none()
            && self.role_members.is_none()
    }
}

/// 42501
pub(super) fn refused(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InsufficientPrivilege, message)
}

/// 42939
fn reserved(name: &str, detail: &str) -> SqlError {
    SqlError::new(SqlState::ReservedName, format!("role name \"{name}\" is reserved"))
        .detail(detail)
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("pg_")
}

const RESERVED_PREFIX: &str = "Role names starting with \"pg_\" are reserved.";
const UNALTERABLE: &str = "Cannot alter reserved roles.";

impl Ddl<'_> {
    pub(super) fn is_superuser(&self) -> bool {
        self.context.catalog.role(self.role).is_some_and(|role| role.superuser)
    }

    pub(super) fn may_create_roles(&self) -> bool {
        self.context.catalog.role(self.role).is_some_and(|role| role.superuser || role.create_role)
    }

    /// The role with this OID.
    pub(super) fn role_row(&self, oid: Oid) -> SqlResult<Arc<Role>> {
        self.context
            .catalog
            .role(oid)
            .cloned()
            .ok_or_else(|| SqlError::internal(format!("cache lookup failed for role {oid}")))
    }

    pub(super) fn role_name(&self, oid: Oid) -> String {
        self.context.catalog.role(oid).map_or_else(|| oid.to_string(), |role| role.name.clone())
    }

    /// `CREATE ROLE`, `USER` and `GROUP`.
    pub(super) async fn create_role(&mut self, create: &CreateRoleStmt) -> SqlResult<&'static str> {
        let options = Options::read(&create.options)?;
        let on = |option: Option<bool>| option.unwrap_or(false);
        if on(options.superuser) && !self.is_superuser() {
            return Err(refused("must be superuser to create superusers"));
        }
        if !self.is_superuser() {
            if on(options.replication) {
                return Err(refused("must be superuser to create replication users"));
            }
            if on(options.bypass_row_security) {
                return Err(refused("must be superuser to create bypassrls users"));
            }
            if !self.may_create_roles() {
                return Err(refused("permission denied to create role"));
            }
        }
        let name = &create.role;
        if is_reserved(name) {
            return Err(reserved(name, RESERVED_PREFIX));
        }
        self.claim_role(name).await?;
        if self.context.catalog.role_named(name).is_some() {
            return Err(role_exists(name));
        }
        if options.sysid.is_some() {
            self.notice(SqlState::SuccessfulCompletion, "SYSID can no longer be specified");
        }
        let valid_until = self.valid_until(options.valid_until)?;
        let password = self.stored_password(name, options.password)?;
        let oid = self.counters.next_oid()?;
        let is_user = create.stmt_type == RoleStmtType::User;
        self.put(Descriptor::Role(Arc::new(Role {
            superuser: on(options.superuser),
            inherit: options.inherit.unwrap_or(true),
            create_role: on(options.create_role),
            create_database: on(options.create_database),
            can_login: options.can_login.unwrap_or(is_user),
            replication: on(options.replication),
            bypass_row_security: on(options.bypass_row_security),
            connection_limit: options.connection_limit.unwrap_or(-1),
            password,
            valid_until,
            ..Role::plain(oid, name)
        })))?;
        let own = [RoleSpec { kind: RoleSpecKind::Name(name.clone()), location: 0 }];
        for role in options.add_to.unwrap_or_default() {
            let role = self.role_oid(role)?;
            self.add_members(role, &Members::plain(&own, self.role))?;
        }
        if let Some(members) = options.admin_members {
            let members = Members { admin: true, ..Members::plain(members, self.role) };
            self.add_members(oid, &members)?;
        }
        if let Some(members) = options.role_members {
            self.add_members(oid, &Members::plain(members, self.role))?;
        }
        Ok("CREATE ROLE")
    }

    /// What is kept of a password. An empty one is none.
    fn stored_password(
        &mut self,
        role: &str,
        given: Option<Option<&str>>,
    ) -> SqlResult<Option<String>> {
        let Some(given) = given.flatten() else {
            return Ok(None);
        };
        let is_empty = given.is_empty() || password::is_password_of_nothing(given, role);
        if is_empty {
            self.notice(
                SqlState::SuccessfulCompletion,
                "empty string is not a valid password, clearing password",
            );
            return Ok(None);
        }
        password::encrypt(given, role, self.session_settings.get("password_encryption")).map(Some)
    }

    fn valid_until(&self, text: Option<&str>) -> SqlResult<Option<i64>> {
        let Some(text) = text else {
            return Ok(None);
        };
        let ty = TypeRef::plain(type_oid::TIMESTAMPTZ);
        match aegis_types::io::text_in(ty, text, &self.context.eval())? {
            Datum::Timestamptz(at) => Ok(Some(at)),
            _ => Ok(None),
        }
    }

    /// `ALTER ROLE` with options, `ALTER GROUP … ADD` and `DROP USER`.
    pub(super) async fn alter_role(&mut self, alter: &AlterRoleStmt) -> SqlResult<&'static str> {
        if let RoleSpecKind::Name(name) = &alter.role.kind
            && is_reserved(name)
        {
            return Err(reserved(name, UNALTERABLE));
        }
        let options = Options::read(&alter.options)?;
        let oid = self.role_oid(&alter.role)?;
        let old = self.role_row(oid)?;
        if !self.is_superuser() {
            self.check_alterable(&old, &options)?;
        }
        self.claim_role(&old.name).await?;
        let valid_until = self.valid_until(options.valid_until)?;
        let mut role = (*self.role_row(oid)?).clone();
        if let Some(given) = options.password {
            role.password = self.stored_password(&role.name.clone(), Some(given))?;
        }
        let set = |field: &mut bool, option: Option<bool>| *field = option.unwrap_or(*field);
        set(&mut role.superuser, options.superuser);
        set(&mut role.inherit, options.inherit);
        set(&mut role.create_role, options.create_role);
        set(&mut role.create_database, options.create_database);
        set(&mut role.can_login, options.can_login);
        set(&mut role.replication, options.replication);
        set(&mut role.bypass_row_security, options.bypass_row_security);
        role.connection_limit = options.connection_limit.unwrap_or(role.connection_limit);
        role.valid_until = valid_until.or(role.valid_until);
        if role.oid == BOOTSTRAP_ROLE && !role.superuser {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "permission denied: bootstrap user must be superuser",
            ));
        }
        self.put(Descriptor::Role(Arc::new(role)))?;
        if let Some(members) = options.role_members {
            let members = Members::plain(members, self.role);
            if alter.add {
                self.add_members(oid, &members)?;
            } else {
                self.remove_members(oid, &members)?;
            }
        }
        Ok("ALTER ROLE")
    }

    fn check_alterable(&self, role: &Role, options: &Options<'_>) -> SqlResult<()> {
        if role.superuser || options.superuser.is_some() {
            return Err(refused(
                "must be superuser to alter superuser roles or change superuser attribute",
            ));
        }
        if role.replication || options.replication.is_some() {
            return Err(refused(
                "must be superuser to alter replication roles or change replication attribute",
            ));
        }
        if options.bypass_row_security.is_some() {
            return Err(refused("must be superuser to change bypassrls attribute"));
        }
        let own_password = role.oid == self.role && options.is_password_alone();
        if !self.may_create_roles() && !own_password {
            return Err(refused("permission denied"));
        }
        Ok(())
    }

    /// `ALTER ROLE … SET` and `RESET`, of one role or of all, in one database or in all.
    pub(super) async fn alter_role_set(
        &mut self,
        alter: &AlterRoleSetStmt,
    ) -> SqlResult<&'static str> {
        let mut oid = Oid::NONE;
        if let Some(spec) = &alter.role {
            if let RoleSpecKind::Name(name) = &spec.kind
                && is_reserved(name)
            {
                return Err(reserved(name, UNALTERABLE));
            }
            oid = self.role_oid(spec)?;
            let role = self.role_row(oid)?;
            self.claim_role(&role.name).await?;
            if role.superuser && !self.is_superuser() {
                return Err(refused("must be superuser to alter superuser roles"));
            }
            if !self.may_create_roles() && oid != self.role {
                return Err(refused("permission denied"));
            }
        }
        let database = match &alter.database {
            Some(name) => {
                let database = self.database_named(name)?;
                if alter.role.is_none() {
                    self.check_owns_database(&database)?;
                }
                database.oid
            }
            None if alter.role.is_none() && !self.is_superuser() => {
                return Err(refused("must be superuser to alter settings globally"));
            }
            None => Oid::NONE,
        };
        self.change_settings(database, oid, &alter.set.kind)?;
        Ok("ALTER ROLE")
    }

    /// Changes the settings that sessions of a role or a database begin with.
    pub(super) fn change_settings(
        &mut self,
        database: Oid,
        role: Oid,
        change: &VariableSetKind,
    ) -> SqlResult<()> {
        let stored = self.context.catalog.role_settings(database, role);
        let mut values = stored.map_or_else(Vec::new, |stored| stored.settings.clone());
        self.change_list_of_settings(&mut values, change)?;
        if values.is_empty() {
            if self.context.catalog.role_settings(database, role).is_some() {
                self.delete(DescriptorKey::RoleSettings(database, role))?;
            }
            return Ok(());
        }
        let settings = RoleSettings { database, role, settings: values };
        self.put(Descriptor::RoleSettings(Arc::new(settings)))
    }

    /// Changes a list of settings that is kept for later.
    pub(super) fn change_list_of_settings(
        &self,
        values: &mut Vec<(String, String)>,
        change: &VariableSetKind,
    ) -> SqlResult<()> {
        match change {
            VariableSetKind::ResetAll => values.clear(),
            VariableSetKind::Default { name } | VariableSetKind::Reset { name } => {
                settings::check_settable(name)?;
                values.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            }
            VariableSetKind::Value { name, args } => {
                let value = settings::set_value(name, args)?;
                self.keep_setting(values, name, value)?;
            }
            VariableSetKind::Current { name } => {
                let value = self.session_settings.show(name)?;
                self.keep_setting(values, name, value)?;
            }
            _ => return Err(SqlError::unsupported("this setting of a role")),
        }
        Ok(())
    }

    /// Sets a value in a list, if a session could.
    fn keep_setting(
        &self,
        values: &mut Vec<(String, String)>,
        name: &str,
        value: String,
    ) -> SqlResult<()> {
        let known = settings::find(name).map_or_else(|| name.to_owned(), |it| it.name.to_owned());
        let mut session = self.session_settings.clone();
        session.is_superuser = self.is_superuser();
        session.set(name, Some(&value), false)?;
        match values.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => values.push((known, value)),
        }
        Ok(())
    }

    /// `DROP ROLE`
    pub(super) async fn drop_role(&mut self, drop: &DropRoleStmt) -> SqlResult<&'static str> {
        if !self.may_create_roles() {
            return Err(refused("permission denied to drop role"));
        }
        for spec in &drop.roles {
            let RoleSpecKind::Name(name) = &spec.kind else {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    "cannot use special role specifier in DROP ROLE",
                ));
            };
            self.claim_role(name).await?;
            let Some(role) = self.context.catalog.role_named(name).cloned() else {
                let message = format!("role \"{name}\" does not exist");
                if !drop.missing_ok {
                    return Err(SqlError::new(SqlState::UndefinedObject, message));
                }
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                continue;
            };
            self.check_droppable(&role)?;
            let lines = self.role_dependencies(role.oid);
            if !lines.is_empty() {
                return Err(SqlError::new(
                    SqlState::DependentObjectsStillExist,
                    format!("role \"{name}\" cannot be dropped because some objects depend on it"),
                )
                .detail(lines.join("\n")));
            }
            self.forget_role(role.oid)?;
        }
        Ok("DROP ROLE")
    }

    fn check_droppable(&self, role: &Role) -> SqlResult<()> {
        let in_use = |message| Err(SqlError::new(SqlState::ObjectInUse, message));
        if role.oid == self.role {
            return in_use("current user cannot be dropped");
        }
        if role.oid == self.session_role {
            return in_use("session user cannot be dropped");
        }
        if role.superuser && !self.is_superuser() {
            return Err(refused("must be superuser to drop superusers"));
        }
        if role.oid.0 < FIRST_NORMAL_OID {
            return Err(SqlError::new(
                SqlState::DependentObjectsStillExist,
                format!(
                    "cannot drop role {} because it is required by the database system",
                    role.name
                ),
            ));
        }
        Ok(())
    }

    /// Deletes a role with its memberships, its settings and its comment.
    fn forget_role(&mut self, oid: Oid) -> SqlResult<()> {
        let catalog = self.context.catalog.clone();
        for it in catalog.memberships().filter(|it| it.member == oid || it.role == oid) {
            self.delete(DescriptorKey::Membership(it.member, it.role))?;
        }
        for it in catalog.all_role_settings().filter(|it| it.role == oid) {
            self.delete(DescriptorKey::RoleSettings(it.database, it.role))?;
        }
        self.delete_comments(PG_AUTHID, oid)?;
        self.delete(DescriptorKey::Role(oid))
    }

    /// `ALTER ROLE … RENAME TO`
    pub(super) async fn rename_role(&mut self, old: &str, new: &str) -> SqlResult<&'static str> {
        self.claim_role(old).await?;
        self.claim_role(new).await?;
        let Some(role) = self.context.catalog.role_named(old).cloned() else {
            return Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("role \"{old}\" does not exist"),
            ));
        };
        if role.oid == self.session_role || role.oid == self.role {
            let whose = if role.oid == self.session_role { "session" } else { "current" };
            let message = format!("{whose} user cannot be renamed");
            return Err(SqlError::new(SqlState::FeatureNotSupported, message));
        }
        for name in [old, new] {
            if is_reserved(name) {
                return Err(reserved(name, RESERVED_PREFIX));
            }
        }
        if self.context.catalog.role_named(new).is_some() {
            return Err(role_exists(new));
        }
        if role.superuser && !self.is_superuser() {
            return Err(refused("must be superuser to rename superusers"));
        }
        if !self.may_create_roles() {
            return Err(refused("permission denied to rename role"));
        }
        let mut renamed = (*role).clone();
        new.clone_into(&mut renamed.name);
        if renamed.password.as_deref().is_some_and(password::is_md5_hash) {
            renamed.password = None;
            self.notice(
                SqlState::SuccessfulCompletion,
                "MD5 password cleared because of role rename",
            );
        }
        self.put(Descriptor::Role(Arc::new(renamed)))?;
        Ok("ALTER ROLE")
    }

    /// Claims the name of a role until the transaction ends, and looks at the newest of that name.
    pub(super) async fn claim_role(&mut self, name: &str) -> SqlResult<()> {
        self.claim_name(&[u8::MAX - 3], Oid::NONE, name).await?;
        if let Ok(newest) = self.store.newest_catalog().downcast::<CatalogSnapshot>()
            && let Some(other) = newest.role_named(name)
        {
            self.refresh(DescriptorKey::Role(other.oid))?;
        }
        Ok(())
    }

    /// Whether a role is the one that stands for the owner of each database.
    pub(super) const fn is_database_owner_role(role: Oid) -> bool {
        role.0 == DATABASE_OWNER_ROLE.0
    }
}

fn role_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DuplicateObject, format!("role \"{name}\" already exists"))
}
