//! PostgreSQL's frontend/backend protocol 3.0 (PostgreSQL 15, chapter 55): our own connection loop.
//!
//! ```text
//!            input buffer                                        output buffer
//!  socket ──► ▓▓▓▓▓▓▓▓▓▓ ──► frame ──► message ──► connection ──► ░░░░░░░░ ──► socket
//!             length checked   a slice   borrowed      │  ▲          one write a Sync, a Flush,
//!             before buffered  of it     from it       ▼  │          an idle moment, or 64 KiB
//!                                                    session
//! ```
//!
//! A [`frame`] is a slice of the input buffer and a [`message`] borrows from its frame. Rows are
//! encoded by the types' output functions straight into the one [`output`] buffer, each length
//! patched in afterwards, so that no field is ever allocated. When the buffer passes
//! [`OUTPUT_BYTES`] the connection writes and waits: a slow reader holds up its own query, and
//! memory does not grow.
//!
//! One task serves one connection, and while a session's future runs it is never dropped: whoever
//! wants it to stop (a CancelRequest, `statement_timeout`, shutdown, a client that is gone) sets the
//! statement's [`aegis_sql::query_engine::CancelFlag`] and the statement ends itself. That is why
//! cancelling works even while a query holds the thread.
//!
//! ```text
//!   startup ──► ready ◄───────────────── Sync, end of Query ──────────────────┐
//!                 │ Query: simple        Parse, Bind, Describe, Execute, Close │
//!                 ├──────► statements ─────────────────────────────────────────┤
//!                 │ extended: an error ──► skipping (all but Sync, Terminate) ─┘
//!                 └ CopyInResponse ──► CopyData… CopyDone or CopyFail ──► back where it was
//! ```
//!
//! What this module refuses: to know what a statement means (that is [`crate::session`]), to keep
//! plaintext across an answered SSLRequest, and to buffer what a client has merely announced.
//! It is written from scratch rather than on a protocol crate because results stream, suspend and
//! are cancelled here at the granularity of a batch.

pub mod frame;
pub(crate) mod message;
pub(crate) mod output;
pub(crate) mod startup;
mod socket;
mod connection;
mod simple;
mod extended;
mod portal;
mod rows;
mod copy;

pub(crate) use connection::{Connection, Failure, report};
pub(crate) use socket::Socket;

/// How much output collects before it is written in the middle of a result.
pub(crate) const OUTPUT_BYTES: usize = 64 * 1024;

/// How much input is read ahead while a statement runs.
pub(crate) const READ_AHEAD_BYTES: usize = 64 * 1024;
