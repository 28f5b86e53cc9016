//! COPY's data, in both protocols.
//!
//! Where a COPY fails, what the client still sends is ignored: in the simple protocol because
//! CopyData, CopyDone and CopyFail mean nothing outside of a COPY, in the extended one because
//! everything up to Sync is.

use std::pin::pin;

use aegis_types::{SqlError, SqlState};

use super::Failure;
use super::connection::{Connection, watched};
use super::message::one_string;
use crate::session::{CopyIn, CopyOut};

impl Connection<'_> {
    /// `COPY … FROM STDIN`, up to CopyDone. Gives the tag.
    pub(super) async fn copy_in(&mut self, mut copy: Box<dyn CopyIn>) -> Result<String, Failure> {
        let (format, columns) = copy.format();
        self.socket.output.copy_response(b'G', format, columns);
        let flag = self.flag();
        loop {
            let Some(frame) = self.next_frame().await? else { return Err(Failure::Gone) };
            flag.check()?;
            match frame.kind {
                b'd' => {
                    let data = copy.data(&frame.body, &mut self.session);
                    watched(self.socket, &flag, pin!(data)).await?;
                    self.send_notices();
                }
                b'c' => {
                    let done = copy.done(&mut self.session);
                    return Ok(watched(self.socket, &flag, pin!(done)).await?);
                }
                b'f' => {
                    let reason = one_string(&frame.body)?;
                    return Err(SqlError::new(
                        SqlState::QueryCanceled,
                        format!("COPY from stdin failed: {reason}"),
                    )
                    .into());
                }
                // Clients of the extended protocol that pipeline have sent these already.
                b'H' | b'S' => {}
                kind => {
                    return Err(SqlError::new(
                        SqlState::ProtocolViolation,
                        format!("unexpected message type 0x{kind:02X} during COPY from stdin"),
                    )
                    .into());
                }
            }
        }
    }

    /// `COPY … TO STDOUT`. Gives the tag.
    pub(super) async fn copy_out(&mut self, mut copy: Box<dyn CopyOut>) -> Result<String, Failure> {
        let (format, columns) = copy.format();
        self.socket.output.copy_response(b'H', format, columns);
        let flag = self.flag();
        while let Some(rows) = watched(self.socket, &flag, pin!(copy.next())).await? {
            if rows.is_empty() {
                // There may be more one day: the client has what there is.
                self.socket.flush().await?;
            }
            for row in rows {
                self.socket.output.copy_data(&row)?;
                self.socket.flush_if_large().await?;
            }
            self.send_notices();
            flag.check()?;
        }
        self.socket.output.copy_done();
        Ok(copy.tag())
    }
}
