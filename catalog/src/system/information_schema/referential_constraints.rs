//! `information_schema.referential_constraints`

use aegis_types::{Datum, Oid};

use super::super::SystemContext;
use super::super::definition::action;
use super::super::pg_constraint::index;
use super::{catalog_name, constraints, schema};
use crate::descriptor::{ConstraintKind, ForeignKey};

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (table, constraint) in constraints(context) {
        let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
        let target = target_constraint(context, key);
        rows.push(row![
            catalog,
            schema(context, table.schema),
            &constraint.name,
            target.as_ref().map(|_| catalog),
            target.as_ref().map(|(target_schema, _)| schema(context, *target_schema)),
            target.as_ref().map(|(_, name)| *name),
            if key.match_full { "FULL" } else { "NONE" },
            action(key.on_update),
            action(key.on_delete),
        ]);
    }
    rows
}

/// The schema and the name of the unique constraint that a foreign key rests on; none where it
/// rests on an index without one.
fn target_constraint<'a>(context: &SystemContext<'a>, key: &ForeignKey) -> Option<(Oid, &'a str)> {
    let target = context.catalog().relation(key.target)?;
    let table = target.as_table()?;
    let is_own = |kind: &ConstraintKind| {
        matches!(kind, ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. })
            && index(kind) == key.target_index
    };
    let found = table.constraints.iter().find(|constraint| is_own(&constraint.kind))?;
    Some((target.schema, found.name.as_str()))
}
