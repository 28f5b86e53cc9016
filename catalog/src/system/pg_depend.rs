//! `pg_depend`: what belongs to what, and what views read. Of what a default or a check names there is
//! no row: that is bound anew where it matters.

use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::pg_attrdef::default_oid;
use super::pg_attribute::has_default;
use super::pg_constraint::columns;
use crate::descriptor::{ConstraintKind, Relation, RelationBody, TableBody};
use crate::snapshot::{PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT, PG_NAMESPACE, PG_REWRITE};

const AUTO: u8 = b'a';
const INTERNAL: u8 = b'i';
const NORMAL: u8 = b'n';

fn on_column(object: (Oid, Oid), table: Oid, column: i16, kind: u8) -> Vec<Datum> {
    row![object.0, object.1, 0_i32, PG_CLASS, table, i32::from(column), kind]
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in context.relations() {
        let object = (PG_CLASS, relation.oid);
        if relation.query_text().is_some() {
            view_rows(context, relation, &mut rows);
        }
        match &relation.body {
            RelationBody::Table(table) => table_rows(context, relation, table, &mut rows),
            RelationBody::View { .. } => {}
            RelationBody::Sequence(sequence) => {
                if let Some((table, column)) = sequence.owned_by {
                    let kind = if sequence.internal { INTERNAL } else { AUTO };
                    rows.push(on_column(object, table, column, kind));
                }
            }
            RelationBody::Index(index) => {
                match constraint_of(context, index.table, relation.oid) {
                    Some(constraint) => rows.push(row![
                        PG_CLASS,
                        relation.oid,
                        0_i32,
                        PG_CONSTRAINT,
                        constraint,
                        0_i32,
                        INTERNAL,
                    ]),
                    None => rows.extend(
                        index
                            .named_columns()
                            .into_iter()
                            .map(|column| on_column(object, index.table, column, AUTO)),
                    ),
                }
                continue;
            }
        }
        rows.push(row![
            PG_CLASS,
            relation.oid,
            0_i32,
            PG_NAMESPACE,
            relation.schema,
            0_i32,
            NORMAL,
        ]);
    }
    rows
}

/// The rule of a view belongs to it, and depends on what its query names.
fn view_rows(context: &SystemContext<'_>, view: &Relation, rows: &mut Vec<Vec<Datum>>) {
    let rule = (PG_REWRITE, view.oid);
    rows.push(on_column(rule, view.oid, 0, INTERNAL));
    for (table, column) in context.names.text.view_uses(&context.names, view) {
        // A column stands for its table.
        if column != 0 {
            rows.push(on_column(rule, table, column, NORMAL));
        }
    }
}

/// The constraint that an index was made for.
fn constraint_of(context: &SystemContext<'_>, table: Oid, index: Oid) -> Option<Oid> {
    let table = context.catalog().relation(table)?.as_table()?;
    let is_of = |kind: &ConstraintKind| match kind {
        ConstraintKind::PrimaryKey { index: own } | ConstraintKind::Unique { index: own } => {
            *own == index
        }
        ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => false,
    };
    table.constraints.iter().find(|constraint| is_of(&constraint.kind)).map(|found| found.oid)
}

fn table_rows(
    context: &SystemContext<'_>,
    relation: &Relation,
    table: &TableBody,
    rows: &mut Vec<Vec<Datum>>,
) {
    for column in relation.columns.iter().filter(|column| has_default(column)) {
        let object = (PG_ATTRDEF, default_oid(relation.oid, column.number));
        rows.push(on_column(object, relation.oid, column.number, AUTO));
    }
    for constraint in &table.constraints {
        let object = (PG_CONSTRAINT, constraint.oid);
        for column in columns(context, &constraint.kind) {
            rows.push(on_column(object, relation.oid, column, AUTO));
        }
        if let ConstraintKind::ForeignKey(key) = &constraint.kind {
            for column in &key.target_columns {
                rows.push(on_column(object, key.target, *column, NORMAL));
            }
        }
    }
}
