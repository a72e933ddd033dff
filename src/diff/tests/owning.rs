use super::*;
use crate::{
    diff::{Annotation, Claim, Group, Owner, Standing, Was, judge_group},
    model::ChangeKind,
};

const NEW: Was = Was::Planned(ChangeKind::Added);

fn claim(value: u8, was: Was, has_record: bool) -> Claim {
    Claim { key: key(value), was, has_record }
}

fn judged(claims: Vec<Claim>, owner: Option<(u8, Option<Standing>)>) -> Vec<(Key, Annotation)> {
    let owner = owner.map(|(value, standing)| Owner { key: key(value), standing });
    let mut found = judge_group(&Group { hash: 1, claims, owner });
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn invalid(was: Was, others: &[u8]) -> Annotation {
    Annotation::Invalid { was, others: others.iter().map(|value| key(*value)).collect() }
}

#[test]
fn a_free_value_is_claimed_freely() {
    assert_eq!(judged(vec![claim(1, NEW, false)], None), []);
}

#[test]
fn claimants_of_one_value_are_invalid() {
    let found = judged(vec![claim(1, NEW, false), claim(2, Was::Waiting, true)], None);
    assert_eq!(found, [(key(1), invalid(NEW, &[2])), (key(2), invalid(Was::Waiting, &[1]))]);
}

#[test]
fn a_present_owner_is_invalid_too_even_unchanged() {
    let found = judged(vec![claim(1, NEW, false)], Some((9, None)));
    assert_eq!(found, [(key(1), invalid(NEW, &[9])), (key(9), invalid(Was::Unchanged, &[1]))]);
    let found = judged(vec![claim(1, NEW, false)], Some((9, Some(Standing::Invalid))));
    assert_eq!(found, [(key(1), invalid(NEW, &[9]))]);
}

#[test]
fn a_released_value_is_claimed_after_its_owner() {
    let moved = Standing::Planned { kind: ChangeKind::Changed, claims: vec![2], has_record: true };
    for has_record in [false, true] {
        let found = judged(vec![claim(1, NEW, has_record)], Some((9, Some(moved.clone()))));
        assert_eq!(found, [(key(1), Annotation::After { owner: key(9), strict: !has_record })]);
    }
    let waits = Standing::Waiting { claims: vec![2], has_record: true, refused: false };
    for has_record in [false, true] {
        let found = judged(vec![claim(1, NEW, has_record)], Some((9, Some(waits.clone()))));
        assert_eq!(found, [(key(1), Annotation::Waits { other: key(9) })]);
        let found = judged(vec![claim(1, NEW, has_record)], Some((9, Some(Standing::WaitingRemoval))));
        assert_eq!(found, [(key(1), Annotation::Waits { other: key(9) })]);
    }
}

#[test]
fn a_value_of_an_owner_that_is_refused_for_good_is_tried_for_by_who_has_a_record() {
    let refused = Standing::Waiting { claims: vec![2], has_record: true, refused: true };
    let found = judged(vec![claim(1, NEW, true)], Some((9, Some(refused.clone()))));
    assert_eq!(found, [(key(1), Annotation::After { owner: key(9), strict: false })]);
    let found = judged(vec![claim(1, NEW, false)], Some((9, Some(refused))));
    assert_eq!(found, [(key(1), Annotation::Waits { other: key(9) })]);
}

#[test]
fn the_record_of_an_absent_owner_is_taken_over() {
    let id: Option<Box<str>> = Some("7".into());
    for standing in [Standing::Removal { record_id: id.clone() }, Standing::Absent { record_id: id.clone() }] {
        let found = judged(vec![claim(1, NEW, false)], Some((9, Some(standing))));
        let takes = Annotation::TakesOver { from: key(9), record_id: id.clone() };
        assert_eq!(found, [(key(1), takes), (key(9), Annotation::TakenOver { by: key(1) })]);
    }
    let waits = judged(vec![claim(1, NEW, false)], Some((9, Some(Standing::WaitingRemoval))));
    assert_eq!(waits, [(key(1), Annotation::Waits { other: key(9) })]);
}

#[test]
fn a_claimant_with_its_own_record_takes_nothing_over() {
    let removal = Standing::Removal { record_id: Some("7".into()) };
    let found = judged(vec![claim(1, NEW, true)], Some((9, Some(removal))));
    assert_eq!(found, [(key(1), Annotation::After { owner: key(9), strict: false })]);
}

#[test]
fn a_record_that_living_keys_collide_over_is_not_removed() {
    let removal = Standing::Removal { record_id: None };
    let found = judged(vec![claim(1, NEW, false), claim(2, NEW, false)], Some((9, Some(removal.clone()))));
    let waits = (key(9), Annotation::Waits { other: key(1) });
    assert_eq!(found, [(key(1), invalid(NEW, &[2])), (key(2), invalid(NEW, &[1])), waits.clone()]);
    assert_eq!(judged(vec![claim(1, Was::Waiting, false)], Some((9, Some(removal)))), [waits]);
}

#[test]
fn at_most_five_others_are_named() {
    let found = judged((1..=6).map(|value| claim(value, NEW, false)).collect(), Some((9, None)));
    assert_eq!(found[0], (key(1), invalid(NEW, &[9, 2, 3, 4, 5])));
    assert_eq!(found[6], (key(9), invalid(Was::Unchanged, &[1, 2, 3, 4, 5])));
}
