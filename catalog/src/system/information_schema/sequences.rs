//! `information_schema.sequences`: without those of identity columns, as the standard has it.

use aegis_types::{Datum, type_oid as t};

use super::super::SystemContext;
use super::{catalog_name, schema, yes};
use crate::access::Kind;

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .relations()
        .filter(|relation| context.may_see(relation.oid, Kind::Sequence.all()))
        .filter_map(|relation| {
            let it = relation.as_sequence().filter(|sequence| !sequence.internal)?;
            let bits = match it.ty {
                t::INT2 => 16_i32,
                t::INT4 => 32,
                _ => 64,
            };
            Some(row![
                catalog_name(&context.names),
                schema(context, relation.schema),
                &relation.name,
                context.names.format_type(it.ty, None),
                bits,
                2_i32,
                0_i32,
                it.start.to_string(),
                it.minimum.to_string(),
                it.maximum.to_string(),
                it.increment.to_string(),
                yes(it.cycle),
            ])
        })
        .collect()
}
