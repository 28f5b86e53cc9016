//! Walking over all rows of a table, and writing them anew under another layout or key.

use std::sync::Arc;

use aegis_catalog::{Relation, RelationBody};
use aegis_storage::{Block, Direction, KeyRange, TreeId, at_length};
use aegis_types::{Datum, Oid, SqlError, SqlResult};

use super::Ddl;
use crate::row::RowLayout;

impl Ddl<'_> {
    /// Gives every row of a table, with its key, until `visit` returns false.
    pub(super) fn each_row(
        &self,
        relation: &Relation,
        visit: impl FnMut(&[u8], Vec<Datum>) -> SqlResult<bool>,
    ) -> SqlResult<()> {
        at_length(|| self.visit_rows(relation, visit))
    }

    fn visit_rows(
        &self,
        relation: &Relation,
        mut visit: impl FnMut(&[u8], Vec<Datum>) -> SqlResult<bool>,
    ) -> SqlResult<()> {
        let table = relation
            .as_table()
            .ok_or_else(|| SqlError::internal(format!("\"{}\" has no rows", relation.name)))?;
        let layout = RowLayout::new(relation);
        let view = self.txn.newest_view()?;
        let mut scan = view.scan(TreeId(table.tree), KeyRange::all(), Direction::Forward)?;
        let mut block = Block::default();
        while scan.next_block(&mut block)? {
            self.context.cancel.check()?;
            for row in block.iter() {
                if !visit(row.key, layout.decode(row.value)?)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes the rows of `old` into a new tree under the layout that the table has now, each as
    /// `change` makes it, and its indexes anew. Rows get hidden ids unless the table still has a
    /// row key.
    pub(super) async fn rewrite_table(
        &mut self,
        old: &Relation,
        change: impl FnMut(&Self, Vec<Datum>) -> SqlResult<Vec<Datum>>,
    ) -> SqlResult<Arc<Relation>> {
        let tree = self.store.allocate_tree_id().await?;
        let mut relation = (*self.relation(old.oid)?).clone();
        let RelationBody::Table(body) = &mut relation.body else {
            return Err(SqlError::internal("only tables are rewritten"));
        };
        body.tree = tree.0;
        let (row_key, indexes) = (body.row_key.clone(), body.indexes.clone());
        let relation = self.put_relation(relation)?;
        for index in &indexes {
            self.renew_index_tree(*index).await?;
        }
        let old_tree = old.as_table().map(|table| TreeId(table.tree)).unwrap_or_default();
        at_length(|| self.copy_rows((old, old_tree), (&relation, tree), &row_key, change))?;
        for index in indexes {
            if self.relation(index)?.as_index().is_some_and(|body| body.tree != 0) {
                at_length(|| self.fill_index(&relation, index))?;
            }
        }
        self.txn.drop_tree(old_tree)?;
        Ok(relation)
    }

    fn copy_rows(
        &mut self,
        (old, old_tree): (&Relation, TreeId),
        (relation, tree): (&Arc<Relation>, TreeId),
        row_key: &[i16],
        mut change: impl FnMut(&Self, Vec<Datum>) -> SqlResult<Vec<Datum>>,
    ) -> SqlResult<()> {
        let layout = RowLayout::new(relation);
        let old_layout = RowLayout::new(old);
        let view = self.txn.newest_view()?;
        let mut scan = view.scan(old_tree, KeyRange::all(), Direction::Forward)?;
        let mut block = Block::default();
        let mut key = Vec::new();
        let mut value = Vec::new();
        while scan.next_block(&mut block)? {
            self.context.cancel.check()?;
            for stored in block.iter() {
                let row = change(self, old_layout.decode(stored.value)?)?;
                key.clear();
                if row_key.is_empty() {
                    key.extend_from_slice(&self.row_ids.next(tree, self.txn)?.to_be_bytes());
                }
                for number in row_key {
                    let at = usize::try_from(number - 1).unwrap_or_default();
                    let ty = layout.column_type(at).oid;
                    aegis_types::key::encode(ty, &row[at], false, false, &mut key)?;
                }
                if !row_key.is_empty() && self.txn.get_newest(tree, &key)?.is_some() {
                    return Err(self.duplicate_row_key(relation, &row)?);
                }
                value.clear();
                layout.encode(&row, &mut value)?;
                self.txn.put(tree, &key, &value)?;
            }
        }
        Ok(())
    }

    /// 23505 for two rows that conversion gave the same primary key.
    fn duplicate_row_key(&self, relation: &Arc<Relation>, row: &[Datum]) -> SqlResult<SqlError> {
        let access = crate::dml::TableAccess::new(relation, &self.context)?;
        let primary = super::constraint::primary_key(relation);
        let name = primary.and_then(|oid| self.context.catalog.relation(oid));
        let name = name.map_or("", |index| index.name.as_str());
        let columns: Vec<i16> =
            relation.as_table().map(|table| table.row_key.clone()).unwrap_or_default();
        let detail = access.key_detail(&columns, row, &self.context.evaluation());
        Ok(SqlError::new(
            aegis_types::SqlState::UniqueViolation,
            format!("could not create unique index \"{name}\""),
        )
        .detail(format!("{detail} is duplicated."))
        .table(self.schema_name(relation.schema), &relation.name)
        .constraint(name))
    }

    /// Gives an index an empty tree in place of the one it has.
    pub(super) async fn renew_index_tree(&mut self, index: Oid) -> SqlResult<()> {
        let mut index = (*self.relation(index)?).clone();
        let RelationBody::Index(body) = &mut index.body else {
            return Err(SqlError::internal("this is no index"));
        };
        if body.tree == 0 {
            return Ok(());
        }
        self.txn.drop_tree(TreeId(body.tree))?;
        body.tree = self.store.allocate_tree_id().await?.0;
        self.put_relation(index).map(drop)
    }
}
