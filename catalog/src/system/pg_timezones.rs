//! `pg_timezone_names` and `pg_timezone_abbrevs`: what the functions of these names give.

use aegis_types::Datum;
use aegis_types::functions::{abbreviation_rows, zone_rows};

use super::SystemContext;

pub(super) fn names(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    zone_rows()
}

pub(super) fn abbreviations(_: &SystemContext<'_>) -> Vec<Vec<Datum>> {
    abbreviation_rows()
}
