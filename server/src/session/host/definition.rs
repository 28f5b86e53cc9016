//! Definitions of objects as SQL: `format_type`, `pg_get_indexdef` and their family.

use aegis_catalog::snapshot::{
    PG_ATTRDEF, PG_AUTHID, PG_CLASS, PG_CONSTRAINT, PG_DATABASE, PG_EXTENSION, PG_NAMESPACE,
    PG_PROC, PG_REWRITE, PG_TYPE,
};
use aegis_catalog::system::{default_oid, definition, function};
use aegis_catalog::{Relation, RelationKind, TypeBody};
use aegis_types::builtin::FunctionRow;
use aegis_types::functions::quote_ident;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable, registered, text_or_null};

pub(super) static FUNCTIONS: HostTable = &[
    ("format_type", |call| {
        let typmod = match call.arg(1) {
            Datum::Int4(typmod) => Some(*typmod),
            _ => None,
        };
        Ok(match call.arg(0) {
            Datum::Oid(oid) => Datum::text(call.names().format_type(*oid, typmod)),
            _ => Datum::Null,
        })
    }),
    ("oidvectortypes", |call| {
        let Datum::Array(types) = call.arg(0) else { return Ok(Datum::Null) };
        let names = call.names();
        let types = types.elements.iter().map(|ty| match ty {
            Datum::Oid(oid) => names.format_type(*oid, None),
            _ => "-".to_owned(),
        });
        Ok(Datum::text(types.collect::<Vec<_>>().join(", ")))
    }),
    ("pg_get_expr", |call| {
        let names = call.names();
        let relation = names.catalog.relation(call.oid(1));
        Ok(Datum::text(names.text.expression(&names, call.text(0), relation, call.boolean(2))))
    }),
    ("pg_get_indexdef", |call| {
        let names = call.names();
        let Some(index) = call.seen.catalog.relation(call.oid(0)) else {
            return Ok(Datum::Null);
        };
        Ok(text_or_null(match call.arg(1) {
            Datum::Int4(column) if *column != 0 && index.as_index().is_some() => {
                let column = definition::index_column(&names, index, *column, call.boolean(2));
                Some(column.unwrap_or_default())
            }
            _ => definition::index_definition(&names, index, call.boolean(2)),
        }))
    }),
    ("pg_get_constraintdef", constraint),
    ("pg_get_viewdef", |call| {
        let names = call.names();
        let oid = match call.arg(0) {
            Datum::Text(name) => registered::lookup(&names, t::REGCLASS, name)?,
            _ => call.oid(0),
        };
        let view = call.seen.catalog.relation(oid);
        let (pretty, wrap) = match call.arg(1) {
            Datum::Int4(column) => (true, *column),
            _ => (call.boolean(1), 0),
        };
        Ok(text_or_null(
            view.and_then(|view| definition::view_definition(&names, view, pretty, wrap)),
        ))
    }),
    ("pg_get_ruledef", |call| {
        // A view's rule has the view's own OID.
        let names = call.names();
        let rule = call.seen.catalog.relation(call.oid(0)).and_then(|view| {
            let query = definition::view_definition(&names, view, call.boolean(1), -1)?;
            let name = names.qualified_relation_name(view.oid)?;
            Some(format!("CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {name} DO INSTEAD {query}"))
        });
        Ok(text_or_null(rule))
    }),
    // There are no objects of these kinds: no OID names one.
    ("pg_get_triggerdef", |_| Ok(Datum::Null)),
    ("pg_get_partkeydef", |_| Ok(Datum::Null)),
    ("pg_get_statisticsobjdef", |_| Ok(Datum::Null)),
    ("pg_get_statisticsobjdef_columns", |_| Ok(Datum::Null)),
    ("pg_get_userbyid", |call| {
        let oid = call.oid(0);
        Ok(Datum::text(match call.seen.catalog.role(oid) {
            Some(role) => role.name.clone(),
            None => format!("unknown (OID={oid})"),
        }))
    }),
    ("pg_get_serial_sequence", serial_sequence),
    ("pg_get_functiondef", |call| {
        let names = call.names();
        match call.seen.catalog.user_function(call.oid(0)) {
            Some(function) => Ok(Datum::text(function::definition(&names, function))),
            None if call.seen.catalog.function(call.oid(0)).is_some() => {
                Err(SqlError::unsupported("the definition of a built-in function"))
            }
            None => Ok(Datum::Null),
        }
    }),
    ("pg_get_function_arguments", |call| Ok(of_function(call, function::arguments))),
    ("pg_get_function_identity_arguments", |call| {
        Ok(of_function(call, function::identity_arguments))
    }),
    ("pg_get_function_result", |call| Ok(of_function(call, function::result))),
    ("pg_get_function_sqlbody", |call| {
        let names = call.names();
        let function = call.seen.catalog.user_function(call.oid(0));
        Ok(text_or_null(function.and_then(|it| names.text.function_body(&names, it))))
    }),
    ("pg_describe_object", describe),
    // Bits of UPDATE (4), INSERT (8) and DELETE (16).
    ("pg_relation_is_updatable", |call| {
        Ok(Datum::Int4(match updatable_columns(call) {
            Some(columns) if columns.contains(&true) => 28,
            Some(_) => 16,
            None => 0,
        }))
    }),
    ("pg_column_is_updatable", |call| {
        let at = match call.arg(1) {
            Datum::Int2(number) => usize::try_from(*number).ok().and_then(|at| at.checked_sub(1)),
            _ => None,
        };
        let columns = updatable_columns(call).unwrap_or_default();
        Ok(Datum::Bool(at.and_then(|at| columns.get(at)).copied().unwrap_or_default()))
    }),
    ("pg_relation_is_publishable", |call| {
        let relation = call.seen.catalog.relation(call.oid(0));
        Ok(Datum::Bool(relation.is_some_and(|found| found.kind() == RelationKind::Table)))
    }),
];

/// For each column of a table or a view, whether it can be assigned to.
fn updatable_columns(call: &Call<'_>) -> Option<Vec<bool>> {
    let names = call.names();
    let relation = call.seen.catalog.relation(call.oid(0))?;
    match relation.kind() {
        RelationKind::Table => Some(relation.columns.iter().map(|c| !c.dropped).collect()),
        RelationKind::View => names.text.updatable_columns(&names, relation),
        _ => None,
    }
}

fn of_function(
    call: &Call<'_>,
    print: fn(&aegis_catalog::system::Names<'_>, &FunctionRow) -> String,
) -> Datum {
    text_or_null(call.seen.catalog.function(call.oid(0)).map(|row| print(&call.names(), &row)))
}

fn constraint(call: &Call<'_>) -> SqlResult<Datum> {
    let names = call.names();
    let oid = call.oid(0);
    for relation in call.seen.catalog.relations_of(names.database) {
        let constraints = relation.as_table().map_or(&[][..], |table| &table.constraints);
        if let Some(found) = constraints.iter().find(|constraint| constraint.oid == oid) {
            let pretty = call.boolean(1);
            let text = definition::constraint_definition(&names, relation, found, pretty);
            return Ok(Datum::text(text));
        }
    }
    for ty in call.seen.catalog.types_of(names.database) {
        let TypeBody::Domain(body) = &ty.body else { continue };
        if let Some(check) = body.checks.iter().find(|check| check.oid == oid) {
            let shown = names.domain_check(body, check, call.boolean(1));
            let suffix = if check.validated { "" } else { " NOT VALID" };
            return Ok(Datum::text(format!("CHECK ({shown}){suffix}")));
        }
    }
    Ok(Datum::Null)
}

/// The sequence that a column owns, always qualified.
fn serial_sequence(call: &Call<'_>) -> SqlResult<Datum> {
    let names = call.names();
    let table = registered::lookup(&names, t::REGCLASS, call.text(0))?;
    let column = call.text(1);
    let found = names.columns(table).into_iter().find(|(_, name, _)| *name == column);
    let Some((number, ..)) = found else {
        let table = names.relation_parts(table).map_or("", |(_, name)| name);
        return Err(SqlError::new(
            SqlState::UndefinedColumn,
            format!("column \"{column}\" of relation \"{table}\" does not exist"),
        ));
    };
    let owned = call.seen.catalog.relations_of(names.database).find(|relation| {
        relation.as_sequence().is_some_and(|it| it.owned_by == Some((table, number)))
    });
    Ok(text_or_null(owned.and_then(|sequence| names.qualified_relation_name(sequence.oid))))
}

const fn kind_word(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "table",
        RelationKind::View => "view",
        RelationKind::Sequence => "sequence",
        RelationKind::Index => "index",
        RelationKind::MaterializedView => "materialized view",
    }
}

/// A composite type, or an attribute of it, by its number in `pg_class`.
fn composite_of(call: &Call<'_>, object: Oid, column: i16) -> Option<String> {
    let names = call.names();
    call.seen.catalog.user_types_of(names.database).find_map(|ty| {
        let TypeBody::Composite(body) = &ty.body else { return None };
        if body.relation != object {
            return None;
        }
        let whole = format!("composite type {}", names.format_type(ty.oid, None));
        let field = body.attributes.iter().find(|field| field.number == column);
        Some(match field {
            Some(field) => format!("column {} of {whole}", quote_ident(&field.name)),
            None => whole,
        })
    })
}

/// A computed relation, or a column of it.
fn system_class(call: &Call<'_>, object: Oid, column: i16) -> Option<String> {
    let relation = aegis_catalog::system::relation_by_oid(object)?;
    let word = if relation.kind == b'v' { "view" } else { "table" };
    let whole = format!("{word} {}", call.names().relation_name(object)?);
    let at = usize::try_from(column).ok().and_then(|number| number.checked_sub(1));
    Some(match at.and_then(|at| relation.columns.get(at)) {
        Some(column) => format!("column {} of {whole}", quote_ident(column.name)),
        None => whole,
    })
}

fn domain_check_of(call: &Call<'_>, object: Oid) -> Option<String> {
    call.seen.catalog.types_of(call.names().database).find_map(|ty| {
        let TypeBody::Domain(body) = &ty.body else { return None };
        let check = body.checks.iter().find(|check| check.oid == object)?;
        Some(format!("constraint {}", quote_ident(&check.name)))
    })
}

fn describe(call: &Call<'_>) -> SqlResult<Datum> {
    let names = call.names();
    let (class, object) = (call.oid(0), call.oid(1));
    let column = match call.arg(2) {
        Datum::Int4(number) => i16::try_from(*number).unwrap_or_default(),
        _ => 0,
    };
    let catalog = &call.seen.catalog;
    let here = |relation: &&std::sync::Arc<Relation>| relation.database == names.database;
    let tables = || catalog.relations_of(names.database).filter(|it| it.as_table().is_some());
    let text = match class {
        Oid::NONE => None,
        PG_CLASS => match catalog.relation(object).filter(here) {
            Some(relation) => {
                let word = kind_word(relation.kind());
                names.relation_name(object).map(|name| {
                    let whole = format!("{word} {name}");
                    match relation.column(column) {
                        Some(column) => {
                            format!("column {} of {whole}", quote_ident(&column.name))
                        }
                        None => whole,
                    }
                })
            }
            None => {
                composite_of(call, object, column).or_else(|| system_class(call, object, column))
            }
        },
        PG_NAMESPACE => {
            catalog.schema_name(object).map(|name| format!("schema {}", quote_ident(name)))
        }
        PG_AUTHID => catalog.role(object).map(|role| format!("role {}", quote_ident(&role.name))),
        PG_DATABASE => {
            catalog.database(object).map(|it| format!("database {}", quote_ident(&it.name)))
        }
        PG_TYPE => {
            names.type_parts(object).map(|_| format!("type {}", names.format_type(object, None)))
        }
        PG_PROC => {
            let row = catalog.function(object);
            row.map(|row| format!("function {}", function::signature(&names, &row)))
        }
        PG_REWRITE => catalog.relation(object).filter(here).and_then(|view| {
            view.query_text()?;
            let name = names.relation_name(object)?;
            Some(format!("rule _RETURN on {} {name}", kind_word(view.kind())))
        }),
        PG_ATTRDEF => tables().find_map(|table| {
            let column = table.live_columns().find(|column| {
                column.default.is_some() && default_oid(table.oid, column.number) == object
            })?;
            let name = names.relation_name(table.oid)?;
            let column = quote_ident(&column.name);
            Some(format!("default value for column {column} of table {name}"))
        }),
        PG_CONSTRAINT => {
            let of_table = tables().find_map(|table| {
                let constraints = &table.as_table()?.constraints;
                let found = constraints.iter().find(|constraint| constraint.oid == object)?;
                let name = names.relation_name(table.oid)?;
                Some(format!("constraint {} on table {name}", quote_ident(&found.name)))
            });
            of_table.or_else(|| domain_check_of(call, object))
        }
        PG_EXTENSION => {
            catalog.extension(object).map(|it| format!("extension {}", quote_ident(&it.name)))
        }
        _ => return Err(SqlError::unsupported("the description of an object of this kind")),
    };
    Ok(text_or_null(text))
}
