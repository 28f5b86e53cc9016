//! COPY between a table or a query and the connection: what it names, its options, and the rows that are
//! sent as they are found. How rows come in is told in [`copy_in`](super::copy_in).

use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::system::{self, SystemRelation};
use aegis_catalog::{CatalogSnapshot, Relation, RelationKind};
use aegis_sql::analyze::ExprPlace;
use aegis_sql::ast::{self, CopySource, CopyTarget, RangeVar, Statement};
use aegis_sql::copy::{
    BinaryReader, CopyFormat, CopyHeader, CopyOptions, CopyReader, CopyWriter, ForcedColumns,
};
use aegis_sql::dml::TableAccess;
use aegis_sql::evaluate::Program;
use aegis_sql::query_engine::{RowStream, StatementContext};
use aegis_storage::{LockWait, TableLockMode};
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, io};

use super::copy_in::{Reader, TableCopyIn};
use super::run::{table_lock_id, transaction_over};
use super::{CopyOut, Outcome, Session};

impl Session {
    /// Begins a COPY.
    ///
    /// # Errors
    /// 0A000 for files and programs; whatever names, options and the query raise.
    pub(super) async fn copy(&mut self, copy: &ast::CopyStmt) -> SqlResult<Outcome> {
        match &copy.target {
            CopyTarget::Stdio => {}
            CopyTarget::File(_) => return Err(SqlError::unsupported("COPY with a file")),
            CopyTarget::Program(_) => return Err(SqlError::unsupported("COPY with a program")),
        }
        match &copy.source {
            CopySource::Relation { relation, columns } if copy.is_from => {
                self.copy_from(copy, relation, columns).await
            }
            CopySource::Relation { relation, columns } => {
                self.copy_table_to(copy, relation, columns).await
            }
            CopySource::Query(query) => self.copy_query_to(copy, query, None).await,
            CopySource::Tail(tail) => self.copy_tail_to(copy, tail).await,
        }
    }

    /// The computed relation that a name means, if it means one.
    pub(super) fn system_relation(
        &mut self,
        catalog: &Arc<CatalogSnapshot>,
        name: &RangeVar,
    ) -> Option<&'static SystemRelation> {
        if let Some(schema) = &name.schema {
            return system::relation(&format!("{schema}.{}", name.name));
        }
        let path = self.search_path(catalog);
        let (own, path) = catalog.split_path(&path);
        let implicit = (!path.contains(&PG_CATALOG)).then_some(PG_CATALOG);
        for schema in own.into_iter().chain(implicit).chain(path.iter().copied()) {
            if catalog.relation_named(schema, &name.name).is_some() {
                return None;
            }
            let schema = catalog.schema_name(schema)?;
            if let Some(found) = system::relation(&format!("{schema}.{}", name.name)) {
                return Some(found);
            }
        }
        None
    }

    /// The relation that a name means. Utilities give no position, as in PostgreSQL.
    ///
    /// # Errors
    /// 42P01, 3F000
    pub(super) fn find_relation(
        &mut self,
        catalog: &Arc<CatalogSnapshot>,
        name: &RangeVar,
    ) -> SqlResult<Arc<Relation>> {
        let (path, shown) = match &name.schema {
            Some(schema) => {
                let oid = catalog.schema_named(self.database, schema).ok_or_else(|| {
                    SqlError::new(
                        SqlState::InvalidSchemaName,
                        format!("schema \"{schema}\" does not exist"),
                    )
                })?;
                (vec![oid], format!("{schema}.{}", name.name))
            }
            None => (self.search_path(catalog), name.name.clone()),
        };
        if let Some(schema) = &name.schema
            && !path
                .iter()
                .all(|oid| catalog.access(self.database).may_use_schema(self.roles().current, *oid))
        {
            return Err(aegis_sql::ddl::denied("schema", schema));
        }
        path.into_iter()
            .find_map(|schema| catalog.relation_named(schema, &name.name))
            .cloned()
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedTable,
                    format!("relation \"{shown}\" does not exist"),
                )
            })
    }

    async fn lock_for_copy(
        &mut self,
        name: &RangeVar,
        mode: TableLockMode,
    ) -> SqlResult<(Arc<CatalogSnapshot>, Arc<Relation>)> {
        let catalog = self.current_catalog();
        let found = self.find_relation(&catalog, name)?;
        let wait = LockWait::Wait { timeout: self.settings.frequent().lock_timeout };
        let shared = self.shared_transaction()?;
        let mut guard = shared.lock().await;
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        let cancel = self.cancel.clone();
        let object = table_lock_id(found.database, found.oid);
        cancel.wait(txn.lock_table(object, mode, wait)).await?;
        drop(guard);
        // It may have changed while this waited.
        let catalog = self.current_catalog();
        let relation = catalog.relation(found.oid).cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedTable,
                format!("relation \"{}\" does not exist", found.name),
            )
        })?;
        Ok((catalog, relation))
    }

    async fn copy_from(
        &mut self,
        copy: &ast::CopyStmt,
        name: &RangeVar,
        columns: &[String],
    ) -> SqlResult<Outcome> {
        let (catalog, relation) = self.lock_for_copy(name, TableLockMode::RowExclusive).await?;
        let columns = copied_columns(&relation, columns)?;
        let numbers = columns.iter().map(|column| column.number);
        let access = catalog.access(self.database);
        aegis_sql::privilege::check_insert(&access, self.roles().current, &relation, numbers)?;
        self.refuse_in_read_only("COPY FROM")?;
        let options = CopyOptions::parse(&copy.options, true)?;
        refuse_kind(&relation, true)?;
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        refuse_unknown_forced(&relation, "FORCE_NOT_NULL", &options.force_not_null, &names)?;
        refuse_unknown_forced(&relation, "FORCE_NULL", &options.force_null, &names)?;
        let context = self.statement_context(catalog, Arc::new([])).await?;
        let filter = match &copy.where_clause {
            Some(condition) => {
                let path = self.search_path(&context.catalog);
                Some(copy_filter(condition, &relation, &context, &path)?)
            }
            None => None,
        };
        let table = TableAccess::new(&relation, &context)?;
        let mut defaults = Vec::new();
        for column in relation.live_columns().filter(|column| !names.contains(&column.name)) {
            if let Some(program) = table.default_program(column, &context)? {
                defaults.push((place(column.number), program));
            }
        }
        let reader = match options.format {
            CopyFormat::Binary => Reader::Binary(BinaryReader::new(&relation.name, names)),
            CopyFormat::Text | CopyFormat::Csv => {
                Reader::Lines(Box::new(CopyReader::new(options, &relation.name, names)))
            }
        };
        let columns = columns.iter().map(|column| (place(column.number), column.ty)).collect();
        let copy = TableCopyIn::new(reader, columns, defaults, filter, table, context);
        Ok(Outcome::CopyIn(Box::new(copy)))
    }

    async fn copy_table_to(
        &mut self,
        copy: &ast::CopyStmt,
        name: &RangeVar,
        columns: &[String],
    ) -> SqlResult<Outcome> {
        let (catalog, relation) = self.lock_for_copy(name, TableLockMode::AccessShare).await?;
        let columns = copied_columns(&relation, columns)?;
        refuse_kind(&relation, false)?;
        let listed: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        let schema = catalog.schema_name(relation.schema).unwrap_or_default();
        let text = format!(
            "SELECT {} FROM ONLY {}.{}",
            listed.join(", "),
            quoted(schema),
            quoted(&relation.name)
        );
        let statement = aegis_sql::parser::parse(&text)?
            .pop()
            .ok_or_else(|| SqlError::internal("COPY made no query"))?
            .statement;
        self.copy_query_to(copy, &statement, Some(&relation)).await
    }

    async fn copy_query_to(
        &mut self,
        copy: &ast::CopyStmt,
        query: &Statement,
        relation: Option<&Relation>,
    ) -> SqlResult<Outcome> {
        let options = CopyOptions::parse(&copy.options, false)?;
        let (analyzed, catalog) = self.locked_analysis(query).await?;
        let analyzed = Arc::new(analyzed);
        self.check_allowed(&analyzed, &catalog)?;
        if !analyzed.statement.returns_rows() {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "COPY query must have a RETURNING clause",
            ));
        }
        let names: Vec<String> =
            analyzed.columns.iter().map(|column| column.name.clone()).collect();
        if let ForcedColumns::Named(forced) = &options.force_quote {
            match relation {
                Some(relation) => refuse_unknown_forced(relation, "FORCE_QUOTE", forced, &names)?,
                None => {
                    if let Some(missing) = forced.iter().find(|name| !names.contains(name)) {
                        return Err(no_column(format!("column \"{missing}\" does not exist")));
                    }
                }
            }
        }
        let context = self.statement_context(catalog, Arc::new([])).await?;
        let rows = match self.run_bound(&analyzed, Arc::default(), context.clone()).await? {
            Outcome::Rows { rows, .. } | Outcome::Returned { rows, .. } => rows,
            _ => return Err(SqlError::internal("COPY of what gives no rows")),
        };
        let types = analyzed.columns.iter().map(|column| column.ty).collect();
        Ok(copied_out(options, &names, types, rows, context))
    }

    /// Follows what an engine's queries give, until it is cancelled.
    async fn copy_tail_to(
        &mut self,
        copy: &ast::CopyStmt,
        tail: &ast::TailStmt,
    ) -> SqlResult<Outcome> {
        let options = CopyOptions::parse(&copy.options, false)?;
        let (rows, columns, context) = self.tail(tail).await?;
        let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let types = columns.into_iter().map(|(_, ty)| ty).collect();
        Ok(copied_out(options, &names, types, rows, context))
    }
}

/// Rows on their way to the client.
fn copied_out(
    options: CopyOptions,
    names: &[String],
    types: Vec<TypeRef>,
    rows: Box<dyn RowStream>,
    context: StatementContext,
) -> Outcome {
    let is_binary = options.format == CopyFormat::Binary;
    let has_names = options.header != CopyHeader::Off;
    let writer = CopyWriter::new(options, names);
    let mut header = Vec::new();
    if is_binary {
        aegis_sql::copy::write_header(&mut header);
    } else if has_names {
        writer.header(names, &mut header);
    }
    Outcome::CopyOut(Box::new(QueryCopyOut {
        writer,
        is_binary,
        types,
        header,
        ended: false,
        rows,
        context,
        sent: 0,
    }))
}

/// `COPY … TO STDOUT` under way.
struct QueryCopyOut {
    writer: CopyWriter,
    is_binary: bool,
    types: Vec<TypeRef>,
    /// What comes before the first row.
    header: Vec<u8>,
    /// Whether what comes after the last row was sent.
    ended: bool,
    rows: Box<dyn RowStream>,
    context: StatementContext,
    sent: u64,
}

#[async_trait::async_trait]
impl CopyOut for QueryCopyOut {
    fn format(&self) -> (u8, usize) {
        (u8::from(self.is_binary), self.writer.column_count())
    }

    async fn next(&mut self) -> SqlResult<Option<Vec<Vec<u8>>>> {
        if !self.is_binary && !self.header.is_empty() {
            return Ok(Some(vec![std::mem::take(&mut self.header)]));
        }
        self.context.cancel.check()?;
        let Some(batch) = self.rows.next().await? else {
            if self.ended || !self.is_binary {
                return Ok(None);
            }
            self.ended = true;
            let mut end = std::mem::take(&mut self.header);
            aegis_sql::copy::write_end(&mut end);
            return Ok(Some(vec![end]));
        };
        let eval = self.context.eval();
        let mut lines = Vec::with_capacity(batch.len());
        let mut text = Vec::new();
        for row in 0..batch.len() {
            self.sent += 1;
            if self.is_binary {
                let mut line = std::mem::take(&mut self.header);
                aegis_sql::copy::write_row(self.types.len(), &mut line);
                for (at, ty) in self.types.iter().enumerate() {
                    let value = batch.datum(row, at);
                    let write = |out: &mut Vec<u8>| io::binary_out(ty.oid, &value, &eval, out);
                    aegis_sql::copy::write_field((!value.is_null()).then_some(write), &mut line);
                }
                lines.push(line);
                continue;
            }
            let mut line = Vec::with_capacity(64);
            for (at, ty) in self.types.iter().enumerate() {
                let value = batch.datum(row, at);
                text.clear();
                io::text_out(ty.oid, &value, &eval, &mut text);
                self.writer.field(at, (!value.is_null()).then_some(&text[..]), &mut line);
            }
            self.writer.end_row(&mut line);
            lines.push(line);
        }
        Ok(Some(lines))
    }

    fn tag(&self) -> String {
        format!("COPY {}", self.sent)
    }
}

/// The columns that COPY names, or all.
fn copied_columns<'a>(
    relation: &'a Relation,
    names: &[String],
) -> SqlResult<Vec<&'a aegis_catalog::Column>> {
    if names.is_empty() {
        return Ok(relation.live_columns().filter(|column| !column.generated).collect());
    }
    let mut columns: Vec<&aegis_catalog::Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = relation.column_named(name).ok_or_else(|| missing_column(relation, name))?;
        if column.generated {
            return Err(SqlError::new(
                SqlState::InvalidColumnReference,
                format!("column \"{name}\" is a generated column"),
            )
            .detail("Generated columns cannot be used in COPY."));
        }
        if columns.iter().any(|other| other.number == column.number) {
            return Err(SqlError::new(
                SqlState::DuplicateColumn,
                format!("column \"{name}\" specified more than once"),
            ));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn refuse_unknown_forced(
    relation: &Relation,
    option: &str,
    forced: &[String],
    copied: &[String],
) -> SqlResult<()> {
    for name in forced {
        if relation.column_named(name).is_none() {
            return Err(missing_column(relation, name));
        }
        if !copied.contains(name) {
            return Err(SqlError::new(
                SqlState::InvalidColumnReference,
                format!("{option} column \"{name}\" not referenced by COPY"),
            ));
        }
    }
    Ok(())
}

/// 42809 for what has no rows of its own.
fn refuse_kind(relation: &Relation, is_from: bool) -> SqlResult<()> {
    let direction = if is_from { "to" } else { "from" };
    let wrong = |what: &str| {
        SqlError::new(
            SqlState::WrongObjectType,
            format!("cannot copy {direction} {what} \"{}\"", relation.name),
        )
    };
    Err(match relation.kind() {
        RelationKind::Table => return Ok(()),
        RelationKind::View if is_from => {
            wrong("view").hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger.")
        }
        RelationKind::View => wrong("view").hint("Try the COPY (SELECT ...) TO variant."),
        RelationKind::MaterializedView if is_from => wrong("materialized view"),
        RelationKind::MaterializedView => {
            wrong("materialized view").hint("Try the COPY (SELECT ...) TO variant.")
        }
        RelationKind::Sequence => wrong("sequence"),
        RelationKind::Index => {
            SqlError::new(SqlState::WrongObjectType, format!("\"{}\" is an index", relation.name))
        }
    })
}

fn missing_column(relation: &Relation, name: &str) -> SqlError {
    no_column(format!("column \"{name}\" of relation \"{}\" does not exist", relation.name))
}

fn no_column(message: String) -> SqlError {
    SqlError::new(SqlState::UndefinedColumn, message)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The place of a column in a row.
fn place(number: i16) -> usize {
    usize::try_from(number - 1).expect("columns are numbered from 1")
}

/// `WHERE` of COPY FROM, which is asked before columns are generated.
fn copy_filter(
    condition: &ast::Expr,
    relation: &Arc<Relation>,
    context: &StatementContext,
    path: &[Oid],
) -> SqlResult<Program> {
    let condition = context.condition_over(condition, relation, ExprPlace::CopyWhere, path)?;
    let mut columns = relation.live_columns();
    let generated = columns.find(|column| column.generated && condition.names(column.number));
    match generated {
        None => Ok(condition.program),
        Some(column) => Err(SqlError::new(
            SqlState::InvalidColumnReference,
            "generated columns are not supported in COPY FROM WHERE conditions",
        )
        .detail(format!("Column \"{}\" is a generated column.", column.name))),
    }
}
