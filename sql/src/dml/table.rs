//! A table made ready to be written: its layout, its indexes, its constraints compiled.

use std::sync::Arc;

use aegis_catalog::{
    CatalogSnapshot, ConstraintKind, ForeignKey, IndexKey, Relation, RelationBody,
};
use aegis_storage::TreeId;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, io, key};

use crate::analyze::{Analyzer, AnalyzerContext, ExprPlace};
use crate::evaluate::{Evaluation, Program};
use crate::query_engine::StatementContext;
use crate::row::RowLayout;

/// A table made ready to be written.
pub struct TableAccess {
    /// Its descriptor.
    pub relation: Arc<Relation>,
    /// The name of its schema, for error fields.
    pub schema_name: String,
    /// The tree of its rows.
    pub tree: TreeId,
    /// How its rows are laid out.
    pub layout: RowLayout,
    /// Positions (column number less one) of the row key's columns; empty for a hidden row id.
    pub row_key: Vec<usize>,
    /// Its indexes.
    pub indexes: Vec<IndexAccess>,
    checks: Vec<Check>,
    /// Its foreign keys, with the constraint's name.
    pub foreign_keys: Vec<(String, ForeignKey)>,
    /// Foreign keys of other tables (or its own) that point here: table and constraint.
    pub referenced_by: Vec<(Oid, Oid)>,
}

/// An index made ready to be written.
pub struct IndexAccess {
    /// Its OID.
    pub oid: Oid,
    /// Its name, which is also that of its constraint.
    pub name: String,
    /// The tree of its entries; the table's own where the primary key is the row key.
    pub tree: TreeId,
    /// Its columns.
    pub keys: Vec<IndexKey>,
    /// Whether it refuses equal keys.
    pub unique: bool,
    /// Whether NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// Whether its entries are the rows themselves.
    pub is_row_key: bool,
}

struct Check {
    name: String,
    program: Program,
}

impl TableAccess {
    /// Makes a table ready.
    ///
    /// # Errors
    /// Whatever analyzing its CHECK constraints raises.
    pub fn new(relation: &Arc<Relation>, context: &StatementContext) -> SqlResult<Self> {
        let catalog = &context.catalog;
        let table = relation
            .as_table()
            .ok_or_else(|| SqlError::internal(format!("\"{}\" is no table", relation.name)))?;
        let tree = TreeId(table.tree);
        let indexes = table
            .indexes
            .iter()
            .filter_map(|oid| catalog.relation(*oid))
            .filter_map(|index| index_access(index, tree))
            .collect();
        let mut checks = Vec::new();
        let mut foreign_keys = Vec::new();
        for constraint in &table.constraints {
            match &constraint.kind {
                ConstraintKind::Check { expression, .. } => checks.push(Check {
                    name: constraint.name.clone(),
                    program: compile_over_row(
                        expression,
                        relation,
                        ExprPlace::Check,
                        None,
                        context,
                    )?,
                }),
                ConstraintKind::ForeignKey(key) => {
                    foreign_keys.push((constraint.name.clone(), key.clone()));
                }
                ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } => {}
            }
        }
        checks.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            schema_name: schema_name(catalog, relation.schema),
            tree,
            layout: RowLayout::new(relation),
            row_key: table.row_key.iter().map(|number| position(*number)).collect(),
            indexes,
            checks,
            foreign_keys,
            referenced_by: table.referenced_by.clone(),
            relation: relation.clone(),
        })
    }

    /// What fills a column that a COPY does not name: its identity's sequence or its default.
    ///
    /// # Errors
    /// Whatever analyzing the default raises.
    pub fn default_program(
        &self,
        column: &aegis_catalog::Column,
        context: &StatementContext,
    ) -> SqlResult<Option<Program>> {
        let text = if column.identity.is_some() {
            let owner = Some((self.relation.oid, column.number));
            let sequence = context
                .catalog
                .relations_in(self.relation.schema)
                .find(|other| match &other.body {
                    RelationBody::Sequence(body) => body.internal && body.owned_by == owner,
                    _ => false,
                })
                .ok_or_else(|| SqlError::internal("an identity column has no sequence"))?;
            Some(format!("pg_catalog.nextval('{}'::pg_catalog.regclass)", sequence.oid))
        } else {
            column.default.clone()
        };
        let target = (column.ty, column.name.as_str());
        text.map(|text| {
            compile_over_row(&text, &self.relation, ExprPlace::Default, Some(target), context)
        })
        .transpose()
    }

    /// The row key of a row whose key columns are its own.
    ///
    /// # Errors
    /// 0A000 for a type without a key form.
    pub fn encode_row_key(&self, row: &[Datum], out: &mut Vec<u8>) -> SqlResult<()> {
        for at in &self.row_key {
            key::encode(self.layout.column_type(*at).oid, &row[*at], false, false, out)?;
        }
        Ok(())
    }

    /// Refuses a row that breaks NOT NULL or CHECK.
    ///
    /// # Errors
    /// 23502, 23514
    pub fn check_row(&self, row: &[Datum], evaluation: &Evaluation<'_>) -> SqlResult<()> {
        for column in self.relation.live_columns() {
            if column.not_null && row[position(column.number)].is_null() {
                return Err(SqlError::new(
                    SqlState::NotNullViolation,
                    format!(
                        "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                        column.name, self.relation.name
                    ),
                )
                .detail(self.failing_row(row, evaluation))
                .table(&self.schema_name, &self.relation.name)
                .column(&column.name));
            }
        }
        for check in &self.checks {
            if let Datum::Bool(false) = check.program.evaluate(row, evaluation)? {
                return Err(SqlError::new(
                    SqlState::CheckViolation,
                    format!(
                        "new row for relation \"{}\" violates check constraint \"{}\"",
                        self.relation.name, check.name
                    ),
                )
                .detail(self.failing_row(row, evaluation))
                .table(&self.schema_name, &self.relation.name)
                .constraint(&check.name));
            }
        }
        Ok(())
    }

    fn failing_row(&self, row: &[Datum], evaluation: &Evaluation<'_>) -> String {
        let values: Vec<String> = self
            .relation
            .live_columns()
            .map(|column| shown(column.ty, &row[position(column.number)], evaluation))
            .collect();
        format!("Failing row contains ({}).", values.join(", "))
    }

    /// `Key (a, b)=(1, 2)`, as the detail of a broken unique or foreign key begins.
    pub(crate) fn key_detail(
        &self,
        columns: &[i16],
        row: &[Datum],
        evaluation: &Evaluation<'_>,
    ) -> String {
        let columns: Vec<_> =
            columns.iter().filter_map(|number| self.relation.column(*number)).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let values: Vec<String> = columns
            .iter()
            .map(|column| text_of(column.ty, &row[position(column.number)], evaluation))
            .collect();
        format!("Key ({})=({})", names.join(", "), values.join(", "))
    }
}

/// PostgreSQL cuts each value of a failing row to 64 bytes.
fn shown(ty: TypeRef, value: &Datum, evaluation: &Evaluation<'_>) -> String {
    const SHOWN_BYTES_MAX: usize = 64;
    let mut text = text_of(ty, value, evaluation);
    if text.len() > SHOWN_BYTES_MAX {
        let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn text_of(ty: TypeRef, value: &Datum, evaluation: &Evaluation<'_>) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut text = Vec::new();
    io::text_out(ty.oid, value, &evaluation.eval, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn index_access(index: &Relation, table_tree: TreeId) -> Option<IndexAccess> {
    let body = index.as_index()?;
    let is_row_key = body.tree == 0;
    Some(IndexAccess {
        oid: index.oid,
        name: index.name.clone(),
        tree: if is_row_key { table_tree } else { TreeId(body.tree) },
        keys: body.keys.clone(),
        unique: body.unique,
        nulls_not_distinct: body.nulls_not_distinct,
        is_row_key,
    })
}

impl IndexAccess {
    /// The key of a row's entry, and whether two rows may not share it.
    ///
    /// # Errors
    /// 0A000 for a type without a key form.
    pub(crate) fn encode_key(
        &self,
        layout: &RowLayout,
        row: &[Datum],
        row_key: &[u8],
    ) -> SqlResult<EntryKey> {
        let mut bytes = Vec::with_capacity(32);
        let mut has_null = false;
        for part in &self.keys {
            let at = position(part.column);
            has_null |= row[at].is_null();
            let ty = layout.column_type(at).oid;
            key::encode(ty, &row[at], part.descending, part.nulls_first, &mut bytes)?;
        }
        let exclusive = self.unique && (self.nulls_not_distinct || !has_null);
        if !exclusive && !self.is_row_key {
            bytes.extend_from_slice(row_key);
        }
        Ok(EntryKey { bytes, exclusive })
    }

    /// The numbers of its columns.
    pub(crate) fn columns(&self) -> Vec<i16> {
        self.keys.iter().map(|part| part.column).collect()
    }
}

/// The key of an index entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryKey {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether another row with this key would break uniqueness.
    pub(crate) exclusive: bool,
}

impl EntryKey {
    /// What the entry says beyond its key: the row, unless the key ends with that.
    pub(crate) fn value<'a>(&self, row_key: &'a [u8]) -> &'a [u8] {
        if self.exclusive { row_key } else { &[] }
    }
}

/// The place of a column in a row.
pub(crate) fn position(number: i16) -> usize {
    usize::try_from(number - 1).expect("columns are numbered from 1")
}

pub(crate) fn schema_name(catalog: &CatalogSnapshot, schema: Oid) -> String {
    catalog.schema_name(schema).unwrap_or_default().to_owned()
}

/// Compiles an expression kept as SQL, over a row with a datum for every column ever added.
///
/// # Errors
/// Whatever analyzing it raises.
pub(crate) fn compile_over_row(
    text: &str,
    relation: &Arc<Relation>,
    place: ExprPlace,
    coerce_to: Option<(TypeRef, &str)>,
    context: &StatementContext,
) -> SqlResult<Program> {
    let parsed = crate::parser::parse_expr(text)?;
    let eval = context.eval();
    let analyzer = Analyzer::new(AnalyzerContext {
        catalog: &context.catalog,
        database: context.database,
        search_path: &[],
        system_relations: &*context.system_relations,
        eval,
        parameters: Vec::new(),
        infer_parameters: false,
    });
    let expr = analyzer.analyze_expr_over_relation(&parsed, relation, place, coerce_to)?;
    Program::compile(&expr, &mut |_, column, _| Ok(position(column)))
}
