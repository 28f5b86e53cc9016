//! The real binary, driven over its wire: our `.slt` files in both protocols, kills under load, and
//! the house's own rules. One test binary, a module each.

#[path = "over_the_wire/server.rs"]
mod server;
#[path = "over_the_wire/specification.rs"]
mod specification;
#[path = "over_the_wire/kill.rs"]
mod kill;
#[path = "over_the_wire/house.rs"]
mod house;
