//! The functions of the extensions `pg_stat_statements` and `aegis_stat`.

use aegis_types::numeric::Numeric;
use aegis_types::{Array, Datum, Oid, SqlResult, type_oid};

use super::SessionHost;
use crate::statement_cache::CacheCounts;
use crate::statement_statistics::{Entry, Times};

/// `pg_read_all_stats`
const READ_ALL_STATS: Oid = Oid(3375);

impl SessionHost {
    /// Calls a function of an extension that the server answers; none for other symbols.
    pub(super) fn statistics_function(
        &self,
        symbol: &str,
        arguments: &[Datum],
    ) -> Option<SqlResult<Datum>> {
        let statistics = &self.identity.instance.statistics;
        Some(match symbol {
            "pg_stat_statements_1_10" => {
                let with_text = matches!(arguments, [Datum::Bool(true)]);
                Ok(self.statement_rows(with_text))
            }
            "pg_stat_statements_info" => Ok(Datum::record([
                Datum::Int8(statistics.evictions().cast_signed()),
                Datum::Timestamptz(statistics.reset_time()),
            ])),
            "pg_stat_statements_reset_1_7" => {
                if let [Datum::Oid(role), Datum::Oid(database), Datum::Int8(id)] = arguments {
                    statistics.reset(*role, *database, *id);
                }
                Ok(Datum::text(""))
            }
            "aegis_stat_plan_cache" => {
                let counts = self.identity.instance.statements.counts();
                let CacheCounts { hits, misses, evictions, entries } = counts;
                let counts = [hits, misses, evictions, entries];
                Ok(Datum::record(counts.map(|count| Datum::Int8(count.cast_signed()))))
            }
            _ => return None,
        })
    }

    /// A record for every statement that has run.
    fn statement_rows(&self, with_text: bool) -> Datum {
        let seen = self.seen();
        let access = seen.catalog.access(self.identity.database);
        let role = seen.roles.current;
        let reads_all = access.has_privileges_of(role, READ_ALL_STATS);
        let mut entries = self.identity.instance.statistics.entries();
        entries.sort_by_key(|entry| {
            let key = &entry.key;
            (key.database, key.role, key.query_id, key.top_level)
        });
        let rows = entries
            .iter()
            .filter_map(|entry| row(entry, with_text, reads_all || entry.key.role == role));
        Datum::Array(Array::one_dimensional(type_oid::RECORD, rows.collect()).into())
    }
}

fn row(entry: &Entry, with_text: bool, is_shown: bool) -> Option<Datum> {
    let figures = entry.figures();
    if figures.planning.calls + figures.execution.calls == 0 {
        return None;
    }
    let count = |number: u64| Datum::Int8(i64::try_from(number).unwrap_or(i64::MAX));
    let text = match &entry.text {
        _ if !with_text => Datum::Null,
        _ if !is_shown => Datum::text("<insufficient privilege>"),
        Some(text) => Datum::text(text.clone()),
        None => Datum::Null,
    };
    let mut row = vec![
        Datum::Oid(entry.key.role),
        Datum::Oid(entry.key.database),
        Datum::Bool(entry.key.top_level),
        if is_shown { Datum::Int8(entry.key.query_id) } else { Datum::Null },
        text,
    ];
    let times = |row: &mut Vec<Datum>, times: &Times| {
        row.push(count(times.calls));
        let all = [times.total, times.min, times.max, times.mean, times.deviation()];
        row.extend(all.map(Datum::Float8));
    };
    times(&mut row, &figures.planning);
    times(&mut row, &figures.execution);
    row.push(count(figures.rows));
    // Blocks: there is no pool of them.
    row.extend((0..10).map(|_| Datum::Int8(0)));
    row.extend((0..4).map(|_| Datum::Float8(0.0)));
    let bytes = Numeric::from(i64::try_from(figures.bytes).unwrap_or(i64::MAX));
    row.extend([count(figures.records), Datum::Int8(0), Datum::Numeric(bytes)]);
    // Nothing is compiled.
    for _ in 0..4 {
        row.extend([Datum::Int8(0), Datum::Float8(0.0)]);
    }
    Some(Datum::record(row))
}
