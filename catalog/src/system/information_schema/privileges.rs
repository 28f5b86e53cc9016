//! The views of privileges and roles: `table_privileges`, `column_privileges`, `usage_privileges`,
//! `routine_privileges`, what of them is the session's own roles' (`role_…_grants`), and
//! `enabled_roles`, `applicable_roles`, `administrable_role_authorizations`.

use aegis_types::{Datum, Oid};

use super::super::SystemContext;
use super::{catalog_name, schema, tables_and_views, yes};
use crate::access::{Access, Kind, Privilege, everybody};
use crate::descriptor::{AclItem, TypeBody};
use crate::snapshot::BOOTSTRAP_ROLE;

/// One privilege of one role.
struct Granted {
    grantor: Oid,
    grantee: Oid,
    privilege: Privilege,
    name: &'static str,
    grantable: bool,
}

/// Whose privileges a view shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those that the session's roles gave or have, and everybody's.
    Visible,
    /// Those that the session's roles gave or have.
    Enabled,
}

fn access<'a>(context: &SystemContext<'a>) -> Access<'a> {
    context.catalog().access(context.names.database)
}

fn is_enabled(context: &SystemContext<'_>, role: Oid) -> bool {
    access(context).has_privileges_of(context.server.role(), role)
}

fn role_name(context: &SystemContext<'_>, role: Oid) -> String {
    if role == everybody() {
        return "PUBLIC".to_owned();
    }
    context.catalog().role(role).map_or_else(|| role.to_string(), |role| role.name.clone())
}

/// The privileges of a list, one by one, as far as a view shows them.
fn granted(
    context: &SystemContext<'_>,
    items: &[AclItem],
    owner: Oid,
    of: Privilege,
    whose: Whose,
) -> Vec<Granted> {
    let access = access(context);
    let mut found = Vec::new();
    for item in items {
        let to_all = item.grantee == everybody();
        let enabled =
            is_enabled(context, item.grantor) || (!to_all && is_enabled(context, item.grantee));
        let is_shown = enabled || (to_all && whose == Whose::Visible);
        if !is_shown {
            continue;
        }
        // Whoever has the owner's privileges can grant them on.
        let as_owner = !to_all && access.has_privileges_of(item.grantee, owner);
        for (privilege, _, name) in Privilege::ALL {
            if of.contains(privilege) && Privilege(item.privileges).contains(privilege) {
                found.push(Granted {
                    grantor: item.grantor,
                    grantee: item.grantee,
                    privilege,
                    name,
                    grantable: as_owner || Privilege(item.grantable).contains(privilege),
                });
            }
        }
    }
    found
}

fn tables(context: &SystemContext<'_>, whose: Whose) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for table in tables_and_views(context) {
        let Some((owner, items)) = access(context).list(Kind::Table, table.oid, 0) else {
            continue;
        };
        for one in granted(context, &items, owner, Kind::Table.all(), whose) {
            rows.push(row![
                role_name(context, one.grantor),
                role_name(context, one.grantee),
                catalog_name(&context.names),
                schema(context, table.schema),
                table.name,
                one.name,
                yes(one.grantable),
                yes(one.privilege == Privilege::SELECT),
            ]);
        }
    }
    rows
}

fn columns(context: &SystemContext<'_>, whose: Whose) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for table in tables_and_views(context) {
        let Some((owner, items)) = access(context).list(Kind::Table, table.oid, 0) else {
            continue;
        };
        let of_table = granted(context, &items, owner, Kind::Column.all(), whose);
        for (number, column, _) in context.names.columns(table.oid) {
            let own =
                context.catalog().privileges(Kind::Column.class(), table.oid, i32::from(number));
            let own = own.map_or_else(Vec::new, |own| {
                granted(context, &own.items, owner, Kind::Column.all(), whose)
            });
            for one in of_table.iter().chain(&own) {
                rows.push(row![
                    role_name(context, one.grantor),
                    role_name(context, one.grantee),
                    catalog_name(&context.names),
                    schema(context, table.schema),
                    table.name,
                    column,
                    one.name,
                    yes(one.grantable),
                ]);
            }
        }
    }
    rows
}

fn usage(context: &SystemContext<'_>, whose: Whose) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in context.relations().filter(|relation| relation.as_sequence().is_some()) {
        let list = access(context).list(Kind::Sequence, relation.oid, 0);
        let Some((owner, items)) = list else { continue };
        for one in granted(context, &items, owner, Privilege::USAGE, whose) {
            rows.push(row![
                role_name(context, one.grantor),
                role_name(context, one.grantee),
                catalog_name(&context.names),
                schema(context, relation.schema),
                &relation.name,
                "SEQUENCE",
                one.name,
                yes(one.grantable),
            ]);
        }
    }
    rows
}

/// The privileges on composite types, those of relations' rows included.
fn composites(context: &SystemContext<'_>, whose: Whose) -> Vec<Vec<Datum>> {
    let types = context.catalog().user_types_of(context.names.database);
    let types = types.filter(|ty| matches!(ty.body, TypeBody::Composite(_)));
    let types = types.map(|ty| (ty.oid, ty.schema, &ty.name));
    let rows_of = context.relations().filter(|relation| relation.row_type.is_some());
    let rows_of = rows_of.map(|relation| (relation.row_type, relation.schema, &relation.name));
    let mut rows = Vec::new();
    for (oid, own_schema, name) in types.chain(rows_of) {
        let Some((owner, items)) = access(context).list(Kind::Type, oid, 0) else { continue };
        for one in granted(context, &items, owner, Privilege::USAGE, whose) {
            rows.push(row![
                role_name(context, one.grantor),
                role_name(context, one.grantee),
                catalog_name(&context.names),
                schema(context, own_schema),
                name,
                "TYPE USAGE",
                yes(one.grantable),
            ]);
        }
    }
    rows
}

pub(in crate::system) fn udt_privileges(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    composites(context, Whose::Visible)
}

pub(in crate::system) fn role_udt_grants(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    composites(context, Whose::Enabled)
}

fn routines(context: &SystemContext<'_>, whose: Whose) -> Vec<Vec<Datum>> {
    let access = access(context);
    let mut rows = Vec::new();
    for function in context.functions() {
        let Some((owner, items)) = access.list(Kind::Function, function.oid, 0) else { continue };
        for one in granted(context, &items, owner, Privilege::EXECUTE, whose) {
            let catalog = catalog_name(&context.names);
            rows.push(row![
                role_name(context, one.grantor),
                role_name(context, one.grantee),
                catalog,
                schema(context, function.schema),
                format!("{}_{}", function.name, function.oid),
                catalog,
                schema(context, function.schema),
                &function.name,
                one.name,
                yes(one.grantable),
            ]);
        }
    }
    rows
}

pub(in crate::system) fn table_privileges(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    tables(context, Whose::Visible)
}

pub(in crate::system) fn role_table_grants(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    tables(context, Whose::Enabled)
}

pub(in crate::system) fn column_privileges(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    columns(context, Whose::Visible)
}

pub(in crate::system) fn role_column_grants(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    columns(context, Whose::Enabled)
}

pub(in crate::system) fn usage_privileges(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    usage(context, Whose::Visible)
}

pub(in crate::system) fn role_usage_grants(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    usage(context, Whose::Enabled)
}

pub(in crate::system) fn routine_privileges(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    routines(context, Whose::Visible)
}

pub(in crate::system) fn role_routine_grants(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    routines(context, Whose::Enabled)
}

/// The roles whose privileges the current one has.
pub(in crate::system) fn enabled_roles(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let roles = context.catalog().roles().filter(|role| is_enabled(context, role.oid));
    roles.map(|role| row![&role.name]).collect()
}

fn memberships(context: &SystemContext<'_>, admin_alone: bool) -> Vec<Vec<Datum>> {
    context
        .catalog()
        .memberships()
        .filter(|it| is_enabled(context, it.member) && (it.admin || !admin_alone))
        .map(|it| row![role_name(context, it.member), role_name(context, it.role), yes(it.admin)])
        .collect()
}

/// The roles that the current one's are granted.
pub(in crate::system) fn applicable_roles(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = memberships(context, false);
    let owner = context.catalog().database(context.names.database).map(|it| it.owner);
    let owner = owner.unwrap_or(BOOTSTRAP_ROLE);
    if is_enabled(context, owner) {
        rows.push(row![role_name(context, owner), "pg_database_owner", "NO"]);
    }
    rows
}

/// Those of them that it may grant on.
pub(in crate::system) fn administrable(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    memberships(context, true)
}
