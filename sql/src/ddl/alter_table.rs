//! `ALTER TABLE`, command by command.
use super::Ddl;
use crate::ast::*;
use aegis_types::*;
pub(super) fn dropped_name(number: i16) -> String {
    format!("........pg.dropped.{number}........")
}
impl Ddl<'_> {
    pub(super) fn mark_column_dropped(&mut self, table: Oid, number: i16) -> SqlResult<()> {
        self.change_column(table, number, |column| {
            column.dropped = true;
            column.name = dropped_name(number);
            column.not_null = false;
            column.default = None;
            column.identity = None;
        })
        .map(drop)
    }
    pub(super) async fn alter_table(
        &mut self,
        _: &AlterTableStmt,
        _: &str,
    ) -> SqlResult<&'static str> {
        Err(SqlError::unsupported("ALTER TABLE"))
    }
    pub(super) async fn rename(&mut self, _: &RenameStmt) -> SqlResult<&'static str> {
        Err(SqlError::unsupported("ALTER TABLE RENAME"))
    }
    pub(super) async fn set_schema(
        &mut self,
        _: &AlterObjectSchemaStmt,
    ) -> SqlResult<&'static str> {
        Err(SqlError::unsupported("SET SCHEMA"))
    }
}
