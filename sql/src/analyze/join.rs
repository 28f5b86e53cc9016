//! Joins: `ON`, `USING`, `NATURAL`; merged columns stand for the columns they are merged of.

use aegis_types::{SqlError, SqlResult, SqlState, TypeRef};

use super::Analyzer;
use super::from::conflicts;
use super::node::Node;
use super::operator::symbol;
use super::scope::{Clause, NamespaceColumn, NamespaceItem};
use crate::ast::{self, JoinType};
use crate::bound::written::WrittenJoin;
use crate::bound::{Expr, JoinKind, JoinTree};

impl Analyzer<'_> {
    /// A join, and the names that it makes visible (`transformFromClauseItem`).
    pub(super) fn join(
        &mut self,
        join: &ast::JoinExpr,
    ) -> SqlResult<(JoinTree, Vec<NamespaceItem>)> {
        let (left, left_names) = self.bind_from_item(&join.left)?;
        // The right side sees the left one laterally, unless the join would have to make rows up.
        let lateral_ok = matches!(join.join_type, JoinType::Inner | JoinType::Left);
        let outer = self.scope().namespace.len();
        let visible = left_names.iter().cloned().map(|mut name| {
            name.lateral_only = true;
            name.lateral_ok = lateral_ok;
            name
        });
        self.scope().namespace.extend(visible.collect::<Vec<_>>());
        let (right, right_names) = self.bind_from_item(&join.right)?;
        self.scope().namespace.truncate(outer);
        conflicts(&left_names, &right_names)?;

        let left_columns = visible_columns(&left_names);
        let right_columns = visible_columns(&right_names);
        let using = if join.natural {
            natural_columns(&left_columns, &right_columns)
        } else {
            join.using.clone()
        };
        let kind = match join.join_type {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            JoinType::Right => JoinKind::Right,
            JoinType::Full => JoinKind::Full,
        };
        let mut columns = Vec::new();
        let mut written_sides = Vec::with_capacity(using.len());
        for name in &using {
            let sides = (
                using_column(&left_columns, name, "left"),
                using_column(&right_columns, name, "right"),
            );
            if let (Ok(left), Ok(right)) = sides {
                written_sides.push((left, right));
            }
        }
        let on = if !using.is_empty() || join.natural {
            let (on, merged) = self.merge(kind, &using, &left_columns, &right_columns)?;
            columns.extend(merged);
            on
        } else {
            match &join.quals {
                None => None,
                Some(quals) => Some(self.join_condition(quals, &left_names, &right_names)?),
            }
        };
        let merged = columns.len();
        let rest = left_columns.iter().chain(&right_columns);
        columns.extend(rest.filter(|column| !using.contains(&column.name)).cloned());

        let mut names = Vec::new();
        for mut side in left_names.into_iter().chain(right_names) {
            side.columns_visible = false;
            // The alias of a join hides the names inside.
            if join.alias.is_none() {
                names.push(side);
            }
        }
        if let Some(alias) = &join.using_alias {
            names.push(join_item(alias.name.clone(), columns[..merged].to_vec(), true, false));
        }
        if let Some(alias) = &join.alias {
            rename(&mut columns, alias)?;
        }
        let written = WrittenJoin {
            merged: written_sides,
            using_alias: join.using_alias.as_ref().map(|alias| alias.name.clone()),
            alias: join.alias.as_ref().map(|alias| alias.name.clone()),
            column_aliases: join.alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()),
            columns: match &join.alias {
                Some(_) => columns.iter().map(|c| (c.name.clone(), c.expr.clone())).collect(),
                None => Vec::new(),
            },
            using,
        };
        let name = join.alias.as_ref().map_or("unnamed_join", |alias| &alias.name).to_owned();
        names.push(join_item(name, columns, join.alias.is_some(), true));
        self.scope().written.joins.push(written);
        let tree = JoinTree::Join { kind, left: Box::new(left), right: Box::new(right), on };
        Ok((tree, names))
    }

    fn join_condition(
        &mut self,
        quals: &ast::Expr,
        left: &[NamespaceItem],
        right: &[NamespaceItem],
    ) -> SqlResult<Expr> {
        // Only the two sides are visible, whatever else FROM has before them.
        let own = left.iter().chain(right).cloned().collect();
        let outer = std::mem::replace(&mut self.scope().namespace, own);
        let result = self.in_clause(Clause::JoinOn, |analyzer| {
            let node = analyzer.expr(quals)?;
            analyzer.coerce_to_boolean(node, "JOIN/ON")
        });
        self.scope().namespace = outer;
        result
    }

    /// The condition of `USING`, and the merged columns.
    fn merge(
        &mut self,
        kind: JoinKind,
        using: &[String],
        left: &[NamespaceColumn],
        right: &[NamespaceColumn],
    ) -> SqlResult<(Option<Expr>, Vec<NamespaceColumn>)> {
        let mut conditions = Vec::with_capacity(using.len());
        let mut sides = Vec::with_capacity(using.len());
        let mut merged: Vec<NamespaceColumn> = Vec::with_capacity(using.len());
        for name in using {
            if merged.iter().any(|column| column.name == *name) {
                return Err(SqlError::new(
                    SqlState::DuplicateColumn,
                    format!("column name \"{name}\" appears more than once in USING clause"),
                ));
            }
            let left = using_column(left, name, "left")?;
            let right = using_column(right, name, "right")?;
            sides.push((left.clone(), right.clone()));
            let expr = self.merged_column(kind, left, right)?;
            merged.push(NamespaceColumn { name: name.clone(), expr });
        }
        for (left, right) in sides {
            let (left, right) = (Node::unwritten(left), Node::unwritten(right));
            let equal = self.operator(&symbol("="), Some(left), right, 0);
            let equal = equal.map_err(without_position)?;
            conditions.push(self.coerce_to_boolean(equal, "JOIN/USING")?);
        }
        let on = match conditions.len() {
            0 => None,
            1 => conditions.pop(),
            _ => Some(Expr::And(conditions)),
        };
        Ok((on, merged))
    }

    /// What a merged column is: of an outer join, the side that is always there.
    fn merged_column(&mut self, kind: JoinKind, left: Expr, right: Expr) -> SqlResult<Expr> {
        let (left_ty, right_ty) = (left.ty(), right.ty());
        let sides = vec![Node::unwritten(left), Node::unwritten(right)];
        let common = self.common_type(&sides.iter().collect::<Vec<_>>(), "JOIN/USING")?;
        let same_typmod = left_ty.oid == right_ty.oid && left_ty.typmod == right_ty.typmod;
        let typmod = if same_typmod { left_ty.typmod } else { -1 };
        let ty = TypeRef::with_typmod(common, typmod);
        let mut coerced = Vec::with_capacity(2);
        for side in sides {
            let side = self.coerce_to_common(side, common, "JOIN/USING")?;
            let (context, form) =
                (aegis_types::builtin::CastContext::Implicit, crate::bound::CallForm::ImplicitCast);
            coerced.push(self.coerce_typmod(side, ty, context, form, None, false)?.expr);
        }
        let (Some(right), Some(left)) = (coerced.pop(), coerced.pop()) else {
            return Err(SqlError::internal("a merged column without two sides"));
        };
        Ok(match kind {
            JoinKind::Inner if matches!(left, Expr::Column { .. }) => left,
            JoinKind::Inner if matches!(right, Expr::Column { .. }) => right,
            JoinKind::Inner | JoinKind::Left => left,
            JoinKind::Right => right,
            JoinKind::Full => Expr::Coalesce { args: vec![left, right], ty },
        })
    }
}

fn join_item(
    name: String,
    columns: Vec<NamespaceColumn>,
    name_visible: bool,
    columns_visible: bool,
) -> NamespaceItem {
    NamespaceItem {
        name,
        entry: None,
        relation: None,
        columns,
        name_visible,
        columns_visible,
        lateral_only: false,
        lateral_ok: true,
    }
}

fn visible_columns(names: &[NamespaceItem]) -> Vec<NamespaceColumn> {
    names
        .iter()
        .filter(|item| item.columns_visible)
        .flat_map(|item| item.columns.iter().cloned())
        .collect()
}

fn natural_columns(left: &[NamespaceColumn], right: &[NamespaceColumn]) -> Vec<String> {
    left.iter()
        .filter(|column| right.iter().any(|other| other.name == column.name))
        .map(|column| column.name.clone())
        .collect()
}

fn using_column(columns: &[NamespaceColumn], name: &str, side: &str) -> SqlResult<Expr> {
    let mut matching = columns.iter().filter(|column| column.name == name);
    match (matching.next(), matching.next()) {
        (Some(column), None) => Ok(column.expr.clone()),
        (Some(_), Some(_)) => Err(SqlError::new(
            SqlState::AmbiguousColumn,
            format!("common column name \"{name}\" appears more than once in {side} table"),
        )),
        (None, _) => Err(SqlError::new(
            SqlState::UndefinedColumn,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )),
    }
}

fn rename(columns: &mut [NamespaceColumn], alias: &ast::Alias) -> SqlResult<()> {
    if alias.columns.len() > columns.len() {
        return Err(SqlError::new(
            SqlState::SyntaxError,
            format!("column alias list for \"{}\" has too many entries", alias.name),
        ));
    }
    for (column, name) in columns.iter_mut().zip(&alias.columns) {
        column.name.clone_from(name);
    }
    Ok(())
}

/// The error without its position, where the client wrote nothing to point at.
pub(super) fn without_position(error: SqlError) -> SqlError {
    let fields = error.fields();
    let mut plain = SqlError::new(fields.code, fields.message.clone());
    if let Some(detail) = &fields.detail {
        plain = plain.detail(detail.clone());
    }
    if let Some(hint) = &fields.hint {
        plain = plain.hint(hint.clone());
    }
    plain
}
