//! `pg_settings`. Settings have neither categories nor descriptions here.

use aegis_types::{Datum, type_oid as t};

use super::SystemContext;
use super::cell::{NULL, array};

pub(super) fn rows(context: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    context
        .server
        .settings()
        .into_iter()
        .map(|setting| {
            row![
                setting.name,
                setting.setting,
                setting.unit,
                "",
                "",
                NULL,
                setting.context,
                setting.kind,
                setting.source,
                setting.minimum,
                setting.maximum,
                setting.words.map(|words| array(t::TEXT, words)),
                setting.boot,
                setting.reset,
                NULL,
                NULL,
                false,
            ]
        })
        .collect()
}
