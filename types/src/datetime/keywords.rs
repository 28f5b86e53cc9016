//! The words of the text forms of dates and intervals. Only their first ten bytes count.

/// A field of a date or interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's and say it")]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    Dow,
    IsoDow,
    Doy,
    IsoYear,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
    /// Not a field but the `t` before an ISO time.
    Time,
}

/// What a word in a date or time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Late,
    Early,
    Epoch,
    Now,
    Yesterday,
    Today,
    Tomorrow,
    Zulu,
    Month(i32),
    Weekday,
    Pm(bool),
    Bc(bool),
    DaylightModifier,
    Unit(Unit),
    IsoTime,
    Ignored,
}

/// What a word in an interval means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntervalWord {
    Unit(Unit),
    Ago,
    Ignored,
}

fn significant(word: &str) -> &[u8] {
    &word.as_bytes()[..word.len().min(10)]
}

/// The meaning of a word, given in lower case, in a date or time.
pub(super) fn date_word(word: &str) -> Option<Word> {
    Some(match significant(word) {
        b"-infinity" => Word::Early,
        b"infinity" => Word::Late,
        b"epoch" => Word::Epoch,
        b"now" => Word::Now,
        b"yesterday" => Word::Yesterday,
        b"today" => Word::Today,
        b"tomorrow" => Word::Tomorrow,
        b"allballs" => Word::Zulu,
        b"jan" | b"january" => Word::Month(1),
        b"feb" | b"february" => Word::Month(2),
        b"mar" | b"march" => Word::Month(3),
        b"apr" | b"april" => Word::Month(4),
        b"may" => Word::Month(5),
        b"jun" | b"june" => Word::Month(6),
        b"jul" | b"july" => Word::Month(7),
        b"aug" | b"august" => Word::Month(8),
        b"sep" | b"sept" | b"september" => Word::Month(9),
        b"oct" | b"october" => Word::Month(10),
        b"nov" | b"november" => Word::Month(11),
        b"dec" | b"december" => Word::Month(12),
        b"sun" | b"sunday" | b"mon" | b"monday" | b"tue" | b"tues" | b"tuesday" | b"wed"
        | b"weds" | b"wednesday" | b"thu" | b"thur" | b"thurs" | b"thursday" | b"fri"
        | b"friday" | b"sat" | b"saturday" => Word::Weekday,
        b"am" => Word::Pm(false),
        b"pm" => Word::Pm(true),
        b"ad" => Word::Bc(false),
        b"bc" => Word::Bc(true),
        b"dst" => Word::DaylightModifier,
        b"at" | b"on" => Word::Ignored,
        b"t" => Word::IsoTime,
        b"d" => Word::Unit(Unit::Day),
        b"dow" => Word::Unit(Unit::Dow),
        b"doy" => Word::Unit(Unit::Doy),
        b"h" => Word::Unit(Unit::Hour),
        b"isodow" => Word::Unit(Unit::IsoDow),
        b"isoyear" => Word::Unit(Unit::IsoYear),
        b"j" | b"jd" | b"julian" => Word::Unit(Unit::Julian),
        b"m" => Word::Unit(Unit::Month),
        b"mm" => Word::Unit(Unit::Minute),
        b"s" => Word::Unit(Unit::Second),
        b"y" => Word::Unit(Unit::Year),
        _ => return None,
    })
}

/// The meaning of a word, given in lower case, in an interval or as a field of `extract` and
/// `date_trunc`.
pub(crate) fn interval_word(word: &str) -> Option<IntervalWord> {
    Some(IntervalWord::Unit(match significant(word) {
        b"@" => return Some(IntervalWord::Ignored),
        b"ago" => return Some(IntervalWord::Ago),
        b"us" | b"usec" | b"usecond" | b"useconds" | b"usecs" | b"microsecon" => Unit::Microsecond,
        b"ms" | b"msec" | b"msecond" | b"mseconds" | b"msecs" | b"millisecon" => Unit::Millisecond,
        b"s" | b"sec" | b"second" | b"seconds" | b"secs" => Unit::Second,
        b"m" | b"min" | b"mins" | b"minute" | b"minutes" => Unit::Minute,
        b"h" | b"hour" | b"hours" | b"hr" | b"hrs" => Unit::Hour,
        b"d" | b"day" | b"days" => Unit::Day,
        b"w" | b"week" | b"weeks" => Unit::Week,
        b"mon" | b"mons" | b"month" | b"months" => Unit::Month,
        b"qtr" | b"quarter" => Unit::Quarter,
        b"y" | b"year" | b"years" | b"yr" | b"yrs" => Unit::Year,
        b"dec" | b"decade" | b"decades" | b"decs" => Unit::Decade,
        b"c" | b"cent" | b"centuries" | b"century" => Unit::Century,
        b"mil" | b"mils" | b"millennia" | b"millennium" => Unit::Millennium,
        b"timezone" => Unit::Timezone,
        b"timezone_h" => Unit::TimezoneHour,
        b"timezone_m" => Unit::TimezoneMinute,
        _ => return None,
    }))
}
