//! Parameters: fixed by the client, or inferred from where they are used (PostgreSQL's
//! `parse_param.c`).

use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::Node;
use super::walk::rewrite_statement;
use crate::ast::ParamRef;
use crate::bound::{BoundStatement, Expr};

/// The most parameters that a statement can have: the protocol counts them in 16 bits.
const PARAMETERS_MAX: i32 = 65_535;

impl Analyzer<'_> {
    /// `$n`.
    pub(super) fn parameter(&mut self, parameter: &ParamRef) -> SqlResult<Node> {
        let at = parameter.location;
        let missing = || {
            SqlError::new(
                SqlState::UndefinedParameter,
                format!("there is no parameter ${}", parameter.number),
            )
            .at(at)
        };
        if !(1..=PARAMETERS_MAX).contains(&parameter.number) {
            return Err(missing());
        }
        let number = usize::try_from(parameter.number).map_err(|_| missing())?;
        if self.parameters.len() < number {
            if !self.context.infer_parameters {
                return Err(missing());
            }
            self.parameters.resize(number, None);
        }
        let known = self.parameters[number - 1].filter(|ty| ty.oid.is_some());
        if known.is_none() && !self.context.infer_parameters {
            return Err(missing());
        }
        let ty = *self.parameters[number - 1].insert(known.unwrap_or(TypeRef::plain(t::UNKNOWN)));
        Ok(Node::new(Expr::Param { number, ty }, at))
    }

    /// Notes that a parameter of unknown type is used as a type
    /// (`variable_coerce_param_hook`).
    pub(super) fn infer_parameter(
        &mut self,
        number: usize,
        target: Oid,
        at: Option<u32>,
    ) -> SqlResult<TypeRef> {
        let ty = TypeRef::plain(target);
        let before = self.parameters.get(number - 1).copied().flatten();
        match before {
            Some(before) if before.oid != t::UNKNOWN && before.oid != target => Err(SqlError::new(
                SqlState::AmbiguousParameter,
                format!("inconsistent types deduced for parameter ${number}"),
            )
            .detail(format!("{} versus {}", self.type_name(before.oid), self.type_name(target)))
            .at_opt(at)),
            _ => {
                if let Some(slot) = self.parameters.get_mut(number - 1) {
                    *slot = Some(ty);
                }
                Ok(ty)
            }
        }
    }

    /// The types of all parameters; those that nothing told the type of are an error.
    pub(super) fn final_parameter_types(&self) -> SqlResult<Vec<TypeRef>> {
        let mut types = Vec::with_capacity(self.parameters.len());
        for (at, ty) in self.parameters.iter().enumerate() {
            match ty {
                Some(ty) if ty.oid != t::UNKNOWN => types.push(*ty),
                _ => return Err(undetermined(at + 1)),
            }
        }
        Ok(types)
    }
}

fn undetermined(number: usize) -> SqlError {
    SqlError::new(
        SqlState::IndeterminateDatatype,
        format!("could not determine data type of parameter ${number}"),
    )
}

/// Checks that every parameter is used with its final type (`check_variable_parameters`).
pub(super) fn check(statement: &mut BoundStatement, types: &[TypeRef]) -> SqlResult<()> {
    if types.is_empty() {
        return Ok(());
    }
    let mut failure = None;
    rewrite_statement(statement, &mut |expr| {
        if let Expr::Param { number, ty } = expr {
            if types.get(*number - 1).is_none_or(|expected| expected.oid != ty.oid) {
                failure = Some(SqlError::new(
                    SqlState::AmbiguousParameter,
                    format!("could not determine data type of parameter ${number}"),
                ));
            }
        }
    });
    failure.map_or(Ok(()), Err)
}
