//! `information_schema.columns`

use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid, TypeRef, type_oid as t};

use super::super::cell::NULL;
use super::super::definition::default_text;
use super::super::{Names, SystemContext, relation_by_oid};
use super::{TableLike, catalog_name, collation, schema, tables_and_views, yes};
use crate::access::Kind;
use crate::descriptor::{Column, Identity, SequenceBody, TypeBody};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for table in tables_and_views(context) {
        let updatable = if table.is_view { table.updatable_columns(context) } else { None };
        for (number, name, ty) in context.names.columns(table.oid) {
            if !may_see(context, table.oid, number) {
                continue;
            }
            rows.push(row(context, &table, number, name, ty, updatable.as_ref()));
        }
    }
    rows
}

/// Whether the current role owns the table or holds any privilege on the column.
pub(super) fn may_see(context: &SystemContext<'_>, table: Oid, number: i16) -> bool {
    let role = context.server.role();
    let access = context.catalog().access(context.names.database);
    let owner = access.owner(Kind::Table, table);
    let on = |kind, column| {
        !(access.held(role, kind, table, column).privileges & Kind::Column.all()).is_empty()
    };
    owner.is_some_and(|owner| access.has_privileges_of(role, owner))
        || on(Kind::Table, 0)
        || on(Kind::Column, i32::from(number))
}

/// Length, bytes, precision, radix, scale, precision of time: what the standard tells of a type.
pub(super) struct Measures {
    pub(super) length: Option<i32>,
    pub(super) bytes: Option<i32>,
    pub(super) precision: Option<i32>,
    pub(super) radix: Option<i32>,
    pub(super) scale: Option<i32>,
    pub(super) time_precision: Option<i32>,
}

/// Bytes of the longest text (1 GB), which is what a text without a length may have.
const TEXT_BYTES_MAX: i32 = 1 << 30;

pub(super) fn measures(ty: TypeRef) -> Measures {
    let modifier = (ty.typmod >= 0).then_some(ty.typmod);
    let binary = match ty.oid {
        t::INT2 => Some((16, Some(0))),
        t::INT4 => Some((32, Some(0))),
        t::INT8 => Some((64, Some(0))),
        t::FLOAT4 => Some((24, None)),
        t::FLOAT8 => Some((53, None)),
        _ => None,
    };
    let numeric = (ty.oid == t::NUMERIC).then(|| modifier.map(|packed| packed - 4)).flatten();
    let length = match ty.oid {
        t::VARCHAR | t::BPCHAR => modifier.map(|modifier| modifier - 4),
        t::BIT | t::VARBIT => modifier,
        _ => None,
    };
    let bytes = match ty.oid {
        t::VARCHAR | t::BPCHAR => {
            Some(length.map_or(TEXT_BYTES_MAX, |length| length.saturating_mul(4)))
        }
        t::TEXT => Some(TEXT_BYTES_MAX),
        _ => None,
    };
    let time_precision = match ty.oid {
        t::DATE => Some(0),
        t::TIME | t::TIMETZ | t::TIMESTAMP | t::TIMESTAMPTZ => Some(modifier.unwrap_or(6)),
        t::INTERVAL => {
            Some(modifier.map(|modifier| modifier & 0xffff).filter(|p| *p != 0xffff).unwrap_or(6))
        }
        _ => None,
    };
    Measures {
        length,
        bytes,
        precision: binary.map(|b| b.0).or(numeric.map(|packed| (packed >> 16) & 0xffff)),
        radix: match ty.oid {
            t::NUMERIC => Some(10),
            _ => binary.map(|_| 2),
        },
        scale: binary
            .map_or_else(|| numeric.map(|packed| ((packed & 0x7ff) ^ 0x400) - 0x400), |b| b.1),
        time_precision,
    }
}

/// `data_type`: what the standard calls a type.
pub(super) fn data_type(names: &Names<'_>, ty: Oid) -> String {
    let is_array = aegis_types::io::element_type(ty).is_some() || names.element_of(ty).is_some();
    match builtins().type_row(ty) {
        _ if is_array => "ARRAY".to_owned(),
        Some(_) => names.format_type(ty, None),
        None => "USER-DEFINED".to_owned(),
    }
}

/// The sequence of an identity column.
fn identity_sequence<'a>(
    context: &SystemContext<'a>,
    table: Oid,
    number: i16,
) -> Option<&'a SequenceBody> {
    context
        .relations()
        .filter_map(|relation| relation.as_sequence())
        .find(|sequence| sequence.internal && sequence.owned_by == Some((table, number)))
}

fn row(
    context: &SystemContext<'_>,
    table: &TableLike<'_>,
    number: i16,
    name: &str,
    ty: TypeRef,
    updatable: Option<&Vec<bool>>,
) -> Vec<Datum> {
    let names = &context.names;
    let catalog = catalog_name(names);
    let column: Option<&Column> = table.stored.and_then(|relation| relation.column(number));
    let not_null = column.map_or_else(
        || {
            let at = usize::try_from(number - 1).unwrap_or_default();
            relation_by_oid(table.oid).is_some_and(|found| found.columns[at].not_null)
        },
        |column| column.not_null,
    );
    let identity = column.and_then(|column| column.identity);
    let default = column
        .filter(|column| column.identity.is_none() && !column.generated)
        .and_then(|column| column.default.as_deref())
        .map(|text| default_text(names, text));
    let generated = column
        .filter(|column| column.generated)
        .and_then(|column| column.default.as_deref())
        .map(|text| names.text.expression(names, text, names.catalog.relation(table.oid), false));
    let at = usize::try_from(number - 1).unwrap_or_default();
    let is_updatable =
        table.is_view && updatable.and_then(|columns| columns.get(at)).copied().unwrap_or_default();
    let collation = collation(match (column, relation_by_oid(table.oid)) {
        (Some(Column { collation: Some(declared), .. }), _) => declared.oid(),
        (None, Some(computed)) => computed.columns[at].collation,
        _ => names.catalog.type_collation(ty.oid),
    });
    // The standard shows what is beneath a domain, and the domain beside it.
    let domain = names.catalog.user_type(ty.oid);
    let domain = domain.filter(|ty| matches!(ty.body, TypeBody::Domain(_)));
    let ty = names.catalog.base_type(ty);
    let data_type = data_type(names, ty.oid);
    let measures = measures(ty);
    let interval_fields = (ty.oid == t::INTERVAL)
        .then(|| names.type_name(TypeRef::with_typmod(t::INTERVAL, ty.typmod | 0xffff)))
        .filter(|_| ty.typmod >= 0)
        .and_then(|text| text.strip_prefix("interval ").map(str::to_uppercase));
    let udt = names.type_parts(ty.oid);
    let sequence = identity.and_then(|_| identity_sequence(context, table.oid, number));
    let mut row = row![
        catalog,
        schema(context, table.schema),
        table.name,
        name,
        i32::from(number),
        default,
        yes(!not_null),
        data_type,
        measures.length,
        measures.bytes,
        measures.precision,
        measures.radix,
        measures.scale,
        measures.time_precision,
        interval_fields,
        NULL,
        NULL,
        NULL,
        NULL,
        collation.map(|_| catalog),
        collation.map(|(schema, _)| schema),
        collation.map(|(_, name)| name),
        domain.map(|_| catalog),
        domain.map(|ty| schema(context, ty.schema)),
        domain.map(|ty| &ty.name),
        catalog,
        udt.as_ref().map(|(owner, _)| schema(context, *owner)),
        udt.map(|(_, name)| name),
        NULL,
        NULL,
        NULL,
        NULL,
        number.to_string(),
        "NO",
        yes(identity.is_some()),
    ];
    row.extend(row![
        identity.map(|identity| match identity {
            Identity::Always => "ALWAYS",
            Identity::ByDefault => "BY DEFAULT",
        }),
        sequence.map(|sequence| sequence.start.to_string()),
        sequence.map(|sequence| sequence.increment.to_string()),
        sequence.map(|sequence| sequence.maximum.to_string()),
        sequence.map(|sequence| sequence.minimum.to_string()),
        yes(sequence.is_some_and(|sequence| sequence.cycle)),
        if generated.is_some() { "ALWAYS" } else { "NEVER" },
        generated,
        yes(!table.is_view || is_updatable),
    ]);
    row
}
