//! Writing keys. Each function locks its key, looks at what is there now, and writes at once: the lock
//! is held until the transaction ends.

use std::collections::BTreeMap;

use aegis_catalog::access::Privilege;
use aegis_sql::dml::{Changes, OldRow};
use aegis_sql::engine::{EngineCall, converted, invalid};
use aegis_types::compare::equal;
use aegis_types::jsonb::Value;
use aegis_types::{Datum, SqlError, SqlResult, SqlState, type_oid};

use crate::arguments::{end_of, time_or_null};
use crate::tables::{KnownTables, Tables, VALUES, key_of, kv};
use crate::value::{columns, missing, of_columns};

const PUT: &[Privilege] = &[Privilege::INSERT, Privilege::UPDATE];

/// What is to be written under a key.
struct New<'a> {
    namespace: &'a str,
    key: &'a str,
    value: Datum,
    expires_at: Option<i64>,
    lease: Option<i64>,
}

impl New<'_> {
    /// Writes it in the place of what is there. The key is locked. Gives the version.
    async fn write(
        self,
        changes: &mut Changes<'_>,
        tables: &Tables,
        old: Option<OldRow>,
    ) -> SqlResult<i64> {
        let mut row = vec![Datum::Null; kv::COLUMNS];
        row[kv::NAMESPACE] = Datum::text(self.namespace);
        row[kv::KEY] = Datum::text(self.key);
        row[kv::VALUE..kv::VALUE + VALUES].clone_from_slice(&columns(self.value)?);
        row[kv::VERSION] = Datum::Int8(0);
        row[kv::EXPIRES_AT] = time_or_null(self.expires_at);
        row[kv::LEASE] = self.lease.map_or(Datum::Null, Datum::Int8);
        row[kv::CHANGED_AT] = Datum::Timestamptz(0);
        match old {
            Some(old) => changes.update_row(&tables.keys, &old, &mut row).await?,
            None => changes.insert_row(&tables.keys, &mut row, None).await.map(drop)?,
        }
        Ok(version_of(&row))
    }
}

fn version_of(row: &[Datum]) -> i64 {
    match row[kv::VERSION] {
        Datum::Int8(version) => version,
        _ => 0,
    }
}

/// `kv_put`: the new version; NULL where the condition does not hold.
pub(crate) fn put(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (key, namespace) = (call.needed(0, "a key")?, call.needed(6, "a namespace")?);
    let (value, expires_at, lease) = (call.argument(1), end_of(call, 2)?, call.integer(5));
    if value.is_null() {
        return Err(missing());
    }
    let (if_absent, if_version) = (call.flag(3), call.integer(4));
    if if_absent && if_version.is_some() {
        return Err(invalid("if_absent and if_version exclude each other"));
    }
    if expires_at.is_some() && lease.is_some() {
        return Err(invalid(
            "a key with a lease expires with it: ttl and lease exclude each other",
        ));
    }
    let tables = known.to_write(call, PUT)?;
    call.change(&tables.catalog, async |changes| {
        if let Some(lease) = lease {
            crate::lease::hold(changes, &tables, lease).await?;
        }
        let old = changes.lock_newest(&tables.keys, &key_of(namespace, key)?).await?;
        let holds = match (&old, if_version) {
            (Some(_), _) if if_absent => false,
            (Some(old), Some(version)) => version_of(&old.values) == version,
            (None, Some(_)) => false,
            _ => true,
        };
        if !holds {
            return Ok(Datum::Null);
        }
        let new = New { namespace, key, value: value.clone(), expires_at, lease };
        new.write(changes, &tables, old).await.map(Datum::Int8)
    })
}

/// `kv_delete`: whether it was there.
pub(crate) fn delete(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (key, namespace) = (call.needed(0, "a key")?, call.needed(2, "a namespace")?);
    let if_version = call.integer(1);
    let tables = known.to_write(call, &[Privilege::DELETE])?;
    call.change(&tables.catalog, async |changes| {
        let old = changes.lock_newest(&tables.keys, &key_of(namespace, key)?).await?;
        let old = old.filter(|old| if_version.is_none_or(|it| version_of(&old.values) == it));
        let Some(old) = old else { return Ok(Datum::Bool(false)) };
        changes.delete_row(&tables.keys, &old).await?;
        Ok(Datum::Bool(true))
    })
}

/// `kv_cas`: whether the key held what was expected; NULL stands for no key.
pub(crate) fn compare_and_set(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (key, namespace) = (call.needed(0, "a key")?, call.needed(4, "a namespace")?);
    let (expected, value, expires_at) = (call.argument(1), call.argument(2), end_of(call, 3)?);
    let tables =
        known.to_write(call, &[Privilege::INSERT, Privilege::UPDATE, Privilege::DELETE])?;
    call.change(&tables.catalog, async |changes| {
        let old = changes.lock_newest(&tables.keys, &key_of(namespace, key)?).await?;
        let holds = match &old {
            None => expected.is_null(),
            Some(old) => is_same(of_columns(&old.values[kv::VALUE..]), expected),
        };
        if !holds {
            return Ok(Datum::Bool(false));
        }
        match (value.is_null(), old) {
            (true, None) => {}
            (true, Some(old)) => changes.delete_row(&tables.keys, &old).await?,
            (false, old) => {
                let value = value.clone();
                let new = New { namespace, key, value, expires_at, lease: None };
                new.write(changes, &tables, old).await?;
            }
        }
        Ok(Datum::Bool(true))
    })
}

fn is_same(one: &Datum, other: &Datum) -> bool {
    let ty = match (one, other) {
        (Datum::Text(_), Datum::Text(_)) => type_oid::TEXT,
        (Datum::Jsonb(_), Datum::Jsonb(_)) => type_oid::JSONB,
        (Datum::Bytea(_), Datum::Bytea(_)) => type_oid::BYTEA,
        _ => return false,
    };
    equal(ty, one, other)
}

/// `kv_incr`: the sum, of nothing where there is no key. A time to live is for a key that this makes.
pub(crate) fn increment(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (key, namespace) = (call.needed(0, "a key")?, call.needed(3, "a namespace")?);
    let (by, expires_at) = (call.integer(1).unwrap_or(1), end_of(call, 2)?);
    let tables = known.to_write(call, PUT)?;
    call.change(&tables.catalog, async |changes| {
        let old = changes.lock_newest(&tables.keys, &key_of(namespace, key)?).await?;
        let (before, expires_at, lease) = match &old {
            None => (0, expires_at, None),
            Some(old) => {
                let until = match old.values[kv::EXPIRES_AT] {
                    Datum::Timestamptz(until) => Some(until),
                    _ => None,
                };
                let lease = match old.values[kv::LEASE] {
                    Datum::Int8(lease) => Some(lease),
                    _ => None,
                };
                (number(key, of_columns(&old.values[kv::VALUE..]))?, until, lease)
            }
        };
        let sum = before.checked_add(by).ok_or_else(|| {
            SqlError::new(SqlState::NumericValueOutOfRange, "bigint out of range")
        })?;
        let value = Datum::text(sum.to_string());
        New { namespace, key, value, expires_at, lease }.write(changes, &tables, old).await?;
        Ok(Datum::Int8(sum))
    })
}

fn number(key: &str, value: &Datum) -> SqlResult<i64> {
    let text = converted(value, type_oid::TEXT);
    let parsed = match &text {
        Ok(Datum::Text(text)) => text.trim().parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("the value of key \"{key}\" is not an integer"),
        )
    })
}

/// `kv_mput`: how many keys were written.
pub(crate) fn put_many(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    // In the order of keys, whatever the caller's: so two of these do not wait for each other.
    let mut entries: BTreeMap<String, Datum> = BTreeMap::new();
    let next = match (call.argument(0), call.argument(1)) {
        (Datum::Jsonb(object), _) => {
            let Value::Object(fields) = object.root().value() else {
                return Err(invalid("kv_mput() expects an object of keys and values"));
            };
            for (key, node) in fields.iter() {
                let value = match node.value() {
                    Value::String(_) => Datum::text(node.as_text().unwrap_or_default()),
                    _ => Datum::Jsonb(aegis_types::jsonb::Jsonb::from_node(node)),
                };
                entries.insert(key.to_owned(), value);
            }
            1
        }
        (Datum::Array(keys), Datum::Array(values)) => {
            if keys.elements.len() != values.elements.len() {
                return Err(invalid("kv_mput() expects as many values as keys"));
            }
            for (key, value) in keys.elements.iter().zip(&values.elements) {
                let Datum::Text(key) = key else {
                    return Err(SqlError::new(
                        SqlState::NullValueNotAllowed,
                        "a key cannot be null",
                    ));
                };
                if value.is_null() {
                    return Err(missing());
                }
                entries.insert(key.to_string(), value.clone());
            }
            2
        }
        _ => return Ok(Datum::Null),
    };
    let (expires_at, namespace) = (end_of(call, next)?, call.needed(next + 1, "a namespace")?);
    let tables = known.to_write(call, PUT)?;
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    call.change(&tables.catalog, async |changes| {
        for (key, value) in entries {
            changes.context.cancel.check()?;
            let old = changes.lock_newest(&tables.keys, &key_of(namespace, &key)?).await?;
            let new = New { namespace, key: &key, value, expires_at, lease: None };
            new.write(changes, &tables, old).await?;
        }
        Ok(Datum::Int8(count))
    })
}

/// `kv_expire`: whether the key is there. The value, and so the version, stays.
pub(crate) fn expire(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (key, namespace) = (call.needed(0, "a key")?, call.needed(2, "a namespace")?);
    set_end(known, call, namespace, key, end_of(call, 1)?)
}

/// `kv_persist`: whether the key is there and would have expired.
pub(crate) fn persist(known: &KnownTables, call: &EngineCall<'_>) -> SqlResult<Datum> {
    let (key, namespace) = (call.needed(0, "a key")?, call.needed(1, "a namespace")?);
    set_end(known, call, namespace, key, None)
}

fn set_end(
    known: &KnownTables,
    call: &EngineCall<'_>,
    namespace: &str,
    key: &str,
    expires_at: Option<i64>,
) -> SqlResult<Datum> {
    let tables = known.to_write(call, &[Privilege::UPDATE])?;
    call.change(&tables.catalog, async |changes| {
        let old = changes.lock_newest(&tables.keys, &key_of(namespace, key)?).await?;
        let old = old.filter(|old| expires_at.is_some() || !old.values[kv::EXPIRES_AT].is_null());
        let Some(old) = old else { return Ok(Datum::Bool(false)) };
        let mut row = old.values.clone();
        row[kv::EXPIRES_AT] = time_or_null(expires_at);
        row[kv::LEASE] = Datum::Null;
        changes.asks_engines = false;
        changes.update_row(&tables.keys, &old, &mut row).await?;
        Ok(Datum::Bool(true))
    })
}
