//! What the analyzer asks about types: category, element, array, row, and how messages name them.
//!
//! Types are PostgreSQL's own rows of `pg_type`, the types of users and the row types of relations,
//! with the arrays over those.

use aegis_catalog::{CatalogSnapshot, TypeBody};
use aegis_types::builtin::builtins;
use aegis_types::functions::quote_ident;
use aegis_types::{Oid, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::Node;
use crate::ast::interval_mask as mask;
use crate::bound::{CallForm, Expr};

/// The polymorphic pseudo-types whose arguments must be of one type.
#[must_use]
pub fn is_polymorphic_family1(oid: Oid) -> bool {
    matches!(
        oid,
        t::ANYELEMENT | t::ANYARRAY | t::ANYNONARRAY | t::ANYENUM | t::ANYRANGE | t::ANYMULTIRANGE
    )
}

/// The polymorphic pseudo-types whose arguments must have a common type.
pub(super) fn is_polymorphic_family2(oid: Oid) -> bool {
    matches!(
        oid,
        t::ANYCOMPATIBLE
            | t::ANYCOMPATIBLEARRAY
            | t::ANYCOMPATIBLENONARRAY
            | t::ANYCOMPATIBLERANGE
            | t::ANYCOMPATIBLEMULTIRANGE
    )
}

/// Whether the type stands for others, to be found out at each call.
#[must_use]
pub fn is_polymorphic(oid: Oid) -> bool {
    is_polymorphic_family1(oid) || is_polymorphic_family2(oid)
}

impl Analyzer<'_> {
    /// `typcategory` and `typispreferred`.
    pub(super) fn category(&self, oid: Oid) -> (u8, bool) {
        if let Some(row) = builtins().type_row(oid) {
            return (row.category, row.preferred);
        }
        let base = self.base_type(oid);
        if base != oid {
            return (self.category(base).0, false);
        }
        let catalog = &self.context.catalog;
        let category = if catalog.element_of(oid).is_some() {
            b'A'
        } else if self.is_enum(oid) {
            b'E'
        } else if self.is_composite(oid) {
            b'C'
        } else {
            b'U'
        };
        (category, false)
    }

    /// The element type of a true array type.
    pub(super) fn element_type(&self, oid: Oid) -> Option<Oid> {
        if let Some(row) = builtins().type_row(oid) {
            let is_array = (row.category == b'A' || oid == t::RECORD_ARRAY)
                && row.length == -1
                && row.element.is_some();
            return is_array.then_some(row.element);
        }
        self.context.catalog.element_of(oid)
    }

    /// The array type over a type.
    pub(super) fn array_type(&self, oid: Oid) -> Option<Oid> {
        if let Some(row) = builtins().type_row(oid) {
            return row.array.is_some().then_some(row.array);
        }
        self.context.catalog.array_over(oid)
    }

    /// The array type over a type; of an array, the same type, for it has any number of dimensions.
    pub(super) fn promoted_array_type(&self, oid: Oid) -> Option<Oid> {
        self.array_type(oid).or_else(|| self.element_type(oid).map(|_| oid))
    }

    /// The type beneath all domains.
    pub(super) fn base_type(&self, oid: Oid) -> Oid {
        self.context.catalog.base_type(TypeRef::plain(oid)).oid
    }

    /// What a domain is directly over all domains, with its modifier; none for another type.
    pub(super) fn domain_base(&self, oid: Oid) -> Option<TypeRef> {
        let base = self.context.catalog.base_type(TypeRef::plain(oid));
        (base.oid != oid).then_some(base)
    }

    /// An expression of a domain as one of the type beneath it.
    pub(super) fn undomained(&self, node: Node) -> Node {
        match self.domain_base(node.oid()) {
            None => node,
            Some(ty) => {
                let form = CallForm::ImplicitCast;
                let expr = Expr::Relabel { arg: Box::new(node.expr), ty, form };
                Node { expr, at: node.at }
            }
        }
    }

    /// The names and types of the fields of a composite type.
    pub(super) fn composite_fields(&self, oid: Oid) -> Option<Vec<(String, TypeRef)>> {
        let catalog = &self.context.catalog;
        if let Some(ty) = catalog.user_type(oid) {
            return match &ty.body {
                TypeBody::Composite(body) => {
                    Some(body.attributes.iter().map(|a| (a.name.clone(), a.ty)).collect())
                }
                _ => None,
            };
        }
        let relation = catalog.relation_of_row_type(oid).filter(|r| r.row_type == oid)?;
        Some(relation.live_columns().map(|c| (c.name.clone(), c.ty)).collect())
    }

    /// Whether values of the type have fields.
    pub(super) fn is_composite(&self, oid: Oid) -> bool {
        let catalog = &self.context.catalog;
        match catalog.user_type(oid) {
            Some(ty) => matches!(ty.body, TypeBody::Composite(_)),
            None => catalog.relation_of_row_type(oid).is_some_and(|r| r.row_type == oid),
        }
    }

    /// Whether the type is an enum.
    pub(super) fn is_enum(&self, oid: Oid) -> bool {
        let ty = self.context.catalog.user_type(oid);
        ty.is_some_and(|ty| matches!(ty.body, TypeBody::Enum(_)))
    }

    /// Whether the type is a range type.
    pub(super) fn is_range(&self, oid: Oid) -> bool {
        self.range_subtype(oid).is_some()
    }

    /// The subtype of a range type.
    pub(super) fn range_subtype(&self, oid: Oid) -> Option<Oid> {
        Some(match oid {
            t::INT4RANGE => t::INT4,
            t::INT8RANGE => t::INT8,
            t::NUMRANGE => t::NUMERIC,
            t::TSRANGE => t::TIMESTAMP,
            t::TSTZRANGE => t::TIMESTAMPTZ,
            t::DATERANGE => t::DATE,
            _ => return None,
        })
    }

    /// The range type of a multirange type.
    pub(super) fn multirange_range(&self, oid: Oid) -> Option<Oid> {
        Some(match oid {
            t::INT4MULTIRANGE => t::INT4RANGE,
            t::INT8MULTIRANGE => t::INT8RANGE,
            t::NUMMULTIRANGE => t::NUMRANGE,
            t::TSMULTIRANGE => t::TSRANGE,
            t::TSTZMULTIRANGE => t::TSTZRANGE,
            t::DATEMULTIRANGE => t::DATERANGE,
            _ => return None,
        })
    }

    /// The multirange type over a range type.
    pub(super) fn range_multirange(&self, oid: Oid) -> Option<Oid> {
        Some(match oid {
            t::INT4RANGE => t::INT4MULTIRANGE,
            t::INT8RANGE => t::INT8MULTIRANGE,
            t::NUMRANGE => t::NUMMULTIRANGE,
            t::TSRANGE => t::TSMULTIRANGE,
            t::TSTZRANGE => t::TSTZMULTIRANGE,
            t::DATERANGE => t::DATEMULTIRANGE,
            _ => return None,
        })
    }

    /// The type's name as messages have it (`format_type_be`).
    pub(super) fn type_name(&self, oid: Oid) -> String {
        format_type(self.context.catalog, self.context.search_path, TypeRef::plain(oid))
    }

    /// The type's name with its modifier.
    pub(super) fn type_name_with_typmod(&self, ty: TypeRef) -> String {
        format_type(self.context.catalog, self.context.search_path, ty)
    }
}

/// The name of a type in SQL, with its modifier (PostgreSQL's `format_type`): a user's type is
/// qualified unless `search_path` finds it.
#[must_use]
pub fn format_type(catalog: &CatalogSnapshot, search_path: &[Oid], ty: TypeRef) -> String {
    if !ty.oid.is_some() {
        return "-".to_owned();
    }
    if let Some(row) = builtins().type_row(ty.oid) {
        let is_array = row.category == b'A' && row.length == -1 && row.element.is_some();
        let is_array = is_array || ty.oid == t::RECORD_ARRAY;
        if is_array && !matches!(ty.oid, t::INT2VECTOR | t::OIDVECTOR) {
            let element = TypeRef::with_typmod(row.element, ty.typmod);
            return format!("{}[]", format_type(catalog, search_path, element));
        }
        return builtin_name(ty, row.name);
    }
    if let Some(element) = catalog.element_of(ty.oid) {
        let element = TypeRef::with_typmod(element, ty.typmod);
        return format!("{}[]", format_type(catalog, search_path, element));
    }
    let Some((schema, name)) = catalog.type_parts(ty.oid) else {
        return "???".to_owned();
    };
    let visible = search_path.iter().find_map(|schema| catalog.type_named(*schema, &name));
    if visible == Some(ty.oid) {
        return quote_ident(&name);
    }
    let schema = catalog.schema_name(schema).unwrap_or_default();
    format!("{}.{}", quote_ident(schema), quote_ident(&name))
}

fn builtin_name(ty: TypeRef, name: &str) -> String {
    let typmod = ty.typmod;
    let precision = |suffix: &str, word: &str| match typmod {
        0.. => format!("{word}({typmod}){suffix}"),
        _ => format!("{word}{suffix}"),
    };
    let length = |word: &str| {
        if typmod > 4 { format!("{word}({})", typmod - 4) } else { word.to_owned() }
    };
    match ty.oid {
        t::BOOL => "boolean".to_owned(),
        t::INT2 => "smallint".to_owned(),
        t::INT4 => "integer".to_owned(),
        t::INT8 => "bigint".to_owned(),
        t::FLOAT4 => "real".to_owned(),
        t::FLOAT8 => "double precision".to_owned(),
        t::NUMERIC if typmod >= 4 => {
            let typmod = typmod - 4;
            let scale = ((typmod & 0x7ff) ^ 1024) - 1024;
            format!("numeric({},{scale})", (typmod >> 16) & 0xffff)
        }
        t::NUMERIC => "numeric".to_owned(),
        t::VARCHAR => length("character varying"),
        // Without a length it is not `character`, which means `character(1)`.
        t::BPCHAR if typmod < 0 => "bpchar".to_owned(),
        t::BPCHAR => length("character"),
        t::BIT if typmod >= 0 => format!("bit({typmod})"),
        t::BIT => "\"bit\"".to_owned(),
        t::VARBIT if typmod >= 0 => format!("bit varying({typmod})"),
        t::VARBIT => "bit varying".to_owned(),
        t::TIME => precision(" without time zone", "time"),
        t::TIMETZ => precision(" with time zone", "time"),
        t::TIMESTAMP => precision(" without time zone", "timestamp"),
        t::TIMESTAMPTZ => precision(" with time zone", "timestamp"),
        t::INTERVAL => format!("interval{}", interval_suffix(typmod)),
        t::CHAR => "\"char\"".to_owned(),
        t::ANY => "\"any\"".to_owned(),
        _ => quote_ident(name),
    }
}

/// The fields and precision of an interval's modifier, as they are written behind the word.
fn interval_suffix(typmod: i32) -> String {
    if typmod < 0 {
        return String::new();
    }
    let precision = typmod & 0xffff;
    let fields = match (typmod >> 16) & 0x7fff {
        mask::YEAR => " year",
        mask::MONTH => " month",
        mask::DAY => " day",
        mask::HOUR => " hour",
        mask::MINUTE => " minute",
        mask::SECOND => " second",
        fields if fields == mask::YEAR | mask::MONTH => " year to month",
        fields if fields == mask::DAY | mask::HOUR => " day to hour",
        fields if fields == mask::DAY | mask::HOUR | mask::MINUTE => " day to minute",
        fields if fields == mask::DAY | mask::HOUR | mask::MINUTE | mask::SECOND => {
            " day to second"
        }
        fields if fields == mask::HOUR | mask::MINUTE => " hour to minute",
        fields if fields == mask::HOUR | mask::MINUTE | mask::SECOND => " hour to second",
        fields if fields == mask::MINUTE | mask::SECOND => " minute to second",
        _ => "",
    };
    if precision == 0xffff { fields.to_owned() } else { format!("{fields}({precision})") }
}
