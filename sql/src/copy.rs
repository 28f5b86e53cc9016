//! The formats of COPY: options, reading and writing. It knows no table, no
//! transaction and no socket.
//!
//! ```text
//! CopyData, cut anywhere ──feed──► CopyReader ──next_row──► fields of one line ──► text_in
//!                                  (splits lines)
//! text_out ──► CopyWriter ──row──► one CopyData a row
//! ```

mod binary;
mod encoding;
mod fields;
mod options;
mod reader;
mod writer;

pub use binary::{BinaryReader, write_end, write_field, write_header, write_row};
pub use options::{CopyFormat, CopyHeader, CopyOptions, ForcedColumns};
pub use reader::{CopyReader, line_context};
pub use writer::CopyWriter;

#[cfg(test)]
mod tests;
