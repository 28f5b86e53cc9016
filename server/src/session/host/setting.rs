//! `current_setting` and `set_config`.

use aegis_types::{Datum, SqlError, SqlResult, SqlState};

use super::{Call, HostTable, PendingSetting};

pub(super) static FUNCTIONS: HostTable = &[
    ("current_setting", |call| match pending_value(call, call.text(0)) {
        Some(value) => Ok(Datum::text(value)),
        None => match call.seen.settings.show(call.text(0)) {
            Err(_) if call.boolean(1) => Ok(Datum::Null),
            other => other.map(Datum::text),
        },
    }),
    ("set_config", set_config),
];

/// What an earlier `set_config` of the same statement made of a setting.
fn pending_value(call: &Call<'_>, name: &str) -> Option<String> {
    let pending = call.host.pending.lock();
    pending.iter().any(|one| one.name.eq_ignore_ascii_case(name)).then_some(())?;
    let mut settings = call.seen.settings.clone();
    for one in pending.iter() {
        settings.set(&one.name, one.value.as_deref(), one.local).ok()?;
    }
    settings.show(name).ok()
}

fn set_config(call: &Call<'_>) -> SqlResult<Datum> {
    let Datum::Text(name) = call.arg(0) else {
        return Err(SqlError::new(SqlState::NullValueNotAllowed, "SET requires parameter name"));
    };
    let value = match call.arg(1) {
        Datum::Text(value) => Some(value.to_string()),
        _ => None,
    };
    let local = call.boolean(2);
    let mut settings = call.seen.settings.clone();
    settings.set(name, value.as_deref(), local)?;
    let shown = settings.show(name)?;
    call.host.pending.lock().push(PendingSetting { name: name.to_string(), value, local });
    Ok(Datum::text(shown))
}
