//! Strict, typed reading of one table. Nothing is coerced; unknown keys are refused.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use super::{
    diagnostic::{Origin, Sink},
    scalar,
    tree::{Entry, Item, Node, Table},
};
use crate::model::nearest;

/// Reads the keys of one table and then refuses those that nobody asked for.
pub(super) struct Reader<'a> {
    table: &'a Table,
    /// Where the table stands, for missing keys.
    pub(super) origin: &'a Origin,
    /// What the table is, for messages: ``sync `crm` ``.
    pub(super) what: String,
    pub(super) sink: &'a Sink,
    known: RefCell<BTreeSet<&'static str>>,
    later: RefCell<Vec<&'static str>>,
    missing: RefCell<Vec<Missing>>,
}

/// A key that must be there and is not: reported at the end, when it is known whether a misspelt key stands for it.
struct Missing {
    /// The keys of which one is required.
    keys: &'static [&'static str],
    hint: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(table: &'a Table, origin: &'a Origin, what: impl Into<String>, sink: &'a Sink) -> Self {
        Self {
            table,
            origin,
            what: what.into(),
            sink,
            known: RefCell::default(),
            later: RefCell::default(),
            missing: RefCell::default(),
        }
    }

    /// A reader of `node`, which must be a table.
    pub(super) fn of(node: &'a Node, what: impl Into<String>, sink: &'a Sink) -> Option<Self> {
        let what = what.into();
        match &node.value {
            Item::Table(table) => Some(Self::new(table, &node.origin, what, sink)),
            other => {
                let cause = format!("got {}, expected a table", other.kind());
                sink.error(&node.origin, format!("{what} is not a table"), cause, "write it as `{ key = value }`");
                None
            }
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<&'a Node> {
        self.known.borrow_mut().insert(key);
        self.table.get(key).map(|entry| &entry.node)
    }

    /// Where a key stands, or else the table.
    pub(super) fn origin_of(&self, key: &str) -> &'a Origin {
        self.table.get(key).map_or(self.origin, |entry| &entry.key)
    }

    /// True when the table has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports a key that must be there. `keys` are the alternatives, the preferred one first.
    pub(super) fn missing(&self, keys: &'static [&'static str], example: &str) {
        let key = keys.first().copied().unwrap_or_default();
        self.missing.borrow_mut().push(Missing { keys, hint: format!("add `{key} = {example}`") });
    }

    /// Requires a key.
    pub(super) fn require(&self, keys: &'static [&'static str], example: &str) {
        if !keys.iter().any(|key| self.has(key)) {
            self.missing(keys, example);
        }
    }

    /// Reports a value of the wrong type or form. Never prints the value.
    pub(super) fn wrong(&self, key: &str, node: &Node, expected: &str, hint: impl Into<String>) {
        let cause = format!("got {}, expected {expected}", node.value.kind());
        self.sink.error(&node.origin, format!("`{key}` of {} is not {expected}", self.what), cause, hint);
    }

    /// Reports a value that is a text but not one of its legal ones.
    pub(super) fn refuse(&self, key: &str, node: &Node, cause: impl Into<String>, hint: impl Into<String>) {
        self.sink.error(&node.origin, format!("`{key}` of {} is not valid", self.what), cause, hint);
    }

    /// Keys of the design that later versions will have.
    pub(super) fn reserved(&self, keys: &[&'static str]) {
        for key in keys {
            self.later.borrow_mut().push(key);
            if self.has(key) {
                self.not_available(self.origin_of(key), key, "the key");
            }
        }
    }

    /// Reports something that later versions will have.
    pub(super) fn not_available(&self, origin: &Origin, name: &str, what: &str) {
        self.sink.error(
            origin,
            format!("`{name}` is not available in this version"),
            format!("{what} is reserved for a later version"),
            format!("remove it from {}", self.what),
        );
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.get(key).and_then(|node| self.as_text(key, node))
    }

    /// A text that is not empty, required.
    pub(super) fn required_text(&self, keys: &'static [&'static str; 1], example: &str) -> Option<String> {
        self.require(keys, example);
        let [key] = keys;
        self.text(key)
    }

    pub(super) fn as_text(&self, key: &str, node: &Node) -> Option<String> {
        match &node.value {
            Item::Text(text) | Item::Environment(text) if text.trim().is_empty() => {
                self.refuse(key, node, "got an empty text", format!("write a value, or remove `{key}`"));
                None
            }
            Item::Text(text) | Item::Environment(text) => Some(text.clone()),
            Item::Int(_) | Item::Float(_) | Item::Bool(_) | Item::DateTime => {
                self.wrong(key, node, "a text", "put it in quotes");
                None
            }
            Item::Array(_) | Item::Table(_) => {
                self.wrong(key, node, "a text", format!("write `{key} = \"…\"`"));
                None
            }
        }
    }

    /// A text or a list of texts, neither empty.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let node = self.get(key)?;
        match &node.value {
            Item::Array(items) if items.is_empty() => {
                self.refuse(key, node, "got an empty list", format!("name at least one, or remove `{key}`"));
                None
            }
            Item::Array(items) => items.iter().map(|item| self.as_text(key, item)).collect(),
            _ => self.as_text(key, node).map(|text| vec![text]),
        }
    }

    /// One of a few names. `later` are names of later versions.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)], later: &[&str]) -> Option<T> {
        let node = self.get(key)?;
        let text = self.as_text(key, node)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        if later.contains(&text.as_str()) {
            self.not_available(&node.origin, &text, &format!("this `{key}`"));
            return None;
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let near = nearest(&text, choices.iter().map(|(name, _)| *name));
        let hint = near.map_or_else(|| format!("use {}", names.join(" or ")), |name| format!("did you mean `{name}`?"));
        self.refuse(key, node, format!("got `{text}`, expected {}", names.join(", ")), hint);
        None
    }

    /// A boolean.
    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        let node = self.get(key)?;
        match node.value {
            Item::Bool(truth) => Some(truth),
            _ => {
                self.wrong(key, node, "a boolean", "write `true` or `false`, without quotes");
                None
            }
        }
    }

    /// An integer within bounds.
    pub(super) fn integer(&self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let node = self.get(key)?;
        let integer = match &node.value {
            Item::Int(integer) => Some(*integer),
            Item::Environment(text) => text.parse().ok(),
            _ => None,
        };
        let Some(integer) = integer else {
            self.wrong(key, node, "an integer", "write digits, without quotes");
            return None;
        };
        if (least..=most).contains(&integer) {
            return Some(integer);
        }
        let hint = if integer < least { format!("use at least {least}") } else { format!("use at most {most}") };
        self.refuse(key, node, format!("got {integer}, expected {least} to {most}"), hint);
        None
    }

    /// A duration within bounds.
    pub(super) fn duration(&self, key: &'static str, least: Duration, most: Duration) -> Option<Duration> {
        const HINT: &str = "write a number and `ms`, `s`, `m`, `h` or `d`, such as \"15m\"";
        let node = self.get(key)?;
        let (Item::Text(text) | Item::Environment(text)) = &node.value else {
            self.wrong(key, node, "a duration", HINT);
            return None;
        };
        let Some(duration) = scalar::duration(text) else {
            self.refuse(key, node, format!("got `{text}`, expected a duration"), HINT);
            return None;
        };
        if (least..=most).contains(&duration) {
            return Some(duration);
        }
        let (least, most) = (scalar::duration_text(least), scalar::duration_text(most));
        self.refuse(key, node, format!("got `{text}`, expected {least} to {most}"), "use a length within these bounds");
        None
    }

    /// A percentage.
    pub(super) fn percent(&self, key: &'static str) -> Option<f64> {
        const HINT: &str = "write it with a percent sign in quotes, from \"0%\" to \"100%\"";
        let node = self.get(key)?;
        let Item::Text(text) = &node.value else {
            self.wrong(key, node, "a percentage", HINT);
            return None;
        };
        let percent = scalar::percent(text);
        if percent.is_none() {
            self.refuse(key, node, format!("got `{text}`, expected a percentage"), HINT);
        }
        percent
    }

    /// Refuses the keys that nobody asked for, and reports those that are missing.
    pub(super) fn finish(self) {
        self.finish_missing();
        let known = self.known.borrow();
        for (key, entry) in self.unknown() {
            let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            let hint = nearest(key, known.iter().copied())
                .map_or_else(|| format!("known keys: {}", names.join(", ")), |name| format!("did you mean `{name}`?"));
            self.refuse_unknown(key, entry, hint);
        }
    }

    /// Ends the reading of a table whose kind is not known, so that its other keys cannot be judged.
    pub(super) fn abandon(self) {
        self.finish_missing();
        let missing = self.missing.borrow();
        for (key, entry) in self.unknown() {
            if let Some(name) = nearest(key, missing.iter().flat_map(|missing| missing.keys.iter().copied())) {
                self.refuse_unknown(key, entry, format!("did you mean `{name}`?"));
            }
        }
    }

    fn unknown(&self) -> impl Iterator<Item = (&'a String, &'a Entry)> {
        let (known, later) = (self.known.borrow().clone(), self.later.borrow().clone());
        self.table.iter().filter(move |(key, _)| !known.contains(key.as_str()) && !later.contains(&key.as_str()))
    }

    fn refuse_unknown(&self, key: &str, entry: &Entry, hint: String) {
        let message = format!("unknown key `{key}` in {}", self.what);
        self.sink.error(&entry.key, message, "keys that are not known are refused, not ignored", hint);
    }

    /// Reports missing keys, but not those that a misspelt key stands for.
    fn finish_missing(&self) {
        let known = self.known.borrow();
        for Missing { keys, hint } in self.missing.borrow().iter() {
            let mut meant = self.unknown().filter_map(|(key, _)| nearest(key, known.iter().copied()));
            if !meant.any(|name| keys.contains(&name)) {
                let names: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
                let names = names.join(", ");
                let cause = if keys.len() == 1 {
                    format!("{names} is required")
                } else {
                    format!("one of {names} is required")
                };
                let key = keys.first().copied().unwrap_or_default();
                self.sink.missing(self.origin, format!("{} has no `{key}`", self.what), cause, hint.clone());
            }
        }
    }
}
