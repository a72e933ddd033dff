//! One record, one owner: which key may hold a vendor's record id.

use std::collections::{HashMap, HashSet};

use tokio::sync::Mutex;

use crate::{
    model::{Key, SyncId},
    proof::{Rule, is_broken},
    state::{OwnerSpace, State, StateError},
};

/// Answers whether a key may own a record that an answer names. Holds 8 bytes for each record id that the sync owns, and
/// asks the index only when a hash is known already.
#[derive(Debug, Default)]
pub struct Claims {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Hashes that some key has owned.
    known: HashSet<u64>,
    /// Claims that are granted, but not queued in the state yet: the index does not show them.
    granted: HashMap<u64, Key>,
    /// Absent keys whose record a delivered operation took over.
    taken: HashSet<Key>,
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
        Ok(Self { held: Mutex::new(Held { known, ..Held::default() }) })
    }

    /// Claims the record of this hash for a key. `yields`: the absent keys that give the record up. A granted claim is
    /// to be queued once its settle is.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn claim(
        &self,
        state: &State,
        sync: SyncId,
        hash: u64,
        key: &Key,
        yields: &[Key],
    ) -> Result<Claim, StateError> {
        if is_broken(Rule::Ownership) {
            return Ok(Claim::Granted);
        }
        let mut held = self.held.lock().await;
        if let Some(owner) = held.granted.get(&hash).filter(|owner| *owner != key) {
            return Ok(Claim::OwnedBy(owner.clone()));
        }
        if !held.known.insert(hash) {
            let owners = state.owners_of(sync, OwnerSpace::RecordId, &[hash]).await?;
            let other = owners.into_iter().flatten().find(|owner| owner != key && !yields.contains(owner));
            if let Some(other) = other {
                return Ok(Claim::OwnedBy(other));
            }
        }
        held.granted.insert(hash, key.clone());
        Ok(Claim::Granted)
    }

    /// These claims are queued in the state, which shows them from now on.
    pub(super) async fn queued(&self, hashes: &[u64]) {
        let mut held = self.held.lock().await;
        for hash in hashes {
            held.granted.remove(hash);
        }
    }

    /// The record of this absent key has a new owner.
    pub(super) async fn take(&self, from: &Key) {
        self.held.lock().await.taken.insert(from.clone());
    }

    /// Whether a delivered operation of this run took over the record of this key.
    pub async fn is_taken(&self, key: &Key) -> bool {
        self.held.lock().await.taken.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Access, Location, OpenOptions};

    #[tokio::test]
    async fn a_record_is_granted_once_until_the_state_tells_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("state.db"));
        let state = State::open(OpenOptions::new(location, Access::Runner)).await.unwrap();
        let claims = Claims::load(&state, SyncId(1)).await.unwrap();
        let (one, two) = (Key::from_encoded(&[1]), Key::from_encoded(&[2]));
        let claim = async |hash, key, yields: &[Key]| claims.claim(&state, SyncId(1), hash, key, yields).await.unwrap();
        assert_eq!(claim(7, &one, &[]).await, Claim::Granted);
        assert_eq!(claim(7, &one, &[]).await, Claim::Granted);
        assert_eq!(claim(7, &two, &[]).await, Claim::OwnedBy(one.clone()));
        assert_eq!(claim(7, &two, std::slice::from_ref(&one)).await, Claim::OwnedBy(one.clone()), "it has just got it");
        assert_eq!(claim(8, &two, &[]).await, Claim::Granted);
        // The state knows of neither, so the first one has given it up again by then.
        claims.queued(&[7]).await;
        assert_eq!(claim(7, &two, &[]).await, Claim::Granted);
        assert_eq!(claim(8, &one, &[]).await, Claim::OwnedBy(two));
    }
}
