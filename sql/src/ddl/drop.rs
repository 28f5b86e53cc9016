//! `DROP` of relations and schemas, with what depends on them.

use std::sync::Arc;

use aegis_catalog::access::Kind;
use aegis_catalog::snapshot::{PG_CLASS, PG_CONSTRAINT, PG_EXTENSION, PG_NAMESPACE};
use aegis_catalog::{ConstraintKind, DescriptorKey, Relation, RelationBody, RelationKind};
use aegis_storage::TableLockMode;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::constraint::constraint_of_index;
use super::dependency::Item;
use super::name::{dotted, kind_word, range_var};
use crate::ast::{DropBehavior, DropStmt, ObjectName, ObjectType};

impl Ddl<'_> {
    /// `DROP`
    pub(super) async fn drop_objects(&mut self, drop: &DropStmt) -> SqlResult<&'static str> {
        let (kind, tag) = match drop.object_type {
            ObjectType::Table => (Some(RelationKind::Table), "DROP TABLE"),
            ObjectType::View => (Some(RelationKind::View), "DROP VIEW"),
            ObjectType::Index => (Some(RelationKind::Index), "DROP INDEX"),
            ObjectType::Sequence => (Some(RelationKind::Sequence), "DROP SEQUENCE"),
            ObjectType::MatView => (Some(RelationKind::MaterializedView), "DROP MATERIALIZED VIEW"),
            ObjectType::Schema => (None, "DROP SCHEMA"),
            ObjectType::Type | ObjectType::Domain => return self.drop_types(drop).await,
            ObjectType::Function | ObjectType::Procedure | ObjectType::Routine => {
                return self.drop_functions(drop).await;
            }
            ObjectType::Extension => return self.drop_extensions(drop).await,
            other => return self.drop_absent(other, drop),
        };
        if drop.concurrent && drop.objects.len() > 1 {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "DROP INDEX CONCURRENTLY does not support dropping multiple objects",
            ));
        }
        if drop.concurrent && drop.behavior == DropBehavior::Cascade {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "DROP INDEX CONCURRENTLY does not support CASCADE",
            ));
        }
        let mut targets = Vec::new();
        for object in &drop.objects {
            let ObjectName::Name(names) = object else {
                return Err(SqlError::internal("a relation is dropped by name"));
            };
            let found = match kind {
                Some(kind) => self.relation_to_drop(names, kind, drop.missing_ok).await?,
                None => self.schema_to_drop(names, drop.missing_ok)?,
            };
            if let Some(Item::Relation(oid)) = found {
                let relation = self.relation(oid)?;
                self.refuse_managed(&relation, "drop table")?;
                self.refuse_needed_index(&relation)?;
            }
            if let Some(item) = found.filter(|item| !targets.contains(item)) {
                targets.push(item);
            }
        }
        self.drop_items(&targets, drop.behavior).await?;
        Ok(tag)
    }

    /// Drops items and, with CASCADE, whatever depends on them.
    pub(super) async fn drop_items(
        &mut self,
        targets: &[Item],
        behavior: DropBehavior,
    ) -> SqlResult<()> {
        let closure = self.closure(targets)?;
        self.report(targets, &closure, behavior == DropBehavior::Cascade)?;
        self.drop_closure(&closure).await
    }

    /// Drops everything that belongs together.
    pub(super) async fn drop_closure(
        &mut self,
        closure: &super::dependency::Closure,
    ) -> SqlResult<()> {
        for item in &closure.items {
            if let Item::Relation(oid) | Item::Constraint(oid, _) | Item::Default(oid, _) = item {
                self.lock(*oid, TableLockMode::AccessExclusive).await?;
            }
        }
        for item in &closure.items {
            if let Item::Relation(oid) = item {
                self.refuse_in_use(*oid, "DROP TABLE")?;
            }
        }
        // What depends goes before what it depends on.
        for item in closure.items.iter().rev() {
            self.drop_item(*item).await?;
        }
        Ok(())
    }

    async fn drop_item(&mut self, item: Item) -> SqlResult<()> {
        match item {
            Item::Schema(oid) => {
                self.delete_comments(PG_NAMESPACE, oid)?;
                self.delete(DescriptorKey::Schema(oid))
            }
            Item::Relation(oid) => match self.context.catalog.relation(oid).cloned() {
                Some(relation) => self.drop_relation(&relation),
                None => Ok(()),
            },
            Item::Constraint(table, oid) => self.drop_constraint(table, oid).await,
            Item::Default(table, number) => {
                if self.context.catalog.relation(table).is_some() {
                    self.set_default(table, number, None)?;
                }
                Ok(())
            }
            // A column may go with its type as well as with its table.
            Item::Column(table, _) if self.context.catalog.relation(table).is_none() => Ok(()),
            Item::Column(table, number) => self.mark_column_dropped(table, number),
            Item::Type(oid) => self.drop_type(oid),
            Item::Function(oid) => self.delete_function(oid),
            Item::Extension(oid) => {
                self.delete_comments(PG_EXTENSION, oid)?;
                self.delete(DescriptorKey::Extension(oid))
            }
            Item::Attribute(oid, number) => self.drop_attribute(oid, number),
        }
    }

    async fn relation_to_drop(
        &mut self,
        names: &[String],
        kind: RelationKind,
        missing_ok: bool,
    ) -> SqlResult<Option<Item>> {
        let name = range_var(names)?;
        let mode = TableLockMode::AccessExclusive;
        let found = match self.open_if_exists(&name, mode).await {
            Err(error) if missing_ok && error.code() == SqlState::InvalidSchemaName => {
                let message = format!("{}, skipping", error.fields().message);
                self.notice(SqlState::SuccessfulCompletion, message);
                return Ok(None);
            }
            found => found?,
        };
        let Some(relation) = found else {
            let code = match kind {
                RelationKind::Index => SqlState::UndefinedObject,
                _ => SqlState::UndefinedTable,
            };
            let message = format!("{} \"{}\" does not exist", kind_word(kind), dotted(&name));
            return self.absent(code, &message, missing_ok).map(|()| None);
        };
        if relation.kind() != kind {
            let (what, other) = (with_article(kind), relation.kind());
            return Err(super::name::wrong_kind(&relation, what).hint(format!(
                "Use DROP {} to remove {}.",
                kind_word(other).to_uppercase(),
                with_article(other)
            )));
        }
        if !self.access().owns(self.role, Kind::Schema, relation.schema) {
            self.check_owns(&relation)?;
        }
        if let Some(extension) = self.extension_of(relation.oid) {
            return Err(self.required_by_extension(Item::Relation(relation.oid), extension));
        }
        self.refuse_of_engine(&relation)?;
        if let Some(index) = relation.as_index() {
            self.lock(index.table, mode).await?;
            let table = self.relation(index.table)?;
            if let Some(constraint) = constraint_of_index(&table, relation.oid) {
                let constraint = self.describe(Item::Constraint(table.oid, constraint.oid));
                return Err(self.required(&relation, &constraint));
            }
        }
        if let Some((table, number)) =
            relation.as_sequence().filter(|sequence| sequence.internal).and_then(|s| s.owned_by)
        {
            let column = self.describe(Item::Column(table, number));
            return Err(self.required(&relation, &column));
        }
        Ok(Some(Item::Relation(relation.oid)))
    }

    fn required(&self, relation: &Relation, by: &str) -> SqlError {
        SqlError::new(
            SqlState::DependentObjectsStillExist,
            format!(
                "cannot drop {} because {by} requires it",
                self.describe(Item::Relation(relation.oid))
            ),
        )
        .hint(format!("You can drop {by} instead."))
    }

    fn schema_to_drop(&mut self, names: &[String], missing_ok: bool) -> SqlResult<Option<Item>> {
        let name = names.last().map_or("", String::as_str);
        let Some(oid) = self.context.catalog.schema_named(self.context.database, name) else {
            let message = format!("schema \"{name}\" does not exist");
            return self.absent(SqlState::InvalidSchemaName, &message, missing_ok).map(|()| None);
        };
        if self.context.catalog.schema(oid).is_none() {
            return Err(SqlError::new(
                SqlState::DependentObjectsStillExist,
                format!("cannot drop schema {name} because it is required by the database system"),
            ));
        }
        self.check_owns_schema(oid)?;
        let mut extensions = self.context.catalog.extensions_of(self.context.database);
        if let Some(extension) = extensions.find(|it| it.schemas.contains(&oid)) {
            return Err(self.required_by_extension(Item::Schema(oid), extension.oid));
        }
        Ok(Some(Item::Schema(oid)))
    }

    pub(super) fn absent(
        &mut self,
        code: SqlState,
        message: &str,
        missing_ok: bool,
    ) -> SqlResult<()> {
        if !missing_ok {
            return Err(SqlError::new(code, message));
        }
        self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
        Ok(())
    }

    /// `DROP` of kinds of which there can be none.
    fn drop_absent(&mut self, kind: ObjectType, drop: &DropStmt) -> SqlResult<&'static str> {
        let (word, code, tag) = match kind {
            ObjectType::ForeignTable => {
                ("foreign table", SqlState::UndefinedTable, "DROP FOREIGN TABLE")
            }
            _ => return Err(SqlError::unsupported(format!("DROP {}", kind.words()))),
        };
        for object in &drop.objects {
            let name = match object {
                ObjectName::Name(names) => names.join("."),
                _ => return Err(SqlError::unsupported(tag)),
            };
            let message = format!("{word} \"{name}\" does not exist");
            self.absent(code, &message, drop.missing_ok)?;
        }
        Ok(tag)
    }

    /// Drops a relation with its indexes, trees and comments, and takes its foreign keys off the
    /// tables that they reference.
    fn drop_relation(&mut self, relation: &Arc<Relation>) -> SqlResult<()> {
        self.drop_relation_storage(relation)?;
        match &relation.body {
            RelationBody::Table(table) => {
                for constraint in &table.constraints {
                    self.delete_comments(PG_CONSTRAINT, constraint.oid)?;
                    if let ConstraintKind::ForeignKey(key) = &constraint.kind {
                        self.forget_reference(key.target, constraint.oid)?;
                    }
                }
                for index in &table.indexes {
                    if let Some(index) = self.context.catalog.relation(*index).cloned() {
                        self.drop_relation_storage(&index)?;
                        self.delete_comments(PG_CLASS, index.oid)?;
                        self.delete(DescriptorKey::Relation(index.oid))?;
                    }
                }
            }
            RelationBody::Index(index) => {
                if let Some(table) = self.context.catalog.relation(index.table).cloned() {
                    let mut table = (*table).clone();
                    if let RelationBody::Table(body) = &mut table.body {
                        body.indexes.retain(|oid| *oid != relation.oid);
                    }
                    self.put_relation(table)?;
                }
            }
            RelationBody::View { .. } | RelationBody::Sequence(_) => {}
        }
        self.delete_comments(PG_CLASS, relation.oid)?;
        self.delete(DescriptorKey::Relation(relation.oid))
    }

    /// Drops the tree of a table or an index.
    pub(super) fn drop_relation_storage(&mut self, relation: &Relation) -> SqlResult<()> {
        let trees = match &relation.body {
            RelationBody::Table(table) => table.trees(),
            RelationBody::Index(index) => index.trees(),
            RelationBody::View { .. } | RelationBody::Sequence(_) => return Ok(()),
        };
        for tree in trees.iter().filter(|tree| tree.0 != 0) {
            self.txn.drop_tree(tree)?;
        }
        Ok(())
    }

    /// Takes a foreign key off the table that it references.
    pub(super) fn forget_reference(&mut self, target: Oid, constraint: Oid) -> SqlResult<()> {
        let Some(target) = self.context.catalog.relation(target).cloned() else {
            return Ok(());
        };
        let mut target = (*target).clone();
        if let RelationBody::Table(body) = &mut target.body {
            body.referenced_by.retain(|(_, oid)| *oid != constraint);
        }
        self.put_relation(target).map(drop)
    }

    /// Drops a constraint with its index; rows that the index of a primary key holds move under
    /// hidden row ids.
    pub(super) async fn drop_constraint(&mut self, table: Oid, oid: Oid) -> SqlResult<()> {
        let Some(old) = self.context.catalog.relation(table).cloned() else {
            return Ok(());
        };
        let mut changed = (*old).clone();
        let RelationBody::Table(body) = &mut changed.body else {
            return Ok(());
        };
        let Some(at) = body.constraints.iter().position(|constraint| constraint.oid == oid) else {
            return Ok(());
        };
        let constraint = body.constraints.remove(at);
        let mut loses_row_key = false;
        if let ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } =
            constraint.kind
        {
            let index = self.relation(index)?;
            loses_row_key = index.as_index().is_some_and(|body| body.tree == 0);
            body.indexes.retain(|oid| *oid != index.oid);
            if loses_row_key {
                body.row_key.clear();
            }
            self.drop_relation_storage(&index)?;
            self.delete_comments(PG_CLASS, index.oid)?;
            self.delete(DescriptorKey::Relation(index.oid))?;
        }
        self.put_relation(changed)?;
        if let ConstraintKind::ForeignKey(key) = &constraint.kind {
            self.forget_reference(key.target, oid)?;
        }
        self.delete_comments(PG_CONSTRAINT, oid)?;
        if loses_row_key {
            self.rewrite_table(&old, |_, row| Ok(row)).await?;
        }
        Ok(())
    }
}

const fn with_article(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "a table",
        RelationKind::View => "a view",
        RelationKind::Sequence => "a sequence",
        RelationKind::Index => "an index",
        RelationKind::MaterializedView => "a materialized view",
    }
}
