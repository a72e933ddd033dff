//! The overlay of pages, journal, dirty marks, rejects and quiet keys.

use super::StateError;
use crate::model::Held;

/// All that the state holds for a sync, in key order, read in chunks.
#[derive(Debug)]
pub struct Overlay {}

impl Overlay {
    /// The next key's holdings, keys strictly increasing; `None` at the end.
    ///
    /// # Errors
    /// When the store fails or bytes are damaged; the run must then send nothing.
    #[allow(clippy::unused_async, reason = "signature first")]
    pub async fn next(&mut self) -> Result<Option<Held>, StateError> {
        Err(StateError::Stopped)
    }
}
