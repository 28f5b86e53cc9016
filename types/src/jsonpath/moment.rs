//! Dates and times within a path: what `.datetime()` reads, how they print and compare.

use std::cmp::Ordering;

use crate::context::{CallContext, EvalContext};
use crate::ctype::Collation;
use crate::datetime::encode;
use crate::datetime::template::{Read, read};
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::oid::TypeRef;
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// A date or a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    Date(i32),
    Time(i64),
    /// With seconds west of UTC.
    Timetz(i64, i32),
    Timestamp(i64),
    /// With seconds west of UTC, which it prints in.
    Timestamptz(i64, i32),
}

/// What `.datetime()` without a template takes.
const FORMATS: [&str; 19] = [
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
];

impl From<Read> for Moment {
    fn from(read: Read) -> Self {
        match read {
            Read::Date(date) => Self::Date(date),
            Read::Time(time) => Self::Time(time),
            Read::Timetz(time, west) => Self::Timetz(time, west),
            Read::Timestamp(timestamp) => Self::Timestamp(timestamp),
            Read::Timestamptz(timestamp, west) => Self::Timestamptz(timestamp, west),
        }
    }
}

impl Moment {
    /// Reads a text by a template, or by the first that it follows.
    ///
    /// # Errors
    /// 22007, 22008, 0A000 of the template; 22031 without one.
    pub(super) fn read(text: &str, template: Option<&str>) -> SqlResult<Self> {
        if let Some(template) = template {
            return read(text, template).map(Self::from);
        }
        FORMATS.iter().find_map(|format| read(text, format).ok()).map(Self::from).ok_or_else(|| {
            SqlError::new(
                SqlState::InvalidArgumentForSqlJsonDatetimeFunction,
                format!("datetime format is not recognized: \"{text}\""),
            )
            .hint("Use a datetime template argument to specify the input data format.")
        })
    }

    /// The name that `.type()` gives.
    pub(super) const fn type_name(self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time without time zone",
            Self::Timetz(..) => "time with time zone",
            Self::Timestamp(_) => "timestamp without time zone",
            Self::Timestamptz(..) => "timestamp with time zone",
        }
    }

    /// The name in messages about conversions.
    const fn short_name(self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timetz(..) => "timetz",
            Self::Timestamp(_) => "timestamp",
            Self::Timestamptz(..) => "timestamptz",
        }
    }

    /// ISO 8601.
    pub(super) fn text(self) -> String {
        let mut out = Vec::new();
        match self {
            Self::Date(date) => encode::date_out_iso(date, &mut out),
            Self::Time(time) => encode::time_out(time, &mut out),
            Self::Timetz(time, west) => {
                encode::time_out(time, &mut out);
                encode::numeric_zone(west, true, &mut out);
            }
            Self::Timestamp(timestamp) => encode::timestamp_out_iso(timestamp, &mut out),
            Self::Timestamptz(timestamp, west) => {
                encode::timestamptz_out_iso_in(timestamp, west, &mut out);
            }
        }
        String::from_utf8(out).expect("dates and times print as ASCII")
    }

    fn datum(self) -> Datum {
        match self {
            Self::Date(date) => Datum::Date(date),
            Self::Time(time) => Datum::Time(time),
            Self::Timetz(time, west) => Datum::Timetz(time, west),
            Self::Timestamp(timestamp) => Datum::Timestamp(timestamp),
            Self::Timestamptz(timestamp, _) => Datum::Timestamptz(timestamp),
        }
    }

    /// The order of two; none where they cannot be compared.
    ///
    /// # Errors
    /// 0A000 where the session's time zone would be needed and is not to be used.
    pub(super) fn compare(
        self,
        other: Self,
        use_zone: bool,
        eval: &EvalContext<'_>,
    ) -> SqlResult<Option<Ordering>> {
        let zoned = || {
            if use_zone {
                return Ok(());
            }
            let (from, to) = if self.is_zoned() { (other, self) } else { (self, other) };
            Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!(
                    "cannot convert value from {} to {} without time zone usage",
                    from.short_name(),
                    to.short_name()
                ),
            )
            .hint("Use *_tz() function for time zone support."))
        };
        let (key, swapped) = match (self, other) {
            (Self::Date(_), Self::Date(_)) => ("date_cmp", false),
            (Self::Time(_), Self::Time(_)) => ("time_cmp", false),
            (Self::Timetz(..), Self::Timetz(..)) => ("timetz_cmp", false),
            (Self::Timestamp(_), Self::Timestamp(_))
            | (Self::Timestamptz(..), Self::Timestamptz(..)) => ("timestamp_cmp", false),
            (Self::Date(_), Self::Timestamp(_)) => ("date_cmp_timestamp", false),
            (Self::Timestamp(_), Self::Date(_)) => ("date_cmp_timestamp", true),
            (Self::Date(_), Self::Timestamptz(..)) => ("date_cmp_timestamptz", false),
            (Self::Timestamptz(..), Self::Date(_)) => ("date_cmp_timestamptz", true),
            (Self::Timestamp(_), Self::Timestamptz(..)) => ("timestamp_cmp_timestamptz", false),
            (Self::Timestamptz(..), Self::Timestamp(_)) => ("timestamp_cmp_timestamptz", true),
            (Self::Time(_), Self::Timetz(..)) => ("timetz_cmp", false),
            (Self::Timetz(..), Self::Time(_)) => ("timetz_cmp", true),
            _ => return Ok(None),
        };
        let (one, two) = if swapped { (other, self) } else { (self, other) };
        if one.is_zoned() != two.is_zoned() {
            zoned()?;
        }
        let one = match (one, two) {
            (Self::Time(_), Self::Timetz(..)) => call("time_timetz", &[one.datum()], eval)?,
            _ => one.datum(),
        };
        let order = call(key, &[one, two.datum()], eval)?.as_int4().cmp(&0);
        Ok(Some(if swapped { order.reverse() } else { order }))
    }

    const fn is_zoned(self) -> bool {
        matches!(self, Self::Timetz(..) | Self::Timestamptz(..))
    }
}

/// Calls a function of dates and times.
fn call(key: &str, args: &[Datum], eval: &EvalContext<'_>) -> SqlResult<Datum> {
    let function = crate::functions::scalar(key)
        .ok_or_else(|| SqlError::internal(format!("there is no function {key}")))?;
    let context = CallContext {
        eval: *eval,
        argument_types: &[],
        result_type: TypeRef::plain(t::INT4),
        collation: Collation::Default,
    };
    function(&context, args)
}
