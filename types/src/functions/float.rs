//! float4 and float8, and the mathematical functions over them.

use super::ScalarTable;

pub(super) static SCALARS: ScalarTable = &[];
