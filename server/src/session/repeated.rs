//! Texts that come again, in the simple protocol with other literals: found ready, or made ready.

use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_sql::analyze::is_for_every_session;
use aegis_sql::ast::Statement;
use aegis_sql::bound::BoundStatement;
use aegis_sql::template::Template;
use aegis_types::{Datum, Oid};

use super::bound_relations::locks_of;
use super::{Prepared, Session};
use crate::statement_cache::{Found, Key, Ready};

/// What is known of a text before it is parsed.
pub enum Repeated {
    /// It is ready, with these values for its parameters.
    Ready(Arc<Prepared>, Vec<Datum>),
    /// It is not, but will come again: to be handed to [`Session::make_ready`] once it has been
    /// parsed.
    Again(Box<Unready>),
    /// Nothing.
    Unknown,
}

/// A text that came before, as it stands.
pub struct RepeatedText(Key);

/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A text that is to be made ready.
pub struct Unready {
    key: Key,
    template: Template,
}

impl Session {
    /// Whether a text means here what it means elsewhere: not where a transaction has made what nobody
    /// else knows, or where a setting refuses what others may read.
    fn shares_statements(&self) -> bool {
        let block = self.block.as_ref();
        !block.is_some_and(|block| block.failed || block.has_own_catalog())
            && !self.settings.frequent().restricts_relations
            && self.settings.frequent().shortcuts.statement_cache
    }

    /// Looks a text up among those that came before.
    pub fn repeated(&mut self, text: &str) -> Repeated {
        if !self.shares_statements() {
            return Repeated::Unknown;
        }
        let Some(template) = Template::of(text) else { return Repeated::Unknown };
        let catalog = self.current_catalog();
        let key = Key {
            template: template.key.clone(),
            database: self.database,
            role: self.host.current_role(),
            search_path: self.host.search_path(),
        };
        let fits = |ready: &Ready| template.has(&ready.rest);
        match self.instance.statements.find(&key, &catalog, fits) {
            Found::New => Repeated::Unknown,
            Found::Again => Repeated::Again(Box::new(Unready { key, template })),
            Found::Ready(ready) => {
                self.begin_text();
                let types = &ready.prepared.parameter_types;
                match self.with_eval(|eval| template.values(&ready.lifted, types, eval)) {
                    Ok(values) => Repeated::Ready(ready.prepared, values),
                    // The error is to say where the literal is.
                    Err(_) => Repeated::Unknown,
                }
            }
        }
    }

    /// The statement that a text is as it stands, with its parameters, if it came before.
    pub fn repeated_text(
        &mut self,
        text: &str,
        parameter_types: &[Oid],
    ) -> (Option<Arc<Prepared>>, Option<RepeatedText>) {
        if text.len() > TEXT_BYTES_MAX || !self.shares_statements() {
            return (None, None);
        }
        let catalog = self.current_catalog();
        // No template begins with this byte.
        let mut template = vec![0];
        parameter_types.iter().for_each(|ty| template.extend_from_slice(&ty.0.to_be_bytes()));
        template.push(0);
        template.extend_from_slice(text.as_bytes());
        let key = Key {
            template,
            database: self.database,
            role: self.host.current_role(),
            search_path: self.host.search_path(),
        };
        match self.instance.statements.find(&key, &catalog, |_| true) {
            Found::New => (None, None),
            Found::Again => (None, Some(RepeatedText(key))),
            Found::Ready(ready) => {
                self.begin_text();
                (Some(ready.prepared), None)
            }
        }
    }

    /// Keeps a statement for whoever sends its text again.
    pub fn keep_text(&self, text: &RepeatedText, prepared: &Arc<Prepared>) {
        if let Some(analyzed) = &prepared.analyzed
            && is_for_every_session(&analyzed.statement)
        {
            let (lifted, rest) = (Arc::default(), Arc::default());
            let ready = Ready { prepared: prepared.clone(), lifted, rest };
            self.instance.statements.keep(&text.0, ready);
        }
    }

    /// Makes a statement ready for texts that differ from its own in literals: with parameters in
    /// their places. What cannot be made ready is left as it is.
    pub fn make_ready(&mut self, unready: &Unready, statement: &Arc<Statement>, source: &Arc<str>) {
        let Unready { key, template } = unready;
        let (lifted_statement, lifted) = template.lift(statement);
        let types: Vec<_> = lifted.iter().map(|one| one.ty.unwrap_or_default()).collect();
        let lifted_statement = Some(Arc::new(lifted_statement));
        let prepared = self.analyze_as_prepared(lifted_statement, source.clone(), Some(&types));
        let Ok(mut prepared) = prepared else { return };
        prepared.written = Some(Arc::clone(statement));
        let Some(analyzed) = &prepared.analyzed else { return };
        if prepared.parameter_types.len() != lifted.len()
            || !is_for_every_session(&analyzed.statement)
            || has_partial_index(&prepared.catalog, &analyzed.statement)
        {
            return;
        }
        let rest = template.rest(&lifted).into();
        let ready = Ready { prepared: Arc::new(prepared), lifted: lifted.into(), rest };
        self.instance.statements.keep(key, ready);
    }
}

/// Whether an index of a table that the statement names holds some of its rows alone: whether it can
/// be used hangs on the literals.
fn has_partial_index(catalog: &CatalogSnapshot, statement: &BoundStatement) -> bool {
    locks_of(statement).values().any(|(relation, _)| {
        let indexes = relation.as_table().map_or(&[][..], |table| &table.indexes);
        let indexes = indexes.iter().filter_map(|oid| catalog.relation(*oid)?.as_index());
        indexes.into_iter().any(|index| index.predicate.is_some())
    })
}
