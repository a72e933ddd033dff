//! What a line looks like, and what never becomes one.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::model::{Counts, spec::LogSettings};

/// Collects the log's lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

/// Listens from some thread for as long as the process lives: while only one subscriber lives, the first thread that logs a
/// line decides for all threads whether anybody listens to that line, and it may be one that does not.
static SECOND: LazyLock<tracing::Dispatch> = LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// Collects what this thread logs until the guard is dropped.
pub(crate) fn collect() -> (Lines, tracing::subscriber::DefaultGuard) {
    LazyLock::force(&SECOND);
    let lines = Lines::default();
    let subscriber = subscriber(&settings("info", "json"), false, lines.clone()).unwrap();
    (lines, tracing::subscriber::set_default(subscriber))
}

impl Lines {
    /// How many lines of this event there are.
    pub(crate) fn count(&self, event: Event) -> usize {
        self.text().matches(&format!("\"event\":\"{}\"", event.name())).count()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn settings(level: &str, format: &str) -> LogSettings {
    LogSettings { level: level.to_owned(), format: format.to_owned() }
}

/// What `write` logs at `level`.
fn logged(level: &str, format: &str, write: impl FnOnce()) -> String {
    LazyLock::force(&SECOND);
    let lines = Lines::default();
    let subscriber = subscriber(&settings(level, format), false, lines.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, write);
    lines.text()
}

#[test]
fn a_line_is_flat_json_with_typed_fields_and_a_utc_time() {
    let text = logged("info", "json", || {
        event!(events::HOLD_OPENED, account = "hubspot:4242", reason = %"retry_after", until = Option::<&str>::None, for_ms = 2_u64);
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["event"], "hold.opened");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["account"], "hubspot:4242");
    assert_eq!(line["reason"], "retry_after");
    assert_eq!(line["for_ms"], 2);
    assert!(line.get("until").is_none());
    let time = line["timestamp"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
}

#[test]
fn a_hostile_value_stays_one_line_in_both_formats() {
    for format in ["json", "pretty"] {
        let text = logged("info", format, || {
            event!(events::RUN_FAILED, sync = "a\nb", error = %"x\r\n{\"event\":\"forged\"}\u{9b}31m\u{1b}[2J\u{202e}");
        });
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(!text.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn lines_of_other_crates_are_dropped_at_every_level() {
    let text = logged("trace", "json", || {
        tracing::error!(target: "sqlx::query", "select 'canary'");
        tracing::warn!(target: "sqlx::postgres::notice", "canary");
        tracing::trace!(target: "hyper::proto", "canary");
        tracing::trace!(target: "synclines_neighbour", "canary");
        event!(events::STATE_COMPACTED, sync = "own");
    });
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("own"));
}

#[test]
fn the_level_leaves_finer_lines_out() {
    let text = logged("warn", "json", || {
        event!(events::RUN_STARTED, sync = "a");
        event!(events::GUARD_TRIPPED, sync = "b");
    });
    assert!(!text.contains("run.started") && text.contains("guard.tripped"), "{text}");
}

#[test]
fn a_summary_carries_every_count() {
    let counts = Counts { read: 7, unchanged: 5, changed: 2, delivered: 2, ..Counts::default() };
    let text = logged("info", "json", || {
        RunFinished {
            sync: "customers-to-crm",
            run: "r1",
            outcome: "ok",
            counts,
            read: Duration::from_millis(1),
            plan: Duration::from_millis(2),
            deliver: Duration::from_millis(3),
            total: Duration::from_millis(6),
            requests: 1,
            retries: 0,
            throttled: 0,
            limiter_wait: Duration::ZERO,
            utilisation: Some(0.5),
        }
        .log();
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, count) in serde_json::to_value(counts).unwrap().as_object().unwrap() {
        assert_eq!(&line[name], count, "{name}");
    }
    assert_eq!((&line["deliver_ms"], &line["total_ms"]), (&3.into(), &6.into()));
    assert_eq!(line["utilisation"], 0.5);
}

#[test]
fn a_panic_is_one_line_without_what_was_put_together_at_run_time() {
    let before = std::panic::take_hook();
    hook_panics();
    let text = logged("info", "json", || {
        let row = String::from("canary@example.com");
        let _panicked = std::panic::catch_unwind(|| panic!("no row {row}")).is_err();
        let _panicked = std::panic::catch_unwind(|| panic!("a literal")).is_err();
    });
    std::panic::set_hook(before);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = lines[0]["place"].as_str().unwrap();
    assert!(lines[0]["event"] == "process.panicked" && place.contains("telemetry/tests.rs:"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(lines[1]["reason"], "a literal");
}

#[test]
fn unknown_settings_are_refused_with_what_was_expected() {
    for (level, format, names) in [("loud", "json", "`loud`"), ("info", "xml", "`xml`")] {
        let refused = subscriber(&settings(level, format), false, io::sink).err().unwrap().to_string();
        assert!(refused.contains(names), "{refused}");
    }
}

#[test]
fn every_event_and_every_count_is_documented() {
    let docs = include_str!("../../docs/logs.md");
    for event in events::ALL {
        let row = format!("| `{}` | {} |", event.name(), event.level().as_str().to_lowercase());
        assert!(docs.contains(&row), "docs/logs.md lacks `{row}`");
    }
    let documented = docs.lines().filter(|line| line.starts_with("| `") && line.contains('.')).count();
    assert!(documented >= events::ALL.len());
    for name in serde_json::to_value(Counts::default()).unwrap().as_object().unwrap().keys() {
        assert!(docs.contains(&format!("`{name}`")), "docs/logs.md lacks the count `{name}`");
    }
}
