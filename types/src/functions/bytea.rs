//! Byte strings, uuid, and hashes of them.

use super::ScalarTable;

pub(super) static SCALARS: ScalarTable = &[];
