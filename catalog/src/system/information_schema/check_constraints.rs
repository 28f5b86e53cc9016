//! `information_schema.check_constraints`: not null columns count among them.

use aegis_types::Datum;

use super::super::SystemContext;
use super::super::definition::constraint_definition;
use super::usage::is_owned;
use super::{catalog_name, constraints, domains, schema};
use crate::descriptor::ConstraintKind;

pub(in crate::system) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let catalog = catalog_name(&context.names);
    let mut rows = Vec::new();
    for (table, constraint) in constraints(context) {
        if matches!(constraint.kind, ConstraintKind::Check { .. }) {
            let clause = constraint_definition(&context.names, table, constraint, false);
            let clause = clause.strip_prefix("CHECK ").unwrap_or(&clause);
            rows.push(row![catalog, schema(context, table.schema), &constraint.name, clause]);
        }
    }
    for (domain, body) in domains::all(context).filter(|(it, _)| is_owned(context, it.owner)) {
        for check in &body.checks {
            let clause = format!("({})", context.names.domain_check(body, check, false));
            rows.push(row![catalog, schema(context, domain.schema), &check.name, clause]);
        }
    }
    for table in context.relations().filter(|relation| relation.as_table().is_some()) {
        for column in table.live_columns().filter(|column| column.not_null) {
            let name = format!("{}_{}_{}_not_null", table.schema, table.oid, column.number);
            let clause = format!("{} IS NOT NULL", column.name);
            rows.push(row![catalog, schema(context, table.schema), name, clause]);
        }
    }
    rows
}
