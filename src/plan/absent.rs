//! Keys that the result does not have, for the few questions that delivery asks about them.

use super::{Annotations, LocalEnd, Locals};
use crate::{
    diff::Annotation,
    model::{IntentId, Key},
    spool::SpoolError,
};

/// Where a key stands that owns a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// The result has it.
    Present,
    /// It has left the model, and nobody else is to take its record over.
    Gone {
        /// Its dirty marks at the run's start.
        loaded: Vec<IntentId>,
    },
    /// The result does not have it, but that proves nothing, or its record is promised to another key.
    Leaving,
}

/// The absent keys of a plan whose records have ids, spooled in key order: no more of them is in memory than one.
#[derive(Debug, Clone)]
pub struct Absent {
    keys: Locals,
    annotations: Annotations,
    is_proof: bool,
}

impl Absent {
    pub(super) const fn new(keys: Locals, annotations: Annotations, is_proof: bool) -> Self {
        Self { keys, annotations, is_proof }
    }

    /// Looks for a key, reading the spools from their beginnings: for questions that are rare.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be read.
    pub fn find(&self, key: &Key) -> Result<Whereabouts, SpoolError> {
        let mut reader = self.keys.reader();
        while let Some(LocalEnd { key: next, loaded, .. }) = reader.next()? {
            if next == *key {
                let is_free = self.is_proof && !self.is_promised(key)?;
                return Ok(if is_free { Whereabouts::Gone { loaded } } else { Whereabouts::Leaving });
            }
            if next > *key {
                break;
            }
        }
        Ok(Whereabouts::Present)
    }

    fn is_promised(&self, key: &Key) -> Result<bool, SpoolError> {
        let mut reader = self.annotations.reader();
        while let Some((next, annotation)) = reader.next()? {
            if next >= *key {
                return Ok(next == *key && matches!(annotation, Annotation::TakenOver { .. }));
            }
        }
        Ok(false)
    }
}
