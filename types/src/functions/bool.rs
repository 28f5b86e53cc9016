//! Booleans.

use super::ScalarTable;

pub(super) static SCALARS: ScalarTable = &[];
