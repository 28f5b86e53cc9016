//! The output buffer, and the messages of a backend.
//!
//! ```text
//! begin('D') ──► 44 .. .. .. ..   body is appended   end() ──► 44 00 00 00 0b …
//! ```
//!
//! A message's length is patched in when it ends. [`Output::discard_unfinished`] takes back what a
//! panic left half written, so that the client's last message is whole.

use aegis_types::{ErrorFields, SqlError, SqlResult, SqlState};

use super::frame::PROTOCOL_MESSAGE_BYTES_MAX;

/// Bytes on their way to the client.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// Where the message that is being written begins.
    unfinished: Option<usize>,
}

impl Output {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what has been written, and the memory of an unusually large message.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(4 * super::OUTPUT_BYTES);
    }

    pub(crate) fn discard_unfinished(&mut self) {
        if let Some(start) = self.unfinished.take() {
            self.bytes.truncate(start);
        }
    }

    fn begin(&mut self, kind: u8) {
        assert!(self.unfinished.is_none(), "the message before has ended");
        self.unfinished = Some(self.bytes.len());
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// Ends the message. One that no client could take is removed again.
    fn end(&mut self) -> SqlResult<()> {
        let start = self.unfinished.take().expect("every end has its begin");
        let length = self.bytes.len() - start - 1;
        match u32::try_from(length) {
            Ok(wire_length) if length <= PROTOCOL_MESSAGE_BYTES_MAX => {
                self.bytes[start + 1..start + 5].copy_from_slice(&wire_length.to_be_bytes());
                Ok(())
            }
            _ => {
                self.bytes.truncate(start);
                Err(SqlError::new(
                    SqlState::ProgramLimitExceeded,
                    format!(
                        "message of {length} bytes exceeds the maximum allowed length ({PROTOCOL_MESSAGE_BYTES_MAX} bytes)"
                    ),
                ))
            }
        }
    }

    fn end_short(&mut self) {
        self.end().expect("a message of this kind is bounded by the input that it answers");
    }

    fn int2(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn int4(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn string(&mut self, value: &str) {
        // Names and messages of ours hold no zero byte, since no text may; what follows one would
        // be taken for the next field.
        self.bytes.extend(value.bytes().filter(|byte| *byte != 0));
        self.bytes.push(0);
    }

    fn empty(&mut self, kind: u8) {
        self.begin(kind);
        self.end_short();
    }

    /// `S` without a frame: encryption comes next.
    pub(crate) fn accept_encryption(&mut self) {
        self.bytes.push(b'S');
    }

    /// `R`, a request for proof: what kind, and what belongs to it.
    pub(crate) fn authentication(&mut self, kind: i32, data: &[u8]) {
        self.begin(b'R');
        self.int4(kind);
        self.bytes.extend_from_slice(data);
        self.end_short();
    }

    /// `N` without a frame: no encryption.
    pub(crate) fn refuse_encryption(&mut self) {
        self.bytes.push(b'N');
    }

    /// `R`, AuthenticationOk.
    pub(crate) fn authentication_ok(&mut self) {
        self.begin(b'R');
        self.int4(0);
        self.end_short();
    }

    /// `v`, NegotiateProtocolVersion: the newest minor version, and the options not understood.
    pub(crate) fn negotiate_protocol_version(&mut self, version: i32, options: &[&str]) {
        self.begin(b'v');
        self.int4(version);
        self.int4(i32::try_from(options.len()).expect("a startup packet is short"));
        for option in options {
            self.string(option);
        }
        self.end_short();
    }

    /// `S`
    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.begin(b'S');
        self.string(name);
        self.string(value);
        self.end_short();
    }

    /// `K`
    pub(crate) fn backend_key_data(&mut self, process_id: i32, secret: i32) {
        self.begin(b'K');
        self.int4(process_id);
        self.int4(secret);
        self.end_short();
    }

    /// `Z`
    pub(crate) fn ready_for_query(&mut self, status: u8) {
        self.begin(b'Z');
        self.bytes.push(status);
        self.end_short();
    }

    /// `C`
    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.begin(b'C');
        self.string(tag);
        self.end_short();
    }

    /// `C` with a number of rows: `SELECT 5`.
    pub(crate) fn command_complete_rows(&mut self, tag: &str, rows: u64) {
        self.begin(b'C');
        self.bytes.extend_from_slice(tag.as_bytes());
        self.bytes.push(b' ');
        // Twenty digits hold any u64.
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = rows;
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).expect("a digit fits");
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(&digits[at..]);
        self.bytes.push(0);
        self.end_short();
    }

    /// `I`
    pub(crate) fn empty_query_response(&mut self) {
        self.empty(b'I');
    }

    /// `1`
    pub(crate) fn parse_complete(&mut self) {
        self.empty(b'1');
    }

    /// `2`
    pub(crate) fn bind_complete(&mut self) {
        self.empty(b'2');
    }

    /// `3`
    pub(crate) fn close_complete(&mut self) {
        self.empty(b'3');
    }

    /// `s`
    pub(crate) fn portal_suspended(&mut self) {
        self.empty(b's');
    }

    /// `A`
    pub(crate) fn notification(&mut self, process_id: i32, channel: &str, payload: &str) {
        self.begin(b'A');
        self.int4(process_id);
        self.string(channel);
        self.string(payload);
        self.end_short();
    }

    /// `n`
    pub(crate) fn no_data(&mut self) {
        self.empty(b'n');
    }

    /// `t`
    pub(crate) fn parameter_description(&mut self, oids: impl ExactSizeIterator<Item = u32>) {
        self.begin(b't');
        // 65,535 parameters are the most that Parse and Bind can name.
        self.bytes.extend_from_slice(&u16::try_from(oids.len()).unwrap_or(u16::MAX).to_be_bytes());
        for oid in oids {
            self.bytes.extend_from_slice(&oid.to_be_bytes());
        }
        self.end_short();
    }

    /// Begins `T`; [`Output::row_description_field`] for each column, then [`Output::finish`].
    pub(crate) fn row_description(&mut self, columns: usize) {
        self.begin(b'T');
        self.int2(i16::try_from(columns).expect("a target list has at most 1,664 entries"));
    }

    pub(crate) fn row_description_field(
        &mut self,
        name: &str,
        origin: (u32, i16),
        type_oid: u32,
        type_length: i16,
        typmod: i32,
        format: i16,
    ) {
        self.string(name);
        self.bytes.extend_from_slice(&origin.0.to_be_bytes());
        self.int2(origin.1);
        self.bytes.extend_from_slice(&type_oid.to_be_bytes());
        self.int2(type_length);
        self.int4(typmod);
        self.int2(format);
    }

    /// Begins `D`; [`Output::value`] for each column, then [`Output::finish`].
    pub(crate) fn data_row(&mut self, columns: usize) {
        self.begin(b'D');
        self.int2(i16::try_from(columns).expect("a target list has at most 1,664 entries"));
    }

    pub(crate) fn null(&mut self) {
        self.int4(-1);
    }

    /// A value that `write` appends.
    pub(crate) fn value(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let header = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        // Too long a value makes too long a message, which does not leave.
        let length = i32::try_from(self.bytes.len() - header - 4).unwrap_or(i32::MAX);
        self.bytes[header..header + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Ends what [`Output::row_description`] or [`Output::data_row`] began.
    pub(crate) fn finish(&mut self) -> SqlResult<()> {
        self.end()
    }

    /// `G` or `H`: CopyInResponse, CopyOutResponse.
    pub(crate) fn copy_response(&mut self, kind: u8, format: u8, columns: usize) {
        self.begin(kind);
        self.bytes.push(format);
        self.int2(i16::try_from(columns).expect("a table has at most 1,600 columns"));
        for _ in 0..columns {
            self.int2(i16::from(format));
        }
        self.end_short();
    }

    /// `d`
    pub(crate) fn copy_data(&mut self, data: &[u8]) -> SqlResult<()> {
        self.begin(b'd');
        self.bytes.extend_from_slice(data);
        self.end()
    }

    /// `c`
    pub(crate) fn copy_done(&mut self) {
        self.empty(b'c');
    }

    /// `E` or `N`. `position` counts characters from 1.
    pub(crate) fn report(
        &mut self,
        kind: u8,
        severity: &str,
        fields: &ErrorFields,
        position: Option<usize>,
    ) {
        self.begin(kind);
        let position = position.map(|position| position.to_string());
        let parts = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(fields.code.code())),
            (b'M', Some(fields.message.as_str())),
            (b'D', fields.detail.as_deref()),
            (b'H', fields.hint.as_deref()),
            (b'P', position.as_deref()),
            (b'W', fields.context.as_deref()),
            (b's', fields.schema.as_deref()),
            (b't', fields.table.as_deref()),
            (b'c', fields.column.as_deref()),
            (b'd', fields.data_type.as_deref()),
            (b'n', fields.constraint.as_deref()),
            (b'R', fields.routine),
        ];
        for (field, value) in parts {
            if let Some(value) = value {
                self.bytes.push(field);
                self.string(value);
            }
        }
        self.bytes.push(0);
        if self.end().is_err() {
            // Whatever the message was about, its length is the better news.
            let too_long = SqlError::new(SqlState::ProgramLimitExceeded, "error message too long");
            self.report(kind, severity, too_long.fields(), None);
        }
    }
}

/// The position of a byte of the text, in characters from 1, as field `P` has it.
pub(crate) fn character_position(source: &str, byte: u32) -> usize {
    let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(source.len());
    source.as_bytes()[..byte].iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_their_length() {
        let mut output = Output::default();
        output.command_complete_rows("SELECT", 1_234_567);
        output.ready_for_query(b'I');
        assert_eq!(output.as_slice(), b"C\0\0\0\x13SELECT 1234567\0Z\0\0\0\x05I");
    }

    #[test]
    fn a_row_holds_values_and_nulls() {
        let mut output = Output::default();
        output.data_row(2);
        output.value(|bytes| bytes.extend_from_slice(b"ab"));
        output.null();
        output.finish().expect("it is short");
        assert_eq!(output.as_slice(), b"D\0\0\0\x10\0\x02\0\0\0\x02ab\xff\xff\xff\xff");
    }

    #[test]
    fn an_unfinished_message_is_taken_back() {
        let mut output = Output::default();
        output.no_data();
        output.data_row(3);
        output.null();
        output.discard_unfinished();
        assert_eq!(output.as_slice(), b"n\0\0\0\x04");
    }

    #[test]
    fn errors_name_every_field_that_is_there() {
        let error = SqlError::new(SqlState::UniqueViolation, "m")
            .detail("d")
            .table("s", "t")
            .constraint("k");
        let mut output = Output::default();
        output.report(b'E', "ERROR", error.fields(), Some(3));
        assert_eq!(&output.as_slice()[5..], b"SERROR\0VERROR\0C23505\0Mm\0Dd\0P3\0ss\0tt\0nk\0\0");
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(character_position("é→x", 5), 3);
        assert_eq!(character_position("abc", 0), 1);
        assert_eq!(character_position("abc", 99), 4);
    }
}
