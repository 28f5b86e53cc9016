//! What depends on what, as the descriptors tell: foreign keys, views, defaults, owned sequences.
//!
//! ```text
//! DROP TABLE t ─► constraint u_fkey on table u     (goes with CASCADE)
//!              ─► view v ─► view w                  (goes with CASCADE)
//!              ─► sequence t_a_seq, its indexes     (go silently)
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use aegis_catalog::{ConstraintKind, Relation, RelationBody, TypeBody};
use aegis_types::functions::quote_ident;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::name::kind_word;

/// PostgreSQL lists at most so many objects.
const SHOWN_MAX: usize = 100;

/// Something that can depend on something, or be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// A schema.
    Schema(Oid),
    /// A relation.
    Relation(Oid),
    /// A constraint of a table.
    Constraint(Oid, Oid),
    /// The default of a column.
    Default(Oid, i16),
    /// A column.
    Column(Oid, i16),
    /// A type.
    Type(Oid),
    /// An attribute of a composite type.
    Attribute(Oid, i16),
    /// A function or a procedure.
    Function(Oid),
    /// An extension.
    Extension(Oid),
}

impl Item {
    /// The OID of the item, or of the table that it is a part of.
    const fn oid(self) -> Oid {
        match self {
            Self::Schema(oid)
            | Self::Relation(oid)
            | Self::Constraint(_, oid)
            | Self::Default(oid, _)
            | Self::Column(oid, _)
            | Self::Type(oid)
            | Self::Attribute(oid, _)
            | Self::Function(oid)
            | Self::Extension(oid) => oid,
        }
    }
}

/// What is dropped together.
pub(super) struct Closure {
    /// Everything, the objects that were named first.
    pub(super) items: Vec<Item>,
    /// Of those that were not named and do not go silently: what it depends on.
    reported: Vec<(Item, Item)>,
}

impl Ddl<'_> {
    /// Everything that depends on these objects, by whatever way.
    pub(super) fn closure(&self, targets: &[Item]) -> SqlResult<Closure> {
        let mut closure = Closure { items: targets.to_vec(), reported: Vec::new() };
        let mut seen: HashSet<Item> = targets.iter().copied().collect();
        let mut stack: Vec<(Item, Item, bool)> = Vec::new();
        for target in targets.iter().rev() {
            self.push_dependents(*target, &mut stack)?;
        }
        while let Some((item, on, silent)) = stack.pop() {
            if !seen.insert(item) {
                if silent {
                    closure.reported.retain(|(reported, _)| *reported != item);
                }
                continue;
            }
            closure.items.push(item);
            if !silent {
                closure.reported.push((item, on));
            }
            self.push_dependents(item, &mut stack)?;
        }
        // What belongs to a table that goes too is not told.
        let gone = seen;
        closure.reported.retain(|(item, _)| match item {
            Item::Constraint(table, _) | Item::Default(table, _) | Item::Column(table, _) => {
                !gone.contains(&Item::Relation(*table))
            }
            Item::Relation(oid) => {
                let relation = self.context.catalog.relation(*oid);
                let index = relation.and_then(|relation| relation.as_index());
                let owner = relation.and_then(|relation| relation.as_sequence()?.owned_by);
                let goes = |table| gone.contains(&Item::Relation(table));
                !index.is_some_and(|index| goes(index.table))
                    && !owner.is_some_and(|(table, column)| {
                        goes(table) || gone.contains(&Item::Column(table, column))
                    })
            }
            Item::Attribute(ty, _) => !gone.contains(&Item::Type(*ty)),
            Item::Schema(_) | Item::Type(_) | Item::Function(_) | Item::Extension(_) => true,
        });
        // Nor is it dropped for itself: after its table there is nothing to drop it from.
        closure.items.retain(|item| match item {
            Item::Column(table, _) => !gone.contains(&Item::Relation(*table)),
            Item::Attribute(ty, _) => !gone.contains(&Item::Type(*ty)),
            _ => true,
        });
        Ok(closure)
    }

    /// Pushes what depends on an item directly, the last to be looked at first.
    fn push_dependents(&self, on: Item, stack: &mut Vec<(Item, Item, bool)>) -> SqlResult<()> {
        let mut found: Vec<(Item, bool)> = Vec::new();
        let catalog = &self.context.catalog;
        match on {
            Item::Schema(schema) => {
                let mut relations: Vec<&Arc<Relation>> = catalog
                    .relations_in(schema)
                    .filter(|relation| relation.as_index().is_none())
                    .collect();
                relations.sort_by_key(|relation| relation.oid);
                found.extend(relations.iter().map(
                    |relation| match self.extension_of(relation.oid) {
                        Some(extension) => (Item::Extension(extension), false),
                        None => (Item::Relation(relation.oid), false),
                    },
                ));
                let types = catalog.user_types_of(self.context.database);
                let types = types.filter(|ty| ty.schema == schema);
                found.extend(types.map(|ty| (Item::Type(ty.oid), false)));
                let functions = catalog.user_functions_of(self.context.database);
                let functions = functions.filter(|function| function.schema == schema);
                found.extend(functions.map(|function| match function.extension {
                    Some(extension) => (Item::Extension(extension), false),
                    None => (Item::Function(function.oid), false),
                }));
                let extensions = catalog.extensions_of(self.context.database);
                let extensions = extensions.filter(|extension| extension.schema == schema);
                found.extend(extensions.map(|extension| (Item::Extension(extension.oid), false)));
            }
            Item::Function(oid) => self.function_dependents(oid, &mut found)?,
            Item::Extension(oid) => {
                let functions = catalog.user_functions_of(self.context.database);
                let functions = functions.filter(|function| function.extension == Some(oid));
                found.extend(functions.map(|function| (Item::Function(function.oid), true)));
                let extension = catalog.extension(oid);
                let relations = extension.map_or(&[][..], |it| &it.relations);
                found.extend(relations.iter().map(|relation| (Item::Relation(*relation), true)));
                let schemas = extension.map_or(&[][..], |it| &it.schemas);
                found.extend(schemas.iter().map(|schema| (Item::Schema(*schema), true)));
                // What users have made of engines needs the engines' own tables.
                if extension.is_some_and(|it| it.name == crate::engine::SCHEMA) {
                    let all = catalog.relations_of(self.context.database);
                    let managed = all.filter(|relation| {
                        relation.as_table().is_some_and(|table| table.managed.is_some())
                            && !relations.contains(&relation.oid)
                    });
                    found.extend(managed.map(|relation| (Item::Relation(relation.oid), false)));
                }
            }
            Item::Relation(oid) => self.relation_dependents(oid, &mut found)?,
            Item::Constraint(table, constraint) => {
                if let Some(index) = self.index_of_constraint(table, constraint) {
                    self.index_dependents(index, &mut found);
                }
                // Views that group by the key and show what depends on it.
                for view in self.views_of(&*self.relation(table)?)? {
                    let view = self.relation(view)?;
                    if self.view_uses(&view)?.contains(&(constraint, 0)) {
                        found.push((Item::Relation(view.oid), false));
                    }
                }
            }
            Item::Column(table, number) => self.column_dependents(table, number, &mut found)?,
            Item::Type(oid) => self.type_dependents(oid, &mut found)?,
            Item::Default(..) | Item::Attribute(..) => {}
        }
        // As PostgreSQL tells them: the oldest first.
        found.sort_by_key(|(item, _)| item.oid());
        let row_type = |item: Item| match (item, on) {
            // A function over rows of a table depends on their type.
            (Item::Function(function), Item::Relation(table)) => {
                let function = catalog.user_function(function)?;
                let types = function.parameters.iter().map(|it| it.ty).chain([function.result]);
                let table = catalog.relation(table)?;
                types.into_iter().find(|ty| *ty == table.row_type && ty.is_some()).map(Item::Type)
            }
            _ => None,
        };
        let found = found.into_iter().rev();
        stack.extend(found.map(|(item, silent)| (item, row_type(item).unwrap_or(on), silent)));
        Ok(())
    }

    fn relation_dependents(&self, oid: Oid, found: &mut Vec<(Item, bool)>) -> SqlResult<()> {
        let relation = self.relation(oid)?;
        self.functions_over(&relation, 0, found)?;
        match &relation.body {
            RelationBody::Table(table) => {
                for (other, constraint) in &table.referenced_by {
                    if *other != oid {
                        found.push((Item::Constraint(*other, *constraint), false));
                    }
                }
                found.extend(self.owned_sequences(oid, None).map(|s| (Item::Relation(s), true)));
                found.extend(self.views_of(&relation)?.iter().map(|v| (Item::Relation(*v), false)));
            }
            RelationBody::View { .. } => {
                found.extend(self.views_of(&relation)?.iter().map(|v| (Item::Relation(*v), false)));
            }
            RelationBody::Sequence(_) => {
                found.extend(self.defaults_using(&relation)?.into_iter().map(|item| (item, false)));
                found.extend(self.views_of(&relation)?.iter().map(|v| (Item::Relation(*v), false)));
            }
            RelationBody::Index(_) => self.index_dependents(oid, found),
        }
        Ok(())
    }

    /// What is of a type or names it: columns, defaults, conditions, views.
    fn type_dependents(&self, oid: Oid, found: &mut Vec<(Item, bool)>) -> SqlResult<()> {
        let catalog = &self.context.catalog;
        let array = catalog.array_over(oid).unwrap_or_default();
        let of_type = |ty: Oid| ty == oid || ty == array;
        for other in catalog.user_types_of(self.context.database) {
            match &other.body {
                TypeBody::Domain(body) if of_type(body.base.oid) => {
                    found.push((Item::Type(other.oid), false));
                }
                TypeBody::Composite(body) => {
                    for field in body.attributes.iter().filter(|field| of_type(field.ty.oid)) {
                        found.push((Item::Attribute(other.oid, field.number), false));
                    }
                }
                _ => {}
            }
        }
        for function in catalog.user_functions_of(self.context.database) {
            let parameters = function.parameters.iter().map(|parameter| parameter.ty);
            if parameters.chain([function.result]).any(of_type)
                || self.function_uses(function)?.contains(&(oid, 0))
            {
                found.push((Item::Function(function.oid), false));
            }
        }
        for relation in catalog.relations_of(self.context.database) {
            match &relation.body {
                RelationBody::Table(table) => {
                    for column in relation.live_columns() {
                        if of_type(column.ty.oid) {
                            found.push((Item::Column(relation.oid, column.number), false));
                        } else if let Some(default) = &column.default
                            && default.contains("::")
                            && self.text_uses(default, relation)?.contains(&(oid, 0))
                        {
                            found.push((Item::Default(relation.oid, column.number), false));
                        }
                    }
                    for constraint in &table.constraints {
                        if let ConstraintKind::Check { expression, columns } = &constraint.kind
                            && expression.contains("::")
                            && !columns.iter().any(|number| {
                                relation.column(*number).is_some_and(|c| of_type(c.ty.oid))
                            })
                            && self.text_uses(expression, relation)?.contains(&(oid, 0))
                        {
                            found.push((Item::Constraint(relation.oid, constraint.oid), false));
                        }
                    }
                }
                RelationBody::View { .. } => {
                    if relation.live_columns().any(|column| of_type(column.ty.oid))
                        || self.view_uses(relation)?.contains(&(oid, 0))
                    {
                        found.push((Item::Relation(relation.oid), false));
                    }
                }
                RelationBody::Sequence(_) | RelationBody::Index(_) => {}
            }
        }
        Ok(())
    }

    /// What calls a function: defaults, conditions, indexes, views, other functions.
    fn function_dependents(&self, oid: Oid, found: &mut Vec<(Item, bool)>) -> SqlResult<()> {
        let catalog = &self.context.catalog;
        let Some(function) = catalog.user_function(oid) else { return Ok(()) };
        // The text names it, perhaps in quotes.
        let named = |text: &str| text.contains(function.name.split('"').next().unwrap_or_default());
        let uses = |text: &str, relation: &Arc<Relation>| -> SqlResult<bool> {
            Ok(named(text) && self.text_uses(text, relation)?.contains(&(oid, 0)))
        };
        for relation in catalog.relations_of(self.context.database) {
            for column in relation.live_columns() {
                let Some(default) = &column.default else { continue };
                if uses(default, relation)? {
                    let (table, number) = (relation.oid, column.number);
                    let item = match column.generated {
                        true => Item::Column(table, number),
                        false => Item::Default(table, number),
                    };
                    found.push((item, false));
                }
            }
            for constraint in relation.as_table().map_or(&[][..], |table| &table.constraints) {
                if let ConstraintKind::Check { expression, .. } = &constraint.kind
                    && uses(expression, relation)?
                {
                    found.push((Item::Constraint(relation.oid, constraint.oid), false));
                }
            }
            if let Some(index) = relation.as_index()
                && let Some(table) = catalog.relation(index.table)
            {
                let keys = index.keys.iter().filter_map(|key| key.expression.as_ref());
                let predicate = index.predicate.iter().map(|predicate| &predicate.text);
                for text in keys.map(|key| &key.text).chain(predicate) {
                    if uses(text, table)? {
                        found.push((Item::Relation(relation.oid), false));
                        break;
                    }
                }
            }
            if let Some(definition) = relation.query_text()
                && named(definition)
                && self.view_uses(relation)?.contains(&(oid, 0))
            {
                found.push((Item::Relation(relation.oid), false));
            }
        }
        for other in catalog.user_functions_of(self.context.database) {
            if other.oid != oid && self.function_uses(other)?.contains(&(oid, 0)) {
                found.push((Item::Function(other.oid), false));
            }
        }
        Ok(())
    }

    fn index_dependents(&self, index: Oid, found: &mut Vec<(Item, bool)>) {
        let catalog = &self.context.catalog;
        let Some(table) = catalog.relation(index).and_then(|i| i.as_index()).map(|i| i.table)
        else {
            return;
        };
        let referenced = catalog.relation(table).and_then(|table| table.as_table());
        for (other, constraint) in referenced.into_iter().flat_map(|table| &table.referenced_by) {
            let rests = catalog
                .relation(*other)
                .and_then(|other| other.as_table())
                .and_then(|other| other.constraints.iter().find(|c| c.oid == *constraint))
                .is_some_and(|constraint| {
                    matches!(&constraint.kind,
                        ConstraintKind::ForeignKey(key) if key.target_index == index)
                });
            if rests {
                found.push((Item::Constraint(*other, *constraint), false));
            }
        }
    }

    /// The functions that are of a relation's row type, or whose bodies name it; with a column,
    /// those whose bodies name that.
    fn functions_over(
        &self,
        relation: &Relation,
        column: i16,
        found: &mut Vec<(Item, bool)>,
    ) -> SqlResult<()> {
        let row_types = [relation.row_type, relation.row_array_type];
        let of_row = |ty: Oid| column == 0 && ty.is_some() && row_types.contains(&ty);
        for function in self.context.catalog.user_functions_of(self.context.database) {
            let parameters = function.parameters.iter().map(|parameter| parameter.ty);
            if parameters.chain([function.result]).any(of_row)
                || self.function_uses(function)?.contains(&(relation.oid, column))
            {
                found.push((Item::Function(function.oid), false));
            }
        }
        Ok(())
    }

    fn column_dependents(
        &self,
        table: Oid,
        number: i16,
        found: &mut Vec<(Item, bool)>,
    ) -> SqlResult<()> {
        let relation = self.relation(table)?;
        self.functions_over(&relation, number, found)?;
        let Some(body) = relation.as_table() else {
            return Ok(());
        };
        for constraint in &body.constraints {
            let touches = match &constraint.kind {
                ConstraintKind::Check { columns, .. } => columns.contains(&number),
                ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
                    self.index_names(*index, number)?
                }
                ConstraintKind::ForeignKey(key) => key.columns.contains(&number),
            };
            if touches {
                found.push((Item::Constraint(table, constraint.oid), true));
            }
        }
        for index in &body.indexes {
            if self.index_names(*index, number)?
                && super::constraint::constraint_of_index(&relation, *index).is_none()
            {
                found.push((Item::Relation(*index), true));
            }
        }
        for (other, constraint) in &body.referenced_by {
            let other_relation = self.relation(*other)?;
            let key = other_relation
                .as_table()
                .and_then(|other| other.constraints.iter().find(|c| c.oid == *constraint))
                .and_then(|constraint| match &constraint.kind {
                    ConstraintKind::ForeignKey(key) => Some(key),
                    _ => None,
                });
            if *other != table && key.is_some_and(|key| key.target_columns.contains(&number)) {
                found.push((Item::Constraint(*other, *constraint), false));
            }
        }
        for column in relation.live_columns() {
            if self.generated_from(&relation, column)?.contains(&number) {
                found.push((Item::Column(table, column.number), false));
            }
        }
        found.extend(self.owned_sequences(table, Some(number)).map(|s| (Item::Relation(s), true)));
        for view in self.views_using(&relation, number)? {
            found.push((Item::Relation(view), false));
        }
        Ok(())
    }

    /// Whether an index names a column, in its key or elsewhere.
    fn index_names(&self, index: Oid, number: i16) -> SqlResult<bool> {
        let index = self.relation(index)?;
        Ok(index.as_index().is_some_and(|body| body.named_columns().contains(&number)))
    }

    fn index_of_constraint(&self, table: Oid, constraint: Oid) -> Option<Oid> {
        let table = self.context.catalog.relation(table)?.as_table()?;
        match table.constraints.iter().find(|stored| stored.oid == constraint)?.kind {
            ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => Some(index),
            _ => None,
        }
    }

    /// The sequences that belong to a table, or to one of its columns.
    pub(super) fn owned_sequences(
        &self,
        table: Oid,
        column: Option<i16>,
    ) -> impl Iterator<Item = Oid> + '_ {
        self.context
            .catalog
            .relations_of(self.context.database)
            .filter(move |relation| {
                relation.as_sequence().and_then(|sequence| sequence.owned_by).is_some_and(
                    |(owner, number)| {
                        owner == table && column.is_none_or(|column| column == number)
                    },
                )
            })
            .map(|relation| relation.oid)
    }

    /// The defaults that name a sequence.
    pub(super) fn defaults_using(&self, sequence: &Relation) -> SqlResult<Vec<Item>> {
        let mut found = Vec::new();
        for relation in self.context.catalog.relations_of(self.context.database) {
            for column in relation.live_columns() {
                let Some(default) = &column.default else { continue };
                if default.contains("regclass")
                    && self.text_uses(default, relation)?.contains(&(sequence.oid, 0))
                {
                    found.push(Item::Default(relation.oid, column.number));
                }
            }
        }
        Ok(found)
    }

    /// The views that read a relation, by OID.
    pub(super) fn views_of(&self, relation: &Relation) -> SqlResult<Vec<Oid>> {
        self.views_using(relation, 0)
    }

    /// The views that read a column of a relation; with column 0, the relation.
    pub(super) fn views_using(&self, relation: &Relation, column: i16) -> SqlResult<Vec<Oid>> {
        let mut found = Vec::new();
        for view in self.context.catalog.relations_of(relation.database) {
            let Some(definition) = view.query_text() else { continue };
            if definition.contains(relation.name.split('"').next().unwrap_or_default())
                && self.view_uses(view)?.contains(&(relation.oid, column))
            {
                found.push(view.oid);
            }
        }
        Ok(found)
    }

    /// What messages call an item.
    pub(super) fn describe(&self, item: Item) -> String {
        let catalog = &self.context.catalog;
        let relation = |oid: Oid| {
            catalog.relation(oid).map_or_else(
                || oid.to_string(),
                |relation| format!("{} {}", kind_word(relation.kind()), self.shown(relation)),
            )
        };
        let column = |table: Oid, number: i16| {
            let name = catalog.relation(table).and_then(|table| table.column(number));
            let name = name.map_or_else(String::new, |column| quote_ident(&column.name));
            format!("column {name} of {}", relation(table))
        };
        match item {
            Item::Schema(oid) => {
                format!("schema {}", quote_ident(catalog.schema_name(oid).unwrap_or_default()))
            }
            Item::Relation(oid) => relation(oid),
            Item::Type(oid) => format!("type {}", self.shown_type(oid)),
            Item::Function(oid) => format!("function {}", self.shown_function(oid)),
            Item::Extension(oid) => {
                let name = catalog.extension(oid).map_or("", |it| it.name.as_str());
                format!("extension {}", quote_ident(name))
            }
            Item::Attribute(oid, number) => {
                let name = match catalog.user_type(oid).map(|ty| &ty.body) {
                    Some(TypeBody::Composite(body)) => {
                        body.attributes.iter().find(|field| field.number == number)
                    }
                    _ => None,
                };
                let name = name.map_or_else(String::new, |field| quote_ident(&field.name));
                format!("column {name} of composite type {}", self.shown_type(oid))
            }
            Item::Constraint(table, oid) => {
                let name = catalog
                    .relation(table)
                    .and_then(|table| table.as_table())
                    .and_then(|table| table.constraints.iter().find(|c| c.oid == oid))
                    .map_or_else(String::new, |stored| quote_ident(&stored.name));
                format!("constraint {name} on {}", relation(table))
            }
            Item::Default(table, number) => {
                format!("default value for {}", column(table, number))
            }
            Item::Column(table, number) => column(table, number),
        }
    }

    /// Refuses to drop, or tells what goes too.
    pub(super) fn report(
        &mut self,
        targets: &[Item],
        closure: &Closure,
        cascade: bool,
    ) -> SqlResult<()> {
        if closure.reported.is_empty() {
            return Ok(());
        }
        let mut lines: Vec<String> = closure
            .reported
            .iter()
            .take(SHOWN_MAX)
            .map(|(item, on)| {
                let item = self.describe(*item);
                if cascade {
                    return format!("drop cascades to {item}");
                }
                let on = match *on {
                    Item::Constraint(table, constraint) => {
                        self.index_of_constraint(table, constraint).map_or_else(
                            || self.describe(*on),
                            |index| self.describe(Item::Relation(index)),
                        )
                    }
                    on => self.describe(on),
                };
                format!("{item} depends on {on}")
            })
            .collect();
        let count = closure.reported.len();
        if count > SHOWN_MAX {
            let more = count - SHOWN_MAX;
            let objects = if more == 1 { "object" } else { "objects" };
            lines.push(format!("and {more} other {objects} (see server log for list)"));
        }
        if !cascade {
            let message = match targets {
                [one] => format!(
                    "cannot drop {} because other objects depend on it",
                    self.describe(*one)
                ),
                _ => "cannot drop desired object(s) because other objects depend on them".into(),
            };
            return Err(SqlError::new(SqlState::DependentObjectsStillExist, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let fields = if count == 1 {
            SqlError::new(SqlState::SuccessfulCompletion, lines.remove(0))
        } else {
            SqlError::new(
                SqlState::SuccessfulCompletion,
                format!("drop cascades to {count} other objects"),
            )
            .detail(lines.join("\n"))
        };
        self.notices.push(super::Notice { severity: "NOTICE", fields });
        Ok(())
    }
}
