//! The specification as text, run over the wire.
//!
//! A `.slt` file is a list of statements with the rows, counts or SQLSTATEs that they must give. The
//! same file runs in the simple and in the extended protocol, against Aegis and against PostgreSQL.
//! Nothing of Aegis is named here but its protocol: what passes here passes for a client.

pub mod wire;
pub mod runner;
mod valuewise;
pub mod script;
pub mod diff;
pub mod fuzz;
pub mod random;
