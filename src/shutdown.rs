//! Graceful stop: one token that every task watches.

/// Cancelled when the daemon is asked to stop. Cheap to clone.
pub type Shutdown = tokio_util::sync::CancellationToken;
