//! The catalog in storage: its trees, the form of its rows, and how a snapshot is made of them.
//!
//! ```text
//! key    tag │ OID …          big-endian, so that a scan reads one kind after the other
//! value  version (2) │ JSON of the Descriptor
//! ```
//!
//! JSON names its fields, so a descriptor grows by a field with `#[serde(default)]` and no new version.
//!
//! Apply builds the next snapshot from the rows that a commit changed; at start it reads them all.

use std::any::Any;
use std::sync::Arc;

use aegis_storage::{
    Block, CatalogBuilder, CatalogChange, Direction, KeyRange, ReadView, StorageError, Transaction,
    TreeId,
};
use aegis_types::Oid;

use crate::access::{Privilege, everybody};
use crate::descriptor::{
    AclItem, Comment, Database, Descriptor, Membership, Privileges, RelationBody, Role, Schema,
};
use crate::snapshot::{
    BOOTSTRAP_ROLE, CatalogSnapshot, DATABASE_OWNER_ROLE, DescriptorKey, PG_DATABASE, PG_NAMESPACE,
    POSTGRES_DATABASE, PUBLIC, TEMPLATE0_DATABASE, TEMPLATE1_DATABASE,
};

/// The tree of descriptors.
pub const CATALOG_TREE: TreeId = TreeId(64);
/// The tree of sequences' positions and other counters, written outside of the transactions that
/// use them.
pub const COUNTER_TREE: TreeId = TreeId(65);

/// The first byte of a stored descriptor: grows when its form changes.
const FORMAT_VERSION: u8 = 2;
/// The tag of types in keys.
const TYPE_TAG: u8 = 16;

impl DescriptorKey {
    /// Its bytes in the catalog's tree.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (tag, oids) = match self {
            Self::Database(oid) => (1, vec![oid.0]),
            Self::Role(oid) => (2, vec![oid.0]),
            Self::Schema(oid) => (3, vec![oid.0]),
            Self::Relation(oid) => (4, vec![oid.0]),
            Self::Comment(class, object, column) => {
                (5, vec![class.0, object.0, column.cast_unsigned()])
            }
            Self::Type(oid) => (TYPE_TAG, vec![oid.0]),
            Self::Membership(member, role) => (32, vec![member.0, role.0]),
            Self::RoleSettings(database, role) => (33, vec![database.0, role.0]),
            Self::Privileges(class, object, column) => {
                (34, vec![class.0, object.0, column.cast_unsigned()])
            }
            Self::DefaultPrivileges(role, schema, kind) => {
                (35, vec![role.0, schema.0, u32::from(kind)])
            }
            Self::Function(oid) => (36, vec![oid.0]),
            Self::Extension(oid) => (37, vec![oid.0]),
            Self::Statistics(relation, column) => {
                (38, vec![relation.0, u32::from(column.cast_unsigned())])
            }
        };
        let mut bytes = vec![tag];
        for oid in oids {
            bytes.extend_from_slice(&oid.to_be_bytes());
        }
        bytes
    }

    /// The key that these bytes are.
    ///
    /// # Errors
    /// [`StorageError::Internal`] for bytes that [`DescriptorKey::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let oid = |at: usize| -> Option<u32> {
            let start = 1 + at * 4;
            bytes.get(start..start + 4)?.try_into().ok().map(u32::from_be_bytes)
        };
        let key = match (bytes.first(), oid(0), oid(1), oid(2)) {
            (Some(1), Some(one), None, None) => Self::Database(Oid(one)),
            (Some(2), Some(one), None, None) => Self::Role(Oid(one)),
            (Some(3), Some(one), None, None) => Self::Schema(Oid(one)),
            (Some(4), Some(one), None, None) => Self::Relation(Oid(one)),
            (Some(&TYPE_TAG), Some(one), None, None) => Self::Type(Oid(one)),
            (Some(5), Some(class), Some(object), Some(column)) => {
                Self::Comment(Oid(class), Oid(object), column.cast_signed())
            }
            (Some(36), Some(one), None, None) => Self::Function(Oid(one)),
            (Some(37), Some(one), None, None) => Self::Extension(Oid(one)),
            (Some(32), Some(member), Some(role), None) => Self::Membership(Oid(member), Oid(role)),
            (Some(33), Some(database), Some(role), None) => {
                Self::RoleSettings(Oid(database), Oid(role))
            }
            (Some(34), Some(class), Some(object), Some(column)) => {
                Self::Privileges(Oid(class), Oid(object), column.cast_signed())
            }
            (Some(35), Some(role), Some(schema), Some(kind)) => {
                let kind = u8::try_from(kind).map_err(|_| damaged("key"))?;
                Self::DefaultPrivileges(Oid(role), Oid(schema), kind)
            }
            (Some(38), Some(relation), Some(column), None) => {
                let column = u16::try_from(column).map_err(|_| damaged("key"))?;
                Self::Statistics(Oid(relation), column.cast_signed())
            }
            _ => return Err(damaged("key")),
        };
        if key.encode() != bytes {
            return Err(damaged("key"));
        }
        Ok(key)
    }
}

impl Descriptor {
    /// Its stored form.
    ///
    /// # Errors
    /// [`StorageError::Internal`] if it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, StorageError> {
        let mut bytes = vec![FORMAT_VERSION];
        serde_json::to_writer(&mut bytes, self).map_err(|_| damaged("descriptor"))?;
        Ok(bytes)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`StorageError::Internal`] for bytes of an unknown version or that are no descriptor.
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        match bytes.split_first() {
            Some((&FORMAT_VERSION, rest)) => {
                serde_json::from_slice(rest).map_err(|_| damaged("descriptor"))
            }
            _ => Err(damaged("version")),
        }
    }
}

fn damaged(what: &str) -> StorageError {
    StorageError::Internal(format!("a row of the catalog has a damaged {what}"))
}

/// Writes a descriptor in a transaction.
///
/// # Errors
/// What storage raises.
pub fn put(txn: &mut Transaction, descriptor: &Descriptor) -> Result<(), StorageError> {
    txn.put(CATALOG_TREE, &descriptor.key().encode(), &descriptor.encode()?)
}

/// Removes a descriptor in a transaction.
///
/// # Errors
/// What storage raises.
pub fn delete(txn: &mut Transaction, key: DescriptorKey) -> Result<(), StorageError> {
    txn.delete(CATALOG_TREE, &key.encode())
}

/// Removes a schema and everything in it, in a transaction. Nothing outside may depend on it, as
/// nothing depends on temporary relations.
///
/// # Errors
/// What storage raises.
pub fn delete_schema(
    txn: &mut Transaction,
    catalog: &CatalogSnapshot,
    schema: Oid,
) -> Result<(), StorageError> {
    for relation in catalog.relations_in(schema) {
        let tree = match &relation.body {
            RelationBody::Table(table) => table.tree,
            RelationBody::Index(index) => index.tree,
            RelationBody::View { .. } | RelationBody::Sequence(_) => 0,
        };
        if tree != 0 {
            txn.drop_tree(TreeId(tree))?;
        }
        for comment in catalog.comments().filter(|comment| comment.object == relation.oid) {
            let key = DescriptorKey::Comment(comment.class, comment.object, comment.column);
            delete(txn, key)?;
        }
        for known in catalog.statistics_of(relation.oid) {
            delete(txn, DescriptorKey::Statistics(known.relation, known.column))?;
        }
        delete(txn, DescriptorKey::Relation(relation.oid))?;
    }
    delete(txn, DescriptorKey::Schema(schema))
}

/// Reads the whole catalog.
///
/// # Errors
/// What storage raises.
pub fn read(view: &ReadView) -> Result<CatalogSnapshot, StorageError> {
    let mut catalog = CatalogSnapshot::default();
    let mut scan = view.scan(CATALOG_TREE, KeyRange::all(), Direction::Forward)?;
    let mut block = Block::default();
    while scan.next_block(&mut block)? {
        for row in block.iter() {
            catalog = catalog.with(&Descriptor::decode(row.value)?);
        }
    }
    Ok(catalog)
}

/// What the store calls to publish the catalog together with the data.
#[must_use]
pub fn builder() -> CatalogBuilder {
    Box::new(|change| Arc::new(next(change)) as Arc<dyn Any + Send + Sync>)
}

/// The snapshot after a commit. Apply never refuses: a row that cannot be read is a belief of ours
/// that turned out false, and the process stops there rather than serve a catalog without it.
fn next(change: &CatalogChange<'_>) -> CatalogSnapshot {
    let previous = change.previous.and_then(|any| any.downcast_ref::<CatalogSnapshot>());
    let (Some(previous), Some(changed)) = (previous, change.changed) else {
        return read(change.view).expect("the rows of the catalog were written by this code");
    };
    let mut catalog = previous.clone();
    for (tree, key) in changed {
        if *tree != CATALOG_TREE {
            continue;
        }
        let row = change
            .view
            .get(CATALOG_TREE, key.as_bytes())
            .expect("a view that is being published can be read");
        catalog = match row {
            Some(row) => catalog.with(
                &Descriptor::decode(&row.value)
                    .expect("the rows of the catalog were written by this code"),
            ),
            None => catalog.without(
                DescriptorKey::decode(key.as_bytes())
                    .expect("the keys of the catalog were written by this code"),
            ),
        };
    }
    catalog
}

/// The catalog that a view shows.
///
/// # Errors
/// What storage raises.
///
/// # Panics
/// If the store was opened without [`builder`].
pub fn of_view(view: &ReadView) -> Result<Arc<CatalogSnapshot>, StorageError> {
    Ok(view.catalog()?.downcast().expect("the store's catalog builder is ours"))
}

/// The roles that PostgreSQL has from the start beside the first one.
const PREDEFINED_ROLES: [(Oid, &str); 12] = [
    (Oid(3373), "pg_monitor"),
    (Oid(3374), "pg_read_all_settings"),
    (Oid(3375), "pg_read_all_stats"),
    (Oid(3377), "pg_stat_scan_tables"),
    (Oid(4200), "pg_signal_backend"),
    (Oid(4544), "pg_checkpoint"),
    (Oid(4569), "pg_read_server_files"),
    (Oid(4570), "pg_write_server_files"),
    (Oid(4571), "pg_execute_server_program"),
    (DATABASE_OWNER_ROLE, "pg_database_owner"),
    (Oid(6181), "pg_read_all_data"),
    (Oid(6182), "pg_write_all_data"),
];

/// `pg_monitor`, which is a member of the roles that read what it is to see.
const PG_MONITOR: Oid = Oid(3373);

fn item(grantee: Oid, grantor: Oid, privileges: Privilege) -> AclItem {
    AclItem { grantee, grantor, privileges: privileges.0, grantable: 0 }
}

fn put_privileges(
    txn: &mut Transaction,
    class: Oid,
    object: Oid,
    items: Vec<AclItem>,
) -> Result<(), StorageError> {
    put(txn, &Descriptor::Privileges(Arc::new(Privileges { class, object, column: 0, items })))
}

fn put_comment(
    txn: &mut Transaction,
    class: Oid,
    object: Oid,
    text: &str,
) -> Result<(), StorageError> {
    let comment = Comment { class, object, column: 0, text: text.to_owned() };
    put(txn, &Descriptor::Comment(Arc::new(comment)))
}

/// Writes what a new store begins with: the databases `postgres`, `template1` and `template0`, the
/// role `postgres`, and a schema `public` in each database.
///
/// # Errors
/// What storage raises.
pub fn bootstrap(txn: &mut Transaction) -> Result<(), StorageError> {
    let first = Role {
        superuser: true,
        create_role: true,
        create_database: true,
        can_login: true,
        replication: true,
        bypass_row_security: true,
        ..Role::plain(BOOTSTRAP_ROLE, "postgres")
    };
    put(txn, &Descriptor::Role(Arc::new(first)))?;
    for (oid, name) in PREDEFINED_ROLES {
        put(txn, &Descriptor::Role(Arc::new(Role::plain(oid, name))))?;
    }
    put_monitor(txn)?;
    let databases = [
        (TEMPLATE1_DATABASE, "template1", true, true, Oid(2201)),
        (TEMPLATE0_DATABASE, "template0", true, false, Oid(2202)),
        (POSTGRES_DATABASE, "postgres", false, true, PUBLIC),
    ];
    let comments = [
        "default template for new databases",
        "unmodifiable empty database",
        "default administrative connection database",
    ];
    for ((oid, name, is_template, allow_connections, public), comment) in
        databases.into_iter().zip(comments)
    {
        put_comment(txn, PG_DATABASE, oid, comment)?;
        // Dumps tell by these words whether somebody has said something else of the schema.
        put_comment(txn, PG_NAMESPACE, public, "standard public schema")?;
        put(
            txn,
            &Descriptor::Database(Arc::new(Database {
                oid,
                name: name.into(),
                owner: BOOTSTRAP_ROLE,
                allow_connections,
                is_template,
                connection_limit: -1,
                collate: "C".into(),
                ctype: "C.UTF-8".into(),
            })),
        )?;
        put(
            txn,
            &Descriptor::Schema(Arc::new(Schema {
                oid: public,
                database: oid,
                name: "public".into(),
                owner: DATABASE_OWNER_ROLE,
            })),
        )?;
        open_to_all(txn, public)?;
        if is_template {
            close_template(txn, oid)?;
        }
    }
    Ok(())
}

/// Writes what a store lacks that was made when there were no privileges: the schemas `public` were
/// open to all, and so they stay.
///
/// # Errors
/// What storage raises.
pub fn add_first_privileges(
    txn: &mut Transaction,
    catalog: &CatalogSnapshot,
) -> Result<(), StorageError> {
    put_monitor(txn)?;
    for database in catalog.databases() {
        for schema in catalog.schemas_of(database.oid) {
            if schema.owner == DATABASE_OWNER_ROLE {
                open_to_all(txn, schema.oid)?;
            }
        }
        if database.is_template {
            close_template(txn, database.oid)?;
        }
    }
    Ok(())
}

/// Whether a store was made when there were no privileges.
#[must_use]
pub fn lacks_privileges(catalog: &CatalogSnapshot) -> bool {
    catalog.all_privileges().next().is_none() && catalog.memberships().next().is_none()
}

/// What `pg_monitor` is a member of.
fn put_monitor(txn: &mut Transaction) -> Result<(), StorageError> {
    for role in [3374, 3375, 3377] {
        let (role, member, grantor) = (Oid(role), PG_MONITOR, BOOTSTRAP_ROLE);
        let membership = Membership { role, member, grantor, admin: false };
        put(txn, &Descriptor::Membership(Arc::new(membership)))?;
    }
    Ok(())
}

/// Everybody finds what is in the schema; the owner of the database makes it.
fn open_to_all(txn: &mut Transaction, schema: Oid) -> Result<(), StorageError> {
    let owner = DATABASE_OWNER_ROLE;
    let items = vec![
        item(owner, owner, Privilege::USAGE | Privilege::CREATE),
        item(everybody(), owner, Privilege::USAGE),
    ];
    put_privileges(txn, PG_NAMESPACE, schema, items)
}

/// Everybody connects to a template, and nobody else makes anything there.
fn close_template(txn: &mut Transaction, database: Oid) -> Result<(), StorageError> {
    let all = Privilege::CREATE | Privilege::TEMPORARY | Privilege::CONNECT;
    let items = vec![
        item(everybody(), BOOTSTRAP_ROLE, Privilege::CONNECT),
        item(BOOTSTRAP_ROLE, BOOTSTRAP_ROLE, all),
    ];
    put_privileges(txn, PG_DATABASE, database, items)
}

#[cfg(test)]
mod tests;
