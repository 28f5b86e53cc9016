//! Assignments to columns: their types, their defaults, `SET` lists (PostgreSQL's
//! `transformAssignedExpr` and `rewriteTargetListIU`).

use std::sync::Arc;

use aegis_catalog::{Column, Identity, Relation, RelationBody, TypeBody};
use aegis_types::builtin::CastContext;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::join::without_position;
use super::node::{Node, null};
use super::relation::ResolvedRelation;
use super::scope::{Clause, EntryInfo, Scope};
use crate::ast::{self, AssignTarget, Assignment, Expr as Ast, RangeVar};
use crate::bound::{CallForm, Expr, RangeTableEntry, RteKind, SubqueryKind};
use crate::parser;

use super::from::{alias_name, relation_columns};

/// A column that is set, and whether part by part.
struct SetColumn {
    number: i16,
    value: Expr,
    in_parts: bool,
}

/// A value on its way into a column.
pub(super) enum Assigned {
    /// A value.
    Value(Expr),
    /// `DEFAULT`.
    Default,
}

impl Analyzer<'_> {
    /// The table that a statement changes.
    pub(super) fn target_table(&self, name: &RangeVar, verb: &str) -> SqlResult<Arc<Relation>> {
        let at = name.location;
        match self.resolve_relation(name)? {
            ResolvedRelation::System(full, _) => {
                let relation = full.rsplit('.').next().unwrap_or_default();
                Err(SqlError::new(
                    SqlState::InsufficientPrivilege,
                    format!("permission denied: \"{relation}\" is a system catalog"),
                ))
            }
            ResolvedRelation::Stored(relation) => match &relation.body {
                RelationBody::Table(_) if relation.as_materialized().is_some() => {
                    Err(SqlError::new(
                        SqlState::WrongObjectType,
                        format!("cannot change materialized view \"{}\"", relation.name),
                    ))
                }
                RelationBody::Table(_) => Ok(relation),
                RelationBody::View { .. } => {
                    Err(SqlError::unsupported(format_args!("{verb} on a view")).at(at))
                }
                RelationBody::Sequence(_) => Err(SqlError::new(
                    SqlState::WrongObjectType,
                    format!("cannot change sequence \"{}\"", relation.name),
                )),
                RelationBody::Index(_) => Err(SqlError::new(
                    SqlState::WrongObjectType,
                    format!("cannot open relation \"{}\"", relation.name),
                )
                .detail("This operation is not supported for indexes.")
                .at(at)),
            },
        }
    }

    /// Adds the table that is changed to the range table, under its alias.
    pub(super) fn target_entry(
        &mut self,
        relation: &Arc<Relation>,
        name: &RangeVar,
        kind: RteKind,
    ) -> usize {
        let info = EntryInfo {
            column_aliases: false,
            aliased: name.alias.is_some(),
            relation: Some(relation.oid),
            relation_name: Some(relation.name.clone()),
            scalar_function: false,
        };
        let entry = RangeTableEntry {
            alias: alias_name(name.alias.as_ref(), &relation.name),
            kind,
            columns: relation_columns(relation),
            lateral: false,
        };
        self.add_entry(entry, info)
    }

    /// The column that an assignment names.
    pub(super) fn target_column<'r>(
        &self,
        relation: &'r Relation,
        target: &AssignTarget,
    ) -> SqlResult<&'r Column> {
        let at = target.location;
        let column = relation.column_named(&target.name).ok_or_else(|| {
            if matches!(
                target.name.as_str(),
                "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid"
            ) {
                return SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("cannot assign to system column \"{}\"", target.name),
                )
                .at(at);
            }
            SqlError::new(
                SqlState::UndefinedColumn,
                format!(
                    "column \"{}\" of relation \"{}\" does not exist",
                    target.name, relation.name
                ),
            )
            .at(at)
        })?;
        Ok(column)
    }

    /// Converts a value to the type of the column that it goes into
    /// (`transformAssignedExpr`). `at` is where the column was named.
    pub(super) fn assign(
        &mut self,
        column: &Column,
        node: Node,
        at: Option<u32>,
    ) -> SqlResult<Expr> {
        let (source, node_at) = (node.oid(), node.at);
        let (context, form) = (CastContext::Assignment, CallForm::ImplicitCast);
        match self.coerce_to_target(node, column.ty, context, form, None)? {
            Some(node) => Ok(node.expr),
            None => Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!(
                    "column \"{}\" is of type {} but expression is of type {}",
                    column.name,
                    self.type_name(column.ty.oid),
                    self.type_name(source)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
            .at_opt(node_at.or(at))),
        }
    }

    /// What a column gets that nothing is said about.
    pub(super) fn column_default(
        &mut self,
        relation: &Relation,
        column: &Column,
    ) -> SqlResult<Expr> {
        if column.identity.is_some() {
            return Ok(Expr::NextValue {
                sequence: self.identity_sequence(relation, column)?,
                ty: column.ty,
            });
        }
        // What is generated is computed once the rest of the row is known.
        if column.generated {
            return Ok(self.null_of(column.ty));
        }
        let domain_default;
        let text = match &column.default {
            Some(text) => text,
            None => match self.default_of_type(column.ty.oid) {
                Some(text) => {
                    domain_default = text;
                    &domain_default
                }
                None => return Ok(self.null_of(column.ty)),
            },
        };
        if let Some(known) = self.defaults.get(&(relation.oid, column.number)) {
            return Ok(known.clone());
        }
        // The text stands for itself: nothing of the statement around is visible in it.
        let outer = std::mem::take(&mut self.scopes);
        self.scopes.push(Scope::default());
        let result = parser::parse_expr(text).and_then(|parsed| {
            let node = self.expr_in(&parsed, Clause::Default)?;
            self.default_value(node, column.ty, &column.name)
        });
        self.scopes = outer;
        let mut expr = result.map_err(without_position)?;
        super::walk::forget_locations(&mut expr);
        self.defaults.insert((relation.oid, column.number), expr.clone());
        Ok(expr)
    }

    /// The default of a domain, or of the nearest below that has one.
    fn default_of_type(&self, mut oid: Oid) -> Option<String> {
        while let Some(TypeBody::Domain(body)) =
            self.context.catalog.user_type(oid).map(|ty| &ty.body)
        {
            if body.default.is_some() {
                return body.default.clone();
            }
            oid = body.base.oid;
        }
        None
    }

    /// NULL of a type, which a domain may refuse.
    fn null_of(&self, ty: TypeRef) -> Expr {
        match self.domain_base(ty.oid) {
            None => null(ty),
            Some(base) => {
                Expr::Relabel { arg: Box::new(null(base)), ty, form: CallForm::ImplicitCast }
            }
        }
    }

    /// The sequence behind an identity column.
    fn identity_sequence(&self, relation: &Relation, column: &Column) -> SqlResult<Oid> {
        self.context
            .catalog
            .relations_in(relation.schema)
            .chain(self.context.catalog.relations_of(relation.database))
            .find(|candidate| {
                candidate.as_sequence().is_some_and(|sequence| {
                    sequence.internal && sequence.owned_by == Some((relation.oid, column.number))
                })
            })
            .map(|sequence| sequence.oid)
            .ok_or_else(|| {
                SqlError::internal(format!("no owned sequence found for column {}", column.name))
            })
    }

    /// The assignments of a `SET` list, in the order written: column numbers and values.
    pub(super) fn set_list(
        &mut self,
        relation: &Relation,
        entry: usize,
        assignments: &[Assignment],
    ) -> SqlResult<Vec<(i16, Expr)>> {
        let mut set: Vec<SetColumn> = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            match assignment {
                Assignment::Single { target, value } => {
                    let node = self.set_value(value)?;
                    self.set_target(relation, entry, target, node, &mut set)?;
                }
                Assignment::Multi { targets, source } => {
                    let values = self.multi_source(targets, source)?;
                    for (target, node) in targets.iter().zip(values) {
                        self.set_target(relation, entry, target, node, &mut set)?;
                    }
                }
            }
        }
        Ok(set.into_iter().map(|set| (set.number, set.value)).collect())
    }

    /// One assignment, to a column or to a part of one.
    fn set_target(
        &mut self,
        relation: &Relation,
        entry: usize,
        target: &AssignTarget,
        node: Option<Node>,
        set: &mut Vec<SetColumn>,
    ) -> SqlResult<()> {
        let column = self.target_column(relation, target)?.clone();
        if target.indirection.is_empty() {
            let value = self.set_column(relation, &column, node, target.location)?;
            if set.iter().any(|set| set.number == column.number) {
                return Err(assigned_twice(&column));
            }
            set.push(SetColumn { number: column.number, value, in_parts: false });
            return Ok(());
        }
        let part = self.part_of(&column, target)?;
        let node = node.ok_or_else(|| part.no_default())?;
        let before = set.iter().position(|set| set.number == column.number);
        let base = match before {
            Some(at) if set[at].in_parts => set.remove(at).value,
            Some(_) => return Err(assigned_twice(&column)),
            None => {
                let (number, ty) = (column.number, column.ty);
                Expr::Column { entry, column: number, levels_up: 0, ty }
            }
        };
        if column.generated || column.identity == Some(Identity::Always) {
            self.set_column(relation, &column, Some(Node::unwritten(base)), target.location)?;
            return Err(SqlError::internal("a column that is not to be set was set"));
        }
        let value = self.store_part(base, &part, node)?;
        set.push(SetColumn { number: column.number, value, in_parts: true });
        Ok(())
    }

    fn set_value(&mut self, value: &Ast) -> SqlResult<Option<Node>> {
        match value {
            Ast::SetToDefault(_) => Ok(None),
            other => self.expr_in(other, Clause::UpdateSource).map(Some),
        }
    }

    fn set_column(
        &mut self,
        relation: &Relation,
        column: &Column,
        node: Option<Node>,
        at: u32,
    ) -> SqlResult<Expr> {
        match node {
            None => self.column_default(relation, column),
            Some(_) if column.generated => Err(SqlError::new(
                SqlState::GeneratedAlways,
                format!("column \"{}\" can only be updated to DEFAULT", column.name),
            )
            .detail(format!("Column \"{}\" is a generated column.", column.name))),
            Some(_) if column.identity == Some(Identity::Always) => Err(SqlError::new(
                SqlState::GeneratedAlways,
                format!("column \"{}\" can only be updated to DEFAULT", column.name),
            )
            .detail(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            ))),
            Some(node) => self.assign(column, node, Some(at)),
        }
    }

    /// The values of `(a, b) = source`.
    fn multi_source(
        &mut self,
        targets: &[AssignTarget],
        source: &Ast,
    ) -> SqlResult<Vec<Option<Node>>> {
        let mismatch = |at: u32| {
            SqlError::new(
                SqlState::SyntaxError,
                "number of columns does not match number of values",
            )
            .at(at)
        };
        match source {
            Ast::Row(row) => {
                let mut values = Vec::with_capacity(row.args.len());
                for arg in &row.args {
                    values.push(self.set_value(arg)?);
                }
                if values.len() != targets.len() {
                    return Err(mismatch(row.location));
                }
                Ok(values)
            }
            Ast::SubLink(link) if link.kind == ast::SubLinkKind::Expr => {
                self.multi_subquery(targets.len(), link).map_err(|error| match error {
                    None => mismatch(link.location),
                    Some(error) => error,
                })
            }
            other => Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
            )
            .at(other.location())),
        }
    }

    /// One scalar subquery a column, each of the same query showing another of its columns.
    fn multi_subquery(
        &mut self,
        count: usize,
        link: &ast::SubLink,
    ) -> Result<Vec<Option<Node>>, Option<SqlError>> {
        let query = self
            .in_clause(Clause::UpdateSource, |analyzer| analyzer.subselect(&link.subselect))
            .map_err(Some)?;
        if query.visible_targets().count() != count {
            return Err(None);
        }
        let visible: Vec<usize> = query
            .targets
            .iter()
            .enumerate()
            .filter(|(_, target)| !target.hidden)
            .map(|(number, _)| number)
            .collect();
        if count > 1 && query.set_operation.is_some() {
            return Err(Some(
                SqlError::unsupported("several columns assigned from a set operation")
                    .at(link.location),
            ));
        }
        let values = visible.iter().map(|shown| {
            let mut one = query.clone();
            for other in &visible {
                one.targets[*other].hidden = other != shown;
            }
            let ty = one.targets[*shown].expr.ty();
            let subquery =
                crate::bound::Subquery { kind: SubqueryKind::Scalar, query: Arc::new(one), ty };
            Some(Node::new(Expr::Subquery(Box::new(subquery)), link.location))
        });
        Ok(values.collect())
    }
}

/// 42601
fn assigned_twice(column: &Column) -> SqlError {
    SqlError::new(
        SqlState::SyntaxError,
        format!("multiple assignments to same column \"{}\"", column.name),
    )
}

/// What an `INSERT` may say about an identity or generated column.
pub(super) fn check_identity(
    column: &Column,
    assigned: &Assigned,
    overriding: ast::OverridingKind,
) -> SqlResult<()> {
    if column.generated && matches!(assigned, Assigned::Value(_)) {
        return Err(SqlError::new(
            SqlState::GeneratedAlways,
            format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
        )
        .detail(format!("Column \"{}\" is a generated column.", column.name)));
    }
    let refused = column.identity == Some(Identity::Always)
        && overriding == ast::OverridingKind::NotSet
        && matches!(assigned, Assigned::Value(_));
    if !refused {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::GeneratedAlways,
        format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
    )
    .detail(format!(
        "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
        column.name
    ))
    .hint("Use OVERRIDING SYSTEM VALUE to override."))
}
