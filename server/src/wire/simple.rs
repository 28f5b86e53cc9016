//! The simple protocol: a string of statements, run in turn in one transaction unless they say
//! otherwise; an error ends the string.

use std::pin::pin;
use std::sync::Arc;

use aegis_sql::ast::Statement;
use aegis_types::Datum;

use super::Failure;
use super::connection::{Connection, watched};
use super::message::one_string;
use super::rows::{RowCursor, describe_rows};
use crate::session::portal::Formats;
use crate::session::repeated::Repeated;
use crate::session::{Outcome, Place, Prepared};

impl Connection<'_> {
    /// `Q`
    pub(super) async fn simple_query(&mut self, body: &[u8]) -> Result<(), Failure> {
        self.source = Arc::from(one_string(body)?);
        self.unnamed = None;
        self.disarm();
        self.arm();
        let source = Arc::clone(&self.source);
        let repeated = self.session.repeated(&source);
        if let Repeated::Ready(prepared, values) = repeated {
            self.run_simple(&prepared, values, &source, true).await?;
            return self.ready().await;
        }
        let statements = self.session.parse(&source)?;
        self.send_notices();
        self.session.share_transaction(statements.len());
        if statements.is_empty() {
            self.finish().await?;
            self.socket.output.empty_query_response();
        }
        let mut statements = statements.into_iter();
        while let Some(raw) = statements.next() {
            let is_last = statements.as_slice().is_empty();
            let place = Place { location: raw.location, length: raw.length };
            let statement = Arc::new(raw.statement);
            if let Repeated::Again(unready) = &repeated {
                self.session.make_ready(unready, &statement, &source);
            }
            self.simple_statement(statement, &source, place, is_last).await?;
        }
        self.ready().await
    }

    async fn simple_statement(
        &mut self,
        statement: Arc<Statement>,
        source: &Arc<str>,
        place: Place,
        is_last: bool,
    ) -> Result<(), Failure> {
        self.arm();
        let flag = self.flag();
        let prepare = self.session.prepare(Some(statement), Arc::clone(source), None, place);
        let prepared = watched(self.socket, &flag, pin!(prepare)).await?;
        self.send_notices();
        self.run_simple(&prepared, Vec::new(), source, is_last).await
    }

    async fn run_simple(
        &mut self,
        prepared: &Arc<Prepared>,
        values: Vec<Datum>,
        source: &Arc<str>,
        is_last: bool,
    ) -> Result<(), Failure> {
        self.arm();
        let flag = self.flag();
        // The statement runs in the unnamed portal.
        self.session.drop_portal("").await?;
        let execute = self.session.execute_text(prepared, values, source);
        let outcome = watched(self.socket, &flag, pin!(execute)).await?;
        self.send_notices();
        let formats = self.session.simple_formats(prepared.statement.as_deref());
        let completion = match outcome {
            Outcome::Rows { tag, columns, rows } => {
                let rows = RowCursor::streaming(tag, columns, rows);
                let completion = self.simple_rows(rows, &formats).await?;
                self.session.end_rows().await?;
                completion
            }
            Outcome::Returned { tag, columns, rows } => {
                self.simple_rows(RowCursor::returned(tag, columns, rows), &formats).await?
            }
            Outcome::Done(tag) => Completion::Tag(tag),
            Outcome::CopyIn(copy) => Completion::Tag(self.copy_in(copy).await?),
            Outcome::CopyOut(copy) => Completion::Tag(self.copy_out(copy).await?),
            Outcome::Empty => Completion::Empty,
        };
        self.session.end_statement().await?;
        if is_last {
            // A commit that fails takes the place of the tag.
            self.finish().await?;
        }
        self.send_notices();
        match completion {
            Completion::Rows(cursor, portion) => {
                cursor.complete(&portion, &mut self.socket.output);
            }
            Completion::Tag(tag) => self.socket.output.command_complete(&tag),
            Completion::Empty => self.socket.output.empty_query_response(),
        }
        self.disarm();
        Ok(())
    }

    async fn simple_rows(
        &mut self,
        mut cursor: RowCursor,
        formats: &Formats,
    ) -> Result<Completion, Failure> {
        describe_rows(cursor.columns(), formats, &mut self.socket.output)?;
        let portion = self.send_rows(&mut cursor, formats, None).await?;
        Ok(Completion::Rows(cursor, portion))
    }
}

/// What there is to say once the statement has ended well.
enum Completion {
    Rows(RowCursor, super::rows::Portion),
    Tag(String),
    Empty,
}
