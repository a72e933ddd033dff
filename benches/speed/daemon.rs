//! A daemon that is watched by its log.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{Running, Workspace};

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) process: Running,
    began: Instant,
}

impl Daemon {
    /// `syncline run`.
    pub(crate) fn start(workspace: &Workspace) -> Self {
        let began = Instant::now();
        Self { process: workspace.start(&["run"]), began }
    }

    /// Waits for an event; gives the time since the start.
    #[track_caller]
    pub(crate) fn wait_for(&self, event: &str, patience: Duration) -> Duration {
        let wanted = format!("\"event\":\"{event}\"");
        let found = self.process.find_log(patience, |line| line.contains(&wanted));
        let took = self.began.elapsed();
        if let Err(said) = found {
            panic!("no `{event}` within {patience:?}:\n{said}");
        }
        took
    }

    /// The events so far.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let lines = self.process.logs();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["event"] == name).collect()
    }

    /// How often each sync has had an event.
    pub(crate) fn by_sync(&self, name: &str) -> BTreeMap<String, Vec<Value>> {
        let mut by_sync: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for event in self.events(name) {
            by_sync.entry(event["sync"].as_str().unwrap_or_default().to_owned()).or_default().push(event);
        }
        by_sync
    }
}
