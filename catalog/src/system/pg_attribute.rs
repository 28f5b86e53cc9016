//! `pg_attribute`: the columns of every relation, indexes and sequences included, and the system
//! columns, whose names no other column of a table can have.

use aegis_types::builtin::{TypeRow, builtins};
use aegis_types::{Datum, Oid, TypeRef, type_oid as t};

use super::cell::{NULL, count};
use super::pg_type::user_form;
use super::{SystemContext, all};
use crate::descriptor::{Column, Identity, Relation, RelationBody, TypeBody};
use crate::snapshot::CatalogSnapshot;

/// The columns that a `SELECT` from a sequence shows, with their types.
pub const SEQUENCE_COLUMNS: [(&str, Oid); 3] =
    [("last_value", t::INT8), ("log_cnt", t::INT8), ("is_called", t::BOOL)];

/// The system columns: number, name, type.
const SYSTEM_COLUMNS: [(i16, &str, Oid); 6] = [
    (-1, "ctid", t::TID),
    (-2, "xmin", t::XID),
    (-3, "cmin", t::CID),
    (-4, "xmax", t::XID),
    (-5, "cmax", t::CID),
    (-6, "tableoid", t::OID),
];

/// The rows of a relation's system columns.
fn system_columns(
    catalog: &CatalogSnapshot,
    relation: Oid,
) -> impl Iterator<Item = Vec<Datum>> + use<'_> {
    SYSTEM_COLUMNS.into_iter().map(move |(number, name, ty)| {
        let attribute = Attribute::plain(relation, number, name, TypeRef::plain(ty));
        Attribute { not_null: true, statistics: 0, ..attribute }.row(catalog)
    })
}

/// One row, but for what every row has alike.
struct Attribute<'a> {
    relation: Oid,
    number: i16,
    name: &'a str,
    ty: TypeRef,
    dimensions: i32,
    not_null: bool,
    has_default: bool,
    has_missing: bool,
    identity: u8,
    generated: bool,
    statistics: i32,
    storage: Option<u8>,
    dropped: bool,
    collation: Option<Oid>,
}

impl Attribute<'_> {
    fn plain(relation: Oid, number: i16, name: &str, ty: TypeRef) -> Attribute<'_> {
        Attribute {
            relation,
            number,
            name,
            ty,
            dimensions: i32::from(aegis_types::io::element_type(ty.oid).is_some()),
            not_null: false,
            has_default: false,
            has_missing: false,
            identity: 0,
            generated: false,
            statistics: -1,
            storage: None,
            dropped: false,
            collation: None,
        }
    }

    fn row(&self, catalog: &CatalogSnapshot) -> Vec<Datum> {
        let form = builtins().type_row(self.ty.oid);
        let user = catalog.user_type(self.ty.oid).map(|ty| user_form(catalog, ty));
        let is_array = self.dimensions > 0 || catalog.element_of(self.ty.oid).is_some();
        let user = user.as_ref();
        let element = catalog.element_of(self.ty.oid).and_then(|oid| catalog.user_type(oid));
        let array_align = match element.map(|ty| user_form(catalog, ty).align) {
            Some(b'd') | None => b'd',
            Some(_) => b'i',
        };
        // A row type's values are varlenas, as `pg_type` has them.
        let form_of = |read: fn(&TypeRow) -> u8, row_type: u8| form.map_or(row_type, read);
        row![
            self.relation,
            self.name,
            if self.dropped { Oid::NONE } else { self.ty.oid },
            if self.dropped { 0 } else { self.statistics },
            form.map(|row| row.length).or(user.map(|user| user.length)).unwrap_or(-1),
            self.number,
            self.dimensions.max(i32::from(is_array)),
            -1_i32,
            self.ty.typmod,
            form.map(|row| row.by_value).or(user.map(|user| user.by_value)).unwrap_or(false),
            form_of(|row| row.align, user.map_or(array_align, |user| user.align)),
            self.storage.unwrap_or_else(|| {
                form_of(|row| row.storage, user.map_or(b'x', |user| user.storage))
            }),
            0_u8,
            self.not_null,
            self.has_default,
            self.has_missing,
            self.identity,
            if self.generated { b's' } else { 0 },
            self.dropped,
            true,
            0_i32,
            match self.collation {
                _ if self.dropped => Oid::NONE,
                Some(collation) => collation,
                None => catalog.type_collation(self.ty.oid),
            },
            NULL,
            NULL,
            NULL,
            NULL,
        ]
    }
}

/// `attidentity`
pub(super) const fn identity_letter(identity: Option<Identity>) -> u8 {
    match identity {
        Some(Identity::Always) => b'a',
        Some(Identity::ByDefault) => b'd',
        None => 0,
    }
}

/// Whether a column has a row in `pg_attrdef`.
pub(super) fn has_default(column: &Column) -> bool {
    column.default.is_some() && column.identity.is_none() && !column.dropped
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in context.relations() {
        match &relation.body {
            RelationBody::Index(index) => {
                let Some(table) = context.catalog().relation(index.table) else { continue };
                let included = index.include.iter().filter_map(|column| table.column(*column));
                let types = index.key_types(table).into_iter().chain(included.map(|c| c.ty));
                for (at, (name, ty)) in index.column_names(table).iter().zip(types).enumerate() {
                    let number = count(at + 1);
                    rows.push(
                        Attribute::plain(relation.oid, number, name, ty).row(context.catalog()),
                    );
                }
            }
            RelationBody::Sequence(_) => {
                for (number, (name, ty)) in (1_i16..).zip(SEQUENCE_COLUMNS) {
                    let attribute =
                        Attribute::plain(relation.oid, number, name, TypeRef::plain(ty));
                    rows.push(Attribute { not_null: true, ..attribute }.row(context.catalog()));
                }
                rows.extend(system_columns(context.catalog(), relation.oid));
            }
            RelationBody::Table(_) => {
                columns(context, relation, &mut rows);
                rows.extend(system_columns(context.catalog(), relation.oid));
            }
            RelationBody::View { .. } => columns(context, relation, &mut rows),
        }
    }
    for ty in context.catalog().user_types_of(context.names.database) {
        let TypeBody::Composite(body) = &ty.body else { continue };
        for field in &body.attributes {
            let attribute = Attribute::plain(body.relation, field.number, &field.name, field.ty);
            rows.push(attribute.row(context.catalog()));
        }
    }
    for relation in all() {
        for (number, column) in (1_i16..).zip(&relation.columns) {
            let attribute = Attribute {
                dimensions: column.dimensions,
                not_null: column.not_null,
                collation: Some(column.collation),
                ..Attribute::plain(relation.oid, number, column.name, column.ty)
            };
            rows.push(attribute.row(context.catalog()));
        }
        if relation.kind == b'r' {
            rows.extend(system_columns(context.catalog(), relation.oid));
        }
    }
    rows
}

fn columns(context: &SystemContext<'_>, relation: &Relation, rows: &mut Vec<Vec<Datum>>) {
    for column in &relation.columns {
        let attribute = Attribute {
            not_null: column.not_null && !column.dropped,
            collation: column.collation.map(aegis_types::Collation::oid),
            has_default: has_default(column),
            has_missing: column.missing.is_some() && !column.dropped,
            identity: identity_letter(column.identity),
            generated: column.generated,
            statistics: column.statistics.unwrap_or(-1),
            storage: column.storage,
            dropped: column.dropped,
            ..Attribute::plain(relation.oid, column.number, &column.name, column.ty)
        };
        rows.push(attribute.row(context.catalog()));
    }
}
