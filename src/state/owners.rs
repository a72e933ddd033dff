//! The owner index: keyed hash of match value or record id -> key.

use super::{Owner, StateError};

/// The owner index in the order of (hash, key), read in chunks.
#[derive(Debug)]
pub struct OwnerScan {}

impl OwnerScan {
    /// The next owner; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged.
    #[allow(clippy::unused_async, reason = "signature first")]
    pub async fn next(&mut self) -> Result<Option<Owner>, StateError> {
        Err(StateError::Stopped)
    }
}
