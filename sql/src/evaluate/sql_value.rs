//! `CURRENT_DATE`, `CURRENT_USER` and the other functions that SQL calls without parentheses.

use aegis_types::builtin::builtins;
use aegis_types::{Datum, SqlError, SqlResult, TypeRef, datetime};

use super::Evaluation;
use crate::ast::SqlValueOp;

/// The value for this statement.
pub(super) fn evaluate(op: SqlValueOp, ty: TypeRef, context: &Evaluation<'_>) -> SqlResult<Datum> {
    let eval = &context.eval;
    match op {
        SqlValueOp::CurrentDate => Ok(Datum::Date(datetime::current_date(eval))),
        SqlValueOp::CurrentTime => {
            let (time, zone) = datetime::current_time(ty.typmod, eval);
            Ok(Datum::Timetz(time, zone))
        }
        SqlValueOp::CurrentTimestamp => {
            Ok(Datum::Timestamptz(datetime::current_timestamp(ty.typmod, eval)?))
        }
        SqlValueOp::LocalTime => Ok(Datum::Time(datetime::local_time(ty.typmod, eval))),
        SqlValueOp::LocalTimestamp => {
            Ok(Datum::Timestamp(datetime::local_timestamp(ty.typmod, eval)?))
        }
        SqlValueOp::CurrentRole | SqlValueOp::CurrentUser | SqlValueOp::User => {
            host("current_user", context)
        }
        SqlValueOp::SessionUser => host("session_user", context),
        SqlValueOp::CurrentCatalog => host("current_database", context),
        SqlValueOp::CurrentSchema => host("current_schema", context),
    }
}

fn host(name: &str, context: &Evaluation<'_>) -> SqlResult<Datum> {
    let row = builtins()
        .functions_named(name)
        .find(|row| row.arguments.is_empty())
        .ok_or_else(|| SqlError::internal(format!("no function {name}")))?;
    context.eval.host.call(row.oid, &[])
}
