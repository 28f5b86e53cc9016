//! Sizes. Storage shares its files between relations and keeps no size for each: what is told is
//! the bytes of their rows, counted as far as that is quick.

use aegis_catalog::{Relation, RelationBody};
use aegis_storage::{Block, Direction, KeyRange, TreeId};
use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[
    ("pg_relation_size", |call| match call.args.get(1) {
        None => sized(call, own_bytes),
        Some(Datum::Text(fork)) => match &**fork {
            "main" => sized(call, own_bytes),
            // There is one fork here.
            "fsm" | "vm" | "init" => sized(call, |_, _| Ok(0)),
            _ => {
                let hint = "Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".";
                let code = SqlState::InvalidParameterValue;
                Err(SqlError::new(code, "invalid fork name").hint(hint))
            }
        },
        Some(_) => Ok(Datum::Null),
    }),
    ("pg_table_size", |call| sized(call, own_bytes)),
    ("pg_indexes_size", |call| sized(call, index_bytes)),
    ("pg_total_relation_size", |call| {
        sized(call, |call, relation| {
            Ok(own_bytes(call, relation)?.saturating_add(index_bytes(call, relation)?))
        })
    }),
    ("pg_database_size", database_size),
    ("pg_tablespace_size", |_| Ok(Datum::Int8(0))),
    ("pg_tablespace_location", |_| Ok(Datum::text(""))),
];

/// The size of the relation that a call names; NULL if there is none.
fn sized(
    call: &Call<'_>,
    size: impl FnOnce(&Call<'_>, &Relation) -> SqlResult<i64>,
) -> SqlResult<Datum> {
    match call.seen.catalog.relation(call.oid(0)) {
        Some(relation) => Ok(Datum::Int8(size(call, relation)?)),
        None if call.names().relation_parts(call.oid(0)).is_some() => Ok(Datum::Int8(0)),
        None => Ok(Datum::Null),
    }
}

/// The bytes of a table's rows or an index's entries. A primary key that is the rows' own order has
/// no entries.
fn own_bytes(call: &Call<'_>, relation: &Relation) -> SqlResult<i64> {
    match &relation.body {
        RelationBody::Table(table) => tree_bytes(call, table.tree, table.row_count),
        RelationBody::Index(index) if index.tree != 0 => {
            let table = call.seen.catalog.relation(index.table).and_then(|t| t.as_table());
            tree_bytes(call, index.tree, table.map_or(-1.0, |table| table.row_count))
        }
        _ => Ok(0),
    }
}

fn index_bytes(call: &Call<'_>, relation: &Relation) -> SqlResult<i64> {
    let indexes = relation.as_table().map_or(&[][..], |table| &table.indexes);
    let mut sum = 0_i64;
    for index in indexes {
        if let Some(index) = call.seen.catalog.relation(*index) {
            sum = sum.saturating_add(own_bytes(call, index)?);
        }
    }
    Ok(sum)
}

fn database_size(call: &Call<'_>) -> SqlResult<Datum> {
    let catalog = &call.seen.catalog;
    let database = match call.arg(0) {
        Datum::Text(name) => catalog.database_named(name).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedDatabase,
                format!("database \"{name}\" does not exist"),
            )
        })?,
        _ => match catalog.database(call.oid(0)) {
            Some(database) => database,
            None => return Ok(Datum::Null),
        },
    };
    let mut sum = 0_i64;
    for relation in catalog.relations_of(database.oid) {
        sum = sum.saturating_add(own_bytes(call, relation)?);
    }
    Ok(Datum::Int8(sum))
}

/// How many bytes of a tree are read to know its size.
const BYTES_READ_MAX: usize = 16 << 20;

/// The bytes of a tree's keys and values: counted, and beyond [`BYTES_READ_MAX`] projected to the
/// rows that were last analyzed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an estimate is rounded anyway"
)]
fn tree_bytes(call: &Call<'_>, tree: u64, row_count: f32) -> SqlResult<i64> {
    let view = call.host.identity.instance.store.newest_view()?;
    let mut scan = view.scan(TreeId(tree), KeyRange::all(), Direction::Forward)?;
    let mut block = Block::default();
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    while scan.next_block(&mut block)? {
        rows += block.len();
        bytes += block.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
        if bytes >= BYTES_READ_MAX {
            let projected = bytes as f64 / rows.max(1) as f64 * f64::from(row_count);
            return Ok((projected as i64).max(i64::try_from(bytes).unwrap_or(i64::MAX)));
        }
    }
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}
