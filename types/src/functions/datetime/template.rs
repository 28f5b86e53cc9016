//! `to_char`, `to_date` and `to_timestamp` with templates.

use crate::datetime::template::{
    interval_to_char, timestamp_to_char, timestamptz_to_char, to_date, to_timestamp,
};
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::functions::ScalarTable;

fn text(result: SqlResult<Option<String>>) -> SqlResult<Datum> {
    Ok(result?.map_or(Datum::Null, Datum::text))
}

pub(super) static TABLE: ScalarTable = &[
    ("timestamp_to_char", |_, a| text(timestamp_to_char(a[0].as_timestamp(), a[1].as_text()))),
    ("timestamptz_to_char", |c, a| {
        text(timestamptz_to_char(a[0].as_timestamptz(), a[1].as_text(), c.eval.settings))
    }),
    ("interval_to_char", |_, a| text(interval_to_char(&a[0].as_interval(), a[1].as_text()))),
    ("to_timestamp", |c, a| {
        to_timestamp(a[0].as_text(), a[1].as_text(), &c.eval).map(Datum::Timestamptz)
    }),
    ("to_date", |_, a| to_date(a[0].as_text(), a[1].as_text()).map(Datum::Date)),
];
