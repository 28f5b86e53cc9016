//! `ANALYZE`: what a sample of a table's rows says of its columns and of the expressions that its
//! indexes are over, kept in the catalog.

use std::sync::Arc;

use aegis_catalog::{Column, Descriptor, DescriptorKey, Relation, RelationBody, Statistics};
use aegis_storage::{LockWait, ReadView, TableLockMode, TreeId, at_length};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::Ddl;
use crate::analyze::ExprPlace;
use crate::dml::compile_over_row;
use crate::evaluate::Program;
use crate::row::RowLayout;
use crate::statistics::{
    Pace, ROWS_A_UNIT, Sample, Sampled, Sampler, WHOLE_MAX, estimate, sampled,
};

/// Rows that are looked at where no column is.
const ROWS_MIN: usize = 100;
/// Which part of a query's memory a sample may take.
const MEMORY_PART: usize = 2;

/// How a table is analyzed.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// The columns, by name; none for all of them and the expressions of indexes.
    pub columns: Vec<String>,
    /// How fast.
    pub pace: Pace,
}

/// What was found in a table.
struct Findings {
    /// The table, as it was.
    relation: Arc<Relation>,
    rows: f64,
    statistics: Vec<Statistics>,
}

impl Findings {
    /// Whether they still say something of the table.
    fn fit(&self, newest: &Relation) -> bool {
        let (Some(then), Some(now)) = (self.relation.as_table(), newest.as_table()) else {
            return false;
        };
        let is_there = |it: &Statistics| {
            let column = newest.column(it.column).filter(|column| !column.dropped);
            if it.relation == newest.oid {
                column.is_some_and(|column| column.ty == it.ty)
            } else {
                now.indexes.contains(&it.relation)
            }
        };
        then.tree == now.tree && self.statistics.iter().all(is_there)
    }
}

/// Where the values come from that are estimated.
struct Subject {
    relation: Oid,
    column: i16,
    ty: TypeRef,
    /// The type beneath its domains.
    base: Oid,
    target: usize,
    source: Source,
}

enum Source {
    /// A column, by its number less one.
    Column(usize),
    Expression(Program),
}

impl Ddl<'_> {
    /// Looks at a sample of a table's rows for the planner, and keeps what is found. Gives how many
    /// rows the table has; `None` where there is no such table any more.
    ///
    /// # Errors
    /// 42703 and 42701 for the columns named; what locking, reading and the expressions of indexes
    /// raise.
    pub async fn analyze_table(
        &mut self,
        table: Oid,
        analysis: &Analysis,
    ) -> SqlResult<Option<f64>> {
        self.lock(table, TableLockMode::ShareUpdateExclusive).await?;
        match self.look_at(table, analysis)? {
            Some(findings) => self.keep(findings).map(Some),
            None => Ok(None),
        }
    }

    /// Likewise for nobody who waits: reads without a lock, and gives `None` too where another has one
    /// or has changed the table meanwhile.
    ///
    /// # Errors
    /// What reading and the expressions of indexes raise.
    pub async fn analyze_quietly(&mut self, table: Oid, pace: Pace) -> SqlResult<Option<f64>> {
        let analysis = Analysis { pace, ..Analysis::default() };
        let Some(findings) = self.look_at(table, &analysis)? else { return Ok(None) };
        let mode = TableLockMode::ShareUpdateExclusive;
        if let Err(error) = self.lock_with(table, mode, LockWait::NoWait).await {
            let is_busy = error.code() == SqlState::LockNotAvailable;
            return if is_busy { Ok(None) } else { Err(error) };
        }
        let newest = self.context.catalog.relation(table);
        if !newest.is_some_and(|newest| findings.fit(newest)) {
            return Ok(None);
        }
        self.keep(findings).map(Some)
    }

    /// Takes long.
    fn look_at(&mut self, table: Oid, analysis: &Analysis) -> SqlResult<Option<Findings>> {
        let Some(relation) = self.context.catalog.relation(table).cloned() else {
            return Ok(None);
        };
        let Some(body) = relation.as_table() else { return Ok(None) };
        let tree = TreeId(body.tree);
        let subjects = self.subjects(&relation, &analysis.columns)?;
        let view = self.txn.newest_view()?;
        let host = self.become_owner(&relation);
        let found = at_length(|| self.look(&relation, tree, &view, subjects, analysis.pace));
        self.context.host = host;
        let (rows, statistics) = found?;
        Ok(Some(Findings { relation, rows, statistics }))
    }

    fn keep(&mut self, findings: Findings) -> SqlResult<f64> {
        for statistics in findings.statistics {
            self.put(Descriptor::Statistics(Arc::new(statistics)))?;
        }
        let mut counted = (*self.relation(findings.relation.oid)?).clone();
        if let RelationBody::Table(body) = &mut counted.body {
            #[expect(clippy::cast_possible_truncation, reason = "an estimate, float4 in pg_class")]
            {
                body.row_count = findings.rows as f32;
            }
        }
        self.put_relation(counted)?;
        Ok(findings.rows)
    }

    /// Forgets what is known of a column, and of the expressions of indexes that read it.
    pub(super) fn forget_statistics(&mut self, table: Oid, column: i16) -> SqlResult<()> {
        let catalog = self.context.catalog.clone();
        let mut known = vec![(table, column)];
        let indexes = catalog.relation(table).and_then(|relation| relation.as_table());
        for index in indexes.map_or(&[][..], |table| &table.indexes) {
            let Some(body) = catalog.relation(*index).and_then(|it| it.as_index()) else {
                continue;
            };
            let of_expressions =
                (1_i16..).zip(&body.keys).filter(|(_, key)| key.expression.is_some());
            known.extend(of_expressions.map(|(number, _)| (*index, number)));
        }
        for (relation, number) in known {
            if catalog.statistics(relation, number).is_some() {
                self.delete(DescriptorKey::Statistics(relation, number))?;
            }
        }
        Ok(())
    }

    /// What is looked at of a table.
    fn subjects(&self, relation: &Arc<Relation>, names: &[String]) -> SqlResult<Vec<Subject>> {
        let usual = usize::try_from(self.session_settings.integer("default_statistics_target"));
        let usual = usual.unwrap_or(ROWS_MIN);
        let mut columns: Vec<&Column> = Vec::new();
        for name in names {
            let column = relation
                .column_named(name)
                .ok_or_else(|| super::alter_table::missing_column(relation, name))?;
            if columns.iter().any(|known| known.number == column.number) {
                return Err(SqlError::new(
                    SqlState::DuplicateColumn,
                    format!(
                        "column \"{name}\" of relation \"{}\" appears more than once",
                        relation.name
                    ),
                ));
            }
            columns.push(column);
        }
        if names.is_empty() {
            columns = relation.live_columns().collect();
        }
        let mut subjects = Vec::new();
        for column in columns {
            let target = column.statistics.map_or(usual, |own| usize::try_from(own).unwrap_or(0));
            if target == 0 {
                continue;
            }
            let at = usize::try_from(column.number - 1).unwrap_or_default();
            let base = self.context.catalog.base_type(column.ty).oid;
            subjects.push(Subject {
                relation: relation.oid,
                column: column.number,
                ty: column.ty,
                base,
                target,
                source: Source::Column(at),
            });
        }
        if names.is_empty() {
            self.expressions(relation, usual, &mut subjects)?;
        }
        Ok(subjects)
    }

    /// The expressions of indexes that have an entry for every row.
    fn expressions(
        &self,
        relation: &Arc<Relation>,
        target: usize,
        subjects: &mut Vec<Subject>,
    ) -> SqlResult<()> {
        for oid in relation.as_table().map_or(&[][..], |table| &table.indexes) {
            let Some(index) = self.context.catalog.relation(*oid) else { continue };
            let Some(body) = index.as_index().filter(|body| body.predicate.is_none()) else {
                continue;
            };
            for (number, key) in (1_i16..).zip(&body.keys) {
                let Some(expression) = &key.expression else { continue };
                let place = ExprPlace::IndexExpression;
                let program =
                    compile_over_row(&expression.text, relation, place, None, &self.context)?;
                subjects.push(Subject {
                    relation: *oid,
                    column: number,
                    ty: expression.ty,
                    base: self.context.catalog.base_type(expression.ty).oid,
                    target,
                    source: Source::Expression(program),
                });
            }
        }
        Ok(())
    }

    /// How many rows a table has, and what is found of each subject. Takes long.
    fn look(
        &self,
        relation: &Relation,
        tree: TreeId,
        view: &ReadView,
        subjects: Vec<Subject>,
        pace: Pace,
    ) -> SqlResult<(f64, Vec<Statistics>)> {
        let layout = RowLayout::new(relation);
        let rows_max = subjects.iter().map(|subject| subject.target * ROWS_A_UNIT).max();
        let sampler = Sampler {
            view,
            tree,
            rows_max: rows_max.unwrap_or(0).max(ROWS_MIN),
            bytes_max: self.context.memory_bytes / MEMORY_PART,
            whole_max: WHOLE_MAX,
            pace,
            cancel: &self.context.cancel,
        };
        let evaluation = self.context.evaluation();
        let is_computed = |subject: &Subject| matches!(subject.source, Source::Expression(_));
        let needs_rows = subjects.iter().any(is_computed);
        let Sample { rows, total } = sampler.draw(|bytes| {
            let row = if needs_rows { layout.decode(bytes)? } else { Vec::new() };
            subjects
                .iter()
                .map(|subject| {
                    let value = match &subject.source {
                        Source::Expression(program) => {
                            self.context.cancel.check()?;
                            program.evaluate(&row, &evaluation)?
                        }
                        Source::Column(at) => layout.decode_column(bytes, *at)?,
                    };
                    Ok(sampled(subject.base, value))
                })
                .collect()
        })?;
        let mut values: Vec<Vec<Sampled>> = Vec::new();
        values.resize_with(subjects.len(), || Vec::with_capacity(rows.len()));
        for row in rows {
            for (column, value) in values.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let mut found = Vec::new();
        for (subject, values) in subjects.into_iter().zip(values) {
            self.context.cancel.check()?;
            let Subject { relation, column, ty, base, target, source } = subject;
            let is_stored = matches!(source, Source::Column(_));
            let Some(statistics) = estimate(base, values, total, target, is_stored) else {
                continue;
            };
            found.push(Statistics { relation, column, ty, ..statistics });
        }
        Ok((total, found))
    }
}
