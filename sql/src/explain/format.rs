//! A plan as `TEXT`, `JSON`, `XML` and `YAML`, key by key as PostgreSQL prints its own.

use super::{ExplainFormat, ExplainOptions, Explained, PlanNode, Property, Shown, Value};

mod text;

/// The lines of the result: `TEXT` gives one row a line, the others one row.
#[must_use]
pub fn print(explained: &Explained, options: &ExplainOptions) -> Vec<String> {
    match options.format {
        ExplainFormat::Text => text::lines(explained, options),
        ExplainFormat::Json => vec![json(&document(explained, options))],
        ExplainFormat::Xml => vec![xml(&document(explained, options))],
        ExplainFormat::Yaml => vec![yaml(&document(explained, options))],
    }
}

/// What the formats for programs print.
enum Item {
    Text(String),
    /// Numbers and truth values: written as they are.
    Plain(String),
    /// A list of texts.
    List(Vec<String>),
    /// Items by name.
    Group(Vec<(&'static str, Item)>),
    /// A list of groups, and what one of them is called in XML.
    Groups(&'static str, Vec<Vec<(&'static str, Item)>>),
    /// Settings: their names are not keys of ours.
    Settings(Vec<(String, String)>),
}

type Group = Vec<(&'static str, Item)>;

fn number(value: f64, digits: usize) -> Item {
    Item::Plain(format!("{value:.digits$}"))
}

fn document(explained: &Explained, options: &ExplainOptions) -> Group {
    let mut all: Group = vec![("Plan", Item::Group(node(&explained.plan, options)))];
    if options.settings {
        all.push(("Settings", Item::Settings(explained.settings.clone())));
    }
    if let Some(id) = explained.query_id
        && options.verbose
    {
        all.push(("Query Identifier", Item::Plain(id.to_string())));
    }
    if options.buffers {
        all.push(("Planning", Item::Group(buffers())));
    }
    if options.summary {
        all.push(("Planning Time", number(explained.planning_ms, 3)));
    }
    if options.analyze {
        all.push(("Triggers", Item::Groups("Trigger", Vec::new())));
    }
    if let Some(time) = explained.execution_ms
        && options.summary
    {
        all.push(("Execution Time", number(time, 3)));
    }
    all
}

const BUFFERS: [&str; 10] = [
    "Shared Hit Blocks",
    "Shared Read Blocks",
    "Shared Dirtied Blocks",
    "Shared Written Blocks",
    "Local Hit Blocks",
    "Local Read Blocks",
    "Local Dirtied Blocks",
    "Local Written Blocks",
    "Temp Read Blocks",
    "Temp Written Blocks",
];

fn zeros(names: &[&'static str]) -> Group {
    names.iter().map(|name| (*name, Item::Plain("0".to_owned()))).collect()
}

/// There are no shared buffers.
fn buffers() -> Group {
    zeros(&BUFFERS)
}

fn node(node: &PlanNode, options: &ExplainOptions) -> Group {
    let text = |text: &str| Item::Text(text.to_owned());
    let mut all: Group = vec![("Node Type", text(node.node_type))];
    all.extend(node.manner.iter().map(|(name, value)| (*name, text(value))));
    all.extend(node.relationship.map(|value| ("Parent Relationship", text(value))));
    all.extend(node.subplan_name.as_ref().map(|value| ("Subplan Name", text(value))));
    all.push(("Parallel Aware", Item::Plain("false".to_owned())));
    all.push(("Async Capable", Item::Plain("false".to_owned())));
    all.extend(node.scan.iter().map(|(name, value)| (*name, text(value))));
    if let Some(target) = &node.target {
        all.extend(target.object.as_ref().map(|(key, name)| (*key, text(name))));
        all.extend(target.schema.as_ref().map(|schema| ("Schema", text(schema))));
        all.push(("Alias", text(&target.alias)));
    }
    all.extend(node.join_type.map(|value| ("Join Type", text(value))));
    if options.costs {
        all.push(("Startup Cost", number(node.estimate.startup_cost, 2)));
        all.push(("Total Cost", number(node.estimate.total_cost, 2)));
        all.push(("Plan Rows", number(node.estimate.rows, 0)));
        all.push(("Plan Width", Item::Plain(node.estimate.width.to_string())));
    }
    if let Some(actual) = &node.actual {
        let each = |value: f64| value / actual.loops.max(1.0);
        if options.timing {
            all.push(("Actual Startup Time", number(each(actual.startup_ms), 3)));
            all.push(("Actual Total Time", number(each(actual.total_ms), 3)));
        }
        all.push(("Actual Rows", number(each(actual.rows), 0)));
        all.push(("Actual Loops", number(actual.loops, 0)));
    }
    all.extend(node.output.as_ref().map(|output| ("Output", Item::List(output.clone()))));
    let properties = node.properties.iter().filter(|property| property.shown != Shown::InText);
    all.extend(properties.map(|Property { name, value, .. }| {
        let item = match value {
            Value::Text(value) => Item::Text(value.clone()),
            Value::List(values) => Item::List(values.clone()),
            Value::Number(value, digits) => number(*value, *digits),
            Value::Bool(value) => Item::Plain(value.to_string()),
        };
        (*name, item)
    }));
    if options.buffers {
        all.extend(buffers());
    }
    if options.wal {
        all.extend(zeros(&["WAL Records", "WAL FPI", "WAL Bytes"]));
    }
    if !node.children.is_empty() {
        let children = node.children.iter().map(|child| self::node(child, options)).collect();
        all.push(("Plans", Item::Groups("Plan", children)));
    }
    all
}

/// A JSON string, as `escape_json` writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn quoted_list(list: &[String], quote: impl Fn(&str) -> String) -> String {
    let texts: Vec<String> = list.iter().map(|text| quote(text)).collect();
    texts.join(", ")
}

fn json(document: &Group) -> String {
    let mut out = String::from("[\n  {\n");
    json_group(document, 2, &mut out);
    out.push_str("\n  }\n]");
    out
}

fn json_group(group: &Group, indent: usize, out: &mut String) {
    let spaces = "  ".repeat(indent);
    for (at, (name, item)) in group.iter().enumerate() {
        if at > 0 {
            out.push_str(",\n");
        }
        out.push_str(&format!("{spaces}{}: ", quoted(name)));
        match item {
            Item::Text(text) => out.push_str(&quoted(text)),
            Item::Plain(text) => out.push_str(text),
            Item::List(list) => out.push_str(&format!("[{}]", quoted_list(list, quoted))),
            Item::Group(group) => {
                out.push_str("{\n");
                json_group(group, indent + 1, out);
                out.push_str(&format!("\n{spaces}}}"));
            }
            Item::Groups(_, groups) => {
                out.push('[');
                for (at, group) in groups.iter().enumerate() {
                    out.push_str(if at > 0 { ",\n" } else { "\n" });
                    out.push_str(&format!("{spaces}  {{\n"));
                    json_group(group, indent + 2, out);
                    out.push_str(&format!("\n{spaces}  }}"));
                }
                out.push_str(&format!("\n{spaces}]"));
            }
            Item::Settings(settings) => {
                out.push('{');
                for (at, (name, value)) in settings.iter().enumerate() {
                    out.push_str(if at > 0 { ",\n" } else { "\n" });
                    out.push_str(&format!("{spaces}  {}: {}", quoted(name), quoted(value)));
                }
                out.push_str(&format!("\n{spaces}}}"));
            }
        }
    }
}

/// A name as a tag: what no tag may have becomes a hyphen.
fn tag(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().map(|c| if valid(c) { c } else { '-' }).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#x0d;"),
            other => out.push(other),
        }
    }
    out
}

fn xml(document: &Group) -> String {
    let mut out =
        "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n".to_owned();
    xml_group(document, 2, &mut out);
    out.push_str("  </Query>\n</explain>");
    out
}

fn xml_group(group: &Group, indent: usize, out: &mut String) {
    let spaces = "  ".repeat(indent);
    for (name, item) in group {
        let name = tag(name);
        let mut line = |text: &str| out.push_str(&format!("{spaces}<{name}>{text}</{name}>\n"));
        match item {
            Item::Text(text) => line(&escaped(text)),
            Item::Plain(text) => line(text),
            Item::List(list) => {
                out.push_str(&format!("{spaces}<{name}>\n"));
                for text in list {
                    out.push_str(&format!("{spaces}  <Item>{}</Item>\n", escaped(text)));
                }
                out.push_str(&format!("{spaces}</{name}>\n"));
            }
            Item::Group(group) => {
                out.push_str(&format!("{spaces}<{name}>\n"));
                xml_group(group, indent + 1, out);
                out.push_str(&format!("{spaces}</{name}>\n"));
            }
            Item::Groups(each, groups) => {
                out.push_str(&format!("{spaces}<{name}>\n"));
                for group in groups {
                    out.push_str(&format!("{spaces}  <{each}>\n"));
                    xml_group(group, indent + 2, out);
                    out.push_str(&format!("{spaces}  </{each}>\n"));
                }
                out.push_str(&format!("{spaces}</{name}>\n"));
            }
            Item::Settings(settings) => {
                out.push_str(&format!("{spaces}<{name}>\n"));
                for (setting, value) in settings {
                    let setting = tag(setting);
                    out.push_str(&format!("{spaces}  <{setting}>{}</{setting}>\n", escaped(value)));
                }
                out.push_str(&format!("{spaces}</{name}>\n"));
            }
        }
    }
}

fn yaml(document: &Group) -> String {
    let mut out = String::from("- ");
    yaml_group(document, 1, &mut out);
    out
}

/// Each item on a line of its own, but for the first, which stands where it is.
fn yaml_group(group: &Group, indent: usize, out: &mut String) {
    let spaces = "  ".repeat(indent);
    for (at, (name, item)) in group.iter().enumerate() {
        if at > 0 {
            out.push_str(&format!("\n{spaces}"));
        }
        out.push_str(&format!("{name}: "));
        match item {
            Item::Text(text) => out.push_str(&quoted(text)),
            Item::Plain(text) => out.push_str(text),
            Item::List(list) => {
                for text in list {
                    out.push_str(&format!("\n{spaces}  - {}", quoted(text)));
                }
            }
            Item::Group(group) => {
                out.push_str(&format!("\n{spaces}  "));
                yaml_group(group, indent + 1, out);
            }
            Item::Groups(_, groups) => {
                for group in groups {
                    out.push_str(&format!("\n{spaces}  - "));
                    yaml_group(group, indent + 2, out);
                }
            }
            Item::Settings(settings) => {
                for (name, value) in settings {
                    out.push_str(&format!("\n{spaces}  {name}: {}", quoted(value)));
                }
            }
        }
    }
}
