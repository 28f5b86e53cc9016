//! `jsonb`: our own binary form, keys in PostgreSQL's order (shorter first, then by bytes).

use std::sync::Arc;

/// A jsonb value in its binary form.
#[derive(Clone, Debug)]
pub struct Jsonb(Arc<[u8]>);
