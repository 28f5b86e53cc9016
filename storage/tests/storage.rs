//! Storage from outside: transactions, a model, crashes.

#[cfg(test)]
#[path = "storage/crash.rs"]
mod crash;
#[cfg(test)]
#[path = "storage/limits.rs"]
#[expect(clippy::disallowed_methods, reason = "server::task is above storage")]
mod limits;
#[cfg(test)]
#[path = "storage/model.rs"]
mod model;
#[cfg(test)]
#[path = "storage/support.rs"]
mod support;
#[cfg(test)]
#[path = "storage/transactions.rs"]
#[expect(clippy::disallowed_methods, reason = "server::task is above storage")]
mod transactions;
