use proptest::prelude::*;

use super::{key, plan_row};
use crate::{
    diff::{Planned, Reform, Standing},
    model::{BatchKey, ChangeKind, Entry, Fingerprint, IntentId, Key, Operation, RunId, Timestamp},
    plan::{ApprovedWriter, LocalEnd, LocalWriter, OwnershipBuilder, Plan, PlanRow, PlanWriter, codec},
};

fn kinds() -> impl Strategy<Value = ChangeKind> {
    prop_oneof![Just(ChangeKind::Added), Just(ChangeKind::Changed), Just(ChangeKind::Removed)]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40)
}

fn intents() -> impl Strategy<Value = IntentId> {
    any::<(i64, u32)>().prop_map(|(batch, position)| IntentId { batch, position })
}

prop_compose! {
    fn planned()(
        kind in kinds(),
        operation in proptest::option::of((0_u8..5).prop_map(|code| Operation::from_code(code).unwrap())),
        (resend, counts_for_guard, id_from_mark) in any::<(bool, bool, bool)>(),
        loaded in proptest::collection::vec(intents(), 0..4),
        record_id in proptest::option::of("[a-zä0-9]{0,9}"),
        find_first in proptest::collection::vec(bytes(), 0..3),
        reform in proptest::option::of((intents(), any::<u128>(), any::<u32>())),
    ) -> Planned {
        Planned {
            kind, operation, resend, counts_for_guard, id_from_mark, loaded,
            record_id: record_id.map(Into::into),
            find_first: find_first.into_iter().map(Into::into).collect(),
            unanswered: None,
            reform: reform.map(|(intent, idempotency, members)| Reform { intent, key: BatchKey { idempotency, members } }),
        }
    }
}

prop_compose! {
    fn entries()(print in any::<[u8; 16]>(), encoding in any::<u8>(), run in any::<i64>(), tombstone in any::<bool>(), id in proptest::option::of("[a-z]{0,9}"), match_hash in proptest::option::of(any::<u64>()), cursor in proptest::option::of(any::<i64>())) -> Entry {
        Entry { fingerprint: Fingerprint::from_bytes(print), encoding, run: RunId(run), tombstone, record_id: id.map(Into::into), match_hash, cursor }
    }
}

prop_compose! {
    fn rows()(key in bytes(), planned in planned(), print in proptest::option::of(any::<[u8; 16]>()), claims in proptest::collection::vec(any::<u64>(), 0..3), record in bytes(), entry in proptest::option::of(entries()), rejected_before in any::<u32>(), remapped in any::<bool>(), ambiguous in proptest::option::of(any::<i64>()), cursor in proptest::option::of(any::<i64>()), (refusals, unanswered) in (0..u64::MAX / 2, proptest::option::of(any::<[u8; 16]>()))) -> PlanRow {
        let planned = Planned { unanswered: unanswered.map(Fingerprint::from_bytes), ..planned };
        PlanRow { cursor, refusals, key: Key::from_encoded(&key), planned, fingerprint: print.map(Fingerprint::from_bytes), claims, record, entry, rejected_before, remapped, ambiguous_at: ambiguous.map(Timestamp::from_micros) }
    }
}

proptest! {
    #[test]
    fn rows_come_back_and_cut_rows_are_refused(row in rows()) {
        let mut bytes = Vec::new();
        codec::put_row(&row, &mut bytes);
        prop_assert_eq!(codec::take_row(&bytes), Some(row));
        for end in 0..bytes.len() {
            prop_assert_eq!(codec::take_row(&bytes[..end]), None);
        }
    }

    #[test]
    fn local_ends_come_back(key in bytes(), loaded in proptest::collection::vec((any::<i64>(), any::<u32>()), 0..3), entry in proptest::option::of(entries())) {
        let loaded = loaded.into_iter().map(|(batch, position)| IntentId { batch, position }).collect();
        let end = LocalEnd { key: Key::from_encoded(&key), loaded, entry };
        let mut writer = LocalWriter::new(std::path::Path::new("/nowhere"));
        writer.push(&end).unwrap();
        let ends = writer.finish().unwrap();
        let mut reader = ends.reader();
        prop_assert_eq!(reader.next().unwrap(), Some(end));
        prop_assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in bytes()) {
        let _ = codec::take_row(&bytes);
        let _ = codec::take_local(&bytes);
        let _ = codec::take_standing(&bytes);
        let _ = codec::take_claim(&bytes);
        let _ = codec::take_question(&bytes);
        let _ = codec::take_annotation(&bytes);
    }

    #[test]
    fn questions_sort_as_their_owners(a in bytes(), b in bytes(), tail in any::<u64>()) {
        let encode = |key: &[u8], hash| {
            let mut out = Vec::new();
            let group = crate::diff::Group { hash, claims: Vec::new(), owner: None };
            codec::put_question(&Key::from_encoded(key), &group, &mut out);
            out
        };
        let (x, y) = (encode(&a, tail), encode(&b, !tail));
        if a != b {
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
        prop_assert_eq!(codec::take_question(&x).unwrap().0, Key::from_encoded(&a));
    }
}

#[test]
fn approvals_and_ownership_decide_what_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PlanWriter::new(dir.path());
    let mut owners = OwnershipBuilder::new(dir.path());
    for value in 0..10 {
        let kind = [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed][usize::from(value % 3)];
        writer.push(&plan_row(key(value), kind, value != 4)).unwrap();
        let standing = match kind {
            ChangeKind::Removed => Standing::Removal { record_id: None },
            // Keys 0 and 9 claim the same value.
            kind => Standing::Planned { kind, claims: vec![u64::from(value % 9)], has_record: false },
        };
        owners.note(&key(value), &standing).unwrap();
    }
    let mut approved = ApprovedWriter::new(dir.path());
    for (value, kind) in
        [(1, ChangeKind::Added), (2, ChangeKind::Removed), (2, ChangeKind::Added), (7, ChangeKind::Changed)]
    {
        approved.push(&key(value), kind).unwrap();
    }
    let mut plan = writer.finish().unwrap();
    plan.annotate(owners.finish().unwrap().finish().unwrap());
    plan.approve(approved.finish(false).unwrap());
    // Out of the plan: 0 and 9. Not judged besides: the approved 2 and 7, and the re-sent 4.
    assert_eq!(judged(&plan), [1, 3, 5, 6, 8]);
    plan.approve(ApprovedWriter::new(dir.path()).finish(true).unwrap());
    assert_eq!(judged(&plan), [1, 2, 5, 7, 8]);
}

fn judged(plan: &Plan) -> Vec<u8> {
    let mut judged = Vec::new();
    for mut reader in [plan.upserts(), plan.removals()] {
        while let Some(item) = reader.next().unwrap() {
            if item.is_planned() && item.row.planned.counts_for_guard && !item.approved {
                judged.extend((0..10).find(|value| key(*value) == item.row.key));
            }
        }
    }
    judged.sort_unstable();
    judged
}
