//! Comments: `obj_description` and its family.

use aegis_catalog::snapshot::{PG_AUTHID, PG_CLASS, PG_DATABASE};
use aegis_catalog::system;
use aegis_types::{Datum, Oid, SqlResult};

use super::{Call, HostTable};

pub(super) static FUNCTIONS: HostTable = &[
    ("obj_description", object),
    ("col_description", |call| {
        let column = match call.arg(1) {
            Datum::Int4(number) => *number,
            _ => 0,
        };
        // The comment of column 0 would be the table's own, which this function does not give.
        if column == 0 {
            return Ok(Datum::Null);
        }
        Ok(comment(call, PG_CLASS, call.oid(0), column))
    }),
    ("shobj_description", |call| match class(call.text(1)) {
        Some(class @ (PG_DATABASE | PG_AUTHID)) => Ok(comment(call, class, call.oid(0), 0)),
        _ => Ok(Datum::Null),
    }),
];

fn class(name: &str) -> Option<Oid> {
    system::relation(&format!("pg_catalog.{name}")).map(|relation| relation.oid)
}

fn comment(call: &Call<'_>, class: Oid, object: Oid, column: i32) -> Datum {
    let found = call.seen.catalog.comment(class, object, column);
    let found = found.map(|comment| comment.text.as_str());
    found.or_else(|| system::built_in_comment(class, object)).map_or(Datum::Null, Datum::text)
}

/// With a catalog's name, or over all of them.
fn object(call: &Call<'_>) -> SqlResult<Datum> {
    if call.args.len() > 1 {
        let found = class(call.text(1)).map(|class| comment(call, class, call.oid(0), 0));
        return Ok(found.unwrap_or(Datum::Null));
    }
    let object = call.oid(0);
    let found = call
        .seen
        .catalog
        .comments()
        .find(|comment| comment.object == object && comment.column == 0);
    Ok(found.map_or(Datum::Null, |comment| Datum::text(comment.text.as_str())))
}
