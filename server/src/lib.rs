//! The binary: sockets, sessions, composition.
