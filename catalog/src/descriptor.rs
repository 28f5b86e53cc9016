//! Descriptors: one struct a kind of object, as it is stored and as everybody reads it.
//!
//! Expressions and queries are kept as SQL text with every name qualified. What depends on a
//! renamed object is bound under the old names and printed again under the new ones, in the
//! transaction that renames.
//!
//! A row that was stored before a field was there reads as the field's default: a new field is marked
//! `#[serde(default)]`.

mod routine;
mod statistics;

use std::sync::Arc;

use aegis_storage::{TreeId, Trees};
use aegis_types::user_type::EnumLabel;
use aegis_types::{Collation, Oid, TypeRef};
use serde::{Deserialize, Serialize};

pub use routine::{Extension, Function, FunctionBody, FunctionParameter};
pub use statistics::{CommonValues, Statistics, Values};

/// `pg_database`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// The role that owns it.
    pub owner: Oid,
    /// Whether one can connect to it; `template0` is not for that.
    pub allow_connections: bool,
    /// Whether it is a template.
    pub is_template: bool,
    /// -1 for no limit.
    pub connection_limit: i32,
    /// `datcollate`: order is that of bytes in all that are known.
    #[serde(default = "plain_locale")]
    pub collate: String,
    /// `datctype`: which letters there are.
    #[serde(default = "plain_locale")]
    pub ctype: String,
}

/// The locale of databases that were made when there was no other.
fn plain_locale() -> String {
    "C".to_owned()
}

/// `pg_authid`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Whether it passes every check.
    pub superuser: bool,
    /// Whether it has the privileges of the roles that it is a member of without `SET ROLE`.
    pub inherit: bool,
    /// Whether it may make other roles.
    pub create_role: bool,
    /// Whether it may make databases.
    pub create_database: bool,
    /// Whether it may log in.
    pub can_login: bool,
    /// Whether it may replicate.
    pub replication: bool,
    /// Whether row security does not hold for it.
    pub bypass_row_security: bool,
    /// How many sessions it may have; -1 for no limit.
    pub connection_limit: i32,
    /// What its password is checked against: a SCRAM verifier, or an MD5 hash that was given as such.
    pub password: Option<String>,
    /// Until when the password holds, in microseconds since 2000-01-01 UTC; the greatest number is
    /// `infinity`, the least `-infinity`.
    pub valid_until: Option<i64>,
}

impl Role {
    /// A role that has no attribute but a name.
    #[must_use]
    pub fn plain(oid: Oid, name: impl Into<String>) -> Self {
        Self {
            oid,
            name: name.into(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_database: false,
            can_login: false,
            replication: false,
            bypass_row_security: false,
            connection_limit: -1,
            password: None,
            valid_until: None,
        }
    }
}

/// `pg_auth_members`: a role is a member of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// The role that has a member.
    pub role: Oid,
    /// The member.
    pub member: Oid,
    /// Who granted it.
    pub grantor: Oid,
    /// Whether the member may grant it on.
    pub admin: bool,
}

/// `pg_db_role_setting`: settings that a session begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleSettings {
    /// In which database; none for all.
    pub database: Oid,
    /// Of which role; none for all.
    pub role: Oid,
    /// Names and values, in the order in which they were first set.
    pub settings: Vec<(String, String)>,
}

/// `aclitem`: what one role granted to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    /// To whom; none is PUBLIC.
    pub grantee: Oid,
    /// By whom.
    pub grantor: Oid,
    /// Which privileges: bits of [`crate::access::Privilege`].
    pub privileges: u16,
    /// Which of them may be granted on.
    pub grantable: u16,
}

/// The privileges on an object where they differ from those that it is made with: `relacl`,
/// `nspacl`, `attacl` and their like. Of built-in objects too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Privileges {
    /// The catalog of the object, as of [`Comment::class`].
    pub class: Oid,
    /// The object.
    pub object: Oid,
    /// The column, 0 for the object itself.
    pub column: i32,
    /// Who has what, in the order of granting.
    pub items: Vec<AclItem>,
}

/// `pg_default_acl`: the privileges on what a role will make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefaultPrivileges {
    /// Its OID.
    pub oid: Oid,
    /// Of objects that this role makes.
    pub role: Oid,
    /// In this schema; none for all.
    pub schema: Oid,
    /// `defaclobjtype`: `r`, `S`, `f`, `T`, `n`.
    pub kind: u8,
    /// All privileges where no schema is named, else those beside the others.
    pub items: Vec<AclItem>,
}

/// `pg_namespace`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Its OID.
    pub oid: Oid,
    /// The database it belongs to; none for the built-in schemas, which every database has.
    pub database: Oid,
    /// Its name.
    pub name: String,
    /// The role that owns it.
    pub owner: Oid,
}

/// `relkind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RelationKind {
    /// `r`
    Table,
    /// `v`
    View,
    /// `S`
    Sequence,
    /// `i`
    Index,
    /// `m`
    MaterializedView,
}

impl RelationKind {
    /// The letter of `pg_class.relkind`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Table => b'r',
            Self::View => b'v',
            Self::Sequence => b'S',
            Self::Index => b'i',
            Self::MaterializedView => b'm',
        }
    }
}

/// `pg_class` with everything that hangs on it: columns, constraints, the definition of a view, an
/// index or a sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Its OID.
    pub oid: Oid,
    /// The database it belongs to.
    pub database: Oid,
    /// The schema it lies in.
    pub schema: Oid,
    /// Its name, unique among the relations of the schema.
    pub name: String,
    /// The role that owns it.
    pub owner: Oid,
    /// Its row type's OID in `pg_type`; none for indexes and sequences.
    pub row_type: Oid,
    /// The OID of the array over its row type.
    pub row_array_type: Oid,
    /// All columns ever added, in the order of their numbers: the column with number `n` is at
    /// `n - 1`, dropped ones included.
    pub columns: Vec<Column>,
    /// Storage options as written, `name=value`: kept and shown.
    pub options: Vec<String>,
    /// What kind it is, and what that kind needs.
    pub body: RelationBody,
    /// How long it lives.
    #[serde(default)]
    pub persistence: Persistence,
}

/// `relpersistence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persistence {
    /// `p`
    #[default]
    Permanent,
    /// `u`: as durable as a permanent one here.
    Unlogged,
    /// `t`: until its session ends.
    Temporary,
}

impl Persistence {
    /// The letter of `pg_class.relpersistence`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Permanent => b'p',
            Self::Unlogged => b'u',
            Self::Temporary => b't',
        }
    }
}

/// What becomes of a temporary table's rows when a transaction commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnCommit {
    /// They stay.
    #[default]
    PreserveRows,
    /// They are deleted.
    DeleteRows,
    /// So is the table.
    Drop,
}

/// What a relation of each kind has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RelationBody {
    /// A table.
    Table(TableBody),
    /// A view: its query as SQL with qualified names.
    View {
        /// The text of the `SELECT`.
        definition: String,
    },
    /// A sequence.
    Sequence(SequenceBody),
    /// An index.
    Index(IndexBody),
}

/// What a table has of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableBody {
    /// The tree of its rows. `TRUNCATE` and rewrites give it a new one.
    pub tree: u64,
    /// The numbers of the columns whose key encoding is the row's key; empty where the key is a
    /// hidden monotone row id (eight bytes, big-endian).
    pub row_key: Vec<i16>,
    /// The next layout version of its rows: grows whenever a column is added.
    pub row_version: u16,
    /// The indexes on it, in the order of their OIDs.
    pub indexes: Vec<Oid>,
    /// Its constraints, in the order of their OIDs; not null is on the column.
    pub constraints: Vec<Constraint>,
    /// Foreign keys of other tables that point here: `(table, constraint)`.
    pub referenced_by: Vec<(Oid, Oid)>,
    /// Rows as `ANALYZE` or `VACUUM` counted them; -1 for never.
    pub row_count: f32,
    /// `ON COMMIT`, of a temporary table.
    #[serde(default)]
    pub on_commit: OnCommit,
    /// `REPLICA IDENTITY`: kept and shown.
    #[serde(default)]
    pub replica_identity: ReplicaIdentity,
    /// The engine whose rows these are.
    #[serde(default)]
    pub managed: Option<Managed>,
    /// The trees of rows before the newest, oldest first: those of an append-only table.
    #[serde(default)]
    pub older: Vec<OlderTree>,
    /// What is told of every change of a row: engines, and objects of theirs.
    #[serde(default)]
    pub captured_by: Vec<(String, Oid)>,
    /// The query whose rows these are: then it is a materialized view.
    #[serde(default)]
    pub materialized: Option<Materialized>,
}

/// A tree that takes no more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OlderTree {
    /// Which.
    pub tree: u64,
    /// When it was closed, in microseconds since 2000-01-01 UTC: no row in it is younger.
    pub closed: i64,
}

impl TableBody {
    /// Where its rows are read.
    #[must_use]
    pub fn trees(&self) -> Trees {
        let older = self.older.iter().map(|older| TreeId(older.tree)).collect();
        Trees { newest: TreeId(self.tree), older }
    }
}

impl IndexBody {
    /// Where its entries are read.
    #[must_use]
    pub fn trees(&self) -> Trees {
        let older = self.older.iter().copied().map(TreeId).collect();
        Trees { newest: TreeId(self.tree), older }
    }
}

/// What makes a table one of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managed {
    /// The engine, which has its say in what is written.
    pub engine: String,
    /// The column after whose time a row is not there any more.
    pub expires: Option<i16>,
    /// The tree that counters of its rows go with, where they are numbered.
    #[serde(default)]
    pub counters: Option<u64>,
    /// The column whose values never fall along the row key, within each value of its first column.
    #[serde(default)]
    pub along: Option<i16>,
}

/// `relreplident`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    /// `d`
    #[default]
    Default,
    /// `f`
    Full,
    /// `n`
    Nothing,
    /// `i`
    Index,
}

impl ReplicaIdentity {
    /// The letter of `pg_class.relreplident`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Default => b'd',
            Self::Full => b'f',
            Self::Nothing => b'n',
            Self::Index => b'i',
        }
    }
}

/// What makes a table a materialized view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Materialized {
    /// The text of the `SELECT`.
    pub definition: String,
    /// Whether it has been filled.
    pub populated: bool,
}

/// `pg_attribute` with `pg_attrdef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// `attnum`, from 1.
    pub number: i16,
    /// Its name; `........pg.dropped.N........` once dropped.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
    /// `COLLATE`, where it is not its type's.
    #[serde(default)]
    pub collation: Option<Collation>,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Its default, as SQL with qualified names.
    pub default: Option<String>,
    /// Whether it is an identity column.
    pub identity: Option<Identity>,
    /// `attisdropped`
    pub dropped: bool,
    /// The row version from which rows carry this column.
    pub since_version: u16,
    /// `GENERATED ALWAYS AS (…) STORED`: the default is the expression, over the row's other columns.
    #[serde(default)]
    pub generated: bool,
    /// `SET STATISTICS`: how closely ANALYZE looks; none for as closely as the session says.
    #[serde(default)]
    pub statistics: Option<i32>,
    /// `SET STORAGE`, the letter of `attstorage`: kept and shown.
    #[serde(default)]
    pub storage: Option<u8>,
    /// What rows older than that show, in the type's binary form: the default at `ADD COLUMN`.
    pub missing: Option<Vec<u8>>,
}

/// `attidentity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// `GENERATED ALWAYS`
    Always,
    /// `GENERATED BY DEFAULT`
    ByDefault,
}

/// What an index has of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexBody {
    /// The table it is on.
    pub table: Oid,
    /// The tree of its entries. A primary key that is the row key has none of its own: 0.
    ///
    /// Key: the key encoding of the columns; then, unless the index is unique at once and none of
    /// the values is NULL, the row key. Value: the row key of a unique entry, else nothing.
    pub tree: u64,
    /// The trees of entries for the table's older trees, in their order.
    #[serde(default)]
    pub older: Vec<u64>,
    /// The columns.
    pub keys: Vec<IndexKey>,
    /// Whether two rows may not have equal keys.
    pub unique: bool,
    /// Whether it holds two rows with equal keys for a while, as its constraint is deferrable.
    #[serde(default)]
    pub deferrable: bool,
    /// Whether it is the primary key's.
    pub primary: bool,
    /// Whether NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// The commit sequence from which it is complete; older snapshots do not use it.
    pub valid_from: u64,
    /// The access method as written: `btree`, or `hash`, which is ordered here all the same.
    pub method: String,
    /// `INCLUDE`: columns that are no part of the key. Rows are read where they lie, so nothing of
    /// them is kept here.
    #[serde(default)]
    pub include: Vec<i16>,
    /// `WHERE`: which rows have an entry.
    #[serde(default)]
    pub predicate: Option<IndexPredicate>,
    /// Whether it can be read: not while `CREATE INDEX CONCURRENTLY` fills it, nor after it failed.
    #[serde(default = "yes")]
    pub valid: bool,
    /// `CLUSTER ON`: kept and shown.
    #[serde(default)]
    pub clustered: bool,
    /// `REPLICA IDENTITY USING INDEX`: kept and shown.
    #[serde(default)]
    pub replica_identity: bool,
}

/// One column of an index's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The table's column; 0 for an expression.
    pub column: i16,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`
    pub nulls_first: bool,
    /// The expression over the table's row.
    #[serde(default)]
    pub expression: Option<IndexExpression>,
    /// What the index calls it, where that is not the name of the table's column.
    #[serde(default)]
    pub name: Option<String>,
    /// The operator class where it is not the type's own; all of them order alike here.
    #[serde(default)]
    pub class: Option<String>,
    /// `COLLATE`, where it is written: kept and shown, since all of them are one here.
    #[serde(default)]
    pub collation: Option<String>,
}

/// An expression in an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexExpression {
    /// As SQL.
    pub text: String,
    /// The type of its value.
    pub ty: TypeRef,
    /// The columns it names.
    pub columns: Vec<i16>,
    /// Whether it looks like a call, which is printed without parentheses around.
    pub is_call: bool,
}

/// The condition of a partial index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPredicate {
    /// As SQL.
    pub text: String,
    /// The columns it names.
    pub columns: Vec<i16>,
}

/// `pg_constraint`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its OID.
    pub oid: Oid,
    /// Its name, unique on its table.
    pub name: String,
    /// What it demands.
    pub kind: ConstraintKind,
    /// Whether every row keeps it: not after `NOT VALID`.
    #[serde(default = "yes")]
    pub validated: bool,
    /// When it is looked at.
    #[serde(default)]
    pub deferral: Deferral,
}

/// When a key is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deferral {
    /// As soon as may be, whatever SET CONSTRAINTS says.
    #[default]
    NotDeferrable,
    /// At the end of each statement, until SET CONSTRAINTS puts it off.
    InitiallyImmediate,
    /// At the commit, until SET CONSTRAINTS says otherwise.
    InitiallyDeferred,
}

impl Deferral {
    /// Whether SET CONSTRAINTS may put it off.
    #[must_use]
    pub fn is_deferrable(self) -> bool {
        self != Self::NotDeferrable
    }

    /// Whether it waits for the commit unless told otherwise.
    #[must_use]
    pub fn is_initially_deferred(self) -> bool {
        self == Self::InitiallyDeferred
    }
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConstraintKind {
    /// `CHECK`
    Check {
        /// The condition, as SQL.
        expression: String,
        /// The columns it names.
        columns: Vec<i16>,
    },
    /// `PRIMARY KEY`
    PrimaryKey {
        /// Its index.
        index: Oid,
    },
    /// `UNIQUE`
    Unique {
        /// Its index.
        index: Oid,
    },
    /// `FOREIGN KEY`
    ForeignKey(ForeignKey),
}

/// What a foreign key demands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The referencing columns.
    pub columns: Vec<i16>,
    /// The referenced table.
    pub target: Oid,
    /// The referenced columns, in the order of [`ForeignKey::columns`].
    pub target_columns: Vec<i16>,
    /// The unique index that the reference rests on.
    pub target_index: Oid,
    /// `ON DELETE`
    pub on_delete: ReferentialAction,
    /// `ON UPDATE`
    pub on_update: ReferentialAction,
    /// The columns of `SET NULL (…)` and `SET DEFAULT (…)`; empty for all.
    pub set_columns: Vec<i16>,
    /// `MATCH FULL`
    pub match_full: bool,
}

/// What happens to referencing rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// `NO ACTION`: refused at the end of the statement
    NoAction,
    /// `RESTRICT`: refused at once
    Restrict,
    /// `CASCADE`
    Cascade,
    /// `SET NULL`
    SetNull,
    /// `SET DEFAULT`
    SetDefault,
}

/// `pg_sequence`. Its position is a row of the system tree of sequence values, outside MVCC of the
/// session's transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequenceBody {
    /// `int2`, `int4` or `int8`.
    pub ty: Oid,
    /// `START`
    pub start: i64,
    /// `INCREMENT`, never 0
    pub increment: i64,
    /// `MINVALUE`
    pub minimum: i64,
    /// `MAXVALUE`
    pub maximum: i64,
    /// `CACHE`
    pub cache: i64,
    /// `CYCLE`
    pub cycle: bool,
    /// Its position is kept under this number: `RESTART` takes a new one, so that it is
    /// transactional although `nextval` is not.
    pub generation: u32,
    /// What the first `nextval` of this generation gives.
    pub initial: i64,
    /// The column it belongs to, if any: `(table, column)`.
    pub owned_by: Option<(Oid, i16)>,
    /// Whether it belongs to an identity column, which cannot be without it.
    pub internal: bool,
}

/// `pg_description`: a comment on an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    /// The catalog of the object: `pg_class`'s OID for relations and columns, and so on.
    pub class: Oid,
    /// The object.
    pub object: Oid,
    /// The column, 0 for the object itself.
    pub column: i32,
    /// The text.
    pub text: String,
}

impl IndexBody {
    /// The columns of its key, 0 for expressions.
    #[must_use]
    pub fn key_columns(&self) -> Vec<i16> {
        self.keys.iter().map(|key| key.column).collect()
    }

    /// Every column of the table that it names in whatever way.
    #[must_use]
    pub fn named_columns(&self) -> Vec<i16> {
        let plain = self.keys.iter().map(|key| key.column).filter(|column| *column != 0);
        let expressions = self.keys.iter().filter_map(|key| key.expression.as_ref());
        let predicate = self.predicate.iter().flat_map(|predicate| &predicate.columns);
        let mut columns: Vec<i16> = plain
            .chain(expressions.flat_map(|expression| &expression.columns).copied())
            .chain(self.include.iter().copied())
            .chain(predicate.copied())
            .collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Whether it holds every row under plain columns.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.predicate.is_none() && self.keys.iter().all(|key| key.expression.is_none())
    }

    /// What the index calls each of its columns, those of `INCLUDE` too.
    #[must_use]
    pub fn column_names(&self, table: &Relation) -> Vec<String> {
        let name_of = |column: i16| {
            table.column(column).map_or_else(String::new, |column| column.name.clone())
        };
        let keys =
            self.keys.iter().map(|key| key.name.clone().unwrap_or_else(|| name_of(key.column)));
        keys.chain(self.include.iter().map(|column| name_of(*column))).collect()
    }

    /// The type of each column of the key.
    #[must_use]
    pub fn key_types(&self, table: &Relation) -> Vec<TypeRef> {
        self.keys
            .iter()
            .map(|key| match &key.expression {
                Some(expression) => expression.ty,
                None => table.column(key.column).map(|column| column.ty).unwrap_or_default(),
            })
            .collect()
    }
}

fn yes() -> bool {
    true
}

/// `pg_type`: a type that a user created, and the array type over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserType {
    /// Its OID.
    pub oid: Oid,
    /// The database it belongs to.
    pub database: Oid,
    /// The schema it lies in.
    pub schema: Oid,
    /// Its name.
    pub name: String,
    /// The role that owns it.
    pub owner: Oid,
    /// The OID of the array over it.
    pub array: Oid,
    /// The name of that.
    pub array_name: String,
    /// What it is.
    pub body: TypeBody,
}

/// What a type of each kind has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TypeBody {
    /// An enum: its labels in order.
    Enum(Arc<[EnumLabel]>),
    /// A domain.
    Domain(Arc<DomainBody>),
    /// A composite type.
    Composite(Arc<CompositeBody>),
}

/// What a domain has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainBody {
    /// The type beneath, which may be a domain.
    pub base: TypeRef,
    /// `COLLATE`, where it is not that of the type beneath.
    #[serde(default)]
    pub collation: Option<Collation>,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// What a column of it gets, as SQL.
    pub default: Option<String>,
    /// `CHECK`s, in the order of their making.
    pub checks: Vec<DomainCheck>,
}

/// A condition of a domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainCheck {
    /// Its OID.
    pub oid: Oid,
    /// Its name, unique on its domain.
    pub name: String,
    /// The condition, as SQL over `VALUE`.
    pub expression: String,
    /// Whether stored values keep to it: not if it was added `NOT VALID`.
    pub validated: bool,
}

/// What a composite type has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompositeBody {
    /// Its OID in `pg_class`.
    pub relation: Oid,
    /// The attributes, in the order in which values have them.
    pub attributes: Vec<CompositeAttribute>,
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompositeAttribute {
    /// `attnum`
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeRef,
}

/// Any descriptor: what one row of the catalog's tree holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Descriptor {
    /// A database.
    Database(Arc<Database>),
    /// A role.
    Role(Arc<Role>),
    /// A schema.
    Schema(Arc<Schema>),
    /// A table, view, sequence or index.
    Relation(Arc<Relation>),
    /// A comment.
    Comment(Arc<Comment>),
    /// A type.
    Type(Arc<UserType>),
    /// A membership.
    Membership(Arc<Membership>),
    /// Settings of a role or a database.
    RoleSettings(Arc<RoleSettings>),
    /// Privileges on an object.
    Privileges(Arc<Privileges>),
    /// Privileges on future objects.
    DefaultPrivileges(Arc<DefaultPrivileges>),
    /// A function or a procedure.
    Function(Arc<Function>),
    /// An extension.
    Extension(Arc<Extension>),
    /// What ANALYZE found in a column.
    Statistics(Arc<Statistics>),
}

impl Default for RelationBody {
    fn default() -> Self {
        Self::View { definition: String::new() }
    }
}

impl Relation {
    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> RelationKind {
        match self.body {
            RelationBody::Table(TableBody { materialized: Some(_), .. }) => {
                RelationKind::MaterializedView
            }
            RelationBody::Table(_) => RelationKind::Table,
            RelationBody::View { .. } => RelationKind::View,
            RelationBody::Sequence(_) => RelationKind::Sequence,
            RelationBody::Index(_) => RelationKind::Index,
        }
    }

    /// The columns that exist now, in order.
    pub fn live_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.dropped)
    }

    /// The column with this number, dropped or not.
    #[must_use]
    pub fn column(&self, number: i16) -> Option<&Column> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|at| self.columns.get(at))
    }

    /// The live column with this name.
    #[must_use]
    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.live_columns().find(|column| column.name == name)
    }

    /// The table, if it is one.
    #[must_use]
    pub const fn as_table(&self) -> Option<&TableBody> {
        match &self.body {
            RelationBody::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What makes it a materialized view, if it is one.
    #[must_use]
    pub fn as_materialized(&self) -> Option<&Materialized> {
        self.as_table()?.materialized.as_ref()
    }

    /// The text of its query, if it is a view, materialized or not.
    #[must_use]
    pub fn query_text(&self) -> Option<&str> {
        match &self.body {
            RelationBody::View { definition } => Some(definition),
            _ => self.as_materialized().map(|view| view.definition.as_str()),
        }
    }

    /// The index, if it is one.
    #[must_use]
    pub const fn as_index(&self) -> Option<&IndexBody> {
        match &self.body {
            RelationBody::Index(index) => Some(index),
            _ => None,
        }
    }

    /// The sequence, if it is one.
    #[must_use]
    pub const fn as_sequence(&self) -> Option<&SequenceBody> {
        match &self.body {
            RelationBody::Sequence(sequence) => Some(sequence),
            _ => None,
        }
    }
}
