//! `pg_export_snapshot`: the name is given at once, the snapshot is known by it when the statement
//! has ended ([`Session::end_statement`](super::super::Session::end_statement)).

use aegis_types::Datum;

use super::{HostTable, SessionHost};

pub(super) static FUNCTIONS: HostTable = &[("pg_export_snapshot", |call| {
    let identity = &call.host.identity;
    let name = identity.instance.exported.new_name(identity.process_id);
    identity.exports.lock().push(name.clone());
    Ok(Datum::text(name))
})];

impl SessionHost {
    /// The names that `pg_export_snapshot` has given since this was last called.
    pub(in crate::session) fn take_exports(&self) -> Vec<String> {
        std::mem::take(&mut self.identity.exports.lock())
    }
}
