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
