//! Which collation an expression has (PostgreSQL's `parse_collate.c`): what `COLLATE` says, else what
//! a column was declared with, else the type's.

use aegis_types::builtin::{FunctionRow, builtins};
use aegis_types::{Collation, Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::Expr;

/// How an expression came by its collation; what is further down wins over what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// It has none: its type has no collations.
    No,
    /// By a column's declaration or a type.
    Implicit(Collation),
    /// By two of them that differ: whoever needs it must ask for `COLLATE`.
    Conflict,
    /// By `COLLATE`.
    Explicit(Collation),
}

impl Derived {
    /// The collation of two expressions together.
    ///
    /// # Errors
    /// 42P21 where `COLLATE` says two things.
    pub fn with(self, other: Self) -> SqlResult<Self> {
        Ok(match (self, other) {
            (Self::No, found) | (found, Self::No) => found,
            (Self::Explicit(one), Self::Explicit(two)) if one != two => {
                return Err(SqlError::new(
                    SqlState::CollationMismatch,
                    format!(
                        "collation mismatch between explicit collations \"{}\" and \"{}\"",
                        one.name(),
                        two.name()
                    ),
                ));
            }
            (explicit @ Self::Explicit(_), _) | (_, explicit @ Self::Explicit(_)) => explicit,
            (Self::Conflict, _) | (_, Self::Conflict) => Self::Conflict,
            (Self::Implicit(one), Self::Implicit(two)) => match (one, two) {
                _ if one == two => self,
                (Collation::Default, _) => other,
                (_, Collation::Default) => self,
                _ => Self::Conflict,
            },
        })
    }
}

/// What a column of the range table was declared with: `(entry, column, levels_up)`.
pub type Declared<'a> = dyn Fn(usize, i16, usize) -> Option<Collation> + 'a;

/// The collation of a type that has one.
fn of_type(oid: Oid) -> Derived {
    match builtins().type_row(oid) {
        // A domain may be over text.
        None => Derived::Implicit(Collation::Default),
        Some(row) if row.collation == Collation::C.oid() => Derived::Implicit(Collation::C),
        Some(row) if row.collation.is_some() => Derived::Implicit(Collation::Default),
        Some(_) => Derived::No,
    }
}

/// The collation of several expressions together.
///
/// # Errors
/// 42P21
pub fn together<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    declared: &Declared<'_>,
) -> SqlResult<Derived> {
    exprs.into_iter().try_fold(Derived::No, |found, expr| found.with(expr.collation(declared)?))
}

impl Expr {
    /// The expression's collation.
    ///
    /// # Errors
    /// 42P21
    pub fn collation(&self, declared: &Declared<'_>) -> SqlResult<Derived> {
        let own = of_type(self.ty().oid);
        if own == Derived::No {
            return Ok(own);
        }
        match self {
            Self::Collate { collation, explicit: true, .. } => Ok(Derived::Explicit(*collation)),
            Self::Collate { collation, .. } => Ok(Derived::Implicit(*collation)),
            Self::Column { entry, column, levels_up, .. } => {
                Ok(declared(*entry, *column, *levels_up).map_or(own, Derived::Implicit))
            }
            _ => {
                let mut found = Ok(Derived::No);
                self.for_each_child(&mut |child| {
                    found = std::mem::replace(&mut found, Ok(Derived::No))
                        .and_then(|found| found.with(child.collation(declared)?));
                });
                Ok(match found? {
                    Derived::No => own,
                    found => found,
                })
            }
        }
    }
}

/// Whether what a function gives depends on a collation, and how messages name what needs it.
#[must_use]
pub fn asks_for_collation(function: &FunctionRow) -> Option<&'static str> {
    // The source of a user's function is its text.
    if function.oid >= Oid::FIRST_USER {
        return None;
    }
    let source = &*function.source;
    Some(match source {
        "lower" if function.result == t::TEXT => "lower() function",
        "upper" if function.result == t::TEXT => "upper() function",
        "initcap" => "initcap() function",
        "pg_collation_for" => "pg_collation_for() function",
        _ if source.contains("iclike") || source.contains("icnlike") => "ILIKE",
        _ if source.starts_with("regexp_")
            || ["textregex", "texticregex", "nameregex", "nameicregex"]
                .iter()
                .any(|prefix| source.starts_with(prefix))
            || (source.is_empty() && function.name == "substring") =>
        {
            "regular expression"
        }
        _ => return None,
    })
}

/// The collation of a function's arguments where it asks for one.
///
/// # Errors
/// 42P21, 42P22
pub fn of_arguments(
    function: &FunctionRow,
    args: &[Expr],
    declared: &Declared<'_>,
) -> SqlResult<Collation> {
    let Some(what) = asks_for_collation(function) else { return Ok(Collation::Default) };
    match together(args, declared)? {
        Derived::No => Ok(Collation::Default),
        Derived::Implicit(collation) | Derived::Explicit(collation) => Ok(collation),
        Derived::Conflict => Err(SqlError::new(
            SqlState::IndeterminateCollation,
            format!("could not determine which collation to use for {what}"),
        )
        .hint("Use the COLLATE clause to set the collation explicitly.")),
    }
}
