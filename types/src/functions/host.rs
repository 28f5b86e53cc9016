//! The functions that only a session, a catalog or a server can answer, by name.

use super::SetTable;
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::oid::Oid;

/// Names of `pg_proc` whose rows run by [`crate::context::Host::call`]. Each name here is answered
/// by the session; a test of the server looks for them all.
pub const HOST_FUNCTIONS: &[&str] = &[
    "nextval",
    "currval",
    "lastval",
    "setval",
    "pg_sequence_last_value",
    "pg_sequence_parameters",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_user",
    "session_user",
    "version",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "pg_postmaster_start_time",
    "pg_conf_load_time",
    "pg_my_temp_schema",
    "pg_is_other_temp_schema",
    "pg_encoding_to_char",
    "pg_char_to_encoding",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "pg_blocking_pids",
    "pg_safe_snapshot_blocking_pids",
    "pg_isolation_test_session_is_blocked",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_shared",
    "pg_advisory_unlock_all",
    "pg_notify",
    "pg_export_snapshot",
    "pg_notification_queue_usage",
    "pg_sleep",
    "current_setting",
    "set_config",
    "format_type",
    "oidvectortypes",
    "pg_get_expr",
    "pg_get_indexdef",
    "pg_get_constraintdef",
    "pg_get_viewdef",
    "pg_get_ruledef",
    "pg_get_triggerdef",
    "pg_get_partkeydef",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_userbyid",
    "pg_get_serial_sequence",
    "pg_get_functiondef",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_function_sqlbody",
    "pg_describe_object",
    "pg_relation_is_publishable",
    "pg_relation_is_updatable",
    "pg_column_is_updatable",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "obj_description",
    "col_description",
    "shobj_description",
    "has_table_privilege",
    "has_sequence_privilege",
    "has_column_privilege",
    "has_any_column_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_type_privilege",
    "has_language_privilege",
    "has_tablespace_privilege",
    "has_foreign_data_wrapper_privilege",
    "has_server_privilege",
    "has_parameter_privilege",
    "pg_reload_conf",
    "pg_has_role",
    "acldefault",
    "makeaclitem",
    "aclcontains",
    "regclass",
    "to_regclass",
    "to_regtype",
    "to_regproc",
    "to_regprocedure",
    "to_regoper",
    "to_regoperator",
    "to_regnamespace",
    "to_regrole",
    "to_regcollation",
    "pg_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_total_relation_size",
    "pg_database_size",
    "pg_tablespace_size",
    "pg_tablespace_location",
];

/// Set-returning functions that the host answers all at once, as an array of their rows.
pub const HOST_SET_FUNCTIONS: &[&str] = &["pg_get_keywords", "pg_listening_channels", "aclexplode"];

/// `pg_get_keywords`
const PG_GET_KEYWORDS: Oid = Oid(1686);
/// `aclexplode`
const ACLEXPLODE: Oid = Oid(1689);

/// `pg_listening_channels`
const PG_LISTENING_CHANNELS: Oid = Oid(3035);

type Rows = SqlResult<Box<dyn Iterator<Item = SqlResult<Datum>> + Send>>;

pub(super) static SETS: SetTable = &[
    ("pg_get_keywords", |context, a| from_host(context, PG_GET_KEYWORDS, a)),
    ("pg_listening_channels", |context, a| from_host(context, PG_LISTENING_CHANNELS, a)),
    ("aclexplode", |context, a| from_host(context, ACLEXPLODE, a)),
    ("pg_stat_statements_1_10", |context, a| {
        Ok(elements(context.eval.host.call_symbol("pg_stat_statements_1_10", a)?))
    }),
    // No table here is partitioned, and of others PostgreSQL gives no rows either.
    ("pg_partition_tree", |_, _| Ok(Box::new(std::iter::empty()))),
    ("pg_partition_ancestors", |_, _| Ok(Box::new(std::iter::empty()))),
    ("pg_options_to_table", |_, a| Ok(options(&a[0]))),
];

fn from_host(context: &CallContext<'_>, function: Oid, arguments: &[Datum]) -> Rows {
    Ok(elements(context.eval.host.call(function, arguments)?))
}

fn elements(rows: Datum) -> Box<dyn Iterator<Item = SqlResult<Datum>> + Send> {
    let rows = match rows {
        Datum::Array(rows) => rows.elements.clone(),
        _ => Vec::new(),
    };
    Box::new(rows.into_iter().map(Ok))
}

/// Options `name=value` as rows of both.
fn options(list: &Datum) -> Box<dyn Iterator<Item = SqlResult<Datum>> + Send> {
    let options = list.as_array().elements.clone();
    Box::new(options.into_iter().filter_map(|option| {
        let Datum::Text(option) = option else { return None };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Datum::text(value)),
            None => (&*option, Datum::Null),
        };
        Some(Ok(Datum::record([Datum::text(name), value])))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::builtins;

    #[test]
    fn every_name_is_a_function_of_postgresql() {
        for name in HOST_FUNCTIONS.iter().chain(HOST_SET_FUNCTIONS) {
            assert!(builtins().functions_named(name).next().is_some(), "{name}");
        }
        let keywords = builtins().function(PG_GET_KEYWORDS).unwrap();
        assert_eq!(keywords.name, "pg_get_keywords");
        let channels = builtins().function(PG_LISTENING_CHANNELS).unwrap();
        assert_eq!(channels.name, "pg_listening_channels");
    }
}
