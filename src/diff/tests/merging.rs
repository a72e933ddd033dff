use proptest::prelude::*;

use crate::diff::{Keyed, Neighbours, OrderViolation, Seen, Side, side};

impl Keyed for (Vec<u8>, u32) {
    fn key(&self) -> &[u8] {
        &self.0
    }
}

fn feed(keys: &[u8]) -> Result<Vec<(u8, bool)>, OrderViolation> {
    let mut neighbours = Neighbours::new();
    let mut out = Vec::new();
    let mut take = |seen: Option<Seen<(Vec<u8>, u32)>>| match seen {
        Some(Seen::Single((key, _))) => out.push((key[0], false)),
        Some(Seen::Copy((key, _))) => out.push((key[0], true)),
        None => {}
    };
    for (index, key) in keys.iter().enumerate() {
        take(neighbours.push((vec![*key], index as u32))?);
    }
    take(neighbours.finish());
    Ok(out)
}

#[test]
fn copies_show_and_disorder_is_refused() {
    assert_eq!(feed(&[1, 2, 2, 2, 3, 4, 4]).unwrap().iter().filter(|(_, copy)| *copy).count(), 5);
    let refused = feed(&[1, 3, 2]).unwrap_err();
    assert_eq!(refused, OrderViolation { row: 3 });
    assert_eq!(refused.to_string(), "row 3 of the result comes before its predecessor in key order");
}

proptest! {
    #[test]
    fn every_row_comes_once_and_copies_are_those_of_shared_keys(mut keys in proptest::collection::vec(0_u8..20, 0..40)) {
        keys.sort_unstable();
        let copies = |key: u8| keys.iter().filter(|other| **other == key).count();
        let expected: Vec<_> = keys.iter().map(|key| (*key, copies(*key) > 1)).collect();
        prop_assert_eq!(feed(&keys).unwrap(), expected);
    }

    #[test]
    fn the_merge_visits_every_key_once(rows in proptest::collection::btree_set(0_u8..30, 0..20), held in proptest::collection::btree_set(0_u8..30, 0..20)) {
        let (mut row, mut old) = (rows.iter().peekable(), held.iter().peekable());
        let mut visited = Vec::new();
        loop {
            let (next_row, next_old) = (row.peek().map(|k| [**k]), old.peek().map(|k| [**k]));
            let Some(side) = side(next_row.as_ref().map(|k| &k[..]), next_old.as_ref().map(|k| &k[..])) else { break };
            let taken_row = if side == Side::Held { None } else { row.next() };
            let taken_old = if side == Side::Row { None } else { old.next() };
            visited.push((*taken_row.or(taken_old).unwrap(), taken_row.is_some(), taken_old.is_some()));
        }
        let all: std::collections::BTreeSet<u8> = rows.union(&held).copied().collect();
        let expected: Vec<_> = all.iter().map(|k| (*k, rows.contains(k), held.contains(k))).collect();
        prop_assert_eq!(visited, expected);
    }
}
