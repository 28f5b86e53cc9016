//! Arrays: construction, concatenation, search, subscripts, comparison.

use super::{ScalarTable, SetTable};

pub(super) static SCALARS: ScalarTable = &[];

pub(super) static SETS: SetTable = &[];
