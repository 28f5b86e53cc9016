//! Arrays as text, `[0:2]={1,"a b",NULL}`, and as bytes (PostgreSQL 15, chapter 8.15.6 and
//! `array_recv`).
//!
//! Text is read twice, as PostgreSQL does: once to find the shape and every malformation, once to
//! cut out the elements. How an element reads and prints is the caller's, so that arrays of types
//! that only a catalog knows work alike.

use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::oid::Oid;
use crate::sqlstate::SqlState;

/// The most dimensions an array may have.
pub const DIMENSIONS_MAX: usize = 6;
/// The most elements an array may have: a gigabyte of pointers, as PostgreSQL counts.
pub const ELEMENTS_MAX: i64 = 134_217_727;

/// `54000` for an array of too many dimensions.
#[must_use]
pub fn too_many_dimensions(count: usize) -> SqlError {
    SqlError::new(
        SqlState::ProgramLimitExceeded,
        format!(
            "number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"
        ),
    )
}

/// How many elements these dimensions hold, checked.
///
/// # Errors
/// 54000 for too many, or where a subscript would overflow.
pub fn element_count(dimensions: &[Dimension]) -> SqlResult<usize> {
    let mut count = i64::from(!dimensions.is_empty());
    for dimension in dimensions {
        count = count.saturating_mul(i64::from(dimension.length));
        if dimension.length < 0 || count > ELEMENTS_MAX {
            return Err(SqlError::new(
                SqlState::ProgramLimitExceeded,
                format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"),
            ));
        }
    }
    for dimension in dimensions {
        if dimension.lower.checked_add(dimension.length).is_none() {
            return Err(SqlError::new(
                SqlState::ProgramLimitExceeded,
                format!("array lower bound is too large: {}", dimension.lower),
            ));
        }
    }
    Ok(usize::try_from(count).expect("the count is between 0 and the maximum"))
}

/// What PostgreSQL's `array_isspace` takes for a blank.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn malformed(text: &str, detail: impl Into<String>) -> SqlError {
    SqlError::new(
        SqlState::InvalidTextRepresentation,
        format!("malformed array literal: \"{text}\""),
    )
    .detail(detail)
}

/// Reads an array's text form, each element that is not NULL by `read_element`.
///
/// # Errors
/// 22P02, 2202E, 54000, and whatever `read_element` raises.
pub fn parse(
    text: &str,
    element: Oid,
    delimiter: u8,
    read_element: &mut dyn FnMut(&str) -> SqlResult<Datum>,
) -> SqlResult<Array> {
    let (dimensions, body) = read_bounds(text)?;
    // From here on PostgreSQL's messages show the braces alone.
    let braces = &text[text.len() - body.len()..];
    let shape = Shape::of(braces, body, delimiter)?;
    let dimensions = match dimensions {
        None => shape.iter().map(|length| Dimension { length: *length, lower: 1 }).collect(),
        Some(dimensions) => {
            if !dimensions.iter().map(|dimension| dimension.length).eq(shape.iter().copied()) {
                let detail = "Specified array dimensions do not match array contents.";
                return Err(malformed(text, detail));
            }
            dimensions
        }
    };
    let count = element_count(&dimensions)?;
    if count == 0 {
        return Ok(Array { element, dimensions: Vec::new(), elements: Vec::new() });
    }
    let elements = read_elements(body, delimiter, read_element)?;
    if elements.len() != count {
        let detail = "Multidimensional arrays must have sub-arrays with matching dimensions.";
        return Err(malformed(text, detail));
    }
    Ok(Array { element, dimensions, elements })
}

/// The explicit bounds, if any, and what follows them.
fn read_bounds(text: &str) -> SqlResult<(Option<Vec<Dimension>>, &[u8])> {
    let skip_spaces = |rest: &mut &[u8]| {
        while let [first, tail @ ..] = *rest
            && is_space(*first)
        {
            *rest = tail;
        }
    };
    let number = |rest: &mut &[u8]| -> Option<i32> {
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-'))
            .count();
        let (digits, tail) = rest.split_at(length);
        *rest = tail;
        (length > 0).then(|| c_atoi(digits))
    };
    let mut rest = text.as_bytes();
    let mut dimensions = Vec::new();
    loop {
        skip_spaces(&mut rest);
        let Some(tail) = rest.strip_prefix(b"[") else { break };
        rest = tail;
        if dimensions.len() >= DIMENSIONS_MAX {
            return Err(too_many_dimensions(dimensions.len() + 1));
        }
        let first = number(&mut rest).ok_or_else(|| {
            malformed(text, "\"[\" must introduce explicitly-specified array dimensions.")
        })?;
        let (lower, upper) = if let Some(tail) = rest.strip_prefix(b":") {
            rest = tail;
            let upper = number(&mut rest)
                .ok_or_else(|| malformed(text, "Missing array dimension value."))?;
            (first, upper)
        } else {
            (1, first)
        };
        rest = rest
            .strip_prefix(b"]")
            .ok_or_else(|| malformed(text, "Missing \"]\" after array dimensions."))?;
        if upper < lower {
            return Err(SqlError::new(
                SqlState::ArraySubscriptError,
                "upper bound cannot be less than lower bound",
            ));
        }
        let length = i64::from(upper) - i64::from(lower) + 1;
        dimensions.push(Dimension { length: i32::try_from(length).unwrap_or(-1), lower });
    }
    if dimensions.is_empty() {
        if rest.first() != Some(&b'{') {
            let detail = "Array value must start with \"{\" or dimension information.";
            return Err(malformed(text, detail));
        }
        return Ok((None, rest));
    }
    rest = rest
        .strip_prefix(b"=")
        .ok_or_else(|| malformed(text, "Missing \"=\" after array dimensions."))?;
    skip_spaces(&mut rest);
    if rest.first() != Some(&b'{') {
        return Err(malformed(text, "Array contents must start with \"{\"."));
    }
    Ok((Some(dimensions), rest))
}

/// C's `atoi` over signs and digits, saturating.
fn c_atoi(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let value =
        digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_i64, |value, digit| {
            (value * 10 + i64::from(digit - b'0')).min(i64::from(u32::MAX))
        });
    let value = if negative { -value } else { value };
    i32::try_from(value).unwrap_or(if negative { i32::MIN } else { i32::MAX })
}

/// Where the reader of braces stands: PostgreSQL's `ArrayParseState`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NoLevel,
    LevelStarted,
    ElementStarted,
    ElementCompleted,
    QuotedStarted,
    QuotedCompleted,
    ElementDelimited,
    LevelCompleted,
    LevelDelimited,
}

/// The lengths of the dimensions as the braces nest.
struct Shape<'a> {
    text: &'a str,
    state: State,
    depth: usize,
    depth_max: usize,
    empty: bool,
    /// Elements counted in each level, over all.
    lengths: [i32; DIMENSIONS_MAX],
    /// Elements so far in the open list of each level, and in the one before it.
    open: [i32; DIMENSIONS_MAX],
    last: [i32; DIMENSIONS_MAX],
}

impl<'a> Shape<'a> {
    fn of(text: &'a str, body: &[u8], delimiter: u8) -> SqlResult<Vec<i32>> {
        let mut shape = Self {
            text,
            state: State::NoLevel,
            depth: 0,
            depth_max: 1,
            empty: true,
            lengths: [0; DIMENSIONS_MAX],
            open: [1; DIMENSIONS_MAX],
            last: [0; DIMENSIONS_MAX],
        };
        let end = shape.scan(body, delimiter)?;
        if !body[end..].iter().all(|byte| is_space(*byte)) {
            return Err(malformed(text, "Junk after closing right brace."));
        }
        if shape.empty {
            return Ok(Vec::new());
        }
        Ok(shape.lengths[..shape.depth_max].to_vec())
    }

    fn scan(&mut self, body: &[u8], delimiter: u8) -> SqlResult<usize> {
        let mut at = 0;
        loop {
            let quoted = self.state == State::QuotedStarted;
            let Some(byte) = body.get(at).copied() else {
                return Err(malformed(self.text, "Unexpected end of input."));
            };
            at += 1;
            match byte {
                b'\\' => {
                    use State::{ElementDelimited, ElementStarted, LevelStarted, QuotedStarted};
                    self.expect(
                        &[LevelStarted, ElementStarted, QuotedStarted, ElementDelimited],
                        byte,
                    )?;
                    if !quoted {
                        self.state = ElementStarted;
                    }
                    self.empty = false;
                    if at >= body.len() {
                        return Err(malformed(self.text, "Unexpected end of input."));
                    }
                    at += 1;
                }
                b'"' if quoted => self.state = State::QuotedCompleted,
                b'"' => {
                    self.expect_element(&[State::LevelStarted, State::ElementDelimited])?;
                    self.state = State::QuotedStarted;
                    self.empty = false;
                }
                _ if quoted => {}
                b'{' => self.open_level()?,
                b'}' => {
                    if self.close_level()? {
                        return Ok(at);
                    }
                }
                _ if byte == delimiter => self.delimit(byte)?,
                _ if is_space(byte) => {}
                _ => {
                    use State::{ElementDelimited, ElementStarted, LevelStarted};
                    self.expect_element(&[LevelStarted, ElementStarted, ElementDelimited])?;
                    self.state = ElementStarted;
                    self.empty = false;
                }
            }
        }
    }

    fn expect(&self, states: &[State], byte: u8) -> SqlResult<()> {
        if states.contains(&self.state) {
            return Ok(());
        }
        Err(malformed(self.text, format!("Unexpected \"{}\" character.", char::from(byte))))
    }

    fn expect_element(&self, states: &[State]) -> SqlResult<()> {
        if states.contains(&self.state) {
            return Ok(());
        }
        Err(malformed(self.text, "Unexpected array element."))
    }

    fn open_level(&mut self) -> SqlResult<()> {
        self.expect(&[State::NoLevel, State::LevelStarted, State::LevelDelimited], b'{')?;
        self.state = State::LevelStarted;
        if self.depth >= DIMENSIONS_MAX {
            return Err(too_many_dimensions(self.depth + 1));
        }
        self.lengths[self.depth] = 0;
        self.depth += 1;
        self.depth_max = self.depth_max.max(self.depth);
        Ok(())
    }

    /// Whether this was the outermost brace.
    fn close_level(&mut self) -> SqlResult<bool> {
        use State::{ElementCompleted, ElementStarted, LevelCompleted, QuotedCompleted};
        if !(self.depth == 1 && self.state == State::LevelStarted) {
            let states = [ElementStarted, ElementCompleted, QuotedCompleted, LevelCompleted];
            self.expect(&states, b'}')?;
        }
        self.state = LevelCompleted;
        if self.depth == 0 {
            return Err(malformed(self.text, "Unmatched \"}\" character."));
        }
        self.depth -= 1;
        let level = self.depth;
        if self.last[level] != 0 && self.open[level] != self.last[level] {
            let detail = "Multidimensional arrays must have sub-arrays with matching dimensions.";
            return Err(malformed(self.text, detail));
        }
        self.last[level] = self.open[level];
        self.lengths[level] = self.open[level];
        self.open[level] = 1;
        Ok(level == 0)
    }

    fn delimit(&mut self, delimiter: u8) -> SqlResult<()> {
        use State::{ElementCompleted, ElementStarted, LevelCompleted, QuotedCompleted};
        self.expect(
            &[ElementStarted, ElementCompleted, QuotedCompleted, LevelCompleted],
            delimiter,
        )?;
        self.state = if self.state == LevelCompleted {
            State::LevelDelimited
        } else {
            State::ElementDelimited
        };
        // An element is at least one byte of input, and input is far below 2^31 bytes.
        self.open[self.depth - 1] = self.open[self.depth - 1].saturating_add(1);
        Ok(())
    }
}

/// Cuts the elements out of braces whose shape has been checked.
fn read_elements(
    body: &[u8],
    delimiter: u8,
    read_element: &mut dyn FnMut(&str) -> SqlResult<Datum>,
) -> SqlResult<Vec<Datum>> {
    let mut elements = Vec::new();
    let mut element = Vec::new();
    // Up to here the element stays whatever blanks are trimmed.
    let mut kept = 0;
    let mut started = false;
    let mut quoted = false;
    let mut literal = false;
    let mut at = 0;
    while let Some(byte) = body.get(at).copied() {
        at += 1;
        match byte {
            b'\\' => {
                element.extend(body.get(at));
                at += 1;
                kept = element.len();
                started = true;
                literal = true;
            }
            b'"' => {
                quoted = !quoted;
                kept = element.len();
                started = true;
                literal = true;
            }
            _ if quoted => element.push(byte),
            b'{' => {}
            _ if byte == b'}' || byte == delimiter => {
                if !started {
                    continue;
                }
                element.truncate(kept);
                if !literal && element.eq_ignore_ascii_case(b"null") {
                    elements.push(Datum::Null);
                } else {
                    elements.push(read_element(crate::text::from_utf8(&element)?)?);
                }
                element.clear();
                (kept, started, literal) = (0, false, false);
            }
            _ if is_space(byte) => {
                if started {
                    element.push(byte);
                }
            }
            _ => {
                element.push(byte);
                kept = element.len();
                started = true;
            }
        }
    }
    Ok(elements)
}

/// Appends an array's text form, each element that is not NULL by `write_element`.
pub fn write(
    array: &Array,
    delimiter: u8,
    write_element: &mut dyn FnMut(&Datum, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    if array.elements.is_empty() {
        out.extend_from_slice(b"{}");
        return;
    }
    if array.dimensions.iter().any(|dimension| dimension.lower != 1) {
        for dimension in &array.dimensions {
            out.push(b'[');
            crate::integer::write_integer(i64::from(dimension.lower), out);
            out.push(b':');
            let upper = i64::from(dimension.lower) + i64::from(dimension.length) - 1;
            crate::integer::write_integer(upper, out);
            out.push(b']');
        }
        out.push(b'=');
    }
    // How many elements a brace of each level holds.
    let mut spans: Vec<usize> = Vec::with_capacity(array.dimensions.len());
    let mut span = 1;
    for dimension in array.dimensions.iter().rev() {
        span *= usize::try_from(dimension.length.max(1)).expect("a length is positive");
        spans.push(span);
    }
    for (at, element) in array.elements.iter().enumerate() {
        if at > 0 {
            out.push(delimiter);
        }
        let opening = spans.iter().filter(|span| at % **span == 0).count();
        out.resize(out.len() + opening, b'{');
        match element {
            Datum::Null => out.extend_from_slice(b"NULL"),
            element => {
                let start = out.len();
                write_element(element, out);
                quote(start, delimiter, out);
            }
        }
        let closing = spans.iter().filter(|span| (at + 1) % **span == 0).count();
        out.resize(out.len() + closing, b'}');
    }
}

/// Quotes what was appended from `start` on, if it needs it.
fn quote(start: usize, delimiter: u8, out: &mut Vec<u8>) {
    let text = &out[start..];
    let plain = !text.is_empty()
        && !text.eq_ignore_ascii_case(b"null")
        && !text.iter().any(|byte| {
            matches!(byte, b'"' | b'\\' | b'{' | b'}') || *byte == delimiter || is_space(*byte)
        });
    if plain {
        return;
    }
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends an array's binary form; the lengths of the elements are filled in afterwards.
pub fn send(array: &Array, send_element: &mut dyn FnMut(&Datum, &mut Vec<u8>), out: &mut Vec<u8>) {
    let dimensions = i32::try_from(array.dimensions.len()).unwrap_or(i32::MAX);
    let has_null = array.elements.iter().any(Datum::is_null);
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&array.element.0.to_be_bytes());
    for dimension in &array.dimensions {
        out.extend_from_slice(&dimension.length.to_be_bytes());
        out.extend_from_slice(&dimension.lower.to_be_bytes());
    }
    for element in &array.elements {
        super::send_field(element, send_element, out);
    }
}

/// Reads an array's binary form.
///
/// # Errors
/// 22P03, 42804, 54000, 08P01, and whatever `receive_element` raises.
pub fn receive(
    bytes: &[u8],
    element: Oid,
    receive_element: &mut dyn FnMut(&[u8]) -> SqlResult<Datum>,
) -> SqlResult<Array> {
    let invalid = |message: String| SqlError::new(SqlState::InvalidBinaryRepresentation, message);
    let mut reader = super::Reader::new(bytes);
    let count = reader.int4()?;
    let flags = reader.int4()?;
    let sent = reader.oid()?;
    let count = usize::try_from(count)
        .map_err(|_| invalid(format!("invalid number of dimensions: {count}")))?;
    if count > DIMENSIONS_MAX {
        return Err(too_many_dimensions(count));
    }
    if flags != 0 && flags != 1 {
        return Err(invalid("invalid array flags".to_owned()));
    }
    if sent != element {
        return Err(SqlError::new(
            SqlState::DatatypeMismatch,
            format!(
                "binary data has array element type {sent} ({}) instead of expected {element} ({})",
                super::type_name(sent),
                super::type_name(element)
            ),
        ));
    }
    let mut dimensions = Vec::with_capacity(count);
    for _ in 0..count {
        dimensions.push(Dimension { length: reader.int4()?, lower: reader.int4()? });
    }
    let count = element_count(&dimensions)?;
    if count == 0 {
        reader.finish()?;
        return Ok(Array { element, dimensions: Vec::new(), elements: Vec::new() });
    }
    // Every element takes four bytes for its length: what was sent bounds what is reserved.
    let mut elements = Vec::with_capacity(count.min(bytes.len() / 4));
    for at in 0..count {
        elements.push(match reader.field()? {
            None => Datum::Null,
            Some(field) => receive_element(field).map_err(|error| {
                if error.fields().message == super::INCORRECT_BINARY_FORMAT {
                    invalid(format!("improper binary format in array element {}", at + 1))
                } else {
                    error
                }
            })?,
        });
    }
    reader.finish()?;
    Ok(Array { element, dimensions, elements })
}
