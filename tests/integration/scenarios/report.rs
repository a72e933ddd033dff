//! Runs as `--output json` tells them, each checked against the equations of promise P6.

use serde_json::Value;

/// A run's report.
#[derive(Debug)]
pub(super) struct Report(Value);

impl Report {
    /// A run of `sync` or `runs`; its counts must add up.
    #[track_caller]
    pub(super) fn new(run: &Value) -> Self {
        let report = Self(run.clone());
        let of = |names: &[&str]| names.iter().map(|name| report.count(name)).sum::<u64>();
        let planned = of(&["added", "changed"]);
        assert_eq!(report.count("read"), of(&["unchanged", "invalid", "waiting"]) + planned, "P6, rows: {run}");
        let ended = ["delivered", "rejected", "skipped", "unknown", "pending", "guarded", "left_over"];
        assert_eq!(planned + report.count("removed"), of(&ended), "P6, operations: {run}");
        report
    }

    /// A term of P6.
    #[track_caller]
    pub(super) fn count(&self, name: &str) -> u64 {
        self.0["counts"][name].as_u64().unwrap_or_else(|| panic!("no count `{name}` in {}", self.0))
    }

    /// Several terms at once.
    #[track_caller]
    pub(super) fn counts<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        names.map(|name| self.count(name))
    }

    /// How it ended.
    pub(super) fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    /// Its id.
    #[track_caller]
    pub(super) fn run(&self) -> String {
        self.0["run"].as_i64().map(|run| run.to_string()).unwrap_or_else(|| panic!("no run in {}", self.0))
    }

    /// The whole run, in milliseconds.
    pub(super) fn millis(&self) -> u64 {
        self.0["durations"]["total_ms"].as_u64().unwrap_or_default()
    }

    /// The message of the first guard rule that tripped.
    pub(super) fn message(&self) -> &str {
        self.0["trips"][0]["message"].as_str().unwrap_or_default()
    }

    /// What to do.
    pub(super) fn hint(&self) -> &str {
        self.0["hint"].as_str().unwrap_or_default()
    }

    /// Names of the guard rules that tripped.
    pub(super) fn trips(&self) -> Vec<&str> {
        self.0["trips"].as_array().into_iter().flatten().filter_map(|trip| trip["rule"].as_str()).collect()
    }
}

impl std::fmt::Display for Report {
    /// The terms that are not zero.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status())?;
        for (name, count) in self.0["counts"].as_object().into_iter().flatten() {
            if count.as_u64() != Some(0) {
                write!(f, " {name}={count}")?;
            }
        }
        write!(f, " in {} ms", self.millis())
    }
}
