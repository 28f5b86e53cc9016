//! Object identifiers: the numbers by which PostgreSQL's clients know types, relations and functions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An object identifier. `0` stands for "none", as in PostgreSQL's catalogs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Oid(pub u32);

impl Oid {
    /// PostgreSQL's `InvalidOid`.
    pub const NONE: Self = Self(0);
    /// The first OID given to objects that users create.
    pub const FIRST_USER: Self = Self(16384);

    /// Whether a type with this OID is described by the catalog, and not by the table of PostgreSQL's
    /// own: a user's, a domain of `information_schema`, or the array over one of those. Their OIDs
    /// are those that `initdb` of PostgreSQL 15 happens to give.
    #[must_use]
    pub const fn is_described_type(self) -> bool {
        self.0 >= Self::FIRST_USER.0
            || matches!(self.0, 13220 | 13221 | 13223..=13226 | 13231..=13234)
    }

    /// Whether this names an object at all.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A type as a column, an expression or a parameter has it: which one, and its modifier.
///
/// The modifier is encoded as PostgreSQL encodes it in `atttypmod`: `-1` for none,
/// `n + 4` for `varchar(n)` and `char(n)`, `((precision << 16) | scale) + 4` for `numeric`,
/// the precision for the time types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeRef {
    /// The type.
    pub oid: Oid,
    /// Its modifier, `-1` for none.
    pub typmod: i32,
}

impl Default for TypeRef {
    fn default() -> Self {
        Self::plain(Oid::NONE)
    }
}

impl TypeRef {
    /// The type without a modifier.
    #[must_use]
    pub const fn plain(oid: Oid) -> Self {
        Self { oid, typmod: -1 }
    }

    /// The type with a modifier in PostgreSQL's encoding.
    #[must_use]
    pub const fn with_typmod(oid: Oid, typmod: i32) -> Self {
        Self { oid, typmod }
    }
}
