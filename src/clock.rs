//! The one place that reads the wall clock. Intervals and deadlines use `tokio::time` instead, so that tests can pause it.

#[cfg(any(test, feature = "proof"))]
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use std::time::{Duration, UNIX_EPOCH};

use crate::model::Timestamp;

/// Tells the wall-clock time. Durations are measured with `tokio::time::Instant`, never with this.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    /// Starts at a fixed time and advances with tokio's (pausable) clock.
    Tokio { start: Timestamp, origin: tokio::time::Instant },
    /// The same, set forward or back by so many microseconds.
    #[cfg(any(test, feature = "proof"))]
    Jumping { start: Timestamp, origin: tokio::time::Instant, ahead: Arc<AtomicI64> },
}

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that starts at `start` and advances with tokio's clock, for tests under paused time.
    pub fn following_tokio(start: Timestamp) -> Self {
        Self { source: Source::Tokio { start, origin: tokio::time::Instant::now() } }
    }

    /// As [`Clock::following_tokio`], and it can be set: clones of it jump together.
    #[cfg(any(test, feature = "proof"))]
    pub fn jumping(start: Timestamp) -> Self {
        Self { source: Source::Jumping { start, origin: tokio::time::Instant::now(), ahead: Arc::default() } }
    }

    /// Sets a jumping clock ahead of tokio's by `seconds`, or back; another clock stays as it is.
    #[cfg(any(test, feature = "proof"))]
    pub fn set_ahead(&self, seconds: i64) {
        match &self.source {
            Source::Jumping { ahead, .. } => ahead.store(seconds.saturating_mul(1_000_000), Ordering::SeqCst),
            Source::System | Source::Tokio { .. } => {}
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => system_now(),
            Source::Tokio { start, origin } => *start + origin.elapsed(),
            #[cfg(any(test, feature = "proof"))]
            Source::Jumping { start, origin, ahead } => {
                let time = (*start + origin.elapsed()).as_micros();
                Timestamp::from_micros(time.saturating_add(ahead.load(Ordering::SeqCst)))
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
