//! Constants as the parser reads them again with the same type (`get_const_expr`).

use aegis_types::{Datum, Oid, SqlResult, TypeRef, io, type_oid as t};

use super::buffer::Printer;
use super::unprintable;

/// Whether a constant is printed with its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// Not at all.
    Never,
    /// Where it would be read as something else.
    Needed,
    /// In any case.
    Always,
}

impl Printer<'_> {
    /// Prints a constant.
    pub(super) fn constant(&mut self, value: &Datum, ty: TypeRef, label: Label) -> SqlResult<()> {
        if let (t::REGCLASS, Datum::Oid(oid)) = (ty.oid, value) {
            self.uses.insert((*oid, 0));
        }
        self.uses_type(ty.oid);
        if value.is_null() {
            self.put("NULL");
            if label != Label::Never {
                self.label(ty);
            }
            return Ok(());
        }
        let text = self.value_text(value, ty)?;
        let begins_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
        let mut needed = match ty.oid {
            t::INT4 if begins_with_digit => {
                self.put(&text);
                false
            }
            t::NUMERIC if begins_with_digit && text.contains(['e', 'E', '.']) => {
                self.put(&text);
                ty.typmod >= 0
            }
            t::BOOL => {
                self.put(if text == "t" { "true" } else { "false" });
                false
            }
            _ => {
                self.put(&format!("'{}'", text.replace('\'', "''")));
                ty.oid != t::UNKNOWN
            }
        };
        needed |= label == Label::Always;
        if needed && label != Label::Never {
            self.label(ty);
        }
        Ok(())
    }

    /// Notes that a type of users is named, or the element of it.
    pub(super) fn uses_type(&mut self, oid: Oid) {
        if oid >= Oid::FIRST_USER {
            let catalog = self.deparser.names.catalog;
            self.uses.insert((catalog.element_of(oid).unwrap_or(oid), 0));
        }
    }

    /// Prints `::type`.
    pub(super) fn label(&mut self, ty: TypeRef) {
        self.uses_type(ty.oid);
        let name = self.deparser.names.type_name(ty);
        self.put("::");
        self.put(&name);
    }

    fn value_text(&self, value: &Datum, ty: TypeRef) -> SqlResult<String> {
        let names = self.deparser.names;
        let reg = match (ty.oid, value) {
            (t::REGCLASS, Datum::Oid(oid)) => names.relation_name(*oid),
            (t::REGTYPE, Datum::Oid(oid)) if oid.is_some() => Some(names.format_type(*oid, None)),
            _ => None,
        };
        let label = match value {
            Datum::Enum(oid, place) => names.enum_label(*oid, *place),
            _ => None,
        };
        if let Some(text) = reg.or(label) {
            return Ok(text);
        }
        let mut bytes = Vec::new();
        io::text_out(ty.oid, value, &self.deparser.eval, &mut bytes);
        String::from_utf8(bytes).map_err(|_| unprintable("a value that is no text"))
    }
}
