//! Change data capture: what happens to the rows of tables, as messages of a stream, in the same
//! transaction.
//!
//! ```text
//! headers  {"operation": "update", "table": "public.t", "transaction": 7, "number": 1}
//! key      {"id": 1}                      the primary key, as jsonb
//! payload  {"new": {…}, "old": {…}}       old where the stream asks for it
//! ```
//!
//! The messages of a transaction lie together, numbered from 1: where the number is 1 again, another
//! transaction begins; its own number is given once. Values are written alike whatever a session has
//! set. A change of a table's columns is a message too.

use std::sync::LazyLock;

use aegis_catalog::Relation;
use aegis_sql::dml::{Changes, TableAccess};
use aegis_sql::engine::TableChange;
use aegis_types::functions::scalar;
use aegis_types::jsonb::{Builder, Jsonb};
use aegis_types::{
    CallContext, Collation, Datum, EvalContext, FormatSettings, SqlError, SqlResult, TypeRef,
    type_oid,
};

use crate::known::Stream;
use crate::message::Message;

/// A change of a table.
pub(crate) async fn capture(
    changes: &mut Changes<'_>,
    stream: &Stream,
    table: &TableAccess,
    change: TableChange<'_>,
) -> SqlResult<()> {
    let (operation, old, row) = match change {
        TableChange::Insert(row) => ("insert", None, Some(row)),
        TableChange::Update(old, row) => ("update", Some(old.values.as_slice()), Some(row)),
        TableChange::Delete(old) => ("delete", Some(old.values.as_slice()), None),
        TableChange::Truncate => ("truncate", None, None),
        TableChange::Columns => return columns(changes, stream, table).await,
    };
    record(changes, stream, table, operation, old, row).await
}

/// A row that is there when the stream begins.
pub(crate) async fn snapshot(
    changes: &mut Changes<'_>,
    stream: &Stream,
    table: &TableAccess,
    row: &[Datum],
) -> SqlResult<()> {
    record(changes, stream, table, "snapshot", None, Some(row)).await
}

async fn record(
    changes: &mut Changes<'_>,
    stream: &Stream,
    table: &TableAccess,
    operation: &str,
    old: Option<&[Datum]>,
    row: Option<&[Datum]>,
) -> SqlResult<()> {
    let mut payload = Builder::new();
    payload.begin_object()?;
    if let Some(row) = row {
        payload.key("new")?;
        payload.node(object(changes, &table.relation, row)?.root())?;
    }
    if let Some(old) = old.filter(|_| stream.settings.before || row.is_none()) {
        payload.key("old")?;
        payload.node(object(changes, &table.relation, old)?.root())?;
    }
    payload.end()?;
    // Under its old key: what follows there comes after.
    let key = old.or(row).map(|row| key_of(changes, table, row)).transpose()?.flatten();
    publish(changes, stream, table, operation, key, payload.finish()?).await
}

/// What a table's columns are by now.
async fn columns(changes: &mut Changes<'_>, stream: &Stream, table: &TableAccess) -> SqlResult<()> {
    let mut payload = Builder::new();
    payload.begin_object()?;
    payload.key("columns")?;
    payload.begin_array()?;
    for column in table.relation.live_columns() {
        payload.begin_object()?;
        payload.key("name")?;
        payload.string(&column.name)?;
        payload.key("type")?;
        payload.string(&type_name(changes, column.ty))?;
        payload.key("not_null")?;
        payload.bool(column.not_null)?;
        payload.end()?;
    }
    payload.end()?;
    payload.end()?;
    publish(changes, stream, table, "schema", None, payload.finish()?).await
}

fn type_name(changes: &Changes<'_>, ty: TypeRef) -> String {
    let names = aegis_catalog::system::Names {
        catalog: changes.catalog(),
        database: changes.context.database,
        search_path: &[],
        text: &aegis_catalog::system::AsStored,
    };
    names.format_type(ty.oid, Some(ty.typmod))
}

async fn publish(
    changes: &mut Changes<'_>,
    stream: &Stream,
    table: &TableAccess,
    operation: &str,
    key: Option<String>,
    payload: Jsonb,
) -> SqlResult<()> {
    let own = stream.partitions().map(|it| changes.txn.appended_to(stream.counter(it)));
    let number = own.sum::<u64>() + 1;
    let mut headers = Builder::new();
    headers.begin_object()?;
    headers.key("operation")?;
    headers.string(operation)?;
    headers.key("table")?;
    headers.string(&format!("{}.{}", table.schema_name, table.relation.name))?;
    headers.key("transaction")?;
    headers.integer(changes.txn.number())?;
    headers.key("number")?;
    headers.integer(i64::try_from(number).unwrap_or(i64::MAX))?;
    headers.end()?;
    let message = Message {
        key,
        headers: Datum::Jsonb(headers.finish()?),
        ..Message::of(Datum::Jsonb(payload))
    };
    message.publish(changes, stream).await
}

/// A row as `to_jsonb` gives it.
fn object(changes: &Changes<'_>, relation: &Relation, row: &[Datum]) -> SqlResult<Jsonb> {
    let live = relation.live_columns();
    let fields =
        live.map(|column| row[usize::try_from(column.number - 1).unwrap_or_default()].clone());
    to_jsonb(
        changes,
        TypeRef::plain(relation.row_type),
        Datum::composite(relation.row_type, fields.collect()),
    )
}

/// Whatever the session has set: a row has one key, and one form.
static SETTINGS: LazyLock<FormatSettings> = LazyLock::new(FormatSettings::default);

fn to_jsonb(changes: &Changes<'_>, ty: TypeRef, value: Datum) -> SqlResult<Jsonb> {
    let function = scalar("to_jsonb").ok_or_else(|| SqlError::internal("to_jsonb is missing"))?;
    let call = CallContext {
        eval: EvalContext { settings: &SETTINGS, ..changes.context.eval() },
        argument_types: &[ty],
        result_type: TypeRef::plain(type_oid::JSONB),
        collation: Collation::default(),
    };
    match function(&call, &[value])? {
        Datum::Jsonb(json) => Ok(json),
        _ => Err(SqlError::internal("to_jsonb gave no jsonb")),
    }
}

/// The primary key of a row as text of an object, by which its messages are in order.
fn key_of(changes: &Changes<'_>, table: &TableAccess, row: &[Datum]) -> SqlResult<Option<String>> {
    if table.row_key.is_empty() {
        return Ok(None);
    }
    let mut key = Builder::new();
    key.begin_object()?;
    for at in &table.row_key {
        let column = &table.relation.columns[*at];
        key.key(&column.name)?;
        match &row[*at] {
            Datum::Null => key.null()?,
            value => key.node(to_jsonb(changes, column.ty, value.clone())?.root())?,
        }
    }
    key.end()?;
    let mut text = Vec::new();
    key.finish()?.write_text(&mut text);
    Ok(String::from_utf8(text).ok())
}
