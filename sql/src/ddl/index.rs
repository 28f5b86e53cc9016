//! Indexes: `CREATE INDEX`, the indexes of constraints, and filling them.

use std::sync::Arc;

use aegis_catalog::{
    Constraint, ConstraintKind as StoredKind, Deferral, IndexBody, IndexExpression, IndexKey,
    IndexPredicate, Relation, RelationBody,
};
use aegis_storage::{TableLockMode, at_length};
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::Ddl;
use super::create_table::{is_system_column, stored_options};
use super::expression::{collect_columns, is_immutable, looks_like_call};
use super::name::{kind_word, relation_exists};
use crate::analyze::ExprPlace;
use crate::ast::{Expr, IndexElem, IndexStmt, SortDirection, SortNulls, figure_index_column_name};
use crate::bound;
use crate::dml::TableAccess;

/// A column of a new index.
pub(super) type IndexPart = IndexKey;

/// PostgreSQL's limit of columns of an index.
const INDEX_COLUMNS_MAX: usize = 32;

/// The plain kind of an index's column.
pub(super) trait PlainPart {
    fn plain(column: i16) -> Self;
}

impl PlainPart for IndexKey {
    fn plain(column: i16) -> Self {
        Self { column, ..Self::default() }
    }
}

/// An index to be made.
#[derive(Clone, Debug, Default)]
pub(super) struct NewIndex {
    pub(super) table: Oid,
    pub(super) name: Option<String>,
    pub(super) keys: Vec<IndexPart>,
    pub(super) include: Vec<i16>,
    pub(super) predicate: Option<IndexPredicate>,
    pub(super) unique: bool,
    pub(super) primary: bool,
    pub(super) nulls_not_distinct: bool,
    /// When its constraint is looked at.
    pub(super) deferral: Deferral,
    pub(super) method: String,
    pub(super) options: Vec<String>,
    /// Whether it belongs to a constraint, which is made with it.
    pub(super) constraint: bool,
    /// Whether the table is made by the same statement and has no rows.
    pub(super) is_new_table: bool,
    /// Whether it is filled later, while others write.
    pub(super) concurrent: bool,
}

impl Ddl<'_> {
    /// `CREATE INDEX`
    pub(super) async fn create_index(&mut self, create: &IndexStmt) -> SqlResult<&'static str> {
        self.make_index(create).await.map(|_| "CREATE INDEX")
    }

    /// The first part of `CREATE INDEX CONCURRENTLY`: an index that writers keep and nobody reads.
    /// `None` if it is there already.
    ///
    /// # Errors
    /// Those of `CREATE INDEX`.
    pub async fn begin_concurrent_index(&mut self, create: &IndexStmt) -> SqlResult<Option<Oid>> {
        self.make_index(create).await
    }

    async fn make_index(&mut self, create: &IndexStmt) -> SqlResult<Option<Oid>> {
        super::create_table::check_storage(None, create.table_space.as_deref())?;
        let mode = if create.concurrent {
            TableLockMode::ShareUpdateExclusive
        } else {
            TableLockMode::Share
        };
        let relation = self.open(&create.relation, mode).await?;
        self.check_owns(&relation)?;
        self.refuse_of_engine(&relation)?;
        self.refuse_in_use(relation.oid, "CREATE INDEX")?;
        if relation.as_table().is_none() {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot create index on relation \"{}\"", relation.name),
            )
            .detail(format!("This operation is not supported for {}.", plural(&relation))));
        }
        if let Some(name) = &create.name
            && self.claim(relation.schema, name).await?.is_some()
        {
            if !create.if_not_exists {
                return Err(relation_exists(name));
            }
            self.notice(
                SqlState::DuplicateTable,
                format!("relation \"{name}\" already exists, skipping"),
            );
            return Ok(None);
        }
        check_method(create)?;
        let predicate = match &create.where_clause {
            Some(expr) => Some(self.index_predicate(expr, &relation)?),
            None => None,
        };
        let mut keys = Vec::new();
        for param in &create.params {
            let key = self.index_part(&relation, param, &create.access_method)?;
            keys.push(key);
        }
        let mut include = Vec::new();
        for param in &create.including {
            include.push(included(&relation, param)?);
        }
        let new = NewIndex {
            table: relation.oid,
            name: create.name.clone(),
            keys,
            include,
            predicate,
            unique: create.unique,
            nulls_not_distinct: create.nulls_not_distinct,
            method: create.access_method.clone(),
            options: stored_options(&create.options)?,
            concurrent: create.concurrent,
            ..NewIndex::default()
        };
        self.add_index(new).await.map(Some)
    }

    /// The condition of a partial index: 42P17 unless it is immutable.
    fn index_predicate(&self, expr: &Expr, relation: &Arc<Relation>) -> SqlResult<IndexPredicate> {
        let bound = self.bind(expr, relation, ExprPlace::IndexPredicate, None)?;
        if !is_immutable(&bound) {
            return Err(SqlError::new(
                SqlState::InvalidObjectDefinition,
                "functions in index predicate must be marked IMMUTABLE",
            ));
        }
        let columns = self.columns_of(&bound)?;
        Ok(IndexPredicate { text: self.expression_text(&bound, relation)?, columns })
    }

    fn columns_of(&self, bound: &bound::Expr) -> SqlResult<Vec<i16>> {
        let mut columns = Vec::new();
        collect_columns(bound, &mut columns);
        columns.sort_unstable();
        columns.dedup();
        if columns.iter().any(|column| *column < 0) {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "index creation on system columns is not supported",
            ));
        }
        if columns.contains(&0) {
            return Err(SqlError::unsupported("an index on the whole row"));
        }
        Ok(columns)
    }

    fn index_expression(
        &self,
        expr: &Expr,
        relation: &Arc<Relation>,
    ) -> SqlResult<(IndexExpression, bound::Expr)> {
        let bound = self.bind(expr, relation, ExprPlace::IndexExpression, None)?;
        if !is_immutable(&bound) {
            return Err(SqlError::new(
                SqlState::InvalidObjectDefinition,
                "functions in index expression must be marked IMMUTABLE",
            ));
        }
        let ty = match bound.ty().oid {
            type_oid::UNKNOWN => TypeRef::plain(type_oid::TEXT),
            _ => bound.ty(),
        };
        let text = self.expression_text(&bound, relation)?;
        let columns = self.columns_of(&bound)?;
        Ok((IndexExpression { text, ty, columns, is_call: looks_like_call(&bound) }, bound))
    }

    fn index_part(
        &self,
        relation: &Arc<Relation>,
        param: &IndexElem,
        method: &str,
    ) -> SqlResult<IndexPart> {
        let known = ["C", "POSIX", "default", "ucs_basic", "C.utf8"];
        let collation = param.collation.last();
        if collation.is_some_and(|name| !known.contains(&name.as_str())) {
            return Err(SqlError::unsupported("COLLATE in an index"));
        }
        if param.opclass.last().is_some_and(|name| !is_plain_class(name)) {
            return Err(SqlError::unsupported(format!(
                "operator class \"{}\"",
                param.opclass.join(".")
            )));
        }
        let descending = matches!(param.ordering, SortDirection::Desc);
        let nulls_first = match param.nulls {
            SortNulls::First => true,
            SortNulls::Last => false,
            SortNulls::Default => descending,
        };
        let mut part = IndexPart {
            column: 0,
            descending,
            nulls_first,
            expression: None,
            name: None,
            class: param.opclass.last().filter(|name| name.contains("_pattern_")).cloned(),
            collation: collation.filter(|name| *name != "default").cloned(),
        };
        match (&param.name, &param.expr) {
            (Some(name), _) => part.column = plain_column(relation, name)?,
            (None, Some(expr)) => {
                let (expression, bound) = self.index_expression(expr, relation)?;
                match bound {
                    bound::Expr::Column { column, .. } if column > 0 => part.column = column,
                    _ => {
                        self.check_ordered(expression.ty.oid, method)?;
                        part.name = Some(figure_index_column_name(expr));
                        part.expression = Some(expression);
                    }
                }
            }
            (None, None) => return Err(SqlError::internal("an index over nothing")),
        }
        Ok(part)
    }

    /// Makes an index, its constraint if it is for one, and its entries.
    pub(super) async fn add_index(&mut self, mut new: NewIndex) -> SqlResult<Oid> {
        let relation = self.relation(new.table)?;
        if new.keys.len() + new.include.len() > INDEX_COLUMNS_MAX {
            return Err(SqlError::new(
                SqlState::TooManyColumns,
                format!("cannot use more than {INDEX_COLUMNS_MAX} columns in an index"),
            ));
        }
        for key in &new.keys {
            if let Some(column) = relation.column(key.column) {
                self.check_ordered(column.ty.oid, &new.method)?;
            }
        }
        name_columns(&mut new, &relation);
        let name = match &new.name {
            Some(name) => name.clone(),
            None => self.choose_index_name(&new, &relation),
        };
        if new.name.is_none() || new.constraint {
            self.claim_new(relation.schema, &name).await?;
        }
        let deferrable = new.deferral.is_deferrable();
        // The rows of a table that has some already are written anew, in the order of the key.
        let is_row_key = new.primary && !deferrable;
        let tree = if is_row_key { 0 } else { self.store.allocate_tree_id().await?.0 };
        let valid_from = if new.is_new_table { 0 } else { self.next_seq() };
        let row_key: Vec<i16> = new.keys.iter().map(|key| key.column).collect();
        let index = self.put_relation(Relation {
            oid: self.counters.next_oid()?,
            database: relation.database,
            schema: relation.schema,
            name: name.clone(),
            owner: relation.owner,
            row_type: Oid::NONE,
            row_array_type: Oid::NONE,
            columns: Vec::new(),
            options: new.options,
            body: RelationBody::Index(IndexBody {
                table: new.table,
                tree,
                keys: new.keys,
                unique: new.unique,
                deferrable,
                primary: new.primary,
                nulls_not_distinct: new.nulls_not_distinct,
                valid_from,
                method: new.method,
                include: new.include,
                predicate: new.predicate,
                valid: !new.concurrent,
                ..IndexBody::default()
            }),
            persistence: relation.persistence,
        })?;
        let mut table = (*relation).clone();
        if let RelationBody::Table(body) = &mut table.body {
            body.indexes.push(index.oid);
            body.indexes.sort_unstable();
            if is_row_key {
                body.row_key = row_key;
            }
        }
        let table = self.put_relation(table)?;
        if new.constraint {
            let kind = if new.primary {
                StoredKind::PrimaryKey { index: index.oid }
            } else {
                StoredKind::Unique { index: index.oid }
            };
            let oid = self.counters.next_oid()?;
            let (validated, deferral) = (true, new.deferral);
            let stored = Constraint { oid, name, kind, validated, deferral };
            self.put_constraint_as(table.oid, stored)?;
        }
        if is_row_key && !new.is_new_table {
            self.rewrite_table(&relation, |_, row| Ok(row)).await?;
        } else if !new.is_new_table && !new.concurrent {
            at_length(|| self.fill_index(&table, index.oid))?;
        }
        Ok(index.oid)
    }

    /// The first commit that can be this transaction's: what it makes is not there before.
    pub(super) fn next_seq(&self) -> u64 {
        self.store.newest_seq().0 + 1
    }

    /// Writes the entries of an index for every row of its table.
    pub(super) fn fill_index(&mut self, table: &Arc<Relation>, index: Oid) -> SqlResult<()> {
        let host = self.become_owner(table);
        let filled = self.fill_index_as_owner(table, index);
        self.context.host = host;
        filled
    }

    fn fill_index_as_owner(&mut self, table: &Arc<Relation>, index: Oid) -> SqlResult<()> {
        let access = TableAccess::new(table, &self.context)?;
        let index = access
            .indexes
            .iter()
            .find(|access| access.oid == index)
            .ok_or_else(|| SqlError::internal("a new index is not on its table"))?;
        let view = self.txn.newest_view()?;
        let mut scan = view.scan(
            access.tree,
            aegis_storage::KeyRange::all(),
            aegis_storage::Direction::Forward,
        )?;
        let mut block = aegis_storage::Block::default();
        let evaluation = self.context.evaluation();
        while scan.next_block(&mut block)? {
            self.context.cancel.check()?;
            for stored in block.iter() {
                let row = access.layout.decode(stored.value)?;
                let Some(entry) = index.encode_key(&row, stored.key, &evaluation)? else {
                    continue;
                };
                if index.is_taken(&entry, self.txn)? {
                    return Err(access.not_unique(index, &row, &self.context)?);
                }
                self.txn.put(index.tree, &entry.bytes, entry.value(stored.key))?;
            }
        }
        Ok(())
    }

    /// Analyzes the expressions and the condition of an index anew, as the columns of its table have
    /// other types or numbers now.
    pub(super) fn rebind_index(&mut self, index: Oid, relation: &Arc<Relation>) -> SqlResult<()> {
        let mut changed = (*self.relation(index)?).clone();
        let RelationBody::Index(body) = &mut changed.body else {
            return Err(SqlError::internal("this is no index"));
        };
        for key in &mut body.keys {
            if let Some(expression) = &mut key.expression {
                let parsed = crate::parser::parse_expr(&expression.text)?;
                *expression = self.index_expression(&parsed, relation)?.0;
                self.check_ordered(expression.ty.oid, &body.method)?;
            }
        }
        if let Some(predicate) = &mut body.predicate {
            let parsed = crate::parser::parse_expr(&predicate.text)?;
            *predicate = self.index_predicate(&parsed, relation)?;
        }
        self.put_relation(changed).map(drop)
    }

    /// The parts of an index of another table, over the columns of this one that are called alike.
    pub(super) fn index_like(
        &self,
        old: &IndexBody,
        template: &Relation,
        relation: &Arc<Relation>,
    ) -> SqlResult<NewIndex> {
        let number = |column: i16| {
            let name = template.column(column).map(|column| column.name.as_str());
            name.and_then(|name| relation.column_named(name))
                .map(|column| column.number)
                .ok_or_else(|| SqlError::internal("a copied index lost its column"))
        };
        let mut new = NewIndex {
            table: relation.oid,
            unique: old.unique,
            primary: old.primary,
            nulls_not_distinct: old.nulls_not_distinct,
            method: old.method.clone(),
            is_new_table: true,
            ..NewIndex::default()
        };
        for key in &old.keys {
            let mut key = key.clone();
            match &mut key.expression {
                Some(expression) => {
                    let parsed = crate::parser::parse_expr(&expression.text)?;
                    *expression = self.index_expression(&parsed, relation)?.0;
                }
                None => {
                    key.column = number(key.column)?;
                    key.name = None;
                }
            }
            new.keys.push(key);
        }
        for column in &old.include {
            new.include.push(number(*column)?);
        }
        if let Some(predicate) = &old.predicate {
            let parsed = crate::parser::parse_expr(&predicate.text)?;
            new.predicate = Some(self.index_predicate(&parsed, relation)?);
        }
        Ok(new)
    }

    /// 42704 for a type without an order.
    pub(super) fn check_ordered(&self, ty: Oid, method: &str) -> SqlResult<()> {
        let element = builtins()
            .type_row(ty)
            .filter(|row| row.category == b'A' && row.length == -1 && row.element.is_some())
            .map_or(ty, |row| row.element);
        let unordered = matches!(element, type_oid::JSON | type_oid::XID | type_oid::CID)
            || matches!(builtins().type_row(element), Some(row) if matches!(row.name,
                "xml" | "point" | "lseg" | "path" | "box" | "polygon" | "line" | "circle"
                | "aclitem" | "txid_snapshot" | "pg_snapshot" | "tsquery" | "jsonpath"));
        if unordered {
            return Err(SqlError::new(
                SqlState::UndefinedObject,
                format!(
                    "data type {} has no default operator class for access method \"{method}\"",
                    self.type_name(ty)
                ),
            )
            .hint(
                "You must specify an operator class for the index or define a default operator \
                 class for the data type.",
            ));
        }
        Ok(())
    }
}

/// Gives each column of the key the name that it has in the index: of its column, or what the
/// expression suggests, numbered where it is taken (`ChooseIndexColumnNames`).
fn name_columns(new: &mut NewIndex, relation: &Relation) {
    let mut taken: Vec<String> = Vec::new();
    for key in &mut new.keys {
        let wanted = match (&key.name, relation.column(key.column)) {
            (_, Some(column)) => column.name.clone(),
            (Some(name), None) => name.clone(),
            (None, None) => "expr".to_owned(),
        };
        let mut name = wanted.clone();
        let mut number = 0_u32;
        while taken.contains(&name) {
            number += 1;
            let suffix = number.to_string();
            let kept = aegis_types::text::truncate_name(&wanted);
            let end = kept.len().min(63 - suffix.len());
            let end = (0..=end).rev().find(|at| kept.is_char_boundary(*at)).unwrap_or(0);
            name = format!("{}{suffix}", &kept[..end]);
        }
        taken.push(name.clone());
        key.name = Some(name);
    }
}

pub(super) fn plural(relation: &Relation) -> &'static str {
    match kind_word(relation.kind()) {
        "view" => "views",
        "sequence" => "sequences",
        "index" => "indexes",
        _ => "tables",
    }
}

fn plain_column(relation: &Relation, name: &str) -> SqlResult<i16> {
    if let Some(column) = relation.column_named(name) {
        return Ok(column.number);
    }
    if is_system_column(name) {
        return Err(SqlError::new(
            SqlState::FeatureNotSupported,
            "index creation on system columns is not supported",
        ));
    }
    Err(SqlError::new(SqlState::UndefinedColumn, format!("column \"{name}\" does not exist")))
}

/// A column of `INCLUDE`.
fn included(relation: &Relation, param: &IndexElem) -> SqlResult<i16> {
    let Some(name) = &param.name else {
        return Err(SqlError::new(
            SqlState::FeatureNotSupported,
            "expressions are not supported in included columns",
        ));
    };
    let column = plain_column(relation, name)?;
    let wrong = |what: &str| {
        Err(SqlError::new(
            SqlState::InvalidObjectDefinition,
            format!("including column does not support {what}"),
        ))
    };
    if !param.collation.is_empty() {
        return wrong("a collation");
    }
    if !param.opclass.is_empty() {
        return wrong("an operator class");
    }
    if !matches!(param.ordering, SortDirection::Default) {
        return wrong("ASC/DESC options");
    }
    if !matches!(param.nulls, SortNulls::Default) {
        return wrong("NULLS FIRST/LAST options");
    }
    Ok(column)
}

/// With the C collation, the pattern classes order as the default ones.
fn is_plain_class(name: &str) -> bool {
    name.strip_suffix("_ops").is_some_and(|ty| {
        let ty = ty.strip_suffix("_pattern").unwrap_or(ty);
        matches!(
            ty,
            "text"
                | "varchar"
                | "bpchar"
                | "int2"
                | "int4"
                | "int8"
                | "float4"
                | "float8"
                | "numeric"
                | "bool"
                | "date"
                | "time"
                | "timetz"
                | "timestamp"
                | "timestamptz"
                | "interval"
                | "uuid"
                | "bytea"
                | "oid"
                | "name"
                | "char"
                | "array"
                | "jsonb"
        )
    })
}

fn check_method(create: &IndexStmt) -> SqlResult<()> {
    let method = create.access_method.as_str();
    let refuse = |what: &str| {
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("access method \"hash\" does not support {what}"),
        ))
    };
    match method {
        "btree" => Ok(()),
        "hash" if create.unique => refuse("unique indexes"),
        "hash" if !create.including.is_empty() => refuse("included columns"),
        "hash" if create.params.len() > 1 => refuse("multicolumn indexes"),
        "hash" if create.params.iter().any(|p| !matches!(p.ordering, SortDirection::Default)) => {
            refuse("ASC/DESC options")
        }
        "hash" if create.params.iter().any(|p| !matches!(p.nulls, SortNulls::Default)) => {
            refuse("NULLS FIRST/LAST options")
        }
        "hash" => Ok(()),
        "gist" | "gin" | "brin" | "spgist" => {
            Err(SqlError::unsupported(format!("access method \"{method}\"")))
        }
        _ => Err(SqlError::new(
            SqlState::UndefinedObject,
            format!("access method \"{method}\" does not exist"),
        )),
    }
}
