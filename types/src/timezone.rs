//! Time zones by IANA name, POSIX specification or fixed offset.

/// A time zone as `SET TimeZone` takes it.
#[derive(Clone, Debug)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}
