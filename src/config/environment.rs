//! The process environment: overrides of the daemon's own settings, and values of secrets.

use std::collections::BTreeMap;

use config::Source as _;

use super::{
    diagnostic::{Origin, Sink},
    tree::{Entry, Item, Node, Table},
};
use crate::model::nearest;

/// Settings that `SYNCLINE__TABLE__KEY` may override.
const SETTINGS: [&str; 10] = [
    "state.url",
    "state.folder",
    "state.lease",
    "state.key.file",
    "state.key.env",
    "http.listen",
    "log.level",
    "log.format",
    "scheduler.max_runs",
    "scheduler.workers_per_run",
];

/// Environment variables, as read at start.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    /// Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// The variables of this process; those that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// Given variables, for tests.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Lays `SYNCLINE__…` over the tables of the daemon's own settings.
    pub(super) fn overlay(&self, top: &mut Table, sink: &Sink) {
        let source = config::Environment::with_prefix("SYNCLINE")
            .prefix_separator("__")
            .separator("__")
            .source(Some(self.0.clone().into_iter().collect()));
        let variables = match source.collect() {
            Ok(variables) => variables,
            Err(error) => {
                let origin = Origin::Environment("SYNCLINE__…".to_owned());
                sink.error(&origin, "the environment cannot be read", error.to_string(), "correct or unset it");
                return;
            }
        };
        for (path, value) in variables {
            let origin = Origin::Environment(variable(&path));
            match value.into_string() {
                Ok(value) if SETTINGS.contains(&path.as_str()) => set(top, &path, value, &origin),
                Ok(_) | Err(_) => unknown(&path, &origin, sink),
            }
        }
    }
}

/// `SYNCLINE__STATE__URL` of `state.url`.
fn variable(path: &str) -> String {
    format!("SYNCLINE__{}", path.replace('.', "__").to_uppercase())
}

fn unknown(path: &str, origin: &Origin, sink: &Sink) {
    let hint = nearest(path, SETTINGS).map_or_else(
        || "only keys of [state], [http], [log] and [scheduler] can be overridden; unset it".to_owned(),
        |near| format!("did you mean `{}`?", variable(near)),
    );
    let message = format!("`{path}` is not a setting that the environment can override");
    sink.error(origin, message, "overrides that are not known are refused, not ignored", hint);
}

fn set(top: &mut Table, path: &str, value: String, origin: &Origin) {
    let mut parts = path.split('.').peekable();
    let mut table = top;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            let node = Node { value: Item::Environment(value), origin: origin.clone() };
            table.insert(part.to_owned(), Entry { key: origin.clone(), node });
            return;
        }
        let entry = table.entry(part.to_owned()).or_insert_with(|| empty(origin));
        // A secret given by the environment replaces the one of a file as a whole, but not another variable.
        let of_a_file = !matches!(entry.key, Origin::Environment(_));
        if (part == "key" && of_a_file) || !matches!(entry.node.value, Item::Table(_)) {
            *entry = empty(origin);
        }
        let Item::Table(inner) = &mut entry.node.value else { return };
        table = inner;
    }
}

fn empty(origin: &Origin) -> Entry {
    Entry { key: origin.clone(), node: Node { value: Item::Table(Table::new()), origin: origin.clone() } }
}
