//! The text forms of jsonb: in one line, and indented.

use super::node::{Node, Value};
use crate::json::write_string;

impl Node<'_> {
    /// Appends the text form as PostgreSQL prints it: one line, a blank after each comma and colon.
    pub fn write_text(self, out: &mut Vec<u8>) {
        match self.value() {
            Value::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    element.write_text(out);
                }
                out.push(b']');
            }
            Value::Object(fields) => {
                out.push(b'{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    write_string(key, out);
                    out.extend_from_slice(b": ");
                    value.write_text(out);
                }
                out.push(b'}');
            }
            scalar => self.write_scalar(&scalar, out),
        }
    }

    /// Appends the text form that `jsonb_pretty` gives: a line an element, four blanks a level.
    pub fn write_pretty(self, out: &mut Vec<u8>) {
        self.write_indented(0, out);
    }

    fn write_indented(self, level: usize, out: &mut Vec<u8>) {
        let line = |level: usize, out: &mut Vec<u8>| {
            out.push(b'\n');
            out.resize(out.len() + 4 * level, b' ');
        };
        match self.value() {
            Value::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    line(level + 1, out);
                    element.write_indented(level + 1, out);
                }
                line(level, out);
                out.push(b']');
            }
            Value::Object(fields) => {
                out.push(b'{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    line(level + 1, out);
                    write_string(key, out);
                    out.extend_from_slice(b": ");
                    value.write_indented(level + 1, out);
                }
                line(level, out);
                out.push(b'}');
            }
            scalar => self.write_scalar(&scalar, out),
        }
    }

    fn write_scalar(self, scalar: &Value<'_>, out: &mut Vec<u8>) {
        match scalar {
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::String(text) => write_string(text, out),
            Value::Number => {
                if let Some(decimal) = self.as_decimal() {
                    decimal.write_text(out);
                }
            }
            Value::Null | Value::Array(_) | Value::Object(_) => out.extend_from_slice(b"null"),
        }
    }

    /// The text that `->>` gives: a string itself, NULL for `null`, all else as printed.
    #[must_use]
    pub fn as_text(self) -> Option<String> {
        match self.value() {
            Value::Null => None,
            Value::String(text) => Some(text.to_owned()),
            _ => {
                let mut out = Vec::new();
                self.write_text(&mut out);
                Some(String::from_utf8(out).expect("jsonb prints as UTF-8"))
            }
        }
    }
}
