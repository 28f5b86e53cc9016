//! `pg_stat_all_tables` and `pg_stat_user_tables`: live rows as they were last counted, changes since
//! then and when that was; nothing else is collected.

use aegis_types::Datum;

use super::SystemContext;
use super::cell::NULL;

#[expect(clippy::cast_possible_truncation, reason = "an estimate")]
pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .relations()
        .filter_map(|relation| {
            let table = relation.as_table()?;
            let mut row =
                row![relation.oid, context.catalog().schema_name(relation.schema), &relation.name,];
            // Scans, tuples by index, and changes: eight counters that are not kept.
            row.extend(std::iter::repeat_n(NULL, 8));
            row.push(Datum::Int8(table.row_count.max(0.0) as i64));
            let activity = context.server.table_activity(relation);
            let time = |time: Option<i64>| time.map_or(NULL, Datum::Timestamptz);
            row.extend(row![
                NULL,
                activity.changes,
                NULL,
                NULL,
                NULL,
                time(activity.last_analyze),
                time(activity.last_autoanalyze),
                NULL,
                NULL,
                activity.analyze_count,
                activity.autoanalyze_count,
            ]);
            Some(row)
        })
        .collect()
}
