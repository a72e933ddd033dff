//! The effective configuration as text: every value that is given, after all layers.

use serde_json::{Map, Value};

use super::{
    diagnostic::Origin,
    layers::{NAMED, Tree},
    tree::{Entry, Item, Node, Table},
};

/// What stands for a password.
const MASK: &str = "***";
/// The table of a sync that is printed as a table of its own.
const FIELDS: &str = "fields";

/// Every value that files and environment give, later layers over earlier ones. Secrets are in it as references; a
/// password inside of a URL is masked when it is printed.
#[derive(Debug, Clone)]
pub struct Given(Table);

impl Given {
    pub(super) fn new(tree: &Tree) -> Self {
        let mut all = tree.top.clone();
        for kind in NAMED {
            let Some(items) = tree.named.get(kind).filter(|items| !items.is_empty()) else { continue };
            let origin = items.values().next().map_or_else(|| Origin::Path(kind.into()), |entry| entry.key.clone());
            let node = Node { value: Item::Table(items.clone()), origin: origin.clone() };
            all.insert(kind.to_owned(), Entry { key: origin, node });
        }
        Self(all)
    }

    /// As TOML. With `origins` each value is followed by its `FILE:LINE`; what the environment gives says so always.
    pub fn to_toml(&self, origins: bool) -> String {
        let mut writer = Writer { out: String::new(), origins };
        let (tables, values): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|(_, entry)| matches!(entry.node.value, Item::Table(_)));
        values.iter().for_each(|(key, entry)| writer.value(key, &entry.node));
        let order = |name: &str| NAMED.iter().position(|kind| *kind == name).map_or(0, |at| at + 1);
        let mut tables = tables;
        tables.sort_by_key(|(name, _)| order(name));
        for (name, entry) in tables {
            let Item::Table(table) = &entry.node.value else { continue };
            if NAMED.contains(&name.as_str()) {
                for (item, entry) in table {
                    writer.table(&format!("{name}.{}", key(item)), &entry.node);
                }
            } else {
                writer.table(&key(name), &entry.node);
            }
        }
        writer.out
    }

    /// As JSON, with the same structure.
    pub fn to_json(&self) -> Value {
        object(&self.0)
    }
}

struct Writer {
    out: String,
    origins: bool,
}

impl Writer {
    fn table(&mut self, path: &str, node: &Node) {
        let Item::Table(table) = &node.value else { return };
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(&format!("[{path}]\n"));
        let own = |key: &str, node: &Node| key == FIELDS && matches!(node.value, Item::Table(_));
        for (name, entry) in table.iter().filter(|(name, entry)| !own(name, &entry.node)) {
            self.value(name, &entry.node);
        }
        for (name, entry) in table.iter().filter(|(name, entry)| own(name, &entry.node)) {
            self.table(&format!("{path}.{name}"), &entry.node);
        }
    }

    fn value(&mut self, name: &str, node: &Node) {
        self.out.push_str(&format!("{} = {}", key(name), inline(node)));
        if let Some(origin) = given_by_environment(node) {
            self.out.push_str(&format!("  # {origin}"));
        } else if self.origins {
            self.out.push_str(&format!("  # {}", place(&node.origin)));
        }
        self.out.push('\n');
    }
}

/// `FILE:LINE`.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::File { path, line, .. } => format!("{}:{line}", path.display()),
        Origin::Path(_) | Origin::Environment(_) => origin.to_string(),
    }
}

/// The variable that gives the value or a part of it.
fn given_by_environment(node: &Node) -> Option<&Origin> {
    match (&node.value, &node.origin) {
        (_, origin @ Origin::Environment(_)) => Some(origin),
        (Item::Table(table), _) => table.values().find_map(|entry| given_by_environment(&entry.node)),
        (_, Origin::File { .. } | Origin::Path(_)) => None,
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Item::Table(table) => {
            let entries: Vec<_> =
                table.iter().map(|(name, entry)| format!("{} = {}", key(name), inline(&entry.node))).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        Item::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Item::Text(text) => quoted(&masked(text)),
        Item::Environment(text) => match text.parse::<i64>() {
            Ok(number) => number.to_string(),
            Err(_) => quoted(&masked(text)),
        },
        Item::Int(number) => number.to_string(),
        Item::Float(number) => toml::Value::Float(*number).to_string(),
        Item::Bool(truth) => truth.to_string(),
        Item::DateTime => quoted("a date or time"),
    }
}

fn object(table: &Table) -> Value {
    Value::Object(table.iter().map(|(name, entry)| (name.clone(), json(&entry.node))).collect::<Map<_, _>>())
}

fn json(node: &Node) -> Value {
    match &node.value {
        Item::Table(table) => object(table),
        Item::Array(items) => items.iter().map(json).collect(),
        Item::Text(text) => masked(text).into(),
        Item::Environment(text) => text.parse::<i64>().map_or_else(|_| masked(text).into(), Value::from),
        Item::Int(number) => (*number).into(),
        Item::Float(number) => (*number).into(),
        Item::Bool(truth) => (*truth).into(),
        Item::DateTime => "a date or time".into(),
    }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A basic string in one line, so that its place can follow it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A URL without its password.
fn masked(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return text.to_owned() };
    if url.password().is_some() && url.set_password(Some(MASK)).is_ok() { url.to_string() } else { text.to_owned() }
}
