//! The one error that reaches a client: a SQLSTATE, a message, and whatever fields of
//! ErrorResponse PostgreSQL would fill.
//!
//! Every crate turns its own error enum into a [`SqlError`] by an exhaustive `match`; scalar
//! functions raise one directly, as PostgreSQL's do with `ereport`. The value is one pointer wide,
//! so that `Result<Datum, SqlError>` stays small.

use std::fmt;

use crate::sqlstate::SqlState;

/// The result of everything that a client can be told the failure of.
pub type SqlResult<T> = Result<T, SqlError>;

/// An error as ErrorResponse carries it (PostgreSQL 15, chapter 55.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError(Box<ErrorFields>);

/// The fields of ErrorResponse and NoticeResponse, severity aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFields {
    /// Field `C`.
    pub code: SqlState,
    /// Field `M`: lower case, no full stop.
    pub message: String,
    /// Field `D`: whole sentences.
    pub detail: Option<String>,
    /// Field `H`: whole sentences.
    pub hint: Option<String>,
    /// Field `P`: where in the statement's text, in *bytes from 0*; the wire counts characters from 1.
    pub position: Option<u32>,
    /// Field `W`: the context, such as the line of a COPY.
    pub context: Option<String>,
    /// Field `s`.
    pub schema: Option<String>,
    /// Field `t`.
    pub table: Option<String>,
    /// Field `c`.
    pub column: Option<String>,
    /// Field `d`.
    pub data_type: Option<String>,
    /// Field `n`.
    pub constraint: Option<String>,
    /// Field `R`: what PostgreSQL calls its function, where drivers look for it.
    pub routine: Option<&'static str>,
    /// Whether the session must end: severity FATAL instead of ERROR.
    pub fatal: bool,
    /// Whether a client's mistake has the code XX000, as PostgreSQL has it.
    pub uncoded: bool,
}

impl SqlError {
    /// An error with a code and a message.
    #[must_use]
    pub fn new(code: SqlState, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorFields {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
            routine: None,
            fatal: false,
            uncoded: false,
        }))
    }

    /// `0A000`: what PostgreSQL can and Aegis cannot (yet); `what` names it.
    #[must_use]
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(SqlState::FeatureNotSupported, format!("{what} is not supported"))
    }

    /// `XX000`: a belief of ours that turned out false. A person must look.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(SqlState::InternalError, message)
    }

    /// `XX000` for a client's mistake to which PostgreSQL gives no code: nobody must look.
    #[must_use]
    pub fn uncoded(message: impl Into<String>) -> Self {
        let mut error = Self::new(SqlState::InternalError, message);
        error.0.uncoded = true;
        error
    }

    /// With field `D`.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// With field `H`.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With the byte offset of what is wrong in the statement's text, unless one is set already.
    #[must_use]
    pub fn at(mut self, position: u32) -> Self {
        self.0.position.get_or_insert(position);
        self
    }

    /// Without an offset: for names of utility statements, which PostgreSQL does not point at.
    #[must_use]
    pub fn without_position(mut self) -> Self {
        self.0.position = None;
        self
    }

    /// With the byte offset if there is one.
    #[must_use]
    pub fn at_opt(self, position: Option<u32>) -> Self {
        match position {
            Some(position) => self.at(position),
            None => self,
        }
    }

    /// With field `W`.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.0.context = Some(context.into());
        self
    }

    /// With fields `s` and `t`.
    #[must_use]
    pub fn table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Self {
        self.0.schema = Some(schema.into());
        self.0.table = Some(table.into());
        self
    }

    /// With field `s` alone: the schema of a domain.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.0.schema = Some(schema.into());
        self
    }

    /// With field `c`.
    #[must_use]
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.0.column = Some(column.into());
        self
    }

    /// With field `d`.
    #[must_use]
    pub fn data_type(mut self, data_type: impl Into<String>) -> Self {
        self.0.data_type = Some(data_type.into());
        self
    }

    /// With field `n`.
    #[must_use]
    pub fn constraint(mut self, constraint: impl Into<String>) -> Self {
        self.0.constraint = Some(constraint.into());
        self
    }

    /// With field `R`.
    #[must_use]
    pub fn routine(mut self, routine: &'static str) -> Self {
        self.0.routine = Some(routine);
        self
    }

    /// Ending the session.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.0.fatal = true;
        self
    }

    /// The SQLSTATE.
    #[must_use]
    pub fn code(&self) -> SqlState {
        self.0.code
    }

    /// Everything that ErrorResponse carries.
    #[must_use]
    pub fn fields(&self) -> &ErrorFields {
        &self.0
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.0.message, self.0.code.code())
    }
}

impl std::error::Error for SqlError {}
