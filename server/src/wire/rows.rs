//! Results on their way out: descriptions of columns, and rows encoded into the output buffer.

use std::pin::pin;
use std::sync::Arc;

use aegis_sql::query_engine::{RowBatch, RowStream};
use aegis_types::{Datum, EvalContext, SqlResult, io};

use super::Failure;
use super::connection::{Connection, watched};
use super::output::Output;
use crate::session::ResultColumn;
use crate::session::portal::{Format, Formats, PortalTag};

/// Rows that are being sent, perhaps in several portions.
pub(super) struct RowCursor {
    columns: Arc<[ResultColumn]>,
    /// `None` once it has ended.
    stream: Option<Box<dyn RowStream>>,
    batch: Option<Box<dyn RowBatch>>,
    /// The row of the batch that goes next.
    next_row: usize,
    tag: PortalTag,
}

/// How far a portion got.
pub(super) struct Portion {
    rows: u64,
    pub(super) at_end: bool,
}

impl RowCursor {
    pub(super) fn of_portal(
        tag: PortalTag,
        columns: Arc<[ResultColumn]>,
        rows: Box<dyn RowStream>,
    ) -> Self {
        Self { columns, stream: Some(rows), batch: None, next_row: 0, tag }
    }

    pub(super) fn streaming(
        tag: &'static str,
        columns: Arc<[ResultColumn]>,
        rows: Box<dyn RowStream>,
    ) -> Self {
        Self { columns, stream: Some(rows), batch: None, next_row: 0, tag: PortalTag::Counted(tag) }
    }

    pub(super) fn returned(
        tag: String,
        columns: Arc<[ResultColumn]>,
        rows: Box<dyn RowStream>,
    ) -> Self {
        Self { columns, stream: Some(rows), batch: None, next_row: 0, tag: PortalTag::Whole(tag) }
    }

    pub(super) fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    /// CommandComplete after the last portion.
    pub(super) fn complete(&self, portion: &Portion, output: &mut Output) {
        match &self.tag {
            PortalTag::Counted(word) => output.command_complete_rows(word, portion.rows),
            PortalTag::Whole(tag) => output.command_complete(tag),
        }
    }

    /// Appends rows of the batch at hand, until there are `rows_max` or the buffer is full.
    fn encode(
        &mut self,
        formats: &Formats,
        rows_max: u64,
        ctx: &EvalContext<'_>,
        output: &mut Output,
    ) -> SqlResult<u64> {
        let Some(batch) = &self.batch else { return Ok(0) };
        let mut rows = 0;
        while self.next_row < batch.len() && rows < rows_max && output.len() < super::OUTPUT_BYTES {
            output.data_row(self.columns.len());
            for (at, column) in self.columns.iter().enumerate() {
                match batch.datum(self.next_row, at) {
                    Datum::Null => output.null(),
                    datum if formats.of(at) == Format::Binary => {
                        output.value(|out| io::binary_out(column.ty.oid, &datum, ctx, out));
                    }
                    datum => output.value(|out| io::text_out(column.ty.oid, &datum, ctx, out)),
                }
            }
            output.finish()?;
            self.next_row += 1;
            rows += 1;
        }
        if self.next_row >= batch.len() {
            self.batch = None;
            self.next_row = 0;
        }
        Ok(rows)
    }
}

impl Connection<'_> {
    /// Sends up to `rows_max` rows, waiting for the client wherever the buffer is full.
    pub(super) async fn send_rows(
        &mut self,
        cursor: &mut RowCursor,
        formats: &Formats,
        rows_max: Option<u64>,
    ) -> Result<Portion, Failure> {
        let settings = self.session.format();
        let host = self.session.host();
        // Output functions look at no clock.
        let ctx = EvalContext {
            settings: &settings,
            transaction_timestamp: 0,
            statement_timestamp: 0,
            host: &*host,
        };
        let flag = self.flag();
        let rows_max = rows_max.unwrap_or(u64::MAX);
        let mut rows = 0;
        loop {
            rows += cursor.encode(formats, rows_max - rows, &ctx, &mut self.socket.output)?;
            if rows == rows_max {
                return Ok(Portion { rows, at_end: false });
            }
            self.socket.flush_if_large().await?;
            if cursor.batch.is_some() {
                flag.check()?;
                continue;
            }
            let Some(stream) = &mut cursor.stream else {
                return Ok(Portion { rows, at_end: true });
            };
            flag.check()?;
            cursor.batch = watched(self.socket, &flag, pin!(stream.next())).await?;
            if cursor.batch.is_none() {
                cursor.stream = None;
            }
            self.send_notices();
        }
    }
}

/// RowDescription.
pub(super) fn describe_rows(
    columns: &[ResultColumn],
    formats: &Formats,
    output: &mut Output,
) -> SqlResult<()> {
    output.row_description(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let (relation, attribute) = column.origin.map_or((0, 0), |(oid, column)| (oid.0, column));
        let format = match formats.of(at) {
            Format::Text => 0,
            Format::Binary => 1,
        };
        let origin = (relation, attribute);
        output.row_description_field(
            &column.name,
            origin,
            column.ty.oid.0,
            column.length,
            column.ty.typmod,
            format,
        );
    }
    output.finish()
}
