//! Match values that a request may still bring to a record: until it cannot any more, no other key may be found by them.

use crate::{
    diff,
    model::{Held, Key},
    state::State,
};

use super::{RunError, claims::MatchHasher};

/// Collects the hashes of such values, with the keys whose requests are in doubt. There are only as many as rows were
/// attempted without an answer within the late window.
pub(super) struct Doubts<'a> {
    state: &'a State,
    hasher: Option<MatchHasher>,
    found: Vec<(u64, Key)>,
}

impl<'a> Doubts<'a> {
    pub(super) const fn new(state: &'a State, hasher: Option<MatchHasher>) -> Self {
        Self { state, hasher, found: Vec::new() }
    }

    /// Looks at the marks of a held key. Whoever creates records once finds them by other means.
    ///
    /// # Errors
    /// When a sealed value cannot be opened.
    pub(super) fn note(&mut self, held: &Held, context: &diff::Context) -> Result<(), RunError> {
        let Some(hasher) = self.hasher.as_ref().filter(|_| !context.mode.creates_once()) else { return Ok(()) };
        let open =
            held.dirty.iter().filter(|mark| mark.ambiguous_at.is_some_and(|at| at + context.late_window > context.now));
        for sealed in open.filter_map(|mark| mark.sealed_match.as_deref()) {
            let value = self.state.unseal("match", sealed)?;
            let hash = hasher.of_value(&String::from_utf8_lossy(&value));
            self.found.extend(hash.map(|hash| (hash, held.key.clone())));
        }
        Ok(())
    }

    /// All of them, by hash and key.
    pub(super) fn finish(mut self) -> Vec<(u64, Key)> {
        self.found.sort_unstable();
        self.found.dedup();
        self.found
    }
}
