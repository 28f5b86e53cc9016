//! Parse, bind, evaluate row by row, change data. No DataFusion here.

pub mod ast;
pub mod bound;
pub mod evaluate;
pub mod query_engine;
pub mod row;
