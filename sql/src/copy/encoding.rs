//! UTF-8 as COPY demands it of its bytes, and the names of encodings.

use aegis_types::{SqlError, SqlState};

/// The encodings of PostgreSQL other than UTF-8, their names in lower case without punctuation.
const OTHER_ENCODINGS: &[&str] = &[
    "abc",
    "alt",
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso88591",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "johab",
    "koi8",
    "koi8r",
    "koi8u",
    "latin1",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "sqlascii",
    "tcvn",
    "tcvn5712",
    "uhc",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

/// What the name of an encoding means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8.
    Utf8,
    /// One that PostgreSQL has and Aegis has not.
    Other,
    /// None at all.
    Unknown,
}

/// Looks an encoding up as PostgreSQL does: case and punctuation do not matter.
pub(super) fn encoding_named(name: &str) -> Encoding {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" => Encoding::Utf8,
        other if OTHER_ENCODINGS.contains(&other) => Encoding::Other,
        _ => Encoding::Unknown,
    }
}

/// Where bytes stop being UTF-8 without NUL, if anywhere.
pub(super) fn invalid_at(bytes: &[u8]) -> Option<usize> {
    let valid_up_to = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) => error.valid_up_to(),
    };
    let nul = bytes[..valid_up_to].iter().position(|byte| *byte == 0);
    nul.or((valid_up_to < bytes.len()).then_some(valid_up_to))
}

/// 22021 for the character that `bytes` begin with: as many of them are named as its first byte
/// announces.
pub(super) fn invalid_sequence(bytes: &[u8]) -> SqlError {
    let announced = match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    let shown: Vec<String> =
        bytes.iter().take(announced).map(|byte| format!("0x{byte:02x}")).collect();
    SqlError::new(
        SqlState::CharacterNotInRepertoire,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}
