//! The generated tables under `data/`: what PostgreSQL's system relations look like, and the rows of
//! catalogs that never change here.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use aegis_types::context::NoHost;
use aegis_types::{Datum, EvalContext, FormatSettings, Oid, TypeRef, io};

use super::{SystemColumn, SystemRelation, none, relation};
use crate::snapshot::{INFORMATION_SCHEMA, PG_CATALOG};

/// Every relation of the system schemas of a PostgreSQL 15, by qualified name, without rows.
pub(super) fn relations() -> HashMap<String, SystemRelation> {
    let mut columns: BTreeMap<Oid, Vec<SystemColumn>> = BTreeMap::new();
    for fields in lines(include_str!("../../data/columns.tsv")) {
        columns.entry(oid(fields[0])).or_default().push(SystemColumn {
            name: fields[1],
            ty: TypeRef::with_typmod(oid(fields[2]), number(fields[3])),
            dimensions: number(fields[4]),
            not_null: fields[5] == "t",
            collation: oid(fields[6]),
        });
    }
    lines(include_str!("../../data/relations.tsv"))
        .map(|fields| {
            let name = format!("{}.{}", fields[1], fields[2]);
            let oid_of_it = oid(fields[0]);
            let relation = SystemRelation {
                oid: oid_of_it,
                schema: if fields[1] == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA },
                name: name.clone(),
                kind: fields[3].as_bytes()[0],
                shared: fields[4] == "t",
                row_type: oid(fields[5]),
                row_array_type: oid(fields[6]),
                columns: columns.remove(&oid_of_it).unwrap_or_default(),
                rows: none,
            };
            (name, relation)
        })
        .collect()
}

/// The rows of a catalog that has a table of its own.
pub(super) fn rows(name: &str) -> Vec<Vec<Datum>> {
    let table = match name {
        "pg_am" => include_str!("../../data/pg_am.tsv"),
        "pg_amop" => include_str!("../../data/pg_amop.tsv"),
        "pg_amproc" => include_str!("../../data/pg_amproc.tsv"),
        "pg_collation" => include_str!("../../data/pg_collation.tsv"),
        "pg_language" => include_str!("../../data/pg_language.tsv"),
        "pg_opclass" => include_str!("../../data/pg_opclass.tsv"),
        "pg_opfamily" => include_str!("../../data/pg_opfamily.tsv"),
        "pg_range" => include_str!("../../data/pg_range.tsv"),
        "pg_tablespace" => include_str!("../../data/pg_tablespace.tsv"),
        _ => "",
    };
    let Some(relation) = relation(&format!("pg_catalog.{name}")) else {
        return Vec::new();
    };
    let settings = FormatSettings::default();
    let context = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &NoHost,
    };
    let read = |text: &str, column: &SystemColumn| match text {
        "\\N" => Datum::Null,
        text => io::text_in(column.ty, text, &context)
            .expect("the generated tables hold values of their columns' types"),
    };
    lines(table)
        .map(|fields| {
            fields.iter().zip(&relation.columns).map(|(text, column)| read(text, column)).collect()
        })
        .collect()
}

fn lines(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().map(|line| line.split('\t').collect())
}

fn oid(field: &str) -> Oid {
    Oid(number(field))
}

fn number<T: FromStr<Err: std::fmt::Debug>>(field: &str) -> T {
    field.parse().expect("the generated tables hold numbers in their numeric columns")
}
