//! `pg_type`: PostgreSQL's own types, and the row types of relations with the arrays over them.

use aegis_types::builtin::{TypeRow, builtins};
use aegis_types::{Datum, Oid, TypeRef, type_oid as t};

use super::cell::NULL;
use super::{Names, SystemContext, all};
use crate::descriptor::{TypeBody, UserType};
use crate::snapshot::{BOOTSTRAP_ROLE, CatalogSnapshot, PG_CATALOG};

/// `array_subscript_handler` and `raw_array_subscript_handler`: what makes a type an array, or a
/// vector.
const SUBSCRIPT_ARRAY: Oid = Oid(6179);
const SUBSCRIPT_VECTOR: Oid = Oid(6180);
/// `jsonb_subscript_handler`
const SUBSCRIPT_JSONB: Oid = Oid(6098);
/// `array_typanalyze` and `range_typanalyze`
const ANALYZE_ARRAY: Oid = Oid(3816);
/// `record_in`, `record_out`, `record_recv`, `record_send`
const RECORD_IO: [Oid; 4] = [Oid(2290), Oid(2291), Oid(2402), Oid(2403)];
/// `array_in`, `array_out`, `array_recv`, `array_send`
const ARRAY_IO: [Oid; 4] = [Oid(750), Oid(751), Oid(2400), Oid(2401)];

/// `domain_in`, `domain_recv`
const DOMAIN_IN: Oid = Oid(2597);
const DOMAIN_RECV: Oid = Oid(2598);
/// `enum_in`, `enum_out`, `enum_recv`, `enum_send`
const ENUM_IO: [Oid; 4] = [Oid(3506), Oid(3507), Oid(3532), Oid(3533)];

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows: Vec<Vec<Datum>> = builtins().types.iter().map(builtin_row).collect();
    for relation in context.relations().filter(|relation| relation.row_type.is_some()) {
        let object = RowType {
            relation: relation.oid,
            name: &relation.name,
            schema: relation.schema,
            owner: relation.owner,
            oid: relation.row_type,
            array: relation.row_array_type,
        };
        object.push(&mut rows);
    }
    for ty in context.catalog().types_of(context.names.database) {
        rows.push(user_row(context, ty));
        rows.push(user_array_row(context, ty));
    }
    for relation in all() {
        let object = RowType {
            relation: relation.oid,
            name: relation.short_name(),
            schema: relation.schema,
            owner: BOOTSTRAP_ROLE,
            oid: relation.row_type,
            array: relation.row_array_type,
        };
        object.push(&mut rows);
    }
    rows
}

fn builtin_row(row: &TypeRow) -> Vec<Datum> {
    let is_array = row.category == b'A' && row.length == -1 && row.element.is_some();
    let subscript = match row.oid {
        t::JSONB => SUBSCRIPT_JSONB,
        _ if is_array && row.storage != b'p' => SUBSCRIPT_ARRAY,
        _ if row.element.is_some() => SUBSCRIPT_VECTOR,
        _ => Oid::NONE,
    };
    let analyze = if is_array && row.storage != b'p' { ANALYZE_ARRAY } else { Oid::NONE };
    row![
        row.oid,
        row.name,
        PG_CATALOG,
        BOOTSTRAP_ROLE,
        row.length,
        row.by_value,
        row.kind,
        row.category,
        row.preferred,
        true,
        row.delimiter,
        Oid::NONE,
        subscript,
        row.element,
        row.array,
        row.io[0],
        row.io[1],
        row.io[2],
        row.io[3],
        row.io[4],
        row.io[5],
        analyze,
        row.align,
        row.storage,
        false,
        Oid::NONE,
        -1_i32,
        0_i32,
        row.collation,
        NULL,
        NULL,
        NULL,
    ]
}

/// What a user's type is like in memory, in PostgreSQL.
pub(super) struct Form {
    pub(super) length: i16,
    pub(super) by_value: bool,
    pub(super) align: u8,
    pub(super) storage: u8,
}

/// The form of a user's type.
pub(super) fn user_form(catalog: &CatalogSnapshot, ty: &UserType) -> Form {
    match &ty.body {
        TypeBody::Enum(_) => Form { length: 4, by_value: true, align: b'i', storage: b'p' },
        TypeBody::Composite(_) => Form { length: -1, by_value: false, align: b'd', storage: b'x' },
        TypeBody::Domain(body) => form_of(catalog, catalog.base_type(body.base).oid),
    }
}

/// The form of any type that is no domain.
fn form_of(catalog: &CatalogSnapshot, oid: Oid) -> Form {
    if let Some(row) = builtins().type_row(oid) {
        return Form {
            length: row.length,
            by_value: row.by_value,
            align: row.align,
            storage: row.storage,
        };
    }
    match catalog.user_type(oid) {
        Some(ty) => user_form(catalog, ty),
        None => Form { length: -1, by_value: false, align: b'd', storage: b'x' },
    }
}

/// What the kinds of users' types differ in.
struct Kind {
    letter: u8,
    category: u8,
    io: [Oid; 4],
    relation: Oid,
    base: TypeRef,
    not_null: bool,
    collation: Oid,
    /// As it is stored, and as the session sees it.
    default: [Datum; 2],
}

fn kind(context: &SystemContext<'_>, ty: &UserType) -> Kind {
    let none = TypeRef::plain(Oid::NONE);
    let plain = |letter, category, io| Kind {
        letter,
        category,
        io,
        relation: Oid::NONE,
        base: none,
        not_null: false,
        collation: Oid::NONE,
        default: [NULL, NULL],
    };
    match &ty.body {
        TypeBody::Enum(_) => plain(b'e', b'E', ENUM_IO),
        TypeBody::Composite(body) => {
            Kind { relation: body.relation, ..plain(b'c', b'C', RECORD_IO) }
        }
        TypeBody::Domain(body) => {
            let row = builtins().type_row(context.catalog().base_type(body.base).oid);
            let io = row.map_or(ENUM_IO, |row| [DOMAIN_IN, row.io[1], DOMAIN_RECV, row.io[3]]);
            let stored = body.default.as_deref();
            let shown = stored.map(|text| default_text(&context.names, text));
            Kind {
                base: body.base,
                not_null: body.not_null,
                collation: context.catalog().type_collation(ty.oid),
                default: [stored.map_or(NULL, Datum::text), shown.map_or(NULL, Datum::text)],
                ..plain(b'd', row.map_or(b'U', |row| row.category), io)
            }
        }
    }
}

/// A default without relation, as the session sees it.
fn default_text(names: &Names<'_>, text: &str) -> String {
    names.text.expression(names, text, None, false)
}

fn user_row(context: &SystemContext<'_>, ty: &UserType) -> Vec<Datum> {
    let form = user_form(context.catalog(), ty);
    let kind = kind(context, ty);
    let [default_bin, default] = kind.default;
    row![
        ty.oid,
        &ty.name,
        ty.schema,
        ty.owner,
        form.length,
        form.by_value,
        kind.letter,
        kind.category,
        false,
        true,
        b',',
        kind.relation,
        Oid::NONE,
        Oid::NONE,
        ty.array,
        kind.io[0],
        kind.io[1],
        kind.io[2],
        kind.io[3],
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        form.align,
        form.storage,
        kind.not_null,
        kind.base.oid,
        if kind.base.oid.is_some() { kind.base.typmod } else { -1_i32 },
        0_i32,
        kind.collation,
        default_bin,
        default,
        NULL,
    ]
}

fn user_array_row(context: &SystemContext<'_>, ty: &UserType) -> Vec<Datum> {
    let form = user_form(context.catalog(), ty);
    row![
        ty.array,
        &ty.array_name,
        ty.schema,
        ty.owner,
        -1_i16,
        false,
        b'b',
        b'A',
        false,
        true,
        b',',
        Oid::NONE,
        SUBSCRIPT_ARRAY,
        ty.oid,
        Oid::NONE,
        ARRAY_IO[0],
        ARRAY_IO[1],
        ARRAY_IO[2],
        ARRAY_IO[3],
        Oid::NONE,
        Oid::NONE,
        ANALYZE_ARRAY,
        if form.align == b'd' { b'd' } else { b'i' },
        b'x',
        false,
        Oid::NONE,
        -1_i32,
        0_i32,
        context.catalog().type_collation(ty.oid),
        NULL,
        NULL,
        NULL,
    ]
}

/// The row type of a relation.
struct RowType<'a> {
    relation: Oid,
    name: &'a str,
    schema: Oid,
    owner: Oid,
    oid: Oid,
    array: Oid,
}

impl RowType<'_> {
    fn push(&self, rows: &mut Vec<Vec<Datum>>) {
        rows.push(self.row(false));
        if self.array.is_some() {
            rows.push(self.row(true));
        }
    }

    fn row(&self, array: bool) -> Vec<Datum> {
        let name = if array { format!("_{}", self.name) } else { self.name.to_owned() };
        let io = if array { ARRAY_IO } else { RECORD_IO };
        let unless_array = |oid: Oid| if array { Oid::NONE } else { oid };
        let if_array = |oid: Oid| if array { oid } else { Oid::NONE };
        row![
            if array { self.array } else { self.oid },
            name,
            self.schema,
            self.owner,
            -1_i16,
            false,
            if array { b'b' } else { b'c' },
            if array { b'A' } else { b'C' },
            false,
            true,
            b',',
            unless_array(self.relation),
            if_array(SUBSCRIPT_ARRAY),
            if_array(self.oid),
            unless_array(self.array),
            io[0],
            io[1],
            io[2],
            io[3],
            Oid::NONE,
            Oid::NONE,
            if_array(ANALYZE_ARRAY),
            b'd',
            b'x',
            false,
            Oid::NONE,
            -1_i32,
            0_i32,
            Oid::NONE,
            NULL,
            NULL,
            NULL,
        ]
    }
}
