//! Parse, bind, evaluate row by row, change data. No DataFusion here.
//!
//! Reads in the order of a statement's life: [`parser`] makes an [`ast`], the analyzer makes a
//! [`bound`] tree of it, and [`query_engine`] or [`evaluate`] run that.

pub mod ast;
pub mod parser;
pub mod bound;
pub mod evaluate;
pub mod query_engine;
pub mod counters;
pub mod row;
pub mod settings;
pub mod ddl;
pub mod copy;
