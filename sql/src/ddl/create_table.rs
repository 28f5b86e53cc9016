//! `CREATE TABLE`: columns first, then what hangs on them, in the same ways as `ALTER TABLE ADD`.

use std::sync::Arc;

use aegis_catalog::snapshot::PG_CLASS;
use aegis_catalog::{
    Column, Comment, ConstraintKind as StoredKind, Descriptor, Identity, OnCommit, Persistence,
    Relation, RelationBody, TableBody,
};
use aegis_storage::TableLockMode;
use aegis_types::{Collation, Oid, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use super::Ddl;
use super::index::NewIndex;
use super::name::relation_exists;
use super::sequence::OwnedSequence;
use crate::analyze::ExprPlace;
use crate::ast::{
    CollationName, ColumnDef, Constraint, ConstraintKind, CreateTableStmt, DefElem, Expr,
    IdentityKind, SequenceOption, TableElement, TableLikeClause, TypeName,
};

/// PostgreSQL's limit of columns.
pub(super) const COLUMNS_MAX: usize = 1600;
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// A column as it is to be made: the column itself, and what is done once the table exists.
pub(super) struct NewColumn<'a> {
    pub(super) column: Column,
    /// The integer type of a `serial`.
    pub(super) serial: Option<Oid>,
    pub(super) identity: Option<(IdentityKind, &'a [SequenceOption])>,
    pub(super) default: Option<&'a Expr>,
    /// `GENERATED ALWAYS AS (…) STORED`
    pub(super) generated: Option<&'a Expr>,
    /// `CHECK`, `PRIMARY KEY`, `UNIQUE`, `REFERENCES`.
    pub(super) constraints: Vec<&'a Constraint>,
}

impl Ddl<'_> {
    /// `CREATE TABLE`
    pub(super) async fn create_table(
        &mut self,
        create: &CreateTableStmt,
    ) -> SqlResult<&'static str> {
        refuse_features(create)?;
        let schema = self.creation_schema(&create.relation)?;
        let name = &create.relation.name;
        if self.claim(schema, name).await?.is_some() {
            if !create.if_not_exists {
                return Err(relation_exists(name));
            }
            self.notice(
                SqlState::DuplicateTable,
                format!("relation \"{name}\" already exists, skipping"),
            );
            return Ok("CREATE TABLE");
        }
        let mut columns = Vec::new();
        let mut table_constraints = Vec::new();
        let mut likes = Vec::new();
        for element in &create.elements {
            match element {
                TableElement::Column(definition) => {
                    columns.push(self.new_column(definition, name, columns.len())?);
                }
                TableElement::Constraint(constraint) => table_constraints.push(constraint),
                TableElement::Like(like) => {
                    let (template, copied) = self.columns_like(like, columns.len())?;
                    columns.extend(copied);
                    likes.push((template, like.options));
                }
            }
        }
        check_columns(columns.iter().map(|new| new.column.name.as_str()))?;
        let primary = check_primary_keys(name, &columns, &table_constraints)?;
        let mut relation = self
            .new_table(
                schema,
                name,
                columns.iter().map(|new| new.column.clone()).collect(),
                stored_options(&create.options)?,
            )
            .await?;
        let on_commit = self.on_commit_action(create.on_commit, schema)?;
        relation = self.set_persistence(&relation, &create.relation, on_commit)?;
        self.lock(relation.oid, TableLockMode::AccessExclusive).await?;
        for new in &columns {
            relation = self.add_column_values(relation, new).await?;
        }
        for new in &columns {
            for constraint in &new.constraints {
                if let ConstraintKind::Check(_) = constraint.kind {
                    let column = Some(new.column.number);
                    self.add_constraint(relation.oid, constraint, column, false).await?;
                }
            }
        }
        for constraint in &table_constraints {
            if let ConstraintKind::Check(_) = constraint.kind {
                self.add_constraint(relation.oid, constraint, None, false).await?;
            }
        }
        let all: Vec<(&Constraint, Option<i16>)> = columns
            .iter()
            .flat_map(|new| new.constraints.iter().map(|c| (*c, Some(new.column.number))))
            .chain(table_constraints.iter().map(|constraint| (*constraint, None)))
            .collect();
        if let Some((constraint, column)) = primary {
            self.add_constraint(relation.oid, constraint, column, false).await?;
        }
        for foreign in [false, true] {
            for (constraint, column) in &all {
                let now = match constraint.kind {
                    ConstraintKind::Unique(_) | ConstraintKind::Exclusion(_) => !foreign,
                    ConstraintKind::Foreign(_) => foreign,
                    _ => false,
                };
                if now {
                    self.add_constraint(relation.oid, constraint, *column, false).await?;
                }
            }
        }
        for (template, options) in likes {
            if options.identity {
                self.copy_identities(&template, relation.oid).await?;
            }
            if options.constraints || options.indexes {
                self.copy_constraints(&template, relation.oid, options).await?;
            }
            if options.comments {
                self.copy_comments(&template, relation.oid)?;
            }
        }
        Ok("CREATE TABLE")
    }

    /// Makes an empty table without constraints.
    pub(super) async fn new_table(
        &mut self,
        schema: Oid,
        name: &str,
        columns: Vec<Column>,
        options: Vec<String>,
    ) -> SqlResult<Arc<Relation>> {
        let tree = self.store.allocate_tree_id().await?;
        let relation = Relation {
            oid: self.counters.next_oid()?,
            database: self.context.database,
            schema,
            name: name.to_owned(),
            owner: self.role,
            row_type: self.counters.next_oid()?,
            row_array_type: self.counters.next_oid()?,
            columns,
            options,
            body: RelationBody::Table(TableBody {
                tree: tree.0,
                row_key: Vec::new(),
                row_version: 0,
                indexes: Vec::new(),
                constraints: Vec::new(),
                referenced_by: Vec::new(),
                row_count: -1.0,
                ..TableBody::default()
            }),
            ..Relation::default()
        };
        self.put_relation(relation)
    }

    /// Notes how long a new table lives.
    pub(super) fn set_persistence(
        &mut self,
        relation: &Arc<Relation>,
        name: &crate::ast::RangeVar,
        on_commit: OnCommit,
    ) -> SqlResult<Arc<Relation>> {
        let persistence = self.persistence(relation.schema, name);
        if persistence == Persistence::Permanent {
            return Ok(relation.clone());
        }
        let mut changed = (**relation).clone();
        changed.persistence = persistence;
        if let RelationBody::Table(body) = &mut changed.body {
            body.on_commit = on_commit;
        }
        self.put_relation(changed)
    }

    /// The collation that a column is declared with, if it is not its type's.
    pub(super) fn column_collation(
        &self,
        written: Option<&CollationName>,
        ty: TypeRef,
    ) -> SqlResult<Option<Collation>> {
        let Some(written) = written else { return Ok(None) };
        let collation = self
            .analyzer()
            .named_collation(&written.name)
            .map_err(|error| error.at(written.location))?;
        let own = self.context.catalog.type_collation(ty.oid);
        if !own.is_some() {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!("collations are not supported by type {}", self.type_name(ty.oid)),
            )
            .at(written.location));
        }
        Ok(Some(collation).filter(|collation| own != collation.oid()))
    }

    /// What a column definition says, names and types looked up.
    pub(super) fn new_column<'b>(
        &self,
        definition: &'b ColumnDef,
        table: &str,
        before: usize,
    ) -> SqlResult<NewColumn<'b>> {
        let name = &definition.name;
        if definition.compression.is_some() {
            return Err(SqlError::unsupported("COMPRESSION"));
        }
        let type_name = definition
            .type_name
            .as_ref()
            .ok_or_else(|| SqlError::unsupported("a column without a type"))?;
        let serial = serial_type(type_name)?;
        let ty = match serial {
            Some(oid) => TypeRef::plain(oid),
            None => self.column_type(type_name, name)?,
        };
        let mut new = NewColumn {
            column: Column {
                number: column_number(before)?,
                name: name.clone(),
                ty,
                collation: self.column_collation(definition.collation.as_ref(), ty)?,
                not_null: serial.is_some(),
                default: None,
                identity: None,
                dropped: false,
                since_version: 0,
                missing: None,
                ..Column::default()
            },
            serial,
            identity: None,
            default: None,
            generated: None,
            constraints: Vec::new(),
        };
        let mut nullable = serial.map(|_| false);
        for constraint in &definition.constraints {
            refuse_no_inherit(constraint)?;
            column_constraint(&mut new, &mut nullable, constraint, table)?;
        }
        if let Some((kind, _)) = new.identity {
            if !matches!(ty.oid, type_oid::INT2 | type_oid::INT4 | type_oid::INT8) {
                return Err(bad_value("identity column type must be smallint, integer, or bigint"));
            }
            new.column.identity = Some(stored_identity(kind));
        }
        Ok(new)
    }

    /// Makes the sequence and the default of a new column.
    pub(super) async fn add_column_values(
        &mut self,
        relation: Arc<Relation>,
        new: &NewColumn<'_>,
    ) -> SqlResult<Arc<Relation>> {
        let owner = OwnedSequence {
            table: relation.oid,
            column: new.column.number,
            internal: new.identity.is_some(),
        };
        if let Some(ty) = new.serial {
            let sequence = self.create_owned_sequence(&owner, ty, &[]).await?;
            let name = self.qualified(sequence.schema, &sequence.name);
            let text = format!("nextval({}::regclass)", super::expression::literal(&name));
            return self.set_default(relation.oid, new.column.number, Some(text));
        }
        if let Some((_, options)) = new.identity {
            self.create_owned_sequence(&owner, new.column.ty.oid, options).await?;
        }
        let column = &new.column;
        if let Some(expr) = new.generated {
            let (text, _) = self.generation(expr, &relation, column.ty, &column.name)?;
            return self.set_default(relation.oid, column.number, Some(text));
        }
        let Some(expr) = new.default else {
            return self.relation(relation.oid);
        };
        let default = self.default(expr, &relation, column.ty, &column.name)?;
        match default {
            Some((text, _)) => self.set_default(relation.oid, column.number, Some(text)),
            None => self.relation(relation.oid),
        }
    }

    /// Sets the default of a column as text.
    pub(super) fn set_default(
        &mut self,
        table: Oid,
        number: i16,
        default: Option<String>,
    ) -> SqlResult<Arc<Relation>> {
        self.change_column(table, number, |column| column.default = default)
    }

    /// Changes one column's descriptor.
    pub(super) fn change_column(
        &mut self,
        table: Oid,
        number: i16,
        change: impl FnOnce(&mut Column),
    ) -> SqlResult<Arc<Relation>> {
        let mut relation = (*self.relation(table)?).clone();
        let column = usize::try_from(number - 1)
            .ok()
            .and_then(|at| relation.columns.get_mut(at))
            .ok_or_else(|| SqlError::internal(format!("column {number} is missing")))?;
        change(column);
        self.put_relation(relation)
    }

    /// The columns that `LIKE` copies.
    fn columns_like(
        &self,
        like: &TableLikeClause,
        before: usize,
    ) -> SqlResult<(Arc<Relation>, Vec<NewColumn<'static>>)> {
        let template = self.find(&like.relation)?.ok_or_else(|| {
            super::name::missing_relation(&like.relation).at(like.relation.location)
        })?;
        if template.as_index().is_some() || template.as_sequence().is_some() {
            return Err(super::name::wrong_kind(
                &template,
                "a table, view, materialized view, composite type, or foreign table",
            ));
        }
        let mut columns = Vec::new();
        for column in template.live_columns() {
            let number = column_number(before + columns.len())?;
            columns.push(NewColumn {
                column: Column {
                    number,
                    name: column.name.clone(),
                    ty: column.ty,
                    collation: column.collation,
                    not_null: column.not_null,
                    default: column.default.clone().filter(|_| {
                        if column.generated {
                            like.options.generated
                        } else {
                            like.options.defaults
                        }
                    }),
                    generated: column.generated && like.options.generated,
                    storage: column.storage.filter(|_| like.options.storage),
                    identity: None,
                    dropped: false,
                    since_version: 0,
                    missing: None,
                    ..Column::default()
                },
                serial: None,
                identity: None,
                default: None,
                generated: None,
                constraints: Vec::new(),
            });
        }
        Ok((template, columns))
    }

    /// Gives the columns that are called as identity columns of another table sequences like theirs.
    async fn copy_identities(&mut self, template: &Relation, table: Oid) -> SqlResult<()> {
        for column in template.live_columns() {
            let Some(kind) = column.identity else { continue };
            let relation = self.relation(table)?;
            let Some(own) = relation.column_named(&column.name).map(|own| own.number) else {
                continue;
            };
            let sequence = self.owned_sequences(template.oid, Some(column.number)).next();
            let sequence = sequence.map(|oid| self.relation(oid)).transpose()?;
            let body = sequence.as_ref().and_then(|sequence| sequence.as_sequence());
            let options = body.map(super::sequence::options_of).unwrap_or_default();
            self.change_column(table, own, |column| column.identity = Some(kind))?;
            let owner = OwnedSequence { table, column: own, internal: true };
            self.create_owned_sequence(&owner, column.ty.oid, &options).await?;
        }
        Ok(())
    }

    /// Copies the comments on the columns that are called alike.
    fn copy_comments(&mut self, template: &Relation, table: Oid) -> SqlResult<()> {
        let relation = self.relation(table)?;
        for column in template.live_columns() {
            let number = i32::from(column.number);
            let comment = self.context.catalog.comment(PG_CLASS, template.oid, number).cloned();
            if let (Some(comment), Some(own)) = (comment, relation.column_named(&column.name)) {
                self.put(Descriptor::Comment(Arc::new(Comment {
                    object: table,
                    column: i32::from(own.number),
                    ..(*comment).clone()
                })))?;
            }
        }
        Ok(())
    }

    async fn copy_constraints(
        &mut self,
        template: &Relation,
        table: Oid,
        options: crate::ast::LikeOptions,
    ) -> SqlResult<()> {
        let Some(body) = template.as_table() else {
            return Ok(());
        };
        for constraint in &body.constraints {
            if let StoredKind::Check { expression, .. } = &constraint.kind
                && options.constraints
            {
                let relation = self.relation(table)?;
                let parsed = crate::parser::parse_expr(expression)?;
                let bound = self.bind(&parsed, &relation, ExprPlace::Check, None)?;
                let mut columns = Vec::new();
                super::expression::collect_columns(&bound, &mut columns);
                let kind = StoredKind::Check { expression: expression.clone(), columns };
                self.put_constraint(table, constraint.name.clone(), kind)?;
            }
        }
        if !options.indexes {
            return Ok(());
        }
        for oid in &body.indexes {
            let index = self.relation(*oid)?;
            let Some(old) = index.as_index() else { continue };
            let relation = self.relation(table)?;
            let constraint = body.constraints.iter().find(|constraint| {
                matches!(constraint.kind, StoredKind::PrimaryKey { index } | StoredKind::Unique { index } if index == *oid)
            });
            let new = self.index_like(old, template, &relation)?;
            self.add_index(NewIndex {
                constraint: constraint.is_some(),
                deferral: constraint.map(|constraint| constraint.deferral).unwrap_or_default(),
                options: index.options.clone(),
                ..new
            })
            .await?;
        }
        Ok(())
    }
}

fn column_constraint<'b>(
    new: &mut NewColumn<'b>,
    nullable: &mut Option<bool>,
    constraint: &'b Constraint,
    table: &str,
) -> SqlResult<()> {
    let name = &new.column.name;
    let conflict = |what: &str| {
        SqlError::new(
            SqlState::SyntaxError,
            format!("{what} for column \"{name}\" of table \"{table}\""),
        )
        .at(constraint.location)
    };
    match &constraint.kind {
        ConstraintKind::Null => {
            if *nullable == Some(false) {
                return Err(conflict("conflicting NULL/NOT NULL declarations"));
            }
            *nullable = Some(true);
        }
        ConstraintKind::NotNull => {
            if *nullable == Some(true) {
                return Err(conflict("conflicting NULL/NOT NULL declarations"));
            }
            *nullable = Some(false);
            new.column.not_null = true;
        }
        ConstraintKind::Default(expr) => {
            if new.default.is_some() || new.serial.is_some() {
                return Err(conflict("multiple default values specified"));
            }
            new.default = Some(expr);
        }
        ConstraintKind::Identity { when, options } => {
            if new.identity.is_some() {
                return Err(conflict("multiple identity specifications"));
            }
            if *nullable == Some(true) {
                return Err(conflict("conflicting NULL/NOT NULL declarations"));
            }
            *nullable = Some(false);
            new.column.not_null = true;
            new.identity = Some((*when, options));
        }
        ConstraintKind::Generated(expr) => {
            if new.generated.is_some() {
                return Err(conflict("multiple generation clauses specified"));
            }
            new.generated = Some(expr);
            new.column.generated = true;
        }
        ConstraintKind::Exclusion(_) => return Err(SqlError::unsupported("EXCLUDE")),
        ConstraintKind::Check(_)
        | ConstraintKind::Primary(_)
        | ConstraintKind::Unique(_)
        | ConstraintKind::Foreign(_) => new.constraints.push(constraint),
    }
    if new.identity.is_some() && (new.default.is_some() || new.serial.is_some()) {
        return Err(conflict("both default and identity specified"));
    }
    if new.generated.is_some() && (new.default.is_some() || new.serial.is_some()) {
        return Err(conflict("both default and generation expression specified"));
    }
    if new.generated.is_some() && new.identity.is_some() {
        return Err(conflict("both identity and generation expression specified"));
    }
    Ok(())
}

/// The integer type behind `serial` and its kin.
fn serial_type(name: &TypeName) -> SqlResult<Option<Oid>> {
    let [word] = name.names.as_slice() else {
        return Ok(None);
    };
    let oid = match word.as_str() {
        "smallserial" | "serial2" => type_oid::INT2,
        "serial" | "serial4" => type_oid::INT4,
        "bigserial" | "serial8" => type_oid::INT8,
        _ => return Ok(None),
    };
    if !name.array_bounds.is_empty() {
        return Err(SqlError::new(
            SqlState::FeatureNotSupported,
            "array of serial is not implemented",
        )
        .at(name.location));
    }
    Ok(Some(oid))
}

pub(super) const fn stored_identity(kind: IdentityKind) -> Identity {
    match kind {
        IdentityKind::Always => Identity::Always,
        IdentityKind::ByDefault => Identity::ByDefault,
    }
}

pub(super) fn column_number(before: usize) -> SqlResult<i16> {
    if before >= COLUMNS_MAX {
        return Err(SqlError::new(
            SqlState::TooManyColumns,
            format!("tables can have at most {COLUMNS_MAX} columns"),
        ));
    }
    i16::try_from(before + 1).map_err(|_| SqlError::internal("a column number is too great"))
}

fn bad_value(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

/// Refuses names of system columns and double names: 42701.
pub(super) fn check_columns<'a>(names: impl Iterator<Item = &'a str>) -> SqlResult<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        check_system_column(name)?;
        if !seen.insert(name) {
            return Err(SqlError::new(
                SqlState::DuplicateColumn,
                format!("column \"{name}\" specified more than once"),
            ));
        }
    }
    Ok(())
}

pub(super) fn check_system_column(name: &str) -> SqlResult<()> {
    if is_system_column(name) {
        return Err(SqlError::new(
            SqlState::DuplicateColumn,
            format!("column name \"{name}\" conflicts with a system column name"),
        ));
    }
    Ok(())
}

/// Whether every table has a column of this name.
pub(super) fn is_system_column(name: &str) -> bool {
    SYSTEM_COLUMNS.contains(&name)
}

type FoundPrimary<'a> = Option<(&'a Constraint, Option<i16>)>;

fn check_primary_keys<'b>(
    table: &str,
    columns: &[NewColumn<'b>],
    table_constraints: &[&'b Constraint],
) -> SqlResult<FoundPrimary<'b>> {
    let mut found = None;
    let of_columns = columns
        .iter()
        .flat_map(|new| new.constraints.iter().map(|c| (*c, Some(new.column.number))));
    let of_table = table_constraints.iter().map(|constraint| (*constraint, None));
    for (constraint, column) in of_columns.chain(of_table) {
        if let ConstraintKind::Primary(_) = constraint.kind {
            if found.is_some() {
                return Err(super::constraint::second_primary_key(table).at(constraint.location));
            }
            found = Some((constraint, column));
        }
    }
    Ok(found)
}

/// 0A000 for a constraint that no child table would have.
pub(super) fn refuse_no_inherit(constraint: &Constraint) -> SqlResult<()> {
    if constraint.no_inherit {
        return Err(SqlError::unsupported("NO INHERIT").at(constraint.location));
    }
    Ok(())
}

fn refuse_features(create: &CreateTableStmt) -> SqlResult<()> {
    if !create.inherits.is_empty() {
        return Err(SqlError::unsupported("INHERITS"));
    }
    if create.partition_spec.is_some() {
        return Err(SqlError::unsupported("PARTITION BY"));
    }
    if create.partition_of.is_some() {
        return Err(SqlError::unsupported("PARTITION OF"));
    }
    if create.of_type.is_some() {
        return Err(SqlError::unsupported("CREATE TABLE OF"));
    }
    check_storage(create.access_method.as_deref(), create.table_space.as_deref())
}

pub(super) fn check_storage(method: Option<&str>, space: Option<&str>) -> SqlResult<()> {
    if let Some(method) = method.filter(|method| *method != "heap") {
        return Err(SqlError::new(
            SqlState::UndefinedObject,
            format!("access method \"{method}\" does not exist"),
        ));
    }
    if let Some(space) = space.filter(|space| *space != "pg_default") {
        return Err(SqlError::new(
            SqlState::UndefinedObject,
            format!("tablespace \"{space}\" does not exist"),
        ));
    }
    Ok(())
}

/// Storage options, checked and as they are kept: `name=value`.
pub(super) fn stored_options(options: &[DefElem]) -> SqlResult<Vec<String>> {
    let mut stored = Vec::new();
    for option in options {
        let plain = option.name.as_str();
        let known = matches!(
            plain,
            "fillfactor"
                | "parallel_workers"
                | "user_catalog_table"
                | "toast_tuple_target"
                | "vacuum_index_cleanup"
                | "vacuum_truncate"
                | "deduplicate_items"
                | "log_autovacuum_min_duration"
        ) || plain.starts_with("autovacuum_");
        if !known || option.namespace.as_deref().is_some_and(|space| space != "toast") {
            return Err(bad_value(format!("unrecognized parameter \"{plain}\"")));
        }
        let value = option.value.as_ref().map_or_else(|| "true".to_owned(), |value| value.text());
        let bounds = match plain {
            "fillfactor" => Some((10, 100)),
            "toast_tuple_target" => Some((128, 8160)),
            "parallel_workers" => Some((0, 1024)),
            _ => None,
        };
        if let Some((least, most)) = bounds {
            let number: i64 = value.parse().map_err(|_| {
                bad_value(format!("invalid value for integer option \"{plain}\": {value}"))
            })?;
            if !(least..=most).contains(&number) {
                return Err(bad_value(format!(
                    "value {number} out of bounds for option \"{plain}\""
                ))
                .detail(format!("Valid values are between \"{least}\" and \"{most}\".")));
            }
        }
        let space = option.namespace.as_ref().map(|space| format!("{space}.")).unwrap_or_default();
        stored.push(format!("{space}{plain}={value}"));
    }
    Ok(stored)
}
