//! How long intents live: a harness that waits for their end after every kill can make it short.

use std::time::Duration;

/// The life of an intent in this process: the usual one, unless the harness has chosen another.
#[cfg(feature = "proof")]
pub fn intent_life(usual: Duration) -> Duration {
    LIFE.get().copied().unwrap_or(usual)
}

/// The usual life.
#[cfg(not(feature = "proof"))]
pub const fn intent_life(usual: Duration) -> Duration {
    usual
}

#[cfg(feature = "proof")]
static LIFE: std::sync::OnceLock<Duration> = std::sync::OnceLock::new();

/// Lets the intents of this process live for so long, once. Later calls change nothing.
#[cfg(feature = "proof")]
pub fn live_for(life: Duration) {
    LIFE.get_or_init(|| life);
}
