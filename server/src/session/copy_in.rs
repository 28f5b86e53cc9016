//! `COPY table FROM STDIN` under way: rows are decoded ahead of those that are inserted.
//!
//! ```text
//! CopyData ──► fed ──► piece ──► Decoder (on another thread) ──► Decoded ──► inserted
//!              of 128 kB │           reads piece n + 1               │ meanwhile piece n
//!                        └── at most one of each is held ────────────┘
//! ```
//!
//! What is wrong in a piece is told after the rows before it are inserted, as if each had been inserted
//! before the next was read. Data that do not fill a piece are decoded in place.

use std::ops::Range;

use aegis_sql::copy::{BinaryReader, CopyReader, line_context};
use aegis_sql::dml::{Changes, PendingChecks, TableAccess};
use aegis_sql::evaluate::Program;
use aegis_sql::query_engine::StatementContext;
use aegis_types::{Datum, EvalContext, SqlError, SqlResult, SqlState, TypeRef, io};
use tokio::task::JoinHandle;

use super::{CopyIn, Session};

/// Data are decoded when so many have come, and at most twice as many at a time.
const PIECE_BYTES: usize = 128 << 10;

/// Who reads the rows, by their format.
pub(super) enum Reader {
    /// text and csv
    Lines(Box<CopyReader>),
    /// binary
    Binary(BinaryReader),
}

impl Reader {
    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Lines(reader) => reader.feed(bytes),
            Self::Binary(reader) => reader.feed(bytes),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Lines(reader) => reader.end(),
            Self::Binary(reader) => reader.end(),
        }
    }

    fn next_row(&mut self) -> SqlResult<bool> {
        match self {
            Self::Lines(reader) => reader.next_row(),
            Self::Binary(reader) => reader.next_row(),
        }
    }

    fn value(&self, at: usize, ty: TypeRef, eval: &EvalContext<'_>) -> SqlResult<Datum> {
        match self {
            Self::Lines(reader) => match reader.field(at)? {
                Some(text) => {
                    io::text_in(ty, text, eval).map_err(|error| reader.in_field(error, at))
                }
                None => Ok(Datum::Null),
            },
            Self::Binary(reader) => match reader.field(at) {
                Some(bytes) => {
                    io::binary_in(ty, bytes, eval).map_err(|error| reader.in_field(error, at))
                }
                None => Ok(Datum::Null),
            },
        }
    }

    fn line_number(&self) -> u64 {
        match self {
            Self::Lines(reader) => reader.line_number(),
            Self::Binary(reader) => reader.line_number(),
        }
    }

    /// Appends what errors show of the row at hand, where it can be read.
    fn show_line(&self, shown: &mut String) -> Option<Range<usize>> {
        match self {
            Self::Lines(reader) => reader.show_line(shown),
            Self::Binary(_) => None,
        }
    }
}

/// Makes rows of what comes in.
struct Decoder {
    reader: Reader,
    /// The place in the row and the type of each field.
    columns: Vec<(usize, TypeRef)>,
    row_columns: usize,
    context: StatementContext,
}

/// Rows that were read.
#[derive(Default)]
struct Decoded {
    rows: Vec<DecodedRow>,
    /// What errors show of their lines, one after the other.
    shown: String,
    /// What is wrong behind them.
    error: Option<SqlError>,
}

/// A row, and where it stood.
struct DecodedRow {
    values: Vec<Datum>,
    line_number: u64,
    shown: Option<Range<usize>>,
}

impl Decoder {
    /// Reads rows until something is wrong, or more must come in.
    fn decode(&mut self) -> Decoded {
        let mut decoded = Decoded::default();
        decoded.error = self.decode_into(&mut decoded).err();
        decoded
    }

    fn decode_into(&mut self, decoded: &mut Decoded) -> SqlResult<()> {
        let eval = self.context.eval();
        while self.reader.next_row()? {
            self.context.cancel.check()?;
            let mut values = vec![Datum::Null; self.row_columns];
            for (at, (place, ty)) in self.columns.iter().enumerate() {
                values[*place] = self.reader.value(at, *ty, &eval)?;
            }
            decoded.rows.push(DecodedRow {
                values,
                line_number: self.reader.line_number(),
                shown: self.reader.show_line(&mut decoded.shown),
            });
        }
        Ok(())
    }
}

/// Where the decoder is.
enum Decoding {
    /// It waits for more.
    Here(Box<Decoder>),
    /// It reads a piece.
    Ahead(JoinHandle<(Box<Decoder>, Decoded)>),
    /// It has failed.
    Over,
}

/// `COPY table FROM STDIN` under way.
pub(super) struct TableCopyIn {
    is_binary: bool,
    field_count: usize,
    decoding: Decoding,
    /// What came in and is not with the decoder.
    fed: Vec<u8>,
    defaults: Vec<(usize, Program)>,
    /// `WHERE`
    filter: Option<Program>,
    table: TableAccess,
    context: StatementContext,
    pending: PendingChecks,
    rows: u64,
}

impl TableCopyIn {
    /// A COPY into these columns of a table: the place in a row and the type of each.
    pub(super) fn new(
        reader: Reader,
        columns: Vec<(usize, TypeRef)>,
        defaults: Vec<(usize, Program)>,
        filter: Option<Program>,
        table: TableAccess,
        context: StatementContext,
    ) -> Self {
        Self {
            is_binary: matches!(reader, Reader::Binary(_)),
            field_count: columns.len(),
            decoding: Decoding::Here(Box::new(Decoder {
                reader,
                columns,
                row_columns: table.layout.column_count(),
                context: context.clone(),
            })),
            fed: Vec::new(),
            defaults,
            filter,
            table,
            context,
            pending: PendingChecks::default(),
            rows: 0,
        }
    }

    /// The decoder, and what it has read, once it has.
    async fn decoded(&mut self) -> SqlResult<(Box<Decoder>, Decoded)> {
        match std::mem::replace(&mut self.decoding, Decoding::Over) {
            Decoding::Here(decoder) => Ok((decoder, Decoded::default())),
            Decoding::Ahead(task) => {
                task.await.map_err(|_| SqlError::internal("the data of COPY were not decoded"))
            }
            Decoding::Over => Err(SqlError::internal("COPY goes on after an error")),
        }
    }

    /// Lets the next piece be decoded, and inserts meanwhile what was.
    async fn step(&mut self, session: &mut Session) -> SqlResult<()> {
        let (mut decoder, decoded) = self.decoded().await?;
        if decoded.error.is_none() {
            let piece = std::mem::take(&mut self.fed);
            let task = session.instance.compute("copy", async move {
                decoder.reader.feed(&piece);
                let decoded = decoder.decode();
                (decoder, decoded)
            })?;
            self.decoding = Decoding::Ahead(task);
        }
        self.insert(decoded, session, false).await
    }

    /// Adds what the data do not say to a row; none if `WHERE` leaves it out.
    fn complete(&self, mut values: Vec<Datum>) -> SqlResult<Option<Vec<Datum>>> {
        let evaluation = self.context.evaluation();
        for (place, program) in &self.defaults {
            values[*place] = program.evaluate(&[], &evaluation)?;
        }
        if let Some(filter) = &self.filter
            && !filter.is_true(&values, &evaluation)?
        {
            return Ok(None);
        }
        Ok(Some(values))
    }

    /// Inserts rows, and tells what is wrong behind them; with `finish`, ends the statement.
    async fn insert(
        &mut self,
        decoded: Decoded,
        session: &mut Session,
        finish: bool,
    ) -> SqlResult<()> {
        let shared = session.shared_transaction()?;
        let instance = session.instance.clone();
        let lock_timeout = session.settings.frequent().lock_timeout;
        let context = self.context.clone();
        let (engine, row_ids) = (&*instance.engine, &*instance.row_ids);
        let changes = Changes::sharing(&shared, &context, engine, row_ids, lock_timeout).await?;
        let mut changes = changes.resume(std::mem::take(&mut self.pending));
        // What is read of the file calls no function that could write.
        let evaluates = !self.defaults.is_empty() || self.filter.is_some();
        let relation = &self.table.relation.name;
        for DecodedRow { values, line_number, shown } in decoded.rows {
            context.cancel.check()?;
            let shown = shown.map(|range| &decoded.shown[range]);
            let in_line =
                |error: SqlError| error.context(line_context(relation, line_number, shown));
            let values = if evaluates {
                changes.reading(|| self.complete(values)).await.map_err(in_line)?
            } else {
                Some(values)
            };
            let Some(values) = values else { continue };
            changes.copy_row(&self.table, values).await.map_err(|error| match error.code() {
                SqlState::ForeignKeyViolation => error,
                SqlState::UniqueViolation => {
                    error.context(line_context(relation, line_number, None))
                }
                _ => in_line(error),
            })?;
            self.rows += 1;
        }
        if let Some(error) = decoded.error {
            return Err(error);
        }
        if finish {
            changes.finish_statement().await?;
        }
        self.pending = changes.suspend();
        Ok(())
    }
}

#[async_trait::async_trait]
impl CopyIn for TableCopyIn {
    fn format(&self) -> (u8, usize) {
        (u8::from(self.is_binary), self.field_count)
    }

    async fn data(&mut self, bytes: &[u8], session: &mut Session) -> SqlResult<()> {
        // One huge message is no reason to hold it more than once.
        for part in bytes.chunks(PIECE_BYTES) {
            self.fed.extend_from_slice(part);
            if self.fed.len() >= PIECE_BYTES {
                self.step(session).await?;
            }
        }
        Ok(())
    }

    async fn done(mut self: Box<Self>, session: &mut Session) -> SqlResult<String> {
        let (mut decoder, decoded) = self.decoded().await?;
        self.insert(decoded, session, false).await?;
        decoder.reader.feed(&self.fed);
        decoder.reader.end();
        self.insert(decoder.decode(), session, true).await?;
        Ok(format!("COPY {}", self.rows))
    }
}
