//! One record, one owner: takeovers, collisions, second claims, and removals that must not hit a living key's record.

use super::{Kit, Row, Step, advance, answered, row, rows, settling::standing_rejects};
use crate::{
    destination::{Outcome, Rejection},
    model::{Operation, spec::OnRemoved},
    state::RunStatus,
    wire::VendorText,
};

#[tokio::test]
async fn a_new_key_takes_over_the_record_of_one_that_left() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    let report = kit.run_ok(&[row(2, "1@x", "b")]).await;
    assert_eq!((report.counts.delivered, report.counts.skipped), (1, 1));
    kit.converges(&[row(2, "1@x", "b")]).await;
    assert!(kit.vendor.calls().iter().all(|call| call.operation != crate::model::Operation::Delete));
}

#[tokio::test]
async fn a_held_removal_does_not_hit_the_record_that_was_taken_over() {
    let kit = Kit::with(100, |sync| sync.guard.max_added = 100.0).await;
    kit.run_ok(&rows(0..400, "a")).await;
    // 150 rows get new keys: their removal is held, but their records are taken over, which leaves nothing to remove.
    let moved =
        |id: i64| if id < 150 { row(id + 1_000, &format!("{id}@x"), "a") } else { row(id, &format!("{id}@x"), "a") };
    let model: Vec<_> = (0..400).map(moved).collect();
    let report = kit.run(&model).await;
    assert_eq!((report.status, report.counts.guarded, report.counts.delivered), (RunStatus::Guarded, 150, 150));
    let report = kit.run_ok(&model).await;
    assert_eq!((report.counts.removed, report.counts.skipped), (0, 0));
    kit.converges(&model).await;
}

#[tokio::test]
async fn a_record_that_was_taken_over_goes_with_its_new_owner() {
    let kit = Kit::with(100, |sync| sync.guard.max_added = 100.0).await;
    kit.run_ok(&rows(0..400, "a")).await;
    let moved =
        |id: i64| if id < 150 { row(id + 1_000, &format!("{id}@x"), "a") } else { row(id, &format!("{id}@x"), "a") };
    let report = kit.run(&(0..400).map(moved).collect::<Vec<_>>()).await;
    assert_eq!(report.counts.guarded, 150);
    let left = rows(150..400, "a");
    let report = kit.run(&left).await;
    kit.engine.approve(report.run.unwrap()).await.unwrap();
    let report = kit.run_ok(&left).await;
    assert_eq!((report.counts.skipped, report.counts.delivered), (0, 150));
    kit.converges(&left).await;
}

#[tokio::test]
async fn a_kept_record_is_taken_over_by_a_new_key() {
    let kit = Kit::with(10, |sync| sync.on_removed = OnRemoved::Keep).await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    assert_eq!(kit.run_ok(&[]).await.counts.skipped, 1);
    assert_eq!(kit.run_ok(&[row(2, "1@x", "b")]).await.counts.delivered, 1);
    kit.converges(&[row(2, "1@x", "b")]).await;
}

#[tokio::test]
async fn a_kept_key_returns_to_its_record() {
    let kit = Kit::with(10, |sync| sync.on_removed = OnRemoved::Keep).await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.run_ok(&[]).await;
    let report = kit.run_ok(&[row(1, "new@x", "b")]).await;
    assert_eq!((report.counts.added, report.counts.delivered), (1, 1));
    kit.converges(&[row(1, "new@x", "b")]).await;
}

#[tokio::test]
async fn of_two_keys_with_one_match_the_one_that_stays_takes_the_record() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    let both = [row(1, "1@x", "a"), row(2, "1@X ", "b")];
    let report = kit.run(&both).await;
    assert_eq!((report.counts.invalid, report.counts.delivered), (2, 0));
    kit.run_ok(&[row(2, "1@X ", "b")]).await;
    assert_eq!(kit.vendor.records(), [("1@X ".to_owned(), "b".to_owned())]);
}

#[tokio::test]
async fn a_second_claim_in_one_batch_is_refused() {
    let kit = Kit::new().await;
    kit.vendor.alias("second@x", 1);
    let both = [row(1, "1@x", "a"), row(2, "second@x", "b")];
    let report = kit.run(&both).await;
    assert_eq!((report.counts.delivered, report.counts.rejected), (1, 1), "{report:?}");
    let report = kit.run(&both).await;
    assert_eq!((report.counts.delivered, report.counts.waiting), (1, 1), "the owner is sent again");
    assert_eq!(kit.vendor.records(), [("1@x".to_owned(), "a".to_owned())]);
    // The refused key leaves: the owner's record stays.
    kit.converges(&both[..1]).await;
}

#[tokio::test]
async fn a_second_claim_in_another_run_is_refused() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.alias("second@x", 1);
    let report = kit.run(&[row(1, "1@x", "a"), row(2, "second@x", "b")]).await;
    assert_eq!(report.counts.rejected, 1);
    // The owner leaves: its removal frees the refused key.
    kit.run(&[row(2, "second@x", "b")]).await;
    kit.run(&[row(2, "second@x", "b")]).await;
    kit.converges(&[row(2, "second@x", "b")]).await;
}

#[tokio::test]
async fn a_crash_between_takeover_and_removal_does_not_delete_the_record() {
    let kit = Kit::with(1, |_| {}).await;
    kit.run_ok(&[row(1, "1@x", "a"), row(5, "5@x", "a")]).await;
    // Key 2 takes over the record of key 1 and is settled; the next request never ends.
    kit.vendor.script([Step::Apply, Step::Hang]);
    kit.crash(&[row(2, "1@x", "b"), row(5, "5@x", "b")]).await;
    kit.converges(&[row(2, "1@x", "b"), row(5, "5@x", "b")]).await;
}

#[tokio::test]
async fn a_key_that_is_back_after_an_unanswered_takeover_is_sent_again() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(&[row(2, "1@x", "b")]).await;
    // The record may hold the values of key 2 by now, or soon, though those of key 1 never changed.
    let report = kit.run(&[row(1, "1@x", "a")]).await;
    assert_eq!((report.counts.waiting, report.counts.unchanged), (1, 0), "{report:?}");
    kit.vendor.apply_late();
    kit.converges(&[row(1, "1@x", "a")]).await;
}

#[tokio::test]
async fn an_unanswered_takeover_is_sent_again() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(&[row(2, "1@x", "b")]).await;
    kit.vendor.apply_late();
    kit.converges(&[row(2, "1@x", "b")]).await;
    assert!(kit.vendor.calls().iter().all(|call| call.operation != crate::model::Operation::Delete));
}

#[tokio::test]
async fn swapped_match_values_settle_in_one_run() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    let report = kit.run(&[row(1, "3@x", "a"), row(2, "1@x", "b")]).await;
    assert_eq!((report.status, report.counts.delivered), (RunStatus::Ok, 2), "{report:?}");
    kit.converges(&[row(1, "3@x", "a"), row(2, "1@x", "b")]).await;
}

#[tokio::test]
async fn a_record_whose_removal_may_still_be_applied_is_not_taken_over() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(&[]).await;
    let report = kit.run(&[row(2, "1@x", "b")]).await;
    assert_eq!((report.counts.waiting, report.counts.delivered), (1, 1), "{report:?}");
    kit.vendor.apply_late();
    kit.converges(&[row(2, "1@x", "b")]).await;
}

#[tokio::test]
async fn an_answer_that_names_the_record_of_a_key_that_has_left_takes_it_over() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.alias("second@x", 1);
    let report = kit.run_ok(&[row(2, "second@x", "b")]).await;
    assert_eq!((report.counts.delivered, report.counts.skipped), (1, 1), "{report:?}");
    kit.converges(&[row(2, "second@x", "b")]).await;
    assert!(kit.vendor.calls().iter().all(|call| call.operation != crate::model::Operation::Delete));
    // The old key is back, without a record.
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "second@x", "b")]).await;
    assert_eq!(kit.vendor.records().len(), 2);
}

#[tokio::test]
async fn a_key_that_has_left_yields_its_record_also_while_its_removal_is_held() {
    let kit = Kit::with(100, |sync| sync.guard.max_added = 100.0).await;
    kit.run_ok(&rows(0..400, "a")).await;
    kit.vendor.alias("second@x", 1);
    let model: Vec<_> = rows(150..400, "a").into_iter().chain([row(1_000, "second@x", "b")]).collect();
    let report = kit.run(&model).await;
    assert_eq!((report.counts.guarded, report.counts.delivered, report.counts.rejected), (150, 1, 0), "{report:?}");
    let report = kit.run(&model).await;
    assert_eq!((report.counts.removed, report.counts.unchanged), (149, 251), "{report:?}");
}

#[tokio::test]
async fn nobody_takes_over_a_record_that_a_late_request_of_its_owner_may_reach() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(&[]).await;
    kit.vendor.alias("second@x", 1);
    let report = kit.run(&[row(2, "second@x", "b")]).await;
    assert_eq!((report.counts.rejected, report.counts.delivered), (1, 1), "{report:?}");
    // The removal was settled, so that the refused row is due again.
    kit.converges(&[row(2, "second@x", "b")]).await;
}

#[tokio::test]
async fn nobody_takes_a_record_over_while_absence_proves_nothing() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.alias("second@x", 1);
    let unusable = super::Row { id: None, ..row(0, "0@x", "z") };
    let report = kit.run(&[unusable, row(2, "second@x", "b")]).await;
    assert_eq!((report.counts.rejected, report.counts.waiting_removals), (1, 1), "{report:?}");
    kit.run(&[row(1, "1@x", "a"), row(2, "second@x", "b")]).await;
    assert_eq!(kit.vendor.records(), [("1@x".to_owned(), "a".to_owned())], "the owner was sent again");
}

#[tokio::test]
async fn a_lost_record_stays_with_its_key_when_the_row_that_wants_it_is_refused() {
    for model in [vec![], vec![row(1, "new@x", "a")]] {
        let kit = Kit::new().await;
        kit.vendor.script((0..3).map(|_| Step::LoseAnswer));
        kit.run(&[row(1, "old@x", "a")]).await;
        kit.vendor.refuse("old@x");
        super::kit::advance(std::time::Duration::from_secs(200)).await;
        let wanting: Vec<_> = model.iter().cloned().chain([row(2, "old@x", "b")]).collect();
        let report = kit.run(&wanting).await;
        assert_eq!((report.counts.rejected, report.counts.delivered), (1, 1), "{report:?}");
        let wanted: Vec<_> = model.iter().map(|row| (row.email.clone(), row.name.clone())).collect();
        assert_eq!(kit.vendor.records(), wanted);
    }
}

#[tokio::test]
async fn a_row_behind_one_that_is_held_back_is_listed_until_the_other_moves() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a"), row(3, "3@x", "c")]).await;
    // Keys 1 and 3 collide, so that key 1 keeps the address that key 2 wants.
    let stuck = [row(1, "3@x", "a"), row(2, "1@x", "b"), row(3, "3@x", "c")];
    let report = kit.run(&stuck).await;
    assert_eq!((report.counts.invalid, report.counts.rejected, report.counts.left_over), (2, 1, 0), "{report:?}");
    let free = [row(1, "9@x", "a"), row(2, "1@x", "b"), row(3, "3@x", "c")];
    let report = kit.run(&free).await;
    assert_eq!((report.counts.waiting, report.counts.delivered), (1, 1), "{report:?}");
    kit.converges(&free).await;
}

#[tokio::test]
async fn rows_that_pass_an_address_on_are_delivered_one_after_another() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::LoseAnswer));
    kit.run(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    super::kit::advance(std::time::Duration::from_secs(200)).await;
    let model = [row(1, "new@x", "a"), row(2, "1@x", "b"), row(3, "2@x", "c")];
    kit.run(&model).await;
    kit.converges(&model).await;
}

fn refused(conflict: bool) -> Outcome {
    Outcome::Rejected(Rejection { code: "NO".to_owned(), text: VendorText::new("no"), field: None, conflict })
}

#[tokio::test]
async fn nobody_takes_a_record_over_in_the_last_try() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.calls();
    // Key 2 clashes; the removal of key 1 is refused; the answer to the last try names the record of key 1.
    let named = answered(|_| Outcome::Delivered { record_id: Some("1".into()) });
    kit.vendor.script([answered(|_| refused(true)), answered(|_| refused(false)), named]);
    let report = kit.run(&[row(2, "second@x", "b")]).await;
    let operations: Vec<_> = kit.vendor.calls().iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Upsert, Operation::Delete, Operation::Upsert]);
    assert_eq!((report.counts.rejected, report.counts.delivered), (2, 0), "{report:?}");
}

#[tokio::test]
async fn a_claim_on_a_leaving_keys_record_is_tried_again_and_on_a_living_ones_is_not() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.alias("second@x", 1);
    kit.run(&[row(1, "1@x", "a"), row(2, "second@x", "b")]).await;
    let rejects = standing_rejects(&kit).await;
    assert_eq!((rejects.len(), rejects[0].next_try), (1, None));

    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    kit.run(&[]).await;
    kit.vendor.alias("second@x", 1);
    // A late request may still reach the record of key 1.
    kit.run(&[row(2, "second@x", "b")]).await;
    let rejects = standing_rejects(&kit).await;
    assert!(rejects.len() == 1 && rejects[0].next_try.is_some(), "{rejects:?}");
}

#[tokio::test]
async fn a_row_behind_one_that_is_in_doubt_is_left_over_and_not_refused() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.vendor.script((0..3).map(|_| Step::Late));
    let report = kit.run(&[row(1, "9@x", "a"), row(2, "1@x", "b")]).await;
    assert_eq!((report.counts.unknown, report.counts.left_over, report.counts.rejected), (1, 1, 0), "{report:?}");
}

#[tokio::test]
async fn a_gone_record_is_not_made_again_over_another_keys() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    kit.vendor.delete("2@x");
    // A row without a key holds back the removal of the one, whose address the other now has.
    let nobody = Row { id: None, ..row(0, "0@x", "n") };
    let report = kit.run(&[row(2, "1@x", "b"), nobody]).await;
    assert_eq!((report.status, report.counts.rejected), (RunStatus::Guarded, 1));
    assert_eq!(kit.vendor.records(), [("1@x".to_owned(), "a".to_owned())]);
    let standing = standing_rejects(&kit).await;
    assert_eq!(standing.iter().map(|mark| mark.code.as_str()).collect::<Vec<_>>(), ["conflict"]);
    advance(std::time::Duration::from_secs(3600)).await;
    kit.run(&[row(2, "1@x", "b")]).await;
    kit.converges(&[row(2, "1@x", "b")]).await;
}

#[tokio::test]
async fn a_gone_record_is_made_again_once_its_address_is_given_up() {
    let kit = Kit::with(1, |_| {}).await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    kit.vendor.delete("1@x");
    // One row at a time: the first finds its record gone while the second has the address still.
    kit.run_ok(&[row(1, "2@x", "a"), row(2, "1@x", "b")]).await;
    kit.converges(&[row(1, "2@x", "a"), row(2, "1@x", "b")]).await;
}

#[tokio::test]
async fn gone_records_whose_rows_exchange_addresses_are_made_again() {
    let kit = Kit::new().await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    kit.vendor.delete("1@x");
    kit.vendor.delete("2@x");
    kit.run_ok(&[row(1, "2@x", "a"), row(2, "1@x", "b")]).await;
    kit.converges(&[row(1, "2@x", "a"), row(2, "1@x", "b")]).await;
}

#[tokio::test]
async fn gone_records_in_a_chain_over_batches_are_made_again() {
    let kit = Kit::with(1, |_| {}).await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b"), row(3, "3@x", "c")]).await;
    kit.vendor.delete("1@x");
    kit.vendor.delete("2@x");
    let moved = [row(1, "2@x", "a"), row(2, "3@x", "b"), row(3, "1@x", "c")];
    kit.run_ok(&moved).await;
    kit.converges(&moved).await;
}

#[tokio::test]
async fn a_gone_record_whose_address_a_kept_record_has_takes_that_over() {
    let kit = Kit::with(10, |sync| sync.on_removed = OnRemoved::Keep).await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    kit.run_ok(&[row(2, "2@x", "b")]).await;
    kit.vendor.delete("2@x");
    kit.run_ok(&[row(2, "1@x", "b")]).await;
    kit.converges(&[row(2, "1@x", "b")]).await;
    // The key that was kept is back: the record is the other's now.
    kit.run_ok(&[row(1, "1b@x", "a"), row(2, "1@x", "b")]).await;
    assert_eq!(kit.vendor.records().len(), 2);
}

#[tokio::test]
async fn a_gone_record_whose_address_a_row_in_doubt_gives_up_is_left_over() {
    let kit = Kit::with(1, |_| {}).await;
    kit.run_ok(&[row(1, "1@x", "a"), row(2, "2@x", "b")]).await;
    kit.vendor.delete("1@x");
    let moved = [row(1, "2@x", "a"), row(2, "3@x", "b")];
    kit.vendor.script([Step::Apply, Step::LoseAnswer, Step::LoseAnswer, Step::LoseAnswer]);
    let counts = kit.run(&moved).await.counts;
    assert_eq!((counts.rejected, counts.left_over, counts.unknown), (0, 1, 1));
    advance(std::time::Duration::from_secs(200)).await;
    kit.run(&moved).await;
    kit.converges(&moved).await;
}
