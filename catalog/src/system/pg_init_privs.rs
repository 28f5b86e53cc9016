//! `pg_init_privs`: the lists of privileges that the server's own objects begin with. By them
//! `pg_dump` tells what somebody has granted since.

use aegis_types::Datum;
use aegis_types::builtin::{Implementation, builtins};

use super::{SystemContext, acl, all};
use crate::access::{Kind, Privilege, everybody};
use crate::descriptor::AclItem;
use crate::snapshot::{DATABASE_OWNER_ROLE, PG_CATALOG, PG_CLASS, PG_NAMESPACE, PG_PROC};

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let access = catalog.access(context.names.database);
    let relations = all().filter(|relation| relation.schema == PG_CATALOG);
    let functions = builtins().functions.iter();
    let functions = functions.filter(|row| !matches!(row.implementation, Implementation::Missing));
    let objects = relations
        .map(|relation| (PG_CLASS, Kind::Table, relation.oid))
        .chain(functions.map(|row| (PG_PROC, Kind::Function, row.oid)))
        .chain(std::iter::once((PG_NAMESPACE, Kind::Schema, PG_CATALOG)));
    // Everybody uses the schema that a database begins with; its owner makes things there.
    let owner = DATABASE_OWNER_ROLE;
    let item = |grantee, privileges: Privilege| AclItem {
        grantee,
        grantor: owner,
        privileges: privileges.0,
        grantable: 0,
    };
    let open =
        [item(owner, Privilege::USAGE | Privilege::CREATE), item(everybody(), Privilege::USAGE)];
    let public = catalog.schemas_of(context.names.database);
    let public = public.filter(|schema| schema.name == "public" && schema.owner == owner);
    let public =
        public.map(|it| row![it.oid, PG_NAMESPACE, 0_i32, b'i', acl::list(catalog, &open)]);
    let public: Vec<Vec<Datum>> = public.collect();
    objects
        .filter_map(|(class, kind, object)| {
            let items = access.built_in_list(kind, object)?;
            Some(row![object, class, 0_i32, b'i', acl::list(catalog, &items)])
        })
        .chain(public)
        .collect()
}
