//! Settings: one row each, and what a session has set of them.
//!
//! `SET`, `SHOW`, `RESET`, `pg_settings`, startup options and ParameterStatus all read this table.
//! Settings of PostgreSQL's planner and storage that have no meaning here are kept and shown:
//! drivers and dumps set them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, OnceLock};

use aegis_types::context::{ByteaOutput, IntervalStyle};
use aegis_types::timezone::TimeZone;
use aegis_types::{Ctype, FormatSettings, Oid, SqlError, SqlResult, SqlState};

use crate::ast::SetValue;

mod frequent;
mod value;

pub use frequent::{Frequent, PlanCacheMode, Shortcuts};

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name, in the case that `SHOW` heads its column with.
    pub name: &'static str,
    /// What it is when nobody sets it.
    pub default: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Who may set it.
    pub context: Context,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// on and off
    Bool,
    /// least, greatest, unit
    Integer(i64, i64, Unit),
    /// a number
    Real,
    /// one of these words
    Enum(&'static [&'static str]),
    /// any text
    Text,
    /// `DateStyle`
    DateStyle,
    /// a list of identifiers
    SearchPath,
    /// `TimeZone`
    TimeZone,
    /// `client_encoding`: UTF8 alone
    Encoding,
    /// `restrict_nonsystem_relation_kind`: a list of `view` and `foreign-table`
    RelationKinds,
}

/// What an integer setting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// nothing
    None,
    /// milliseconds
    Milliseconds,
    /// seconds
    Seconds,
    /// minutes
    Minutes,
    /// bytes
    Bytes,
    /// 1,024 bytes
    Kilobytes,
    /// 8,192 bytes
    Blocks,
    /// 1,048,576 bytes
    Megabytes,
}

/// Who may set a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// nobody
    Internal,
    /// whoever starts the server
    Postmaster,
    /// whoever edits the configuration
    Reload,
    /// any session of a superuser
    Superuser,
    /// any session
    User,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    context: Context,
) -> Setting {
    Setting { name, default, kind, context }
}

/// Every setting, by name without regard to case.
pub static SETTINGS: &[Setting] = &[
    setting("aegis.direct_path", "on", Kind::Bool, Context::User),
    setting("aegis.statement_cache", "on", Kind::Bool, Context::User),
    setting("allow_system_table_mods", "off", Kind::Bool, Context::Superuser),
    setting("application_name", "", Kind::Text, Context::User),
    setting("array_nulls", "on", Kind::Bool, Context::User),
    setting("autovacuum", "on", Kind::Bool, Context::Reload),
    setting("autovacuum_analyze_scale_factor", "0.1", Kind::Real, Context::Reload),
    setting(
        "autovacuum_analyze_threshold",
        "50",
        Kind::Integer(0, 2147483647, Unit::None),
        Context::Reload,
    ),
    setting("autovacuum_naptime", "60", Kind::Integer(1, 2147483, Unit::Seconds), Context::Reload),
    setting("authentication_timeout", "60", Kind::Integer(1, 600, Unit::Seconds), Context::Reload),
    setting(
        "backslash_quote",
        "safe_encoding",
        Kind::Enum(&["safe_encoding", "on", "off"]),
        Context::User,
    ),
    setting("block_size", "8192", Kind::Integer(8192, 8192, Unit::None), Context::Internal),
    setting("bytea_output", "hex", Kind::Enum(&["escape", "hex"]), Context::User),
    setting("check_function_bodies", "on", Kind::Bool, Context::User),
    setting("client_encoding", "UTF8", Kind::Encoding, Context::User),
    setting(
        "client_min_messages",
        "notice",
        Kind::Enum(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
        ]),
        Context::User,
    ),
    setting(
        "compute_query_id",
        "auto",
        Kind::Enum(&["auto", "regress", "on", "off"]),
        Context::Superuser,
    ),
    setting("cluster_name", "", Kind::Text, Context::Postmaster),
    setting(
        "constraint_exclusion",
        "partition",
        Kind::Enum(&["partition", "on", "off"]),
        Context::User,
    ),
    setting("cpu_index_tuple_cost", "0.005", Kind::Real, Context::User),
    setting("cpu_operator_cost", "0.0025", Kind::Real, Context::User),
    setting("cpu_tuple_cost", "0.01", Kind::Real, Context::User),
    setting("cursor_tuple_fraction", "0.1", Kind::Real, Context::User),
    setting("data_checksums", "off", Kind::Bool, Context::Internal),
    setting("DateStyle", "ISO, MDY", Kind::DateStyle, Context::User),
    setting(
        "deadlock_timeout",
        "1000",
        Kind::Integer(1, 2147483647, Unit::Milliseconds),
        Context::Superuser,
    ),
    setting("debug_print_plan", "off", Kind::Bool, Context::User),
    setting("default_statistics_target", "100", Kind::Integer(1, 10000, Unit::None), Context::User),
    setting("default_table_access_method", "heap", Kind::Text, Context::User),
    setting("default_tablespace", "", Kind::Text, Context::User),
    setting("default_toast_compression", "pglz", Kind::Enum(&["pglz", "lz4"]), Context::User),
    setting("default_transaction_deferrable", "off", Kind::Bool, Context::User),
    setting(
        "default_transaction_isolation",
        "read committed",
        Kind::Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]),
        Context::User,
    ),
    setting("default_transaction_read_only", "off", Kind::Bool, Context::User),
    setting(
        "effective_cache_size",
        "524288",
        Kind::Integer(1, 2147483647, Unit::Blocks),
        Context::User,
    ),
    setting("effective_io_concurrency", "1", Kind::Integer(0, 1000, Unit::None), Context::User),
    setting("enable_async_append", "on", Kind::Bool, Context::User),
    setting("enable_bitmapscan", "on", Kind::Bool, Context::User),
    setting("enable_gathermerge", "on", Kind::Bool, Context::User),
    setting("enable_hashagg", "on", Kind::Bool, Context::User),
    setting("enable_hashjoin", "on", Kind::Bool, Context::User),
    setting("enable_incremental_sort", "on", Kind::Bool, Context::User),
    setting("enable_indexonlyscan", "on", Kind::Bool, Context::User),
    setting("enable_indexscan", "on", Kind::Bool, Context::User),
    setting("enable_material", "on", Kind::Bool, Context::User),
    setting("enable_memoize", "on", Kind::Bool, Context::User),
    setting("enable_mergejoin", "on", Kind::Bool, Context::User),
    setting("enable_nestloop", "on", Kind::Bool, Context::User),
    setting("enable_parallel_append", "on", Kind::Bool, Context::User),
    setting("enable_parallel_hash", "on", Kind::Bool, Context::User),
    setting("enable_partition_pruning", "on", Kind::Bool, Context::User),
    setting("enable_partitionwise_aggregate", "off", Kind::Bool, Context::User),
    setting("enable_partitionwise_join", "off", Kind::Bool, Context::User),
    setting("enable_seqscan", "on", Kind::Bool, Context::User),
    setting("enable_sort", "on", Kind::Bool, Context::User),
    setting("enable_tidscan", "on", Kind::Bool, Context::User),
    setting("escape_string_warning", "on", Kind::Bool, Context::User),
    setting("extra_float_digits", "1", Kind::Integer(-15, 3, Unit::None), Context::User),
    setting("force_parallel_mode", "off", Kind::Enum(&["off", "on", "regress"]), Context::User),
    setting("from_collapse_limit", "8", Kind::Integer(1, 2147483647, Unit::None), Context::User),
    setting("fsync", "on", Kind::Bool, Context::Reload),
    setting("geqo", "on", Kind::Bool, Context::User),
    setting("geqo_effort", "5", Kind::Integer(1, 10, Unit::None), Context::User),
    setting("geqo_generations", "0", Kind::Integer(0, 2147483647, Unit::None), Context::User),
    setting("geqo_pool_size", "0", Kind::Integer(0, 2147483647, Unit::None), Context::User),
    setting("geqo_seed", "0", Kind::Real, Context::User),
    setting("geqo_selection_bias", "2", Kind::Real, Context::User),
    setting("geqo_threshold", "12", Kind::Integer(2, 2147483647, Unit::None), Context::User),
    setting("hash_mem_multiplier", "2", Kind::Real, Context::User),
    setting("hba_file", "", Kind::Text, Context::Postmaster),
    setting("hot_standby", "on", Kind::Bool, Context::Postmaster),
    setting("ident_file", "", Kind::Text, Context::Postmaster),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Integer(0, 2147483647, Unit::Milliseconds),
        Context::User,
    ),
    setting(
        "idle_session_timeout",
        "0",
        Kind::Integer(0, 2147483647, Unit::Milliseconds),
        Context::User,
    ),
    setting("ignore_system_indexes", "off", Kind::Bool, Context::Superuser),
    setting("in_hot_standby", "off", Kind::Bool, Context::Internal),
    setting("integer_datetimes", "on", Kind::Bool, Context::Internal),
    setting(
        "IntervalStyle",
        "postgres",
        Kind::Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        Context::User,
    ),
    setting("is_superuser", "off", Kind::Bool, Context::Internal),
    setting("jit", "off", Kind::Bool, Context::User),
    setting("jit_above_cost", "100000", Kind::Real, Context::User),
    setting("jit_inline_above_cost", "500000", Kind::Real, Context::User),
    setting("jit_optimize_above_cost", "500000", Kind::Real, Context::User),
    setting("join_collapse_limit", "8", Kind::Integer(1, 2147483647, Unit::None), Context::User),
    setting("lc_collate", "C", Kind::Text, Context::Internal),
    setting("lc_ctype", "C.UTF-8", Kind::Text, Context::Internal),
    setting("lc_messages", "C", Kind::Text, Context::Superuser),
    setting("lc_monetary", "C", Kind::Text, Context::User),
    setting("lc_numeric", "C", Kind::Text, Context::User),
    setting("lc_time", "C", Kind::Text, Context::User),
    setting("lock_timeout", "0", Kind::Integer(0, 2147483647, Unit::Milliseconds), Context::User),
    setting(
        "log_min_messages",
        "warning",
        Kind::Enum(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error",
            "log", "fatal", "panic",
        ]),
        Context::Superuser,
    ),
    setting(
        "log_statement",
        "none",
        Kind::Enum(&["none", "ddl", "mod", "all"]),
        Context::Superuser,
    ),
    setting("maintenance_io_concurrency", "10", Kind::Integer(0, 1000, Unit::None), Context::User),
    setting(
        "maintenance_work_mem",
        "65536",
        Kind::Integer(1024, 2147483647, Unit::Kilobytes),
        Context::User,
    ),
    setting("max_connections", "100", Kind::Integer(1, 262143, Unit::None), Context::Postmaster),
    setting("max_identifier_length", "63", Kind::Integer(63, 63, Unit::None), Context::Internal),
    setting("max_index_keys", "32", Kind::Integer(32, 32, Unit::None), Context::Internal),
    setting(
        "max_locks_per_transaction",
        "64",
        Kind::Integer(10, 2147483647, Unit::None),
        Context::Postmaster,
    ),
    setting("max_parallel_workers", "8", Kind::Integer(0, 1024, Unit::None), Context::User),
    setting(
        "max_parallel_workers_per_gather",
        "2",
        Kind::Integer(0, 1024, Unit::None),
        Context::User,
    ),
    setting(
        "max_prepared_transactions",
        "0",
        Kind::Integer(0, 262143, Unit::None),
        Context::Postmaster,
    ),
    setting(
        "min_parallel_index_scan_size",
        "64",
        Kind::Integer(0, 715827882, Unit::Blocks),
        Context::User,
    ),
    setting(
        "min_parallel_table_scan_size",
        "1024",
        Kind::Integer(0, 715827882, Unit::Blocks),
        Context::User,
    ),
    setting("parallel_leader_participation", "on", Kind::Bool, Context::User),
    setting("parallel_setup_cost", "1000", Kind::Real, Context::User),
    setting("parallel_tuple_cost", "0.1", Kind::Real, Context::User),
    setting(
        "password_encryption",
        "scram-sha-256",
        Kind::Enum(&["md5", "scram-sha-256"]),
        Context::User,
    ),
    setting(
        "pg_stat_statements.max",
        "5000",
        Kind::Integer(100, 1073741823, Unit::None),
        Context::Postmaster,
    ),
    setting("pg_stat_statements.save", "on", Kind::Bool, Context::Reload),
    setting(
        "pg_stat_statements.track",
        "top",
        Kind::Enum(&["none", "top", "all"]),
        Context::Superuser,
    ),
    setting("pg_stat_statements.track_planning", "off", Kind::Bool, Context::Superuser),
    setting("pg_stat_statements.track_utility", "on", Kind::Bool, Context::Superuser),
    setting(
        "plan_cache_mode",
        "auto",
        Kind::Enum(&["auto", "force_generic_plan", "force_custom_plan"]),
        Context::User,
    ),
    setting("quote_all_identifiers", "off", Kind::Bool, Context::User),
    setting("random_page_cost", "4", Kind::Real, Context::User),
    setting("recursive_worktable_factor", "10", Kind::Real, Context::User),
    setting("role", "none", Kind::Text, Context::User),
    setting("restrict_nonsystem_relation_kind", "", Kind::RelationKinds, Context::User),
    setting("row_security", "on", Kind::Bool, Context::User),
    setting("search_path", "\"$user\", public", Kind::SearchPath, Context::User),
    setting("seq_page_cost", "1", Kind::Real, Context::User),
    setting("server_encoding", "UTF8", Kind::Text, Context::Internal),
    setting("server_version", "15.0", Kind::Text, Context::Internal),
    setting(
        "server_version_num",
        "150000",
        Kind::Integer(150000, 150000, Unit::None),
        Context::Internal,
    ),
    setting("session_authorization", "", Kind::Text, Context::User),
    setting(
        "session_replication_role",
        "origin",
        Kind::Enum(&["origin", "replica", "local"]),
        Context::Superuser,
    ),
    setting(
        "shared_buffers",
        "16384",
        Kind::Integer(16, 1073741823, Unit::Blocks),
        Context::Postmaster,
    ),
    setting("ssl", "off", Kind::Bool, Context::Reload),
    setting("ssl_ca_file", "", Kind::Text, Context::Reload),
    setting("ssl_cert_file", "", Kind::Text, Context::Reload),
    setting("ssl_key_file", "", Kind::Text, Context::Reload),
    setting("standard_conforming_strings", "on", Kind::Bool, Context::User),
    setting(
        "statement_timeout",
        "0",
        Kind::Integer(0, 2147483647, Unit::Milliseconds),
        Context::User,
    ),
    setting("synchronize_seqscans", "on", Kind::Bool, Context::User),
    setting(
        "synchronous_commit",
        "on",
        Kind::Enum(&["local", "remote_write", "remote_apply", "on", "off"]),
        Context::User,
    ),
    setting("tcp_keepalives_idle", "0", Kind::Integer(0, 2147483647, Unit::Seconds), Context::User),
    setting("temp_buffers", "1024", Kind::Integer(100, 1073741823, Unit::Blocks), Context::User),
    setting("TimeZone", "UTC", Kind::TimeZone, Context::User),
    setting("timezone_abbreviations", "", Kind::Text, Context::User),
    setting("track_activities", "on", Kind::Bool, Context::User),
    setting("transaction_deferrable", "off", Kind::Bool, Context::User),
    setting(
        "transaction_isolation",
        "read committed",
        Kind::Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]),
        Context::User,
    ),
    setting("transaction_read_only", "off", Kind::Bool, Context::User),
    setting("transform_null_equals", "off", Kind::Bool, Context::User),
    setting("vacuum_cost_delay", "0", Kind::Real, Context::User),
    setting(
        "wal_level",
        "replica",
        Kind::Enum(&["minimal", "replica", "logical"]),
        Context::Postmaster,
    ),
    setting("work_mem", "4096", Kind::Integer(64, 2147483647, Unit::Kilobytes), Context::User),
    setting("xmloption", "content", Kind::Enum(&["content", "document"]), Context::User),
];

/// The settings that the server reports to its client whenever they change.
pub const REPORTED: &[&str] = &[
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "default_transaction_read_only",
    "in_hot_standby",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
];

/// The settings that `EXPLAIN (SETTINGS)` shows where they are not as they are by default.
pub const EXPLAINED: &[&str] = &[
    "aegis.direct_path",
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_gathermerge",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "force_parallel_mode",
    "from_collapse_limit",
    "geqo",
    "geqo_effort",
    "geqo_generations",
    "geqo_pool_size",
    "geqo_seed",
    "geqo_selection_bias",
    "geqo_threshold",
    "hash_mem_multiplier",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "maintenance_io_concurrency",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "random_page_cost",
    "recursive_worktable_factor",
    "search_path",
    "seq_page_cost",
    "temp_buffers",
    "work_mem",
];

/// The settings that are shown with all others.
pub fn listed() -> impl Iterator<Item = &'static Setting> {
    let hidden = ["is_superuser", "role", "session_authorization"];
    SETTINGS.iter().filter(move |setting| !hidden.contains(&setting.name))
}

/// The setting with this name, in any case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    static BY_NAME: LazyLock<HashMap<String, &'static Setting>> = LazyLock::new(|| {
        SETTINGS.iter().map(|setting| (setting.name.to_ascii_lowercase(), setting)).collect()
    });
    if name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b' ') {
        let lower = name.to_ascii_lowercase();
        let lower = if lower == "time zone" { "timezone" } else { lower.as_str() };
        return BY_NAME.get(lower).copied();
    }
    BY_NAME.get(name).copied()
}

/// What one session has set.
///
/// A transaction that rolls back takes its `SET`s along; `SET LOCAL` ends with the transaction in
/// any case.
#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    startup: Values,
    current: Values,
    at_begin: Option<Values>,
    local: BTreeMap<String, Option<String>>,
    format: OnceLock<Arc<FormatSettings>>,
    frequent: OnceLock<Arc<Frequent>>,
    /// Whether the current role is a superuser: `is_superuser`.
    pub is_superuser: bool,
}

/// What was set at a savepoint.
#[derive(Clone, Debug)]
pub struct SettingsMark {
    current: Values,
    local: BTreeMap<String, Option<String>>,
}

/// Values by name, shared with whoever has seen them until one changes.
type Values = Arc<BTreeMap<String, String>>;

/// The settings that are kept by `RESET ALL`, and beside the names of the first two their OIDs,
/// under names that no client can write.
const ROLE: &str = "role";
const SESSION_AUTHORIZATION: &str = "session_authorization";
const ROLE_OID: &str = "\0role";
const SESSION_OID: &str = "\0session_authorization";

impl SessionSettings {
    /// `SET ROLE`; `None` for `NONE`.
    pub fn set_role(&mut self, role: Option<(&str, Oid)>, local: bool) {
        self.put(ROLE, role.map(|role| role.0.to_owned()), local);
        self.put(ROLE_OID, role.map(|role| role.1.to_string()), local);
    }

    /// `SET SESSION AUTHORIZATION`, which ends `SET ROLE`; `None` for the role that logged in.
    pub fn set_session_role(&mut self, role: Option<(&str, Oid)>, local: bool) {
        let name = role.map(|role| role.0.to_owned());
        let name = name.or_else(|| self.startup.get(SESSION_AUTHORIZATION).cloned());
        self.put(SESSION_AUTHORIZATION, name, local);
        self.put(SESSION_OID, role.map(|role| role.1.to_string()), local);
        self.set_role(None, local);
    }

    /// Notes the role that logged in: what `session_authorization` begins as.
    pub fn log_in(&mut self, name: &str) {
        Arc::make_mut(&mut self.startup).insert(SESSION_AUTHORIZATION.to_owned(), name.to_owned());
        Arc::make_mut(&mut self.current).insert(SESSION_AUTHORIZATION.to_owned(), name.to_owned());
    }

    /// Gives a setting that the server goes by its value, whoever may set it.
    pub fn fix(&mut self, name: &'static str, value: String) {
        Arc::make_mut(&mut self.startup).insert(name.to_owned(), value.clone());
        Arc::make_mut(&mut self.current).insert(name.to_owned(), value);
        self.note_change();
    }

    /// Whether the client gave a setting as the session began.
    #[must_use]
    pub fn is_from_client(&self, name: &str) -> bool {
        find(name).is_some_and(|setting| self.startup.contains_key(setting.name))
    }

    /// The role that `SET ROLE` names.
    #[must_use]
    pub fn role(&self) -> Option<Oid> {
        self.current.get(ROLE_OID)?.parse().ok().map(Oid)
    }

    /// The role that `SET SESSION AUTHORIZATION` names.
    #[must_use]
    pub fn session_role(&self) -> Option<Oid> {
        self.current.get(SESSION_OID)?.parse().ok().map(Oid)
    }

    /// Sets what the client asked for at the start: `RESET` returns to it.
    ///
    /// # Errors
    /// As [`SessionSettings::set`].
    pub fn set_startup(&mut self, name: &str, value: &str) -> SqlResult<()> {
        self.set(name, Some(value), false)?;
        self.startup = self.current.clone();
        Ok(())
    }

    /// The value of a setting as `SHOW` prints it.
    ///
    /// # Errors
    /// 42704 for a setting that is not there.
    pub fn show(&self, name: &str) -> SqlResult<String> {
        let Some(setting) = find(name) else {
            return self
                .current
                .get(&name.to_ascii_lowercase())
                .cloned()
                .ok_or_else(|| unknown(name));
        };
        Ok(value::shown(setting, self.raw(setting)))
    }

    /// The value as `SHOW` prints it where nobody has set any.
    #[must_use]
    pub fn default_of(&self, name: &str) -> String {
        find(name).map_or_else(String::new, |setting| value::shown(setting, setting.default))
    }

    /// The value as it was given, or the default.
    #[must_use]
    pub fn raw(&self, setting: &Setting) -> &str {
        if setting.name == "is_superuser" {
            return if self.is_superuser { "on" } else { "off" };
        }
        self.current.get(setting.name).map_or(setting.default, String::as_str)
    }

    /// The value of a setting that this code knows to be there.
    ///
    /// # Panics
    /// If the table has no such setting.
    #[must_use]
    pub fn get(&self, name: &'static str) -> &str {
        self.raw(find(name).expect("settings named in code are in the table"))
    }

    /// The value of an integer setting, in its own unit.
    #[must_use]
    pub fn integer(&self, name: &'static str) -> i64 {
        self.get(name).parse().unwrap_or_default()
    }

    /// The value of a boolean setting.
    #[must_use]
    pub fn bool(&self, name: &'static str) -> bool {
        self.get(name) == "on"
    }

    /// The names in `search_path`, `$user` included.
    #[must_use]
    pub fn search_path(&self) -> Vec<String> {
        path_names(self.get("search_path"))
    }

    /// Sets a value, or returns to what the session began with (`None`).
    ///
    /// # Errors
    /// 42704, 22023, 55P02 and 0A000 with PostgreSQL's words.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> SqlResult<()> {
        let key = match find(name) {
            Some(setting) => {
                self.check_context(setting)?;
                setting.name.to_owned()
            }
            None if name.contains('.') => name.to_ascii_lowercase(),
            None => return Err(unknown(name)),
        };
        let value = match (value, find(name)) {
            (Some(value), Some(setting)) => Some(value::canonical(setting, value, self)?),
            (Some(value), None) => Some(value.to_owned()),
            (None, _) => self.startup.get(&key).cloned(),
        };
        self.put(&key, value, local);
        Ok(())
    }

    fn put(&mut self, key: &str, value: Option<String>, local: bool) {
        let key = key.to_owned();
        if local {
            self.local.entry(key.clone()).or_insert_with(|| self.current.get(&key).cloned());
        } else {
            self.local.remove(&key);
        }
        match value {
            Some(value) => Arc::make_mut(&mut self.current).insert(key, value),
            None => Arc::make_mut(&mut self.current).remove(&key),
        };
        self.note_change();
    }

    /// Whether two sessions' settings, or one's at two times, are seen to be the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.current, &other.current)
            && Arc::ptr_eq(&self.startup, &other.startup)
            && self.is_superuser == other.is_superuser
            && self.local == other.local
    }

    /// `RESET ALL`
    pub fn reset_all(&mut self) {
        let mut reset = (*self.startup).clone();
        for key in [ROLE, SESSION_AUTHORIZATION, ROLE_OID, SESSION_OID] {
            if let Some(value) = Arc::make_mut(&mut self.current).remove(key) {
                reset.insert(key.to_owned(), value);
            }
        }
        self.current = Arc::new(reset);
        self.local.clear();
        self.note_change();
    }

    /// Remembers the values for a rollback.
    pub fn begin(&mut self) {
        self.at_begin = Some(self.current.clone());
    }

    /// Remembers the values for a way back to a savepoint. To release one takes nothing: what was set
    /// after it then belongs to the transaction around.
    #[must_use]
    pub fn mark(&self) -> SettingsMark {
        SettingsMark { current: self.current.clone(), local: self.local.clone() }
    }

    /// Returns to the values at a savepoint.
    pub fn roll_back_to(&mut self, mark: SettingsMark) {
        self.current = mark.current;
        self.local = mark.local;
        self.note_change();
    }

    /// Ends a transaction: a rollback restores every value, a commit those that were set locally.
    pub fn end(&mut self, committed: bool) {
        let before = self.at_begin.take();
        let is_changed = before.as_ref().is_none_or(|it| !Arc::ptr_eq(it, &self.current));
        if !is_changed && self.local.is_empty() {
            return;
        }
        if committed {
            for (key, old) in std::mem::take(&mut self.local) {
                match old {
                    Some(old) => Arc::make_mut(&mut self.current).insert(key, old),
                    None => Arc::make_mut(&mut self.current).remove(&key),
                };
            }
        } else if let Some(before) = before {
            self.current = before;
        }
        self.local.clear();
        self.note_change();
    }

    /// The settings that values are read and printed with.
    #[must_use]
    pub fn format(&self) -> Arc<FormatSettings> {
        self.format.get_or_init(|| Arc::new(self.read_format())).clone()
    }

    /// What every statement asks for.
    #[must_use]
    pub fn frequent(&self) -> &Arc<Frequent> {
        self.frequent.get_or_init(|| Arc::new(Frequent::of(self)))
    }

    fn note_change(&mut self) {
        self.format.take();
        self.frequent.take();
    }

    fn read_format(&self) -> FormatSettings {
        let (date_style, date_order) = value::date_style(self.get("DateStyle"));
        FormatSettings {
            date_style,
            date_order,
            interval_style: match self.get("IntervalStyle") {
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            time_zone: TimeZone::parse(self.get("TimeZone")).unwrap_or_else(|_| TimeZone::utc()),
            extra_float_digits: i32::try_from(self.integer("extra_float_digits")).unwrap_or(1),
            bytea_output: match self.get("bytea_output") {
                "escape" => ByteaOutput::Escape,
                _ => ByteaOutput::Hex,
            },
            ctype: Ctype::named(self.get("lc_ctype")).unwrap_or_default(),
        }
    }
}

impl SessionSettings {
    fn check_context(&self, setting: &Setting) -> SqlResult<()> {
        check_changeable(setting)?;
        if setting.context == Context::Superuser && !self.is_superuser {
            return Err(SqlError::new(
                SqlState::InsufficientPrivilege,
                format!("permission denied to set parameter \"{}\"", setting.name),
            ));
        }
        Ok(())
    }
}

fn check_changeable(setting: &Setting) -> SqlResult<()> {
    let why = match setting.context {
        Context::User | Context::Superuser => return Ok(()),
        Context::Internal => "cannot be changed",
        Context::Postmaster => "cannot be changed without restarting the server",
        Context::Reload => "cannot be changed now",
    };
    Err(SqlError::new(
        SqlState::CantChangeRuntimeParam,
        format!("parameter \"{}\" {why}", setting.name),
    ))
}

/// The names in a value of `search_path`, `$user` included.
#[must_use]
pub fn path_names(value: &str) -> Vec<String> {
    value::identifiers(value).unwrap_or_default()
}

/// Whether there is a setting of this name that sessions set.
///
/// # Errors
/// 42704, 55P02.
pub fn check_settable(name: &str) -> SqlResult<()> {
    match find(name) {
        Some(setting) => check_changeable(setting),
        None if name.contains('.') => Ok(()),
        None => Err(unknown(name)),
    }
}

/// The value that `SET` gives, as one text.
///
/// # Errors
/// 0A000 for intervals.
pub fn set_value(name: &str, args: &[SetValue]) -> SqlResult<String> {
    let is_list = matches!(find(name).map(|setting| setting.kind), Some(Kind::SearchPath));
    let mut parts = Vec::with_capacity(args.len());
    for arg in args {
        parts.push(match arg {
            // A name in a list is an identifier already folded: it must stay so.
            SetValue::String(text) if is_list => aegis_types::functions::quote_ident(text),
            SetValue::String(text) => text.clone(),
            SetValue::Integer(number) => number.to_string(),
            SetValue::Float(number) => number.clone(),
            SetValue::Interval(_) => {
                return Err(SqlError::unsupported("SET TIME ZONE INTERVAL"));
            }
        });
    }
    Ok(parts.join(", "))
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        SqlState::UndefinedObject,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}
