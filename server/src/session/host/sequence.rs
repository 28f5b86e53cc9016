//! Sequences: `nextval`, `currval`, `lastval`, `setval`.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_catalog::access::{Kind, Privilege};
use aegis_sql::ddl::denied;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

use super::{Call, HostTable};
use crate::session::run::in_read_only;

pub(super) static FUNCTIONS: HostTable = &[
    ("nextval", |call| {
        let sequence = sequence(call)?;
        check(call, &sequence, Privilege::USAGE | Privilege::UPDATE)?;
        refuse_in_read_only(call, "nextval()")?;
        let value = call.host.identity.instance.counters.next_value(&sequence)?;
        let mut memory = call.host.sequences.lock();
        memory.values.insert(sequence.oid, value);
        memory.last = Some(sequence.oid);
        Ok(Datum::Int8(value))
    }),
    ("currval", |call| {
        let sequence = sequence(call)?;
        check(call, &sequence, Privilege::SELECT | Privilege::USAGE)?;
        let memory = call.host.sequences.lock();
        memory.values.get(&sequence.oid).map(|value| Datum::Int8(*value)).ok_or_else(|| {
            not_defined(format!(
                "currval of sequence \"{}\" is not yet defined in this session",
                sequence.name
            ))
        })
    }),
    ("lastval", |call| {
        let memory = call.host.sequences.lock();
        let last = memory.last.and_then(|oid| call.seen.catalog.relation(oid));
        if let Some(sequence) = last {
            check(call, sequence, Privilege::SELECT | Privilege::USAGE)?;
        }
        memory
            .last
            .filter(|oid| call.seen.catalog.relation(*oid).is_some())
            .and_then(|oid| memory.values.get(&oid))
            .map(|value| Datum::Int8(*value))
            .ok_or_else(|| not_defined("lastval is not yet defined in this session"))
    }),
    ("setval", |call| {
        let sequence = sequence(call)?;
        check(call, &sequence, Privilege::UPDATE)?;
        refuse_in_read_only(call, "setval()")?;
        let value = call.arg(1).as_int8();
        let is_called = call.args.len() < 3 || call.boolean(2);
        call.host.identity.instance.counters.set_value(&sequence, value, is_called)?;
        if is_called {
            call.host.sequences.lock().values.insert(sequence.oid, value);
        }
        Ok(Datum::Int8(value))
    }),
    ("pg_sequence_parameters", |call| {
        let relation = sequence(call)?;
        let any = Privilege::SELECT | Privilege::UPDATE | Privilege::USAGE;
        check(call, &relation, any)?;
        let Some(body) = relation.as_sequence() else { return Ok(Datum::Null) };
        Ok(Datum::record([
            Datum::Int8(body.start),
            Datum::Int8(body.minimum),
            Datum::Int8(body.maximum),
            Datum::Int8(body.increment),
            Datum::Bool(body.cycle),
            Datum::Int8(body.cache),
            Datum::Oid(body.ty),
        ]))
    }),
    ("pg_sequence_last_value", |call| {
        let sequence = sequence(call)?;
        check(call, &sequence, Privilege::SELECT | Privilege::USAGE)?;
        let position = call.host.identity.instance.counters.current(&sequence)?;
        Ok(if position.is_called { Datum::Int8(position.last_value) } else { Datum::Null })
    }),
];

/// Refuses whoever has none of these privileges on a sequence.
fn check(call: &Call<'_>, sequence: &Relation, any: Privilege) -> SqlResult<()> {
    let held = call.access().held(call.seen.roles.current, Kind::Sequence, sequence.oid, 0);
    if (held.privileges & any).is_empty() {
        return Err(denied("sequence", &sequence.name));
    }
    Ok(())
}

/// 25006
fn refuse_in_read_only(call: &Call<'_>, what: &str) -> SqlResult<()> {
    if call.seen.read_only { Err(in_read_only(what)) } else { Ok(()) }
}

fn not_defined(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ObjectNotInPrerequisiteState, message)
}

/// The sequence that the first argument names.
fn sequence(call: &Call<'_>) -> SqlResult<Arc<Relation>> {
    let oid: Oid = call.oid(0);
    let Some(relation) = call.seen.catalog.relation(oid) else {
        let name = call.names().relation_parts(oid).map(|(_, name)| name);
        return Err(match name {
            Some(name) => wrong_type(name),
            None => SqlError::new(
                SqlState::UndefinedTable,
                format!("could not open relation with OID {oid}"),
            ),
        });
    };
    if relation.as_sequence().is_none() {
        return Err(wrong_type(&relation.name));
    }
    Ok(relation.clone())
}

fn wrong_type(name: &str) -> SqlError {
    SqlError::new(SqlState::WrongObjectType, format!("\"{name}\" is not a sequence"))
}
