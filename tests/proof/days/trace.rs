//! What happened, in order: the daemon's events and the vendor's requests, with simulated times.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write as _},
    hash::Hasher as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// One thing that happened.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Since the beginning of the simulation.
    pub(super) at: Duration,
    /// The event's name, or `request`.
    pub(super) event: String,
    pub(super) fields: BTreeMap<String, String>,
}

impl Entry {
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    pub(super) fn line(&self) -> String {
        let mut line = format!("{:>12.3} {}", self.at.as_secs_f64(), self.event);
        for (name, value) in &self.fields {
            write!(line, " {name}={value}").unwrap();
        }
        line
    }
}

/// The list of what happened.
#[derive(Clone)]
pub(super) struct Trace {
    began: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), entries: Arc::default() }
    }

    /// Simulated time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn add(&self, event: &str, fields: BTreeMap<String, String>) {
        self.entries.lock().unwrap().push(Entry { at: self.now(), event: event.to_owned(), fields });
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Of all lines.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.entries.lock().unwrap().iter().for_each(|entry| hasher.write(entry.line().as_bytes()));
        hasher.finish()
    }
}

/// Events that come too often to be kept, and say nothing that the vendor does not see.
const LEFT_OUT: &[&str] = &["request.ended", "model.read", "state.compacted"];

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// Takes the daemon's log in.
impl Subscriber for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "syncline" && metadata.is_event()
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let name = fields.0.remove("event").unwrap_or_default();
        if !LEFT_OUT.contains(&name.as_str()) {
            self.add(&name, fields.0);
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
