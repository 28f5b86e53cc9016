//! What a frontend's messages say, borrowed from their frames.
//!
//! [`Fields`] takes a body apart as PostgreSQL's `pq_getmsg…` do, with their words where something is
//! missing or left over. Numbers are big-endian; strings end with a zero byte and are strict UTF-8.

use aegis_types::{Oid, SqlError, SqlResult, SqlState, text};

/// A body that is being taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ProtocolViolation, message)
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn take(&mut self, length: usize) -> SqlResult<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| violation("insufficient data left in message"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> SqlResult<[u8; N]> {
        Ok(*self.take(N)?.first_chunk().expect("as many bytes were taken"))
    }

    pub(crate) fn byte(&mut self) -> SqlResult<u8> {
        // PostgreSQL has words of its own where not even one byte is left.
        self.array::<1>().map(|byte| byte[0]).map_err(|_| violation("no data left in message"))
    }

    pub(crate) fn int2(&mut self) -> SqlResult<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn int4(&mut self) -> SqlResult<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A count of two bytes: PostgreSQL reads it as signed, and loops over nothing if negative.
    pub(crate) fn count(&mut self) -> SqlResult<usize> {
        self.int2().map(|count| usize::try_from(count).unwrap_or(0))
    }

    pub(crate) fn string(&mut self) -> SqlResult<&'a str> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| violation("invalid string in message"))?;
        let string = text::from_utf8(&self.rest[..end])?;
        self.rest = &self.rest[end + 1..];
        Ok(string)
    }

    /// A length and as many bytes; `None` for the length -1.
    pub(crate) fn value(&mut self) -> SqlResult<Option<&'a [u8]>> {
        match self.int4()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| violation("insufficient data left in message"))?;
                self.take(length).map(Some)
            }
        }
    }

    pub(crate) fn end(&self) -> SqlResult<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(violation("invalid message format")) }
    }
}

/// A body that is one string: Query, CopyFail.
pub(crate) fn one_string(body: &[u8]) -> SqlResult<&str> {
    let mut fields = Fields::new(body);
    let string = fields.string()?;
    fields.end()?;
    Ok(string)
}

/// `P`: Parse.
#[derive(Debug)]
pub(crate) struct Parse<'a> {
    pub(crate) name: &'a str,
    pub(crate) query: &'a str,
    /// The types that the client fixes; 0 leaves one open.
    pub(crate) types: Vec<Oid>,
}

impl<'a> Parse<'a> {
    pub(crate) fn read(body: &'a [u8]) -> SqlResult<Self> {
        let mut fields = Fields::new(body);
        let name = fields.string()?;
        let query = fields.string()?;
        let count = fields.count()?;
        let types = (0..count)
            .map(|_| fields.array().map(|oid| Oid(u32::from_be_bytes(oid))))
            .collect::<SqlResult<_>>()?;
        fields.end()?;
        Ok(Self { name, query, types })
    }
}

/// `D`: Describe, and `C`: Close.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// `S` or `P`, or anything else.
    pub(crate) kind: u8,
    pub(crate) name: &'a str,
}

impl<'a> Target<'a> {
    pub(crate) fn read(body: &'a [u8]) -> SqlResult<Self> {
        let mut fields = Fields::new(body);
        let kind = fields.byte()?;
        let name = fields.string()?;
        fields.end()?;
        Ok(Self { kind, name })
    }
}

/// `E`: Execute.
#[derive(Debug)]
pub(crate) struct Execute<'a> {
    pub(crate) portal: &'a str,
    /// How many rows at most; `None` for all.
    pub(crate) rows_max: Option<u64>,
}

impl<'a> Execute<'a> {
    pub(crate) fn read(body: &'a [u8]) -> SqlResult<Self> {
        let mut fields = Fields::new(body);
        let portal = fields.string()?;
        // Zero and, as in PostgreSQL, a negative number ask for all.
        let rows_max = u64::try_from(fields.int4()?).ok().filter(|rows| *rows > 0);
        fields.end()?;
        Ok(Self { portal, rows_max })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_is_read_whole_or_refused() {
        let body = b"s\0SELECT $1\0\0\x01\0\0\0\x17";
        let parse = Parse::read(body).expect("it is well formed");
        assert_eq!((parse.name, parse.query, parse.types), ("s", "SELECT $1", vec![Oid(23)]));
        for end in 0..body.len() {
            let error = Parse::read(&body[..end]).expect_err("something is missing");
            assert_eq!(error.code(), SqlState::ProtocolViolation);
        }
        let longer = Parse::read(b"\0\0\0\0!").expect_err("something is left over");
        assert_eq!(longer.fields().message, "invalid message format");
    }

    #[test]
    fn strings_are_strict() {
        let error = one_string(b"SELECT '\xff'\0").expect_err("this is not UTF-8");
        assert_eq!(error.fields().message, "invalid byte sequence for encoding \"UTF8\": 0xff");
        let error = one_string(b"SELECT 1").expect_err("nothing ends it");
        assert_eq!(error.fields().message, "invalid string in message");
        let error = one_string(b"SELECT 1\0;\0").expect_err("a zero byte ends it early");
        assert_eq!(error.fields().message, "invalid message format");
    }

    proptest! {
        #[test]
        fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _parse = Parse::read(&body);
            let _target = Target::read(&body);
            let _execute = Execute::read(&body);
            let mut fields = Fields::new(&body);
            while fields.value().is_ok() {}
        }
    }
}
