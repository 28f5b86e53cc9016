//! The writing side of COPY: values' text forms in, lines out.

use super::options::{CopyFormat, CopyOptions, ForcedColumns};

/// Writes the rows of a `COPY … TO` in text or csv.
pub struct CopyWriter {
    options: CopyOptions,
    force_quote: Vec<bool>,
}

impl CopyWriter {
    /// Makes ready to write rows of these columns.
    #[must_use]
    pub fn new(options: CopyOptions, columns: &[String]) -> Self {
        let force_quote = columns
            .iter()
            .map(|column| match &options.force_quote {
                ForcedColumns::All => true,
                ForcedColumns::Named(names) => names.contains(column),
            })
            .collect();
        Self { options, force_quote }
    }

    /// How many columns a row has.
    #[must_use]
    pub fn column_count(&self) -> usize {
        self.force_quote.len()
    }

    /// Appends the line of the columns' names.
    pub fn header(&self, columns: &[String], out: &mut Vec<u8>) {
        for (at, name) in columns.iter().enumerate() {
            if at > 0 {
                out.push(self.options.delimiter);
            }
            match self.options.format {
                CopyFormat::Text | CopyFormat::Binary => self.text(name.as_bytes(), out),
                CopyFormat::Csv => self.csv(name.as_bytes(), false, out),
            }
        }
        out.push(b'\n');
    }

    /// Appends the field of a column, by its place from 0; the caller asks for all in order, then
    /// for [`Self::end_row`]. `None` is NULL.
    pub fn field(&self, at: usize, value: Option<&[u8]>, out: &mut Vec<u8>) {
        if at > 0 {
            out.push(self.options.delimiter);
        }
        match (value, self.options.format) {
            (None, _) => out.extend_from_slice(self.options.null.as_bytes()),
            (Some(value), CopyFormat::Text | CopyFormat::Binary) => self.text(value, out),
            (Some(value), CopyFormat::Csv) => self.csv(value, self.force_quote[at], out),
        }
    }

    /// Ends the row.
    pub fn end_row(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    fn text(&self, value: &[u8], out: &mut Vec<u8>) {
        for byte in value {
            let escaped = match byte {
                0x08 => b'b',
                0x0c => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x0b => b'v',
                b'\\' => b'\\',
                byte if *byte == self.options.delimiter => *byte,
                plain => {
                    out.push(*plain);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', escaped]);
        }
    }

    fn csv(&self, value: &[u8], force_quote: bool, out: &mut Vec<u8>) {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        let alone = self.force_quote.len() == 1;
        let needs_quotes = force_quote
            || value == self.options.null.as_bytes()
            // Alone on a line it would be the end marker.
            || (alone && value == b"\\.")
            || value
                .iter()
                .any(|byte| *byte == delimiter || *byte == quote || matches!(byte, b'\n' | b'\r'));
        if !needs_quotes {
            out.extend_from_slice(value);
            return;
        }
        out.push(quote);
        for byte in value {
            if *byte == quote || *byte == escape {
                out.push(escape);
            }
            out.push(*byte);
        }
        out.push(quote);
    }
}
