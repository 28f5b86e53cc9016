//! Operators by name and operand types (PostgreSQL's `parse_oper.c`).

use aegis_types::builtin::{CastContext, OperatorRow, builtins};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::{Node, leftmost};
use crate::bound::{Call, CallForm, Expr};

/// The default btree `=` and `<` of a type: what sorting and grouping need.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ordering {
    /// It can be compared and sorted.
    Sortable,
    /// It has `=` only.
    EqualityOnly,
    /// Neither.
    None,
}

impl Analyzer<'_> {
    /// An operator applied (`make_op`).
    pub(super) fn operator(
        &mut self,
        name: &[String],
        left: Option<Node>,
        right: Node,
        location: u32,
    ) -> SqlResult<Node> {
        let at = leftmost(left.as_ref().map_or(right.at, |left| left.at), Some(location));
        let call = self.operator_call(name, left, right, location)?;
        if call.returns_set {
            return Err(SqlError::unsupported("an operator that returns a set").at(location));
        }
        Ok(Node { expr: Expr::Call(Box::new(call)), at })
    }

    /// The call that an operator applied is.
    pub(super) fn operator_call(
        &mut self,
        name: &[String],
        left: Option<Node>,
        right: Node,
        location: u32,
    ) -> SqlResult<Call> {
        let row = match &left {
            Some(left) => self.binary_operator(name, left.oid(), right.oid(), location)?,
            None => self.prefix_operator(name, right.oid(), location)?,
        };
        let nodes: Vec<Node> = left.into_iter().chain([right]).collect();
        let mut declared: Vec<Oid> =
            [row.left, row.right].into_iter().filter(|oid| oid.is_some()).collect();
        let actual: Vec<Oid> = nodes.iter().map(Node::oid).collect();
        let result = self.resolve_generic_types(&actual, &mut declared, row.result)?;
        let args = self.coerce_arguments(nodes, &declared)?;
        let args = args.into_iter().map(|node| node.expr).collect();
        let args = match builtins().function(row.function) {
            Some(function) => {
                self.collated_arguments(function, args).map_err(|error| error.at(location))?
            }
            None => args,
        };
        Ok(Call {
            function: row.function,
            args,
            ty: TypeRef::plain(result),
            form: CallForm::Operator(row.oid),
            returns_set: false,
            user: None,
            location: Some(location),
        })
    }

    /// Converts arguments to the types that the function takes (`make_fn_arguments`).
    pub(super) fn coerce_arguments(
        &mut self,
        nodes: Vec<Node>,
        declared: &[Oid],
    ) -> SqlResult<Vec<Node>> {
        let mut args = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.into_iter().enumerate() {
            let target = declared.get(at).copied().unwrap_or_else(|| node.oid());
            if node.oid() == target {
                args.push(node);
                continue;
            }
            let (context, form) = (CastContext::Implicit, CallForm::ImplicitCast);
            args.push(self.coerce(node, TypeRef::plain(target), context, form, None)?);
        }
        Ok(args)
    }

    /// The operator for two operands (`oper`).
    pub(super) fn binary_operator(
        &self,
        name: &[String],
        left: Oid,
        right: Oid,
        location: u32,
    ) -> SqlResult<&'static OperatorRow> {
        let symbol = self.operator_symbol(name, location)?;
        let (exact_left, exact_right) = match (left, right) {
            (t::UNKNOWN, right) => (right, right),
            (left, t::UNKNOWN) => (left, left),
            both => both,
        };
        if let Some(row) = exact_operator(symbol, exact_left, exact_right) {
            return Ok(row);
        }
        // Where one side decides for both, a domain's base type does.
        if left == t::UNKNOWN || right == t::UNKNOWN {
            let (left, right) = (self.base_type(exact_left), self.base_type(exact_right));
            if let Some(row) = exact_operator(symbol, left, right) {
                return Ok(row);
            }
        }
        let candidates: Vec<(&OperatorRow, [Oid; 2])> = builtins()
            .operators_named(symbol)
            .filter(|row| row.left.is_some())
            .map(|row| (row, [row.left, row.right]))
            .collect();
        self.choose_operator(name, &[left, right], candidates, location)
    }

    fn prefix_operator(
        &self,
        name: &[String],
        operand: Oid,
        location: u32,
    ) -> SqlResult<&'static OperatorRow> {
        let symbol = self.operator_symbol(name, location)?;
        if let Some(row) = exact_operator(symbol, Oid::NONE, operand) {
            return Ok(row);
        }
        let candidates: Vec<(&OperatorRow, [Oid; 1])> = builtins()
            .operators_named(symbol)
            .filter(|row| !row.left.is_some())
            .map(|row| (row, [row.right]))
            .collect();
        self.choose_operator(name, &[operand], candidates, location)
    }

    fn choose_operator<const N: usize>(
        &self,
        name: &[String],
        inputs: &[Oid; N],
        candidates: Vec<(&'static OperatorRow, [Oid; N])>,
        location: u32,
    ) -> SqlResult<&'static OperatorRow> {
        let matching = self.matching(inputs, candidates, |candidate| &candidate.1[..]);
        let (code, words, hint) = match matching.len() {
            0 if N == 1 => (
                SqlState::UndefinedFunction,
                "does not exist",
                "No operator matches the given name and argument type. You might need to add an \
                 explicit type cast.",
            ),
            0 => (
                SqlState::UndefinedFunction,
                "does not exist",
                "No operator matches the given name and argument types. You might need to add \
                 explicit type casts.",
            ),
            1 => return Ok(matching[0].0),
            _ => match self.best_candidate(inputs, matching, |candidate| &candidate.1[..]) {
                Some(best) => return Ok(best.0),
                None => (
                    SqlState::AmbiguousFunction,
                    "is not unique",
                    "Could not choose a best candidate operator. You might need to add explicit \
                     type casts.",
                ),
            },
        };
        let name = name.join(".");
        let signature = match inputs.as_slice() {
            [left, right] => {
                format!("{} {name} {}", self.type_name(*left), self.type_name(*right))
            }
            operands => format!("{name} {}", self.type_name(operands[0])),
        };
        let message = match code {
            SqlState::AmbiguousFunction => format!("operator is not unique: {signature}"),
            _ => format!("operator {words}: {signature}"),
        };
        Err(SqlError::new(code, message).hint(hint).at(location))
    }

    /// The operator's symbol; all operators are PostgreSQL's own, in `pg_catalog`.
    fn operator_symbol<'n>(&self, name: &'n [String], location: u32) -> SqlResult<&'n str> {
        let Some((symbol, qualifiers)) = name.split_last() else {
            return Ok("");
        };
        if let Some(schema) = qualifiers.last() {
            let oid = self.schema_oid(schema).map_err(|error| error.at(location))?;
            if oid != aegis_catalog::snapshot::PG_CATALOG {
                return Ok("");
            }
        }
        Ok(symbol)
    }

    /// `x op ANY (array)` and `x op ALL (array)` (`make_scalar_array_op`).
    pub(super) fn array_comparison(
        &mut self,
        name: &[String],
        all: bool,
        left: Node,
        right: Node,
        location: u32,
    ) -> SqlResult<Node> {
        let wrong = |message: &str| SqlError::new(SqlState::WrongObjectType, message).at(location);
        let element = match right.oid() {
            t::UNKNOWN => t::UNKNOWN,
            array => self
                .element_type(array)
                .ok_or_else(|| wrong("op ANY/ALL (array) requires array on right side"))?,
        };
        let row = self.binary_operator(name, left.oid(), element, location)?;
        let mut declared = [row.left, row.right];
        let result =
            self.resolve_generic_types(&[left.oid(), element], &mut declared, row.result)?;
        if result != t::BOOL {
            return Err(wrong("op ANY/ALL (array) requires operator to yield boolean"));
        }
        let array_type = if super::types::is_polymorphic(row.right) {
            if right.oid() == t::UNKNOWN { t::TEXT_ARRAY } else { right.oid() }
        } else {
            self.array_type(declared[1]).ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedObject,
                    format!(
                        "could not find array type for data type {}",
                        self.type_name(declared[1])
                    ),
                )
                .at(location)
            })?
        };
        let at = leftmost(left.at, Some(location));
        let mut args = self.coerce_arguments(vec![left, right], &[declared[0], array_type])?;
        let (Some(array), Some(left)) = (args.pop(), args.pop()) else {
            return Err(SqlError::internal("two arguments became fewer"));
        };
        let element = TypeRef::plain(self.element_type(array_type).unwrap_or(declared[1]));
        let operator = Call {
            function: row.function,
            args: vec![left.expr, Expr::Slot { index: 0, ty: element }],
            ty: TypeRef::plain(t::BOOL),
            form: CallForm::Operator(row.oid),
            returns_set: false,
            user: None,
            location: Some(location),
        };
        let array = Box::new(array.expr);
        Ok(Node { expr: Expr::ArrayComparison { operator: Box::new(operator), array, all }, at })
    }

    /// Whether values of a type can be sorted, or at least compared for equality.
    pub(super) fn ordering(&self, oid: Oid) -> Ordering {
        let oid = self.base_type(oid);
        if let Some(element) = self.element_type(oid) {
            return self.ordering(element);
        }
        match oid {
            t::XID | t::CID | t::ACLITEM => Ordering::EqualityOnly,
            t::JSON
            | t::XML
            | t::POINT
            | t::LSEG
            | t::PATH
            | t::BOX
            | t::POLYGON
            | t::LINE
            | t::CIRCLE
            | t::JSONPATH
            | t::REFCURSOR
            | t::TXID_SNAPSHOT
            | t::PG_SNAPSHOT
            | t::GTSVECTOR
            | t::UNKNOWN
            | t::VOID
            | t::CSTRING => Ordering::None,
            _ => Ordering::Sortable,
        }
    }

    /// Checks that a type can be sorted (`get_sort_group_operators`).
    pub(super) fn need_sortable(&self, oid: Oid, at: Option<u32>) -> SqlResult<()> {
        match self.ordering(oid) {
            Ordering::Sortable => Ok(()),
            _ => Err(SqlError::new(
                SqlState::UndefinedFunction,
                format!("could not identify an ordering operator for type {}", self.type_name(oid)),
            )
            .hint("Use an explicit ordering operator or modify the query.")
            .at_opt(at)),
        }
    }

    /// Checks that values of a type can be told apart.
    pub(super) fn need_equality(&self, oid: Oid, at: Option<u32>) -> SqlResult<()> {
        match self.ordering(oid) {
            Ordering::Sortable | Ordering::EqualityOnly => Ok(()),
            Ordering::None => Err(SqlError::new(
                SqlState::UndefinedFunction,
                format!("could not identify an equality operator for type {}", self.type_name(oid)),
            )
            .at_opt(at)),
        }
    }
}

fn exact_operator(symbol: &str, left: Oid, right: Oid) -> Option<&'static OperatorRow> {
    builtins().operators_named(symbol).find(|row| row.left == left && row.right == right)
}

/// A name of `pg_catalog`'s, as the parser spells operators.
pub(super) fn symbol(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}
