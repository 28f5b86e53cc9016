//! Storage from outside: transactions, a model, crashes.

#[path = "storage/crash.rs"]
mod crash;
#[path = "storage/limits.rs"]
mod limits;
#[path = "storage/model.rs"]
mod model;
#[path = "storage/support.rs"]
mod support;
#[path = "storage/transactions.rs"]
mod transactions;
