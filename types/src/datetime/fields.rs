//! Cuts the text of a date, time or interval into fields, each with a first guess at its kind.
//!
//! ```text
//! "Sat 2000-1-1 10:20 +02"   →   Word "sat", Date "2000-1-1", Time "10:20", Zone "+02"
//! ```

/// What the shape of a field says it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Digits, perhaps with a fraction.
    Number,
    /// Numbers or words with `-`, `/` or `.` between them; the name of a zone too.
    Date,
    /// Begins as `hh:`.
    Time,
    /// A sign and a number: an offset, or a number of an interval.
    Zone,
    /// Letters.
    Word,
    /// A sign and letters.
    SignedWord,
}

/// A field: its kind and its text, in lower case where it begins with letters.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its text.
    pub(crate) text: String,
}

/// As many fields as any form has.
const MOST_FIELDS: usize = 25;

/// White space to C.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The byte here; 0 at the end.
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Takes bytes while they are as wanted, in lower case if `lower`.
    fn take(&mut self, text: &mut String, lower: bool, wanted: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && wanted(self.peek()) {
            self.take_one(text, lower);
        }
    }

    fn take_one(&mut self, text: &mut String, lower: bool) {
        let byte = self.peek();
        text.push(char::from(if lower { byte.to_ascii_lowercase() } else { byte }));
        self.at += 1;
    }
}

/// The fields of a text whose fields together are shorter than `room` bytes, one byte each for
/// their ends included; `None` if it is longer or cannot be cut.
pub(crate) fn split(text: &str, room: usize) -> Option<Vec<Field>> {
    let mut cursor = Cursor { bytes: text.as_bytes(), at: 0 };
    let mut fields = Vec::new();
    let mut used = 0;
    while cursor.at < cursor.bytes.len() {
        let byte = cursor.peek();
        if is_space(byte) {
            cursor.at += 1;
            continue;
        }
        if fields.len() >= MOST_FIELDS {
            return None;
        }
        let mut text = String::new();
        let kind = match byte {
            b'0'..=b'9' => digits_first(&mut cursor, &mut text),
            b'.' => {
                cursor.take_one(&mut text, false);
                cursor.take(&mut text, false, |b| b.is_ascii_digit());
                Kind::Number
            }
            b'+' | b'-' => sign_first(&mut cursor, &mut text)?,
            byte if byte.is_ascii_alphabetic() => letters_first(&mut cursor, &mut text),
            byte if byte.is_ascii_punctuation() => {
                cursor.at += 1;
                continue;
            }
            _ => return None,
        };
        // PostgreSQL gathers the fields in a buffer and refuses what does not fit.
        used += text.len() + 1;
        if used > room {
            return None;
        }
        fields.push(Field { kind, text });
    }
    Some(fields)
}

fn digits_first(cursor: &mut Cursor<'_>, text: &mut String) -> Kind {
    cursor.take(text, false, |b| b.is_ascii_digit());
    match cursor.peek() {
        b':' => {
            cursor.take(text, false, |b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
            Kind::Time
        }
        delimiter @ (b'-' | b'/' | b'.') => {
            cursor.take_one(text, false);
            if cursor.peek().is_ascii_digit() {
                cursor.take(text, false, |b| b.is_ascii_digit());
                if cursor.peek() == delimiter {
                    cursor.take(text, false, |b| b.is_ascii_digit() || b == delimiter);
                    Kind::Date
                } else if delimiter == b'.' {
                    Kind::Number
                } else {
                    Kind::Date
                }
            } else {
                cursor.take(text, true, |b| b.is_ascii_alphanumeric() || b == delimiter);
                Kind::Date
            }
        }
        _ => Kind::Number,
    }
}

fn letters_first(cursor: &mut Cursor<'_>, text: &mut String) -> Kind {
    cursor.take(text, true, |b| b.is_ascii_alphabetic());
    let is_date = match cursor.peek() {
        b'-' | b'/' | b'.' => true,
        b'+' | b'0'..=b'9' => super::keywords::date_word(text).is_none(),
        _ => false,
    };
    if !is_date {
        return Kind::Word;
    }
    cursor.take(text, true, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
    });
    Kind::Date
}

fn sign_first(cursor: &mut Cursor<'_>, text: &mut String) -> Option<Kind> {
    cursor.take_one(text, false);
    while is_space(cursor.peek()) {
        cursor.at += 1;
    }
    if cursor.peek().is_ascii_digit() {
        cursor.take(text, false, |b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-'));
        Some(Kind::Zone)
    } else if cursor.peek().is_ascii_alphabetic() {
        cursor.take(text, true, |b| b.is_ascii_alphabetic());
        Some(Kind::SignedWord)
    } else {
        None
    }
}
