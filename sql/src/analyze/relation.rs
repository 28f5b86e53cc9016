//! Schemas and relations by name.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_catalog::snapshot::{INFORMATION_SCHEMA, PG_CATALOG};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use crate::ast::RangeVar;

/// What a relation's name turned out to mean.
#[derive(Clone, Debug)]
pub enum ResolvedRelation {
    /// A row of the catalog.
    Stored(Arc<Relation>),
    /// A computed relation: `schema.name`, and its columns.
    System(Arc<str>, Vec<(String, TypeRef)>),
}

impl Analyzer<'_> {
    /// The relation that a name means.
    ///
    /// # Errors
    /// 42P01, 3F000, 0A000 for another database, with the name's position.
    pub fn resolve_relation(&self, name: &RangeVar) -> SqlResult<ResolvedRelation> {
        self.find_relation(name)
            .map_err(|error| error.at(name.location))?
            .ok_or_else(|| self.missing_relation(name))
    }

    /// The same, `None` where neither the relation nor its schema is there.
    pub(super) fn find_relation(&self, name: &RangeVar) -> SqlResult<Option<ResolvedRelation>> {
        if let Some(database) = &name.catalog {
            self.check_database(database, &qualified(name))?;
        }
        Ok(match &name.schema {
            Some(schema) => {
                let name_of_schema = schema;
                let schema = match self.schema_oid(schema) {
                    Ok(schema) => schema,
                    Err(_) => return Ok(None),
                };
                // What a view names was looked up when it was made.
                let context = &self.context;
                if !self.stored_text
                    && !context.system_relations.may_use_schema(context.catalog, schema)
                {
                    return Err(crate::ddl::denied("schema", name_of_schema));
                }
                self.relation_in_schema(schema, &name.name)
            }
            None => {
                self.effective_path().find_map(|schema| self.relation_in_schema(schema, &name.name))
            }
        })
    }

    fn missing_relation(&self, name: &RangeVar) -> SqlError {
        SqlError::new(
            SqlState::UndefinedTable,
            format!(
                "relation \"{}\" does not exist",
                match &name.schema {
                    Some(schema) => format!("{schema}.{}", name.name),
                    None => name.name.clone(),
                }
            ),
        )
        .at(name.location)
    }

    fn relation_in_schema(&self, schema: Oid, name: &str) -> Option<ResolvedRelation> {
        let system = match schema {
            PG_CATALOG => Some("pg_catalog"),
            INFORMATION_SCHEMA => Some("information_schema"),
            _ => None,
        };
        match system {
            Some(schema) => {
                let full = format!("{schema}.{name}");
                let columns = self.context.system_relations.columns(&full)?;
                Some(ResolvedRelation::System(full.into(), columns))
            }
            None => self
                .context
                .catalog
                .relation_named(schema, name)
                .map(|relation| ResolvedRelation::Stored(relation.clone())),
        }
    }

    /// The schemas that unqualified names are searched in, in order.
    pub(super) fn effective_path(&self) -> impl Iterator<Item = Oid> + '_ {
        let (own, path) = self.context.catalog.split_path(self.context.search_path);
        let implicit = (!path.contains(&PG_CATALOG)).then_some(PG_CATALOG);
        own.into_iter().chain(implicit).chain(path.iter().copied())
    }

    /// The schema with this name.
    ///
    /// # Errors
    /// 3F000.
    pub(super) fn schema_oid(&self, name: &str) -> SqlResult<Oid> {
        if name == "pg_temp"
            && let Some(own) = self.context.catalog.temporary_schema_in(self.context.search_path)
        {
            return Ok(own);
        }
        self.context.catalog.schema_named(self.context.database, name).ok_or_else(|| {
            SqlError::new(SqlState::InvalidSchemaName, format!("schema \"{name}\" does not exist"))
        })
    }

    /// Refuses names in other databases.
    pub(super) fn check_database(&self, database: &str, names: &[String]) -> SqlResult<()> {
        let current = self.context.catalog.database(self.context.database);
        if current.is_some_and(|current| current.name == database) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            match names {
                [_, schema, relation] => format!(
                    "cross-database references are not implemented: \
                     \"{database}.{schema}.{relation}\""
                ),
                _ => format!("cross-database references are not implemented: {}", names.join(".")),
            },
        ))
    }

    /// The name of the database that the session is connected to.
    pub(super) fn schema_name(&self, oid: Oid) -> String {
        self.context.catalog.schema_name(oid).unwrap_or_default().to_owned()
    }
}

fn qualified(name: &RangeVar) -> Vec<String> {
    name.catalog.iter().chain(&name.schema).cloned().chain([name.name.clone()]).collect()
}
