//! Forms batches: by operation and address, by count and bytes, and again exactly as they were after an unanswered send.

use std::{collections::BTreeMap, hash::Hasher as _, mem};

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::{
    destination::RowCaps,
    model::{BatchKey, Operation},
};

use super::item::Item;

/// Caps of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// Most rows.
    pub(super) max_rows: RowCaps,
    /// Most bytes of the body.
    pub(super) max_bytes: usize,
}

/// The changes of one request.
#[derive(Debug)]
pub(super) struct Formed {
    /// The items, never two of one key.
    pub(super) items: Vec<Item>,
    /// Its idempotency key, when it is a batch formed again; a new one is drawn otherwise.
    pub(super) again: Option<BatchKey>,
}

/// Most earlier batches that are collected at once; the oldest beyond is sent as ordinary rows.
const MAX_REFORMING: usize = 64;

/// Forms batches from items in any order. Items of one earlier batch wait for each other: complete and unchanged, they
/// form that batch again, with its idempotency key; what stays incomplete goes as ordinary rows at the end.
#[derive(Debug)]
pub(super) struct Batcher {
    caps: Caps,
    open: BTreeMap<Group, Open>,
    reforming: BTreeMap<u128, Vec<Item>>,
}

/// Rows of one request are alike: a vendor may refuse one that names some by id and some by match.
type Group = (Operation, bool);

fn group(item: &Item) -> Group {
    (item.operation, item.record_id.is_some())
}

#[derive(Debug, Default)]
struct Open {
    items: Vec<Item>,
    bytes: usize,
}

impl Batcher {
    /// A batcher for one pass of a run.
    pub(super) fn new(caps: Caps) -> Self {
        Self { caps, open: BTreeMap::new(), reforming: BTreeMap::new() }
    }

    /// Adds an item; batches that are full come out.
    pub(super) fn push(&mut self, item: Item, out: &mut Vec<Formed>) {
        let Some(batch_key) = item.batch_key else { return self.ordinary(item, out) };
        let members = self.reforming.entry(batch_key.idempotency).or_default();
        members.push(item);
        if members.len() >= batch_key.members as usize {
            if let Some(items) = self.reforming.remove(&batch_key.idempotency) {
                self.reform(batch_key, items, out);
            }
        } else if self.reforming.len() > MAX_REFORMING
            && let Some((_, items)) = self.reforming.pop_first()
        {
            self.dissolve(items, out);
        }
    }

    /// Gives out everything that is left.
    pub(super) fn finish(mut self, out: &mut Vec<Formed>) {
        for items in mem::take(&mut self.reforming).into_values() {
            self.dissolve(items, out);
        }
        for open in self.open.into_values() {
            out.extend(Some(Formed { items: open.items, again: None }).filter(|batch| !batch.items.is_empty()));
        }
    }

    fn reform(&mut self, batch_key: BatchKey, items: Vec<Item>, out: &mut Vec<Formed>) {
        let Some(alike) = items.first().map(group) else { return };
        let bytes = items.iter().map(|item| item.size).sum::<usize>();
        let same = items.iter().all(|item| group(item) == alike && item.batch_key == Some(batch_key));
        if same && items.len() <= self.caps.max_rows.of(alike.0) && bytes <= self.caps.max_bytes {
            out.push(Formed { items, again: Some(batch_key) });
        } else {
            self.dissolve(items, out);
        }
    }

    fn dissolve(&mut self, items: Vec<Item>, out: &mut Vec<Formed>) {
        for item in items {
            self.ordinary(item, out);
        }
    }

    fn ordinary(&mut self, mut item: Item, out: &mut Vec<Formed>) {
        item.batch_key = None;
        let operation = item.operation;
        let open = self.open.entry(group(&item)).or_default();
        let full = open.items.len() >= self.caps.max_rows.of(operation) || open.bytes + item.size > self.caps.max_bytes;
        if full && !open.items.is_empty() {
            let items = mem::take(&mut open.items);
            open.bytes = 0;
            out.push(Formed { items, again: None });
        }
        open.bytes += item.size;
        open.items.push(item);
    }
}

/// The idempotency key of some rows of a batch: the same rows of the same batch always get the same key.
pub(super) fn part_key(whole: u128, rows: &[usize]) -> u128 {
    let mut hasher = SipHasher24::new_with_key(&whole.to_be_bytes());
    rows.iter().for_each(|row| hasher.write_u64(*row as u64));
    hasher.finish128().as_u128()
}

/// The idempotency key of rows that are created once: a function of their own keys, so that the same rows have it in every
/// run. A refused request was answered and its key is used up, so each refusal of a row makes another one. `None` for rows
/// that may be sent again in other forms.
pub(super) fn rows_key<'a>(items: impl Iterator<Item = &'a Item>) -> Option<u128> {
    let mut hasher = SipHasher24::new();
    for item in items {
        hasher.write_u128(item.row_key?);
        hasher.write_u64(item.refusals);
    }
    Some(hasher.finish128().as_u128())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use crate::model::{IntentId, Key};

    use super::*;

    fn item(number: u32, operation: Operation, size: usize, batch_key: Option<BatchKey>) -> Item {
        Item {
            key: Key::from_encoded(&number.to_be_bytes()),
            operation,
            fingerprint: None,
            record: Bytes::new(),
            record_id: None,
            match_hash: None,
            loaded: vec![IntentId { batch: 1, position: number }],
            batch_key,
            ambiguous_at: None,
            entry: None,
            takes_over: None,
            rejected_before: 0,
            attempts: 0,
            row_key: None,
            refusals: 0,
            cursor: None,
            unapproved_removal: false,
            size,
        }
    }

    fn caps() -> Caps {
        Caps { max_rows: RowCaps::new(10, 10), max_bytes: 1_000 }
    }

    fn form(items: Vec<Item>) -> Vec<Formed> {
        let (mut batcher, mut out) = (Batcher::new(caps()), Vec::new());
        for item in items {
            batcher.push(item, &mut out);
        }
        batcher.finish(&mut out);
        out
    }

    proptest! {
        #[test]
        fn every_item_goes_out_once_within_caps(specs in proptest::collection::vec((0..2_u8, 1..600_usize, 0..6_u8, 1..12_u32), 0..80)) {
            let items: Vec<_> = specs.iter().enumerate().map(|(number, &(operation, size, batch, members))| {
                let operation = if operation == 0 { Operation::Upsert } else { Operation::Update };
                let batch_key = (batch > 3).then_some(BatchKey { idempotency: u128::from(batch), members });
                item(number as u32, operation, size, batch_key)
            }).collect();
            let formed = form(items.clone());
            let mut seen: Vec<_> = formed.iter().flat_map(|batch| batch.items.iter().map(|item| item.key.clone())).collect();
            seen.sort();
            prop_assert_eq!(seen, items.iter().map(|item| item.key.clone()).collect::<Vec<_>>());
            for batch in &formed {
                let bytes: usize = batch.items.iter().map(|item| item.size).sum();
                prop_assert!(batch.items.len() <= 10 && (bytes <= 1_000 || batch.items.len() == 1));
                prop_assert!(batch.items.iter().all(|item| item.operation == batch.items[0].operation));
                if let Some(again) = batch.again {
                    prop_assert_eq!(batch.items.len(), again.members as usize);
                }
            }
        }
    }

    #[test]
    fn an_unchanged_batch_is_formed_again_and_an_incomplete_one_is_not() {
        let whole = BatchKey { idempotency: 7, members: 2 };
        let broken = BatchKey { idempotency: 8, members: 3 };
        let items = vec![
            item(1, Operation::Upsert, 1, Some(whole)),
            item(2, Operation::Upsert, 1, Some(broken)),
            item(3, Operation::Upsert, 1, None),
            item(4, Operation::Upsert, 1, Some(whole)),
            item(5, Operation::Upsert, 1, Some(broken)),
        ];
        let formed = form(items);
        assert_eq!(formed[0].again, Some(whole));
        assert_eq!(formed[0].items.len(), 2);
        assert_eq!((formed[1].again, formed[1].items.len()), (None, 3));
    }

    #[test]
    fn a_batch_is_filled_to_the_last_byte_and_row() {
        let sizes = |sizes: &[usize]| {
            let items = sizes.iter().zip(0..).map(|(&size, number)| item(number, Operation::Upsert, size, None));
            form(items.collect()).iter().map(|batch| batch.items.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[300, 300, 400]), [3]);
        assert_eq!(sizes(&[300, 300, 401]), [2, 1]);
        assert_eq!(sizes(&[2_000, 1]), [1, 1]);
        assert_eq!(sizes(&[1; 21]), [10, 10, 1]);
    }

    #[test]
    fn so_many_earlier_batches_wait_to_be_complete() {
        for (batches, whole) in [(MAX_REFORMING, MAX_REFORMING), (MAX_REFORMING + 1, MAX_REFORMING)] {
            let of = |batch| Some(BatchKey { idempotency: batch as u128, members: 2 });
            let twice = (0..batches).chain(0..batches).zip(0..);
            let formed = form(twice.map(|(batch, number)| item(number, Operation::Upsert, 1, of(batch))).collect());
            assert_eq!(formed.iter().filter(|batch| batch.again.is_some()).count(), whole, "of {batches}");
        }
    }

    #[test]
    fn rows_that_are_created_once_name_their_batch() {
        let row = |key: u128, refusals| Item { row_key: Some(key), refusals, ..item(1, Operation::Insert, 1, None) };
        let key = |items: &[Item]| rows_key(items.iter());
        assert_eq!(key(&[row(1, 0), row(2, 0)]), key(&[row(1, 0), row(2, 0)]));
        assert_ne!(key(&[row(1, 0)]), key(&[row(1, 0), row(2, 0)]));
        assert_ne!(key(&[row(1, 0)]), key(&[row(1, 9)]));
        assert_eq!(key(&[row(1, 0), item(2, Operation::Upsert, 1, None)]), None);
    }

    #[test]
    fn parts_have_stable_distinct_keys() {
        assert_eq!(part_key(1, &[0, 1, 5]), part_key(1, &[0, 1, 5]));
        assert_ne!(part_key(1, &[0, 1, 5]), part_key(1, &[0, 3, 5]));
        assert_ne!(part_key(1, &[0, 1, 5]), part_key(2, &[0, 1, 5]));
    }
}
