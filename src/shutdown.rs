//! Graceful stop: one token that every task watches.

use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry::{event, events};

/// Cancelled when the process is asked to stop. Cheap to clone.
pub type Shutdown = tokio_util::sync::CancellationToken;

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
