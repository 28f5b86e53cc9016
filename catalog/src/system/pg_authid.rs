//! `pg_authid`, `pg_auth_members`, `pg_db_role_setting`, and the views over them: `pg_roles`,
//! `pg_shadow`, `pg_user`, `pg_group`.

use aegis_types::{Datum, Oid, type_oid as t};

use super::SystemContext;
use super::cell::array;
use crate::descriptor::{Role, RoleSettings};

/// What the views show instead of a password.
const HIDDEN: &str = "********";

fn valid_until(role: &Role) -> Option<Datum> {
    role.valid_until.map(Datum::Timestamptz)
}

/// Settings as `name=value`.
fn texts(settings: &RoleSettings) -> Datum {
    array(t::TEXT, settings.settings.iter().map(|(name, value)| format!("{name}={value}")))
}

/// The settings of a role in all databases.
fn settings(context: &SystemContext<'_>, role: Oid) -> Option<Datum> {
    context.catalog().role_settings(Oid::NONE, role).map(|found| texts(found))
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let row = |role: &Role| {
        row![
            role.oid,
            &role.name,
            role.superuser,
            role.inherit,
            role.create_role,
            role.create_database,
            role.can_login,
            role.replication,
            role.bypass_row_security,
            role.connection_limit,
            role.password.as_ref(),
            valid_until(role),
        ]
    };
    context.catalog().roles().map(|role| row(role)).collect()
}

/// `pg_roles`
pub(super) fn roles(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let row = |role: &Role| {
        row![
            &role.name,
            role.superuser,
            role.inherit,
            role.create_role,
            role.create_database,
            role.can_login,
            role.replication,
            role.connection_limit,
            HIDDEN,
            valid_until(role),
            role.bypass_row_security,
            settings(context, role.oid),
            role.oid,
        ]
    };
    context.catalog().roles().map(|role| row(role)).collect()
}

/// `pg_shadow`
pub(super) fn shadow(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    logins(context, |role| role.password.as_deref())
}

/// `pg_user`
pub(super) fn users(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    logins(context, |_| Some(HIDDEN))
}

fn logins(
    context: &SystemContext<'_>,
    password: impl Fn(&Role) -> Option<&str>,
) -> Vec<Vec<Datum>> {
    let row = |role: &Role| {
        row![
            &role.name,
            role.oid,
            role.create_database,
            role.superuser,
            role.replication,
            role.bypass_row_security,
            password(role),
            valid_until(role),
            settings(context, role.oid),
        ]
    };
    context.catalog().roles().filter(|role| role.can_login).map(|role| row(role)).collect()
}

/// `pg_group`
pub(super) fn groups(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let row = |role: &Role| {
        let members = catalog.memberships().filter(|it| it.role == role.oid).map(|it| it.member);
        row![&role.name, role.oid, array(t::OID, members)]
    };
    catalog.roles().filter(|role| !role.can_login).map(|role| row(role)).collect()
}

/// `pg_auth_members`
pub(super) fn members(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .catalog()
        .memberships()
        .map(|it| row![it.role, it.member, it.grantor, it.admin])
        .collect()
}

/// `pg_db_role_setting`
pub(super) fn settings_rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let all = context.catalog().all_role_settings();
    all.map(|it| row![it.database, it.role, texts(it)]).collect()
}
