//! Literals: numbers by their size, strings of unknown type until something asks for one.

use aegis_types::{Datum, SqlResult, TypeRef, io, type_oid as t};

use super::Analyzer;
use super::node::{Node, boolean, null};
use crate::ast::{Const, ConstValue};
use crate::bound::Expr;

impl Analyzer<'_> {
    /// A literal as `make_const` types it.
    pub(super) fn constant(&self, constant: &Const) -> SqlResult<Node> {
        let at = constant.location;
        let expr = match &constant.value {
            ConstValue::Integer(value) => super::node::int4(*value),
            ConstValue::Float(digits) => self.number(digits, at)?,
            ConstValue::String(text) => {
                Expr::Const { value: Datum::text(text.as_str()), ty: TypeRef::plain(t::UNKNOWN) }
            }
            ConstValue::BitString(text) => {
                let ty = TypeRef::plain(t::BIT);
                Expr::Const { value: self.read_literal(ty, text, Some(at))?, ty }
            }
            ConstValue::Boolean(value) => boolean(*value),
            ConstValue::Null => null(TypeRef::plain(t::UNKNOWN)),
        };
        Ok(Node::new(expr, at))
    }

    /// A number that does not fit int4: int8 if it fits that, else numeric.
    fn number(&self, digits: &str, at: u32) -> SqlResult<Expr> {
        if let Ok(value) = digits.parse::<i64>() {
            return Ok(match i32::try_from(value) {
                Ok(value) => super::node::int4(value),
                Err(_) => Expr::Const { value: Datum::Int8(value), ty: TypeRef::plain(t::INT8) },
            });
        }
        let ty = TypeRef::plain(t::NUMERIC);
        Ok(Expr::Const { value: self.read_literal(ty, digits, Some(at))?, ty })
    }

    /// Reads a literal's text as a type's input function does, errors pointing at the literal.
    pub(super) fn read_literal(
        &self,
        ty: TypeRef,
        text: &str,
        at: Option<u32>,
    ) -> SqlResult<Datum> {
        io::text_in(ty, text, &self.context.eval).map_err(|error| error.at_opt(at))
    }
}
