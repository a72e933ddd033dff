//! Progress on stderr, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Rows read by one run, as they come. Disappears with this value.
pub(super) struct Rows {
    bar: ProgressBar,
}

impl Rows {
    /// Progress of a sync; draws nothing unless stderr is a terminal.
    pub(super) fn of(sync: &str) -> Self {
        let bar = if output::interactive() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {human_pos} rows read, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(sync.to_owned());
        if output::interactive() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// So many rows have been read.
    pub(super) fn read(&self, rows: u64) {
        self.bar.set_position(rows);
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
