//! Target of the fuzzer: what a run spools. There are no saved plans yet: nothing of this outlives its run.

use super::{LocalEnd, PlanRow, codec};
use crate::{
    diff::{Annotation, Claim, Group, Planned, Reform, Standing, Was},
    model::{BatchKey, ChangeKind, Entry, Fingerprint, IntentId, Key, Operation, RunId, Timestamp},
    proof::Target,
};

pub(crate) const FUZZ_TARGETS: &[Target] = &[Target::new("plan", run, seeds)];

/// What can be taken comes back when it is put again.
fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => again(bytes, codec::take_row, codec::put_row),
        1 => again(bytes, codec::take_local, codec::put_local),
        2 => again(bytes, codec::take_standing, |(key, standing), out| codec::put_standing(key, standing, out)),
        3 => again(bytes, codec::take_claim, |(hash, claim), out| codec::put_claim(*hash, claim, out)),
        4 => again(bytes, codec::take_question, |(owner, group), out| codec::put_question(owner, group, out)),
        _ => again(bytes, codec::take_annotation, |(key, annotation), out| {
            codec::put_annotation(key, annotation, out);
        }),
    }
}

fn again<T: PartialEq>(bytes: &[u8], take: fn(&[u8]) -> Option<T>, put: fn(&T, &mut Vec<u8>)) {
    let Some(taken) = take(bytes) else { return };
    let mut out = Vec::new();
    put(&taken, &mut out);
    assert!(take(&out).is_some_and(|again| again == taken), "put and taken, it is another");
}

fn seed<T>(kind: u8, value: &T, put: impl Fn(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![kind];
    put(value, &mut out);
    out
}

fn seeds() -> Vec<Vec<u8>> {
    let key = Key::from_encoded(&[0x15, 0, 7]);
    let claim = Claim { key: key.clone(), was: Was::Planned(ChangeKind::Added), has_record: true };
    let group = Group { hash: 7, claims: vec![claim.clone(), claim.clone()], owner: None };
    let standing = Standing::Planned { kind: ChangeKind::Changed, claims: vec![1, 2], has_record: true };
    let annotation = Annotation::Invalid { was: Was::Unchanged, others: vec![key.clone(), key.clone()] };
    let entry = entry();
    let end =
        LocalEnd { key: key.clone(), loaded: vec![IntentId { batch: 1, position: 2 }], entry: Some(entry.clone()) };
    vec![
        seed(0, &row(&key, entry), codec::put_row),
        seed(1, &end, codec::put_local),
        seed(2, &standing, |standing, out| codec::put_standing(&key, standing, out)),
        seed(3, &claim, |claim, out| codec::put_claim(9, claim, out)),
        seed(4, &group, |group, out| codec::put_question(&key, group, out)),
        seed(5, &annotation, |annotation, out| codec::put_annotation(&key, annotation, out)),
    ]
}

fn entry() -> Entry {
    Entry {
        fingerprint: Fingerprint::from_bytes([1; 16]),
        encoding: 1,
        run: RunId(7),
        tombstone: false,
        match_hash: Some(5),
        record_id: Some("501".into()),
        cursor: Some(-1),
    }
}

fn row(key: &Key, entry: Entry) -> PlanRow {
    let intent = IntentId { batch: 5, position: 6 };
    PlanRow {
        key: key.clone(),
        planned: Planned {
            kind: ChangeKind::Changed,
            operation: Some(Operation::Upsert),
            resend: true,
            counts_for_guard: true,
            loaded: vec![intent],
            record_id: Some("501".into()),
            id_from_mark: true,
            find_first: vec![vec![1, 2].into()],
            unanswered: Some(Fingerprint::from_bytes([2; 16])),
            reform: Some(Reform { intent, key: BatchKey { idempotency: 1, members: 2 } }),
        },
        fingerprint: Some(Fingerprint::from_bytes([3; 16])),
        claims: vec![7],
        record: vec![1, b'a', 0],
        entry: Some(entry),
        rejected_before: 2,
        remapped: true,
        ambiguous_at: Some(Timestamp::from_micros(1)),
        cursor: Some(2),
        refusals: 3,
    }
}
