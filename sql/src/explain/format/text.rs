//! The format for people: nodes by indentation, each with its properties below it.

use aegis_types::functions::quote_ident;

use super::super::{ExplainOptions, Explained, PlanNode, Property, Shown, Value};

pub(super) fn lines(explained: &Explained, options: &ExplainOptions) -> Vec<String> {
    let mut lines = Vec::new();
    write(&explained.plan, options, 0, &mut lines);
    if options.settings && !explained.settings.is_empty() {
        let settings: Vec<String> =
            explained.settings.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        lines.push(format!("Settings: {}", settings.join(", ")));
    }
    if let Some(id) = explained.query_id
        && options.verbose
    {
        lines.push(format!("Query Identifier: {id}"));
    }
    if options.summary {
        lines.push(format!("Planning Time: {:.3} ms", explained.planning_ms));
        if let Some(time) = explained.execution_ms {
            lines.push(format!("Execution Time: {time:.3} ms"));
        }
    }
    lines
}

fn write(node: &PlanNode, options: &ExplainOptions, column: usize, lines: &mut Vec<String>) {
    let mut column = column;
    if let Some(name) = &node.subplan_name {
        lines.push(format!("{}{name}", " ".repeat(column)));
        column += 2;
    }
    let head = head(node, options);
    let below = if column == 0 {
        lines.push(head);
        2
    } else {
        lines.push(format!("{}->  {head}", " ".repeat(column)));
        column + 6
    };
    let spaces = " ".repeat(below);
    let mut line = |name: &str, text: &str| lines.push(format!("{spaces}{name}: {text}"));
    if let Some(output) = &node.output
        && !output.is_empty()
    {
        line("Output", &output.join(", "));
    }
    for Property { name, value, shown } in &node.properties {
        if *shown == Shown::NotInText {
            continue;
        }
        match value {
            Value::Text(text) => line(name, text),
            Value::List(list) => line(name, &list.join(", ")),
            Value::Number(number, digits) => line(name, &format!("{number:.digits$}")),
            Value::Bool(value) => line(name, &value.to_string()),
        }
    }
    for child in &node.children {
        write(child, options, below, lines);
    }
}

fn head(node: &PlanNode, options: &ExplainOptions) -> String {
    let mut head = node.title.clone();
    if let Some(target) = &node.target {
        head.push_str(" on");
        if let Some((_, name)) = &target.object {
            head.push(' ');
            if let Some(schema) = &target.schema {
                head.push_str(&format!("{}.", quote_ident(schema)));
            }
            head.push_str(&quote_ident(name));
        }
        if target.object.as_ref().is_none_or(|(_, name)| *name != target.alias) {
            head.push_str(&format!(" {}", quote_ident(&target.alias)));
        }
    }
    if options.costs {
        let estimate = &node.estimate;
        head.push_str(&format!(
            "  (cost={:.2}..{:.2} rows={:.0} width={})",
            estimate.startup_cost, estimate.total_cost, estimate.rows, estimate.width
        ));
    }
    if let Some(actual) = &node.actual {
        let each = |value: f64| value / actual.loops.max(1.0);
        if actual.loops == 0.0 {
            head.push_str(" (never executed)");
        } else if options.timing {
            head.push_str(&format!(
                " (actual time={:.3}..{:.3} rows={:.0} loops={:.0})",
                each(actual.startup_ms),
                each(actual.total_ms),
                each(actual.rows),
                actual.loops
            ));
        } else {
            head.push_str(&format!(
                " (actual rows={:.0} loops={:.0})",
                each(actual.rows),
                actual.loops
            ));
        }
    }
    head
}
