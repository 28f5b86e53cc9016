//! Who and where the session is: names, versions, addresses, other sessions.

use std::net::SocketAddr;

use aegis_types::{Array, Datum, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::{Call, HostTable, text_or_null};
use crate::cancel::StopHandle;

pub(super) static FUNCTIONS: HostTable = &[
    ("current_database", |call| Ok(Datum::text(call.host.identity.database_name.as_str()))),
    ("current_user", |call| call.role_name(call.seen.roles.current)),
    ("session_user", |call| call.role_name(call.seen.roles.session)),
    ("current_schema", |call| {
        let first = call.seen.search_path.first();
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
    // There are no temporary schemas.
    ("pg_my_temp_schema", |_| Ok(Datum::Oid(Oid::NONE))),
    ("pg_is_other_temp_schema", |_| Ok(Datum::Bool(false))),
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
    // The session has been told when this returns: waiting for its end as well is not supported.
    ("pg_terminate_backend", |call| match call.arg(1) {
        Datum::Int8(timeout) if *timeout != 0 => {
            Err(SqlError::unsupported("pg_terminate_backend with a timeout"))
        }
        _ => stop(call, "terminate a process", StopHandle::terminate),
    }),
    // There are no advisory locks to be held.
    ("pg_advisory_unlock_all", |_| Ok(Datum::text(""))),
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
        call.seen.search_path.clone()
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
        None => Ok(Datum::Bool(false)),
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
