//! `EXPLAIN`: its options, the tree of nodes that a planner shows, and what is printed of it.
//!
//! ```text
//! plan ── QueryPlan::explain ──► PlanNode ── print ──► TEXT, JSON, XML, YAML
//!   └── run under a Measure ──► counters of its nodes ──┘
//! ```
//!
//! Names of nodes, keys and their order are PostgreSQL's, whose tools read them. Costs are in its
//! unit, but of a model of our own, which the planner documents. There is no pool of shared buffers
//! and no write of WAL by a node, so that those figures are all 0.

mod format;
mod measure;
mod options;

pub use format::print;
pub use measure::{Measure, NodeCounters};
pub use options::{ExplainFormat, ExplainOptions};

use aegis_types::Datum;

use crate::deparse::Deparser;

/// What a planner is told when it shows a plan.
#[derive(Clone, Copy)]
pub struct ExplainRequest<'a> {
    /// Prints expressions.
    pub deparser: Deparser<'a>,
    /// `VERBOSE`
    pub verbose: bool,
    /// What running the plan counted; none where it has not run.
    pub measure: Option<&'a Measure>,
    /// The values of parameters, which are shown in their place.
    pub parameters: &'a [Datum],
    /// Whether the statement has a target besides what the plan reads, so that columns are named
    /// with what they are of.
    pub has_target: bool,
}

/// What a node is expected to take and give.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// What comes before the first row.
    pub startup_cost: f64,
    /// What all rows take.
    pub total_cost: f64,
    /// How many rows there are.
    pub rows: f64,
    /// How many bytes a row has.
    pub width: u32,
}

/// What a node has taken and given, over all its loops.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Actual {
    /// Milliseconds until the first row.
    pub startup_ms: f64,
    /// Milliseconds until the end.
    pub total_ms: f64,
    /// Rows given.
    pub rows: f64,
    /// How often it was run; 0 if never.
    pub loops: f64,
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Several.
    List(Vec<String>),
    /// A number with so many digits behind the point.
    Number(f64, usize),
    /// A truth value.
    Bool(bool),
}

/// A property of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its key.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Which formats show it.
    pub shown: Shown,
}

/// Which formats show a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All.
    Always,
    /// `TEXT` alone.
    InText,
    /// All but `TEXT`.
    NotInText,
}

/// What a node reads or changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `Relation Name`, `CTE Name` or `Function Name`, and the name; none for `VALUES`.
    pub object: Option<(&'static str, String)>,
    /// Its schema, where `VERBOSE` shows it.
    pub schema: Option<String>,
    /// What it is called in the query.
    pub alias: String,
}

/// A node of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanNode {
    /// What it is called: `Aggregate`.
    pub node_type: &'static str,
    /// What it is called in `TEXT`: `HashAggregate`.
    pub title: String,
    /// `Strategy`, `Partial Mode`, `Operation`.
    pub manner: Vec<(&'static str, &'static str)>,
    /// What it is to the node above: `Outer`, `Inner`, `Member`, `Subquery`, `InitPlan`, `SubPlan`.
    pub relationship: Option<&'static str>,
    /// What a part that runs by itself is called: `SubPlan 1`.
    pub subplan_name: Option<String>,
    /// `Scan Direction`, `Index Name`.
    pub scan: Vec<(&'static str, String)>,
    /// What it reads or changes.
    pub target: Option<Target>,
    /// `Join Type`.
    pub join_type: Option<&'static str>,
    /// What is expected of it.
    pub estimate: Estimate,
    /// What it did; none if the plan has not run.
    pub actual: Option<Actual>,
    /// `Output`, where `VERBOSE` shows it.
    pub output: Option<Vec<String>>,
    /// What else there is to say, in order.
    pub properties: Vec<Property>,
    /// The nodes below, in order.
    pub children: Vec<PlanNode>,
}

impl PlanNode {
    /// A node of this type, called so in all formats.
    #[must_use]
    pub fn new(node_type: &'static str) -> Self {
        Self { node_type, title: node_type.to_owned(), ..Self::default() }
    }

    /// Adds a text, if there is one.
    pub fn text(&mut self, name: &'static str, value: Option<String>) {
        if let Some(value) = value {
            let value = Value::Text(value);
            self.properties.push(Property { name, value, shown: Shown::Always });
        }
    }

    /// Adds a list, if there is one.
    pub fn list(&mut self, name: &'static str, value: Option<Vec<String>>) {
        if let Some(value) = value {
            let value = Value::List(value);
            self.properties.push(Property { name, value, shown: Shown::Always });
        }
    }

    /// Adds a count of rows; `TEXT` leaves 0 out.
    pub fn count(&mut self, name: &'static str, value: f64) {
        let shown = if value > 0.0 { Shown::Always } else { Shown::NotInText };
        self.properties.push(Property { name, value: Value::Number(value, 0), shown });
    }

    /// The same node as the one above it knows it.
    #[must_use]
    pub fn as_child(self, relationship: &'static str) -> Self {
        Self { relationship: Some(relationship), ..self }
    }
}

/// Everything that is printed.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// The plan.
    pub plan: PlanNode,
    /// `SETTINGS`: those that are not as they are by default.
    pub settings: Vec<(String, String)>,
    /// The statement's identifier, where one is computed.
    pub query_id: Option<i64>,
    /// Milliseconds that planning took.
    pub planning_ms: f64,
    /// Milliseconds that running took, where it ran.
    pub execution_ms: Option<f64>,
}
