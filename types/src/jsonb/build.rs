//! Building values from the inside out: each container is laid out when it ends.

use super::number::{self, Decimal};
use super::{FORMAT_VERSION, Jsonb, Node, node};
use crate::error::{SqlError, SqlResult};
use crate::json::{self, DEPTH_MAX, Scalar};
use crate::sqlstate::SqlState;

/// Bytes that a container's contents may take, as in PostgreSQL (`JENTRY_OFFLENMASK`).
const CONTENTS_BYTES_MAX: usize = 0x0FFF_FFFF;

/// Builds a jsonb value, in the order in which its text would be read.
///
/// Of keys given twice the last counts. The methods must be called as a document is built, every
/// value of an object after its key: anything else is an error of ours and panics.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    open: Vec<Frame>,
    root: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Frame {
    is_object: bool,
    /// Of the containers within.
    height: usize,
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    data: Vec<u8>,
    ends: Vec<usize>,
}

impl Builder {
    /// A builder that was given nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held, for memory accounting.
    #[must_use]
    pub fn size(&self) -> usize {
        let frame = |frame: &Frame| {
            frame.keys.capacity()
                + frame.data.capacity()
                + (frame.key_ends.capacity() + frame.ends.capacity()) * size_of::<usize>()
        };
        self.root.capacity() + self.open.iter().map(frame).sum::<usize>()
    }

    /// An array begins.
    ///
    /// # Errors
    /// 54001 if it nests too deep.
    pub fn begin_array(&mut self) -> SqlResult<()> {
        self.begin(false)
    }

    /// An object begins.
    ///
    /// # Errors
    /// 54001 if it nests too deep.
    pub fn begin_object(&mut self) -> SqlResult<()> {
        self.begin(true)
    }

    fn begin(&mut self, is_object: bool) -> SqlResult<()> {
        if self.open.len() == DEPTH_MAX {
            return Err(json::too_deep());
        }
        self.open.push(Frame { is_object, ..Frame::default() });
        Ok(())
    }

    /// The key of the next value.
    ///
    /// # Errors
    /// 54000 if the object's keys take too many bytes.
    pub fn key(&mut self, key: &str) -> SqlResult<()> {
        let frame = self.open.last_mut().expect("a key is given within an object only");
        assert!(
            frame.is_object && frame.key_ends.len() == frame.ends.len(),
            "a key is given where a value of an object is to follow"
        );
        frame.keys.extend_from_slice(key.as_bytes());
        frame.key_ends.push(frame.keys.len());
        check_size(frame.keys.len(), true)
    }

    /// The innermost container ends.
    ///
    /// # Errors
    /// 54000 if it takes too many bytes, 54001 if it nests too deep.
    pub fn end(&mut self) -> SqlResult<()> {
        let frame = self.open.pop().expect("as many containers end as were begun");
        let bytes = frame.lay_out();
        // Less than the frame's, if the deepest value was of a key given again.
        let height = Node::validated(&bytes).height();
        self.put(height, |out| out.extend_from_slice(&bytes))
    }

    /// `null`
    ///
    /// # Errors
    /// 54000 if the container takes too many bytes; so for all values.
    pub fn null(&mut self) -> SqlResult<()> {
        self.put(0, |out| out.push(node::NULL))
    }

    /// `true` or `false`
    ///
    /// # Errors
    /// 54000
    pub fn bool(&mut self, value: bool) -> SqlResult<()> {
        self.put(0, |out| out.push(if value { node::TRUE } else { node::FALSE }))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 54000
    pub fn integer(&mut self, value: i64) -> SqlResult<()> {
        self.put(0, |out| number::write_integer(value, out))
    }

    /// A number as JSON's grammar has it.
    ///
    /// # Errors
    /// 54000, 22003 beyond the bounds of `numeric`.
    pub fn number(&mut self, text: &str) -> SqlResult<()> {
        // The commonest numbers need no digits taken apart. "-0" is left to the long way.
        if text.len() <= 18
            && !text.starts_with('-')
            && let Ok(value) = text.parse()
        {
            return self.integer(value);
        }
        let decimal = Decimal::parse(text)?;
        self.put(0, |out| decimal.write_node(out))
    }

    /// A string.
    ///
    /// # Errors
    /// 54000
    pub fn string(&mut self, text: &str) -> SqlResult<()> {
        if text.len() > CONTENTS_BYTES_MAX {
            return Err(SqlError::new(
                SqlState::ProgramLimitExceeded,
                "string too long to represent as jsonb string",
            )
            .detail(format!(
                "Due to an implementation restriction, jsonb strings cannot exceed \
                 {CONTENTS_BYTES_MAX} bytes."
            )));
        }
        self.put(0, |out| {
            out.push(node::STRING);
            out.extend_from_slice(text.as_bytes());
        })
    }

    /// A copy of a part of another value.
    ///
    /// # Errors
    /// 54000, 54001
    pub fn node(&mut self, node: Node<'_>) -> SqlResult<()> {
        self.put(node.height(), |out| out.extend_from_slice(node.bytes()))
    }

    fn put(&mut self, height: usize, write: impl FnOnce(&mut Vec<u8>)) -> SqlResult<()> {
        if self.open.len() + height > DEPTH_MAX {
            return Err(json::too_deep());
        }
        let Some(frame) = self.open.last_mut() else {
            assert!(self.root.is_empty(), "a document is one value");
            self.root.push(FORMAT_VERSION);
            write(&mut self.root);
            return Ok(());
        };
        write(&mut frame.data);
        frame.ends.push(frame.data.len());
        frame.height = frame.height.max(height);
        assert!(
            !frame.is_object || frame.key_ends.len() == frame.ends.len(),
            "every value of an object follows its key"
        );
        check_size(frame.data.len(), frame.is_object)
    }

    /// The value.
    ///
    /// # Errors
    /// None of its own; the signature leaves room for bounds on the whole.
    pub fn finish(self) -> SqlResult<Jsonb> {
        assert!(self.open.is_empty(), "every container has ended");
        assert!(!self.root.is_empty(), "a document is one value");
        Ok(Jsonb(self.root.into()))
    }
}

fn check_size(length: usize, is_object: bool) -> SqlResult<()> {
    if length <= CONTENTS_BYTES_MAX {
        return Ok(());
    }
    let what = if is_object { "object" } else { "array" };
    Err(SqlError::new(
        SqlState::ProgramLimitExceeded,
        format!(
            "total size of jsonb {what} elements exceeds the maximum of {CONTENTS_BYTES_MAX} bytes"
        ),
    ))
}

impl Frame {
    fn header(&self, tag: u8, code: u8, count: usize, contents: usize) -> Vec<u8> {
        let width = 1 << code;
        let runs = if self.is_object { 2 } else { 1 };
        let capacity = node::HEADER_BYTES + (1 + runs * count) * width + contents;
        let mut out = Vec::with_capacity(capacity);
        let height = u16::try_from(self.height + 1).expect("the depth is bounded by DEPTH_MAX");
        out.push(tag | code);
        out.extend_from_slice(&height.to_be_bytes());
        push_wide(count, width, &mut out);
        out
    }

    fn lay_out(self) -> Vec<u8> {
        if self.is_object { self.lay_out_object() } else { self.lay_out_array() }
    }

    fn lay_out_array(self) -> Vec<u8> {
        let code = node::width_code(self.data.len());
        let mut out = self.header(node::ARRAY, code, self.ends.len(), self.data.len());
        for end in &self.ends {
            push_wide(*end, 1 << code, &mut out);
        }
        out.extend_from_slice(&self.data);
        out
    }

    fn lay_out_object(self) -> Vec<u8> {
        let start = |ends: &[usize], at: usize| if at == 0 { 0 } else { ends[at - 1] };
        let key = |at: usize| &self.keys[start(&self.key_ends, at)..self.key_ends[at]];
        let value = |at: usize| &self.data[start(&self.ends, at)..self.ends[at]];
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        // Later first among equals, so that dropping repetitions keeps the last.
        order.sort_unstable_by(|&a, &b| node::key_order(key(a), key(b)).then(b.cmp(&a)));
        order.dedup_by(|later, first| key(*later) == key(*first));
        // A dropped value may have been the highest.
        let height = order.iter().map(|&at| Node::validated(value(at)).height()).max().unwrap_or(0);
        let keys_length: usize = order.iter().map(|&at| key(at).len()).sum();
        let values_length: usize = order.iter().map(|&at| value(at).len()).sum();
        let code = node::width_code(keys_length.max(values_length));
        let mut out = Self { height, is_object: true, ..Self::default() }.header(
            node::OBJECT,
            code,
            order.len(),
            keys_length + values_length,
        );
        let mut end = 0;
        for &at in &order {
            end += key(at).len();
            push_wide(end, 1 << code, &mut out);
        }
        end = 0;
        for &at in &order {
            end += value(at).len();
            push_wide(end, 1 << code, &mut out);
        }
        for &at in &order {
            out.extend_from_slice(key(at));
        }
        for &at in &order {
            out.extend_from_slice(value(at));
        }
        out
    }
}

/// Appends the low `width` bytes, the highest first.
fn push_wide(value: usize, width: usize, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    out.extend_from_slice(&bytes[bytes.len() - width..]);
}

impl json::Events for Builder {
    fn begin_object(&mut self) -> SqlResult<()> {
        self.begin_object()
    }

    fn begin_array(&mut self) -> SqlResult<()> {
        self.begin_array()
    }

    fn end(&mut self) -> SqlResult<()> {
        self.end()
    }

    fn key(&mut self, key: &str) -> SqlResult<()> {
        self.key(key)
    }

    fn scalar(&mut self, scalar: Scalar<'_>) -> SqlResult<()> {
        match scalar {
            Scalar::Null => self.null(),
            Scalar::Bool(value) => self.bool(value),
            Scalar::Number(text) => self.number(text),
            Scalar::String(text) => self.string(text),
        }
    }
}
