//! Views: kept as the text of their query, printed with every name qualified.

use aegis_catalog::{Column, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::Ddl;
use super::create_table::{check_columns, column_number};
use super::name::{relation_exists, wrong_kind};
use crate::analyze::{OutputColumn, format_type};
use crate::ast::{
    AlterTableCmd, CreateViewStmt, DefElem, RelPersistence, SelectBody, Statement, ViewCheckOption,
};

impl Ddl<'_> {
    /// `CREATE [OR REPLACE] VIEW`
    pub(super) async fn create_view(&mut self, create: &CreateViewStmt) -> SqlResult<&'static str> {
        let mut options = view_options(&create.options)?;
        match create.check_option {
            ViewCheckOption::None => {}
            ViewCheckOption::Local => options.push("check_option=local".to_owned()),
            ViewCheckOption::Cascaded => options.push("check_option=cascaded".to_owned()),
        }
        if let SelectBody::Simple(simple) = &create.query.body
            && simple.into.is_some()
        {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "views must not contain SELECT INTO",
            ));
        }
        let query = self.analyzer().analyze_view(&create.query)?;
        self.check_option_fits(&query, &options)?;
        let statement = Statement::Select(Box::new(create.query.clone()));
        let output = self.analyzer().analyze(&statement)?.columns;
        let columns = view_columns(&output, &create.aliases)?;
        let name = &create.view.name;
        let mut target = create.view.clone();
        if !self.is_temporary(&target) && self.names_temporary(&query)? {
            target.persistence = RelPersistence::Temporary;
            if target.schema.is_none() {
                let message = format!("view \"{name}\" will be a temporary view");
                self.notice(SqlState::SuccessfulCompletion, message);
            }
        }
        let schema = self.creation_schema(&target)?;
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
        for (column, old) in changed.columns.iter_mut().zip(&old.columns) {
            column.default.clone_from(&old.default);
        }
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
            persistence: if self.context.catalog.is_temporary_schema(schema) {
                aegis_catalog::Persistence::Temporary
            } else {
                aegis_catalog::Persistence::Permanent
            },
        };
        self.put_relation(relation).map(drop)
    }

    /// 0A000 for a check option of a view that cannot be changed through.
    pub(super) fn check_option_fits(
        &self,
        query: &crate::bound::Query,
        options: &[String],
    ) -> SqlResult<()> {
        if !options.iter().any(|option| option.starts_with("check_option=")) {
            return Ok(());
        }
        match self.analyzer().updatable_query(query)? {
            Ok(_) => Ok(()),
            Err(reason) => Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "WITH CHECK OPTION is supported only on automatically updatable views",
            )
            .hint(reason)),
        }
    }

    /// `ALTER VIEW`, one command.
    pub(super) fn alter_view(
        &mut self,
        view: &std::sync::Arc<Relation>,
        command: &AlterTableCmd,
    ) -> SqlResult<()> {
        let mut changed = (**view).clone();
        match command {
            AlterTableCmd::SetOptions(options) => {
                for option in view_options(options)? {
                    let name = option.split_once('=').map_or("", |(name, _)| name).to_owned();
                    changed.options.retain(|old| !old.starts_with(&format!("{name}=")));
                    changed.options.push(option);
                }
                if let RelationBody::View { definition } = &changed.body {
                    let query = self.view_query(definition)?;
                    self.check_option_fits(&query, &changed.options)?;
                }
            }
            AlterTableCmd::ResetOptions(options) => {
                for option in options {
                    let name = format!("{}=", option.name);
                    changed.options.retain(|old| !old.starts_with(&name));
                }
            }
            AlterTableCmd::ColumnDefault { column, default } => {
                let found = view
                    .column_named(column)
                    .ok_or_else(|| super::alter_table::missing_column(view, column))?;
                let (number, ty) = (found.number, found.ty);
                let text = match default {
                    Some(expr) => self.default(expr, view, ty, column)?.map(|(text, _)| text),
                    None => None,
                };
                return self.set_default(view.oid, number, text).map(drop);
            }
            _ => return Err(SqlError::unsupported("this form of ALTER VIEW")),
        }
        self.put_relation(changed).map(drop)
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

/// The options of a view, checked and as they are kept.
fn view_options(options: &[DefElem]) -> SqlResult<Vec<String>> {
    let bad = |message: String| SqlError::new(SqlState::InvalidParameterValue, message);
    let mut kept = Vec::new();
    for option in options {
        let value = option.value.as_ref().map_or_else(|| "true".to_owned(), |value| value.text());
        let name = option.name.as_str();
        match name {
            "check_option" if matches!(value.as_str(), "local" | "cascaded") => {}
            "check_option" => {
                return Err(bad(format!(
                    "invalid value for enum option \"check_option\": {value}"
                ))
                .detail("Valid values are \"local\" and \"cascaded\"."));
            }
            "security_barrier" | "security_invoker" => {
                if aegis_types::io::parse_bool(&value).is_err() {
                    return Err(bad(format!(
                        "invalid value for boolean option \"{name}\": {value}"
                    )));
                }
            }
            _ => return Err(bad(format!("unrecognized parameter \"{name}\""))),
        }
        kept.push(format!("{name}={value}"));
    }
    Ok(kept)
}

fn view_columns(output: &[OutputColumn], aliases: &[String]) -> SqlResult<Vec<Column>> {
    if aliases.len() > output.len() {
        return Err(SqlError::new(
            SqlState::SyntaxError,
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    let columns = output_columns(output, aliases)?;
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
            let name = aliases.get(at).unwrap_or(&column.name).clone();
            let row = builtins().type_row(ty.oid);
            if let Some(row) = row.filter(|row| row.kind == b'p') {
                let shown = match row.name.strip_prefix('_') {
                    Some(element) => format!("{element}[]"),
                    None => row.name.to_owned(),
                };
                return Err(SqlError::new(
                    SqlState::InvalidTableDefinition,
                    format!("column \"{name}\" has pseudo-type {shown}"),
                ));
            }
            Ok(Column {
                number: column_number(at)?,
                name,
                ty,
                not_null: false,
                default: None,
                identity: None,
                dropped: false,
                since_version: 0,
                missing: None,
                ..Column::default()
            })
        })
        .collect()
}
