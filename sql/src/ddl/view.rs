//! Views: kept as the text of their query with every relation's name qualified.

use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::{CatalogSnapshot, Column, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::create_table::{check_columns, column_number};
use super::name::{relation_exists, wrong_kind};
use super::{Ddl, reference};
use crate::analyze::{Analyzer, AnalyzerContext, OutputColumn, format_type, quote_identifier};
use crate::ast::{
    CreateViewStmt, RelPersistence, SelectBody, SelectStmt, Statement, ViewCheckOption,
};
use crate::parser;

impl Ddl<'_> {
    /// `CREATE [OR REPLACE] VIEW`
    pub(super) async fn create_view(
        &mut self,
        create: &CreateViewStmt,
        source: &str,
    ) -> SqlResult<&'static str> {
        if create.view.persistence != RelPersistence::Permanent {
            return Err(SqlError::unsupported("TEMPORARY VIEW"));
        }
        if create.check_option != ViewCheckOption::None {
            return Err(SqlError::unsupported("WITH CHECK OPTION"));
        }
        if let Some(option) = create.options.first() {
            return Err(SqlError::unsupported(format!("the view option \"{}\"", option.name)));
        }
        if let SelectBody::Simple(simple) = &create.query.body
            && simple.into.is_some()
        {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "views must not contain SELECT INTO",
            ));
        }
        let query = Statement::Select(Box::new(create.query.clone()));
        let output = self.analyzer().analyze(&query)?.columns;
        let columns = view_columns(&output, &create.aliases)?;
        let schema = self.creation_schema(&create.view)?;
        let name = &create.view.name;
        let definition = self.qualified_text(&create.query, create.query_span, source)?;
        let definition = renamed(definition, &output, &create.aliases);
        let Some(old) = self.claim(schema, name).await? else {
            self.new_view(schema, name, columns, definition)?;
            return Ok("CREATE VIEW");
        };
        if !create.replace {
            return Err(relation_exists(name));
        }
        self.lock(old.oid, TableLockMode::AccessExclusive).await?;
        let old = self.relation(old.oid)?;
        if !matches!(old.body, RelationBody::View { .. }) {
            return Err(wrong_kind(&old, "a view"));
        }
        self.check_replaceable(&old, &columns)?;
        let mut changed = (*old).clone();
        changed.columns = columns;
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
            options: Vec::new(),
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

    /// The text of a query with a schema before each relation's name that has none.
    fn qualified_text(
        &self,
        query: &SelectStmt,
        span: (u32, u32),
        source: &str,
    ) -> SqlResult<String> {
        let lost = || SqlError::internal("the text of a view was not found");
        let (start, end) = (span.0 as usize, span.1 as usize);
        let mut text = source.get(start..end).ok_or_else(lost)?.trim_end().to_owned();
        let mut places = Vec::new();
        for name in reference::relations(query) {
            if name.schema.is_some() {
                continue;
            }
            if let Ok(Some(relation)) = self.find(name) {
                let schema = self.context.catalog.schema_name(relation.schema).ok_or_else(lost)?;
                places.push((name.location as usize, quote_identifier(schema)));
            }
        }
        places.sort_unstable();
        for (at, schema) in places.iter().rev() {
            let at = at.checked_sub(start).filter(|at| text.is_char_boundary(*at));
            let at = at.filter(|at| *at <= text.len()).ok_or_else(lost)?;
            text.insert_str(at, &format!("{schema}."));
        }
        Ok(text)
    }

    /// Whether a view still has its columns under another catalog.
    pub(super) fn view_is_unchanged(&self, view: Oid, catalog: &Arc<CatalogSnapshot>) -> bool {
        let Some(view) = self.context.catalog.relation(view) else {
            return true;
        };
        let RelationBody::View { definition } = &view.body else {
            return true;
        };
        let Ok(statements) = parser::parse(definition) else {
            return false;
        };
        let [statement] = statements.as_slice() else {
            return false;
        };
        let analyzer = Analyzer::new(AnalyzerContext {
            catalog,
            database: self.context.database,
            search_path: &[PG_CATALOG],
            system_relations: &*self.context.system_relations,
            eval: self.context.eval(),
            parameters: Vec::new(),
            infer_parameters: false,
        });
        analyzer.analyze(&statement.statement).is_ok_and(|analyzed| {
            analyzed.columns.len() == view.columns.len()
                && analyzed
                    .columns
                    .iter()
                    .zip(&view.columns)
                    .all(|(now, then)| now.ty == then.ty && now.name == then.name)
        })
    }

    /// 0A000 where a view of this relation would not be what it was, because it names by `*` or by
    /// name what has changed: its text is not printed anew.
    pub(super) fn check_views(&self, relation: Oid, what: &str) -> SqlResult<()> {
        let relation = self.relation(relation)?;
        for view in self.views_of(&relation)? {
            if !self.view_is_unchanged(view, &self.context.catalog) {
                let view = self.relation(view)?;
                return Err(SqlError::unsupported(format!(
                    "{what} that view \"{}\" reads",
                    view.name
                )));
            }
        }
        Ok(())
    }
}

/// A query that gives its columns other names.
fn renamed(definition: String, output: &[OutputColumn], aliases: &[String]) -> String {
    if aliases.is_empty() {
        return definition;
    }
    let names: Vec<String> = output
        .iter()
        .enumerate()
        .map(|(at, column)| quote_identifier(aliases.get(at).unwrap_or(&column.name)))
        .collect();
    format!("SELECT * FROM ({definition}\n) AS view_query({})", names.join(", "))
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
