//! The functions that ask a path of a document.

use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::jsonb::{Builder, Jsonb};
use crate::jsonpath::{Found, Item, Path, Question, run};
use crate::sqlstate::SqlState;

type Rows = Box<dyn Iterator<Item = SqlResult<Datum>> + Send>;

/// Asks: document, path and, but for operators, variables and whether to be silent. `None` is an error
/// that is not raised.
fn ask(
    context: &CallContext<'_>,
    a: &[Datum],
    uses_zone: bool,
    all: bool,
) -> SqlResult<Option<Vec<Item>>> {
    let path = Path::remembered(a[1].as_text())?;
    let none;
    let variables = match a.get(2) {
        Some(variables) => variables.as_jsonb(),
        None => {
            none = Jsonb::parse("{}")?;
            &none
        }
    };
    let question = Question {
        document: a[0].as_jsonb(),
        variables,
        raises: !is_silent(a),
        uses_zone,
        eval: context.eval,
        ctype: context.eval.settings.ctype,
    };
    Ok(match run(&path, &question, all)? {
        Found::Values(values) => Some(values),
        Found::Failed => None,
    })
}

/// Operators never raise errors of the data.
fn is_silent(a: &[Datum]) -> bool {
    a.get(3).is_none_or(Datum::as_bool)
}

/// `@?`, `jsonb_path_exists`
pub(super) fn exists(context: &CallContext<'_>, a: &[Datum], zone: bool) -> SqlResult<Datum> {
    let found = ask(context, a, zone, false)?;
    Ok(found.map_or(Datum::Null, |values| Datum::Bool(!values.is_empty())))
}

/// `@@`, `jsonb_path_match`
pub(super) fn matches(context: &CallContext<'_>, a: &[Datum], zone: bool) -> SqlResult<Datum> {
    let found = ask(context, a, zone, true)?;
    if let Some([value]) = found.as_deref() {
        if value.is_null() {
            return Ok(Datum::Null);
        }
        if let Some(value) = value.as_bool() {
            return Ok(Datum::Bool(value));
        }
    }
    if is_silent(a) {
        return Ok(Datum::Null);
    }
    Err(SqlError::new(SqlState::SingletonSqlJsonItemRequired, "single boolean result is expected"))
}

/// `jsonb_path_query`
pub(super) fn query(context: &CallContext<'_>, a: &[Datum], zone: bool) -> SqlResult<Rows> {
    let values = ask(context, a, zone, true)?.unwrap_or_default();
    let rows: Vec<Datum> = values
        .into_iter()
        .map(|value| value.into_jsonb().map(Datum::Jsonb))
        .collect::<SqlResult<_>>()?;
    Ok(Box::new(rows.into_iter().map(Ok)))
}

/// `jsonb_path_query_array`
pub(super) fn array(context: &CallContext<'_>, a: &[Datum], zone: bool) -> SqlResult<Datum> {
    let values = ask(context, a, zone, true)?.unwrap_or_default();
    let mut builder = Builder::new();
    builder.begin_array()?;
    for value in &values {
        value.build(&mut builder)?;
    }
    builder.end()?;
    builder.finish().map(Datum::Jsonb)
}

/// `jsonb_path_query_first`
pub(super) fn first(context: &CallContext<'_>, a: &[Datum], zone: bool) -> SqlResult<Datum> {
    let values = ask(context, a, zone, true)?.unwrap_or_default();
    match values.into_iter().next() {
        Some(value) => value.into_jsonb().map(Datum::Jsonb),
        None => Ok(Datum::Null),
    }
}
