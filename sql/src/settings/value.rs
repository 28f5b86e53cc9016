//! Values of settings: checked, brought into one form, and shown with their units.

use aegis_types::context::{DateOrder, DateStyle};
use aegis_types::timezone::TimeZone;
use aegis_types::{SqlError, SqlResult, SqlState};

use super::{Kind, SessionSettings, Setting, Unit};

/// The value in the form that it is kept in.
pub(super) fn canonical(
    setting: &Setting,
    value: &str,
    session: &SessionSettings,
) -> SqlResult<String> {
    match setting.kind {
        Kind::Bool => {
            boolean(value).map(|on| if on { "on" } else { "off" }.to_owned()).ok_or_else(|| {
                invalid_with(format!("parameter \"{}\" requires a Boolean value", setting.name))
            })
        }
        Kind::Integer(minimum, maximum, unit) => integer(setting, value, minimum, maximum, unit),
        Kind::Real => match value.trim().parse::<f64>() {
            Ok(_) => Ok(value.trim().to_owned()),
            Err(_) => Err(invalid(setting, value)),
        },
        Kind::Enum(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(value))
            .map(|word| (*word).to_owned())
            .ok_or_else(|| {
                invalid(setting, value).hint(format!("Available values: {}.", words.join(", ")))
            }),
        Kind::Text => Ok(value.to_owned()),
        Kind::SearchPath => match identifiers(value) {
            Some(_) => Ok(value.to_owned()),
            None => Err(invalid(setting, value).detail("List syntax is invalid.")),
        },
        Kind::RelationKinds => {
            match identifiers(value) {
                None => Err(invalid(setting, value).detail("List syntax is invalid.")),
                Some(words) => match words.iter().find(|word| !is_relation_kind(word)) {
                    Some(word) => Err(invalid(setting, value)
                        .detail(format!("Unrecognized key word: \"{word}\"."))),
                    None => Ok(value.to_owned()),
                },
            }
        }
        Kind::DateStyle => set_date_style(setting, value, session),
        Kind::TimeZone => TimeZone::parse(value).map(|zone| zone.name().to_owned()),
        Kind::Encoding => encoding(setting, value),
    }
}

/// Of the name of an encoding only letters and digits count: asyncpg says `'utf-8'`, quotes included.
fn encoding(setting: &Setting, value: &str) -> SqlResult<String> {
    let letters = value.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    match name.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        "sqlascii" | "latin1" | "iso88591" | "win1252" => {
            Err(SqlError::unsupported(format!("client_encoding {value}")))
        }
        _ => Err(invalid(setting, value)),
    }
}

fn is_relation_kind(word: &str) -> bool {
    word.eq_ignore_ascii_case("view") || word.eq_ignore_ascii_case("foreign-table")
}

/// `on`, `off` and every other way to say so, unambiguous prefixes included.
fn boolean(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let prefix_of = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if prefix_of("true", 1) || prefix_of("yes", 1) || prefix_of("on", 2) || value == "1" {
        Some(true)
    } else if prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) || value == "0" {
        Some(false)
    } else {
        None
    }
}

fn invalid(setting: &Setting, value: &str) -> SqlError {
    invalid_with(format!("invalid value for parameter \"{}\": \"{value}\"", setting.name))
}

fn invalid_with(message: String) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

/// The units that a setting's value may be written in, with how many of the base unit each is:
/// microseconds for times, bytes for sizes.
fn units_of(unit: Unit) -> &'static [(&'static str, f64)] {
    const TIME: &[(&str, f64)] =
        &[("us", 1.0), ("ms", 1e3), ("s", 1e6), ("min", 60e6), ("h", 3600e6), ("d", 86400e6)];
    const SIZE: &[(&str, f64)] = &[
        ("B", 1.0),
        ("kB", 1024.0),
        ("MB", 1_048_576.0),
        ("GB", 1_073_741_824.0),
        ("TB", 1_099_511_627_776.0),
    ];
    match unit {
        Unit::None => &[],
        Unit::Milliseconds | Unit::Seconds | Unit::Minutes => TIME,
        Unit::Bytes | Unit::Kilobytes | Unit::Blocks | Unit::Megabytes => SIZE,
    }
}

fn base_of(unit: Unit) -> f64 {
    match unit {
        Unit::None | Unit::Bytes => 1.0,
        Unit::Milliseconds => 1e3,
        Unit::Seconds => 1e6,
        Unit::Minutes => 60e6,
        Unit::Kilobytes => 1024.0,
        Unit::Blocks => 8192.0,
        Unit::Megabytes => 1_048_576.0,
    }
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::Minutes => "min",
        Unit::Bytes => "B",
        Unit::Kilobytes => "kB",
        Unit::Blocks => "8kB",
        Unit::Megabytes => "MB",
    }
}

fn integer(
    setting: &Setting,
    value: &str,
    minimum: i64,
    maximum: i64,
    unit: Unit,
) -> SqlResult<String> {
    let trimmed = value.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(trimmed.len());
    let (number, suffix) = (trimmed[..split].trim(), trimmed[split..].trim());
    let number: f64 = number.parse().map_err(|_| invalid(setting, value))?;
    let scaled = if suffix.is_empty() {
        number
    } else {
        let (_, factor) = units_of(unit)
            .iter()
            .find(|(name, _)| *name == suffix)
            .ok_or_else(|| {
                let error = invalid(setting, value);
                match units_of(unit).first() {
                    Some(("us", _)) => error.hint(
                        "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                    ),
                    Some(_) => error.hint(
                        "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
                    ),
                    None => error,
                }
            })?;
        number * factor / base_of(unit)
    };
    let rounded = scaled.round_ties_even();
    if rounded < minimum as f64 || rounded > maximum as f64 {
        let unit = unit_name(unit);
        let shown =
            if unit.is_empty() { format!("{rounded}") } else { format!("{rounded} {unit}") };
        return Err(invalid_with(format!(
            "{shown} is outside the valid range for parameter \"{}\" ({minimum} .. {maximum})",
            setting.name
        )));
    }
    Ok(format!("{rounded}"))
}

/// The value as `SHOW` prints it: in the largest unit that divides it.
pub(super) fn shown(setting: &Setting, value: &str) -> String {
    let Kind::Integer(_, _, unit) = setting.kind else {
        return value.to_owned();
    };
    match value.parse::<i64>() {
        Ok(number) if number > 0 && unit != Unit::None => {
            let total = number as f64 * base_of(unit);
            let best = units_of(unit).iter().rev().find(|(_, factor)| total % factor == 0.0);
            best.map_or_else(
                || value.to_owned(),
                |(name, factor)| format!("{}{name}", total / factor),
            )
        }
        _ => value.to_owned(),
    }
}

/// A list of identifiers, folded to lower case where not quoted; `None` if it is none.
pub(super) fn identifiers(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next()? {
                    (at, '"') if chars.next_if(|(_, c)| *c == '"').is_none() => break at + 1,
                    (_, c) => name.push(c),
                }
            };
            (name, &quoted[end..])
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            (rest[..end].to_lowercase(), &rest[end..])
        };
        if name.is_empty() && !after.starts_with(',') && names.is_empty() && after.is_empty() {
            return Some(names);
        }
        names.push(name);
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// `ISO, MDY` taken apart.
pub(super) fn date_style(value: &str) -> (DateStyle, DateOrder) {
    let mut style = DateStyle::Iso;
    let mut order = DateOrder::Mdy;
    for word in value.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "sql" => style = DateStyle::Sql,
            "postgres" => style = DateStyle::Postgres,
            "german" => style = DateStyle::German,
            "dmy" => order = DateOrder::Dmy,
            "ymd" => order = DateOrder::Ymd,
            _ => {}
        }
    }
    (style, order)
}

fn set_date_style(setting: &Setting, value: &str, session: &SessionSettings) -> SqlResult<String> {
    let (mut style, mut order) = date_style(session.get("DateStyle"));
    let mut order_given = false;
    for word in value.split(',') {
        let word = word.trim().to_ascii_lowercase();
        match word.as_str() {
            "iso" => style = DateStyle::Iso,
            "sql" => style = DateStyle::Sql,
            "german" => {
                style = DateStyle::German;
                if !order_given {
                    order = DateOrder::Dmy;
                }
            }
            "ymd" => (order, order_given) = (DateOrder::Ymd, true),
            "dmy" => (order, order_given) = (DateOrder::Dmy, true),
            "default" => (style, order) = (DateStyle::Iso, DateOrder::Mdy),
            _ if word.starts_with("postgres") => style = DateStyle::Postgres,
            _ if word.starts_with("euro") => (order, order_given) = (DateOrder::Dmy, true),
            "mdy" | "us" => (order, order_given) = (DateOrder::Mdy, true),
            _ if word.starts_with("noneuro") => (order, order_given) = (DateOrder::Mdy, true),
            _ => {
                return Err(
                    invalid(setting, value).detail(format!("Unrecognized key word: \"{word}\"."))
                );
            }
        }
    }
    let style = match style {
        DateStyle::Iso => "ISO",
        DateStyle::Sql => "SQL",
        DateStyle::Postgres => "Postgres",
        DateStyle::German => "German",
    };
    let order = match order {
        DateOrder::Mdy => "MDY",
        DateOrder::Dmy => "DMY",
        DateOrder::Ymd => "YMD",
    };
    Ok(format!("{style}, {order}"))
}
