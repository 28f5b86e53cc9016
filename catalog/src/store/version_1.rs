//! Descriptors as version 1 stored them: by position, so that no field could be added. They are read
//! into the same names of today; what was not there yet takes its default.

use std::sync::Arc;

use aegis_types::{Oid, TypeRef};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Database {
    oid: Oid,
    name: String,
    owner: Oid,
    allow_connections: bool,
    is_template: bool,
    connection_limit: i32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Role {
    oid: Oid,
    name: String,
    superuser: bool,
    can_login: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Schema {
    oid: Oid,
    database: Oid,
    name: String,
    owner: Oid,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Relation {
    oid: Oid,
    database: Oid,
    schema: Oid,
    name: String,
    owner: Oid,
    row_type: Oid,
    row_array_type: Oid,
    columns: Vec<Column>,
    options: Vec<String>,
    body: RelationBody,
}

#[derive(Serialize, Deserialize)]
pub(super) enum RelationBody {
    Table(TableBody),
    View { definition: String },
    Sequence(SequenceBody),
    Index(IndexBody),
}

#[derive(Serialize, Deserialize)]
pub(super) struct TableBody {
    tree: u64,
    row_key: Vec<i16>,
    row_version: u16,
    indexes: Vec<Oid>,
    constraints: Vec<Constraint>,
    referenced_by: Vec<(Oid, Oid)>,
    row_count: f32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Column {
    number: i16,
    name: String,
    ty: TypeRef,
    not_null: bool,
    default: Option<String>,
    identity: Option<Identity>,
    dropped: bool,
    since_version: u16,
    missing: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Identity {
    Always,
    ByDefault,
}

#[derive(Serialize, Deserialize)]
pub(super) struct IndexBody {
    table: Oid,
    tree: u64,
    keys: Vec<IndexKey>,
    unique: bool,
    primary: bool,
    nulls_not_distinct: bool,
    valid_from: u64,
    method: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct IndexKey {
    column: i16,
    descending: bool,
    nulls_first: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Constraint {
    oid: Oid,
    name: String,
    kind: ConstraintKind,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ConstraintKind {
    Check { expression: String, columns: Vec<i16> },
    PrimaryKey { index: Oid },
    Unique { index: Oid },
    ForeignKey(ForeignKey),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ForeignKey {
    columns: Vec<i16>,
    target: Oid,
    target_columns: Vec<i16>,
    target_index: Oid,
    on_delete: ReferentialAction,
    on_update: ReferentialAction,
    set_columns: Vec<i16>,
    match_full: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SequenceBody {
    ty: Oid,
    start: i64,
    increment: i64,
    minimum: i64,
    maximum: i64,
    cache: i64,
    cycle: bool,
    generation: u32,
    initial: i64,
    owned_by: Option<(Oid, i16)>,
    internal: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Comment {
    class: Oid,
    object: Oid,
    column: i32,
    text: String,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Descriptor {
    Database(Arc<Database>),
    Role(Arc<Role>),
    Schema(Arc<Schema>),
    Relation(Arc<Relation>),
    Comment(Arc<Comment>),
}
