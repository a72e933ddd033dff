//! Folders of TOML files to one tree: files of a folder side by side, later folders on top.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    diagnostic::{Origin, Sink},
    tree::{self, Entry, Item, Node, Table},
};
use crate::model::nearest;

/// Tables of named items.
pub(super) const NAMED: [&str; 4] = ["sources", "models", "destinations", "syncs"];
/// Tables that stand once.
const SINGLE: [&str; 5] = ["state", "http", "log", "scheduler", "defaults"];
const ENVIRONMENT: &str = "environment";

/// The merged tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// `environment = …` and its like.
    pub(super) top: BTreeMap<String, Entry>,
    /// The items of `[sources]`, `[models]`, `[destinations]` and `[syncs]`, by table and name.
    pub(super) named: BTreeMap<&'static str, Table>,
    /// Known tables that a misspelt one stands for.
    pub(super) misspelt: BTreeSet<&'static str>,
}

/// Reads every folder.
pub(super) fn read(folders: &[PathBuf], sink: &Sink) -> Tree {
    let mut merged = Tree::default();
    for folder in folders {
        let mut layer = Tree::default();
        for path in files(folder, sink) {
            match fs::read_to_string(&path) {
                Ok(text) => layer.add_file(tree::parse(&path, &text, sink), sink),
                Err(error) => {
                    let hint = "make the file readable, in UTF-8";
                    sink.error(&Origin::Path(path), "the file cannot be read", error.to_string(), hint);
                }
            }
        }
        merged.overlay(layer);
    }
    merged
}

/// The `.toml` files of a folder, not recursive, sorted by name.
fn files(folder: &Path, sink: &Sink) -> Vec<PathBuf> {
    let fail = |cause: String| {
        let hint = "name a folder of `.toml` files with `--config`";
        sink.error(&Origin::Path(folder.to_owned()), "the configuration folder cannot be read", cause, hint);
        Vec::new()
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return fail(error.to_string()),
    };
    let mut files = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.path().extension() == Some(OsStr::new("toml")) => files.push(entry.path()),
            Ok(_) => {}
            Err(error) => return fail(error.to_string()),
        }
    }
    if files.is_empty() {
        return fail("it holds no `.toml` file".to_owned());
    }
    files.sort_unstable();
    files
}

impl Tree {
    /// Adds one file of a folder: a name or table that another file has already is an error.
    fn add_file(&mut self, file: Table, sink: &Sink) {
        for (key, entry) in file {
            if let Some(kind) = NAMED.into_iter().find(|kind| *kind == key) {
                self.add_named(kind, entry, sink);
            } else if SINGLE.contains(&key.as_str()) || key == ENVIRONMENT {
                add_once(&mut self.top, key.clone(), entry, &format!("`{key}`"), sink);
            } else {
                let known = NAMED.into_iter().chain(SINGLE).chain([ENVIRONMENT]);
                let near = nearest(&key, known.clone());
                self.misspelt.extend(near);
                let hint = near.map_or_else(
                    || format!("known tables: {}", known.collect::<Vec<_>>().join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
                let cause = "tables that are not known are refused, not ignored";
                sink.error(&entry.key, format!("unknown table or key `{key}`"), cause, hint);
            }
        }
    }

    fn add_named(&mut self, kind: &'static str, entry: Entry, sink: &Sink) {
        let singular = singular(kind);
        let Item::Table(items) = entry.node.value else {
            let cause = format!("got {}, expected tables", entry.node.value.kind());
            sink.error(&entry.key, format!("`{kind}` is not a table"), cause, format!("write `[{kind}.NAME]`"));
            return;
        };
        for (name, item) in items {
            check_name(singular, &name, &item.key, sink);
            let what = format!("{singular} `{name}`");
            add_once(self.named.entry(kind).or_default(), name, item, &what, sink);
        }
    }

    /// Puts a later folder on top: its keys replace those of the same item or table.
    fn overlay(&mut self, above: Self) {
        overlay(&mut self.top, above.top);
        self.misspelt.extend(above.misspelt);
        for (kind, items) in above.named {
            overlay(self.named.entry(kind).or_default(), items);
        }
    }

    /// The items of one kind.
    pub(super) fn items(&self, kind: &'static str) -> impl Iterator<Item = (&String, &Entry)> {
        self.named.get(kind).into_iter().flatten()
    }

    /// The names of one kind.
    pub(super) fn names(&self, kind: &'static str) -> impl Iterator<Item = &str> {
        self.items(kind).map(|(name, _)| name.as_str())
    }

    /// Every value given, by its dotted path.
    pub(super) fn origins(&self) -> BTreeMap<String, Origin> {
        let mut origins = BTreeMap::new();
        self.top.iter().for_each(|(key, entry)| leaves(key, &entry.node, &mut origins));
        for (kind, items) in &self.named {
            items.iter().for_each(|(name, entry)| leaves(&format!("{kind}.{name}"), &entry.node, &mut origins));
        }
        origins
    }
}

fn add_once(table: &mut Table, name: String, entry: Entry, what: &str, sink: &Sink) {
    if let Some(first) = table.get(&name) {
        let cause = format!("it stands first at {}", first.key);
        let hint = "one table stands in one file; remove one, or override it from a later `--config` folder";
        sink.error(&entry.key, format!("{what} is defined twice"), cause, hint);
    } else {
        table.insert(name, entry);
    }
}

fn overlay(below: &mut Table, above: Table) {
    for (name, entry) in above {
        match (below.get_mut(&name).map(|entry| &mut entry.node.value), entry.node.value) {
            (Some(Item::Table(old)), Item::Table(new)) => old.extend(new),
            (_, value) => {
                below.insert(name, Entry { key: entry.key, node: Node { value, origin: entry.node.origin } });
            }
        }
    }
}

fn leaves(path: &str, node: &Node, origins: &mut BTreeMap<String, Origin>) {
    match &node.value {
        Item::Table(table) => {
            for (key, entry) in table {
                let key = if key.contains('.') { format!("\"{key}\"") } else { key.clone() };
                leaves(&format!("{path}.{key}"), &entry.node, origins);
            }
        }
        _ => {
            origins.insert(path.to_owned(), node.origin.clone());
        }
    }
}

/// `sync` of `syncs`.
pub(super) fn singular(kind: &str) -> &str {
    kind.strip_suffix('s').unwrap_or(kind)
}

fn check_name(what: &str, name: &str, origin: &Origin, sink: &Sink) {
    let legal = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        let cause = "names have 1 to 64 letters, digits, `-` and `_`";
        sink.error(origin, format!("the name of {what} `{name}` is not valid"), cause, "rename it");
    }
}
