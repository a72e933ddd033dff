//! Random histories against a plain map: settles, removals, owner changes, compactions, reopenings.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::support::{Home, Run, begin, entry, key, overlay, own, settle, sync};
use crate::{
    model::{Entry, Key},
    state::{End, Owner, OwnerSpace, State, compact},
};

#[derive(Debug, Clone)]
enum Step {
    /// Puts or removes keys, each with a value, in one batch.
    Batch(Vec<(i64, Option<u8>)>),
    Compact,
    Reopen,
    Begin,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keys = prop_oneof![4 => -40_i64..40, 1 => -40_000_i64..40_000];
    let batch = proptest::collection::vec((keys, proptest::option::weighted(0.7, 0_u8..6)), 1..40);
    let wide = (0_i64..3_000, 500_usize..2_500).prop_map(|(from, count)| {
        Step::Batch((from..).take(count).map(|number| (number, (number % 7 != 0).then_some(3))).collect())
    });
    let step = prop_oneof![
        8 => batch.prop_map(Step::Batch),
        1 => wide,
        3 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        1 => Just(Step::Begin),
    ];
    proptest::collection::vec(step, 1..14)
}

#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<Key, Entry>,
    owners: BTreeSet<(u64, Key)>,
}

/// Values own a hash of their own; a new value gives up the old one's.
fn hash(value: u8) -> u64 {
    u64::from(value).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Model {
    fn end(&mut self, key: &Key, value: Option<u8>) -> End {
        let mut owners = Vec::new();
        let before = self.entries.remove(key).map(|entry| entry.fingerprint.to_bytes()[0]);
        if let Some(before) = before {
            self.owners.remove(&(hash(before), key.clone()));
            owners.push(own(OwnerSpace::Match, hash(before), false));
        }
        let Some(value) = value else { return End::Remove { owners, quiet_until: None } };
        let entry = Entry { tombstone: value == 5, record_id: Some(format!("id{value}").into()), ..entry(value) };
        self.entries.insert(key.clone(), entry.clone());
        self.owners.insert((hash(value), key.clone()));
        owners.push(own(OwnerSpace::Match, hash(value), true));
        End::Put { entry, owners, quiet_until: None }
    }

    async fn check(&self, state: &State, run: Run) {
        let held = overlay(state, run.sync).await.unwrap();
        let entries: Vec<(Key, Entry)> = held.into_iter().map(|held| (held.key, held.entry.unwrap())).collect();
        let expected: Vec<(Key, Entry)> = self.entries.clone().into_iter().collect();
        assert_eq!(entries, expected);
        let mut scan = state.owners(run.sync, OwnerSpace::Match);
        let mut owners = BTreeSet::new();
        while let Some(Owner { hash, key }) = scan.next().await.unwrap() {
            assert!(owners.last().is_none_or(|last| *last < (hash, key.clone())));
            owners.insert((hash, key));
        }
        assert_eq!(owners, self.owners);
        let hashes: Vec<u64> = (0..7).map(hash).collect();
        let found = state.owners_of(run.sync, OwnerSpace::Match, &hashes).await.unwrap();
        for (hash, keys) in hashes.iter().zip(found) {
            let expected: Vec<Key> =
                self.owners.iter().filter(|(found, _)| found == hash).map(|(_, key)| key.clone()).collect();
            assert_eq!(keys, expected);
        }
        let standing = state.standing(run.sync).await.unwrap();
        let tombstones = self.entries.values().filter(|entry| entry.tombstone).count() as u64;
        assert_eq!((standing.entries, standing.tombstones), (self.entries.len() as u64 - tombstones, tombstones));
        for number in [-40_i64, 0, 7, 39, 700] {
            let held = state.held(run.sync, &key(number)).await.unwrap();
            assert_eq!(held.entry.as_ref(), self.entries.get(&key(number)));
        }
    }
}

async fn play(home: Home, steps: Vec<Step>) {
    let mut state = home.runner().await;
    let id = sync(&state, "one").await;
    // A neighbour whose data must never show.
    let neighbour = sync(&state, "two").await;
    begin(&state, neighbour).await.end(&state, key(3), vec![], super::support::put(9)).await;
    let mut run = begin(&state, id).await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Batch(rows) => {
                let rows: BTreeMap<i64, Option<u8>> = rows.into_iter().collect();
                let keys: Vec<Key> = rows.keys().map(|&number| key(number)).collect();
                let batch = run.intend(&state, &keys).await;
                let ends = keys.iter().zip(rows.values()).map(|(key, value)| (vec![], model.end(key, *value)));
                settle(&state, batch, ends.collect()).wait().await.unwrap();
            }
            Step::Compact => {
                compact::compact(state.store(), id).await.unwrap();
            }
            Step::Reopen => {
                state.close().await.unwrap();
                state = home.runner().await;
                run = begin(&state, id).await;
            }
            Step::Begin => run = begin(&state, id).await,
        }
        model.check(&state, run).await;
    }
    state.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn the_state_equals_a_map(steps in steps()) {
        tokio::runtime::Runtime::new().unwrap().block_on(play(Home::new(), steps));
    }

    #[test]
    fn the_state_on_postgresql_equals_a_map(steps in steps()) {
        tokio::runtime::Runtime::new().unwrap().block_on(async { play(Home::postgres().await, steps).await });
    }
}
