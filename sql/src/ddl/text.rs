//! The text that descriptors keep, and how it survives renaming: analyzed as things were called
//! before, printed as they are called now. What it names is what depends on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::system::{AsStored, Names};
use aegis_catalog::{
    CatalogSnapshot, ConstraintKind, Descriptor, Function, FunctionBody, Relation, RelationBody,
};
use aegis_storage::TableLockMode;
use aegis_types::user_type::UserType;
use aegis_types::{Datum, EvalContext, FormatSettings, Host, Oid, SqlResult, TypeRef};

use super::Ddl;
use crate::analyze::AnalyzerContext;
use crate::bound;
use crate::deparse::{Deparser, Layout, Stored};

/// What text is read and printed with: values in their plainest form, whatever the session likes to
/// see.
struct Around<'a> {
    settings: FormatSettings,
    host: CatalogHost<'a>,
}

/// The session's host, but for types, which are as one catalog has them.
struct CatalogHost<'a> {
    names: Names<'a>,
    session: &'a dyn Host,
}

impl Host for CatalogHost<'_> {
    fn call(&self, function: Oid, arguments: &[Datum]) -> SqlResult<Datum> {
        self.session.call(function, arguments)
    }

    fn reg_out(&self, reg_type: Oid, value: Oid) -> String {
        self.session.reg_out(reg_type, value)
    }

    fn reg_in(&self, reg_type: Oid, text: &str) -> SqlResult<Oid> {
        self.session.reg_in(reg_type, text)
    }

    fn user_type(&self, oid: Oid) -> Option<UserType> {
        self.names.user_type(oid)
    }

    fn check_domain(&self, domain: Oid, value: &Datum, context: &EvalContext<'_>) -> SqlResult<()> {
        self.session.check_domain(domain, value, context)
    }

    fn record_fields(&self, record: TypeRef) -> Option<Arc<[(Arc<str>, TypeRef)]>> {
        self.names.record_fields(record)
    }
}

/// The path under which text is kept.
const STORED_PATH: &[Oid] = &[PG_CATALOG];

impl Ddl<'_> {
    /// What is around when text is read or printed under a catalog.
    fn around<'b>(&'b self, catalog: &'b CatalogSnapshot) -> Around<'b> {
        let names = Names {
            catalog,
            database: self.context.database,
            search_path: STORED_PATH,
            text: &AsStored,
        };
        let host = CatalogHost { names, session: &*self.context.host };
        let ctype = self.context.eval().settings.ctype;
        Around { settings: FormatSettings { ctype, ..FormatSettings::default() }, host }
    }

    fn stored_eval<'b>(&'b self, around: &'b Around<'b>) -> EvalContext<'b> {
        EvalContext { settings: &around.settings, host: &around.host, ..self.context.eval() }
    }

    fn deparser<'b>(
        &'b self,
        catalog: &'b CatalogSnapshot,
        around: &'b Around<'b>,
    ) -> Deparser<'b> {
        Deparser {
            names: Names {
                catalog,
                database: self.context.database,
                search_path: STORED_PATH,
                text: &AsStored,
            },
            eval: self.stored_eval(around),
            layout: Layout::STORED,
            routine: None,
        }
    }

    fn stored<'b>(
        &'b self,
        catalog: &'b Arc<CatalogSnapshot>,
        around: &'b Around<'b>,
    ) -> Stored<'b> {
        Stored {
            context: AnalyzerContext {
                catalog,
                database: self.context.database,
                search_path: STORED_PATH,
                system_relations: &*self.context.system_relations,
                eval: self.stored_eval(around),
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
        let around = self.around(&self.context.catalog);
        self.deparser(&self.context.catalog, &around).expression(expr, Some(relation))
    }

    /// A query as text to be kept.
    pub(super) fn query_text(&self, query: &bound::Query) -> SqlResult<String> {
        let around = self.around(&self.context.catalog);
        let text = self.deparser(&self.context.catalog, &around).view(query, None)?;
        Ok(text.trim_start().to_owned())
    }

    /// What a view's query names: relations (column 0) and their columns.
    pub(super) fn view_uses(&self, view: &Relation) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let around = self.around(&self.context.catalog);
        let query = self.stored(&self.context.catalog, &around).view(view)?;
        self.deparser(&self.context.catalog, &around).query_uses(&query)
    }

    /// What a kept query means.
    pub(super) fn view_query(&self, definition: &str) -> SqlResult<bound::Query> {
        let around = self.around(&self.context.catalog);
        self.stored(&self.context.catalog, &around).query(definition)
    }

    /// Whether a query reads a temporary relation.
    pub(super) fn names_temporary(&self, query: &bound::Query) -> SqlResult<bool> {
        let around = self.around(&self.context.catalog);
        let uses = self.deparser(&self.context.catalog, &around).query_uses(query)?;
        let catalog = &self.context.catalog;
        Ok(uses.iter().any(|(oid, _)| {
            catalog.relation(*oid).is_some_and(|relation| {
                relation.persistence == aegis_catalog::Persistence::Temporary
            })
        }))
    }

    /// What the body of a function names, if it is kept as what it means: relations (column 0) and
    /// their columns, types, other functions.
    pub(super) fn function_uses(
        &self,
        function: &aegis_catalog::Function,
    ) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let mut uses = BTreeSet::new();
        let aegis_catalog::FunctionBody::Statements(texts) = &function.body else {
            return Ok(uses);
        };
        let around = self.around(&self.context.catalog);
        let deparser = self.deparser(&self.context.catalog, &around);
        let stored = self.stored(&self.context.catalog, &around).of_routine(function);
        for text in texts {
            uses.extend(deparser.query_uses(&stored.query(text)?)?);
        }
        Ok(uses)
    }

    /// The relations that a default or a condition names.
    pub(super) fn text_uses(
        &self,
        text: &str,
        relation: &Arc<Relation>,
    ) -> SqlResult<BTreeSet<(Oid, i16)>> {
        let around = self.around(&self.context.catalog);
        let expr = self.stored(&self.context.catalog, &around).expression(text, relation)?;
        self.deparser(&self.context.catalog, &around).expression_uses(&expr, Some(relation))
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
        for function in before.user_functions_of(self.context.database) {
            if let Some(changed) = self.reprinted_function(function.oid, before)? {
                self.put(Descriptor::Function(Arc::new(changed)))?;
            }
        }
        Ok(())
    }

    /// A function with the texts that it is kept by printed anew; none where they stay.
    fn reprinted_function(
        &self,
        oid: Oid,
        before: &Arc<CatalogSnapshot>,
    ) -> SqlResult<Option<Function>> {
        let (Some(old), Some(new)) =
            (before.user_function(oid), self.context.catalog.user_function(oid))
        else {
            return Ok(None);
        };
        let (around_before, around) = (self.around(before), self.around(&self.context.catalog));
        let stored = self.stored(before, &around_before).of_routine(old);
        let deparser = self.deparser(&self.context.catalog, &around);
        let nothing = Arc::new(Relation::default());
        let mut changed = (**new).clone();
        for default in changed.parameters.iter_mut().filter_map(|it| it.default.as_mut()) {
            *default = deparser.expression(&stored.expression(default, &nothing)?, None)?;
        }
        if let FunctionBody::Statements(texts) = &mut changed.body {
            for text in texts {
                let printed = deparser.view(&stored.query(text)?, None)?;
                printed.trim_start().clone_into(text);
            }
        }
        Ok((changed != **new).then_some(changed))
    }

    /// A relation with its texts printed anew; none where they stay.
    fn reprinted(&self, oid: Oid, before: &Arc<CatalogSnapshot>) -> SqlResult<Option<Relation>> {
        let (Some(old), Some(new)) = (before.relation(oid), self.context.catalog.relation(oid))
        else {
            return Ok(None);
        };
        let (around_before, around) = (self.around(before), self.around(&self.context.catalog));
        let stored = self.stored(before, &around_before);
        let deparser = self.deparser(&self.context.catalog, &around);
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
