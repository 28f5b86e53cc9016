//! What the session tells the others of itself, for `pg_stat_activity`.

use std::sync::Arc;

use aegis_types::clock;

use super::Session;
use crate::instance::SessionState;

/// PostgreSQL's default of `track_activity_query_size`, less the byte that ends its strings.
const QUERY_BYTES_MAX: usize = 1023;

impl Session {
    /// A statement begins.
    pub(super) fn note_active(&self, source: &Arc<str>, query_id: Option<i64>) {
        let now = self.statement_timestamp;
        let transaction_start = self.block.as_ref().map_or(now, |block| block.timestamp);
        let mut activity = self.activity.lock();
        activity.state = SessionState::Active;
        activity.state_change = Some(now);
        activity.query = cut(source);
        activity.query_id = query_id;
        activity.query_start = Some(now);
        activity.transaction_start = Some(transaction_start);
    }

    /// The client is asked for more.
    pub fn note_idle(&self) {
        let now = clock::now();
        let state = match self.transaction_status() {
            b'T' => SessionState::IdleInTransaction,
            b'E' => SessionState::IdleInFailedTransaction,
            _ => SessionState::Idle,
        };
        let application_name = &self.settings.frequent().application_name;
        let mut activity = self.activity.lock();
        activity.state = state;
        activity.state_change = Some(now);
        activity.transaction_start = self.block.as_ref().map(|block| block.timestamp);
        if !Arc::ptr_eq(&activity.application_name, application_name) {
            activity.application_name = application_name.clone();
        }
    }
}

fn cut(source: &Arc<str>) -> Arc<str> {
    if source.len() <= QUERY_BYTES_MAX {
        return Arc::clone(source);
    }
    let end = (0..=QUERY_BYTES_MAX).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    Arc::from(&source[..end])
}
