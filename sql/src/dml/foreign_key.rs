//! Foreign keys: a child row must find its parent, and a parent that goes takes its children along
//! or is refused.
//!
//! Checks and actions run when the statement has written all its rows, as PostgreSQL's triggers do,
//! in one queue: a cascade's own consequences join its end, so that no chain of references is too
//! deep. A parent that is there already when its child is written needs no place in the queue. The
//! parent row is locked `FOR KEY SHARE`, so that it stays until the child's transaction ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use aegis_catalog::{
    Constraint, ConstraintKind, Deferral, ForeignKey, ReferentialAction, Relation,
};
use aegis_storage::{LockWait, RowLockMode, RowLockOutcome, TableLockMode};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, io};

use super::pending::{Pending, What};
use super::table::{IndexAccess, TableAccess, position, schema_name};
use super::write::OldRow;
use super::{Changes, serialization_failure};
use crate::analyze::{Analyzer, AnalyzerContext};
use crate::bound::BoundStatement;
use crate::query_engine::StatementContext;

/// Columns of one row that another refers to, with their types.
type KeyValues = Vec<(TypeRef, Datum)>;

impl Changes<'_> {
    /// Looks for the parents of a new or changed row.
    pub(crate) async fn check_references(
        &mut self,
        table: &TableAccess,
        row_key: &[u8],
        row: &[Datum],
        old: Option<&OldRow>,
    ) -> SqlResult<()> {
        // The engine whose table it is has its own look.
        let foreign_keys = match table.hook() {
            Some(_) => &[],
            None => table.foreign_keys.as_slice(),
        };
        for foreign in foreign_keys {
            let key = &foreign.key;
            let unchanged = old.is_some_and(|old| {
                // What waits to be looked at under the row's old key finds nothing there.
                let found_again = old.key == row_key || !foreign.deferral.is_deferrable();
                found_again
                    && key.columns.iter().all(|number| {
                        let at = position(*number);
                        same(table.layout.column_type(at).oid, &old.values[at], &row[at])
                    })
            });
            if unchanged {
                continue;
            }
            let null_count =
                key.columns.iter().filter(|number| row[position(**number)].is_null()).count();
            if null_count > 0 {
                if key.match_full && null_count < key.columns.len() {
                    return Err(mixed_nulls(&foreign.name, table));
                }
                continue;
            }
            if !self.lock_parent(key, table, row).await? {
                self.pending.push(Pending {
                    constraint: foreign.oid,
                    holder: table.relation.oid,
                    deferral: foreign.deferral,
                    what: What::Child { row_key: row_key.to_vec() },
                });
            }
        }
        Ok(())
    }

    /// Notes what must follow from a parent row that is gone or has another key.
    pub(super) async fn referenced_row_changed(
        &mut self,
        table: &TableAccess,
        old: &[Datum],
        new: Option<&[Datum]>,
    ) -> SqlResult<()> {
        for (child, constraint) in &table.referenced_by {
            let Some(foreign) = self.foreign_key(*child, *constraint) else {
                continue;
            };
            let ConstraintKind::ForeignKey(key) = &foreign.kind else { continue };
            let values = |row: &[Datum]| -> Vec<Datum> {
                key.target_columns.iter().map(|number| row[position(*number)].clone()).collect()
            };
            let (old, new) = (values(old), new.map(values));
            if old.iter().any(Datum::is_null) {
                continue;
            }
            let kept = new.as_ref().is_some_and(|new| {
                key.target_columns.iter().zip(old.iter().zip(new)).all(|(number, (old, new))| {
                    same(table.layout.column_type(position(*number)).oid, old, new)
                })
            });
            if !kept {
                self.pending.push(Pending {
                    constraint: *constraint,
                    holder: *child,
                    deferral: parent_deferral(&foreign, new.is_some()),
                    what: What::Parent { parent: table.relation.oid, old, new },
                });
            }
        }
        Ok(())
    }

    /// Looks for the parent of a child row that had none.
    pub(super) async fn recheck_child(
        &mut self,
        child: Oid,
        constraint: Oid,
        row_key: &[u8],
    ) -> SqlResult<()> {
        let Some(relation) = self.catalog().relation(child).cloned() else {
            return Ok(());
        };
        let table = TableAccess::new(&relation, self.context)?;
        let Some(foreign) = table.foreign_keys.iter().find(|foreign| foreign.oid == constraint)
        else {
            return Ok(());
        };
        let Some(stored) = self.txn.get_newest(table.tree, row_key)? else {
            return Ok(());
        };
        let row = table.layout.decode(&stored.value)?;
        let key = &foreign.key;
        if key.columns.iter().any(|number| row[position(*number)].is_null())
            || self.lock_parent(key, &table, &row).await?
        {
            return Ok(());
        }
        let parent = self.catalog().relation(key.target).map_or("", |parent| &parent.name);
        let detail = table.key_detail(&key.columns, &row, &self.evaluation());
        Err(SqlError::new(
            SqlState::ForeignKeyViolation,
            format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
                relation.name, foreign.name
            ),
        )
        .detail(format!("{detail} is not present in table \"{parent}\"."))
        .table(&table.schema_name, &relation.name)
        .constraint(&foreign.name))
    }

    /// Locks the parent row of a child row; false if there is none.
    async fn lock_parent(
        &mut self,
        key: &ForeignKey,
        child: &TableAccess,
        row: &[Datum],
    ) -> SqlResult<bool> {
        let Some(parent) = self.catalog().relation(key.target).cloned() else {
            return Ok(false);
        };
        let parent = TableAccess::new(&parent, self.context)?;
        let Some(index) = parent.indexes.iter().find(|index| index.oid == key.target_index) else {
            return Ok(false);
        };
        let Some(probe) = self.parent_probe(key, child, &parent, row)? else {
            return Ok(false);
        };
        let Some(entry) = index.encode_key(&probe, &[], &self.evaluation())? else {
            return Ok(false);
        };
        // The entry may move to another row while we wait for that row's lock: look again then.
        loop {
            let Some(row_key) = self.holder(index, &entry.bytes)? else {
                if !self.rechecks() && self.context.view.get(index.tree, &entry.bytes)?.is_some() {
                    return Err(serialization_failure("update"));
                }
                return Ok(false);
            };
            let wait = self.row_lock_wait();
            let cancel = &self.context.cancel;
            let lock = self.txn.lock_row(parent.tree, &row_key, RowLockMode::ForKeyShare, wait);
            match cancel.wait(lock).await? {
                RowLockOutcome::Changed(newest) if !self.rechecks() => {
                    if newest.is_none() {
                        return Err(serialization_failure("update"));
                    }
                    // A parent that came after the snapshot is none.
                    if self.context.view.get(parent.tree, &row_key)?.is_none() {
                        return Ok(false);
                    }
                }
                RowLockOutcome::Changed(_)
                | RowLockOutcome::Unchanged
                | RowLockOutcome::Skipped => {}
            }
            if self.holder(index, &entry.bytes)?.as_deref() == Some(row_key.as_slice()) {
                return Ok(true);
            }
        }
    }

    fn holder(&self, index: &IndexAccess, entry: &[u8]) -> SqlResult<Option<Vec<u8>>> {
        let found = self.txn.get_newest(index.tree, entry)?;
        Ok(found.map(|row| if index.is_row_key { entry.to_vec() } else { row.value.to_vec() }))
    }

    /// A parent row with only its referenced columns filled, from the child's; `None` where a value
    /// is none of the parent's type.
    fn parent_probe(
        &self,
        key: &ForeignKey,
        child: &TableAccess,
        parent: &TableAccess,
        row: &[Datum],
    ) -> SqlResult<Option<Vec<Datum>>> {
        let mut probe = vec![Datum::Null; parent.layout.column_count()];
        for (from, to) in key.columns.iter().zip(&key.target_columns) {
            let source = child.layout.column_type(position(*from));
            let target = parent.layout.column_type(position(*to));
            let value = row[position(*from)].clone();
            let Some(value) = self.converted(value, source, target) else {
                return Ok(None);
            };
            probe[position(*to)] = value;
        }
        Ok(Some(probe))
    }

    /// A value under the type of the other side. The two have an equality operator, so that what has
    /// no form in the other type equals nothing of it.
    fn converted(&self, value: Datum, source: TypeRef, target: TypeRef) -> Option<Datum> {
        if source.oid == target.oid {
            return Some(value);
        }
        let eval = self.context.eval();
        let mut text = Vec::new();
        io::text_out(source.oid, &value, &eval, &mut text);
        let text = String::from_utf8(text).ok()?;
        io::text_in(TypeRef::plain(target.oid), &text, &eval).ok()
    }

    fn foreign_key(&self, child: Oid, constraint: Oid) -> Option<Constraint> {
        let table = self.catalog().relation(child)?.as_table()?;
        table.constraints.iter().find(|found| found.oid == constraint).cloned()
    }

    /// Does what follows from a parent row that is gone or has another key.
    pub(super) async fn parent_gone(
        &mut self,
        child: Oid,
        constraint: Oid,
        old: &[Datum],
        new: Option<&[Datum]>,
    ) -> SqlResult<()> {
        let catalog = self.catalog().clone();
        let Some(Constraint { name, kind: ConstraintKind::ForeignKey(key), .. }) =
            self.foreign_key(child, constraint)
        else {
            return Ok(());
        };
        let (name, key) = (&name, &key);
        let (Some(child), Some(parent)) = (catalog.relation(child), catalog.relation(key.target))
        else {
            return Ok(());
        };
        let action = if new.is_some() { key.on_update } else { key.on_delete };
        let old: KeyValues = typed(parent, &key.target_columns, old);
        match action {
            ReferentialAction::NoAction | ReferentialAction::Restrict => {
                if action == ReferentialAction::NoAction && self.parent_exists(parent, key, &old)? {
                    return Ok(());
                }
                self.refuse_children(name, key, parent, child, &old).await
            }
            ReferentialAction::Cascade => match new {
                None => {
                    let table = qualified(&catalog, child);
                    let condition = matches(child, &key.columns);
                    self.cascade(&format!("DELETE FROM ONLY {table} WHERE {condition}"), old).await
                }
                Some(new) => {
                    let sets =
                        assignments(child, &key.columns, |at| format!("${}", old.len() + at + 1));
                    let new = typed(parent, &key.target_columns, new);
                    self.update_children(&catalog, child, key, &sets, [old, new].concat()).await
                }
            },
            ReferentialAction::SetNull | ReferentialAction::SetDefault => {
                let value = if action == ReferentialAction::SetNull { "NULL" } else { "DEFAULT" };
                let columns =
                    if key.set_columns.is_empty() { &key.columns } else { &key.set_columns };
                let sets = assignments(child, columns, |_| value.to_owned());
                self.update_children(&catalog, child, key, &sets, old.clone()).await?;
                if action == ReferentialAction::SetNull || self.parent_exists(parent, key, &old)? {
                    return Ok(());
                }
                // A child whose default is the key that is gone has not changed, and is still there.
                self.refuse_children(name, key, parent, child, &old).await
            }
        }
    }

    /// 23503 if a child has the key of a parent that is gone.
    async fn refuse_children(
        &mut self,
        name: &str,
        key: &ForeignKey,
        parent: &Relation,
        child: &Relation,
        old: &KeyValues,
    ) -> SqlResult<()> {
        let table = qualified(&self.context.catalog, child);
        let query = format!("SELECT 1 FROM ONLY {table} WHERE {}", matches(child, &key.columns));
        if self.any_row(&query, old).await? {
            return Err(still_referenced(name, key, parent, child, old, self.context));
        }
        Ok(())
    }

    async fn update_children(
        &mut self,
        catalog: &aegis_catalog::CatalogSnapshot,
        child: &Relation,
        key: &ForeignKey,
        sets: &str,
        parameters: KeyValues,
    ) -> SqlResult<()> {
        let table = qualified(catalog, child);
        let condition = matches(child, &key.columns);
        let statement = format!("UPDATE ONLY {table} SET {sets} WHERE {condition}");
        self.cascade(&statement, parameters).await
    }

    fn parent_exists(
        &self,
        parent: &Arc<Relation>,
        key: &ForeignKey,
        old: &[(TypeRef, Datum)],
    ) -> SqlResult<bool> {
        let parent = TableAccess::new(parent, self.context)?;
        let Some(index) = parent.indexes.iter().find(|index| index.oid == key.target_index) else {
            return Ok(false);
        };
        let mut probe = vec![Datum::Null; parent.layout.column_count()];
        for (number, (_, value)) in key.target_columns.iter().zip(old) {
            probe[position(*number)] = value.clone();
        }
        let Some(entry) = index.encode_key(&probe, &[], &self.evaluation())? else {
            return Ok(false);
        };
        Ok(self.holder(index, &entry.bytes)?.is_some())
    }

    /// Runs a statement of ours over the newest state with everything that this one has written.
    async fn cascade(&mut self, statement: &str, parameters: KeyValues) -> SqlResult<()> {
        let (mut bound, mut context) = self.analyze_internal(statement, &parameters)?;
        let table = match &bound {
            BoundStatement::Update(update) => &update.table,
            BoundStatement::Delete(delete) => &delete.table,
            _ => return Err(SqlError::internal("a cascade is an UPDATE or a DELETE")),
        };
        // As any change of the table, it waits for who truncates it.
        let object = (u64::from(table.database.0) << 32) | u64::from(table.oid.0);
        let wait = LockWait::Wait { timeout: self.lock_timeout };
        let lock = self.txn.lock_table(object, TableLockMode::RowExclusive, wait);
        self.context.cancel.wait(lock).await?;
        if self.txn.newest_seq() != context.view.seq() {
            (bound, context) = self.analyze_internal(statement, &parameters)?;
        }
        let pending = std::mem::take(&mut self.pending);
        let mut inner = Changes {
            txn: super::Lent::whole(&mut self.txn),
            context: &context,
            engine: self.engine,
            row_ids: self.row_ids,
            lock_timeout: self.lock_timeout,
            pending,
            kept: None,
            changed_in_with: None,
            cascade_depth: self.cascade_depth + 1,
            returned_columns: BTreeSet::new(),
            asks_engines: self.asks_engines,
        };
        let done = match &bound {
            BoundStatement::Update(update) => Box::pin(inner.update(update)).await,
            BoundStatement::Delete(delete) => Box::pin(inner.delete(delete)).await,
            _ => Err(SqlError::internal("a cascade is an UPDATE or a DELETE")),
        };
        self.pending = inner.pending;
        done.map(drop)
    }

    async fn any_row(&mut self, query: &str, parameters: &KeyValues) -> SqlResult<bool> {
        let (bound, context) = self.analyze_internal(query, parameters)?;
        let BoundStatement::Query(query) = bound else {
            return Err(SqlError::internal("a check of references is a SELECT"));
        };
        let mut stream = self.engine.plan(&query, &context)?.execute(context)?;
        while let Some(batch) = stream.next().await? {
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn analyze_internal(
        &mut self,
        text: &str,
        parameters: &KeyValues,
    ) -> SqlResult<(BoundStatement, StatementContext)> {
        self.txn.next_command()?;
        let view = self.txn.newest_view()?;
        let mut context = self.context.over(view);
        context.parameters = parameters.iter().map(|(_, value)| value.clone()).collect();
        let parsed = crate::parser::parse(text)?;
        let statement =
            parsed.first().ok_or_else(|| SqlError::internal("a statement of ours is empty"))?;
        let analyzer = Analyzer::new(AnalyzerContext {
            catalog: &context.catalog,
            database: context.database,
            search_path: &[],
            system_relations: &*context.system_relations,
            eval: context.eval(),
            parameters: parameters.iter().map(|(ty, _)| Some(ty.oid)).collect(),
            infer_parameters: false,
        });
        let analyzed = analyzer.of_stored_text().analyze(&statement.statement)?;
        Ok((analyzed.statement, context))
    }
}

/// When it is looked at whether a parent may go: only NO ACTION can wait.
fn parent_deferral(constraint: &Constraint, is_update: bool) -> Deferral {
    let ConstraintKind::ForeignKey(key) = &constraint.kind else {
        return Deferral::NotDeferrable;
    };
    match if is_update { key.on_update } else { key.on_delete } {
        ReferentialAction::NoAction => constraint.deferral,
        _ => Deferral::NotDeferrable,
    }
}

pub(super) fn same(ty: Oid, one: &Datum, other: &Datum) -> bool {
    match (one.is_null(), other.is_null()) {
        (true, true) => true,
        (false, false) => aegis_types::compare::equal(ty, one, other),
        _ => false,
    }
}

fn typed(relation: &Relation, columns: &[i16], values: &[Datum]) -> KeyValues {
    columns
        .iter()
        .zip(values)
        .filter_map(|(number, value)| Some((relation.column(*number)?.ty, value.clone())))
        .collect()
}

/// `a = $1 AND b = $2`
fn matches(relation: &Relation, columns: &[i16]) -> String {
    let parts: Vec<String> = names(relation, columns)
        .enumerate()
        .map(|(at, name)| format!("{name} = ${}", at + 1))
        .collect();
    parts.join(" AND ")
}

/// `a = …, b = …`
fn assignments(relation: &Relation, columns: &[i16], value: impl Fn(usize) -> String) -> String {
    let parts: Vec<String> = names(relation, columns)
        .enumerate()
        .map(|(at, name)| format!("{name} = {}", value(at)))
        .collect();
    parts.join(", ")
}

fn names<'r>(relation: &'r Relation, columns: &'r [i16]) -> impl Iterator<Item = String> + 'r {
    columns.iter().filter_map(|number| relation.column(*number)).map(|c| quoted(&c.name))
}

fn qualified(catalog: &aegis_catalog::CatalogSnapshot, relation: &Relation) -> String {
    format!("{}.{}", quoted(&schema_name(catalog, relation.schema)), quoted(&relation.name))
}

/// A name as a delimited identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn mixed_nulls(name: &str, table: &TableAccess) -> SqlError {
    SqlError::new(
        SqlState::ForeignKeyViolation,
        format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{name}\"",
            table.relation.name
        ),
    )
    .detail("MATCH FULL does not allow mixing of null and nonnull key values.")
    .table(&table.schema_name, &table.relation.name)
    .constraint(name)
}

fn still_referenced(
    name: &str,
    key: &ForeignKey,
    parent: &Relation,
    child: &Relation,
    old: &[(TypeRef, Datum)],
    context: &StatementContext,
) -> SqlError {
    let columns: Vec<&str> = key
        .target_columns
        .iter()
        .filter_map(|number| parent.column(*number))
        .map(|column| column.name.as_str())
        .collect();
    let values: Vec<String> = old
        .iter()
        .map(|(ty, value)| {
            let mut text = Vec::new();
            io::text_out(ty.oid, value, &context.eval(), &mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
        .collect();
    SqlError::new(
        SqlState::ForeignKeyViolation,
        format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{name}\" on table \"{}\"",
            parent.name, child.name
        ),
    )
    .detail(format!(
        "Key ({})=({}) is still referenced from table \"{}\".",
        columns.join(", "),
        values.join(", "),
        child.name
    ))
    .table(schema_name(&context.catalog, child.schema), &child.name)
    .constraint(name)
}
