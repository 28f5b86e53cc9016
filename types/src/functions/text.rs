//! Strings: text, varchar, char(n), name, "char", patterns.

use super::{ScalarTable, SetTable};

pub(super) static SCALARS: ScalarTable = &[];

pub(super) static SETS: SetTable = &[];
