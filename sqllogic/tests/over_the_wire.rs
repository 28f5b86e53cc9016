//! The real binary, driven over its wire: our `.slt` files in both protocols, suites of real clients,
//! kills under load, and the house's own rules. One test binary, a module each.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "all of this is test code: a failed unwrap is a failed test, and seeds are printed"
)]

#[path = "over_the_wire/server.rs"]
mod server;
#[path = "over_the_wire/specification.rs"]
mod specification;
#[path = "over_the_wire/clients.rs"]
mod clients;
#[path = "over_the_wire/dump.rs"]
mod dump;
#[path = "over_the_wire/fuzz.rs"]
mod fuzz;
#[path = "over_the_wire/isolation.rs"]
mod isolation;
#[path = "over_the_wire/serializable.rs"]
mod serializable;
#[path = "over_the_wire/kill.rs"]
mod kill;
#[path = "over_the_wire/sessions.rs"]
mod sessions;
#[path = "over_the_wire/data_directory.rs"]
mod data_directory;
#[path = "over_the_wire/hostile.rs"]
mod hostile;
#[path = "over_the_wire/functions.rs"]
mod functions;
#[path = "over_the_wire/statistics.rs"]
mod statistics;
#[path = "over_the_wire/analyze.rs"]
mod analyze;
#[path = "over_the_wire/access.rs"]
mod access;
#[path = "over_the_wire/streams.rs"]
mod streams;
#[path = "over_the_wire/house.rs"]
mod house;
