//! What a scalar function may know besides its arguments.

use std::sync::Arc;

use crate::ctype::{Collation, Ctype};
use crate::datum::Datum;
use crate::error::SqlResult;
use crate::oid::{Oid, TypeRef};
use crate::user_type::UserType;

/// Order of the fields of a date on output and, where it is ambiguous, on input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// month, day, year (the default)
    #[default]
    Mdy,
    /// day, month, year
    Dmy,
    /// year, month, day
    Ymd,
}

/// The output style of dates and timestamps: the first half of `DateStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateStyle {
    /// `ISO` (the default)
    #[default]
    Iso,
    /// `SQL`
    Sql,
    /// `Postgres`
    Postgres,
    /// `German`
    German,
}

/// `IntervalStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `postgres` (the default)
    #[default]
    Postgres,
    /// `postgres_verbose`
    PostgresVerbose,
    /// `sql_standard`
    SqlStandard,
    /// `iso_8601`
    Iso8601,
}

/// `bytea_output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteaOutput {
    /// `hex` (the default)
    #[default]
    Hex,
    /// `escape`
    Escape,
}

/// The settings that text forms and functions of values depend on.
#[derive(Clone, Debug)]
pub struct FormatSettings {
    /// `DateStyle`, first half.
    pub date_style: DateStyle,
    /// `DateStyle`, second half.
    pub date_order: DateOrder,
    /// `IntervalStyle`
    pub interval_style: IntervalStyle,
    /// `TimeZone`
    pub time_zone: crate::timezone::TimeZone,
    /// `extra_float_digits`, -15 to 3; the default is 1
    pub extra_float_digits: i32,
    /// `bytea_output`
    pub bytea_output: ByteaOutput,
    /// `lc_ctype`: whose letters count in the database.
    pub ctype: Ctype,
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            date_style: DateStyle::default(),
            date_order: DateOrder::default(),
            interval_style: IntervalStyle::default(),
            time_zone: crate::timezone::TimeZone::utc(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::default(),
            ctype: Ctype::default(),
        }
    }
}

/// What only a session, a catalog or a server can answer.
///
/// Functions whose row in the table of built-ins says "host" are carried here: name lookup
/// (`regclass` input, `pg_get_indexdef`, `format_type` of a user's type), sequences, settings.
pub trait Host: Send + Sync {
    /// Calls the built-in function `function` (an OID of `pg_proc`), whose arguments are evaluated.
    ///
    /// # Errors
    /// Whatever that function raises.
    fn call(&self, function: Oid, arguments: &[Datum]) -> SqlResult<Datum>;

    /// The same session with the rights of another role, for what is computed on the role's behalf:
    /// settings that functions change there are as they were afterwards. None where there is no session.
    fn on_behalf_of(&self, role: Oid) -> Option<std::sync::Arc<dyn Host>> {
        let _ = role;
        None
    }

    /// Calls a function of an extension by its symbol; the rows of one that returns a set come as an
    /// array.
    ///
    /// # Errors
    /// Whatever that function raises.
    fn call_symbol(&self, symbol: &str, arguments: &[Datum]) -> SqlResult<Datum> {
        let _ = arguments;
        Err(crate::SqlError::internal(format!("function {symbol} was called without a session")))
    }

    /// Calls a function that users wrote, which returns one value.
    ///
    /// # Errors
    /// Whatever its statements raise.
    fn call_user(
        &self,
        function: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Datum> {
        let _ = (call, arguments);
        Err(crate::SqlError::internal(format!("function {function} was called without a session")))
    }

    /// The same for one that returns a set: its rows, as they are asked for.
    ///
    /// # Errors
    /// Whatever its statements raise.
    fn rows_of_user(
        &self,
        function: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<crate::functions::Values> {
        let _ = (call, arguments);
        Err(crate::SqlError::internal(format!("function {function} was called without a session")))
    }

    /// The session's generator of `random()`.
    fn random(&self) -> &crate::functions::Generator {
        static SHARED: std::sync::LazyLock<crate::functions::Generator> =
            std::sync::LazyLock::new(Default::default);
        &SHARED
    }

    /// The text form of a reg type's value: the name that it stands for, qualified where
    /// `search_path` does not find it; the number where nothing has that OID.
    fn reg_out(&self, reg_type: Oid, value: Oid) -> String;

    /// Reads a reg type's text form, a name or a number.
    ///
    /// # Errors
    /// 42P01, 42704, 42883 and their like with PostgreSQL's words.
    fn reg_in(&self, reg_type: Oid, text: &str) -> SqlResult<Oid>;

    /// Wakes who listens to a channel once the transaction has committed.
    ///
    /// # Errors
    /// What the session raises.
    fn wake(&self, channel: &str, payload: &str) -> SqlResult<()> {
        let _ = (channel, payload);
        Ok(())
    }

    /// What a type of users is; none for what is not known.
    fn user_type(&self, oid: Oid) -> Option<UserType> {
        let _ = oid;
        None
    }

    /// Checks a value, which may be NULL, against the constraints of a domain and of those that it is
    /// over.
    ///
    /// # Errors
    /// 23502, 23514
    fn check_domain(&self, domain: Oid, value: &Datum, context: &EvalContext<'_>) -> SqlResult<()> {
        let _ = (value, context);
        Err(crate::SqlError::internal(format!("domain {domain} is checked without a session")))
    }

    /// Whether the current role may read a column, which the detail of an error would show.
    fn may_read(&self, relation: Oid, column: i16) -> bool {
        let _ = (relation, column);
        true
    }

    /// The names and types of the fields of a composite type, or of an anonymous record whose
    /// modifier the planner gave out; none where the host does not know it. Whoever asks then names
    /// the fields `f1`, `f2`, … and goes by what the values are.
    fn record_fields(&self, record: TypeRef) -> Option<Arc<[(Arc<str>, TypeRef)]>> {
        let _ = record;
        None
    }
}

/// A host without a session: reg types print as numbers, and nothing can be called.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn call(&self, function: Oid, _: &[Datum]) -> SqlResult<Datum> {
        Err(crate::SqlError::internal(format!("function {function} was called without a session")))
    }

    fn reg_out(&self, _: Oid, value: Oid) -> String {
        if value.is_some() { value.to_string() } else { "-".to_owned() }
    }

    fn reg_in(&self, _: Oid, text: &str) -> SqlResult<Oid> {
        text.parse().map(Oid).map_err(|_| {
            crate::SqlError::new(
                crate::SqlState::InvalidTextRepresentation,
                format!("invalid input syntax for type oid: \"{text}\""),
            )
        })
    }
}

/// What holds for one statement: settings, clocks, the host.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// The session's formatting settings.
    pub settings: &'a FormatSettings,
    /// `now()`, in microseconds since 2000-01-01 UTC.
    pub transaction_timestamp: i64,
    /// `statement_timestamp()`, likewise.
    pub statement_timestamp: i64,
    /// The session.
    pub host: &'a dyn Host,
}

/// One call of a function: the statement's context and the types that this call was resolved to.
#[derive(Clone, Copy)]
pub struct CallContext<'a> {
    /// What holds for the statement.
    pub eval: EvalContext<'a>,
    /// The actual types of the arguments, for polymorphic functions.
    pub argument_types: &'a [TypeRef],
    /// The actual type of the result.
    pub result_type: TypeRef,
    /// The collation of the arguments.
    pub collation: Collation,
}

impl CallContext<'_> {
    /// Whose letters count.
    #[must_use]
    pub fn ctype(&self) -> Ctype {
        self.collation.ctype(self.eval.settings.ctype)
    }
}
