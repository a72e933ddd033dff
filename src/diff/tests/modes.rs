//! What modes `insert`, `update` and `append` decide.

use proptest::prelude::*;

use super::*;
use crate::diff::{Decision, Planned, Row, WaitReason, decide};

fn of(mode: Mode, now: i64) -> Context {
    Context { mode, ..context(OnRemoved::Keep, now) }
}

fn planned(decision: Decision) -> Planned {
    match decision {
        Decision::Upsert(planned) => planned,
        other => panic!("not planned: {other:?}"),
    }
}

fn place(place: i64) -> Entry {
    Entry { cursor: Some(place), ..entry(1, None) }
}

#[test]
fn a_new_key_is_inserted_updated_or_appended() {
    for (mode, operation) in [
        (Mode::Insert, Operation::Insert),
        (Mode::Append, Operation::Insert),
        (Mode::Update, Operation::Update),
        (Mode::Upsert, Operation::Upsert),
    ] {
        let decision = decide(Some(&row(1)), None, &of(mode, 0));
        assert_eq!(planned(decision).operation, Some(operation), "{mode:?}");
    }
}

#[test]
fn a_created_record_is_never_touched_again() {
    for mode in [Mode::Insert, Mode::Append] {
        let held = Held { entry: Some(entry(1, None)), ..nothing_held() };
        assert_eq!(decide(Some(&row(2)), Some(&held), &of(mode, 0)), Decision::Unchanged);
        let back = Held { entry: Some(Entry { tombstone: true, ..entry(1, None) }), ..nothing_held() };
        assert_eq!(decide(Some(&row(2)), Some(&back), &of(mode, 0)), Decision::Stands { loaded: Vec::new() });
        let marked = Held { dirty: vec![mark(7, Operation::Insert, Some(1), None)], ..held };
        let loaded = vec![IntentId { batch: 7, position: 0 }];
        assert_eq!(decide(Some(&row(2)), Some(&marked), &of(mode, 0)), Decision::Stands { loaded });
    }
}

/// A -> B under `upsert` without an answer, then `insert`, then `upsert` with A: the record may hold B.
#[test]
fn what_another_mode_left_in_doubt_outlives_modes_that_create_once() {
    let dirty = vec![mark(7, Operation::Upsert, Some(2), Some(10))];
    let held = Held { entry: Some(entry(1, None)), dirty, ..nothing_held() };
    for mode in [Mode::Insert, Mode::Append] {
        assert_eq!(decide(Some(&row(1)), Some(&held), &of(mode, 100)), Decision::Unchanged);
        let mut both = held.clone();
        both.dirty.push(mark(8, Operation::Insert, Some(1), None));
        let loaded = vec![IntentId { batch: 8, position: 0 }];
        assert_eq!(decide(Some(&row(1)), Some(&both), &of(mode, 100)), Decision::Stands { loaded });
    }
    planned(decide(Some(&row(1)), Some(&held), &of(Mode::Upsert, 100)));
}

#[test]
fn an_unanswered_insert_is_looked_for_also_when_it_is_the_same() {
    let mark = DirtyMark { sealed_match: Some(Box::from(*b"m")), ..mark(7, Operation::Insert, Some(1), Some(10)) };
    let held = Held { dirty: vec![mark], ..nothing_held() };
    let same = planned(decide(Some(&row(1)), Some(&held), &of(Mode::Insert, 20)));
    assert_eq!((same.resend, same.counts_for_guard, same.find_first.len()), (true, false, 1));
    assert_eq!((same.unanswered, same.reform.map(|reform| reform.key.members)), (Some(print(1)), Some(2)));
    let waits = decide(Some(&row(2)), Some(&held), &of(Mode::Insert, 20));
    assert_eq!(waits, Decision::Waiting(WaitReason::LateWindow { until: at(70) }));
    let changed = planned(decide(Some(&row(2)), Some(&held), &of(Mode::Insert, 70)));
    assert_eq!((changed.resend, changed.unanswered, changed.find_first.len()), (false, Some(print(1)), 1));
}

#[test]
fn only_an_insert_of_the_same_record_forms_its_batch_again() {
    let formed = |operation, sent| {
        let held = Held { dirty: vec![mark(7, operation, Some(sent), Some(10))], ..nothing_held() };
        planned(decide(Some(&row(1)), Some(&held), &of(Mode::Insert, 1_000))).reform.map(|reform| reform.intent.batch)
    };
    assert_eq!(formed(Operation::Insert, 1), Some(7));
    assert_eq!((formed(Operation::Insert, 2), formed(Operation::Upsert, 1)), (None, None));
}

#[test]
fn an_answered_insert_or_an_unanswered_removal_made_nothing() {
    for (operation, ambiguous) in [(Operation::Insert, None), (Operation::Clear, Some(10))] {
        let held = Held { dirty: vec![mark(7, operation, Some(2), ambiguous)], ..nothing_held() };
        assert_eq!(planned(decide(Some(&row(1)), Some(&held), &of(Mode::Insert, 1_000))).unanswered, None);
    }
}

#[test]
fn a_record_that_exists_is_tried_again_only_when_the_row_changes() {
    let held = Held { rejected: Some(reject(Operation::Insert, Some(1), "exists", None)), ..nothing_held() };
    let waits = decide(Some(&row(1)), Some(&held), &of(Mode::Insert, 1_000_000));
    assert_eq!(waits, Decision::Waiting(WaitReason::Rejected { until: None }));
    assert!(planned(decide(Some(&row(2)), Some(&held), &of(Mode::Insert, 20))).counts_for_guard);
}

#[test]
fn an_update_is_addressed_by_id_or_match_and_never_creates() {
    let held = Held { entry: Some(entry(1, Some("r"))), ..nothing_held() };
    let change = planned(decide(Some(&row(2)), Some(&held), &of(Mode::Update, 0)));
    assert_eq!((change.operation, change.record_id.as_deref()), (Some(Operation::Update), Some("r")));
    let unknown = Held { dirty: vec![mark(7, Operation::Update, Some(2), Some(0))], ..nothing_held() };
    assert_eq!(
        planned(decide(Some(&row(2)), Some(&unknown), &of(Mode::Update, 10))).operation,
        Some(Operation::Update)
    );
}

#[test]
fn an_event_is_forgotten_once_no_read_can_hold_it() {
    let decide_at = |entry: Option<Entry>, from: Option<i64>| {
        decide(None, Some(&Held { entry, ..nothing_held() }), &Context { read_from: from, ..of(Mode::Append, 0) })
    };
    assert_eq!(decide_at(Some(place(5)), Some(6)), Decision::Forget { loaded: Vec::new() });
    assert_eq!(decide_at(Some(place(5)), Some(5)), Decision::Nothing);
    assert_eq!(decide_at(Some(place(5)), None), Decision::Nothing);
    assert_eq!(decide_at(Some(entry(1, None)), None), Decision::Forget { loaded: Vec::new() });
}

#[test]
fn a_refused_event_stays_listed_and_a_vanished_one_is_let_go_after_the_late_window() {
    let dirty = vec![mark(7, Operation::Insert, Some(1), Some(10))];
    let vanished = Held { dirty: dirty.clone(), ..nothing_held() };
    assert_eq!(decide(None, Some(&vanished), &of(Mode::Append, 20)), Decision::Nothing);
    assert!(matches!(decide(None, Some(&vanished), &of(Mode::Append, 70)), Decision::Forget { .. }));
    let rejected = Some(reject(Operation::Insert, Some(1), "bad", Some(15)));
    let refused = Held { dirty, rejected, ..nothing_held() };
    assert_eq!(decide(None, Some(&refused), &of(Mode::Append, 1_000)), Decision::Nothing);
}

fn marks() -> impl Strategy<Value = Vec<DirtyMark>> {
    let one = (1..20_i64, 0..3_u8, proptest::option::of(0..200_i64), any::<bool>());
    proptest::collection::vec(one, 0..4).prop_map(|marks| {
        let made = |(batch, sent, ambiguous, sealed): (i64, u8, Option<i64>, bool)| DirtyMark {
            sealed_match: sealed.then(|| Box::from(*b"m")),
            ..mark(batch, Operation::Insert, Some(sent), ambiguous)
        };
        marks.into_iter().map(made).collect()
    })
}

fn held() -> impl Strategy<Value = Held> {
    let entries = proptest::option::of((0..3_u8, any::<bool>(), proptest::option::of(0..100_i64)));
    let rejects = proptest::option::of((0..3_u8, proptest::option::of(0..200_i64)));
    (entries, marks(), rejects).prop_map(|(held, dirty, rejected)| Held {
        entry: held.map(|(value, tombstone, cursor)| Entry { tombstone, cursor, ..entry(value, None) }),
        dirty,
        rejected: rejected.map(|(value, next)| reject(Operation::Insert, Some(value), "bad", next)),
        ..nothing_held()
    })
}

proptest! {
    /// Whatever the state holds: what was created is never sent again, and while another form of it may still arrive, only
    /// that form may follow.
    #[test]
    fn nothing_is_created_twice(held in held(), value in 0..3_u8, now in 0..300_i64, append in any::<bool>()) {
        let mode = if append { Mode::Append } else { Mode::Insert };
        let late = |mark: &DirtyMark| mark.ambiguous_at.is_some_and(|sent| sent + LATE > at(now));
        match decide(Some(&row(value)), Some(&held), &of(mode, now)) {
            Decision::Unchanged => prop_assert!(held.entry.is_some() && held.dirty.is_empty()),
            Decision::Stands { loaded } => {
                prop_assert!(held.entry.is_some());
                prop_assert_eq!(loaded.len(), held.dirty.len());
            }
            Decision::Upsert(planned) => {
                prop_assert!(held.entry.is_none());
                prop_assert_eq!(planned.operation, Some(Operation::Insert));
                prop_assert_eq!(planned.record_id, None);
                let others = held.dirty.iter().filter(|mark| mark.fingerprint != Some(print(value)));
                prop_assert!(!others.into_iter().any(late));
                let in_doubt = held.dirty.iter().filter(|mark| mark.ambiguous_at.is_some());
                prop_assert_eq!(planned.find_first.len(), in_doubt.filter(|mark| mark.sealed_match.is_some()).count());
            }
            Decision::Waiting(_) => prop_assert!(held.entry.is_none()),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Nothing is ever removed, and nothing that a later read may hold is forgotten.
    #[test]
    fn append_removes_nothing(held in held(), from in proptest::option::of(0..100_i64), now in 0..300_i64) {
        match decide(None, Some(&held), &Context { read_from: from, ..of(Mode::Append, now) }) {
            Decision::Nothing => {}
            Decision::Forget { .. } => {
                let place = held.entry.as_ref().and_then(|entry| entry.cursor);
                prop_assert!(place.is_none_or(|place| from.is_some_and(|from| place < from)));
                prop_assert!(held.entry.is_some() || held.rejected.is_none());
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Mode `update` sends nothing but updates for present rows, whatever the state holds.
    #[test]
    fn update_never_creates(mut held in held(), value in 0..3_u8, now in 0..300_i64) {
        held.dirty.iter_mut().for_each(|mark| mark.operation = Operation::Update);
        if let Decision::Upsert(planned) = decide(Some(&Row { ..row(value) }), Some(&held), &of(Mode::Update, now)) {
            prop_assert_eq!(planned.operation, Some(Operation::Update));
        }
    }
}
