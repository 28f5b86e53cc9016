//! A table made ready to be written: its layout, its indexes, its constraints compiled.

use std::sync::Arc;

use aegis_catalog::{
    CatalogSnapshot, ConstraintKind, Deferral, ForeignKey, Relation, RelationBody,
};
use aegis_storage::{Block, Direction, KeyRange, Transaction, TreeId};
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef, io, key};

use crate::analyze::{Analyzer, AnalyzerContext, ExprPlace};
use crate::ast;
use crate::bound::Expr;
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
    /// Generated columns: places in the row, and what computes them.
    generated: Vec<(usize, Program)>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKeyAccess>,
    /// Foreign keys of other tables (or its own) that point here: table and constraint.
    pub referenced_by: Vec<(Oid, Oid)>,
}

/// A foreign key made ready to be looked at.
pub struct ForeignKeyAccess {
    /// The constraint's OID.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// When it is looked at.
    pub deferral: Deferral,
    /// What it demands.
    pub key: ForeignKey,
}

/// An index made ready to be written.
pub struct IndexAccess {
    /// Its OID.
    pub oid: Oid,
    /// Its name, which is also that of its constraint.
    pub name: String,
    /// The tree of its entries; the table's own where the primary key is the row key.
    pub tree: TreeId,
    /// The columns of its key, 0 for expressions.
    pub columns: Vec<i16>,
    /// Whether it refuses equal keys.
    pub unique: bool,
    /// The constraint that lets it have equal keys until it is looked at.
    pub deferrable: Option<(Oid, Deferral)>,
    /// Whether NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// Whether its entries are the rows themselves.
    pub is_row_key: bool,
    parts: Vec<KeyPart>,
    /// Which rows have an entry; all without.
    predicate: Option<Program>,
}

/// A column of an index's key.
struct KeyPart {
    source: KeySource,
    ty: TypeRef,
    descending: bool,
    nulls_first: bool,
}

enum KeySource {
    /// A place in the row.
    Column(usize),
    Expression(Program),
}

/// The check options of the views that a statement goes through.
pub(super) struct ViewChecks(Vec<(String, Program)>);

impl ViewChecks {
    pub(super) fn compile(checks: &[crate::bound::ViewCheck]) -> SqlResult<Self> {
        let compiled = checks.iter().map(|check| {
            let program = Program::compile(&check.condition, &mut |_, column, _| {
                if column <= 0 {
                    return Err(SqlError::unsupported("this column in WITH CHECK OPTION"));
                }
                Ok(position(column))
            })?;
            Ok((check.view.clone(), program))
        });
        Ok(Self(compiled.collect::<SqlResult<_>>()?))
    }

    /// Refuses a row that a view would not show.
    pub(super) fn check(
        &self,
        table: &TableAccess,
        row: &[Datum],
        evaluation: &Evaluation<'_>,
    ) -> SqlResult<()> {
        for (view, program) in &self.0 {
            if !program.is_true(row, evaluation)? {
                let error = SqlError::new(
                    SqlState::WithCheckOptionViolation,
                    format!("new row violates check option for view \"{view}\""),
                );
                return Err(table.with_failing_row(error, row, evaluation));
            }
        }
        Ok(())
    }
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
            .filter(|index| index.as_index().is_some())
            .map(|index| index_access(index, relation, tree, context))
            .collect::<SqlResult<_>>()?;
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
                    foreign_keys.push(ForeignKeyAccess {
                        oid: constraint.oid,
                        name: constraint.name.clone(),
                        deferral: constraint.deferral,
                        key: key.clone(),
                    });
                }
                ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } => {}
            }
        }
        let mut generated = Vec::new();
        for column in relation.live_columns().filter(|column| column.generated) {
            if let Some(text) = &column.default {
                let target = Some((column.ty, column.name.as_str()));
                let place = ExprPlace::Generated;
                let program = compile_over_row(text, relation, place, target, context)?;
                generated.push((position(column.number), program));
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
            generated,
            foreign_keys,
            referenced_by: table.referenced_by.clone(),
            relation: relation.clone(),
        })
    }

    /// Who looks after its rows, if an engine does.
    #[must_use]
    pub fn hook(&self) -> Option<&'static dyn crate::engine::RowHook> {
        let managed = self.relation.as_table()?.managed.as_ref()?;
        crate::engine::named(&managed.engine)?.hook(&self.relation.name)
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
            column.default.clone().filter(|_| !column.generated)
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

    /// The entries of a row in the table's indexes, where those are not the rows themselves: each with
    /// its index.
    ///
    /// # Errors
    /// Whatever an expression of an index raises.
    pub fn entries(
        &self,
        row: &[Datum],
        row_key: &[u8],
        evaluation: &Evaluation<'_>,
    ) -> SqlResult<Vec<(Oid, Vec<u8>)>> {
        let mut entries = Vec::new();
        for index in self.indexes.iter().filter(|index| !index.is_row_key) {
            if let Some(entry) = index.encode_key(row, row_key, evaluation)? {
                entries.push((index.oid, entry.bytes));
            }
        }
        Ok(entries)
    }

    /// Computes the generated columns of a row.
    ///
    /// # Errors
    /// Whatever their expressions raise.
    pub fn generate(&self, row: &mut [Datum], evaluation: &Evaluation<'_>) -> SqlResult<()> {
        for (at, program) in &self.generated {
            row[*at] = program.evaluate(row, evaluation)?;
        }
        Ok(())
    }

    /// Whether it has CHECK constraints.
    pub(super) const fn has_checks(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Refuses a row that breaks NOT NULL or CHECK.
    ///
    /// # Errors
    /// 23502, 23514
    pub fn check_row(&self, row: &[Datum], evaluation: &Evaluation<'_>) -> SqlResult<()> {
        for column in self.relation.live_columns() {
            if column.not_null && row[position(column.number)].is_null() {
                let error = SqlError::new(
                    SqlState::NotNullViolation,
                    format!(
                        "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                        column.name, self.relation.name
                    ),
                );
                return Err(self
                    .with_failing_row(error, row, evaluation)
                    .table(&self.schema_name, &self.relation.name)
                    .column(&column.name));
            }
        }
        for check in &self.checks {
            if let Datum::Bool(false) = check.program.evaluate(row, evaluation)? {
                let error = SqlError::new(
                    SqlState::CheckViolation,
                    format!(
                        "new row for relation \"{}\" violates check constraint \"{}\"",
                        self.relation.name, check.name
                    ),
                );
                return Err(self
                    .with_failing_row(error, row, evaluation)
                    .table(&self.schema_name, &self.relation.name)
                    .constraint(&check.name));
            }
        }
        Ok(())
    }

    /// An error with what the row that raised it holds, as far as the role may read that.
    fn with_failing_row(
        &self,
        error: SqlError,
        row: &[Datum],
        evaluation: &Evaluation<'_>,
    ) -> SqlError {
        let readable: Vec<_> = self
            .relation
            .live_columns()
            .filter(|column| self.may_read(column.number, evaluation))
            .collect();
        let values: Vec<String> = readable
            .iter()
            .map(|column| shown(column.ty, &row[position(column.number)], evaluation))
            .collect();
        let values = values.join(", ");
        if readable.len() == self.relation.live_columns().count() {
            return error.detail(format!("Failing row contains ({values})."));
        }
        if readable.is_empty() {
            return error;
        }
        let names: Vec<&str> = readable.iter().map(|column| column.name.as_str()).collect();
        error.detail(format!("Failing row contains ({}) = ({values}).", names.join(", ")))
    }

    fn may_read(&self, column: i16, evaluation: &Evaluation<'_>) -> bool {
        evaluation.eval.host.may_read(self.relation.oid, column)
    }

    /// 23505 for two rows that a new unique index would hold under one key.
    ///
    /// # Errors
    /// Whatever an expression of the index raises.
    pub(crate) fn not_unique(
        &self,
        index: &IndexAccess,
        row: &[Datum],
        context: &StatementContext,
    ) -> SqlResult<SqlError> {
        let detail = self.index_key_detail(index, row, context)?;
        Ok(SqlError::new(
            SqlState::UniqueViolation,
            format!("could not create unique index \"{}\"", index.name),
        )
        .detail(format!("{detail} is duplicated."))
        .table(&self.schema_name, &self.relation.name)
        .constraint(&index.name))
    }

    /// `Key (a, lower(b))=(1, x)`, as the detail of a broken unique index begins.
    ///
    /// # Errors
    /// Whatever an expression of the index raises.
    pub(crate) fn index_key_detail(
        &self,
        index: &IndexAccess,
        row: &[Datum],
        context: &StatementContext,
    ) -> SqlResult<String> {
        let evaluation = context.evaluation();
        if !index.columns.contains(&0) {
            return Ok(self.key_detail(&index.columns, row, &evaluation));
        }
        let stored = context.catalog.relation(index.oid).and_then(|index| index.as_index());
        let named = stored.map(|body| body.named_columns()).unwrap_or_default();
        if !named.iter().all(|column| self.may_read(*column, &evaluation)) {
            return Ok(KEY.to_owned());
        }
        let keys = stored.map(|body| body.keys.as_slice()).unwrap_or_default();
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (part, key) in index.parts.iter().zip(keys) {
            let (name, value) = match (&part.source, &key.expression) {
                (KeySource::Expression(program), Some(expression)) => {
                    let text = shown_expression(&expression.text, &self.relation, context)?;
                    let text = if expression.is_call { text } else { format!("({text})") };
                    (text, program.evaluate(row, &evaluation)?)
                }
                _ => {
                    let column = self.relation.column(key.column);
                    let name = column.map_or_else(String::new, |column| column.name.clone());
                    (name, row[position(key.column)].clone())
                }
            };
            names.push(name);
            values.push(text_of(part.ty, &value, &evaluation));
        }
        Ok(format!("Key ({})=({})", names.join(", "), values.join(", ")))
    }

    /// `Key (a, b)=(1, 2)`, as the detail of a broken unique or foreign key begins; `Key` alone for a
    /// role that may not read all of its columns.
    pub(crate) fn key_detail(
        &self,
        columns: &[i16],
        row: &[Datum],
        evaluation: &Evaluation<'_>,
    ) -> String {
        if !columns.iter().all(|column| self.may_read(*column, evaluation)) {
            return KEY.to_owned();
        }
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

/// A key whose columns the role may not read.
pub(super) const KEY: &str = "Key";

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

/// A kept expression over a relation, as messages show it.
fn shown_expression(
    text: &str,
    relation: &Arc<Relation>,
    context: &StatementContext,
) -> SqlResult<String> {
    let path = [aegis_catalog::snapshot::PG_CATALOG];
    let stored = crate::deparse::Stored {
        context: AnalyzerContext {
            catalog: &context.catalog,
            database: context.database,
            search_path: &path,
            system_relations: &*context.system_relations,
            eval: context.eval(),
            parameters: Vec::new(),
            infer_parameters: false,
        },
    };
    let expr = stored.expression(text, relation)?;
    let deparser = crate::deparse::Deparser {
        names: aegis_catalog::system::Names {
            catalog: &context.catalog,
            database: context.database,
            search_path: &path,
            text: &aegis_catalog::system::AsStored,
        },
        eval: context.eval(),
        layout: crate::deparse::Layout::PRETTY,
        routine: None,
    };
    deparser.expression(&expr, Some(relation))
}

fn text_of(ty: TypeRef, value: &Datum, evaluation: &Evaluation<'_>) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut text = Vec::new();
    io::text_out(ty.oid, value, &evaluation.eval, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn index_access(
    index: &Relation,
    table: &Arc<Relation>,
    table_tree: TreeId,
    context: &StatementContext,
) -> SqlResult<IndexAccess> {
    let body = index.as_index().ok_or_else(|| SqlError::internal("no index"))?;
    let is_row_key = body.tree == 0;
    let mut parts = Vec::with_capacity(body.keys.len());
    for (key, ty) in body.keys.iter().zip(body.key_types(table)) {
        let source = match &key.expression {
            None => KeySource::Column(position(key.column)),
            Some(expression) => {
                let place = ExprPlace::IndexExpression;
                let text = &expression.text;
                KeySource::Expression(compile_over_row(text, table, place, None, context)?)
            }
        };
        let (descending, nulls_first) = (key.descending, key.nulls_first);
        parts.push(KeyPart { source, ty, descending, nulls_first });
    }
    let predicate = body.predicate.as_ref().map(|predicate| {
        compile_over_row(&predicate.text, table, ExprPlace::IndexPredicate, None, context)
    });
    Ok(IndexAccess {
        oid: index.oid,
        name: index.name.clone(),
        tree: if is_row_key { table_tree } else { TreeId(body.tree) },
        columns: body.key_columns(),
        unique: body.unique,
        deferrable: if body.deferrable { constraint_over(table, index.oid) } else { None },
        nulls_not_distinct: body.nulls_not_distinct,
        is_row_key,
        parts,
        predicate: predicate.transpose()?,
    })
}

/// The constraint that an index is for.
fn constraint_over(table: &Relation, index: Oid) -> Option<(Oid, Deferral)> {
    let constraints = table.as_table().map(|body| body.constraints.as_slice()).unwrap_or_default();
    let found = constraints.iter().find(|constraint| match constraint.kind {
        ConstraintKind::PrimaryKey { index: own } | ConstraintKind::Unique { index: own } => {
            own == index
        }
        ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => false,
    })?;
    Some((found.oid, found.deferral))
}

impl IndexAccess {
    /// The key of a row's entry, and whether two rows may not share it; `None` where the row is not
    /// among those that the index is over.
    ///
    /// # Errors
    /// 0A000 for a type without a key form; whatever an expression of the index raises.
    pub(crate) fn encode_key(
        &self,
        row: &[Datum],
        row_key: &[u8],
        evaluation: &Evaluation<'_>,
    ) -> SqlResult<Option<EntryKey>> {
        if let Some(predicate) = &self.predicate
            && !predicate.is_true(row, evaluation)?
        {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(32);
        let mut has_null = false;
        for part in &self.parts {
            let (oid, descending, nulls_first) = (part.ty.oid, part.descending, part.nulls_first);
            let computed;
            let value = match &part.source {
                KeySource::Column(at) => &row[*at],
                KeySource::Expression(program) => {
                    computed = program.evaluate(row, evaluation)?;
                    &computed
                }
            };
            has_null |= value.is_null();
            key::encode(oid, value, descending, nulls_first, &mut bytes)?;
        }
        let uniqueness = match self.deferrable {
            _ if !self.unique || (has_null && !self.nulls_not_distinct) => Uniqueness::None,
            Some(_) => Uniqueness::Later(bytes.len()),
            None => Uniqueness::AtOnce,
        };
        if uniqueness != Uniqueness::AtOnce && !self.is_row_key {
            bytes.extend_from_slice(row_key);
        }
        Ok(Some(EntryKey { bytes, uniqueness }))
    }

    /// Whether a foreign key can rest on it: unique over plain columns of every row.
    pub(crate) fn is_referable(&self) -> bool {
        self.unique
            && self.deferrable.is_none()
            && self.predicate.is_none()
            && !self.columns.contains(&0)
    }

    /// Whether an entry that is not there yet would break uniqueness.
    ///
    /// # Errors
    /// What reading raises.
    pub(crate) fn is_taken(&self, entry: &EntryKey, txn: &Transaction) -> SqlResult<bool> {
        match entry.uniqueness {
            Uniqueness::None => Ok(false),
            Uniqueness::AtOnce => Ok(txn.get_newest(self.tree, &entry.bytes)?.is_some()),
            Uniqueness::Later(end) => Ok(self.rows_with(&entry.bytes[..end], 1, txn)? > 0),
        }
    }

    /// How many rows have a key in the newest state; no more than `most` are counted.
    ///
    /// # Errors
    /// What reading raises.
    pub(super) fn rows_with(&self, key: &[u8], most: usize, txn: &Transaction) -> SqlResult<usize> {
        let range = KeyRange::prefix(key);
        let mut scan = txn.newest_view()?.scan(self.tree, range, Direction::Forward)?;
        let mut block = Block::default();
        let mut found = 0;
        while found < most && scan.next_block(&mut block)? {
            found += block.len();
        }
        Ok(found.min(most))
    }
}

/// The key of an index entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryKey {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether another row with this key would break uniqueness.
    pub(crate) uniqueness: Uniqueness,
}

/// Whether two rows may have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uniqueness {
    /// They may.
    None,
    /// Never: the entry is the key alone.
    AtOnce,
    /// Until the constraint is looked at: so many bytes of the entry are the key, the row follows.
    Later(usize),
}

impl EntryKey {
    /// What the entry says beyond its key: the row, unless the key ends with that.
    pub(crate) fn value<'a>(&self, row_key: &'a [u8]) -> &'a [u8] {
        if self.is_exclusive() { row_key } else { &[] }
    }

    /// Whether no other row can have this entry.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.uniqueness == Uniqueness::AtOnce
    }

    /// What whoever takes or frees the key locks; nothing where any number of rows may have it.
    pub(super) fn guarded(&self) -> Option<&[u8]> {
        match self.uniqueness {
            Uniqueness::None => None,
            Uniqueness::AtOnce => Some(&self.bytes),
            Uniqueness::Later(end) => Some(&self.bytes[..end]),
        }
    }
}

/// The place of a column in a row.
pub(crate) fn position(number: i16) -> usize {
    usize::try_from(number - 1).expect("columns are numbered from 1")
}

pub(crate) fn schema_name(catalog: &CatalogSnapshot, schema: Oid) -> String {
    catalog.schema_name(schema).unwrap_or_default().to_owned()
}

/// A condition that a statement gives for the rows of a table.
pub struct RowCondition {
    /// Over a row with a datum for every column ever added.
    pub program: Program,
    bound: Expr,
}

impl RowCondition {
    /// Whether it names a column.
    #[must_use]
    pub fn names(&self, column: i16) -> bool {
        fn names(expr: &Expr, wanted: i16) -> bool {
            let mut found = matches!(expr, Expr::Column { column, .. } if *column == wanted);
            expr.for_each_child(&mut |child| found |= names(child, wanted));
            found
        }
        names(&self.bound, column)
    }
}

impl StatementContext {
    /// Compiles a condition over the rows of a table.
    ///
    /// # Errors
    /// Whatever analyzing it raises.
    pub fn condition_over(
        &self,
        condition: &ast::Expr,
        relation: &Arc<Relation>,
        place: ExprPlace,
        search_path: &[Oid],
    ) -> SqlResult<RowCondition> {
        let analyzer = Analyzer::new(AnalyzerContext {
            catalog: &self.catalog,
            database: self.database,
            search_path,
            system_relations: &*self.system_relations,
            eval: self.eval(),
            parameters: Vec::new(),
            infer_parameters: false,
        });
        let bound = analyzer.analyze_expr_over_relation(condition, relation, place, None)?;
        let program = Program::compile(&bound, &mut |_, column, _| Ok(position(column)))?;
        Ok(RowCondition { program, bound })
    }
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
