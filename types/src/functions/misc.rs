//! Functions of no family: pg_typeof, version, hashes.

use super::ScalarTable;

pub(super) static SCALARS: ScalarTable = &[];
