//! `numeric`: exact decimal numbers in base 10,000 with a display scale, NaN and the infinities.

/// A numeric value.
#[derive(Clone, Debug)]
pub struct Numeric;
