//! What the daemon says of itself.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// The daemon's own view of its health; written by the scheduler, read by the server.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    beat: AtomicU64,
    ready: AtomicBool,
    max_silence: Duration,
}

/// Whether the scheduler's loop still turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It beat within the allowed time.
    Alive,
    /// It has been silent for this long, which is too long.
    Silent(Duration),
}

impl Health {
    /// Alive from now on, not ready. The process counts as stuck after `max_silence` without a [`beat`](Self::beat):
    /// take several times the scheduler's tick.
    pub fn new(max_silence: Duration) -> Self {
        Self { started: Instant::now(), beat: AtomicU64::new(0), ready: AtomicBool::new(false), max_silence }
    }

    /// Ready is: the state is open and the scheduler runs. Not ready again once the daemon is asked to stop.
    pub fn ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// To be called at every tick of the scheduler.
    pub fn beat(&self) {
        self.beat.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    /// Whether the last beat is recent enough.
    pub fn liveness(&self) -> Liveness {
        let silence = Duration::from_millis(self.elapsed_ms().saturating_sub(self.beat.load(Ordering::Relaxed)));
        if silence > self.max_silence { Liveness::Silent(silence) } else { Liveness::Alive }
    }

    /// Ready, and alive.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.liveness() == Liveness::Alive
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
