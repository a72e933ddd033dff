//! One record, one owner: which key may hold a vendor's record id.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::{Key, SyncId},
    proof::{Rule, is_broken},
    state::{OwnerSpace, State, StateError},
};

/// One lookup in the index costs as much as reading so many owners in order.
const LOOKUP_COST: u64 = 1_500;

/// Answers whether a key may own a record that an answer names. Where many records get an owner it knows which hashes surely
/// have none, in a few bits for each, and asks the index only about the others.
#[derive(Debug, Default)]
pub struct Claims {
    held: Mutex<Held>,
    /// Held while the index is asked: of two who ask about one record the second one sees what the first one was granted.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    /// Hashes that some key may have owned; `None`: any may be.
    known: Option<Known>,
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
    /// Prepares for about `new` records that get an owner, where `entries` keys may have one. Reads all owners if that is
    /// cheaper than asking for each.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn load(state: &State, sync: SyncId, entries: u64, new: u64) -> Result<Self, StateError> {
        if new.saturating_mul(LOOKUP_COST) <= entries {
            return Ok(Self::default());
        }
        let mut known = Known::for_about(entries.saturating_add(new));
        let mut scan = state.owners(sync, OwnerSpace::RecordId);
        while let Some(owner) = scan.next().await? {
            known.insert(owner.hash);
        }
        Ok(Self { held: Mutex::new(Held { known: Some(known), ..Held::default() }), ..Self::default() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Some(claim) = self.held().claim_unasked(hash, key) {
            return Ok(claim);
        }
        let _asking = self.asking.lock().await;
        if let Some(claim) = self.held().granted_to(hash, key) {
            return Ok(claim);
        }
        let owners = state.owners_of(sync, OwnerSpace::RecordId, &[hash]).await?;
        let other = owners.into_iter().flatten().find(|owner| owner != key && !yields.contains(owner));
        if let Some(other) = other {
            return Ok(Claim::OwnedBy(other));
        }
        self.held().granted.insert(hash, key.clone());
        Ok(Claim::Granted)
    }

    /// These claims are queued in the state, which shows them from now on.
    pub(super) fn queued(&self, hashes: &[u64]) {
        let mut held = self.held();
        for hash in hashes {
            held.granted.remove(hash);
        }
    }

    /// The record of this absent key has a new owner.
    pub(super) fn take(&self, from: &Key) {
        self.held().taken.insert(from.clone());
    }

    /// Whether a delivered operation of this run took over the record of this key.
    pub fn is_taken(&self, key: &Key) -> bool {
        self.held().taken.contains(key)
    }
}

impl Held {
    /// What the claim comes to without a look into the index; `None` where that has to tell. Whoever is granted a record
    /// here is the first to claim it.
    fn claim_unasked(&mut self, hash: u64, key: &Key) -> Option<Claim> {
        if let Some(claim) = self.granted_to(hash, key) {
            return Some(claim);
        }
        self.known.as_mut()?.insert(hash).then(|| {
            self.granted.insert(hash, key.clone());
            Claim::Granted
        })
    }

    /// What is granted and not queued yet.
    fn granted_to(&self, hash: u64, key: &Key) -> Option<Claim> {
        let owner = self.granted.get(&hash)?;
        Some(if owner == key { Claim::Granted } else { Claim::OwnedBy(owner.clone()) })
    }
}

/// A Bloom filter of hashes: what was put in is always known, and now and then something else is taken for known.
#[derive(Debug)]
struct Known(Vec<u64>);

impl Known {
    /// Hashes for each word of 64 bits, at most as far as [`Self::MOST_WORDS`] goes: then one in 2,600 is known wrongly.
    const CROWD: u64 = 2;
    /// 8 MiB: of ten million hashes one in 16 is known wrongly.
    const MOST_WORDS: u64 = 1 << 20;

    fn for_about(hashes: u64) -> Self {
        let words = (hashes / Self::CROWD).clamp(64, Self::MOST_WORDS);
        Self(vec![0; usize::try_from(words).unwrap_or(64)])
    }

    /// Puts a hash in; true when it certainly was not in before.
    fn insert(&mut self, hash: u64) -> bool {
        let bits = [0, 6, 12, 18, 24, 30].into_iter().fold(0, |bits, shift| bits | 1_u64 << (hash >> shift & 63));
        let words = self.0.len() as u64;
        let place = usize::try_from((hash >> 36) % words.max(1)).unwrap_or(0);
        let Some(word) = self.0.get_mut(place) else { return false };
        let is_new = *word & bits != bits;
        *word |= bits;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Access, Location, OpenOptions};

    #[test]
    fn the_filter_knows_all_that_it_was_told_and_little_else() {
        let hash = |number: u64| number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
        let mut known = Known::for_about(100_000);
        let doubted = (0..100_000).filter(|&number| !known.insert(hash(number))).count();
        assert!(doubted < 1_000, "{doubted} of 100,000 were taken for known");
        assert!((0..100_000).all(|number| !known.insert(hash(number))));
    }

    #[test]
    fn a_filter_without_room_asks_about_everything() {
        let mut known = Known(Vec::new());
        assert!(!known.insert(7));
    }

    #[tokio::test]
    async fn a_record_is_granted_once_until_the_state_tells_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("state.db"));
        let state = State::open(OpenOptions::new(location, Access::Runner)).await.unwrap();
        let claims = Claims::load(&state, SyncId(1), 0, 1).await.unwrap();
        let (one, two) = (Key::from_encoded(&[1]), Key::from_encoded(&[2]));
        let claim = async |hash, key, yields: &[Key]| claims.claim(&state, SyncId(1), hash, key, yields).await.unwrap();
        assert_eq!(claim(7, &one, &[]).await, Claim::Granted);
        assert_eq!(claim(7, &one, &[]).await, Claim::Granted);
        assert_eq!(claim(7, &two, &[]).await, Claim::OwnedBy(one.clone()));
        assert_eq!(claim(7, &two, std::slice::from_ref(&one)).await, Claim::OwnedBy(one.clone()), "it has just got it");
        assert_eq!(claim(8, &two, &[]).await, Claim::Granted);
        // The state knows of neither, so the first one has given it up again by then.
        claims.queued(&[7]);
        assert_eq!(claim(7, &two, &[]).await, Claim::Granted);
        assert_eq!(claim(8, &one, &[]).await, Claim::OwnedBy(two));
    }

    #[tokio::test]
    async fn of_two_who_ask_about_a_record_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("state.db"));
        let state = State::open(OpenOptions::new(location, Access::Runner)).await.unwrap();
        // Without a filter each claim asks the index, which knows of neither.
        let claims = Claims::default();
        let (one, two) = (Key::from_encoded(&[1]), Key::from_encoded(&[2]));
        let claim = async |key| claims.claim(&state, SyncId(1), 7, key, &[]).await.unwrap();
        let (first, second) = tokio::join!(claim(&one), claim(&two));
        assert_eq!((first, second), (Claim::Granted, Claim::OwnedBy(one)));
    }
}
