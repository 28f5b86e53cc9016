//! Sequences: `CREATE SEQUENCE`, `ALTER SEQUENCE`, and those that columns own.

use std::sync::Arc;

use aegis_catalog::{Relation, RelationBody, SequenceBody};
use aegis_storage::TableLockMode;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, type_oid};

use super::Ddl;
use super::index::plural;
use super::name::{NameParts, dotted, missing_relation, range_var, relation_exists, wrong_kind};
use crate::ast::{
    AlterSequenceStmt, CreateSequenceStmt, DefElem, DefValue, SequenceOption, SequenceOptionKind,
};

/// The column that a new sequence belongs to.
pub(super) struct OwnedSequence {
    pub(super) table: Oid,
    pub(super) column: i16,
    /// Whether it is an identity column's.
    pub(super) internal: bool,
}

impl Ddl<'_> {
    /// `CREATE SEQUENCE`
    pub(super) async fn create_sequence(
        &mut self,
        create: &CreateSequenceStmt,
    ) -> SqlResult<&'static str> {
        let schema = self.creation_schema(&create.sequence)?;
        let name = &create.sequence.name;
        if self.claim(schema, name).await?.is_some() {
            if !create.if_not_exists {
                return Err(relation_exists(name));
            }
            self.notice(
                SqlState::DuplicateTable,
                format!("relation \"{name}\" already exists, skipping"),
            );
            return Ok("CREATE SEQUENCE");
        }
        let mut body = self.sequence_body(None, type_oid::INT8, &create.options)?;
        if let Some(owner) = self.owner_option(&create.options, schema, self.role).await? {
            body.owned_by = owner;
        }
        self.put_sequence(schema, name, body)?;
        Ok("CREATE SEQUENCE")
    }

    /// Makes the sequence of a `serial` or identity column.
    pub(super) async fn create_owned_sequence(
        &mut self,
        owner: &OwnedSequence,
        ty: Oid,
        options: &[SequenceOption],
    ) -> SqlResult<Arc<Relation>> {
        let table = self.relation(owner.table)?;
        let column = table
            .column(owner.column)
            .ok_or_else(|| SqlError::internal("the column of a sequence is missing"))?;
        let named = options.iter().find_map(|option| match &option.kind {
            SequenceOptionKind::SequenceName(names) => Some(names),
            _ => None,
        });
        let (schema, name) = match named {
            Some(names) => {
                let name = range_var(names)?;
                (self.creation_schema(&name)?, name.name)
            }
            None => {
                let parts = NameParts { table: &table.name, columns: &column.name, label: "seq" };
                (table.schema, self.free_relation_name(table.schema, &parts))
            }
        };
        self.claim_new(schema, &name).await?;
        let mut body = self.sequence_body(None, ty, options)?;
        body.owned_by = Some((owner.table, owner.column));
        body.internal = owner.internal;
        self.put_sequence(schema, &name, body)
    }

    fn put_sequence(
        &mut self,
        schema: Oid,
        name: &str,
        body: SequenceBody,
    ) -> SqlResult<Arc<Relation>> {
        let relation = Relation {
            oid: self.counters.next_oid()?,
            database: self.context.database,
            schema,
            name: name.to_owned(),
            owner: self.role,
            row_type: Oid::NONE,
            row_array_type: Oid::NONE,
            columns: Vec::new(),
            options: Vec::new(),
            body: RelationBody::Sequence(body),
            persistence: if self.context.catalog.is_temporary_schema(schema) {
                aegis_catalog::Persistence::Temporary
            } else {
                aegis_catalog::Persistence::Permanent
            },
        };
        self.put_relation(relation)
    }

    /// `ALTER SEQUENCE`
    pub(super) async fn alter_sequence(
        &mut self,
        alter: &AlterSequenceStmt,
    ) -> SqlResult<&'static str> {
        let mode = TableLockMode::ShareRowExclusive;
        let Some(relation) = self.open_if_exists(&alter.sequence, mode).await? else {
            if !alter.missing_ok {
                return Err(missing_relation(&alter.sequence));
            }
            self.notice(
                SqlState::SuccessfulCompletion,
                format!("relation \"{}\" does not exist, skipping", dotted(&alter.sequence)),
            );
            return Ok("ALTER SEQUENCE");
        };
        self.check_owns(&relation)?;
        self.change_sequence(&relation, &alter.options).await?;
        Ok("ALTER SEQUENCE")
    }

    /// Changes the options of a sequence that is locked.
    pub(super) async fn change_sequence(
        &mut self,
        relation: &Arc<Relation>,
        options: &[SequenceOption],
    ) -> SqlResult<()> {
        let Some(old) = relation.as_sequence() else {
            return Err(wrong_kind(relation, "a sequence"));
        };
        let mut body = self.sequence_body(Some((relation, old)), old.ty, options)?;
        if let Some(owner) = self.owner_option(options, relation.schema, relation.owner).await? {
            if old.internal {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    "cannot change ownership of identity sequence",
                ));
            }
            body.owned_by = owner;
        }
        let mut changed = (**relation).clone();
        changed.body = RelationBody::Sequence(body);
        self.put_relation(changed).map(drop)
    }

    /// Gives a sequence another type; bounds that were the type's own follow it.
    pub(super) fn retype_sequence(&mut self, relation: &Arc<Relation>, ty: Oid) -> SqlResult<()> {
        let Some(old) = relation.as_sequence() else {
            return Err(wrong_kind(relation, "a sequence"));
        };
        let body = self.sequence_body(Some((relation, old)), ty, &[])?;
        let mut changed = (**relation).clone();
        changed.body = RelationBody::Sequence(body);
        self.put_relation(changed).map(drop)
    }

    /// Begins a sequence anew at its start: `TRUNCATE … RESTART IDENTITY`.
    pub(super) fn restart_sequence(&mut self, relation: &Relation) -> SqlResult<()> {
        let mut relation = relation.clone();
        if let RelationBody::Sequence(body) = &mut relation.body {
            body.generation += 1;
            body.initial = body.start;
        }
        self.put_relation(relation).map(drop)
    }

    /// What `OWNED BY` says, if it is there.
    async fn owner_option(
        &mut self,
        options: &[SequenceOption],
        schema: Oid,
        owner_role: Oid,
    ) -> SqlResult<Option<Option<(Oid, i16)>>> {
        let owner = options.iter().find_map(|option| match &option.kind {
            SequenceOptionKind::OwnedBy(names) => Some(names),
            _ => None,
        });
        let Some(names) = owner else {
            return Ok(None);
        };
        let Some((column, table)) = names.split_last() else {
            return Ok(None);
        };
        if table.is_empty() {
            if column == "none" {
                return Ok(Some(None));
            }
            return Err(SqlError::new(SqlState::SyntaxError, "invalid OWNED BY option")
                .hint("Specify OWNED BY table.column or OWNED BY NONE."));
        }
        let relation = self.open(&range_var(table)?, TableLockMode::AccessShare).await?;
        if relation.as_table().is_none() && !matches!(relation.body, RelationBody::View { .. }) {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("sequence cannot be owned by relation \"{}\"", relation.name),
            )
            .detail(format!("This operation is not supported for {}.", plural(&relation))));
        }
        if relation.owner != owner_role {
            return Err(SqlError::new(
                SqlState::ObjectNotInPrerequisiteState,
                "sequence must have same owner as table it is linked to",
            ));
        }
        if relation.schema != schema {
            return Err(SqlError::new(
                SqlState::ObjectNotInPrerequisiteState,
                "sequence must be in same schema as table it is linked to",
            ));
        }
        let number =
            relation.column_named(column).map(|column| column.number).ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedColumn,
                    format!("column \"{column}\" of relation \"{}\" does not exist", relation.name),
                )
            })?;
        Ok(Some(Some((relation.oid, number))))
    }

    /// The sequence that options make, of nothing or of an old one.
    fn sequence_body(
        &self,
        old: Option<(&Relation, &SequenceBody)>,
        default_type: Oid,
        options: &[SequenceOption],
    ) -> SqlResult<SequenceBody> {
        let options = Options::collect(options)?;
        let ty = match options.ty {
            Some(name) => self.analyzer().resolve_type_name(name)?.oid,
            None => default_type,
        };
        let (low, high, word) = match ty {
            type_oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX), "smallint"),
            type_oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX), "integer"),
            type_oid::INT8 => (i64::MIN, i64::MAX, "bigint"),
            _ => {
                return Err(invalid("sequence type must be smallint, integer, or bigint"));
            }
        };
        let increment = options.increment.or(old.map(|(_, old)| old.increment)).unwrap_or(1);
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero"));
        }
        let ascending = increment > 0;
        // A bound that was the type's own follows the type.
        let retyped = old.filter(|(_, old)| old.ty != ty);
        let follows = |bound: fn(&SequenceBody) -> i64, own: fn(Oid) -> i64| {
            retyped.is_some_and(|(_, old)| bound(old) == own(old.ty))
        };
        let maximum = match options.maximum {
            Some(Some(value)) => value,
            None if old.is_some() && !follows(|old| old.maximum, type_max) => {
                old.map_or(high, |(_, old)| old.maximum)
            }
            _ if ascending => high,
            _ => -1,
        };
        let minimum = match options.minimum {
            Some(Some(value)) => value,
            None if old.is_some() && !follows(|old| old.minimum, type_min) => {
                old.map_or(low, |(_, old)| old.minimum)
            }
            _ if ascending => 1,
            _ => low,
        };
        if maximum < low || maximum > high {
            return Err(invalid(format!(
                "MAXVALUE ({maximum}) is out of range for sequence data type {word}"
            )));
        }
        if minimum < low || minimum > high {
            return Err(invalid(format!(
                "MINVALUE ({minimum}) is out of range for sequence data type {word}"
            )));
        }
        if minimum >= maximum {
            return Err(invalid(format!(
                "MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})"
            )));
        }
        let start = options.start.or(old.map(|(_, old)| old.start)).unwrap_or(if ascending {
            minimum
        } else {
            maximum
        });
        check_bounds("START", start, minimum, maximum)?;
        let (mut generation, mut initial) =
            old.map_or((0, start), |(_, old)| (old.generation, old.initial));
        match (options.restart, old) {
            (Some(restart), _) => {
                initial = restart.unwrap_or(start);
                generation += 1;
                check_bounds("RESTART", initial, minimum, maximum)?;
            }
            (None, Some((relation, _))) => {
                let last = self.counters.current(relation)?.last_value;
                check_bounds("RESTART", last, minimum, maximum)?;
            }
            (None, None) => {}
        }
        let cache = options.cache.or(old.map(|(_, old)| old.cache)).unwrap_or(1);
        if cache <= 0 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        Ok(SequenceBody {
            ty,
            start,
            increment,
            minimum,
            maximum,
            cache,
            cycle: options.cycle.or(old.map(|(_, old)| old.cycle)).unwrap_or(false),
            generation,
            initial,
            owned_by: old.and_then(|(_, old)| old.owned_by),
            internal: old.is_some_and(|(_, old)| old.internal),
        })
    }
}

const fn type_max(ty: Oid) -> i64 {
    match ty {
        type_oid::INT2 => i16::MAX as i64,
        type_oid::INT4 => i32::MAX as i64,
        _ => i64::MAX,
    }
}

const fn type_min(ty: Oid) -> i64 {
    match ty {
        type_oid::INT2 => i16::MIN as i64,
        type_oid::INT4 => i32::MIN as i64,
        _ => i64::MIN,
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

fn check_bounds(word: &str, value: i64, minimum: i64, maximum: i64) -> SqlResult<()> {
    if value < minimum {
        return Err(invalid(format!(
            "{word} value ({value}) cannot be less than MINVALUE ({minimum})"
        )));
    }
    if value > maximum {
        return Err(invalid(format!(
            "{word} value ({value}) cannot be greater than MAXVALUE ({maximum})"
        )));
    }
    Ok(())
}

/// The options, each at most once. Without one: `None`.
#[derive(Default)]
struct Options<'a> {
    ty: Option<&'a crate::ast::TypeName>,
    increment: Option<i64>,
    /// `NO MAXVALUE` is `Some(None)`, as `RESTART` without a value is.
    maximum: Option<Option<i64>>,
    minimum: Option<Option<i64>>,
    start: Option<i64>,
    restart: Option<Option<i64>>,
    cache: Option<i64>,
    cycle: Option<bool>,
}

impl<'a> Options<'a> {
    fn collect(options: &'a [SequenceOption]) -> SqlResult<Self> {
        let mut all = Self::default();
        let mut seen = std::collections::HashSet::new();
        for option in options {
            if !seen.insert(std::mem::discriminant(&option.kind)) {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    "conflicting or redundant options",
                )
                .at(option.location));
            }
            let optional = |name: &str, value: &Option<DefValue>| {
                value.as_ref().map(|value| number(name, value)).transpose()
            };
            match &option.kind {
                SequenceOptionKind::As(ty) => all.ty = Some(ty),
                SequenceOptionKind::Cache(value) => all.cache = Some(number("cache", value)?),
                SequenceOptionKind::Cycle(cycle) => all.cycle = Some(*cycle),
                SequenceOptionKind::Increment(value) => {
                    all.increment = Some(number("increment", value)?);
                }
                SequenceOptionKind::MaxValue(value) => {
                    all.maximum = Some(optional("maxvalue", value)?);
                }
                SequenceOptionKind::MinValue(value) => {
                    all.minimum = Some(optional("minvalue", value)?);
                }
                SequenceOptionKind::Start(value) => all.start = Some(number("start", value)?),
                SequenceOptionKind::Restart(value) => {
                    all.restart = Some(optional("restart", value)?);
                }
                SequenceOptionKind::OwnedBy(_) | SequenceOptionKind::SequenceName(_) => {}
            }
        }
        Ok(all)
    }
}

fn number(name: &str, value: &DefValue) -> SqlResult<i64> {
    let name = name.to_owned();
    DefElem { namespace: None, name, value: Some(value.clone()), location: 0 }.int64()
}

/// The options that make a sequence like this one.
pub(super) fn options_of(body: &SequenceBody) -> Vec<SequenceOption> {
    let number = |value: i64| DefValue::Float(value.to_string());
    let kinds = [
        SequenceOptionKind::Increment(number(body.increment)),
        SequenceOptionKind::MinValue(Some(number(body.minimum))),
        SequenceOptionKind::MaxValue(Some(number(body.maximum))),
        SequenceOptionKind::Start(number(body.start)),
        SequenceOptionKind::Cache(number(body.cache)),
        SequenceOptionKind::Cycle(body.cycle),
    ];
    kinds.into_iter().map(|kind| SequenceOption { kind, location: 0 }).collect()
}
