//! What a proof found.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::arguments::Arguments;

/// What a proof found: figures, and everything that broke a promise.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Map<String, Value>,
    broken: Vec<String>,
}

/// Findings that the line shows.
const SHOWN: usize = 10;

impl Report {
    /// Nothing found yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A proof that could not be led.
    pub(crate) fn failed(why: &str) -> Self {
        let mut report = Self::new();
        report.breaks(why);
        report
    }

    /// Adds a figure.
    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// Adds to a list of what was said.
    pub(crate) fn say(&mut self, name: &str, what: &str) {
        let list = self.figures.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(what.into());
        }
    }

    /// Whether there is such a figure.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.figures.contains_key(name)
    }

    /// Adds to a figure that counts.
    pub(crate) fn add(&mut self, name: &str, more: u64) {
        let before = self.figures.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.figure(name, before + more);
    }

    /// Notes a broken promise.
    pub(crate) fn breaks(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    /// Notes a broken promise unless `holds`.
    pub(crate) fn demand(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.breaks(what);
        }
    }

    /// Takes over what a part of the proof found, under its name.
    pub(crate) fn absorb(&mut self, part: &str, found: Self) {
        self.figures.insert(part.to_owned(), found.figures.into());
        self.broken.extend(found.broken.into_iter().map(|what| format!("{part}: {what}")));
    }

    /// Whether every promise held.
    pub(crate) fn passed(&self) -> bool {
        self.broken.is_empty()
    }

    /// One JSON line.
    pub(crate) fn line(&self, proof: &str, arguments: &Arguments, took: Duration) -> Value {
        let mut line = json!({ "proof": proof, "pass": self.passed(), "seconds": took.as_secs() });
        if let Some(seed) = arguments.used_seed() {
            line["seed"] = seed.into();
        }
        self.figures.iter().for_each(|(name, value)| line[name] = value.clone());
        if !self.passed() {
            line["broken"] = self.broken.iter().take(SHOWN).cloned().collect();
            line["broken_total"] = self.broken.len().into();
        }
        line
    }
}
