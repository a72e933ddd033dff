//! Graceful stop: one token that every task watches, and one deadline for each kind of work under way.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::telemetry::{event, events};

/// Requests in flight are waited for so long after the stop was asked for; then their rows stay dirty.
pub const REQUESTS: Duration = Duration::from_secs(15);
/// What a delivery still does then, settles and counts, takes at most so long.
pub const DELIVERY: Duration = Duration::from_secs(17);
/// Whatever else a run does is left then; it closes as interrupted.
pub const RUNS: Duration = Duration::from_secs(18);
/// A token that is being refreshed is waited for so long, for an answer that is lost can be the grant's end.
pub const TOKENS: Duration = Duration::from_secs(20);
/// The process ends then, whatever hangs: whoever asked kills it soon (Docker after 10 s unless told otherwise, Kubernetes
/// after 30 s).
pub const PROCESS: Duration = Duration::from_secs(22);

/// Tells everybody that the process is asked to stop, and since when. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    asked: Arc<OnceLock<Instant>>,
}

impl Shutdown {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the stop. Only the first time counts.
    pub fn cancel(&self) {
        self.asked.get_or_init(Instant::now);
        self.token.cancel();
    }

    /// Whether the stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends when the stop is asked for.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Ends so long after the stop was asked for, whenever the waiting began.
    pub async fn cancelled_for(&self, grace: Duration) {
        self.token.cancelled().await;
        let asked = *self.asked.get_or_init(Instant::now);
        tokio::time::sleep_until(asked + grace).await;
    }

    /// Does `work`, unless it goes on for so long after the stop was asked for: then it is dropped.
    pub fn within<T>(&self, grace: Duration, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
        // The work of a whole run is large, and would be carried in every future around it.
        let work = Box::pin(work);
        async move {
            tokio::select! {
                biased;
                done = work => Some(done),
                () = self.cancelled_for(grace) => None,
            }
        }
    }
}

/// Exit code after a second signal: the process was told twice, so it goes at once. The state stays safe: every key in
/// flight is dirty already.
const KILLED_BY_SECOND_SIGNAL: i32 = 130;

/// Cancels the token at the first SIGTERM or SIGINT and ends the process at the second.
pub fn on_signals(shutdown: &Shutdown) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            event!(events::SIGNALS_FAILED);
            return;
        };
        for signals in 0.. {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if signals > 0 {
                std::process::exit(KILLED_BY_SECOND_SIGNAL);
            }
            shutdown.cancel();
        }
    });
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_deadline_counts_from_the_first_signal() {
        let (shutdown, began) = (Shutdown::new(), Instant::now());
        assert_eq!(shutdown.within(REQUESTS, async { 1 }).await, Some(1));
        shutdown.cancel();
        assert_eq!(shutdown.within(REQUESTS, pending::<()>()).await, None);
        shutdown.cancel();
        assert_eq!(shutdown.within(PROCESS, pending::<()>()).await, None);
        assert_eq!(began.elapsed(), PROCESS);
        assert_eq!(shutdown.within(PROCESS, async { 2 }).await, Some(2), "what needs no waiting is still done");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_signal_nothing_is_dropped() {
        let work = tokio::time::sleep(Duration::from_secs(3600));
        assert!(Shutdown::new().within(REQUESTS, work).await.is_some());
    }
}
