//! The specification as text, run over the wire.
