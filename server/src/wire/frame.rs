//! Frames: where one message ends and the next begins.
//!
//! ```text
//! startup:   length(4) code(4) body…             afterwards:   type(1) length(4) body…
//! ```
//!
//! The length counts itself. It is checked as soon as its four bytes are there, before anything
//! behind them is waited for. Nothing here reads a socket or looks into a body.

use bytes::{Buf, Bytes, BytesMut};

/// The longest startup packet, as in PostgreSQL.
pub const STARTUP_BYTES_MAX: usize = 10_000;

/// The longest message of the types that carry no data of the user's, as in PostgreSQL.
pub const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;

/// The longest message of the types that do, unless configured otherwise.
pub const LARGE_MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest message that the protocol allows at all: PostgreSQL's largest allocation.
pub const PROTOCOL_MESSAGE_BYTES_MAX: usize = 0x3fff_fffe;

/// A message: its type and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The type byte, one that a frontend may send.
    pub kind: u8,
    /// What follows the length: a slice of the input buffer.
    pub body: Bytes,
}

/// Why a frame cannot be taken. The stream is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No frontend sends a message of this type.
    InvalidType(u8),
    /// Shorter than its own length, or longer than the protocol allows.
    InvalidLength,
    /// Longer than this server takes.
    TooLong {
        /// What was announced.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
}

/// Takes the startup packet off the front of the buffer; `None` until it is complete.
///
/// # Errors
/// [`FrameError::InvalidLength`].
pub fn take_startup(input: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(header) = input.first_chunk::<4>() else { return Ok(None) };
    let length = announced(*header).ok_or(FrameError::InvalidLength)?;
    // The length itself, and the code that every startup packet begins with.
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(FrameError::InvalidLength);
    }
    if input.len() < length {
        return Ok(None);
    }
    let mut packet = input.split_to(length);
    packet.advance(4);
    Ok(Some(packet.freeze()))
}

/// Takes a client's answer to a request for proof (`p`) off the front of the buffer; `None` until it
/// is complete.
///
/// # Errors
/// Any [`FrameError`], as soon as the header shows it.
pub fn take_answer(input: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
    match input.first() {
        None => return Ok(None),
        Some(b'p') => {}
        Some(kind) => return Err(FrameError::InvalidType(*kind)),
    }
    let Some(header) = input.get(1..).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
    let length = announced(*header).filter(|length| (4..=bytes_max).contains(length));
    let length = length.ok_or(FrameError::InvalidLength)?;
    if input.len() < 1 + length {
        return Ok(None);
    }
    let mut message = input.split_to(1 + length);
    message.advance(5);
    Ok(Some(message.freeze()))
}

/// Takes a message off the front of the buffer; `None` until it is complete.
///
/// # Errors
/// Any [`FrameError`], as soon as the header shows it.
pub fn take(input: &mut BytesMut, large_bytes_max: usize) -> Result<Option<Frame>, FrameError> {
    let Some(&kind) = input.first() else { return Ok(None) };
    let bytes_max = bytes_max(kind, large_bytes_max).ok_or(FrameError::InvalidType(kind))?;
    let Some(header) = input.get(1..).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
    let length = announced(*header).ok_or(FrameError::InvalidLength)?;
    if !(4..=PROTOCOL_MESSAGE_BYTES_MAX).contains(&length) {
        return Err(FrameError::InvalidLength);
    }
    if length > bytes_max {
        return Err(if bytes_max == SMALL_MESSAGE_BYTES_MAX {
            FrameError::InvalidLength
        } else {
            FrameError::TooLong { bytes: length, bytes_max }
        });
    }
    if input.len() < 1 + length {
        return Ok(None);
    }
    let mut message = input.split_to(1 + length);
    message.advance(5);
    Ok(Some(Frame { kind, body: message.freeze() }))
}

fn announced(header: [u8; 4]) -> Option<usize> {
    usize::try_from(i32::from_be_bytes(header)).ok()
}

/// How long a message of this type may be; `None` for what no frontend sends once it is let in.
fn bytes_max(kind: u8, large_bytes_max: usize) -> Option<usize> {
    match kind {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Some(large_bytes_max.max(SMALL_MESSAGE_BYTES_MAX + 1)),
        b'E' | b'D' | b'C' | b'H' | b'S' | b'X' | b'c' | b'f' => Some(SMALL_MESSAGE_BYTES_MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&u32::try_from(body.len() + 4).expect("it is short").to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_length_is_judged_before_its_body_arrives() {
        let judge = |bytes: &[u8]| take(&mut BytesMut::from(bytes), LARGE_MESSAGE_BYTES_MAX);
        assert_eq!(judge(b"!"), Err(FrameError::InvalidType(b'!')));
        assert_eq!(judge(b"Q\0\0\0\x03"), Err(FrameError::InvalidLength));
        assert_eq!(judge(b"Q\xff\xff\xff\xff"), Err(FrameError::InvalidLength));
        assert_eq!(judge(b"Q\x7f\xff\xff\xff"), Err(FrameError::InvalidLength));
        assert_eq!(judge(b"S\0\0\x27\x11"), Err(FrameError::InvalidLength));
        assert_eq!(
            judge(b"Q\x10\0\0\x01"),
            Err(FrameError::TooLong { bytes: 0x1000_0001, bytes_max: LARGE_MESSAGE_BYTES_MAX })
        );
        assert_eq!(judge(b"Q\x10\0\0\0"), Ok(None));
        let startup = |bytes: &[u8]| take_startup(&mut BytesMut::from(bytes));
        assert_eq!(startup(b"\0\0\0\x07"), Err(FrameError::InvalidLength));
        assert_eq!(startup(b"\0\0\x27\x11"), Err(FrameError::InvalidLength));
        assert_eq!(startup(b"\0\0\x27\x10"), Ok(None));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_never_grow(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = take(&mut input, 1 << 20) {
                prop_assert!(frame.body.len() + input.len() < bytes.len());
            }
            let _judged = take_startup(&mut BytesMut::from(&bytes[..]));
        }

        #[test]
        fn frames_are_the_same_however_they_are_split(
            sent in prop::collection::vec(
                (prop::sample::select(b"QPBEDCHSXFdcf".to_vec()), prop::collection::vec(any::<u8>(), 0..60)),
                0..8,
            ),
            cuts in prop::collection::vec(1_usize..20, 0..200),
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|(kind, body)| message(*kind, body)).collect();
            let mut input = BytesMut::new();
            let mut got = Vec::new();
            let mut rest = stream.as_slice();
            let mut cuts = cuts.into_iter().chain(std::iter::repeat(7));
            while !rest.is_empty() {
                let at = cuts.next().unwrap_or(7).min(rest.len());
                input.extend_from_slice(&rest[..at]);
                rest = &rest[at..];
                while let Some(frame) = take(&mut input, 1 << 20).expect("what was sent is valid") {
                    got.push((frame.kind, frame.body.to_vec()));
                }
            }
            prop_assert!(input.is_empty());
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn arbitrary_bytes_mean_the_same_however_they_are_split(
            bytes in prop::collection::vec(
                prop_oneof![3 => Just(0_u8), 1 => prop::sample::select(b"QPBEDCHSX".to_vec()), 1 => any::<u8>()],
                0..300,
            ),
            cuts in prop::collection::vec(1_usize..20, 0..300),
        ) {
            let whole = read(&[&bytes]);
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert_eq!(read(&pieces), whole);
        }
    }

    /// The frames of a stream that arrives in pieces, and the error that ends it.
    fn read(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
        let mut input = BytesMut::new();
        let mut frames = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match take(&mut input, 1 << 20) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    }
}
