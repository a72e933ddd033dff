//! Match values that a request may still bring to a record: until it cannot any more, no other key may be found by them.

use crate::{
    diff,
    model::{Held, Key},
    state::State,
};

use super::{RunError, claims::MatchHasher};

/// Collects the hashes of such values, with the keys whose requests are in doubt. There are only as many as rows were
/// attempted without an answer.
pub(super) struct Doubts<'a> {
    state: &'a State,
    hasher: Option<MatchHasher>,
    found: InDoubt,
}

/// Hashes of match values that an unanswered request has sent, by hash and key.
#[derive(Debug, Default)]
pub(super) struct InDoubt {
    /// The request may still be applied.
    pub(super) open: Vec<(u64, Key)>,
    /// Values that may be those of the key's record already: the open ones, and what was sent to a known record.
    pub(super) owned: Vec<(u64, Key)>,
}

impl<'a> Doubts<'a> {
    pub(super) fn new(state: &'a State, hasher: Option<MatchHasher>) -> Self {
        Self { state, hasher, found: InDoubt::default() }
    }

    /// Looks at the marks of a held key. Whoever creates records once finds them by other means.
    ///
    /// # Errors
    /// When a sealed value cannot be opened.
    pub(super) fn note(&mut self, held: &Held, context: &diff::Context) -> Result<(), RunError> {
        let Some(hasher) = self.hasher.as_ref().filter(|_| !context.mode.creates_once()) else { return Ok(()) };
        for mark in &held.dirty {
            let (Some(at), Some(sealed)) = (mark.ambiguous_at, mark.sealed_match.as_deref()) else { continue };
            let is_open = at + context.late_window > context.now;
            if !is_open && mark.record_id.is_none() {
                continue;
            }
            let value = self.state.unseal("match", sealed)?;
            let Some(hash) = hasher.of_value(&String::from_utf8_lossy(&value)) else { continue };
            self.found.owned.push((hash, held.key.clone()));
            self.found.open.extend(is_open.then(|| (hash, held.key.clone())));
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(mut self) -> InDoubt {
        for list in [&mut self.found.open, &mut self.found.owned] {
            list.sort_unstable();
            list.dedup();
        }
        self.found
    }
}
