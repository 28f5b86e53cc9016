//! Everything that needs a vectorised plan: DataFusion.
//!
//! ```text
//! bound::Query ── build ──► plan::Plan ── start ──► DataFusion's ExecutionPlan ──► Arrow batches
//!                   │                        │
//!                 compile                 one execution: parameters, snapshot, memory
//! ```
//!
//! Plans are made straight from the bound tree: there is no logical plan and no optimizer, so
//! nothing reorders, folds or coerces an expression.

mod arrow_types;
mod memory;
mod run;
mod scalar;
mod compile;
mod rewrite;
mod known;
mod build;
mod plan;
mod node;
mod along;
mod scan;
mod lookup;
mod lock_rows;
mod direct;
mod functions;
mod aggregate;
mod duplicates;
mod window;
mod stepwise;
mod subquery;
mod recursive;
mod explain;
mod measure;
mod engine;

pub use engine::{ArrowBatch, DataFusionEngine};
