//! The functions that only a session, a catalog or a server can answer, by name.

/// Names of `pg_proc` whose rows run by [`crate::context::Host::call`]. Each name here is answered
/// by the session; a test of the server calls them all.
pub const HOST_FUNCTIONS: &[&str] = &[];
