//! `UNION`, `INTERSECT`, `EXCEPT`: the leaves are subqueries, whose columns are converted to the
//! types that all of them have in common (PostgreSQL's `transformSetOperationStmt`).

use std::sync::Arc;

use aegis_types::builtin::CastContext;
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::common_type::common_typmod;
use super::from::query_columns;
use super::node::Node;
use super::scope::{Clause, EntryInfo, NamespaceColumn, NamespaceItem};
use super::target::TargetItem;
use crate::ast::{self, SelectBody, SelectStmt, SetOp};
use crate::bound::{
    CallForm, Expr, JoinTree, Query, RangeTableEntry, RteKind, SET_OPERATION, SetOperation,
    SetOperator, Target,
};

/// One side of a set operation while its columns' types are looked for.
struct Side {
    tree: Tree,
    columns: Vec<Node>,
    names: Vec<String>,
}

/// A set operation before its leaves are entries of the range table.
enum Tree {
    Leaf(Box<Query>),
    Node { op: SetOperator, all: bool, left: Box<Tree>, right: Box<Tree> },
}

impl Analyzer<'_> {
    /// A set operation with what follows it.
    pub(super) fn set_operation(&mut self, select: &SelectStmt) -> SqlResult<Query> {
        self.keep_unknown_targets = false;
        if let Some(with) = &select.with {
            self.with_clause(with)?;
        }
        if let Some(locking) = select.locking.first() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!(
                    "{} is not allowed with UNION/INTERSECT/EXCEPT",
                    super::locking::words(locking.strength)
                ),
            ));
        }
        let SelectBody::SetOperation(operation) = &select.body else {
            return Err(SqlError::internal("a set operation without one"));
        };
        let side = self.set_node(operation)?;
        let mut side = side;
        let mut types = Vec::with_capacity(side.columns.len());
        for (at, column) in side.columns.iter_mut().enumerate() {
            // What both sides left open is text.
            if column.oid() == t::UNKNOWN {
                let ty = TypeRef::plain(t::TEXT);
                self.convert_column(&mut side.tree, at, ty)?;
                column.expr = set_column(at, ty);
            }
            types.push(column.ty());
        }
        let mut leaves = 0;
        let tree = self.enter_leaves(side.tree, &mut leaves);
        let mut targets: Vec<TargetItem> = types
            .iter()
            .zip(&side.names)
            .enumerate()
            .map(|(at, (ty, name))| TargetItem {
                node: Node { expr: set_column(at, *ty), at: side.columns[at].at },
                name: name.clone(),
                hidden: false,
            })
            .collect();
        let count = targets.len();
        self.output_namespace(&targets);
        let order_by = self.sort_clause(&select.sort, &mut targets)?;
        self.scope().namespace.clear();
        if targets.len() > count {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
            )
            .detail("Only result column names can be used, not expressions or functions.")
            .hint(
                "Add the expression/function to every SELECT, or move the UNION into a FROM \
                 clause.",
            )
            .at_opt(targets[count].node.at));
        }
        let (limit, offset) = self.limit_clause(select)?;
        let targets = targets
            .into_iter()
            .map(|item| Target {
                expr: item.node.expr,
                name: item.name,
                hidden: false,
                origin: None,
            })
            .collect();
        Ok(Query {
            targets,
            set_operation: Some(tree),
            order_by,
            limit,
            with_ties: select.limit_with_ties,
            offset,
            ..Query::default()
        })
    }

    /// Lets `ORDER BY` name the output's columns, as a hidden join of PostgreSQL's does.
    fn output_namespace(&mut self, targets: &[TargetItem]) {
        let columns = targets
            .iter()
            .map(|target| NamespaceColumn {
                name: target.name.clone(),
                expr: target.node.expr.clone(),
            })
            .collect();
        let scope = self.scope();
        scope.namespace = vec![NamespaceItem {
            name: "*SELECT*".to_owned(),
            entry: None,
            relation: None,
            columns,
            name_visible: false,
            columns_visible: true,
            lateral_only: false,
            lateral_ok: true,
        }];
    }

    fn set_side(&mut self, select: &SelectStmt) -> SqlResult<Side> {
        let plain = select.with.is_none()
            && select.sort.is_empty()
            && select.limit_count.is_none()
            && select.limit_offset.is_none()
            && select.locking.is_empty();
        match &select.body {
            SelectBody::SetOperation(operation) if plain => {
                self.deeper(|analyzer| analyzer.set_node(operation))
            }
            _ => {
                if let SelectBody::Simple(simple) = &select.body
                    && let Some(into) = &simple.into
                {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        "INTO is only allowed on first SELECT of UNION/INTERSECT/EXCEPT",
                    )
                    .at(into.relation.location));
                }
                self.keep_unknown_targets = matches!(select.body, SelectBody::Simple(_));
                let query = self.in_clause(Clause::None, |analyzer| analyzer.query(select));
                self.keep_unknown_targets = false;
                let query = query?;
                let places = target_places(select);
                let columns = query
                    .visible_targets()
                    .enumerate()
                    .map(|(at, target)| Node {
                        expr: match &target.expr {
                            // Literals stay, to be read as the type that is found for them.
                            literal @ (Expr::Const { .. } | Expr::Param { .. }) => literal.clone(),
                            other => set_column(at, other.ty()),
                        },
                        at: places.get(at).copied().or(Some(select.location)),
                    })
                    .collect();
                let names = query.visible_targets().map(|target| target.name.clone()).collect();
                Ok(Side { tree: Tree::Leaf(Box::new(query)), columns, names })
            }
        }
    }

    fn set_node(&mut self, operation: &ast::SetOperation) -> SqlResult<Side> {
        let (op, word) = match operation.op {
            SetOp::Union => (SetOperator::Union, "UNION"),
            SetOp::Intersect => (SetOperator::Intersect, "INTERSECT"),
            SetOp::Except => (SetOperator::Except, "EXCEPT"),
        };
        let mut left = self.set_side(&operation.left)?;
        let mut right = self.set_side(&operation.right)?;
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("each {word} query must have the same number of columns"),
            )
            .at_opt(right.columns.first().and_then(|column| column.at)));
        }
        let mut columns = Vec::with_capacity(left.columns.len());
        let pairs: Vec<(Node, Node)> =
            left.columns.iter().cloned().zip(right.columns.iter().cloned()).collect();
        for (at, (a, b)) in pairs.into_iter().enumerate() {
            let common = self.common_type(&[&a, &b], word)?;
            let sides = [(&mut left.tree, &a), (&mut right.tree, &b)];
            let mut types = Vec::with_capacity(2);
            for (tree, node) in sides {
                let ty = if node.oid() == common {
                    node.ty()
                } else {
                    if !self.can_coerce(&[node.oid()], &[common], CastContext::Implicit) {
                        return Err(SqlError::new(
                            SqlState::CannotCoerce,
                            format!(
                                "{word} could not convert type {} to {}",
                                self.type_name(node.oid()),
                                self.type_name(common)
                            ),
                        )
                        .at_opt(node.at));
                    }
                    TypeRef::plain(common)
                };
                types.push(ty);
                if ty != node.ty() {
                    self.convert_column(tree, at, ty).map_err(|error| error.at_opt(node.at))?;
                }
            }
            let ty = TypeRef::with_typmod(common, common_typmod(&types, common));
            for (tree, own) in [&mut left.tree, &mut right.tree].into_iter().zip(types) {
                if own != ty {
                    self.convert_column(tree, at, ty)?;
                }
            }
            if op != SetOperator::Union || !operation.all {
                let best = if a.oid() == common { &a } else { &b };
                self.need_equality(common, best.at)?;
            }
            columns.push(Node { expr: set_column(at, ty), at: a.at });
        }
        let names = left.names;
        let (left, right) = (Box::new(left.tree), Box::new(right.tree));
        let tree = Tree::Node { op, all: operation.all, left, right };
        Ok(Side { tree, columns, names })
    }

    /// Converts one column of every leaf under a side.
    fn convert_column(&mut self, tree: &mut Tree, at: usize, ty: TypeRef) -> SqlResult<()> {
        match tree {
            Tree::Node { left, right, .. } => {
                self.convert_column(left, at, ty)?;
                self.convert_column(right, at, ty)
            }
            Tree::Leaf(query) => {
                let sorted = query.targets.iter().enumerate().any(|(number, target)| {
                    !target.hidden
                        && number == visible_number(query, at)
                        && (query.order_by.iter().any(|key| key.target == number)
                            || !matches!(query.distinct, crate::bound::Distinct::No)
                            || query.set_operation.is_some()
                            || query.has_set_functions)
                });
                let target = &query.targets[visible_number(query, at)];
                let literal = matches!(target.expr, Expr::Const { .. } | Expr::Param { .. });
                if sorted && !literal {
                    self.wrap(query);
                }
                let number = visible_number(query, at);
                let target = &mut query.targets[number];
                let empty = Expr::Slot { index: 0, ty };
                let expr = std::mem::replace(&mut target.expr, empty);
                let (context, form) = (CastContext::Implicit, CallForm::ImplicitCast);
                let node = Node::unwritten(expr);
                let node = self.coerce(node, ty, context, form, None)?;
                let node = self.coerce_typmod(node, ty, context, form, None, false)?;
                target.expr = node.expr;
                target.origin = None;
                Ok(())
            }
        }
    }

    /// Puts a query that is sorted, made distinct or multiplied by its columns into one that only
    /// converts them.
    fn wrap(&mut self, query: &mut Box<Query>) {
        let mut inner = std::mem::take(&mut **query);
        super::walk::deepen_query(&mut inner);
        let columns = query_columns(&inner);
        let targets = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Target {
                expr: Expr::Column {
                    entry: 0,
                    column: i16::try_from(at + 1).unwrap_or(i16::MAX),
                    levels_up: 0,
                    ty: column.ty,
                },
                name: column.name.clone(),
                hidden: false,
                origin: None,
            })
            .collect();
        **query = Query {
            range_table: vec![RangeTableEntry {
                alias: "*SELECT*".to_owned(),
                kind: RteKind::Subquery(Arc::new(inner)),
                columns,
                lateral: false,
            }],
            from: vec![JoinTree::Entry(0)],
            targets,
            ..Query::default()
        };
    }

    fn enter_leaves(&mut self, tree: Tree, leaves: &mut usize) -> SetOperation {
        match tree {
            Tree::Leaf(query) => {
                *leaves += 1;
                let columns = query_columns(&query);
                let entry = RangeTableEntry {
                    alias: format!("*SELECT* {leaves}"),
                    kind: RteKind::Subquery(Arc::new(*query)),
                    columns,
                    lateral: false,
                };
                let info = EntryInfo { aliased: true, ..EntryInfo::default() };
                SetOperation::Leaf(self.add_entry(entry, info))
            }
            Tree::Node { op, all, left, right } => {
                let left = Box::new(self.enter_leaves(*left, leaves));
                let right = Box::new(self.enter_leaves(*right, leaves));
                SetOperation::Node { op, all, left, right }
            }
        }
    }
}

/// The target that is the visible column `at`.
fn visible_number(query: &Query, at: usize) -> usize {
    let visible = query.targets.iter().enumerate().filter(|(_, target)| !target.hidden);
    visible.map(|(number, _)| number).nth(at).unwrap_or(at)
}

pub(super) fn set_column(at: usize, ty: TypeRef) -> Expr {
    let column = i16::try_from(at + 1).unwrap_or(i16::MAX);
    Expr::Column { entry: SET_OPERATION, column, levels_up: 0, ty }
}

/// Where each output column of a plain `SELECT` without stars was written.
pub(super) fn target_places(select: &SelectStmt) -> Vec<u32> {
    match &select.body {
        SelectBody::Simple(simple) if !simple.targets.iter().any(is_star) => {
            simple.targets.iter().map(|target| target.location).collect()
        }
        _ => Vec::new(),
    }
}

fn is_star(target: &ast::ResTarget) -> bool {
    match &target.value {
        ast::Expr::ColumnRef(column) => column.star,
        ast::Expr::Indirection(indirection) => {
            matches!(indirection.indirection.last(), Some(ast::IndirectionElement::Star))
        }
        _ => false,
    }
}
