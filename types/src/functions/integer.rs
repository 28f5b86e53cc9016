//! int2, int4, int8, oid: checked arithmetic, bits, casts.

use super::{ScalarTable, SetTable};

pub(super) static SCALARS: ScalarTable = &[];

pub(super) static SETS: SetTable = &[];
