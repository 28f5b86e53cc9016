//! `pg_shdepend`: which roles own objects or are granted something on them. The role that the server
//! is made with is pinned, as in PostgreSQL, and has no rows.

use std::collections::BTreeSet;

use aegis_types::{Datum, Oid};

use super::SystemContext;
use crate::descriptor::RelationBody;
use crate::snapshot::{BOOTSTRAP_ROLE, PG_AUTHID, PG_CLASS, PG_DATABASE, PG_NAMESPACE, PG_TYPE};

const OWNER: u8 = b'o';
const ACL: u8 = b'a';

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = context.catalog();
    let mut owned: Vec<(Oid, Oid, Oid, Oid)> = Vec::new();
    for database in catalog.databases() {
        owned.push((Oid::NONE, PG_DATABASE, database.oid, database.owner));
        let here = database.oid;
        for schema in catalog.schemas_of(here) {
            owned.push((here, PG_NAMESPACE, schema.oid, schema.owner));
        }
        for ty in catalog.user_types_of(here) {
            owned.push((here, PG_TYPE, ty.oid, ty.owner));
        }
        for relation in catalog.relations_of(here) {
            // An index is its table's owner's.
            if !matches!(relation.body, RelationBody::Index(_)) {
                owned.push((here, PG_CLASS, relation.oid, relation.owner));
            }
        }
    }
    let mut rows = Vec::new();
    for (database, class, object, owner) in owned {
        let mut push = |role: Oid, kind: u8, column: i32| {
            if role.is_some() && role >= Oid::FIRST_USER && role != BOOTSTRAP_ROLE {
                rows.push(row![database, class, object, column, PG_AUTHID, role, kind]);
            }
        };
        push(owner, OWNER, 0);
        for stored in catalog.privileges_of(class, object) {
            let roles = stored.items.iter().flat_map(|item| [item.grantee, item.grantor]);
            let roles: BTreeSet<Oid> = roles.filter(|role| *role != owner).collect();
            roles.into_iter().for_each(|role| push(role, ACL, stored.column));
        }
    }
    rows
}
