//! The text that descriptors keep, and how it survives renaming: analyzed as things were called
//! before, printed as they are called now. What it names is what depends on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::system::{AsStored, Names};
use aegis_catalog::{CatalogSnapshot, ConstraintKind, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::{EvalContext, FormatSettings, Oid, SqlResult};

use super::Ddl;
use crate::analyze::AnalyzerContext;
use crate::bound;
use crate::deparse::{Deparser, Layout, Stored};

/// The path under which text is kept.
const STORED_PATH: &[Oid] = &[PG_CATALOG];

impl Ddl<'_> {
    /// Values are kept in their plainest form, whatever the session likes to see.
    fn stored_eval<'b>(&'b self, settings: &'b FormatSettings) -> EvalContext<'b> {
        EvalContext { settings, ..self.context.eval() }
    }

    fn deparser<'b>(
        &'b self,
        catalog: &'b CatalogSnapshot,
        settings: &'b FormatSettings,
    ) -> Deparser<'b> {
        Deparser {
            names: Names {
                catalog,
                database: self.context.database,
                search_path: STORED_PATH,
                text: &AsStored,
            },
            eval: self.stored_eval(settings),
            layout: Layout::STORED,
        }
    }

    fn stored<'b>(
        &'b self,
        catalog: &'b Arc<CatalogSnapshot>,
        settings: &'b FormatSettings,
    ) -> Stored<'b> {
        Stored {
            context: AnalyzerContext {
                catalog,
                database: self.context.database,
                search_path: STORED_PATH,
                system_relations: &*self.context.system_relations,
                eval: self.stored_eval(settings),
                parameters: Vec::new(),
                infer_parameters: false,
            },
        }
    }

    /// An expression over a relation as text to be kept.
    pub(super) fn expression_text(
        &self,
        expr: &bound::Expr,
        relation: &Relation,
    ) -> SqlResult<String> {
        let settings = FormatSettings::default();
        self.deparser(&self.context.catalog, &settings).expression(expr, Some(relation))
    }

    /// A query as text to be kept.
    pub(super) fn query_text(&self, query: &bound::Query) -> SqlResult<String> {
        let settings = FormatSettings::default();
        let text = self.deparser(&self.context.catalog, &settings).view(query, None)?;
        Ok(text.trim_start().to_owned())
    }

    /// What a view's query names: relations (column 0) and their columns.
    pub(super) fn view_uses(&self, view: &Relation) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let settings = FormatSettings::default();
        let query = self.stored(&self.context.catalog, &settings).view(view)?;
        self.deparser(&self.context.catalog, &settings).query_uses(&query)
    }

    /// What a kept query means.
    pub(super) fn view_query(&self, definition: &str) -> SqlResult<bound::Query> {
        let settings = FormatSettings::default();
        self.stored(&self.context.catalog, &settings).query(definition)
    }

    /// Whether a query reads a temporary relation.
    pub(super) fn names_temporary(&self, query: &bound::Query) -> SqlResult<bool> {
        let settings = FormatSettings::default();
        let uses = self.deparser(&self.context.catalog, &settings).query_uses(query)?;
        let catalog = &self.context.catalog;
        Ok(uses.iter().any(|(oid, _)| {
            catalog.relation(*oid).is_some_and(|relation| {
                relation.persistence == aegis_catalog::Persistence::Temporary
            })
        }))
    }

    /// The relations that a default or a condition names.
    pub(super) fn text_uses(
        &self,
        text: &str,
        relation: &Arc<Relation>,
    ) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let settings = FormatSettings::default();
        let expr = self.stored(&self.context.catalog, &settings).expression(text, relation)?;
        self.deparser(&self.context.catalog, &settings).expression_uses(&expr, Some(relation))
    }

    /// Prints anew whatever names what has another name now than it had in `before`.
    pub(super) async fn reprint(&mut self, before: &Arc<CatalogSnapshot>) -> SqlResult<()> {
        let mut oids: Vec<Oid> =
            before.relations_of(self.context.database).map(|relation| relation.oid).collect();
        oids.sort_unstable();
        for oid in oids {
            if self.reprinted(oid, before)?.is_none() {
                continue;
            }
            self.lock(oid, TableLockMode::AccessExclusive).await?;
            if let Some(changed) = self.reprinted(oid, before)? {
                self.put_relation(changed)?;
            }
        }
        Ok(())
    }

    /// A relation with its texts printed anew; none where they stay.
    fn reprinted(&self, oid: Oid, before: &Arc<CatalogSnapshot>) -> SqlResult<Option<Relation>> {
        let (Some(old), Some(new)) = (before.relation(oid), self.context.catalog.relation(oid))
        else {
            return Ok(None);
        };
        let settings = FormatSettings::default();
        let stored = self.stored(before, &settings);
        let deparser = self.deparser(&self.context.catalog, &settings);
        let again = |text: &str| -> SqlResult<String> {
            deparser.expression(&stored.expression(text, old)?, Some(new))
        };
        let mut changed = (**new).clone();
        for column in changed.columns.iter_mut().filter(|column| !column.dropped) {
            if let Some(default) = &mut column.default {
                *default = again(default)?;
            }
        }
        match &mut changed.body {
            RelationBody::Table(body) => {
                if let Some(view) = &mut body.materialized {
                    let text = deparser.view(&stored.query(&view.definition)?, None)?;
                    text.trim_start().clone_into(&mut view.definition);
                }
                for constraint in &mut body.constraints {
                    if let ConstraintKind::Check { expression, .. } = &mut constraint.kind {
                        *expression = again(expression)?;
                    }
                }
            }
            RelationBody::View { definition } => {
                let text = deparser.view(&stored.query(definition)?, None)?;
                *definition = text.trim_start().to_owned();
            }
            RelationBody::Index(body) => {
                let (Some(old), Some(new)) =
                    (before.relation(body.table), self.context.catalog.relation(body.table))
                else {
                    return Ok(None);
                };
                let again = |text: &str| -> SqlResult<String> {
                    deparser.expression(&stored.expression(text, old)?, Some(new))
                };
                let expressions = body.keys.iter_mut().filter_map(|key| key.expression.as_mut());
                for expression in expressions {
                    expression.text = again(&expression.text)?;
                }
                if let Some(predicate) = &mut body.predicate {
                    predicate.text = again(&predicate.text)?;
                }
            }
            RelationBody::Sequence(_) => {}
        }
        Ok((changed != **new).then_some(changed))
    }
}
