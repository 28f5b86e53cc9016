//! Names of objects as a session sees them: found by `search_path`, printed as short as they are
//! found again.

use std::sync::Arc;

use aegis_types::builtin::{TypeRow, builtins};
use aegis_types::functions::quote_ident;
use aegis_types::user_type::{UserType as ValueType, label_at};
use aegis_types::{Oid, TypeRef, type_oid as t};

use super::{SEQUENCE_COLUMNS, relation, relation_by_oid, relation_of_row_type};
use crate::descriptor::{DomainBody, DomainCheck, Function, Relation, TypeBody};
use crate::snapshot::{CatalogSnapshot, PG_CATALOG};

/// A catalog, and how its names are searched.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The catalog.
    pub catalog: &'a CatalogSnapshot,
    /// The session's database.
    pub database: Oid,
    /// The schemas of `search_path` that exist. `pg_catalog` comes first if it is not among them.
    pub search_path: &'a [Oid],
    /// What shows stored expressions and queries.
    pub text: &'a dyn StoredText,
}

/// Shows the expressions and queries that descriptors keep as text. The catalog reads no SQL; whoever
/// shows it to a session does.
pub trait StoredText: Sync {
    /// A default or a condition, of this relation where it names columns.
    fn expression(
        &self,
        names: &Names<'_>,
        text: &str,
        relation: Option<&Arc<Relation>>,
        pretty: bool,
    ) -> String;

    /// What an expression of a relation names: columns of the relation, and with column 0 other
    /// relations and users' types.
    fn expression_uses(
        &self,
        names: &Names<'_>,
        text: &str,
        relation: &Arc<Relation>,
    ) -> Vec<(Oid, i16)>;

    /// The stored relations and users' types (column 0) and the columns that a view's query names.
    fn view_uses(&self, names: &Names<'_>, view: &Relation) -> Vec<(Oid, i16)>;

    /// The same for the body of a function, if it is kept as what it means.
    fn function_uses(&self, names: &Names<'_>, function: &Function) -> Vec<(Oid, i16)>;

    /// The body of a function as `CREATE FUNCTION` has it, if it is no string.
    fn function_body(&self, names: &Names<'_>, function: &Function) -> Option<String>;

    /// For each column of a view, whether it can be assigned to; `None` for a view that cannot be
    /// changed through.
    fn updatable_columns(&self, names: &Names<'_>, view: &Arc<Relation>) -> Option<Vec<bool>>;
    /// A condition of a domain over this type.
    fn domain_check(&self, names: &Names<'_>, text: &str, base: TypeRef, pretty: bool) -> String;

    /// A view's query, as far as the semicolon behind it. Lists are broken beyond `wrap_column`.
    fn view(&self, names: &Names<'_>, view: &Relation, pretty: bool, wrap_column: i32) -> String;
}

/// Everything as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct AsStored;

impl StoredText for AsStored {
    fn expression(&self, _: &Names<'_>, text: &str, _: Option<&Arc<Relation>>, _: bool) -> String {
        text.to_owned()
    }

    fn expression_uses(&self, _: &Names<'_>, _: &str, _: &Arc<Relation>) -> Vec<(Oid, i16)> {
        Vec::new()
    }

    fn view_uses(&self, _: &Names<'_>, _: &Relation) -> Vec<(Oid, i16)> {
        Vec::new()
    }

    fn function_uses(&self, _: &Names<'_>, _: &Function) -> Vec<(Oid, i16)> {
        Vec::new()
    }

    fn function_body(&self, _: &Names<'_>, _: &Function) -> Option<String> {
        None
    }

    fn updatable_columns(&self, _: &Names<'_>, _: &Arc<Relation>) -> Option<Vec<bool>> {
        None
    }

    fn domain_check(&self, _: &Names<'_>, text: &str, _: TypeRef, _: bool) -> String {
        text.to_owned()
    }

    fn view(&self, _: &Names<'_>, view: &Relation, _: bool, _: i32) -> String {
        view.query_text().unwrap_or_default().to_owned()
    }
}

/// Whether a type is an array over its element, and not a vector.
fn is_true_array(row: &TypeRow) -> bool {
    row.category == b'A' && row.length == -1 && row.element.is_some() && row.storage != b'p'
}

impl<'a> Names<'a> {
    /// The schemas that names are searched in, in order.
    pub fn effective_path(&self) -> impl Iterator<Item = Oid> + 'a {
        let (own, path) = self.catalog.split_path(self.search_path);
        let implicit = (!path.contains(&PG_CATALOG)).then_some(PG_CATALOG);
        own.into_iter().chain(implicit).chain(path.iter().copied())
    }

    /// The schema with this name.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<Oid> {
        self.catalog.schema_named(self.database, name)
    }

    /// The relation of a schema with this name, computed or stored.
    #[must_use]
    pub fn relation_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        match self.catalog.relation_named(schema, name) {
            Some(found) => Some(found.oid),
            None => {
                let schema_name = self.catalog.schema_name(schema)?;
                relation(&format!("{schema_name}.{name}"))
                    .filter(|found| found.schema == schema)
                    .map(|found| found.oid)
            }
        }
    }

    /// The first relation of the path with this name.
    #[must_use]
    pub fn relation_on_path(&self, name: &str) -> Option<Oid> {
        self.effective_path().find_map(|schema| self.relation_in(schema, name))
    }

    /// The schema and the name of a relation, computed or stored.
    #[must_use]
    pub fn relation_parts(&self, oid: Oid) -> Option<(Oid, &'a str)> {
        match self.catalog.relation(oid) {
            Some(found) => Some((found.schema, found.name.as_str())),
            None => relation_by_oid(oid).map(|found| (found.schema, found.short_name())),
        }
    }

    /// Whether a relation is found by its bare name; `None` if there is no such relation.
    #[must_use]
    pub fn relation_is_visible(&self, oid: Oid) -> Option<bool> {
        let Some((_, name)) = self.relation_parts(oid) else {
            // The row that a composite type has in pg_class; its name is also the type's.
            let mut types = self.catalog.user_types_of(self.database);
            let ty = types.find(|ty| match &ty.body {
                TypeBody::Composite(body) => body.relation == oid,
                _ => false,
            })?;
            return Some(self.type_on_path(&ty.name) == Some(ty.oid));
        };
        Some(self.relation_on_path(name) == Some(oid))
    }

    /// The name of a relation, qualified where it is not visible.
    #[must_use]
    pub fn relation_name(&self, oid: Oid) -> Option<String> {
        let (schema, name) = self.relation_parts(oid)?;
        if self.relation_on_path(name) == Some(oid) {
            return Some(quote_ident(name));
        }
        Some(self.qualified(schema, name))
    }

    /// The name of a relation with its schema.
    #[must_use]
    pub fn qualified_relation_name(&self, oid: Oid) -> Option<String> {
        self.relation_parts(oid).map(|(schema, name)| self.qualified(schema, name))
    }

    /// A name with its schema.
    #[must_use]
    pub fn qualified(&self, schema: Oid, name: &str) -> String {
        match self.catalog.schema_name(schema) {
            Some(schema) => format!("{}.{}", quote_ident(schema), quote_ident(name)),
            None => quote_ident(name),
        }
    }

    /// The name of the session's database.
    #[must_use]
    pub fn database_name(&self) -> &'a str {
        self.catalog.database(self.database).map_or("", |database| database.name.as_str())
    }

    /// The type of a schema with this name: PostgreSQL's own, or a row type, or an array over one.
    #[must_use]
    pub fn type_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        if schema == PG_CATALOG
            && let Some(row) = builtins().type_named(name)
        {
            return Some(row.oid);
        }
        if let Some(found) = self.catalog.type_named(schema, name) {
            return Some(found);
        }
        if let Some(found) = self.row_type_in(schema, name) {
            return Some(found.0);
        }
        name.strip_prefix('_').and_then(|element| self.row_type_in(schema, element)).map(|f| f.1)
    }

    fn row_type_in(&self, schema: Oid, name: &str) -> Option<(Oid, Oid)> {
        let oid = self.relation_in(schema, name)?;
        let found = match self.catalog.relation(oid) {
            Some(found) => (found.row_type, found.row_array_type),
            None => relation_by_oid(oid).map(|found| (found.row_type, found.row_array_type))?,
        };
        found.0.is_some().then_some(found)
    }

    /// The first type of the path with this name.
    #[must_use]
    pub fn type_on_path(&self, name: &str) -> Option<Oid> {
        self.effective_path().find_map(|schema| self.type_in(schema, name))
    }

    /// The schema and `typname` of a type.
    #[must_use]
    pub fn type_parts(&self, oid: Oid) -> Option<(Oid, String)> {
        if let Some(row) = builtins().type_row(oid) {
            return Some((PG_CATALOG, row.name.to_owned()));
        }
        if let Some(parts) = self.catalog.type_parts(oid) {
            return Some(parts);
        }
        let (relation, row_type) = match self.catalog.relation_of_row_type(oid) {
            Some(found) => (found.oid, found.row_type),
            None => relation_of_row_type(oid).map(|found| (found.oid, found.row_type))?,
        };
        let (schema, name) = self.relation_parts(relation)?;
        Some((schema, if row_type == oid { name.to_owned() } else { format!("_{name}") }))
    }

    /// The array type over an element type.
    #[must_use]
    pub fn array_over(&self, element: Oid) -> Option<Oid> {
        if let Some(row) = builtins().type_row(element) {
            return Some(row.array).filter(|array| array.is_some());
        }
        if let Some(array) = self.catalog.array_over(element) {
            return Some(array);
        }
        let (row_type, array) = match self.catalog.relation_of_row_type(element) {
            Some(found) => (found.row_type, found.row_array_type),
            None => relation_of_row_type(element).map(|f| (f.row_type, f.row_array_type))?,
        };
        (row_type == element).then_some(array)
    }

    /// What a type is that PostgreSQL's own table does not have.
    #[must_use]
    pub fn user_type(&self, oid: Oid) -> Option<ValueType> {
        if let Some(element) = self.catalog.element_of(oid) {
            return Some(ValueType::Array(element));
        }
        match &self.catalog.user_type(oid)?.body {
            TypeBody::Enum(labels) => Some(ValueType::Enum(labels.clone())),
            TypeBody::Domain(body) => Some(ValueType::Domain(body.base)),
            TypeBody::Composite(_) => None,
        }
    }

    /// The names and types of the fields of a composite type.
    #[must_use]
    pub fn record_fields(&self, record: TypeRef) -> Option<Arc<[(Arc<str>, TypeRef)]>> {
        if let Some(ty) = self.catalog.user_type(record.oid) {
            let TypeBody::Composite(body) = &ty.body else { return None };
            let fields = body.attributes.iter();
            return Some(fields.map(|field| (Arc::from(field.name.as_str()), field.ty)).collect());
        }
        let relation = match self.catalog.relation_of_row_type(record.oid) {
            Some(found) if found.row_type == record.oid => found.oid,
            Some(_) => return None,
            None => relation_of_row_type(record.oid)
                .filter(|found| found.row_type == record.oid)
                .map(|found| found.oid)?,
        };
        let columns = self.columns(relation).into_iter();
        Some(columns.map(|(_, name, ty)| (Arc::from(name), ty)).collect())
    }

    /// The text of a domain's condition.
    #[must_use]
    pub fn domain_check(&self, body: &DomainBody, check: &DomainCheck, pretty: bool) -> String {
        self.text.domain_check(self, &check.expression, body.base, pretty)
    }

    /// The text of an enum's label.
    #[must_use]
    pub fn enum_label(&self, oid: Oid, place: u64) -> Option<String> {
        match &self.catalog.user_type(oid)?.body {
            TypeBody::Enum(labels) => label_at(labels, place).map(|label| label.name.clone()),
            _ => None,
        }
    }

    /// The element of an array type.
    #[must_use]
    pub fn element_of(&self, array: Oid) -> Option<Oid> {
        if let Some(row) = builtins().type_row(array) {
            let is_array = is_true_array(row) || array == aegis_types::type_oid::RECORD_ARRAY;
            return is_array.then_some(row.element);
        }
        if let Some(element) = self.catalog.element_of(array) {
            return Some(element);
        }
        let (row_type, row_array) = match self.catalog.relation_of_row_type(array) {
            Some(found) => (found.row_type, found.row_array_type),
            None => relation_of_row_type(array).map(|f| (f.row_type, f.row_array_type))?,
        };
        (row_array == array).then_some(row_type)
    }

    /// `format_type`: the name of a type in SQL. `typmod` is `None` where none was given at all,
    /// which differs from -1 for `character` and `bit`.
    #[must_use]
    pub fn format_type(&self, oid: Oid, typmod: Option<i32>) -> String {
        if !oid.is_some() {
            return "-".to_owned();
        }
        if let Some(element) = self.element_of(oid) {
            return format!("{}[]", self.format_type(element, typmod));
        }
        if let Some(name) = standard_name(oid, typmod) {
            return name;
        }
        let Some((schema, name)) = self.type_parts(oid) else {
            return "???".to_owned();
        };
        let mut text = if self.type_on_path(&name) == Some(oid) {
            quote_ident(&name)
        } else {
            self.qualified(schema, &name)
        };
        if let Some(modifier) = typmod.filter(|modifier| *modifier >= 0) {
            text.push_str(&format!("({modifier})"));
        }
        text
    }

    /// [`Names::format_type`] of a column's type.
    #[must_use]
    pub fn type_name(&self, ty: TypeRef) -> String {
        self.format_type(ty.oid, Some(ty.typmod))
    }

    /// The columns of a relation, computed or stored, live ones alone: number, name, type.
    #[must_use]
    pub fn columns(&self, oid: Oid) -> Vec<(i16, &'a str, TypeRef)> {
        if let Some(found) = self.catalog.relation(oid) {
            if found.as_sequence().is_some() {
                let columns = (1_i16..).zip(SEQUENCE_COLUMNS);
                return columns.map(|(at, (name, ty))| (at, name, TypeRef::plain(ty))).collect();
            }
            return found.live_columns().map(|c| (c.number, c.name.as_str(), c.ty)).collect();
        }
        let columns = relation_by_oid(oid).map_or(&[][..], |found| &found.columns);
        (1_i16..).zip(columns).map(|(number, column)| (number, column.name, column.ty)).collect()
    }

    /// The names of a relation's columns, quoted, between commas.
    #[must_use]
    pub fn column_list(&self, relation: &Relation, numbers: &[i16]) -> String {
        let names: Vec<String> = numbers
            .iter()
            .filter_map(|number| relation.column(*number))
            .map(|column| quote_ident(&column.name))
            .collect();
        names.join(", ")
    }
}

/// The types that SQL has words of its own for.
fn standard_name(oid: Oid, typmod: Option<i32>) -> Option<String> {
    let modifier = typmod.filter(|modifier| *modifier >= 0);
    let length = |name: &str, less: i32| match modifier {
        Some(modifier) => format!("{name}({})", modifier - less),
        None => name.to_owned(),
    };
    let time = |name: &str, zone: &str| match modifier {
        Some(precision) => format!("{name}({precision}) {zone}"),
        None => format!("{name} {zone}"),
    };
    Some(match oid {
        t::BOOL => "boolean".to_owned(),
        t::INT2 => "smallint".to_owned(),
        t::INT4 => "integer".to_owned(),
        t::INT8 => "bigint".to_owned(),
        t::FLOAT4 => "real".to_owned(),
        t::FLOAT8 => "double precision".to_owned(),
        t::VARCHAR => length("character varying", 4),
        t::BPCHAR => match (modifier, typmod) {
            (Some(_), _) => length("character", 4),
            (None, Some(_)) => return None,
            (None, None) => "character".to_owned(),
        },
        t::BIT => match (modifier, typmod) {
            (Some(_), _) => length("bit", 0),
            (None, Some(_)) => return None,
            (None, None) => "bit".to_owned(),
        },
        t::VARBIT => length("bit varying", 0),
        t::NUMERIC => match modifier {
            Some(modifier) => {
                let packed = modifier - 4;
                let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
                format!("numeric({},{scale})", (packed >> 16) & 0xffff)
            }
            None => "numeric".to_owned(),
        },
        t::TIME => time("time", "without time zone"),
        t::TIMETZ => time("time", "with time zone"),
        t::TIMESTAMP => time("timestamp", "without time zone"),
        t::TIMESTAMPTZ => time("timestamp", "with time zone"),
        t::INTERVAL => modifier.map_or_else(|| "interval".to_owned(), interval_name),
        _ => return None,
    })
}

/// The fields that an interval's modifier keeps are the bits above 16 (`datetime.h`); its precision
/// the bits below.
fn interval_name(modifier: i32) -> String {
    const FIELDS: [(i32, &str); 6] = [
        (1 << 2, "year"),
        (1 << 1, "month"),
        (1 << 3, "day"),
        (1 << 10, "hour"),
        (1 << 11, "minute"),
        (1 << 12, "second"),
    ];
    let mask = (modifier >> 16) & 0x7fff;
    let mut name = "interval".to_owned();
    if mask != 0x7fff {
        let mut kept = FIELDS.iter().filter(|(bit, _)| mask & bit != 0).map(|(_, word)| *word);
        let (first, last) = (kept.next(), kept.next_back());
        for (at, word) in first.into_iter().chain(last).enumerate() {
            name.push_str(if at == 0 { " " } else { " to " });
            name.push_str(word);
        }
    }
    let precision = modifier & 0xffff;
    if precision != 0xffff {
        name.push_str(&format!("({precision})"));
    }
    name
}
