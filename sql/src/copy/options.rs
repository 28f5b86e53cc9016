//! The options of COPY, checked in the order and with the words of PostgreSQL 15.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::encoding::{Encoding, encoding_named};
use crate::ast::{DefElem, DefValue};

/// `FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// `text`
    Text,
    /// `csv`
    Csv,
    /// `binary`
    Binary,
}

/// `HEADER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyHeader {
    /// None.
    Off,
    /// Written, or skipped.
    On,
    /// Read and compared with the columns' names.
    Match,
}

/// The columns that a `FORCE_…` option names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForcedColumns {
    /// `*`
    All,
    /// These; none if the option is not there.
    Named(Vec<String>),
}

/// The options of one COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// `FORMAT`
    pub format: CopyFormat,
    /// `DELIMITER`: ASCII.
    pub delimiter: u8,
    /// `NULL`
    pub null: String,
    /// `HEADER`
    pub header: CopyHeader,
    /// `QUOTE`: ASCII; of no meaning in text.
    pub quote: u8,
    /// `ESCAPE`: likewise.
    pub escape: u8,
    /// `FORCE_QUOTE`
    pub force_quote: ForcedColumns,
    /// `FORCE_NOT_NULL`
    pub force_not_null: Vec<String>,
    /// `FORCE_NULL`
    pub force_null: Vec<String>,
    /// `FREEZE`: rows of Aegis have nothing to freeze.
    pub freeze: bool,
}

/// The options as written, before they are checked against one another.
#[derive(Default)]
struct Written {
    format: Option<String>,
    freeze: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ForcedColumns>,
    force_not_null: Option<Vec<String>>,
    force_null: Option<Vec<String>>,
    encoding: Option<Encoding>,
}

impl CopyOptions {
    /// Reads the options of `COPY … FROM` (`is_from`) or `COPY … TO`.
    ///
    /// # Errors
    /// 42601, 22023 and 0A000 as PostgreSQL; 0A000 for encodings other than UTF-8.
    pub fn parse(options: &[DefElem], is_from: bool) -> SqlResult<Self> {
        let mut written = Written::default();
        for option in options {
            written.take(option, is_from)?;
        }
        written.check(is_from)
    }
}

impl Written {
    fn take(&mut self, option: &DefElem, is_from: bool) -> SqlResult<()> {
        match option.name.as_str() {
            "format" => {
                let format = option.string();
                once(&mut self.format, option, format)?;
                if !matches!(self.format.as_deref(), Some("text" | "csv" | "binary")) {
                    let format = self.format.as_deref().unwrap_or_default();
                    return Err(invalid(format!("COPY format \"{format}\" not recognized"))
                        .at(option.location));
                }
                Ok(())
            }
            "freeze" => once(&mut self.freeze, option, option.boolean()),
            "delimiter" => once(&mut self.delimiter, option, option.string()),
            "null" => once(&mut self.null, option, option.string()),
            "header" => once(&mut self.header, option, header(option, is_from)),
            "quote" => once(&mut self.quote, option, option.string()),
            "escape" => once(&mut self.escape, option, option.string()),
            "force_quote" => once(
                &mut self.force_quote,
                option,
                match &option.value {
                    Some(DefValue::Star) => Ok(ForcedColumns::All),
                    _ => column_list(option).map(ForcedColumns::Named),
                },
            ),
            "force_not_null" => once(&mut self.force_not_null, option, column_list(option)),
            "force_null" => once(&mut self.force_null, option, column_list(option)),
            "encoding" => {
                let encoding = option.string().map(|name| encoding_named(&name));
                once(&mut self.encoding, option, encoding)?;
                if self.encoding == Some(Encoding::Unknown) {
                    return Err(invalid(
                        "argument to option \"encoding\" must be a valid encoding name",
                    )
                    .at(option.location));
                }
                Ok(())
            }
            name => Err(syntax(format!("option \"{name}\" not recognized")).at(option.location)),
        }
    }

    fn check(self, is_from: bool) -> SqlResult<CopyOptions> {
        let binary = self.format.as_deref() == Some("binary");
        if binary {
            self.check_binary()?;
        }
        let csv = self.format.as_deref() == Some("csv");
        let quote_given = self.quote.is_some();
        let escape_given = self.escape.is_some();
        let quote = self.quote.unwrap_or_else(|| "\"".to_owned());
        let escape = self.escape.unwrap_or_else(|| quote.clone());
        let null = self.null.unwrap_or_else(|| (if csv { "" } else { "\\N" }).to_owned());
        let delimiter = self.delimiter.unwrap_or_else(|| (if csv { "," } else { "\t" }).to_owned());
        let delimiter = checked_delimiter(&delimiter, &null, csv)?;
        if !csv && quote_given {
            return Err(only_in_csv("quote"));
        }
        let quote = single_byte("quote", &quote)?;
        if csv && delimiter == quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if !csv && escape_given {
            return Err(only_in_csv("escape"));
        }
        let escape = single_byte("escape", &escape)?;
        refuse_forced("quote", self.force_quote.is_some(), csv, is_from, false)?;
        refuse_forced("not null", self.force_not_null.is_some(), csv, is_from, true)?;
        refuse_forced("null", self.force_null.is_some(), csv, is_from, true)?;
        if null.as_bytes().contains(&delimiter) {
            return Err(unsupported("COPY delimiter must not appear in the NULL specification"));
        }
        if csv && null.as_bytes().contains(&quote) {
            return Err(unsupported(
                "CSV quote character must not appear in the NULL specification",
            ));
        }
        if self.encoding == Some(Encoding::Other) {
            return Err(SqlError::unsupported("COPY in an encoding other than UTF8"));
        }
        Ok(CopyOptions {
            format: match (csv, binary) {
                (true, _) => CopyFormat::Csv,
                (_, true) => CopyFormat::Binary,
                _ => CopyFormat::Text,
            },
            delimiter,
            null,
            header: self.header.unwrap_or(CopyHeader::Off),
            quote,
            escape,
            force_quote: self.force_quote.unwrap_or(ForcedColumns::Named(Vec::new())),
            force_not_null: self.force_not_null.unwrap_or_default(),
            force_null: self.force_null.unwrap_or_default(),
            freeze: self.freeze.unwrap_or(false),
        })
    }

    fn check_binary(&self) -> SqlResult<()> {
        if self.delimiter.is_some() {
            return Err(syntax("cannot specify DELIMITER in BINARY mode"));
        }
        if self.null.is_some() {
            return Err(syntax("cannot specify NULL in BINARY mode"));
        }
        match self.header {
            None | Some(CopyHeader::Off) => Ok(()),
            Some(CopyHeader::On | CopyHeader::Match) => {
                Err(unsupported("cannot specify HEADER in BINARY mode"))
            }
        }
    }
}

/// Keeps an option's value; a second one is refused before it is looked at.
fn once<T>(slot: &mut Option<T>, option: &DefElem, value: SqlResult<T>) -> SqlResult<()> {
    if slot.is_some() {
        return Err(syntax("conflicting or redundant options").at(option.location));
    }
    *slot = Some(value?);
    Ok(())
}

fn header(option: &DefElem, is_from: bool) -> SqlResult<CopyHeader> {
    if let Ok(on) = option.boolean() {
        return Ok(if on { CopyHeader::On } else { CopyHeader::Off });
    }
    if !option.string()?.eq_ignore_ascii_case("match") {
        return Err(syntax(format!("{} requires a Boolean value or \"match\"", option.name)));
    }
    if !is_from {
        return Err(unsupported("cannot use \"match\" with HEADER in COPY TO"));
    }
    Ok(CopyHeader::Match)
}

fn column_list(option: &DefElem) -> SqlResult<Vec<String>> {
    match &option.value {
        Some(DefValue::List(names)) => Ok(names.iter().map(DefValue::text).collect()),
        _ => Err(invalid(format!(
            "argument to option \"{}\" must be a list of column names",
            option.name
        ))
        .at(option.location)),
    }
}

fn checked_delimiter(delimiter: &str, null: &str, csv: bool) -> SqlResult<u8> {
    let byte = single_byte("delimiter", delimiter)?;
    if matches!(byte, b'\n' | b'\r') {
        return Err(invalid("COPY delimiter cannot be newline or carriage return"));
    }
    if null.contains(['\n', '\r']) {
        return Err(invalid("COPY null representation cannot use newline or carriage return"));
    }
    if !csv && matches!(byte, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') {
        return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
    }
    Ok(byte)
}

fn single_byte(what: &str, text: &str) -> SqlResult<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(unsupported(format!("COPY {what} must be a single one-byte character"))),
    }
}

/// A `FORCE_…` option has its format, csv, and its direction.
fn refuse_forced(
    what: &str,
    given: bool,
    csv: bool,
    is_from: bool,
    of_from: bool,
) -> SqlResult<()> {
    if given && !csv {
        return Err(only_in_csv(&format!("force {what}")));
    }
    if given && is_from != of_from {
        let direction = if of_from { "FROM" } else { "TO" };
        return Err(unsupported(format!(
            "COPY force {what} only available using COPY {direction}"
        )));
    }
    Ok(())
}

fn only_in_csv(what: &str) -> SqlError {
    unsupported(format!("COPY {what} available only in CSV mode"))
}

fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SyntaxError, message)
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::InvalidParameterValue, message)
}

fn unsupported(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::FeatureNotSupported, message)
}
