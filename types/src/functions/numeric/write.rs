//! `to_char` of numbers: digits laid out by a template.
//!
//! ```text
//! number ──► prepared digits "12.50", sign, blanks before them ──► the template, node by node
//! ```

use super::template::{Node, Pattern, SignPlace, Template};
use crate::error::{SqlError, SqlResult};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

/// Decimal digits that a `float4` and a `float8` are sure to have.
const FLOAT4_DIGITS: usize = 6;
const FLOAT8_DIGITS: usize = 15;
/// As many decimals as PostgreSQL prints of a float; zeros follow.
const MAX_PRINTED_DECIMALS: usize = 350;
/// The largest number that Roman numerals write.
const MAX_ROMAN: i32 = 3_999;
/// The width of a Roman numeral without `FM`.
const ROMAN_WIDTH: usize = 15;

/// `to_char(numeric, text)`
pub(super) fn numeric_to_char(value: &Numeric, format: &str) -> SqlResult<String> {
    let mut template = Template::parse(format)?;
    if template.roman {
        return Ok(write_roman(&template, value.round(0)?.to_i32()?));
    }
    if template.exponent {
        return Ok(scientific(value, &template));
    }
    let mut value = value.clone();
    if template.multiplied {
        value = value.mul(&shift_factor(&template)?)?;
        template.before += template.shift;
    }
    let after = i32::try_from(template.after).unwrap_or(i32::MAX);
    write_decimal(template, &value.round(after)?.to_string())
}

/// `to_char(int4, text)`
pub(super) fn int4_to_char(value: i32, format: &str) -> SqlResult<String> {
    let template = Template::parse(format)?;
    if template.roman {
        return Ok(write_roman(&template, value));
    }
    if template.exponent {
        return Ok(float_scientific(f64::from(value), template.after));
    }
    let mut shifted = value;
    if template.multiplied {
        // PostgreSQL multiplies unchecked here, and x86 makes i32::MIN of a power too large.
        let power = u32::try_from(template.shift).ok().and_then(|shift| 10_i32.checked_pow(shift));
        shifted = value.wrapping_mul(power.unwrap_or(i32::MIN));
    }
    write_integer(template, i64::from(shifted))
}

/// `to_char(int8, text)`
pub(super) fn int8_to_char(value: i64, format: &str) -> SqlResult<String> {
    let template = Template::parse(format)?;
    if template.roman {
        let value = i32::try_from(value)
            .map_err(|_| SqlError::new(SqlState::NumericValueOutOfRange, "integer out of range"))?;
        return Ok(write_roman(&template, value));
    }
    if template.exponent {
        return Ok(scientific(&Numeric::from(value), &template));
    }
    let mut shifted = value;
    if template.multiplied {
        shifted = Numeric::from(value).mul(&shift_factor(&template)?)?.to_i64()?;
    }
    write_integer(template, shifted)
}

/// `to_char(float4, text)`
pub(super) fn float4_to_char(value: f32, format: &str) -> SqlResult<String> {
    float_to_char(f64::from(value), format, FLOAT4_DIGITS, &|value| f64::from(value as f32))
}

/// `to_char(float8, text)`
pub(super) fn float8_to_char(value: f64, format: &str) -> SqlResult<String> {
    float_to_char(value, format, FLOAT8_DIGITS, &|value| value)
}

fn float_to_char(
    value: f64,
    format: &str,
    digits: usize,
    narrow: &dyn Fn(f64) -> f64,
) -> SqlResult<String> {
    let mut template = Template::parse(format)?;
    if template.roman {
        // As C converts: what does not fit becomes a number that Roman numerals do not write.
        return Ok(write_roman(&template, value.round_ties_even() as i32));
    }
    if template.exponent {
        if !value.is_finite() {
            return Ok(unwritable_scientific(&template));
        }
        return Ok(float_scientific(value, template.after));
    }
    let mut value = value;
    if template.multiplied {
        let shift = i32::try_from(template.shift).unwrap_or(i32::MAX);
        value = narrow(value * narrow(10_f64.powi(shift)));
        template.before += template.shift;
    }
    let length = print_float(value.abs(), 0).len();
    if length >= digits {
        template.after = 0;
    } else {
        template.after = template.after.min(digits - length);
    }
    let text = print_float(value, template.after);
    write_decimal(template, &text)
}

/// As C's `%.*f` prints, with PostgreSQL's names for what is not finite.
fn print_float(value: f64, decimals: usize) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        format!("{value:.decimals$}")
    }
}

/// 10 to as many digits as stand after `V`.
fn shift_factor(template: &Template) -> SqlResult<Numeric> {
    let shift = i64::try_from(template.shift).unwrap_or(i64::MAX);
    Numeric::from(10).power(&Numeric::from(shift))
}

fn scientific(value: &Numeric, template: &Template) -> String {
    match value.to_scientific(template.after) {
        None => unwritable_scientific(template),
        Some(text) if text.starts_with('-') => text,
        Some(text) => format!(" {text}"),
    }
}

/// As C's `%+.*e` prints, a blank instead of the plus.
fn float_scientific(value: f64, decimals: usize) -> String {
    let printed = decimals.min(MAX_PRINTED_DECIMALS);
    let text = format!("{:.printed$e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = format!("{mantissa}{}", "0".repeat(decimals - printed));
    let sign = if value.is_sign_negative() { '-' } else { ' ' };
    let exponent_sign = if exponent.starts_with('-') { '-' } else { '+' };
    format!("{sign}{mantissa}e{exponent_sign}{:0>2}", exponent.trim_start_matches('-'))
}

/// What `EEEE` writes for NaN and the infinities.
fn unwritable_scientific(template: &Template) -> String {
    format!(" {}.{}", "#".repeat(template.before), "#".repeat(template.after + 4))
}

fn write_roman(template: &Template, value: i32) -> String {
    let numeral = roman(value);
    let mut out = String::new();
    for node in &template.nodes {
        let numeral = match node {
            Node::Pattern(Pattern::RomanUpper) => numeral.clone(),
            Node::Pattern(Pattern::RomanLower) => numeral.to_ascii_lowercase(),
            // Nothing else of a number is written beside a Roman numeral.
            _ => {
                write_beside_roman(*node, template.fill_mode, &mut out);
                continue;
            }
        };
        if !template.fill_mode {
            out.extend(std::iter::repeat_n(' ', ROMAN_WIDTH.saturating_sub(numeral.len())));
        }
        out.push_str(&numeral);
    }
    out.truncate(out.find('\0').unwrap_or(out.len()));
    out
}

fn write_beside_roman(node: Node, fill_mode: bool, out: &mut String) {
    match node {
        Node::Literal(literal) => out.push(literal),
        Node::Pattern(Pattern::Comma | Pattern::Group | Pattern::Minus | Pattern::Plus) => {
            if !fill_mode {
                out.push(' ');
            }
        }
        Node::Pattern(Pattern::Currency) => out.push(' '),
        // PostgreSQL writes the sign, which is none: its output ends at that zero byte.
        Node::Pattern(Pattern::PlusOrMinus) => out.push('\0'),
        Node::Pattern(_) => {}
    }
}

fn roman(value: i32) -> String {
    if !(1..=MAX_ROMAN).contains(&value) {
        return "#".repeat(ROMAN_WIDTH);
    }
    let mut left = value;
    let mut numeral = String::new();
    for (worth, letters) in [
        (1_000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ] {
        while left >= worth {
            numeral.push_str(letters);
            left -= worth;
        }
    }
    numeral
}

fn write_integer(mut template: Template, value: i64) -> SqlResult<String> {
    if template.multiplied {
        template.before += template.shift;
    }
    let mut text = value.to_string();
    if template.after > 0 {
        text.push('.');
        text.extend(std::iter::repeat_n('0', template.after));
    }
    write_decimal(template, &text)
}

/// Writes a number given as text with as many decimals as the template has.
fn write_decimal(template: Template, text: &str) -> SqlResult<String> {
    let (negative, text) =
        text.strip_prefix('-').map_or((false, text), |absolute| (true, absolute));
    let length = text.find('.').unwrap_or(text.len());
    let number = if length > template.before {
        format!("{}.{}", "#".repeat(template.before), "#".repeat(template.after))
    } else {
        text.to_owned()
    };
    let blanks = template.before.saturating_sub(length);
    Writer::new(template, number.into_bytes(), negative, blanks).write()
}

/// The state of laying a number out.
struct Writer {
    template: Template,
    number: Vec<u8>,
    negative: bool,
    /// How many digit positions stand before the first digit.
    blanks: usize,
    /// The next byte of the number.
    at: usize,
    /// The last byte of the number that `FM` writes, where it drops zeros.
    last_relevant: Option<usize>,
    /// Digit positions and points passed.
    position: usize,
    /// What `position` counts to.
    positions: usize,
    /// Whether a digit has just been written: groups are separated only after one.
    inside: bool,
    sign_written: bool,
    out: Vec<u8>,
}

impl Writer {
    fn new(mut template: Template, number: Vec<u8>, negative: bool, blanks: usize) -> Self {
        let sign_written = if template.plus || template.minus {
            !template.plus || template.minus
        } else {
            if !negative && template.fill_mode {
                template.bracket = false;
            }
            if template.sign_place == SignPlace::Before && template.before == template.before_sign {
                template.sign_place = SignPlace::After;
            }
            !negative && template.fill_mode && !template.sign
        };
        let last_relevant = if template.fill_mode && template.point {
            last_relevant(&number).map(|last| {
                if template.zero_end > blanks {
                    last.max((template.zero_end - blanks).min(number.len().saturating_sub(1)))
                } else {
                    last
                }
            })
        } else {
            None
        };
        let signs = usize::from(!sign_written && blanks == 0);
        let positions = template.before + template.after + signs;
        Self {
            template,
            number,
            negative,
            blanks,
            at: 0,
            last_relevant,
            position: 0,
            positions,
            inside: false,
            sign_written,
            out: Vec::new(),
        }
    }

    fn write(mut self) -> SqlResult<String> {
        for node in std::mem::take(&mut self.template.nodes) {
            match node {
                Node::Literal(literal) => {
                    self.out.extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Node::Pattern(pattern) => self.write_pattern(pattern)?,
            }
        }
        // Like PostgreSQL's, the output ends where the digits of a shortened number do.
        let end = self.out.iter().position(|byte| *byte == 0).unwrap_or(self.out.len());
        self.out.truncate(end);
        Ok(String::from_utf8_lossy(&self.out).into_owned())
    }

    fn write_pattern(&mut self, pattern: Pattern) -> SqlResult<()> {
        let fill_mode = self.template.fill_mode;
        let or_blank = |byte: u8, shown: bool| {
            if shown { Some(byte) } else { (!fill_mode).then_some(b' ') }
        };
        match pattern {
            Pattern::Nine | Pattern::Zero | Pattern::Point => {
                self.write_position(pattern == Pattern::Zero);
            }
            Pattern::Comma | Pattern::Group => self.out.extend(or_blank(b',', self.inside)),
            Pattern::Currency => self.out.push(b' '),
            Pattern::OrdinalUpper | Pattern::OrdinalLower => {
                if self.number.first() != Some(&b'#') && !self.negative && !self.template.point {
                    let ordinal = ordinal(&self.number)?;
                    let upper = pattern == Pattern::OrdinalUpper;
                    let ordinal =
                        if upper { ordinal.to_ascii_uppercase() } else { ordinal.to_owned() };
                    self.out.extend_from_slice(ordinal.as_bytes());
                }
            }
            Pattern::Minus => self.out.extend(or_blank(b'-', self.negative)),
            Pattern::Plus => self.out.extend(or_blank(b'+', !self.negative)),
            Pattern::PlusOrMinus => self.out.push(self.sign()),
            Pattern::Blank
            | Pattern::NoEffect
            | Pattern::Exponent
            | Pattern::FillMode
            | Pattern::Bracket
            | Pattern::RomanUpper
            | Pattern::RomanLower
            | Pattern::Sign
            | Pattern::Shift => {}
        }
        Ok(())
    }

    fn sign(&self) -> u8 {
        if self.negative { b'-' } else { b'+' }
    }

    /// Whether the next digit is the zero before the point, which only `0` writes.
    fn is_leading_zero(&self) -> bool {
        !self.template.zero
            && self.at == 0
            && self.number.first() == Some(&b'0')
            && self.template.after != 0
    }

    /// Whether nothing after the point is written.
    fn is_cut_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&b'.'))
    }

    fn write_position(&mut self, zero: bool) {
        self.inside = false;
        let starts_zero = self.template.zero && self.template.zero_start == self.position;
        if !self.sign_written
            && (self.position >= self.blanks || starts_zero)
            && (!self.is_leading_zero() || self.is_cut_at_point())
        {
            self.write_sign_before();
        }
        let fill_mode = self.template.fill_mode;
        if self.position < self.blanks
            && (self.template.zero_start > self.position || !self.template.zero)
        {
            if !fill_mode {
                self.out.push(b' ');
            }
        } else if self.template.zero && self.position < self.blanks {
            self.out.push(b'0');
            self.inside = true;
        } else {
            self.write_digit(zero);
        }
        self.write_sign_after();
        self.position += 1;
    }

    fn write_sign_before(&mut self) {
        if self.template.sign {
            if self.template.sign_place == SignPlace::Before {
                self.out.push(self.sign());
                self.sign_written = true;
            }
            return;
        }
        if self.template.bracket {
            self.out.push(if self.negative { b'<' } else { b' ' });
        } else if self.negative {
            self.out.push(b'-');
        } else if !self.template.fill_mode {
            self.out.push(b' ');
        }
        self.sign_written = true;
    }

    fn write_digit(&mut self, zero: bool) {
        let digit = self.number.get(self.at).copied();
        let fill_mode = self.template.fill_mode;
        if digit == Some(b'.') {
            if !self.is_cut_at_point() || fill_mode {
                self.out.push(b'.');
            }
        } else if self.last_relevant.is_some_and(|last| self.at > last) && !zero {
            // `FM` drops the zeros at the end.
        } else if self.is_leading_zero() {
            if !fill_mode {
                self.out.push(b' ');
            } else if self.is_cut_at_point() {
                self.out.push(b'0');
            }
        } else {
            self.out.push(digit.unwrap_or(0));
            self.inside = true;
        }
        if digit.is_some() {
            self.at += 1;
        }
    }

    /// After the last position, the sign that belongs there.
    fn write_sign_after(&mut self) {
        // A position each, the place of a sign, the point; the last of them is reached here.
        let end = self.positions + usize::from(self.blanks > 0) + usize::from(self.template.point);
        if self.position + 2 != end || self.last_relevant == Some(self.at) {
            return;
        }
        if self.sign_written && self.template.bracket {
            self.out.push(if self.negative { b'>' } else { b' ' });
        } else if self.template.sign && self.template.sign_place == SignPlace::After {
            self.out.push(self.sign());
        }
    }
}

/// The last byte that is not a zero at the end of the fraction; nothing without a point.
fn last_relevant(number: &[u8]) -> Option<usize> {
    let point = number.iter().position(|byte| *byte == b'.')?;
    Some(
        number[point + 1..]
            .iter()
            .rposition(|byte| *byte != b'0')
            .map_or(point, |at| point + 1 + at),
    )
}

/// The English ending of the ordinal.
fn ordinal(number: &[u8]) -> SqlResult<&'static str> {
    let (last, before) = match number {
        [.., before, last] => (*last, *before),
        [last] => (*last, b'0'),
        [] => (b' ', b'0'),
    };
    if !last.is_ascii_digit() {
        return Err(SqlError::new(
            SqlState::InvalidTextRepresentation,
            format!("\"{}\" is not a number", String::from_utf8_lossy(number)),
        ));
    }
    Ok(match last {
        b'1' if before != b'1' => "st",
        b'2' if before != b'1' => "nd",
        b'3' if before != b'1' => "rd",
        _ => "th",
    })
}
