//! Memory-comparable keys: bytes whose order is the order of the datums.
