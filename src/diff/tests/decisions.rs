//! One rule of the design a test.

use super::*;
use crate::{
    diff::{Decision, Planned, Row, WaitReason, decide},
    model::ChangeKind::{Added, Changed, Removed},
};

fn upsert(decision: Decision) -> Planned {
    match decision {
        Decision::Upsert(planned) => planned,
        other => panic!("an upsert was expected, got {other:?}"),
    }
}

fn removal(decision: Decision) -> Planned {
    match decision {
        Decision::Removal(planned) => planned,
        other => panic!("a removal was expected, got {other:?}"),
    }
}

fn late(until: i64) -> WaitReason {
    WaitReason::LateWindow { until: at(until) }
}

#[test]
fn clean_keys() {
    let delete = context(OnRemoved::Delete, 0);
    let held = Held { entry: Some(entry(1, Some("7"))), ..nothing_held() };
    let new = upsert(decide(Some(&row(1)), None, &delete));
    assert_eq!((new.kind, new.operation, new.counts_for_guard), (Added, Some(Operation::Upsert), true));
    assert_eq!(decide(Some(&row(1)), Some(&held), &delete), Decision::Unchanged);
    let changed = upsert(decide(Some(&row(2)), Some(&held), &delete));
    assert_eq!((changed.kind, changed.operation, changed.resend), (Changed, Some(Operation::Update), false));
    assert_eq!(changed.record_id.as_deref(), Some("7"));
    let gone = removal(decide(None, Some(&held), &delete));
    assert_eq!((gone.kind, gone.operation, gone.record_id.as_deref()), (Removed, Some(Operation::Delete), Some("7")));
    assert_eq!(removal(decide(None, Some(&held), &context(OnRemoved::Clear, 0))).operation, Some(Operation::Clear));
    assert_eq!(removal(decide(None, Some(&held), &context(OnRemoved::Keep, 0))).operation, None);
    let withheld = Context { removals_allowed: false, ..delete };
    assert_eq!(decide(None, Some(&held), &withheld), Decision::WaitingRemoval(WaitReason::Withheld));
}

#[test]
fn an_older_encoding_is_rewritten_and_sends_nothing() {
    let held = Held { entry: Some(entry(1, None)), ..nothing_held() };
    let same = Row { fingerprint: print(9), previous: Some(print(1)) };
    let other = Row { fingerprint: print(9), previous: Some(print(2)) };
    assert_eq!(decide(Some(&same), Some(&held), &context(OnRemoved::Keep, 0)), Decision::Rewrite);
    assert_eq!(upsert(decide(Some(&other), Some(&held), &context(OnRemoved::Keep, 0))).kind, Changed);
}

#[test]
fn a_tombstone_returns_as_added_under_its_id() {
    let tombstone = Entry { tombstone: true, ..entry(1, Some("7")) };
    let held = Held { entry: Some(tombstone), ..nothing_held() };
    let back = upsert(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Keep, 0)));
    assert_eq!((back.kind, back.operation, back.record_id.as_deref()), (Added, Some(Operation::Update), Some("7")));
    assert!(back.counts_for_guard);
    assert_eq!(decide(None, Some(&held), &context(OnRemoved::Delete, 0)), Decision::Nothing);
}

#[test]
fn a_to_b_to_a_after_a_crash_is_sent_again() {
    let open = mark(1, Operation::Upsert, Some(2), Some(100));
    let held = Held { entry: Some(entry(1, None)), dirty: vec![open], ..nothing_held() };
    let early = context(OnRemoved::Keep, 159);
    assert_eq!(decide(Some(&row(1)), Some(&held), &early), Decision::Waiting(late(160)));
    let back = upsert(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Keep, 160)));
    assert_eq!((back.kind, back.resend, back.counts_for_guard), (Changed, false, false));
    assert_eq!(back.loaded, [IntentId { batch: 1, position: 0 }]);
    let again = upsert(decide(Some(&row(2)), Some(&held), &early));
    assert_eq!((again.resend, again.counts_for_guard), (true, false));
    assert_eq!(again.reform.unwrap().key.idempotency, 1);
}

#[test]
fn a_dirty_key_with_new_data_counts_and_resync_does_not() {
    let held =
        Held { entry: Some(entry(1, None)), dirty: vec![mark(1, Operation::Upsert, Some(2), None)], ..nothing_held() };
    let keep = context(OnRemoved::Keep, 0);
    assert!(upsert(decide(Some(&row(3)), Some(&held), &keep)).counts_for_guard);
    let resync = Held { dirty: vec![mark(1, Operation::Upsert, None, None)], ..held };
    let again = upsert(decide(Some(&row(1)), Some(&resync), &keep));
    assert_eq!((again.kind, again.resend, again.counts_for_guard), (Changed, false, false));
}

#[test]
fn a_resync_makes_what_was_settled_before_it_dirty() {
    let after = |run| Context { resync_through: Some(RunId(run)), ..context(OnRemoved::Delete, 0) };
    let held = Held { entry: Some(entry(1, Some("7"))), ..nothing_held() };
    // The entry is of run 1: a resync that was asked for before that run does not concern it.
    assert_eq!(decide(Some(&row(1)), Some(&held), &after(0)), Decision::Unchanged);
    let again = upsert(decide(Some(&row(1)), Some(&held), &after(1)));
    assert_eq!((again.kind, again.resend, again.counts_for_guard), (Changed, false, false));
    assert_eq!((again.operation, again.record_id.as_deref()), (Some(Operation::Update), Some("7")), "ids are kept");
    assert!(upsert(decide(Some(&row(2)), Some(&held), &after(1))).counts_for_guard, "new data still counts");
    // Absence is judged as ever.
    assert_eq!(removal(decide(None, Some(&held), &after(1))).operation, Some(Operation::Delete));
    let tombstone = Held { entry: Some(Entry { tombstone: true, ..entry(1, None) }), ..nothing_held() };
    assert_eq!(decide(None, Some(&tombstone), &after(1)), Decision::Nothing);
    // The same record may follow an unanswered send of it, another one must wait, and a reject stands.
    let quiet = Held { quiet_until: Some(at(100)), ..held.clone() };
    upsert(decide(Some(&row(1)), Some(&quiet), &after(1)));
    assert_eq!(decide(Some(&row(2)), Some(&quiet), &after(1)), Decision::Waiting(late(100)));
    let rejected = Held { rejected: Some(reject(Operation::Update, Some(1), "x", Some(50))), ..held };
    let wait = WaitReason::Rejected { until: Some(at(50)) };
    assert_eq!(decide(Some(&row(1)), Some(&rejected), &after(1)), Decision::Waiting(wait));
}

#[test]
fn every_unexpired_mark_must_agree() {
    let dirty = vec![mark(1, Operation::Upsert, Some(1), Some(100)), mark(2, Operation::Upsert, Some(2), Some(130))];
    let held = Held { dirty, ..nothing_held() };
    for value in [1, 2, 3] {
        let wait = if value == 2 { 160 } else { 190 };
        let decision = decide(Some(&row(value)), Some(&held), &context(OnRemoved::Delete, 150));
        assert_eq!(decision, Decision::Waiting(late(wait)), "{value}");
    }
    assert!(upsert(decide(Some(&row(2)), Some(&held), &context(OnRemoved::Delete, 160))).resend);
    assert_eq!(decide(None, Some(&held), &context(OnRemoved::Delete, 150)), Decision::WaitingRemoval(late(190)));
}

#[test]
fn a_row_that_is_back_waits_for_its_removal_and_the_reverse() {
    let dirty = vec![mark(1, Operation::Delete, None, Some(100))];
    let held = Held { entry: Some(entry(1, Some("7"))), dirty, ..nothing_held() };
    assert_eq!(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Delete, 150)), Decision::Waiting(late(160)));
    let back = upsert(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Delete, 160)));
    assert_eq!((back.kind, back.operation), (Changed, Some(Operation::Update)));
    let again = removal(decide(None, Some(&held), &context(OnRemoved::Delete, 150)));
    assert_eq!((again.resend, again.counts_for_guard), (true, true));
    let otherwise = decide(None, Some(&held), &context(OnRemoved::Clear, 150));
    assert_eq!(otherwise, Decision::WaitingRemoval(late(160)));
}

#[test]
fn a_quiet_key_lets_only_its_entry_through() {
    let held = Held { entry: Some(entry(1, None)), quiet_until: Some(at(100)), ..nothing_held() };
    let (early, later) = (context(OnRemoved::Delete, 99), context(OnRemoved::Delete, 100));
    assert_eq!(decide(Some(&row(1)), Some(&held), &early), Decision::Unchanged);
    assert_eq!(decide(Some(&row(2)), Some(&held), &early), Decision::Waiting(late(100)));
    assert_eq!(decide(None, Some(&held), &early), Decision::WaitingRemoval(late(100)));
    assert_eq!(upsert(decide(Some(&row(2)), Some(&held), &later)).kind, Changed);
    let removed = Held { entry: None, ..held };
    assert_eq!(decide(Some(&row(1)), Some(&removed), &early), Decision::Waiting(late(100)));
    assert_eq!(decide(None, Some(&removed), &early), Decision::Nothing);
}

#[test]
fn rejects_stand_for_the_same_record_only() {
    let held = |next: Option<i64>, code: &str| Held {
        entry: Some(entry(1, None)),
        dirty: vec![mark(1, Operation::Upsert, Some(2), None)],
        rejected: Some(reject(Operation::Upsert, Some(2), code, next)),
        ..nothing_held()
    };
    let keep = context(OnRemoved::Keep, 50);
    let until = |until: Option<i64>| Decision::Waiting(WaitReason::Rejected { until: until.map(at) });
    assert_eq!(decide(Some(&row(2)), Some(&held(Some(51), "X")), &keep), until(Some(51)));
    assert_eq!(decide(Some(&row(2)), Some(&held(None, "X")), &keep), until(None));
    assert!(!upsert(decide(Some(&row(2)), Some(&held(Some(50), "X")), &keep)).counts_for_guard);
    assert!(upsert(decide(Some(&row(3)), Some(&held(None, "X")), &keep)).counts_for_guard);
    assert_eq!(upsert(decide(Some(&row(1)), Some(&held(None, "X")), &keep)).kind, Changed);
    assert_eq!(decide(Some(&row(2)), Some(&held(None, "conflict")), &keep), Decision::Waiting(WaitReason::Conflict));
    let freed = Context { last_removal: Some(at(10)), ..keep };
    assert!(upsert(decide(Some(&row(2)), Some(&held(None, "conflict")), &freed)).resend);
    let never_sent = Held { entry: None, dirty: Vec::new(), ..held(None, "X") };
    assert_eq!(decide(Some(&row(2)), Some(&never_sent), &keep), until(None));
}

#[test]
fn a_refused_removal_waits_for_its_backoff() {
    let held = |next| Held {
        entry: Some(entry(1, None)),
        dirty: vec![mark(1, Operation::Delete, None, None)],
        rejected: Some(reject(Operation::Delete, None, "X", next)),
        ..nothing_held()
    };
    let delete = context(OnRemoved::Delete, 50);
    let waits = Decision::WaitingRemoval(WaitReason::Rejected { until: Some(at(60)) });
    assert_eq!(decide(None, Some(&held(Some(60))), &delete), waits);
    assert!(removal(decide(None, Some(&held(Some(50))), &delete)).counts_for_guard);
    assert_eq!(upsert(decide(Some(&row(1)), Some(&held(None)), &delete)).kind, Changed);
}

#[test]
fn a_removal_forms_its_batch_again_only_for_the_same_record() {
    let formed = |operation, id: &str| {
        let sent = DirtyMark { record_id: Some(id.into()), ..mark(1, operation, None, None) };
        let held = Held { entry: Some(entry(1, Some("7"))), dirty: vec![sent], ..nothing_held() };
        removal(decide(None, Some(&held), &context(OnRemoved::Delete, 0))).reform.map(|reform| reform.intent.batch)
    };
    assert_eq!(formed(Operation::Delete, "7"), Some(1));
    assert_eq!((formed(Operation::Delete, "8"), formed(Operation::Update, "7")), (None, None));
}

#[test]
fn what_is_planned_shows_neither_record_id_nor_match_value_when_debugged() {
    let sealed = DirtyMark { sealed_match: Some(Box::from(*b"canary")), ..mark(1, Operation::Upsert, None, Some(0)) };
    let known = DirtyMark { record_id: Some("canary".into()), ..mark(2, Operation::Update, None, Some(0)) };
    for dirty in [sealed, known] {
        let held = Held { dirty: vec![dirty], ..nothing_held() };
        let text = format!("{:?}", upsert(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Keep, 100))));
        assert!(text.contains("kind: Added") && text.contains("find_first: ") && !text.contains("canary"), "{text}");
    }
}

#[test]
fn an_insert_that_vanished_is_found_and_removed() {
    let sealed: Box<[u8]> = Box::new(*b"sealed");
    let open = DirtyMark { sealed_match: Some(sealed.clone()), ..mark(1, Operation::Upsert, Some(1), Some(100)) };
    let held = Held { dirty: vec![open], ..nothing_held() };
    assert_eq!(decide(None, Some(&held), &context(OnRemoved::Delete, 159)), Decision::WaitingRemoval(late(160)));
    let gone = removal(decide(None, Some(&held), &context(OnRemoved::Delete, 160)));
    assert_eq!((gone.kind, gone.find_first.as_slice()), (Removed, [sealed.clone()].as_slice()));
    let kept = removal(decide(None, Some(&held), &context(OnRemoved::Keep, 160)));
    assert_eq!((kept.operation, kept.loaded.len(), kept.find_first.len()), (None, 1, 0));
    let renamed = upsert(decide(Some(&row(2)), Some(&held), &context(OnRemoved::Delete, 160)));
    assert_eq!((renamed.kind, renamed.operation), (Added, Some(Operation::Upsert)));
    assert_eq!(renamed.find_first, [sealed]);
    assert!(upsert(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Delete, 160))).find_first.is_empty());
}

#[test]
fn an_id_at_which_nothing_stood_gives_way_to_the_match_value_that_was_sent_next() {
    let sealed: Box<[u8]> = Box::new(*b"sealed");
    let by_id = DirtyMark { record_id: Some("7".into()), ..mark(1, Operation::Update, Some(2), None) };
    let by_match = DirtyMark { sealed_match: Some(sealed.clone()), ..mark(2, Operation::Upsert, Some(2), Some(100)) };
    let held = Held { entry: Some(entry(1, Some("7"))), dirty: vec![by_id, by_match], ..nothing_held() };
    let delete = context(OnRemoved::Delete, 160);
    let back = upsert(decide(Some(&row(1)), Some(&held), &delete));
    assert_eq!((back.operation, back.record_id, back.id_from_mark), (Some(Operation::Upsert), None, false));
    assert_eq!(back.find_first.as_slice(), std::slice::from_ref(&sealed));
    let same = upsert(decide(Some(&row(2)), Some(&held), &delete));
    assert_eq!((same.operation, same.record_id, same.find_first.len()), (Some(Operation::Upsert), None, 0));
    let gone = removal(decide(None, Some(&held), &delete));
    assert_eq!((gone.record_id, gone.find_first), (None, vec![sealed]));
    // What was found by that value was sent to next: it is the record.
    let found = DirtyMark { record_id: Some("8".into()), ..mark(3, Operation::Update, Some(2), Some(100)) };
    let again = Held { dirty: held.dirty.iter().cloned().chain([found]).collect(), ..held.clone() };
    let moved = upsert(decide(Some(&row(1)), Some(&again), &delete));
    assert_eq!((moved.record_id.as_deref(), moved.id_from_mark), (Some("8"), true));
    assert_eq!(removal(decide(None, Some(&again), &delete)).record_id.as_deref(), Some("8"));
    // Answered, it made nothing.
    let refused = Held {
        dirty: held.dirty.iter().cloned().map(|mark| DirtyMark { ambiguous_at: None, ..mark }).collect(),
        ..held
    };
    assert_eq!(removal(decide(None, Some(&refused), &delete)).record_id.as_deref(), Some("7"));
}

#[test]
fn an_insert_without_effect_is_forgotten() {
    let loaded = vec![IntentId { batch: 1, position: 0 }];
    let refused = Held {
        dirty: vec![mark(1, Operation::Upsert, Some(1), None)],
        rejected: Some(reject(Operation::Upsert, Some(1), "X", None)),
        ..nothing_held()
    };
    let delete = context(OnRemoved::Delete, 0);
    assert_eq!(decide(None, Some(&refused), &delete), Decision::Forget { loaded });
    let never_sent = Held { dirty: Vec::new(), ..refused };
    assert_eq!(decide(None, Some(&never_sent), &delete), Decision::Forget { loaded: Vec::new() });
    assert_eq!(decide(None, Some(&nothing_held()), &delete), Decision::Nothing);
}

#[test]
fn the_newest_known_id_is_the_address() {
    let dirty = vec![
        DirtyMark { record_id: Some("5".into()), ..mark(1, Operation::Update, Some(1), None) },
        DirtyMark { record_id: Some("6".into()), ..mark(2, Operation::Update, Some(1), None) },
    ];
    let held = Held { dirty, ..nothing_held() };
    let planned = upsert(decide(Some(&row(1)), Some(&held), &context(OnRemoved::Keep, 0)));
    assert_eq!((planned.record_id.as_deref(), planned.reform.unwrap().intent.batch), (Some("6"), 2));
    assert!(planned.id_from_mark);
    let owned = Held { entry: Some(entry(9, Some("4"))), ..held };
    let planned = upsert(decide(Some(&row(1)), Some(&owned), &context(OnRemoved::Keep, 0)));
    assert_eq!((planned.record_id.as_deref(), planned.reform), (Some("4"), None));
    assert!(!planned.id_from_mark);
}
