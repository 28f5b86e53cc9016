//! The computed relations as the analyzer and the planner ask for them.

use std::sync::Arc;

use aegis_catalog::system::{
    self, CursorRow, EncryptionRow, HbaRow, PreparedRow, ServerState, SessionRow, SettingRow,
    SystemContext, TableActivityRow,
};
use aegis_catalog::{CatalogSnapshot, Relation};
use aegis_sql::query_engine::{StatementContext, SystemRelations};
use aegis_sql::settings::{self, Context, Kind, SessionSettings, Setting, Unit};
use aegis_storage::TreeId;
use aegis_types::{Datum, SqlError, SqlResult, TypeRef};

use super::{Identity, Observed};
use crate::session::Prepared;
use crate::session::portal::CursorInfo;

/// The computed relations of one session.
pub(super) struct SessionRelations {
    pub(super) identity: Arc<Identity>,
    pub(super) observed: Arc<Observed>,
}

impl SystemRelations for SessionRelations {
    fn columns(&self, name: &str) -> Option<Vec<(String, TypeRef)>> {
        let columns = &system::relation(name)?.columns;
        Some(columns.iter().map(|column| (column.name.to_owned(), column.ty)).collect())
    }

    fn may_use_schema(&self, catalog: &CatalogSnapshot, schema: aegis_types::Oid) -> bool {
        let role = self.observed.roles.current;
        catalog.access(self.identity.database).may_use_schema(role, schema)
    }

    fn refuses_views(&self) -> bool {
        let kinds = settings::find("restrict_nonsystem_relation_kind");
        kinds.is_some_and(|kinds| {
            let kinds = self.observed.settings.raw(kinds).to_ascii_lowercase();
            kinds.split(',').any(|kind| kind.trim().trim_matches('"') == "view")
        })
    }

    fn sequence_row(&self, sequence: &Relation) -> SqlResult<Vec<Datum>> {
        let position = self.identity.instance.counters.current(sequence)?;
        Ok(vec![
            Datum::Int8(position.last_value),
            Datum::Int8(i64::from(position.ahead)),
            Datum::Bool(position.is_called),
        ])
    }

    fn rows(&self, name: &str, context: &StatementContext) -> SqlResult<Vec<Vec<Datum>>> {
        let relation = system::relation(name)
            .ok_or_else(|| SqlError::internal(format!("no computed relation {name}")))?;
        let mut names = self.observed.names(self.identity.database);
        names.catalog = &context.catalog;
        Ok((relation.rows)(&SystemContext { names, server: self }))
    }
}

impl ServerState for SessionRelations {
    fn hba_rules(&self) -> Vec<HbaRow> {
        self.identity.instance.authentication.rule_rows()
    }

    fn role(&self) -> aegis_types::Oid {
        self.observed.roles.current
    }

    fn settings(&self) -> Vec<SettingRow> {
        let mut rows: Vec<SettingRow> =
            settings::listed().map(|setting| row(setting, &self.observed.settings)).collect();
        rows.sort_by_cached_key(|row| row.name.to_ascii_lowercase());
        rows
    }

    fn sessions(&self) -> Vec<SessionRow> {
        let sessions = self.identity.instance.sessions();
        sessions
            .into_iter()
            .map(|(process_id, session)| {
                let activity = session.activity.lock().clone();
                SessionRow {
                    process_id,
                    database: session.database,
                    user: session.user,
                    start_time: session.start_time,
                    application_name: activity.application_name.to_string(),
                    transaction_start: activity.transaction_start,
                    query_start: activity.query_start,
                    state_change: activity.state_change,
                    state: activity.state.name(),
                    query: activity.query,
                    query_id: activity.query_id,
                    encryption: session.tls.map(|tls| EncryptionRow {
                        version: tls.version,
                        cipher: tls.cipher,
                        bits: tls.bits,
                        client: tls.client.map(|it| (it.subject, it.serial, it.issuer)),
                    }),
                }
            })
            .collect()
    }

    fn prepared_statements(&self) -> Vec<PreparedRow> {
        let statements = self.identity.statements.lock();
        let row = |(name, prepared): (&String, &Arc<Prepared>)| PreparedRow {
            name: name.clone(),
            statement: prepared.source.to_string(),
            prepare_time: prepared.prepare_time,
            parameter_types: prepared.parameter_types.iter().map(|ty| ty.oid).collect(),
            from_sql: prepared.from_sql,
        };
        statements.iter().map(row).collect()
    }

    fn cursors(&self) -> Vec<CursorRow> {
        let infos = self.identity.portals.lock().infos();
        let row = |info: CursorInfo| CursorRow {
            name: info.name,
            statement: info.statement,
            is_holdable: info.is_holdable,
            is_binary: info.is_binary,
            is_scrollable: info.is_scrollable,
            creation_time: info.creation_time,
        };
        infos.into_iter().map(row).collect()
    }

    fn locks(&self) -> Vec<aegis_storage::LockReport> {
        self.identity.instance.store.locks()
    }

    fn table_activity(&self, table: &Relation) -> TableActivityRow {
        let tree = table.as_table().map_or(0, |table| table.tree);
        self.identity.instance.table_activity.row(table.oid, TreeId(tree))
    }

    fn sequence_last_value(&self, sequence: &Relation) -> Option<i64> {
        let position = self.identity.instance.counters.current(sequence).ok()?;
        position.is_called.then_some(position.last_value)
    }
}

fn row(setting: &Setting, session: &SessionSettings) -> SettingRow {
    let value = session.raw(setting).to_owned();
    let mut row = SettingRow {
        name: setting.name.to_owned(),
        source: if value == setting.default { "default" } else { "session" },
        setting: value,
        context: match setting.context {
            Context::Internal => "internal",
            Context::Postmaster => "postmaster",
            Context::Reload => "sighup",
            Context::User => "user",
            Context::Superuser => "superuser",
        },
        kind: "string",
        boot: setting.default.to_owned(),
        reset: setting.default.to_owned(),
        ..SettingRow::default()
    };
    match setting.kind {
        Kind::Bool => row.kind = "bool",
        Kind::Integer(least, greatest, unit) => {
            row.kind = "integer";
            row.unit = unit_name(unit);
            row.minimum = Some(least.to_string());
            row.maximum = Some(greatest.to_string());
        }
        Kind::Real => row.kind = "real",
        Kind::Enum(words) => {
            row.kind = "enum";
            row.words = Some(words.iter().map(|word| (*word).to_owned()).collect());
        }
        Kind::Text
        | Kind::DateStyle
        | Kind::SearchPath
        | Kind::TimeZone
        | Kind::Encoding
        | Kind::RelationKinds => {}
    }
    row
}

const fn unit_name(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::None => None,
        Unit::Milliseconds => Some("ms"),
        Unit::Seconds => Some("s"),
        Unit::Minutes => Some("min"),
        Unit::Bytes => Some("B"),
        Unit::Kilobytes => Some("kB"),
        Unit::Blocks => Some("8kB"),
        Unit::Megabytes => Some("MB"),
    }
}
