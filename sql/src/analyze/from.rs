//! `FROM`: tables, views, subqueries, CTEs and functions become entries of the range table
//! (PostgreSQL's `parse_clause.c` and `parse_relation.c`).

use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::system::SEQUENCE_COLUMNS;
use aegis_catalog::{Relation, RelationBody};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::join::without_position;
use super::relation::ResolvedRelation;
use super::scope::{Clause, EntryInfo, NamespaceItem, Recursion};
use super::{Analyzer, AnalyzerContext};
use crate::ast::{self, Alias, FromItem, RangeVar};
use crate::bound::{JoinTree, Query, RangeTableEntry, RteColumn, RteKind};
use crate::parser;

/// How deep views may stand in views.
const VIEW_NESTING_MAX: usize = 64;

impl Analyzer<'_> {
    /// A `FROM` list: the namespace of the query is complete afterwards (`transformFromClause`).
    pub(super) fn bind_from(&mut self, items: &[FromItem]) -> SqlResult<Vec<JoinTree>> {
        let mut trees = Vec::with_capacity(items.len());
        for item in items {
            let (tree, names) = self.bind_from_item(item)?;
            self.check_name_conflicts(&names)?;
            let mut names = names;
            for name in &mut names {
                name.lateral_only = true;
                name.lateral_ok = true;
            }
            self.scope().namespace.extend(names);
            trees.push(tree);
        }
        for name in &mut self.scope().namespace {
            name.lateral_only = false;
            name.lateral_ok = true;
        }
        Ok(trees)
    }

    /// 42712 for two entries of one name (`checkNameSpaceConflicts`).
    pub(super) fn check_name_conflicts(&mut self, names: &[NamespaceItem]) -> SqlResult<()> {
        let present = self.scope().namespace.clone();
        conflicts(&present, names)
    }

    /// One item, and the names that it makes visible.
    pub(super) fn bind_from_item(
        &mut self,
        item: &FromItem,
    ) -> SqlResult<(JoinTree, Vec<NamespaceItem>)> {
        self.deeper(|analyzer| analyzer.bind_from_item_here(item))
    }

    fn bind_from_item_here(
        &mut self,
        item: &FromItem,
    ) -> SqlResult<(JoinTree, Vec<NamespaceItem>)> {
        let entry = match item {
            FromItem::Relation(name) => self.relation_entry(name)?,
            FromItem::Subselect(subselect) => self.subselect_entry(subselect)?,
            FromItem::Function(function) => self.function_entry(function)?,
            FromItem::Join(join) => return self.join(join),
            FromItem::TableSample(sample) => self.sample_entry(sample)?,
        };
        let names = vec![self.entry_item(entry)];
        Ok((JoinTree::Entry(entry), names))
    }

    pub(super) fn relation_entry(&mut self, name: &RangeVar) -> SqlResult<usize> {
        if name.schema.is_none()
            && name.catalog.is_none()
            && let Some(entry) = self.cte_entry(name)?
        {
            return Ok(entry);
        }
        let resolved = self.find_relation(name).map_err(|error| error.at(name.location))?;
        match resolved {
            Some(ResolvedRelation::Stored(relation)) => self.stored_entry(&relation, name),
            Some(ResolvedRelation::System(full, columns)) => {
                let kind = RteKind::System(full.clone());
                let mut columns = plain_columns(columns);
                rename_columns(&mut columns, name.alias.as_ref())?;
                let alias = alias_name(name.alias.as_ref(), &name.name);
                let info = EntryInfo {
                    aliased: name.alias.is_some(),
                    column_aliases: has_columns(name.alias.as_ref()),
                    relation_name: Some(name.name.clone()),
                    ..EntryInfo::default()
                };
                let entry = RangeTableEntry { alias, kind, columns, lateral: false };
                Ok(self.add_entry(entry, info))
            }
            None => Err(self.no_relation_or_future_cte(name)),
        }
    }

    fn no_relation_or_future_cte(&self, name: &RangeVar) -> SqlError {
        let future = name.schema.is_none()
            && self.scopes.iter().any(|scope| scope.future_ctes.contains(&name.name));
        let error = match self.resolve_relation(name) {
            Err(error) => error,
            Ok(_) => SqlError::internal("a relation appeared"),
        };
        if !future {
            return error;
        }
        error
            .detail(format!(
                "There is a WITH item named \"{}\", but it cannot be referenced from this part of \
                 the query.",
                name.name
            ))
            .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.")
    }

    fn stored_entry(&mut self, relation: &Arc<Relation>, name: &RangeVar) -> SqlResult<usize> {
        let alias = alias_name(name.alias.as_ref(), &name.name);
        let info = EntryInfo {
            aliased: name.alias.is_some(),
            relation: Some(relation.oid),
            relation_name: Some(name.name.clone()),
            column_aliases: has_columns(name.alias.as_ref()),
            scalar_function: false,
        };
        let kind = match &relation.body {
            RelationBody::Table(_) | RelationBody::Sequence(_) => {
                RteKind::Relation(relation.clone())
            }
            RelationBody::View { .. } if self.context.system_relations.refuses_views() => {
                return Err(SqlError::new(
                    SqlState::ObjectNotInPrerequisiteState,
                    format!("access to non-system view \"{}\" is restricted", relation.name),
                ));
            }
            RelationBody::View { definition } => {
                RteKind::Subquery(Arc::new(self.view(relation, definition)?))
            }
            RelationBody::Index(_) => {
                return Err(SqlError::new(
                    SqlState::WrongObjectType,
                    format!("\"{}\" is an index", relation.name),
                )
                .at(name.location));
            }
        };
        let mut columns = relation_columns(relation);
        rename_columns(&mut columns, name.alias.as_ref())
            .map_err(|error| error.at(name.location))?;
        Ok(self.add_entry(RangeTableEntry { alias, kind, columns, lateral: false }, info))
    }

    /// A view's query, bound as when it was defined: nothing but its own text counts.
    pub(super) fn view(&mut self, relation: &Relation, definition: &str) -> SqlResult<Query> {
        if self.views.contains(&relation.oid) || self.views.len() >= VIEW_NESTING_MAX {
            return Err(SqlError::new(
                SqlState::InvalidObjectDefinition,
                format!("infinite recursion detected in rules for relation \"{}\"", relation.name),
            ));
        }
        let broken = |what: &str| {
            SqlError::internal(format!("the definition of view \"{}\" {what}", relation.name))
        };
        let statements = parser::parse(definition)?;
        let select = match statements.as_slice() {
            [statement] => match &statement.statement {
                ast::Statement::Select(select) => select,
                _ => return Err(broken("is no query")),
            },
            _ => return Err(broken("is not one query")),
        };
        let path: &[Oid] = &[PG_CATALOG];
        let context = AnalyzerContext {
            search_path: path,
            parameters: Vec::new(),
            infer_parameters: false,
            ..self.context.clone()
        };
        let mut analyzer = Analyzer::new(context).of_stored_text();
        analyzer.views.clone_from(&self.views);
        analyzer.views.push(relation.oid);
        analyzer.depth = self.depth;
        analyzer.work = self.work;
        let query = analyzer.query(select);
        self.work = analyzer.work;
        let query = query.map(|query| Query { view: Some(relation.oid), ..query });
        // A position in the view's text would point anywhere in the client's.
        query.map_err(without_position)
    }

    fn cte_entry(&mut self, name: &RangeVar) -> SqlResult<Option<usize>> {
        let found = self.scopes.iter().enumerate().rev().find_map(|(scope, names)| {
            let index = names.ctes.iter().position(|cte| cte.name == name.name)?;
            Some((scope, index))
        });
        let Some((scope, index)) = found else {
            return Ok(None);
        };
        let levels_up = self.scopes.len() - 1 - scope;
        let cte = &mut self.scopes[scope].ctes[index];
        cte.references += 1;
        if cte.recursion == Recursion::NonRecursiveTerm {
            return Err(SqlError::new(
                SqlState::InvalidRecursion,
                format!(
                    "recursive reference to query \"{}\" must not appear within its non-recursive \
                     term",
                    name.name
                ),
            )
            .at(name.location));
        }
        let change = cte.cte.as_ref().and_then(|cte| cte.change.as_deref());
        if change.is_some_and(|change| !change.returns_rows()) {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("WITH query \"{}\" does not have a RETURNING clause", name.name),
            )
            .at(name.location));
        }
        let mut columns = plain_columns(cte.columns.clone());
        rename_columns(&mut columns, name.alias.as_ref())
            .map_err(|error| error.at(name.location))?;
        let alias = alias_name(name.alias.as_ref(), &name.name);
        let info = EntryInfo {
            aliased: name.alias.is_some(),
            column_aliases: has_columns(name.alias.as_ref()),
            relation_name: Some(name.name.clone()),
            ..EntryInfo::default()
        };
        let kind = RteKind::Cte { index, levels_up };
        Ok(Some(self.add_entry(RangeTableEntry { alias, kind, columns, lateral: false }, info)))
    }

    fn subselect_entry(&mut self, subselect: &ast::RangeSubselect) -> SqlResult<usize> {
        let lateral = subselect.lateral;
        let query = self.in_clause(Clause::FromSubselect, |analyzer| {
            let before = std::mem::replace(&mut analyzer.scope().lateral_active, lateral);
            let query = analyzer.subselect(&subselect.subquery);
            analyzer.scope().lateral_active = before;
            query
        })?;
        let mut columns = query_columns(&query);
        let default = "unnamed_subquery";
        rename_columns(&mut columns, subselect.alias.as_ref())?;
        let alias = alias_name(subselect.alias.as_ref(), default);
        let info = EntryInfo {
            aliased: true,
            column_aliases: has_columns(subselect.alias.as_ref()),
            ..EntryInfo::default()
        };
        let kind = RteKind::Subquery(Arc::new(query));
        Ok(self.add_entry(RangeTableEntry { alias, kind, columns, lateral }, info))
    }
}

/// The columns that a query shows to the one around it.
pub(super) fn query_columns(query: &Query) -> Vec<RteColumn> {
    query
        .visible_targets()
        .map(|target| RteColumn { name: target.name.clone(), ty: target.expr.ty(), dropped: false })
        .collect()
}

/// A relation's columns, dropped ones included; of a sequence, what reading it shows.
pub(super) fn relation_columns(relation: &Relation) -> Vec<RteColumn> {
    if relation.as_sequence().is_some() {
        let columns = SEQUENCE_COLUMNS.iter();
        let columns = columns.map(|(name, ty)| ((*name).to_owned(), TypeRef::plain(*ty)));
        return plain_columns(columns.collect());
    }
    relation
        .columns
        .iter()
        .map(|column| RteColumn {
            name: column.name.clone(),
            ty: column.ty,
            dropped: column.dropped,
        })
        .collect()
}

pub(super) fn plain_columns(columns: Vec<(String, TypeRef)>) -> Vec<RteColumn> {
    columns.into_iter().map(|(name, ty)| RteColumn { name, ty, dropped: false }).collect()
}

fn has_columns(alias: Option<&Alias>) -> bool {
    alias.is_some_and(|alias| !alias.columns.is_empty())
}

/// An item's name: its alias, or what it is called otherwise.
pub(super) fn alias_name(alias: Option<&Alias>, name: &str) -> String {
    alias.map_or(name, |alias| &alias.name).to_owned()
}

/// Gives the first columns the names of an alias's list.
pub(super) fn rename_columns(columns: &mut [RteColumn], alias: Option<&Alias>) -> SqlResult<()> {
    let Some(alias) = alias else {
        return Ok(());
    };
    let live = columns.iter().filter(|column| !column.dropped).count();
    if alias.columns.len() > live {
        return Err(SqlError::new(
            SqlState::InvalidColumnReference,
            format!(
                "table \"{}\" has {live} columns available but {} columns specified",
                alias.name,
                alias.columns.len()
            ),
        ));
    }
    let live = columns.iter_mut().filter(|column| !column.dropped);
    for (column, new) in live.zip(&alias.columns) {
        column.name.clone_from(new);
    }
    Ok(())
}

/// 42712 where a name of the second list is in the first, or the same table without an alias twice.
pub(super) fn conflicts(present: &[NamespaceItem], added: &[NamespaceItem]) -> SqlResult<()> {
    for new in added.iter().filter(|item| item.name_visible) {
        for old in present.iter().filter(|item| item.name_visible) {
            if old.name != new.name {
                continue;
            }
            // The same name in two schemas is no conflict while both can be qualified.
            if let (Some(a), Some(b)) = (old.relation, new.relation)
                && a != b
            {
                continue;
            }
            return Err(SqlError::new(
                SqlState::DuplicateAlias,
                format!("table name \"{}\" specified more than once", new.name),
            ));
        }
    }
    Ok(())
}
