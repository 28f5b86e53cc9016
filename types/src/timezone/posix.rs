//! POSIX time zone specifications (`EST5EDT`, `FOO+3`, `<+03>-03`), as lenient as PostgreSQL is:
//! names may be short or empty, offsets reach a week.

use super::{Rules, TimeZone};

/// When daylight-saving time is where a specification does not say: the rules of the United States.
const DEFAULT_RULES: &str = ",M3.2.0,M11.1.0";

/// The zone of a specification in upper case.
pub(super) fn parse(text: &str) -> Option<TimeZone> {
    let (standard, rest) = name(text)?;
    let (west, rest) = offset(rest)?;
    if rest.is_empty() {
        return Some(TimeZone::fixed(text.into(), -west, standard.into()));
    }
    let (daylight, rest) = name(rest)?;
    if daylight.is_empty() {
        return None;
    }
    let (daylight_west, rules) = match rest.chars().next() {
        None | Some(',') => (west - 3600, rest),
        Some(_) => offset(rest)?,
    };
    let rules = if rules.is_empty() { DEFAULT_RULES } else { rules };
    if daylight_west == west {
        return Some(TimeZone::fixed(text.into(), -west, standard.into()));
    }
    let specification = format!("AAA0BBB{}{rules}", clock(daylight_west - west));
    let zone = jiff::tz::TimeZone::posix(&specification).ok()?;
    let names = [standard.into(), daylight.into()];
    let rules = Rules::Posix { zone, east_seconds: -west, names };
    Some(TimeZone { name: text.into(), rules })
}

fn name(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>');
    }
    let end = text
        .find(|c: char| c.is_ascii_digit() || matches!(c, ',' | '-' | '+'))
        .unwrap_or(text.len());
    Some(text.split_at(end))
}

/// `[+-]hh[:mm[:ss]]` in seconds, and what follows.
fn offset(text: &str) -> Option<(i32, &str)> {
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (hours, mut rest) = number(text, 167)?;
    let mut seconds = hours * 3600;
    if let Some(minutes) = rest.strip_prefix(':') {
        let (minutes, after) = number(minutes, 59)?;
        seconds += minutes * 60;
        rest = after;
        if let Some(part) = rest.strip_prefix(':') {
            let (part, after) = number(part, 60)?;
            seconds += part;
            rest = after;
        }
    }
    Some((sign * seconds, rest))
}

fn number(text: &str, most: i32) -> Option<(i32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value = text[..end].parse().ok().filter(|value| *value <= most)?;
    Some((value, &text[end..]))
}

fn clock(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let size = seconds.unsigned_abs();
    format!("{sign}{}:{:02}:{:02}", size / 3600, size / 60 % 60, size % 60)
}
