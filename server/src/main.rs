//! The binary `aegis`.

fn main() {}
