//! Parse, bind, evaluate row by row, change data.

pub mod ast;
pub mod parser;
