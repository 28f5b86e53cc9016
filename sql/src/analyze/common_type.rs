//! The one type that the arms of `UNION`, `CASE`, `VALUES`, `IN` and their like have in common
//! (PostgreSQL 15, chapter 10.5).

use aegis_types::builtin::CastContext;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::Node;
use crate::bound::CallForm;

impl Analyzer<'_> {
    /// The common type, or the error that names the construct (`select_common_type`).
    pub(super) fn common_type(&self, nodes: &[&Node], construct: &str) -> SqlResult<Oid> {
        let types: Vec<Oid> = nodes.iter().map(|node| node.oid()).collect();
        self.common_type_of(&types).map_err(|(a, b, at)| {
            SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "{construct} types {} and {} cannot be matched",
                    self.type_name(a),
                    self.type_name(b)
                ),
            )
            .at_opt(nodes.get(at).and_then(|node| node.at))
        })
    }

    /// The common type; else the two that are of different categories, and which type the second is.
    pub(super) fn common_type_of(&self, types: &[Oid]) -> Result<Oid, (Oid, Oid, usize)> {
        let Some(first) = types.first().copied() else {
            return Ok(t::TEXT);
        };
        if first != t::UNKNOWN && types.iter().all(|ty| *ty == first) {
            return Ok(first);
        }
        let types: Vec<Oid> = types.iter().map(|ty| self.base_type(*ty)).collect();
        let mut chosen = types[0];
        let (mut category, mut preferred) = self.category(chosen);
        for (at, next) in types.iter().copied().enumerate().skip(1) {
            if next == t::UNKNOWN || next == chosen {
                continue;
            }
            let (next_category, next_preferred) = self.category(next);
            if chosen != t::UNKNOWN {
                if next_category != category {
                    return Err((chosen, next, at));
                }
                let widens = !preferred
                    && self.can_coerce(&[chosen], &[next], CastContext::Implicit)
                    && !self.can_coerce(&[next], &[chosen], CastContext::Implicit);
                if !widens {
                    continue;
                }
            }
            chosen = next;
            category = next_category;
            preferred = next_preferred;
        }
        Ok(if chosen == t::UNKNOWN { t::TEXT } else { chosen })
    }

    /// Converts an arm to the common type (`coerce_to_common_type`).
    pub(super) fn coerce_to_common(
        &mut self,
        node: Node,
        target: Oid,
        construct: &str,
    ) -> SqlResult<Node> {
        let source = node.oid();
        if source == target {
            return Ok(node);
        }
        if !self.can_coerce(&[source], &[target], CastContext::Implicit) {
            return Err(SqlError::new(
                SqlState::CannotCoerce,
                format!(
                    "{construct} could not convert type {} to {}",
                    self.type_name(source),
                    self.type_name(target)
                ),
            )
            .at_opt(node.at));
        }
        let (context, form) = (CastContext::Implicit, CallForm::ImplicitCast);
        self.coerce(node, TypeRef::plain(target), context, form, None)
    }

    /// Finds the common type of some arms and converts them to it.
    pub(super) fn unify(
        &mut self,
        nodes: Vec<Node>,
        construct: &str,
    ) -> SqlResult<(Vec<Node>, TypeRef)> {
        let common = self.common_type(&nodes.iter().collect::<Vec<_>>(), construct)?;
        let mut unified = Vec::with_capacity(nodes.len());
        for node in nodes {
            unified.push(self.coerce_to_common(node, common, construct)?);
        }
        let types: Vec<TypeRef> = unified.iter().map(Node::ty).collect();
        Ok((unified, TypeRef::with_typmod(common, common_typmod(&types, common))))
    }
}

/// The modifier that all have, if all have the type and one modifier; else none.
pub(super) fn common_typmod(types: &[TypeRef], common: Oid) -> i32 {
    match types.first() {
        Some(first) if types.iter().all(|ty| ty.oid == common && ty.typmod == first.typmod) => {
            first.typmod
        }
        _ => -1,
    }
}
