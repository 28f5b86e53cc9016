//! `EXPLAIN`: the plan's nodes under PostgreSQL's names, without costs.

use crate::plan::{Plan, PlanKind};
use crate::scan::Access;
use aegis_sql::bound::{JoinKind, SetOperator};

/// The lines of a plan.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    write(plan, 0, &mut lines);
    lines
}

fn write(plan: &Plan, indent: usize, lines: &mut Vec<String>) {
    let (name, children): (String, Vec<&Plan>) = match &plan.kind {
        // What only computes columns is part of the node below, as in PostgreSQL.
        PlanKind::Project(input, _) => return write(input, indent, lines),
        PlanKind::Filter(input, _) => {
            write(input, indent, lines);
            return;
        }
        PlanKind::OneRow => ("Result".into(), vec![]),
        PlanKind::Scan(scan) => {
            let mut of = scan.relation.name.clone();
            if scan.alias != of {
                of = format!("{of} {}", scan.alias);
            }
            let name = match &scan.access {
                Access::All => format!("Seq Scan on {of}"),
                Access::RowKey(_) => format!("Tid Scan on {of}"),
                Access::Range(range) => format!("Index Scan using {} on {of}", range.name),
            };
            (name, vec![])
        }
        PlanKind::System { name, .. } => (format!("Seq Scan on {name}"), vec![]),
        PlanKind::Values(_) => ("Values Scan".into(), vec![]),
        PlanKind::Functions(functions) => (format!("Function Scan on {}", functions.name), vec![]),
        PlanKind::ProjectSet(input, _) => ("ProjectSet".into(), vec![input]),
        PlanKind::Join(join) => {
            let kind = match join.kind {
                JoinKind::Inner => "",
                JoinKind::Left => " Left",
                JoinKind::Right => " Right",
                JoinKind::Full => " Full",
            };
            let name = if join.keys.is_empty() {
                match join.kind {
                    JoinKind::Inner => "Nested Loop".into(),
                    _ => format!("Nested Loop{kind} Join"),
                }
            } else {
                format!("Hash{kind} Join")
            };
            (name, vec![&join.left, &join.right])
        }
        PlanKind::Lateral(lateral) => {
            let name = if lateral.outer { "Nested Loop Left Join" } else { "Nested Loop" };
            (name.into(), vec![&lateral.left, &lateral.part.plan])
        }
        PlanKind::Sort(input, _) => ("Sort".into(), vec![input]),
        PlanKind::Aggregate(aggregate) => {
            let grouped = !aggregate.groups.is_empty();
            let name = if grouped { "HashAggregate" } else { "Aggregate" };
            (name.into(), vec![&aggregate.input])
        }
        PlanKind::Window(window) => ("WindowAgg".into(), vec![&window.input]),
        PlanKind::Distinct(input, _) => ("Unique".into(), vec![input]),
        PlanKind::SetOperation { op, all, left, right } => {
            let op = match op {
                SetOperator::Union => "Union",
                SetOperator::Intersect => "Intersect",
                SetOperator::Except => "Except",
            };
            let all = if *all { " All" } else { "" };
            (format!("HashSetOp {op}{all}"), vec![left, right])
        }
        PlanKind::Append(left, right) => ("Append".into(), vec![left, right]),
        PlanKind::Limit(limit) => ("Limit".into(), vec![&limit.input]),
        PlanKind::Cte(cte) => (format!("CTE Scan on {}", cte.name), vec![&cte.part.plan]),
        PlanKind::Recursive(recursive) => {
            ("Recursive Union".into(), vec![&recursive.base.plan, &recursive.step.plan])
        }
        PlanKind::WorkTable(_) => ("WorkTable Scan".into(), vec![]),
    };
    let prefix =
        if indent == 0 { String::new() } else { format!("{}->  ", " ".repeat(indent * 6 - 4)) };
    lines.push(format!("{prefix}{name}"));
    for child in children {
        write(child, indent + 1, lines);
    }
}
