//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! Each answers into the output buffer alone; Sync, Flush or an idle moment sends it. The checks come
//! in PostgreSQL's order (`exec_parse_message` and its neighbours), so that the same mistake gives the
//! same error.

use std::pin::pin;
use std::sync::Arc;

use aegis_types::{Datum, EvalContext, SqlError, SqlResult, SqlState, TypeRef, io, text};

use super::Failure;
use super::connection::{Connection, watched};
use super::message::{Execute, Fields, Parse, Target};
use super::portal::{ends_transaction, leaves_failed_block, transaction_is_aborted};
use super::rows::{RowCursor, describe_rows};
use crate::session::cursor::Fetched;
use crate::session::portal::{Format, Formats, Portal, PortalState, cannot_run, no_such_portal};
use crate::session::{Outcome, Place, Prepared};

impl Connection<'_> {
    /// `P`
    pub(super) async fn parse(&mut self, body: &[u8]) -> Result<(), Failure> {
        let parse = Parse::read(body)?;
        self.session.begin_message();
        self.source = Arc::from(parse.query);
        self.arm();
        if parse.name.is_empty() {
            self.unnamed = None;
        }
        let mut repeated = None;
        if parse.name.is_empty() {
            let (ready, again) = self.session.repeated_text(parse.query, &parse.types);
            if ready.is_some() {
                self.unnamed = ready;
                self.socket.output.parse_complete();
                return Ok(());
            }
            repeated = again;
        }
        let mut statements = self.session.parse(parse.query)?.into_iter();
        self.send_notices();
        let first = statements.next();
        let place = first.as_ref().map_or_else(Place::default, |raw| Place {
            location: raw.location,
            length: raw.length,
        });
        let statement = first.map(|raw| Arc::new(raw.statement));
        if statements.next().is_some() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "cannot insert multiple commands into a prepared statement",
            )
            .into());
        }
        let flag = self.flag();
        let (source, types) = (Arc::clone(&self.source), Some(&*parse.types));
        let prepare = self.session.prepare(statement, source, types, place);
        let prepared = watched(self.socket, &flag, pin!(prepare)).await?;
        self.send_notices();
        if let Some(repeated) = repeated {
            self.session.keep_text(&repeated, &prepared);
        }
        if parse.name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            self.session.store_statement(parse.name, prepared)?;
        }
        self.socket.output.parse_complete();
        Ok(())
    }

    fn statement(&self, name: &str) -> SqlResult<Arc<Prepared>> {
        if name.is_empty() {
            return self.unnamed.clone().ok_or_else(|| {
                SqlError::new(
                    SqlState::UndefinedPstatement,
                    "unnamed prepared statement does not exist",
                )
            });
        }
        self.session.statement(name).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedPstatement,
                format!("prepared statement \"{name}\" does not exist"),
            )
        })
    }

    fn in_failed_block(&self) -> bool {
        self.session.transaction_status() == b'E'
    }

    /// `B`
    pub(super) async fn bind(&mut self, body: &[u8]) -> Result<(), Failure> {
        self.session.begin_message();
        let mut fields = Fields::new(body);
        let portal_name = fields.string()?;
        let statement_name = fields.string()?;
        let prepared = self.statement(statement_name)?;
        self.source = Arc::clone(&prepared.source);
        self.arm();
        let formats = read_codes(&mut fields)?;
        let count = fields.count()?;
        check_counts(&formats, count, statement_name, prepared.parameter_types.len())?;
        if self.in_failed_block()
            && (!leaves_failed_block(prepared.statement.as_deref()) || count > 0)
        {
            return Err(transaction_is_aborted().into());
        }
        if portal_name.is_empty() {
            self.session.drop_portal("").await?;
        } else if self.session.has_portal(portal_name) {
            return Err(SqlError::new(
                SqlState::DuplicateCursor,
                format!("cursor \"{portal_name}\" already exists"),
            )
            .into());
        }
        let parameters =
            self.read_parameters(&mut fields, &formats, &prepared.parameter_types, portal_name)?;
        let codes = read_codes(&mut fields)?;
        fields.end()?;
        let formats = result_formats(&codes, &prepared)?;
        let now = self.session.statement_timestamp();
        let portal = Portal::ready(prepared, formats, parameters, now);
        self.session.put_new_portal(portal_name, portal);
        self.socket.output.bind_complete();
        Ok(())
    }

    fn read_parameters(
        &mut self,
        fields: &mut Fields<'_>,
        formats: &[i16],
        types: &[TypeRef],
        portal: &str,
    ) -> SqlResult<Vec<Datum>> {
        self.session.with_eval(|ctx| {
            let mut parameters = Vec::with_capacity(types.len());
            for (at, type_ref) in types.iter().enumerate() {
                let value = fields.value()?;
                let code = match formats {
                    [] => 0,
                    [all] => *all,
                    each => each[at],
                };
                parameters.push(
                    read_parameter(*type_ref, value, code, at + 1, ctx)
                        .map_err(|error| in_parameter(error, portal, at + 1, code, value))?,
                );
            }
            Ok(parameters)
        })
    }

    /// `D`
    pub(super) fn describe(&mut self, body: &[u8]) -> Result<(), Failure> {
        let target = Target::read(body)?;
        self.arm();
        let (prepared, formats) = match target.kind {
            b'S' => (self.statement(target.name)?, Formats::TEXT),
            b'P' => {
                let found = self.session.described_portal(target.name);
                found.ok_or_else(|| no_such_portal(target.name))?
            }
            kind => return Err(invalid_subtype("DESCRIBE", kind).into()),
        };
        if self.in_failed_block() && prepared.columns.is_some() {
            return Err(transaction_is_aborted().into());
        }
        let output = &mut self.socket.output;
        if target.kind == b'S' {
            output.parameter_description(prepared.parameter_types.iter().map(|it| it.oid.0));
        }
        match &prepared.columns {
            Some(columns) => describe_rows(columns, &formats, output)?,
            None => output.no_data(),
        }
        Ok(())
    }

    /// `E`
    pub(super) async fn execute(&mut self, body: &[u8]) -> Result<(), Failure> {
        let execute = Execute::read(body)?;
        self.session.begin_message();
        let mut portal = self
            .session
            .take_portal(execute.portal)
            .ok_or_else(|| no_such_portal(execute.portal))?;
        self.source = Arc::clone(&portal.prepared.source);
        let ran = self.run_portal(&mut portal, &execute).await;
        // Output that ends here lets the client begin on it while the next message is read.
        match ran {
            Ok(transaction_ended) => {
                if !transaction_ended {
                    self.session.put_portal(execute.portal, portal);
                }
                self.disarm();
                Ok(self.socket.flush_if_large().await?)
            }
            Err(failure) => {
                portal.state = PortalState::Failed;
                self.session.put_portal(execute.portal, portal);
                Err(failure)
            }
        }
    }

    /// Runs a portal, or goes on with it; whether that ended the transaction.
    async fn run_portal(
        &mut self,
        portal: &mut Portal,
        execute: &Execute<'_>,
    ) -> Result<bool, Failure> {
        let prepared = Arc::clone(&portal.prepared);
        let statement = prepared.statement.as_deref();
        if statement.is_some() && self.in_failed_block() && !leaves_failed_block(statement) {
            return Err(transaction_is_aborted().into());
        }
        if matches!(portal.state, PortalState::Done | PortalState::Failed) {
            return Err(cannot_run(execute.portal).into());
        }
        if matches!(portal.state, PortalState::Ready(_)) {
            self.arm();
            let flag = self.flag();
            let start = self.session.start_portal(portal);
            let started = watched(self.socket, &flag, pin!(start)).await?;
            self.send_notices();
            if let Some(outcome) = started {
                self.run_without_rows(outcome).await?;
                return Ok(ends_transaction(statement));
            }
        }
        let PortalState::Open(open) = &mut portal.state else {
            unreachable!("a portal that was ready has run, and the others were refused")
        };
        self.arm_with(open.flag.clone());
        let rows = Box::new(Fetched::next_rows(&open.cursor, execute.rows_max));
        let columns = prepared.columns.clone().unwrap_or_default();
        let mut cursor = RowCursor::of_portal(open.tag.clone(), columns, rows);
        let portion = self.send_rows(&mut cursor, &portal.formats, execute.rows_max).await?;
        if portion.at_end {
            if !std::mem::replace(&mut open.ended, true) {
                self.session.end_rows().await?;
                self.session.end_statement().await?;
                self.send_notices();
            }
            cursor.complete(&portion, &mut self.socket.output);
        } else {
            self.socket.output.portal_suspended();
        }
        Ok(false)
    }

    async fn run_without_rows(&mut self, outcome: Outcome) -> Result<(), Failure> {
        let tag = match outcome {
            Outcome::Done(tag) => Some(tag),
            Outcome::CopyIn(copy) => Some(self.copy_in(copy).await?),
            Outcome::CopyOut(copy) => Some(self.copy_out(copy).await?),
            Outcome::Empty => None,
            Outcome::Rows { .. } | Outcome::Returned { .. } => {
                unreachable!("the caller makes cursors of rows")
            }
        };
        self.session.end_statement().await?;
        self.send_notices();
        match tag {
            Some(tag) => self.socket.output.command_complete(&tag),
            None => self.socket.output.empty_query_response(),
        }
        Ok(())
    }

    /// `C`: nothing happens if there is no such object.
    pub(super) async fn close(&mut self, body: &[u8]) -> Result<(), Failure> {
        let target = Target::read(body)?;
        match target.kind {
            b'S' if target.name.is_empty() => self.unnamed = None,
            b'S' => self.session.drop_statement(target.name),
            b'P' => self.session.drop_portal(target.name).await?,
            kind => return Err(invalid_subtype("CLOSE", kind).into()),
        }
        self.socket.output.close_complete();
        Ok(())
    }
}

fn invalid_subtype(message: &str, kind: u8) -> SqlError {
    SqlError::new(SqlState::ProtocolViolation, format!("invalid {message} message subtype {kind}"))
}

fn read_codes(fields: &mut Fields<'_>) -> SqlResult<Vec<i16>> {
    let count = fields.count()?;
    (0..count).map(|_| fields.int2()).collect()
}

fn check_counts(
    formats: &[i16],
    parameters: usize,
    statement: &str,
    required: usize,
) -> SqlResult<()> {
    let message = if formats.len() > 1 && formats.len() != parameters {
        format!("bind message has {} parameter formats but {parameters} parameters", formats.len())
    } else if parameters != required {
        format!(
            "bind message supplies {parameters} parameters, but prepared statement \"{statement}\" requires {required}"
        )
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::ProtocolViolation, message))
}

fn result_formats(codes: &[i16], prepared: &Prepared) -> SqlResult<Formats> {
    let Some(columns) = &prepared.columns else { return Ok(Formats::TEXT) };
    match codes {
        [] => Ok(Formats::TEXT),
        [all] => Format::from_code(*all).map(Formats::All),
        each if each.len() == columns.len() => each
            .iter()
            .map(|code| Format::from_code(*code))
            .collect::<SqlResult<_>>()
            .map(Formats::Each),
        each => Err(SqlError::new(
            SqlState::ProtocolViolation,
            format!(
                "bind message has {} result formats but query has {} columns",
                each.len(),
                columns.len()
            ),
        )),
    }
}

fn read_parameter(
    type_ref: TypeRef,
    value: Option<&[u8]>,
    code: i16,
    number: usize,
    ctx: &EvalContext<'_>,
) -> SqlResult<Datum> {
    let format = Format::from_code(code)?;
    let Some(bytes) = value else { return Ok(Datum::Null) };
    match format {
        Format::Text => io::text_in(type_ref, text::from_utf8(bytes)?, ctx),
        Format::Binary => io::binary_in(type_ref, bytes, ctx).map_err(|error| {
            if error.fields().message == io::INCORRECT_BINARY_FORMAT {
                return SqlError::new(
                    SqlState::InvalidBinaryRepresentation,
                    format!("{} in bind parameter {number}", io::INCORRECT_BINARY_FORMAT),
                );
            }
            error
        }),
    }
}

/// The context that PostgreSQL gives: the value itself is withheld, as
/// `log_parameter_max_length_on_error` is 0.
fn in_parameter(
    error: SqlError,
    portal: &str,
    number: usize,
    code: i16,
    value: Option<&[u8]>,
) -> SqlError {
    let portal = if portal.is_empty() {
        "unnamed portal".to_owned()
    } else {
        format!("portal \"{portal}\"")
    };
    // Text that is not even of the encoding is not shown as a value.
    let shown = match value {
        Some(bytes) if code == 0 && text::from_utf8(bytes).is_ok() => {
            if bytes.is_empty() {
                " = ''"
            } else {
                " = '...'"
            }
        }
        _ => "",
    };
    let context = match &error.fields().context {
        Some(inner) => format!("{inner}\n{portal} parameter ${number}{shown}"),
        None => format!("{portal} parameter ${number}{shown}"),
    };
    error.context(context)
}
