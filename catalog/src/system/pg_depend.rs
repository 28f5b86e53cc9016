//! `pg_depend`: what belongs to what, and what definitions name.
//!
//! ```text
//! table ─n► schema      default ─a► column      index ─i► constraint ─a► column
//! row type ─i► table    default ─n► sequence    rule ─i► view, ─n► what the query reads
//! ```
//!
//! PostgreSQL's own objects are pinned there and have no rows; the same is true here. Foreign keys
//! have no triggers here, so that nothing depends on theirs.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_types::{Datum, Oid};

use super::SystemContext;
use super::pg_attrdef::default_oid;
use super::pg_attribute::has_default;
use super::pg_constraint::columns;
use crate::descriptor::{
    Column, ConstraintKind, Function, IndexBody, Relation, RelationBody, TableBody, TypeBody,
    UserType,
};
use crate::snapshot::{
    PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT, PG_EXTENSION, PG_NAMESPACE, PG_PROC, PG_REWRITE, PG_TYPE,
};

const AUTO: u8 = b'a';
const EXTENSION: u8 = b'e';
const INTERNAL: u8 = b'i';
const NORMAL: u8 = b'n';

/// An object or a part of it: `classid`, `objid`, `objsubid`.
type Object = (Oid, Oid, i32);

const fn relation_object(oid: Oid) -> Object {
    (PG_CLASS, oid, 0)
}

fn column_object(relation: Oid, column: i16) -> Object {
    (PG_CLASS, relation, column as i32)
}

const fn type_object(oid: Oid) -> Object {
    (PG_TYPE, oid, 0)
}

const fn schema_object(oid: Oid) -> Object {
    (PG_NAMESPACE, oid, 0)
}

/// The rows, as they are found.
struct Rows<'a> {
    context: &'a SystemContext<'a>,
    found: Vec<Vec<Datum>>,
}

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    let mut rows = Rows { context, found: Vec::new() };
    for ty in context.catalog().user_types_of(context.names.database) {
        rows.user_type(ty);
    }
    for relation in context.catalog().relations_of(context.names.database) {
        rows.relation(relation);
    }
    for function in context.functions() {
        if let Some(function) = context.catalog().user_function(function.oid) {
            rows.function(function);
        }
    }
    for extension in context.catalog().extensions_of(context.names.database) {
        rows.push((PG_EXTENSION, extension.oid, 0), schema_object(extension.schema), NORMAL);
        let own = (PG_EXTENSION, extension.oid, 0);
        for schema in &extension.schemas {
            rows.push(schema_object(*schema), own, EXTENSION);
        }
        for relation in &extension.relations {
            rows.push(relation_object(*relation), own, EXTENSION);
        }
    }
    rows.found
}

impl Rows<'_> {
    fn push(&mut self, object: Object, on: Object, kind: u8) {
        self.found.push(row![object.0, object.1, object.2, on.0, on.1, on.2, kind]);
    }

    /// Whether this is a type that users have made.
    fn is_type(&self, oid: Oid) -> bool {
        let catalog = self.context.catalog();
        catalog.user_type(oid).is_some()
            || catalog.element_of(oid).is_some()
            || catalog.relation_of_row_type(oid).is_some()
    }

    /// The type of something, if it is a user's.
    fn of_type(&mut self, object: Object, ty: Oid) {
        if self.is_type(ty) {
            self.push(object, type_object(ty), NORMAL);
        }
    }

    fn user_type(&mut self, ty: &UserType) {
        let object = type_object(ty.oid);
        self.push(object, schema_object(ty.schema), NORMAL);
        if ty.array.is_some() {
            self.push(type_object(ty.array), object, INTERNAL);
        }
        match &ty.body {
            TypeBody::Enum(_) => {}
            TypeBody::Domain(body) => {
                self.of_type(object, body.base.oid);
                for check in &body.checks {
                    self.push((PG_CONSTRAINT, check.oid, 0), object, AUTO);
                }
            }
            TypeBody::Composite(body) => {
                self.push(relation_object(body.relation), object, INTERNAL);
                for field in &body.attributes {
                    self.of_type(column_object(body.relation, field.number), field.ty.oid);
                }
            }
        }
    }

    fn function(&mut self, function: &Function) {
        let object = (PG_PROC, function.oid, 0);
        self.push(object, schema_object(function.schema), NORMAL);
        if let Some(extension) = function.extension {
            self.push(object, (PG_EXTENSION, extension, 0), EXTENSION);
        }
        for ty in function.parameters.iter().map(|it| it.ty).chain([function.result]) {
            self.of_type(object, ty);
        }
        let names = &self.context.names;
        self.uses(object, &names.text.function_uses(names, function), NORMAL);
    }

    fn relation(&mut self, relation: &Arc<Relation>) {
        let object = relation_object(relation.oid);
        match &relation.body {
            RelationBody::Table(table) => self.table(relation, table),
            RelationBody::View { .. } => {}
            RelationBody::Sequence(sequence) => {
                if let Some((table, column)) = sequence.owned_by {
                    let kind = if sequence.internal { INTERNAL } else { AUTO };
                    self.push(object, column_object(table, column), kind);
                }
            }
            RelationBody::Index(index) => return self.index(relation, index),
        }
        self.push(object, schema_object(relation.schema), NORMAL);
        if relation.row_type.is_some() {
            self.push(type_object(relation.row_type), object, INTERNAL);
            if relation.row_array_type.is_some() {
                let array = type_object(relation.row_array_type);
                self.push(array, type_object(relation.row_type), INTERNAL);
            }
        }
        for column in relation.live_columns() {
            self.of_type(column_object(relation.oid, column.number), column.ty.oid);
        }
        if relation.query_text().is_some() {
            self.view(relation);
        }
    }

    /// The rule of a view belongs to it, and depends on what its query names.
    fn view(&mut self, view: &Relation) {
        let rule = (PG_REWRITE, view.oid, 0);
        self.push(rule, relation_object(view.oid), INTERNAL);
        // The rule's own `old` and `new`.
        self.push(rule, relation_object(view.oid), NORMAL);
        let names = &self.context.names;
        self.uses(rule, &names.text.view_uses(names, view), NORMAL);
    }

    /// What text names. A column stands for its table.
    fn uses(&mut self, object: Object, uses: &[(Oid, i16)], kind: u8) {
        let catalog = self.context.catalog();
        let by_column: BTreeSet<Oid> =
            uses.iter().filter(|(_, column)| *column != 0).map(|(oid, _)| *oid).collect();
        for (oid, column) in uses {
            if catalog.relation(*oid).is_some() {
                if *column != 0 {
                    self.push(object, column_object(*oid, *column), kind);
                } else if !by_column.contains(oid) {
                    self.push(object, relation_object(*oid), kind);
                }
            } else if self.is_type(*oid) {
                self.of_type(object, *oid);
            } else if catalog.user_function(*oid).is_some() {
                self.push(object, (PG_PROC, *oid, 0), kind);
            } else if *oid >= Oid::FIRST_USER {
                // A primary key, by which a view shows columns that it does not group by.
                self.push(object, (PG_CONSTRAINT, *oid, 0), kind);
            }
        }
    }

    /// What an expression over a relation names, its columns apart from the rest.
    fn expression(&self, text: &str, relation: &Arc<Relation>) -> [Vec<(Oid, i16)>; 2] {
        let names = &self.context.names;
        let uses = names.text.expression_uses(names, text, relation);
        let (own, other) = uses.into_iter().partition(|(oid, _)| *oid == relation.oid);
        [own, other]
    }

    fn index(&mut self, relation: &Relation, index: &IndexBody) {
        let object = relation_object(relation.oid);
        if let Some(constraint) = self.constraint_of(index.table, relation.oid) {
            return self.push(object, (PG_CONSTRAINT, constraint, 0), INTERNAL);
        }
        let plain: Vec<i16> = index.keys.iter().map(|key| key.column).collect();
        let plain = plain.into_iter().chain(index.include.iter().copied());
        let plain: Vec<i16> = plain.filter(|column| *column != 0).collect();
        if plain.is_empty() {
            self.push(object, relation_object(index.table), AUTO);
        }
        let expressions = index.keys.iter().filter_map(|key| key.expression.as_ref());
        let mut named: BTreeSet<i16> = BTreeSet::new();
        expressions.for_each(|expression| named.extend(&expression.columns));
        let predicate = index.predicate.iter().flat_map(|predicate| &predicate.columns);
        let predicate: BTreeSet<i16> = predicate.copied().collect();
        for column in plain.into_iter().chain(named).chain(predicate) {
            self.push(object, column_object(index.table, column), AUTO);
        }
    }

    /// The constraint that an index was made for.
    fn constraint_of(&self, table: Oid, index: Oid) -> Option<Oid> {
        let table = self.context.catalog().relation(table)?.as_table()?;
        let is_of = |kind: &ConstraintKind| match kind {
            ConstraintKind::PrimaryKey { index: own } | ConstraintKind::Unique { index: own } => {
                *own == index
            }
            ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => false,
        };
        table.constraints.iter().find(|constraint| is_of(&constraint.kind)).map(|found| found.oid)
    }

    fn table(&mut self, relation: &Arc<Relation>, table: &TableBody) {
        for column in relation.columns.iter().filter(|column| has_default(column)) {
            self.default(relation, column);
        }
        for constraint in &table.constraints {
            let object = (PG_CONSTRAINT, constraint.oid, 0);
            let own = columns(self.context, &constraint.kind);
            if own.is_empty() {
                self.push(object, relation_object(relation.oid), AUTO);
            }
            for column in own {
                self.push(object, column_object(relation.oid, column), AUTO);
            }
            match &constraint.kind {
                ConstraintKind::ForeignKey(key) => {
                    for column in &key.target_columns {
                        self.push(object, column_object(key.target, *column), NORMAL);
                    }
                    self.push(object, relation_object(key.target_index), NORMAL);
                }
                ConstraintKind::Check { expression, .. } => {
                    let [own, other] = self.expression(expression, relation);
                    self.uses(object, &own, NORMAL);
                    self.uses(object, &other, NORMAL);
                }
                ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } => {}
            }
        }
    }

    /// A default belongs to its column; a generated column cannot be without its expression.
    fn default(&mut self, relation: &Arc<Relation>, column: &Column) {
        let object = (PG_ATTRDEF, default_oid(relation.oid, column.number), 0);
        let kind = if column.generated { INTERNAL } else { AUTO };
        self.push(object, column_object(relation.oid, column.number), kind);
        let Some(text) = &column.default else { return };
        let [own, other] = self.expression(text, relation);
        self.uses(object, &own, NORMAL);
        self.uses(object, &other, NORMAL);
    }
}
