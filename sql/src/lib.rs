//! Parse, bind, evaluate row by row, change data. No DataFusion here.
//!
//! Reads in the order of a statement's life: [`parser`] makes an [`ast`], [`analyze`] makes a
//! [`bound`] tree of it, and [`query_engine`], [`dml`] or [`ddl`] run that, with [`evaluate`] for
//! every scalar expression.

pub mod ast;
pub mod parser;
pub mod bound;
pub mod analyze;
pub mod deparse;
pub mod evaluate;
pub mod query_engine;
pub mod explain;
pub mod row;
pub mod settings;
pub mod password;
pub mod privilege;
pub mod counters;
pub mod statistics;
pub mod dml;
pub mod engine;
pub mod ddl;
pub mod copy;
pub mod routine;
pub mod template;
pub mod query_id;
pub mod spool;
