//! One record, one owner: which key may hold a vendor's record id.

use std::collections::HashSet;

use tokio::sync::Mutex;

use crate::{
    model::{Key, SyncId},
    state::{OwnerSpace, State, StateError},
};

/// Answers whether a key may own a record that an answer names. Holds 8 bytes for each record id that the sync owns, and
/// asks the index only when a hash is known already.
#[derive(Debug, Default)]
pub struct Claims {
    known: Mutex<HashSet<u64>>,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The record is the key's.
    Granted,
    /// Another key of this sync owns the record.
    OwnedBy(Key),
}

impl Claims {
    /// Loads the hashes of all record ids that the sync owns.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn load(state: &State, sync: SyncId) -> Result<Self, StateError> {
        let mut known = HashSet::new();
        let mut scan = state.owners(sync, OwnerSpace::RecordId);
        while let Some(owner) = scan.next().await? {
            known.insert(owner.hash);
        }
        Ok(Self { known: Mutex::new(known) })
    }

    /// Claims the record of this hash for a key. `yields`: the absent key that gives the record up.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn claim(
        &self,
        state: &State,
        sync: SyncId,
        hash: u64,
        key: &Key,
        yields: Option<&Key>,
    ) -> Result<Claim, StateError> {
        let mut known = self.known.lock().await;
        if known.insert(hash) {
            return Ok(Claim::Granted);
        }
        let owners = state.owners_of(sync, OwnerSpace::RecordId, &[hash]).await?;
        let other = owners.into_iter().flatten().find(|owner| owner != key && Some(owner) != yields);
        Ok(other.map_or(Claim::Granted, Claim::OwnedBy))
    }
}
