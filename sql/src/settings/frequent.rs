//! What every statement asks of its session's settings, read once until one of them changes.

use std::sync::Arc;
use std::time::Duration;

use super::SessionSettings;
use crate::ast::IsolationLevel;

/// The ways around the long way that statements may take. None of them changes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcuts {
    /// `aegis.direct_path`: small plans are run row by row on the thread that asks.
    pub direct_path: bool,
    /// `aegis.statement_cache`: what is made of a statement is kept for when it comes again.
    pub statement_cache: bool,
    /// `plan_cache_mode`
    pub plan_cache: PlanCacheMode,
}

impl Default for Shortcuts {
    fn default() -> Self {
        Self { direct_path: true, statement_cache: true, plan_cache: PlanCacheMode::Auto }
    }
}

/// `plan_cache_mode`: for which values of its parameters a prepared statement is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanCacheMode {
    /// For those at hand; for any once that has not paid a few times.
    Auto,
    /// For any.
    Generic,
    /// For those at hand, each time.
    Custom,
}

/// Settings in the form in which statements use them. Of times, `None` is for ever.
#[derive(Clone, Debug)]
pub struct Frequent {
    /// `lock_timeout`
    pub lock_timeout: Option<Duration>,
    /// `deadlock_timeout`
    pub deadlock_timeout: Option<Duration>,
    /// `statement_timeout`
    pub statement_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub idle_in_transaction_timeout: Option<Duration>,
    /// `idle_session_timeout`
    pub idle_session_timeout: Option<Duration>,
    /// `default_transaction_isolation`
    pub default_isolation: IsolationLevel,
    /// `default_transaction_read_only`
    pub default_read_only: bool,
    /// `client_min_messages`
    pub least_message: Arc<str>,
    /// `application_name`
    pub application_name: Arc<str>,
    /// Whether `restrict_nonsystem_relation_kind` refuses anything.
    pub restricts_relations: bool,
    /// Which ways are open to statements.
    pub shortcuts: Shortcuts,
}

impl Frequent {
    pub(super) fn of(settings: &SessionSettings) -> Self {
        let duration = |name| {
            let milliseconds = u64::try_from(settings.integer(name)).ok();
            milliseconds.filter(|it| *it > 0).map(Duration::from_millis)
        };
        Self {
            lock_timeout: duration("lock_timeout"),
            deadlock_timeout: duration("deadlock_timeout"),
            statement_timeout: duration("statement_timeout"),
            idle_in_transaction_timeout: duration("idle_in_transaction_session_timeout"),
            idle_session_timeout: duration("idle_session_timeout"),
            default_isolation: match settings.get("default_transaction_isolation") {
                "serializable" => IsolationLevel::Serializable,
                "repeatable read" => IsolationLevel::RepeatableRead,
                "read uncommitted" => IsolationLevel::ReadUncommitted,
                _ => IsolationLevel::ReadCommitted,
            },
            default_read_only: settings.bool("default_transaction_read_only"),
            least_message: settings.get("client_min_messages").into(),
            application_name: settings.get("application_name").into(),
            restricts_relations: !settings.get("restrict_nonsystem_relation_kind").is_empty(),
            shortcuts: Shortcuts {
                direct_path: settings.bool("aegis.direct_path"),
                statement_cache: settings.bool("aegis.statement_cache"),
                plan_cache: match settings.get("plan_cache_mode") {
                    "force_generic_plan" => PlanCacheMode::Generic,
                    "force_custom_plan" => PlanCacheMode::Custom,
                    _ => PlanCacheMode::Auto,
                },
            },
        }
    }
}
