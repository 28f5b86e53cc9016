//! Views: kept as the text of their query, printed with every name qualified.

use aegis_catalog::{Column, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::Ddl;
use super::create_table::{check_columns, column_number};
use super::name::{relation_exists, wrong_kind};
use crate::analyze::{OutputColumn, format_type};
use crate::ast::{CreateViewStmt, DefElem, RelPersistence, SelectBody, Statement, ViewCheckOption};

impl Ddl<'_> {
    /// `CREATE [OR REPLACE] VIEW`
    pub(super) async fn create_view(&mut self, create: &CreateViewStmt) -> SqlResult<&'static str> {
        if create.view.persistence != RelPersistence::Permanent {
            return Err(SqlError::unsupported("TEMPORARY VIEW"));
        }
        if create.check_option != ViewCheckOption::None {
            return Err(SqlError::unsupported("WITH CHECK OPTION"));
        }
        let options = view_options(&create.options)?;
        if let SelectBody::Simple(simple) = &create.query.body
            && simple.into.is_some()
        {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "views must not contain SELECT INTO",
            ));
        }
        let query = self.analyzer().analyze_view(&create.query)?;
        let statement = Statement::Select(Box::new(create.query.clone()));
        let output = self.analyzer().analyze(&statement)?.columns;
        let columns = view_columns(&output, &create.aliases)?;
        let schema = self.creation_schema(&create.view)?;
        let name = &create.view.name;
        let definition = self.query_text(&query)?;
        let Some(old) = self.claim(schema, name).await? else {
            self.new_view(schema, name, columns, definition, options)?;
            return Ok("CREATE VIEW");
        };
        if !create.replace {
            return Err(relation_exists(name));
        }
        self.lock(old.oid, TableLockMode::AccessExclusive).await?;
        let old = self.relation(old.oid)?;
        self.check_owns(&old)?;
        if !matches!(old.body, RelationBody::View { .. }) {
            return Err(wrong_kind(&old, "a view"));
        }
        self.check_replaceable(&old, &columns)?;
        let mut changed = (*old).clone();
        changed.columns = columns;
        changed.options = options;
        changed.body = RelationBody::View { definition };
        self.put_relation(changed)?;
        Ok("CREATE VIEW")
    }

    fn new_view(
        &mut self,
        schema: Oid,
        name: &str,
        columns: Vec<Column>,
        definition: String,
        options: Vec<String>,
    ) -> SqlResult<()> {
        let relation = Relation {
            oid: self.counters.next_oid()?,
            database: self.context.database,
            schema,
            name: name.to_owned(),
            owner: self.role,
            row_type: self.counters.next_oid()?,
            row_array_type: self.counters.next_oid()?,
            columns,
            options,
            body: RelationBody::View { definition },
        };
        self.put_relation(relation).map(drop)
    }

    /// 42P16 unless the old columns stay, in name and type.
    fn check_replaceable(&self, old: &Relation, columns: &[Column]) -> SqlResult<()> {
        let refuse = |message: String| SqlError::new(SqlState::InvalidTableDefinition, message);
        if columns.len() < old.columns.len() {
            return Err(refuse("cannot drop columns from view".into()));
        }
        for (old, new) in old.columns.iter().zip(columns) {
            if old.name != new.name {
                return Err(refuse(format!(
                    "cannot change name of view column \"{}\" to \"{}\"",
                    old.name, new.name
                ))
                .hint(
                    "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
                ));
            }
            if old.ty != new.ty {
                let name = |ty| format_type(&self.context.catalog, &self.search_path, ty);
                return Err(refuse(format!(
                    "cannot change data type of view column \"{}\" from {} to {}",
                    old.name,
                    name(old.ty),
                    name(new.ty)
                )));
            }
        }
        Ok(())
    }
}

fn view_columns(output: &[OutputColumn], aliases: &[String]) -> SqlResult<Vec<Column>> {
    if aliases.len() > output.len() {
        return Err(SqlError::new(
            SqlState::SyntaxError,
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    let columns = output_columns(output, aliases)?;
    for column in &columns {
        let row = builtins().type_row(column.ty.oid);
        if let Some(row) = row.filter(|row| row.kind == b'p') {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!("column \"{}\" has pseudo-type {}", column.name, row.name),
            ));
        }
    }
    check_columns(columns.iter().map(|column| column.name.as_str()))?;
    Ok(columns)
}

/// The columns that a query's output makes.
pub(super) fn output_columns(
    output: &[OutputColumn],
    aliases: &[String],
) -> SqlResult<Vec<Column>> {
    output
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let ty = match column.ty.oid {
                type_oid::UNKNOWN => TypeRef::plain(type_oid::TEXT),
                _ => column.ty,
            };
            Ok(Column {
                number: column_number(at)?,
                name: aliases.get(at).unwrap_or(&column.name).clone(),
                ty,
                not_null: false,
                default: None,
                identity: None,
                dropped: false,
                since_version: 0,
                missing: None,
            })
        })
        .collect()
}

/// The options of a view as they are kept: whose privileges count, and what leaks nothing.
fn view_options(options: &[DefElem]) -> SqlResult<Vec<String>> {
    let mut kept = Vec::with_capacity(options.len());
    for option in options {
        if !matches!(option.name.as_str(), "security_invoker" | "security_barrier") {
            return Err(SqlError::unsupported(format!("the view option \"{}\"", option.name)));
        }
        let value = option.value.as_ref().map_or_else(|| "true".to_owned(), |it| it.text());
        if aegis_types::io::parse_bool(&value).is_err() {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                format!("invalid value for boolean option \"{}\": {value}", option.name),
            ));
        }
        kept.push(format!("{}={value}", option.name));
    }
    Ok(kept)
}
