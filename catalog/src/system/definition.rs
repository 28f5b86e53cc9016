//! Definitions of indexes, constraints and views as SQL (`pg_get_indexdef` and its family), in
//! PostgreSQL's layout.

use aegis_types::Oid;
use aegis_types::functions::{quote_ident, quote_literal};

use super::Names;
use crate::descriptor::{
    Constraint, ConstraintKind, Deferral, ForeignKey, IndexKey, ReferentialAction, Relation,
};

/// `CREATE INDEX`. With `pretty` the table is qualified only where it is not visible.
#[must_use]
pub fn index_definition(names: &Names<'_>, index: &Relation, pretty: bool) -> Option<String> {
    let body = index.as_index()?;
    let table = names.catalog.relation(body.table)?;
    let table_name = if pretty {
        names.relation_name(body.table)?
    } else {
        names.qualified_relation_name(body.table)?
    };
    let keys: Vec<String> = body
        .keys
        .iter()
        .map(|key| {
            let mut shown = index_key(names, table, key, pretty);
            if let Some(collation) = &key.collation {
                shown.push_str(&format!(" COLLATE {}", quote_ident(collation)));
            }
            if let Some(class) = &key.class {
                shown.push_str(&format!(" {}", quote_ident(class)));
            }
            shown.push_str(index_order(key));
            shown
        })
        .collect();
    let mut text = format!(
        "CREATE {}INDEX {} ON {table_name} USING {} ({})",
        if body.unique { "UNIQUE " } else { "" },
        quote_ident(&index.name),
        quote_ident(&body.method),
        keys.join(", ")
    );
    if !body.include.is_empty() {
        text.push_str(&format!(" INCLUDE ({})", names.column_list(table, &body.include)));
    }
    if body.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if !index.options.is_empty() {
        text.push_str(&format!(" WITH ({})", storage_options(&index.options)));
    }
    if let Some(predicate) = &body.predicate {
        let relation = names.catalog.relation(body.table);
        let shown = names.text.expression(names, &predicate.text, relation, pretty);
        text.push_str(&format!(" WHERE {shown}"));
    }
    Some(text)
}

const fn index_order(key: &IndexKey) -> &'static str {
    match (key.descending, key.nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

/// The column, or the expression, in parentheses unless it looks like a call.
fn index_key(names: &Names<'_>, table: &Relation, key: &IndexKey, pretty: bool) -> String {
    let Some(expression) = &key.expression else {
        let column = table.column(key.column).map_or("", |column| column.name.as_str());
        return quote_ident(column);
    };
    let relation = names.catalog.relation(table.oid);
    let shown = names.text.expression(names, &expression.text, relation, pretty);
    if expression.is_call { shown } else { format!("({shown})") }
}

/// What one column of an index is, counted from 1.
#[must_use]
pub fn index_column(
    names: &Names<'_>,
    index: &Relation,
    number: i32,
    pretty: bool,
) -> Option<String> {
    let body = index.as_index()?;
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    let table = names.catalog.relation(body.table)?;
    match body.keys.get(at) {
        Some(key) => Some(index_key(names, table, key, pretty)),
        None => {
            let column = table.column(*body.include.get(at - body.keys.len())?)?;
            Some(quote_ident(&column.name))
        }
    }
}

fn storage_options(options: &[String]) -> String {
    let printed: Vec<String> = options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) if quote_ident(value) == value => {
                format!("{}={value}", quote_ident(name))
            }
            Some((name, value)) => format!("{}={}", quote_ident(name), quote_literal(value)),
            None => quote_ident(option),
        })
        .collect();
    printed.join(", ")
}

/// A constraint as a column's or a table's definition would have it.
#[must_use]
pub fn constraint_definition(
    names: &Names<'_>,
    table: &Relation,
    constraint: &Constraint,
    pretty: bool,
) -> String {
    let not_valid = if constraint.validated { "" } else { " NOT VALID" };
    let deferral = match constraint.deferral {
        Deferral::NotDeferrable => "",
        Deferral::InitiallyImmediate => " DEFERRABLE",
        Deferral::InitiallyDeferred => " DEFERRABLE INITIALLY DEFERRED",
    };
    let text = match &constraint.kind {
        ConstraintKind::Check { expression, .. } => {
            let relation = names.catalog.relation(table.oid);
            let shown = names.text.expression(names, expression, relation, pretty);
            format!("CHECK ({shown})")
        }
        ConstraintKind::PrimaryKey { index } => {
            format!("PRIMARY KEY {}", index_columns(names, table, *index))
        }
        ConstraintKind::Unique { index } => {
            let index_body = names.catalog.relation(*index).and_then(|index| index.as_index());
            let nulls = if index_body.is_some_and(|body| body.nulls_not_distinct) {
                "NULLS NOT DISTINCT "
            } else {
                ""
            };
            format!("UNIQUE {nulls}{}", index_columns(names, table, *index))
        }
        ConstraintKind::ForeignKey(key) => foreign_key(names, table, key),
    };
    text + deferral + not_valid
}

fn index_columns(names: &Names<'_>, table: &Relation, index: Oid) -> String {
    let Some(body) = names.catalog.relation(index).and_then(|index| index.as_index()) else {
        return "()".to_owned();
    };
    let keys = names.column_list(table, &body.key_columns());
    if body.include.is_empty() {
        return format!("({keys})");
    }
    format!("({keys}) INCLUDE ({})", names.column_list(table, &body.include))
}

fn foreign_key(names: &Names<'_>, table: &Relation, key: &ForeignKey) -> String {
    let target_columns = names
        .catalog
        .relation(key.target)
        .map(|target| names.column_list(target, &key.target_columns))
        .unwrap_or_default();
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {}({target_columns})",
        names.column_list(table, &key.columns),
        names.relation_name(key.target).unwrap_or_default(),
    );
    if key.match_full {
        text.push_str(" MATCH FULL");
    }
    if key.on_update != ReferentialAction::NoAction {
        text.push_str(" ON UPDATE ");
        text.push_str(action(key.on_update));
    }
    if key.on_delete != ReferentialAction::NoAction {
        text.push_str(" ON DELETE ");
        text.push_str(action(key.on_delete));
    }
    if !key.set_columns.is_empty() {
        text.push_str(&format!(" ({})", names.column_list(table, &key.set_columns)));
    }
    text
}

/// The words of a referential action.
#[must_use]
pub const fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}

/// The query of a view, with the semicolon that PostgreSQL puts behind it.
#[must_use]
pub fn view_definition(
    names: &Names<'_>,
    view: &Relation,
    pretty: bool,
    wrap_column: i32,
) -> Option<String> {
    view.query_text()?;
    Some(format!("{};", names.text.view(names, view, pretty, wrap_column)))
}

/// A default as it is shown.
#[must_use]
pub fn default_text(names: &Names<'_>, stored: &str) -> String {
    names.text.expression(names, stored, None, false)
}

/// The parts of a qualified name: folded to lower case unless quoted. `None` for bad syntax.
#[must_use]
pub fn split_qualified(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted)?,
            None => {
                let end =
                    rest.find(|c: char| c == '.' || c.is_ascii_whitespace()).unwrap_or(rest.len());
                (rest[..end].to_ascii_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(aegis_types::text::truncate_name(&part).to_owned());
        rest = after.trim_start();
        match rest.strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

fn quoted_part(quoted: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        part.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                part.push('"');
                rest = after;
            }
            None => return Some((part, rest)),
        }
    }
}
