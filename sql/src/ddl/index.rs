//! Indexes: `CREATE INDEX`, the indexes of constraints, and filling them.

use std::sync::Arc;

use aegis_catalog::{ConstraintKind as StoredKind, IndexBody, IndexKey, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, type_oid};

use super::Ddl;
use super::name::{kind_word, relation_exists};
use crate::ast::{IndexElem, IndexStmt, SortDirection, SortNulls};
use crate::dml::TableAccess;

/// A column of a new index.
pub(super) type IndexPart = IndexKey;

/// PostgreSQL's limit of columns of an index.
const INDEX_COLUMNS_MAX: usize = 32;

/// The plain kind of an index's column.
pub(super) trait PlainPart {
    fn plain(column: i16) -> Self;
}

impl PlainPart for IndexKey {
    fn plain(column: i16) -> Self {
        Self { column, descending: false, nulls_first: false }
    }
}

/// An index to be made.
pub(super) struct NewIndex {
    pub(super) table: Oid,
    pub(super) name: Option<String>,
    pub(super) keys: Vec<IndexPart>,
    pub(super) unique: bool,
    pub(super) primary: bool,
    pub(super) nulls_not_distinct: bool,
    pub(super) method: String,
    /// Whether it belongs to a constraint, which is made with it.
    pub(super) constraint: bool,
    /// Whether the table is made by the same statement and has no rows.
    pub(super) is_new_table: bool,
}

impl Ddl<'_> {
    /// `CREATE INDEX`
    pub(super) async fn create_index(&mut self, create: &IndexStmt) -> SqlResult<&'static str> {
        refuse_features(create)?;
        let relation = self.open(&create.relation, TableLockMode::Share).await?;
        self.check_owns(&relation)?;
        if relation.as_table().is_none() {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot create index on relation \"{}\"", relation.name),
            )
            .detail(format!("This operation is not supported for {}.", plural(&relation))));
        }
        if let Some(name) = &create.name
            && self.claim(relation.schema, name).await?.is_some()
        {
            if !create.if_not_exists {
                return Err(relation_exists(name));
            }
            self.notice(
                SqlState::DuplicateTable,
                format!("relation \"{name}\" already exists, skipping"),
            );
            return Ok("CREATE INDEX");
        }
        let mut keys = Vec::new();
        for param in &create.params {
            keys.push(index_part(&relation, param)?);
        }
        check_method(create)?;
        self.add_index(NewIndex {
            table: relation.oid,
            name: create.name.clone(),
            keys,
            unique: create.unique,
            primary: false,
            nulls_not_distinct: create.nulls_not_distinct,
            method: create.access_method.clone(),
            constraint: false,
            is_new_table: false,
        })
        .await?;
        Ok("CREATE INDEX")
    }

    /// Makes an index, its constraint if it is for one, and its entries.
    pub(super) async fn add_index(&mut self, new: NewIndex) -> SqlResult<Oid> {
        let relation = self.relation(new.table)?;
        if new.keys.len() > INDEX_COLUMNS_MAX {
            return Err(SqlError::new(
                SqlState::TooManyColumns,
                format!("cannot use more than {INDEX_COLUMNS_MAX} columns in an index"),
            ));
        }
        for key in &new.keys {
            if let Some(column) = relation.column(key.column) {
                self.check_ordered(column.ty.oid, &new.method)?;
            }
        }
        let name = match &new.name {
            Some(name) => name.clone(),
            None => self.choose_index_name(&new, &relation),
        };
        if new.name.is_none() || new.constraint {
            self.claim_new(relation.schema, &name).await?;
        }
        let is_row_key = new.primary && new.is_new_table;
        let tree = if is_row_key { 0 } else { self.store.allocate_tree_id().await?.0 };
        let valid_from = if new.is_new_table { 0 } else { self.store.newest_seq().0 };
        let row_key: Vec<i16> = new.keys.iter().map(|key| key.column).collect();
        let index = self.put_relation(Relation {
            oid: self.counters.next_oid()?,
            database: relation.database,
            schema: relation.schema,
            name: name.clone(),
            owner: relation.owner,
            row_type: Oid::NONE,
            row_array_type: Oid::NONE,
            columns: Vec::new(),
            options: Vec::new(),
            body: RelationBody::Index(IndexBody {
                table: new.table,
                tree,
                keys: new.keys,
                unique: new.unique,
                primary: new.primary,
                nulls_not_distinct: new.nulls_not_distinct,
                valid_from,
                method: new.method,
            }),
        })?;
        let mut table = (*relation).clone();
        if let RelationBody::Table(body) = &mut table.body {
            body.indexes.push(index.oid);
            body.indexes.sort_unstable();
            if is_row_key {
                body.row_key = row_key;
            }
        }
        let table = self.put_relation(table)?;
        if new.constraint {
            let kind = if new.primary {
                StoredKind::PrimaryKey { index: index.oid }
            } else {
                StoredKind::Unique { index: index.oid }
            };
            self.put_constraint(table.oid, name, kind)?;
        }
        if !new.is_new_table {
            self.fill_index(&table, index.oid)?;
        }
        Ok(index.oid)
    }

    /// Writes the entries of an index for every row of its table.
    pub(super) fn fill_index(&mut self, table: &Arc<Relation>, index: Oid) -> SqlResult<()> {
        let access = TableAccess::new(table, &self.context)?;
        let index = access
            .indexes
            .iter()
            .find(|access| access.oid == index)
            .ok_or_else(|| SqlError::internal("a new index is not on its table"))?;
        let view = self.txn.newest_view()?;
        let mut scan = view.scan(
            access.tree,
            aegis_storage::KeyRange::all(),
            aegis_storage::Direction::Forward,
        )?;
        let mut block = aegis_storage::Block::default();
        while scan.next_block(&mut block)? {
            self.context.cancel.check()?;
            for stored in block.iter() {
                let row = access.layout.decode(stored.value)?;
                let entry = index.encode_key(&access.layout, &row, stored.key)?;
                if entry.exclusive && self.txn.get_newest(index.tree, &entry.bytes)?.is_some() {
                    let detail =
                        access.key_detail(&index.columns(), &row, &self.context.evaluation());
                    return Err(SqlError::new(
                        SqlState::UniqueViolation,
                        format!("could not create unique index \"{}\"", index.name),
                    )
                    .detail(format!("{detail} is duplicated."))
                    .table(&access.schema_name, &table.name)
                    .constraint(&index.name));
                }
                let value = if entry.exclusive { stored.key } else { &[] };
                self.txn.put(index.tree, &entry.bytes, value)?;
            }
        }
        Ok(())
    }

    /// 42704 for a type without an order.
    pub(super) fn check_ordered(&self, ty: Oid, method: &str) -> SqlResult<()> {
        let element = builtins()
            .type_row(ty)
            .filter(|row| row.category == b'A' && row.length == -1 && row.element.is_some())
            .map_or(ty, |row| row.element);
        let unordered = matches!(element, type_oid::JSON | type_oid::XID | type_oid::CID)
            || matches!(builtins().type_row(element), Some(row) if matches!(row.name,
                "xml" | "point" | "lseg" | "path" | "box" | "polygon" | "line" | "circle"
                | "aclitem" | "txid_snapshot" | "pg_snapshot" | "tsquery" | "jsonpath"));
        if unordered {
            return Err(SqlError::new(
                SqlState::UndefinedObject,
                format!(
                    "data type {} has no default operator class for access method \"{method}\"",
                    self.type_name(ty)
                ),
            )
            .hint(
                "You must specify an operator class for the index or define a default operator \
                 class for the data type.",
            ));
        }
        Ok(())
    }
}

pub(super) fn plural(relation: &Relation) -> &'static str {
    match kind_word(relation.kind()) {
        "view" => "views",
        "sequence" => "sequences",
        "index" => "indexes",
        _ => "tables",
    }
}

fn index_part(relation: &Relation, param: &IndexElem) -> SqlResult<IndexPart> {
    let Some(name) = &param.name else {
        return Err(SqlError::unsupported("an index on an expression"));
    };
    let column = relation.column_named(name).ok_or_else(|| {
        SqlError::new(SqlState::UndefinedColumn, format!("column \"{name}\" does not exist"))
    })?;
    let known = ["C", "POSIX", "default"];
    if param.collation.last().is_some_and(|name| !known.contains(&name.as_str())) {
        return Err(SqlError::unsupported("COLLATE in an index"));
    }
    if param.opclass.last().is_some_and(|name| !is_plain_class(name)) {
        return Err(SqlError::unsupported(format!(
            "operator class \"{}\"",
            param.opclass.join(".")
        )));
    }
    let descending = matches!(param.ordering, SortDirection::Desc);
    let nulls_first = match param.nulls {
        SortNulls::First => true,
        SortNulls::Last => false,
        SortNulls::Default => descending,
    };
    Ok(IndexPart { column: column.number, descending, nulls_first })
}

/// With the C collation, the pattern classes order as the default ones.
fn is_plain_class(name: &str) -> bool {
    name.strip_suffix("_ops").is_some_and(|ty| {
        let ty = ty.strip_suffix("_pattern").unwrap_or(ty);
        matches!(
            ty,
            "text"
                | "varchar"
                | "bpchar"
                | "int2"
                | "int4"
                | "int8"
                | "float4"
                | "float8"
                | "numeric"
                | "bool"
                | "date"
                | "time"
                | "timetz"
                | "timestamp"
                | "timestamptz"
                | "interval"
                | "uuid"
                | "bytea"
                | "oid"
                | "name"
                | "char"
                | "array"
                | "jsonb"
        )
    })
}

fn refuse_features(create: &IndexStmt) -> SqlResult<()> {
    if create.where_clause.is_some() {
        return Err(SqlError::unsupported("a partial index"));
    }
    if !create.including.is_empty() {
        return Err(SqlError::unsupported("INCLUDE"));
    }
    super::create_table::check_storage(None, create.table_space.as_deref())?;
    super::create_table::stored_options(&create.options).map(drop)
}

fn check_method(create: &IndexStmt) -> SqlResult<()> {
    let method = create.access_method.as_str();
    let refuse = |what: &str| {
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("access method \"hash\" does not support {what}"),
        ))
    };
    match method {
        "btree" => Ok(()),
        "hash" if create.unique => refuse("unique indexes"),
        "hash" if create.params.len() > 1 => refuse("multicolumn indexes"),
        "hash" if create.params.iter().any(|p| !matches!(p.ordering, SortDirection::Default)) => {
            refuse("ASC/DESC options")
        }
        "hash" if create.params.iter().any(|p| !matches!(p.nulls, SortNulls::Default)) => {
            refuse("NULLS FIRST/LAST options")
        }
        "hash" => Ok(()),
        "gist" | "gin" | "brin" | "spgist" => {
            Err(SqlError::unsupported(format!("access method \"{method}\"")))
        }
        _ => Err(SqlError::new(
            SqlState::UndefinedObject,
            format!("access method \"{method}\" does not exist"),
        )),
    }
}
