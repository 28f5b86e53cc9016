//! `pg_authid` and the views over it: `pg_roles`, `pg_shadow`, `pg_user`.

use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::cell::NULL;
use crate::descriptor::Role;

/// What the views show instead of a password.
const HIDDEN: &str = "********";

/// A superuser may create roles and databases, replicate, and pass row security.
pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let row = |role: &Role| {
        let all = role.superuser;
        row![
            role.oid,
            &role.name,
            all,
            true,
            all,
            all,
            role.can_login,
            all,
            all,
            -1_i32,
            NULL,
            NULL
        ]
    };
    context.catalog().roles().map(|role| row(role)).collect()
}

/// `pg_roles`
pub(super) fn roles(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let row = |role: &Role| {
        let all = role.superuser;
        row![
            &role.name,
            all,
            true,
            all,
            all,
            role.can_login,
            all,
            -1_i32,
            HIDDEN,
            NULL,
            all,
            NULL,
            role.oid,
        ]
    };
    context.catalog().roles().map(|role| row(role)).collect()
}

/// `pg_shadow`
pub(super) fn shadow(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    logins(context, None)
}

/// `pg_user`
pub(super) fn users(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    logins(context, Some(HIDDEN))
}

fn logins(context: &SystemContext<'_>, password: Option<&str>) -> Vec<Vec<Datum>> {
    let row =
        |name: &str, oid: Oid, all: bool| row![name, oid, all, all, all, all, password, NULL, NULL];
    context
        .catalog()
        .roles()
        .filter(|role| role.can_login)
        .map(|role| row(&role.name, role.oid, role.superuser))
        .collect()
}
