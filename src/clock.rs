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
    /// Another clock, set forward or back by microseconds.
    #[cfg(any(test, feature = "proof"))]
    Shifted { of: Box<Source>, by: Arc<AtomicI64> },
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

    /// The same clock set forward or back by so many microseconds, at any time, for tests.
    #[cfg(any(test, feature = "proof"))]
    #[must_use]
    pub fn shifted(self, by: Arc<AtomicI64>) -> Self {
        Self { source: Source::Shifted { of: Box::new(self.source), by } }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> Timestamp {
        self.source.now()
    }
}

impl Source {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Tokio { start, origin } => *start + origin.elapsed(),
            #[cfg(any(test, feature = "proof"))]
            Self::Shifted { of, by } => Timestamp::from_micros(of.now().as_micros() + by.load(Ordering::SeqCst)),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
