//! Who and where the session is: names, versions, addresses, other sessions.

use std::net::SocketAddr;
use std::time::Duration;

use aegis_types::{Array, Datum, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable, text_or_null};
use crate::cancel::StopHandle;

pub(super) static FUNCTIONS: HostTable = &[
    ("current_database", |call| Ok(Datum::text(call.host.identity.database_name.as_str()))),
    ("current_user", |call| call.role_name(call.seen.roles.current)),
    ("session_user", |call| call.role_name(call.seen.roles.session)),
    ("current_schema", |call| {
        let catalog = &call.seen.catalog;
        let mut path = call.seen.search_path.iter();
        let first = path.find(|oid| !catalog.is_temporary_schema(**oid));
        Ok(text_or_null(first.and_then(|oid| call.seen.catalog.schema_name(*oid))))
    }),
    ("current_schemas", schemas),
    ("version", |call| {
        let number = call.seen.settings.get("server_version");
        let own = env!("CARGO_PKG_VERSION");
        let machine = std::env::consts::ARCH;
        Ok(Datum::text(format!("PostgreSQL {number} (Aegis {own}) on {machine}, 64-bit")))
    }),
    ("pg_backend_pid", |call| Ok(Datum::Int4(call.host.identity.process_id))),
    ("pg_is_in_recovery", |_| Ok(Datum::Bool(false))),
    ("pg_postmaster_start_time", start_time),
    ("pg_conf_load_time", start_time),
    ("pg_reload_conf", |call| Ok(Datum::Bool(call.host.identity.instance.authentication.reload()))),
    ("pg_my_temp_schema", |call| {
        let own = call.seen.catalog.temporary_schema_in(&call.seen.search_path);
        Ok(Datum::Oid(own.unwrap_or(Oid::NONE)))
    }),
    ("pg_is_other_temp_schema", |call| {
        let own = call.seen.catalog.temporary_schema_in(&call.seen.search_path);
        let asked = call.oid(0);
        Ok(Datum::Bool(call.seen.catalog.is_temporary_schema(asked) && own != Some(asked)))
    }),
    ("pg_encoding_to_char", |call| {
        let name = match call.arg(0) {
            Datum::Int4(number) => usize::try_from(*number).ok().and_then(|at| ENCODINGS.get(at)),
            _ => None,
        };
        Ok(Datum::text(name.copied().unwrap_or("")))
    }),
    ("pg_char_to_encoding", |call| {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
        let wanted = plain(call.text(0));
        let wanted = if wanted == "unicode" { "utf8".to_owned() } else { wanted };
        let at = ENCODINGS.iter().position(|name| plain(name) == wanted);
        Ok(Datum::Int4(at.and_then(|at| i32::try_from(at).ok()).unwrap_or(-1)))
    }),
    ("inet_client_addr", |call| address(call.host.identity.client_address)),
    ("inet_server_addr", |call| address(call.host.identity.client_address)),
    ("inet_client_port", |call| {
        let port = call.host.identity.client_address.map(|address| i32::from(address.port()));
        Ok(port.map_or(Datum::Null, Datum::Int4))
    }),
    ("inet_server_port", |call| address(call.host.identity.client_address)),
    ("pg_cancel_backend", |call| stop(call, "cancel a query", StopHandle::cancel)),
    ("pg_terminate_backend", terminate),
];

/// PostgreSQL's encodings by number.
const ENCODINGS: [&str; 42] = [
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

fn start_time(call: &Call<'_>) -> SqlResult<Datum> {
    Ok(Datum::Timestamptz(call.host.identity.instance.start_time))
}

/// There are no values of type `inet`: only a session without an address can be answered.
fn address(client: Option<SocketAddr>) -> SqlResult<Datum> {
    match client {
        None => Ok(Datum::Null),
        Some(_) => Err(SqlError::unsupported("the address of a connection")),
    }
}

fn schemas(call: &Call<'_>) -> SqlResult<Datum> {
    let names = call.names();
    let path: Vec<Oid> = if call.boolean(0) {
        names.effective_path().collect()
    } else {
        let catalog = &call.seen.catalog;
        let path = call.seen.search_path.iter().copied();
        path.filter(|oid| !catalog.is_temporary_schema(*oid)).collect()
    };
    let schemas = path
        .into_iter()
        .filter_map(|oid| call.seen.catalog.schema_name(oid))
        .map(Datum::text)
        .collect();
    Ok(Datum::Array(Array::one_dimensional(t::NAME, schemas).into()))
}

/// Stops a session, or what it runs; whether there is such a session.
fn stop(call: &Call<'_>, what: &str, how: impl FnOnce(&StopHandle)) -> SqlResult<Datum> {
    let Datum::Int4(process_id) = call.arg(0) else { return Ok(Datum::Null) };
    let sessions = call.host.identity.instance.sessions();
    match sessions.into_iter().find(|(id, _)| id == process_id) {
        Some((_, session)) => {
            check_may_stop(call, &session.user, what)?;
            how(&session.stop_handle);
            Ok(Datum::Bool(true))
        }
        None => {
            call.host.warn(SqlError::new(
                SqlState::Warning,
                format!("PID {process_id} is not a PostgreSQL backend process"),
            ));
            Ok(Datum::Bool(false))
        }
    }
}

/// Who stops a session is of its role, or of the role that stops any but superusers'.
fn check_may_stop(call: &Call<'_>, user: &str, what: &str) -> SqlResult<()> {
    /// `pg_signal_backend`
    const SIGNAL_BACKEND: Oid = Oid(4200);
    let access = call.access();
    let own = call.seen.roles.current;
    let Some(role) = call.seen.catalog.role_named(user) else { return Ok(()) };
    let refused = |message: String| {
        let code = SqlState::InsufficientPrivilege;
        Err(SqlError::new(code, message))
    };
    let verb = if what.starts_with("cancel") { "cancel" } else { "terminate" };
    let object = if verb == "cancel" { "query" } else { "process" };
    if role.superuser && !access.is_superuser(own) {
        return refused(format!("must be a superuser to {verb} superuser {object}"));
    }
    if !access.has_privileges_of(own, role.oid) && !access.has_privileges_of(own, SIGNAL_BACKEND) {
        return refused(format!(
            "must be a member of the role whose {object} is being {verb}{} or member of \
             pg_signal_backend",
            if verb == "cancel" { "ed" } else { "d" }
        ));
    }
    Ok(())
}

/// Ends a session; with a timeout, waits for its end as long.
fn terminate(call: &Call<'_>) -> SqlResult<Datum> {
    let timeout = match call.arg(1) {
        Datum::Int8(timeout) => u64::try_from(*timeout).map_err(|_| {
            SqlError::new(SqlState::NumericValueOutOfRange, "\"timeout\" must not be negative")
        })?,
        _ => 0,
    };
    let stopped = stop(call, "terminate a process", StopHandle::terminate)?;
    let Datum::Int4(process_id) = call.arg(0) else { return Ok(Datum::Null) };
    if timeout == 0 || !matches!(stopped, Datum::Bool(true)) {
        return Ok(stopped);
    }
    let instance = &call.host.identity.instance;
    let is_gone = || !instance.sessions().iter().any(|(id, _)| id == process_id);
    if super::sleep::wait_until(call, Duration::from_millis(timeout), is_gone)? {
        return Ok(Datum::Bool(true));
    }
    let plural = if timeout == 1 { "" } else { "s" };
    call.host.warn(SqlError::new(
        SqlState::Warning,
        format!(
            "backend with PID {process_id} did not terminate within {timeout} millisecond{plural}"
        ),
    ));
    Ok(Datum::Bool(false))
}
