//! Tests of numeric.
