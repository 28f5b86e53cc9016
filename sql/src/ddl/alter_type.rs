//! `ALTER COLUMN … TYPE`: the rows are converted into a new tree, indexes are filled anew, and
//! whatever was said about the column is looked at again under the new type.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::{ConstraintKind, Relation, RelationBody};
use aegis_storage::TableLockMode;
use aegis_types::functions::quote_ident;
use aegis_types::{Collation, Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Ddl;
use super::create_table::is_system_column;
use super::expression::compile_over_row;
use crate::analyze::{ExprPlace, format_type};
use crate::ast::{CollationName, ColumnRef, Expr, TypeName};
use crate::bound;
use crate::evaluate::Program;
use crate::parser;

/// One column's new type.
pub(super) struct TypeChange<'a> {
    pub(super) column: &'a str,
    pub(super) type_name: &'a TypeName,
    pub(super) collation: Option<&'a CollationName>,
    pub(super) using: Option<&'a Expr>,
}

/// How a column's values are made.
struct Conversion {
    collation: Option<Collation>,
    at: usize,
    ty: TypeRef,
    program: Program,
    default: Option<String>,
}

impl Ddl<'_> {
    /// Changes the types of columns, all at once: expressions see the old values.
    pub(super) async fn alter_types(
        &mut self,
        table: Oid,
        changes: &[TypeChange<'_>],
    ) -> SqlResult<()> {
        let old = self.relation(table)?;
        let mut conversions: Vec<Conversion> = Vec::with_capacity(changes.len());
        for change in changes {
            let conversion = self.conversion(&old, change)?;
            if conversions.iter().any(|other| other.at == conversion.at) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("cannot alter type of column \"{}\" twice", change.column),
                ));
            }
            conversions.push(conversion);
        }
        let mut changed = (*old).clone();
        for conversion in &conversions {
            let column = &mut changed.columns[conversion.at];
            column.ty = conversion.ty;
            column.collation = conversion.collation;
            column.missing = None;
            column.default.clone_from(&conversion.default);
        }
        let numbers: BTreeSet<i16> =
            conversions.iter().map(|conversion| old.columns[conversion.at].number).collect();
        for number in &numbers {
            self.forget_statistics(table, *number)?;
        }
        let changed = self.put_relation(changed)?;
        self.check_index_types(&changed, &numbers)?;
        self.retype_identities(&changed, &numbers).await?;
        let checks = self.checks_again(&changed, &numbers)?;
        let not_null: Vec<usize> = changed
            .live_columns()
            .filter(|column| column.not_null && numbers.contains(&column.number))
            .filter_map(|column| usize::try_from(column.number - 1).ok())
            .collect();
        let names = changed.clone();
        let relation = self
            .rewrite_table(&old, |ddl, mut row| {
                let evaluation = ddl.context.evaluation();
                let mut values = Vec::with_capacity(conversions.len());
                for conversion in &conversions {
                    values.push(conversion.program.evaluate(&row, &evaluation)?);
                }
                for (conversion, value) in conversions.iter().zip(values) {
                    row[conversion.at] = value;
                }
                if let Some(at) = not_null.iter().find(|at| row[**at].is_null()) {
                    return Err(ddl.contains_nulls(&names, &names.columns[*at].name));
                }
                for (name, program) in &checks {
                    if let Datum::Bool(false) = program.evaluate(&row, &evaluation)? {
                        return Err(ddl.violated_check(&names, name));
                    }
                }
                Ok(row)
            })
            .await?;
        self.foreign_keys_again(&relation, &numbers).await
    }

    fn conversion(&self, old: &Arc<Relation>, change: &TypeChange<'_>) -> SqlResult<Conversion> {
        let name = change.column;
        let Some(column) = old.column_named(name) else {
            if is_system_column(name) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("cannot alter system column \"{name}\""),
                ));
            }
            return Err(super::alter_table::missing_column(old, name));
        };
        let ty = self.column_type(change.type_name, name)?;
        let collation = self.column_collation(change.collation, ty)?;
        if column.identity.is_some() && !matches!(ty.oid, t::INT2 | t::INT4 | t::INT8) {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        if let Some(view) = self.views_using(old, column.number)?.first() {
            let view = self.relation(*view)?;
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "cannot alter type of a column used by a view or rule",
            )
            .detail(format!(
                "rule _RETURN on view {} depends on column \"{name}\"",
                self.shown(&view)
            )));
        }
        for other in old.live_columns() {
            if self.generated_from(old, other)?.contains(&column.number) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    "cannot alter type of a column used by a generated column",
                )
                .detail(format!(
                    "Column \"{name}\" is used by generated column \"{}\".",
                    other.name
                )));
            }
        }
        self.check_row_type_unused(old)?;
        let program = self.transform(old, change, ty)?;
        let default = match &column.default {
            None => None,
            Some(text) => {
                let expr = parser::parse_expr(text)?;
                let default = if column.generated {
                    self.generation(&expr, old, ty, name).map(Some)
                } else {
                    self.default(&expr, old, ty, name)
                };
                let default = default.map_err(|error| {
                    if error.code() != SqlState::DatatypeMismatch {
                        return error;
                    }
                    SqlError::new(
                        SqlState::DatatypeMismatch,
                        format!(
                            "{} for column \"{name}\" cannot be cast automatically to type {}",
                            if column.generated { "generation expression" } else { "default" },
                            self.type_name(ty.oid)
                        ),
                    )
                })?;
                default.map(|(text, _)| text)
            }
        };
        let at = usize::try_from(column.number - 1).unwrap_or_default();
        Ok(Conversion { at, ty, collation, program, default })
    }

    /// What makes the new values of the old row.
    fn transform(
        &self,
        old: &Arc<Relation>,
        change: &TypeChange<'_>,
        ty: TypeRef,
    ) -> SqlResult<Program> {
        let own = Expr::ColumnRef(ColumnRef {
            names: vec![change.column.to_owned()],
            star: false,
            location: 0,
        });
        let place = ExprPlace::AlterTransform;
        let bound: bound::Expr = match change.using {
            Some(expr) => self.bind(expr, old, place, Some((ty, change.column)))?,
            None => self.bind(&own, old, place, Some((ty, change.column))).map_err(|error| {
                if error.code() != SqlState::DatatypeMismatch {
                    return error;
                }
                let name = |ty| format_type(&self.context.catalog, &self.search_path, ty);
                SqlError::new(
                    SqlState::DatatypeMismatch,
                    format!(
                        "column \"{}\" cannot be cast automatically to type {}",
                        change.column,
                        self.type_name(ty.oid)
                    ),
                )
                .hint(format!(
                    "You might need to specify \"USING {}::{}\".",
                    quote_ident(change.column),
                    name(ty)
                ))
            })?,
        };
        compile_over_row(&bound)
    }

    /// 0A000 where a column of another table holds rows of this one.
    fn check_row_type_unused(&self, relation: &Relation) -> SqlResult<()> {
        for other in self.context.catalog.relations_of(self.context.database) {
            if other.as_table().is_none() {
                continue;
            }
            let found = other.live_columns().find(|column| {
                column.ty.oid == relation.row_type || column.ty.oid == relation.row_array_type
            });
            if let Some(column) = found {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!(
                        "cannot alter table \"{}\" because column \"{}.{}\" uses its row type",
                        relation.name, other.name, column.name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn check_index_types(
        &mut self,
        relation: &Arc<Relation>,
        numbers: &BTreeSet<i16>,
    ) -> SqlResult<()> {
        let indexes = relation.as_table().map(|table| table.indexes.clone()).unwrap_or_default();
        for index in indexes {
            let index = self.relation(index)?;
            let Some(body) = index.as_index() else { continue };
            for key in body.keys.iter().filter(|key| numbers.contains(&key.column)) {
                if let Some(column) = relation.column(key.column) {
                    self.check_ordered(column.ty.oid, &body.method)?;
                }
            }
            if !body.is_plain() && body.named_columns().iter().any(|c| numbers.contains(c)) {
                self.rebind_index(index.oid, relation)?;
            }
        }
        Ok(())
    }

    /// The sequence of an identity column counts in the column's type.
    async fn retype_identities(
        &mut self,
        relation: &Relation,
        numbers: &BTreeSet<i16>,
    ) -> SqlResult<()> {
        for number in numbers {
            let Some(column) = relation.column(*number).filter(|c| c.identity.is_some()) else {
                continue;
            };
            let ty = column.ty.oid;
            let owned: Vec<Oid> = self.owned_sequences(relation.oid, Some(*number)).collect();
            for oid in owned {
                self.lock(oid, TableLockMode::ShareRowExclusive).await?;
                let sequence = self.relation(oid)?;
                self.retype_sequence(&sequence, ty)?;
            }
        }
        Ok(())
    }

    /// The conditions that name a column whose type has changed, printed and compiled anew.
    fn checks_again(
        &mut self,
        relation: &Arc<Relation>,
        numbers: &BTreeSet<i16>,
    ) -> SqlResult<Vec<(String, Program)>> {
        let mut changed = (**relation).clone();
        let mut programs = Vec::new();
        if let RelationBody::Table(body) = &mut changed.body {
            for stored in &mut body.constraints {
                let ConstraintKind::Check { expression, columns } = &mut stored.kind else {
                    continue;
                };
                if !columns.iter().any(|column| numbers.contains(column)) {
                    continue;
                }
                let expr = parser::parse_expr(expression)?;
                let (text, bound, _) = self.check_condition(&expr, relation)?;
                *expression = text;
                programs.push((stored.name.clone(), compile_over_row(&bound)?));
            }
        }
        self.put_relation(changed)?;
        Ok(programs)
    }

    /// Foreign keys from and to the table are checked again.
    async fn foreign_keys_again(
        &mut self,
        relation: &Arc<Relation>,
        numbers: &BTreeSet<i16>,
    ) -> SqlResult<()> {
        let Some(body) = relation.as_table() else { return Ok(()) };
        let mut found: Vec<(Oid, Oid)> = Vec::new();
        for stored in &body.constraints {
            if let ConstraintKind::ForeignKey(key) = &stored.kind
                && key.columns.iter().any(|column| numbers.contains(column))
            {
                found.push((relation.oid, stored.oid));
            }
        }
        for (other, constraint) in &body.referenced_by {
            self.lock(*other, TableLockMode::AccessExclusive).await?;
            let other = self.relation(*other)?;
            let stored = other.as_table().and_then(|table| {
                table.constraints.iter().find(|stored| stored.oid == *constraint)
            });
            if let Some(ConstraintKind::ForeignKey(key)) = stored.map(|stored| &stored.kind)
                && key.target_columns.iter().any(|column| numbers.contains(column))
                && !found.contains(&(other.oid, *constraint))
            {
                found.push((other.oid, *constraint));
            }
        }
        for (table, constraint) in found {
            self.foreign_key_again(table, constraint).await?;
        }
        Ok(())
    }
}
