//! LISTEN and NOTIFY as functions.

use aegis_types::{Array, Datum, type_oid as t};

use super::HostTable;

pub(super) static FUNCTIONS: HostTable = &[
    ("pg_notify", |call| {
        call.host.identity.channels.notify(call.text(0), call.text(1))?;
        // The value of a function that returns void.
        Ok(Datum::text(""))
    }),
    ("pg_notification_queue_usage", |call| {
        Ok(Datum::Float8(call.host.identity.instance.notifications.usage()))
    }),
    ("pg_listening_channels", |call| {
        let channels = call.host.identity.channels.listening();
        let channels = channels.into_iter().map(Datum::Text).collect();
        Ok(Datum::Array(Array::one_dimensional(t::TEXT, channels).into()))
    }),
];
