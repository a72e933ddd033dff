//! The sorted passes against a reference that holds everything in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::key;
use crate::{
    diff::{Annotation, Standing},
    model::{ChangeKind, Key},
    plan::OwnershipBuilder,
};

/// Where each key stands; `None` is unchanged. Keys that nobody knows are left out.
type Model = BTreeMap<u8, Option<Standing>>;

fn resolve(model: &Model, owners: &BTreeMap<u64, u8>) -> BTreeMap<Key, Annotation> {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = OwnershipBuilder::new(dir.path());
    for (value, standing) in model {
        if let Some(standing) = standing {
            builder.note(&key(*value), standing).unwrap();
        }
    }
    let mut resolver = builder.finish().unwrap();
    for (hash, owner) in owners {
        resolver.owner(*hash, &key(*owner)).unwrap();
    }
    let annotations = resolver.finish().unwrap();
    let (mut reader, mut found) = (annotations.reader(), BTreeMap::new());
    while let Some((key, annotation)) = reader.next().unwrap() {
        assert!(found.last_key_value().is_none_or(|(last, _)| *last < key), "out of order or twice");
        found.insert(key, annotation);
    }
    found
}

fn claims(standing: &Option<Standing>) -> &[u64] {
    match standing {
        Some(Standing::Planned { claims, .. } | Standing::Waiting { claims, .. }) => claims,
        _ => &[],
    }
}

/// The keys of colliding groups: several claimants, or a claimant and a present owner that does not let go.
fn colliding(model: &Model, owners: &BTreeMap<u64, u8>) -> BTreeSet<Key> {
    let mut invalid = BTreeSet::new();
    for hash in 0..8_u64 {
        let mut members: BTreeSet<u8> =
            model.iter().filter(|(_, standing)| claims(standing).contains(&hash)).map(|(value, _)| *value).collect();
        let keeps = |value: &&u8| matches!(model.get(value), Some(None | Some(Standing::Invalid)));
        if !members.is_empty() {
            members.extend(owners.get(&hash).filter(keeps));
        }
        if members.len() > 1 {
            invalid.extend(members.iter().filter(|value| model[value] != Some(Standing::Invalid)).map(|v| key(*v)));
        }
    }
    invalid
}

fn standing() -> impl Strategy<Value = Option<Standing>> {
    let claim = || (0_u64..8, any::<bool>());
    let planned = claim().prop_map(|(hash, has_record)| {
        Some(Standing::Planned { kind: ChangeKind::Added, claims: vec![hash], has_record })
    });
    prop_oneof![
        2 => Just(None),
        4 => planned,
        1 => (claim(), any::<bool>()).prop_map(|((hash, has_record), refused)| {
            Some(Standing::Waiting { claims: vec![hash], has_record, refused })
        }),
        1 => Just(Some(Standing::Invalid)),
        2 => Just(Some(Standing::Removal { record_id: Some("7".into()) })),
        1 => Just(Some(Standing::WaitingRemoval)),
        1 => Just(Some(Standing::Absent { record_id: None })),
    ]
}

fn models() -> impl Strategy<Value = (Model, BTreeMap<u64, u8>)> {
    let model = proptest::collection::btree_map(0_u8..20, standing(), 1..20);
    (model, proptest::collection::btree_map(0_u64..8, any::<proptest::sample::Index>(), 0..8)).prop_map(
        |(model, owners)| {
            let keys: Vec<u8> = model.keys().copied().collect();
            let owners = owners.into_iter().map(|(hash, index)| (hash, *index.get(&keys))).collect();
            (model, owners)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn exactly_the_colliding_keys_are_invalid_and_records_change_hands_once((model, owners) in models()) {
        let found = resolve(&model, &owners);
        let invalid: BTreeSet<Key> =
            found.iter().filter(|(_, a)| matches!(a, Annotation::Invalid { .. })).map(|(key, _)| key.clone()).collect();
        prop_assert_eq!(invalid, colliding(&model, &owners));
        let mut taken = BTreeSet::new();
        for (value, standing) in &model {
            match (found.get(&key(*value)), standing) {
                (None, _) => {}
                (Some(Annotation::Invalid { others, .. }), _) => {
                    prop_assert!((1..=5).contains(&others.len()) && !others.contains(&key(*value)));
                }
                (Some(Annotation::TakesOver { from, .. }), Some(Standing::Planned { has_record: false, .. })) => {
                    prop_assert!(taken.insert(from.clone()), "one record, two takers");
                }
                (Some(Annotation::After { strict, .. }), Some(Standing::Planned { has_record, .. })) => {
                    prop_assert_eq!(*strict, !has_record);
                }
                (Some(Annotation::Waits { .. }), Some(Standing::Planned { .. } | Standing::Removal { .. })) => {}
                (Some(Annotation::TakenOver { .. }), Some(Standing::Removal { .. } | Standing::Absent { .. })) => {}
                (Some(annotation), standing) => prop_assert!(false, "{:?} for {:?}", annotation, standing),
            }
        }
    }
}

#[test]
fn a_large_group_names_five_and_all_of_it_is_invalid() {
    let claim = Standing::Planned { kind: ChangeKind::Changed, claims: vec![3], has_record: true };
    let model: Model = (0..100).map(|value| (value, (value != 50).then(|| claim.clone()))).collect();
    let found = resolve(&model, &BTreeMap::from([(3, 50)]));
    assert_eq!(found.len(), 100);
    assert!(found.values().all(|a| matches!(a, Annotation::Invalid { others, .. } if others.len() == 5)));
}

#[test]
fn when_one_of_two_leaves_the_other_takes_its_record_over() {
    let id: Option<Box<str>> = Some("7".into());
    let new = Standing::Planned { kind: ChangeKind::Added, claims: vec![3], has_record: false };
    let both = resolve(&Model::from([(1, None), (2, Some(new.clone()))]), &BTreeMap::from([(3, 1)]));
    assert!(both.len() == 2 && both.values().all(|a| matches!(a, Annotation::Invalid { .. })));
    let left = Standing::Removal { record_id: id.clone() };
    let one = resolve(&Model::from([(1, Some(left)), (2, Some(new))]), &BTreeMap::from([(3, 1)]));
    assert_eq!(one[&key(2)], Annotation::TakesOver { from: key(1), record_id: id });
    assert_eq!(one[&key(1)], Annotation::TakenOver { by: key(2) });
}

#[test]
fn an_owner_of_two_values_gives_its_record_to_one_claimant_and_the_other_waits() {
    let id: Option<Box<str>> = Some("7".into());
    let left = || Some(Standing::Removal { record_id: id.clone() });
    let new = |hash| Some(Standing::Planned { kind: ChangeKind::Added, claims: vec![hash], has_record: false });
    let model = Model::from([(1, left()), (2, new(3)), (3, new(4)), (5, left()), (6, new(8))]);
    let found = resolve(&model, &BTreeMap::from([(3, 1), (4, 1), (8, 5)]));
    let takes = |from| Annotation::TakesOver { from: key(from), record_id: id.clone() };
    let expected = [
        (key(1), Annotation::TakenOver { by: key(2) }),
        (key(2), takes(1)),
        (key(3), Annotation::Waits { other: key(2) }),
        (key(5), Annotation::TakenOver { by: key(6) }),
        (key(6), takes(5)),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn the_owner_index_is_wanted_only_where_something_is_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let claim = Standing::Planned { kind: ChangeKind::Added, claims: vec![3], has_record: false };
    for (standing, wanted) in [(Standing::Invalid, false), (claim, true)] {
        let mut builder = OwnershipBuilder::new(dir.path());
        builder.note(&key(1), &standing).unwrap();
        assert_eq!(builder.finish().unwrap().wants_owners(), wanted, "{standing:?}");
    }
}
