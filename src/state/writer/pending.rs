//! Owner changes that are queued but not durable yet.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    model::{Key, SyncId},
    state::{OwnerChange, OwnerSpace, codec::owner_key},
};

type Place = (SyncId, OwnerSpace, Key);

/// Queued owner changes: what to find at a place, and the number of the command that writes it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    next: AtomicU64,
    places: Mutex<BTreeMap<Place, (u64, bool)>>,
    tickets: Mutex<BTreeMap<u64, Vec<Place>>>,
}

impl Pending {
    /// Remembers changes until [`Pending::forget`] of the number that is answered; 0 for none.
    pub(super) fn remember(&self, sync: SyncId, owners: &[(Key, OwnerChange)]) -> u64 {
        if owners.is_empty() {
            return 0;
        }
        let ticket = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let places: Vec<Place> =
            owners.iter().map(|(key, change)| (sync, change.space, owner_key(change.hash, key))).collect();
        let mut known = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, (_, change)) in places.iter().zip(owners) {
            known.insert(place.clone(), (ticket, change.present));
        }
        drop(known);
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, places);
        ticket
    }

    pub(super) fn forget(&self, ticket: u64) {
        let places = self.tickets.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
        let mut known = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places.into_iter().flatten() {
            // A later command may have queued the same place anew.
            if known.get(&place).is_some_and(|(by, _)| *by == ticket) {
                known.remove(&place);
            }
        }
    }

    /// Queued changes of one hash.
    pub(super) fn of(&self, sync: SyncId, space: OwnerSpace, hash: u64) -> Vec<(Key, bool)> {
        let from = (sync, space, Key::from_encoded(&hash.to_be_bytes()));
        let known = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |place: &Place| place.0 == sync && place.1 == space && place.2.as_bytes().starts_with(&hash.to_be_bytes());
        known
            .range(from..)
            .take_while(|(place, _)| same(place))
            .map(|(place, (_, present))| (place.2.clone(), *present))
            .collect()
    }
}
