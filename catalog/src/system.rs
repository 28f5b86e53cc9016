//! The computed relations of `pg_catalog` and `information_schema`.
//!
//! ```text
//! data/relations.tsv, columns.tsv ── what PostgreSQL 15 has, column by column
//!            +
//! RELATIONS below ───────────────── which of them exist here, and what computes their rows
//! ```
//!
//! Rows are computed anew for each statement from the catalog that it runs under. A relation whose
//! kind of object does not exist here has no rows. Nothing here looks at the text of a query.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use aegis_types::builtin::{FunctionRef, Implementation, builtins};
use aegis_types::{Datum, Oid, TypeRef};

use crate::access::{Kind, Privilege};
use crate::descriptor::Relation;
use crate::engine;
use crate::snapshot::CatalogSnapshot;

#[macro_use]
mod cell;
pub mod names;
pub mod definition;
pub mod function;
mod stored;

mod acl;
mod information_schema;
mod pg_aggregate;
mod pg_attrdef;
mod pg_attribute;
mod pg_authid;
mod pg_cast;
mod pg_class;
mod pg_constraint;
mod pg_cursors;
mod pg_database;
mod pg_depend;
mod pg_description;
mod pg_enum;
mod pg_extension;
mod pg_hba_file_rules;
mod pg_index;
mod pg_indexes;
mod pg_init_privs;
mod pg_locks;
mod pg_matviews;
mod pg_namespace;
mod pg_operator;
mod pg_prepared_statements;
mod pg_proc;
mod pg_rewrite;
mod pg_sequence;
mod pg_settings;
mod pg_shdepend;
mod pg_stat_activity;
mod pg_stat_objects;
mod pg_stat_tables;
mod pg_statistic;
mod pg_tables;
mod pg_timezones;
mod pg_type;
mod pg_views;

pub use names::{AsStored, Names, StoredText};
pub use pg_attrdef::default_oid;
pub use pg_attribute::SEQUENCE_COLUMNS;
pub use pg_description::built_in as built_in_comment;

/// What rows are computed from.
#[derive(Clone, Copy)]
pub struct SystemContext<'a> {
    /// The catalog that the statement runs under, with its names as the session sees them.
    pub names: Names<'a>,
    /// The server around it.
    pub server: &'a dyn ServerState,
}

impl<'a> SystemContext<'a> {
    /// The catalog.
    #[must_use]
    pub const fn catalog(&self) -> &'a CatalogSnapshot {
        self.names.catalog
    }

    /// Whether the current role owns a relation, or holds any of these privileges on it or on a
    /// column of it: what the standard's views show.
    #[must_use]
    pub fn may_see(&self, relation: Oid, any: Privilege) -> bool {
        let role = self.server.role();
        let access = self.names.catalog.access(self.names.database);
        let owner = access.owner(Kind::Table, relation);
        owner.is_some_and(|owner| access.has_privileges_of(role, owner))
            || !(access.held(role, Kind::Table, relation, 0).privileges & any).is_empty()
            || any.members().any(|one| access.holds_on_any_column(role, relation, one))
    }

    /// The tables, views, sequences and indexes of the session's database, by OID.
    pub fn relations(&self) -> impl Iterator<Item = &'a Relation> + use<'a> {
        self.names.catalog.relations_of(self.names.database).map(|relation| &**relation)
    }

    /// The functions that can be called, PostgreSQL's own before those of the session's database.
    pub fn functions(&self) -> impl Iterator<Item = FunctionRef> + use<'a> {
        let catalog = self.names.catalog;
        let own = catalog.user_functions_of(self.names.database);
        let own = own.filter_map(|function| catalog.function(function.oid));
        let own = own.filter(|row| !matches!(row.implementation, Implementation::Missing));
        builtins()
            .functions
            .iter()
            .filter(|row| !matches!(row.implementation, Implementation::Missing))
            .map(FunctionRef::BuiltIn)
            .chain(engine::functions().into_iter().map(|it| FunctionRef::User(it.row.clone())))
            .chain(own)
    }
}

/// What relations show that is in no catalog.
pub trait ServerState {
    /// The current role.
    fn role(&self) -> Oid;

    /// The rules by which clients are let in.
    fn hba_rules(&self) -> Vec<HbaRow>;

    /// Every setting, as the session sees it.
    fn settings(&self) -> Vec<SettingRow>;

    /// Every session.
    fn sessions(&self) -> Vec<SessionRow>;

    /// Every named prepared statement of the session.
    fn prepared_statements(&self) -> Vec<PreparedRow>;

    /// Every portal of the session.
    fn cursors(&self) -> Vec<CursorRow>;

    /// What transactions hold and wait for.
    fn locks(&self) -> Vec<aegis_storage::LockReport>;

    /// What a table has been through.
    fn table_activity(&self, table: &Relation) -> TableActivityRow;

    /// The last value that a sequence gave; none if it gave none yet.
    fn sequence_last_value(&self, sequence: &Relation) -> Option<i64>;
}

/// What is counted of a table; times are microseconds since 2000-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableActivityRow {
    /// `n_mod_since_analyze`
    pub changes: i64,
    /// `last_analyze`
    pub last_analyze: Option<i64>,
    /// `last_autoanalyze`
    pub last_autoanalyze: Option<i64>,
    /// `analyze_count`
    pub analyze_count: i64,
    /// `autoanalyze_count`
    pub autoanalyze_count: i64,
}

/// A row of `pg_settings`.
#[derive(Clone, Debug, Default)]
pub struct SettingRow {
    /// `name`
    pub name: String,
    /// `setting`, without its unit
    pub setting: String,
    /// `unit`
    pub unit: Option<&'static str>,
    /// `context`
    pub context: &'static str,
    /// `vartype`
    pub kind: &'static str,
    /// `source`
    pub source: &'static str,
    /// `min_val`
    pub minimum: Option<String>,
    /// `max_val`
    pub maximum: Option<String>,
    /// `enumvals`
    pub words: Option<Vec<String>>,
    /// `boot_val`
    pub boot: String,
    /// `reset_val`
    pub reset: String,
}

/// A row of `pg_stat_activity`.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `pid`
    pub process_id: i32,
    /// `datname`
    pub database: String,
    /// `usename`
    pub user: String,
    /// `application_name`
    pub application_name: String,
    /// `backend_start`
    pub start_time: i64,
    /// `xact_start`
    pub transaction_start: Option<i64>,
    /// `query_start`
    pub query_start: Option<i64>,
    /// `state_change`
    pub state_change: Option<i64>,
    /// `state`
    pub state: &'static str,
    /// `query`: what it runs, or ran last
    pub query: std::sync::Arc<str>,
    /// `query_id`: what that is known by
    pub query_id: Option<i64>,
    /// How it is encrypted, if it is.
    pub encryption: Option<EncryptionRow>,
}

/// What `pg_stat_ssl` shows of an encrypted session.
#[derive(Clone, Debug)]
pub struct EncryptionRow {
    /// `version`
    pub version: String,
    /// `cipher`
    pub cipher: String,
    /// `bits`
    pub bits: i32,
    /// `client_dn`, `client_serial`, `issuer_dn`
    pub client: Option<(String, String, String)>,
}

/// A row of `pg_hba_file_rules`.
#[derive(Clone, Debug, Default)]
pub struct HbaRow {
    /// `line_number`
    pub line: usize,
    /// `type`
    pub kind: Option<&'static str>,
    /// `database`
    pub databases: Vec<String>,
    /// `user_name`
    pub users: Vec<String>,
    /// `address`
    pub address: Option<String>,
    /// `netmask`
    pub netmask: Option<String>,
    /// `auth_method`
    pub method: Option<&'static str>,
    /// `options`
    pub options: Vec<String>,
    /// `error`
    pub error: Option<String>,
}

/// A row of `pg_prepared_statements`.
#[derive(Clone, Debug)]
pub struct PreparedRow {
    /// `name`
    pub name: String,
    /// `statement`
    pub statement: String,
    /// `prepare_time`
    pub prepare_time: i64,
    /// `parameter_types`
    pub parameter_types: Vec<Oid>,
    /// `from_sql`
    pub from_sql: bool,
}

/// A row of `pg_cursors`.
#[derive(Clone, Debug)]
pub struct CursorRow {
    /// `name`
    pub name: String,
    /// `statement`
    pub statement: String,
    /// `is_holdable`
    pub is_holdable: bool,
    /// `is_binary`
    pub is_binary: bool,
    /// `is_scrollable`
    pub is_scrollable: bool,
    /// `creation_time`
    pub creation_time: i64,
}

/// A column of a computed relation.
#[derive(Clone, Debug)]
pub struct SystemColumn {
    /// `attname`
    pub name: &'static str,
    /// `atttypid` and `atttypmod`
    pub ty: TypeRef,
    /// `attndims`
    pub dimensions: i32,
    /// `attnotnull`
    pub not_null: bool,
    /// `attcollation`
    pub collation: Oid,
}

/// A computed relation.
pub struct SystemRelation {
    /// Its OID, as in PostgreSQL.
    pub oid: Oid,
    /// `pg_catalog` or `information_schema`, by OID.
    pub schema: Oid,
    /// Its qualified name, such as `pg_catalog.pg_class`.
    pub name: String,
    /// `relkind`: `r` or `v`.
    pub kind: u8,
    /// `relisshared`
    pub shared: bool,
    /// `reltype`
    pub row_type: Oid,
    /// The array over that.
    pub row_array_type: Oid,
    /// Its columns.
    pub columns: Vec<SystemColumn>,
    /// Computes its rows, each with a datum for every column.
    pub rows: RowsFunction,
}

impl SystemRelation {
    /// Its name without the schema.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.name.split_once('.').map_or(&*self.name, |(_, name)| name)
    }
}

/// Computes the rows of a relation.
pub type RowsFunction = fn(&SystemContext<'_>) -> Vec<Vec<Datum>>;

/// There is nothing of this kind.
fn none(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    Vec::new()
}

/// Which relations exist here.
static RELATIONS: &[(&str, RowsFunction)] = &[
    ("pg_catalog.pg_aggregate", pg_aggregate::rows),
    ("pg_catalog.pg_am", |_| stored::rows("pg_am")),
    ("pg_catalog.pg_amop", |_| stored::rows("pg_amop")),
    ("pg_catalog.pg_amproc", |_| pg_proc::support_rows()),
    ("pg_catalog.pg_attrdef", pg_attrdef::rows),
    ("pg_catalog.pg_attribute", |c| acl::filled_attributes(c, pg_attribute::rows(c))),
    ("pg_catalog.pg_auth_members", pg_authid::members),
    ("pg_catalog.pg_authid", pg_authid::rows),
    ("pg_catalog.pg_available_extensions", pg_extension::available),
    ("pg_catalog.pg_cast", pg_cast::rows),
    ("pg_catalog.pg_class", |c| {
        acl::filled(c, "pg_catalog.pg_class", "relacl", acl::kind_of_relation, pg_class::rows(c))
    }),
    ("pg_catalog.pg_collation", |_| stored::rows("pg_collation")),
    ("pg_catalog.pg_constraint", pg_constraint::rows),
    ("pg_catalog.pg_conversion", none),
    ("pg_catalog.pg_cursors", pg_cursors::rows),
    ("pg_catalog.pg_database", |c| {
        let rows = pg_database::rows(c);
        acl::filled(c, "pg_catalog.pg_database", "datacl", |_| Kind::Database, rows)
    }),
    ("pg_catalog.pg_db_role_setting", pg_authid::settings_rows),
    ("pg_catalog.pg_default_acl", acl::default_rows),
    ("pg_catalog.pg_depend", pg_depend::rows),
    ("pg_catalog.pg_description", pg_description::rows),
    ("pg_catalog.pg_enum", pg_enum::rows),
    ("pg_catalog.pg_event_trigger", none),
    ("pg_catalog.pg_extension", pg_extension::rows),
    ("pg_catalog.pg_foreign_data_wrapper", none),
    ("pg_catalog.pg_foreign_server", none),
    ("pg_catalog.pg_foreign_table", none),
    ("pg_catalog.pg_group", pg_authid::groups),
    ("pg_catalog.pg_hba_file_rules", pg_hba_file_rules::rows),
    ("pg_catalog.pg_index", pg_index::rows),
    ("pg_catalog.pg_indexes", pg_indexes::rows),
    ("pg_catalog.pg_inherits", none),
    ("pg_catalog.pg_init_privs", pg_init_privs::rows),
    ("pg_catalog.pg_language", |c| {
        let rows = stored::rows("pg_language");
        acl::filled(c, "pg_catalog.pg_language", "lanacl", |_| Kind::Language, rows)
    }),
    ("pg_catalog.pg_largeobject_metadata", none),
    ("pg_catalog.pg_locks", pg_locks::rows),
    ("pg_catalog.pg_matviews", pg_matviews::rows),
    ("pg_catalog.pg_namespace", |c| {
        let rows = pg_namespace::rows(c);
        acl::filled(c, "pg_catalog.pg_namespace", "nspacl", |_| Kind::Schema, rows)
    }),
    ("pg_catalog.pg_opclass", |_| stored::rows("pg_opclass")),
    ("pg_catalog.pg_operator", pg_operator::rows),
    ("pg_catalog.pg_opfamily", |_| stored::rows("pg_opfamily")),
    ("pg_catalog.pg_parameter_acl", none),
    ("pg_catalog.pg_partitioned_table", none),
    ("pg_catalog.pg_policies", none),
    ("pg_catalog.pg_policy", none),
    ("pg_catalog.pg_prepared_statements", pg_prepared_statements::rows),
    ("pg_catalog.pg_prepared_xacts", none),
    ("pg_catalog.pg_proc", |c| {
        acl::filled(c, "pg_catalog.pg_proc", "proacl", |_| Kind::Function, pg_proc::rows(c))
    }),
    ("pg_catalog.pg_publication", none),
    ("pg_catalog.pg_publication_namespace", none),
    ("pg_catalog.pg_publication_rel", none),
    ("pg_catalog.pg_publication_tables", none),
    ("pg_catalog.pg_range", |_| stored::rows("pg_range")),
    ("pg_catalog.pg_replication_origin", none),
    ("pg_catalog.pg_replication_slots", none),
    ("pg_catalog.pg_rewrite", pg_rewrite::rows),
    ("pg_catalog.pg_roles", pg_authid::roles),
    ("pg_catalog.pg_rules", none),
    ("pg_catalog.pg_seclabel", none),
    ("pg_catalog.pg_seclabels", none),
    ("pg_catalog.pg_sequence", pg_sequence::rows),
    ("pg_catalog.pg_sequences", pg_sequence::sequences),
    ("pg_catalog.pg_settings", pg_settings::rows),
    ("pg_catalog.pg_shadow", pg_authid::shadow),
    ("pg_catalog.pg_shdescription", pg_description::shared_rows),
    ("pg_catalog.pg_shseclabel", none),
    ("pg_catalog.pg_stat_activity", pg_stat_activity::rows),
    ("pg_catalog.pg_stat_all_tables", |c| {
        let own = pg_stat_objects::system_tables(c, "pg_catalog.pg_stat_all_tables");
        pg_stat_tables::rows(c).into_iter().chain(own).collect()
    }),
    ("pg_catalog.pg_stat_ssl", pg_stat_activity::encryption),
    ("pg_catalog.pg_stat_user_tables", pg_stat_tables::rows),
    ("pg_catalog.pg_statistic_ext", none),
    ("pg_catalog.pg_subscription", none),
    ("pg_catalog.pg_tables", pg_tables::rows),
    ("pg_catalog.pg_tablespace", |c| {
        let rows = stored::rows("pg_tablespace");
        acl::filled(c, "pg_catalog.pg_tablespace", "spcacl", |_| Kind::Tablespace, rows)
    }),
    ("pg_catalog.pg_transform", none),
    ("pg_catalog.pg_trigger", none),
    ("pg_catalog.pg_ts_config", none),
    ("pg_catalog.pg_ts_dict", none),
    ("pg_catalog.pg_ts_parser", none),
    ("pg_catalog.pg_ts_template", none),
    ("pg_catalog.pg_type", |c| {
        acl::filled(c, "pg_catalog.pg_type", "typacl", |_| Kind::Type, pg_type::rows(c))
    }),
    ("pg_catalog.pg_user", pg_authid::users),
    ("pg_catalog.pg_user_mapping", none),
    ("pg_catalog.pg_user_mappings", none),
    ("pg_catalog.pg_views", pg_views::rows),
    (
        "information_schema.administrable_role_authorizations",
        information_schema::privileges::administrable,
    ),
    ("information_schema.applicable_roles", information_schema::privileges::applicable_roles),
    ("information_schema.column_privileges", information_schema::privileges::column_privileges),
    ("information_schema.enabled_roles", information_schema::privileges::enabled_roles),
    ("information_schema.role_column_grants", information_schema::privileges::role_column_grants),
    ("information_schema.role_routine_grants", information_schema::privileges::role_routine_grants),
    ("information_schema.role_table_grants", information_schema::privileges::role_table_grants),
    ("information_schema.role_usage_grants", information_schema::privileges::role_usage_grants),
    ("information_schema.routine_privileges", information_schema::privileges::routine_privileges),
    ("information_schema.table_privileges", information_schema::privileges::table_privileges),
    ("information_schema.usage_privileges", information_schema::privileges::usage_privileges),
    ("information_schema.check_constraints", information_schema::check_constraints::rows),
    ("information_schema.columns", information_schema::columns::rows),
    (
        "information_schema.constraint_column_usage",
        information_schema::constraint_column_usage::rows,
    ),
    ("information_schema.domain_constraints", information_schema::domains::constraints),
    ("information_schema.domains", information_schema::domains::rows),
    ("information_schema.key_column_usage", information_schema::key_column_usage::rows),
    (
        "information_schema.referential_constraints",
        information_schema::referential_constraints::rows,
    ),
    ("information_schema.routines", information_schema::routines::rows),
    ("information_schema.schemata", information_schema::schemata::rows),
    ("information_schema.sequences", information_schema::sequences::rows),
    ("information_schema.table_constraints", information_schema::table_constraints::rows),
    ("information_schema.tables", information_schema::tables::rows),
    ("information_schema.triggers", none),
    ("information_schema.views", information_schema::views::rows),
    ("information_schema._pg_foreign_data_wrappers", none),
    ("information_schema._pg_foreign_servers", none),
    ("information_schema._pg_foreign_table_columns", none),
    ("information_schema._pg_foreign_tables", none),
    ("information_schema._pg_user_mappings", none),
    ("information_schema.attributes", information_schema::types::attributes),
    ("information_schema.character_sets", information_schema::character::sets),
    ("information_schema.check_constraint_routine_usage", none),
    (
        "information_schema.collation_character_set_applicability",
        information_schema::character::applicability,
    ),
    ("information_schema.collations", information_schema::character::collations),
    ("information_schema.column_column_usage", information_schema::usage::generated_columns),
    ("information_schema.column_domain_usage", information_schema::usage::column_domains),
    ("information_schema.column_options", none),
    ("information_schema.column_udt_usage", information_schema::usage::column_types),
    ("information_schema.constraint_table_usage", information_schema::usage::constraint_tables),
    ("information_schema.domain_udt_usage", information_schema::usage::domain_types),
    ("information_schema.foreign_data_wrapper_options", none),
    ("information_schema.foreign_data_wrappers", none),
    ("information_schema.foreign_server_options", none),
    ("information_schema.foreign_servers", none),
    ("information_schema.foreign_table_options", none),
    ("information_schema.foreign_tables", none),
    ("information_schema.information_schema_catalog_name", information_schema::character::name),
    ("information_schema.role_udt_grants", information_schema::privileges::role_udt_grants),
    ("information_schema.routine_column_usage", none),
    ("information_schema.routine_routine_usage", none),
    ("information_schema.routine_sequence_usage", none),
    ("information_schema.routine_table_usage", none),
    ("information_schema.sql_features", none),
    ("information_schema.sql_implementation_info", none),
    ("information_schema.sql_parts", none),
    ("information_schema.sql_sizing", none),
    ("information_schema.transforms", none),
    ("information_schema.triggered_update_columns", none),
    ("information_schema.udt_privileges", information_schema::privileges::udt_privileges),
    ("information_schema.user_defined_types", information_schema::types::user_defined),
    ("information_schema.user_mapping_options", none),
    ("information_schema.user_mappings", none),
    ("information_schema.view_column_usage", information_schema::usage::view_columns),
    ("information_schema.view_routine_usage", none),
    ("information_schema.view_table_usage", information_schema::usage::view_tables),
    ("pg_catalog.pg_available_extension_versions", pg_extension::versions),
    ("pg_catalog.pg_backend_memory_contexts", none),
    ("pg_catalog.pg_config", none),
    ("pg_catalog.pg_file_settings", none),
    ("pg_catalog.pg_ident_file_mappings", none),
    ("pg_catalog.pg_largeobject", none),
    ("pg_catalog.pg_replication_origin_status", none),
    ("pg_catalog.pg_shdepend", pg_shdepend::rows),
    ("pg_catalog.pg_shmem_allocations", none),
    ("pg_catalog.pg_stat_all_indexes", |c| {
        pg_stat_objects::indexes(c, "pg_catalog.pg_stat_all_indexes")
    }),
    ("pg_catalog.pg_stat_archiver", |c| {
        pg_stat_objects::archiver(c, "pg_catalog.pg_stat_archiver")
    }),
    ("pg_catalog.pg_stat_bgwriter", |c| pg_stat_objects::server(c, "pg_catalog.pg_stat_bgwriter")),
    ("pg_catalog.pg_stat_database", |c| {
        pg_stat_objects::databases(c, "pg_catalog.pg_stat_database")
    }),
    ("pg_catalog.pg_stat_database_conflicts", |c| {
        pg_stat_objects::databases(c, "pg_catalog.pg_stat_database_conflicts")
    }),
    ("pg_catalog.pg_stat_gssapi", |c| pg_stat_objects::gssapi(c, "pg_catalog.pg_stat_gssapi")),
    ("pg_catalog.pg_stat_progress_analyze", none),
    ("pg_catalog.pg_stat_progress_basebackup", none),
    ("pg_catalog.pg_stat_progress_cluster", none),
    ("pg_catalog.pg_stat_progress_copy", none),
    ("pg_catalog.pg_stat_progress_create_index", none),
    ("pg_catalog.pg_stat_progress_vacuum", none),
    ("pg_catalog.pg_stat_recovery_prefetch", none),
    ("pg_catalog.pg_stat_replication", none),
    ("pg_catalog.pg_stat_replication_slots", none),
    ("pg_catalog.pg_stat_slru", none),
    ("pg_catalog.pg_stat_subscription", none),
    ("pg_catalog.pg_stat_subscription_stats", none),
    ("pg_catalog.pg_stat_sys_indexes", none),
    ("pg_catalog.pg_stat_sys_tables", |c| {
        pg_stat_objects::system_tables(c, "pg_catalog.pg_stat_sys_tables")
    }),
    ("pg_catalog.pg_stat_user_functions", none),
    ("pg_catalog.pg_stat_user_indexes", |c| {
        pg_stat_objects::indexes(c, "pg_catalog.pg_stat_user_indexes")
    }),
    ("pg_catalog.pg_stat_wal", |c| pg_stat_objects::server(c, "pg_catalog.pg_stat_wal")),
    ("pg_catalog.pg_stat_wal_receiver", none),
    ("pg_catalog.pg_stat_xact_all_tables", |c| {
        pg_stat_objects::all_tables(c, "pg_catalog.pg_stat_xact_all_tables")
    }),
    ("pg_catalog.pg_stat_xact_sys_tables", |c| {
        pg_stat_objects::system_tables(c, "pg_catalog.pg_stat_xact_sys_tables")
    }),
    ("pg_catalog.pg_stat_xact_user_functions", none),
    ("pg_catalog.pg_stat_xact_user_tables", |c| {
        pg_stat_objects::tables(c, "pg_catalog.pg_stat_xact_user_tables")
    }),
    ("pg_catalog.pg_statio_all_indexes", |c| {
        pg_stat_objects::indexes(c, "pg_catalog.pg_statio_all_indexes")
    }),
    ("pg_catalog.pg_statio_all_sequences", |c| {
        pg_stat_objects::sequences(c, "pg_catalog.pg_statio_all_sequences")
    }),
    ("pg_catalog.pg_statio_all_tables", |c| {
        pg_stat_objects::all_tables(c, "pg_catalog.pg_statio_all_tables")
    }),
    ("pg_catalog.pg_statio_sys_indexes", none),
    ("pg_catalog.pg_statio_sys_sequences", none),
    ("pg_catalog.pg_statio_sys_tables", |c| {
        pg_stat_objects::system_tables(c, "pg_catalog.pg_statio_sys_tables")
    }),
    ("pg_catalog.pg_statio_user_indexes", |c| {
        pg_stat_objects::indexes(c, "pg_catalog.pg_statio_user_indexes")
    }),
    ("pg_catalog.pg_statio_user_sequences", |c| {
        pg_stat_objects::sequences(c, "pg_catalog.pg_statio_user_sequences")
    }),
    ("pg_catalog.pg_statio_user_tables", |c| {
        pg_stat_objects::tables(c, "pg_catalog.pg_statio_user_tables")
    }),
    ("pg_catalog.pg_statistic", pg_statistic::rows),
    ("pg_catalog.pg_statistic_ext_data", none),
    ("pg_catalog.pg_stats", pg_statistic::shown),
    ("pg_catalog.pg_stats_ext", none),
    ("pg_catalog.pg_stats_ext_exprs", none),
    ("pg_catalog.pg_subscription_rel", none),
    ("pg_catalog.pg_timezone_abbrevs", pg_timezones::abbreviations),
    ("pg_catalog.pg_timezone_names", pg_timezones::names),
    ("pg_catalog.pg_ts_config_map", none),
    ("information_schema.data_type_privileges", information_schema::elements::privileges),
    ("information_schema.element_types", information_schema::elements::elements),
    ("information_schema.parameters", information_schema::elements::parameters),
];

static SYSTEM: LazyLock<BTreeMap<String, SystemRelation>> = LazyLock::new(|| {
    let mut known = stored::relations();
    RELATIONS
        .iter()
        .map(|(name, rows)| {
            let relation =
                known.remove(*name).expect("the generated tables describe every relation here");
            ((*name).to_owned(), SystemRelation { rows: *rows, ..relation })
        })
        .collect()
});

static BY_OID: LazyLock<HashMap<Oid, &'static SystemRelation>> =
    LazyLock::new(|| all().map(|relation| (relation.oid, relation)).collect());

static BY_ROW_TYPE: LazyLock<HashMap<Oid, &'static SystemRelation>> = LazyLock::new(|| {
    all()
        .flat_map(|relation| [(relation.row_type, relation), (relation.row_array_type, relation)])
        .collect()
});

/// Every computed relation, by name.
pub fn all() -> impl Iterator<Item = &'static SystemRelation> {
    SYSTEM.values()
}

/// The computed relation with this qualified name.
#[must_use]
pub fn relation(name: &str) -> Option<&'static SystemRelation> {
    SYSTEM.get(name)
}

/// The computed relation with this OID.
#[must_use]
pub fn relation_by_oid(oid: Oid) -> Option<&'static SystemRelation> {
    BY_OID.get(&oid).copied()
}

/// The computed relation whose row type, or the array over it, this is.
#[must_use]
pub fn relation_of_row_type(oid: Oid) -> Option<&'static SystemRelation> {
    BY_ROW_TYPE.get(&oid).copied()
}

/// The rows of a relation whose rows never change, such as `pg_catalog.pg_opclass`; none of others.
#[must_use]
pub fn fixed_rows(name: &str) -> Vec<Vec<Datum>> {
    name.strip_prefix("pg_catalog.").map_or_else(Vec::new, stored::rows)
}

#[cfg(test)]
mod tests;
