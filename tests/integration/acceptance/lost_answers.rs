//! Answers that are lost after the write, and writes that are applied late (acceptance 10).

use serde_json::Value;

use crate::support::pair::{Options, Pair, side_by_side};

/// What a run spends on one batch.
const ATTEMPTS: usize = 3;

/// Three rows of which the first is then written by a run that gets no answer in any of its attempts.
fn unanswered(vendor: &str, action: &str) -> Pair {
    let pair = Pair::with_rows(
        &Options { vendor, late_window: "12s", simulator: &["--keep-bodies"], ..Options::default() },
        "(1, 'a@example.com', 'old'), (2, 'b@example.com', 'old'), (3, 'c@example.com', 'old')",
    );
    pair.sync(0);
    let path = if vendor == "hubspot" { "batch/" } else { "/v1/records" };
    let fault = format!(r#"{{"match": {{"path_contains": "{path}", "times": {ATTEMPTS}}}, "action": {action}}}"#);
    pair.sim.post("faults", &fault);
    pair.sim.post("reset-requests", "");
    pair.sql("update m set plan = 'first' where id = 1");
    let lost = pair.sync(3);
    assert_eq!(lost.counts(["changed", "unknown", "delivered", "rejected", "left_over"]), [1, 1, 0, 0, 0]);
    assert_eq!((pair.standing("dirty"), pair.standing("entries")), (1, 3));
    assert_eq!(pair.rejected().json()["rejected_total"], 0, "an unknown outcome is no refusal");
    pair
}

fn plan(pair: &Pair) -> String {
    pair.record_of(1).content.1
}

/// A newer change waits, is not sent, and the row is neither failed nor delivered meanwhile.
#[track_caller]
fn newer_change_waits(pair: &Pair) {
    pair.sql("update m set plan = 'second' where id = 1");
    pair.sim.post("reset-requests", "");
    let waits = pair.sync(0);
    assert_eq!(waits.counts(["unchanged", "waiting", "delivered", "rejected", "unknown"]), [2, 1, 0, 0, 0]);
    assert_eq!(pair.judged("/requests/inputs"), 0, "sent within the late window");
}

#[track_caller]
fn ends_right(pair: &Pair) {
    pair.settle();
    assert_eq!(plan(pair), "second");
    assert_eq!((pair.standing("dirty"), pair.live().len()), (0, 3));
    assert_eq!((pair.judged("/overlap/different"), pair.judged("/overlap/late_different")), (0, 0));
}

/// Idempotency keys and bodies of the writes since the last reset.
fn writes(pair: &Pair) -> Vec<(Value, Value)> {
    let requests = pair.sim.get("requests");
    let writes = requests.as_array().into_iter().flatten().filter(|request| request["method"] == "POST");
    writes.map(|request| (request["idempotency_key"].clone(), request["body"].clone())).collect()
}

fn a_change_after_a_lost_answer_waits_for_the_late_window() {
    let pair = unanswered("hubspot", "\"drop_answer\"");
    assert_eq!(plan(&pair), "first", "it was written");
    newer_change_waits(&pair);
    ends_right(&pair);
    println!("hubspot, answer dropped: unknown 1, then waiting 1, then right");
}

fn a_lost_answer_is_sent_again_and_newer_changes_wait_all_the_same() {
    let pair = unanswered("hubspot", "\"drop_answer\"");
    let again = pair.sync(0);
    assert_eq!(again.counts(["changed", "delivered", "waiting"]), [1, 1, 0]);
    assert_eq!((pair.standing("dirty"), plan(&pair).as_str()), (0, "first"));
    newer_change_waits(&pair);
    ends_right(&pair);
    println!("hubspot, answer dropped: unknown 1, delivered 1 with the re-send, then waiting 1, then right");
}

fn a_write_that_is_applied_late_is_overtaken_by_nothing() {
    let pair = unanswered("hubspot", "\"apply_late\"");
    assert_eq!(plan(&pair), "old", "it is not written yet");
    newer_change_waits(&pair);
    assert_eq!(pair.sim.post("release", "")["applied"], ATTEMPTS);
    assert_eq!(plan(&pair), "first");
    ends_right(&pair);
    println!("hubspot, applied late: unknown 1, waiting 1, {ATTEMPTS} late writes, then right");
}

fn a_write_that_is_applied_late_after_its_re_send_does_no_harm() {
    let pair = unanswered("hubspot", "\"apply_late\"");
    assert_eq!(pair.sync(0).counts(["changed", "delivered"]), [1, 1]);
    newer_change_waits(&pair);
    assert_eq!(pair.sim.post("release", "")["applied"], ATTEMPTS);
    ends_right(&pair);
    println!("hubspot, applied late after the re-send: delivered 1, waiting 1, {ATTEMPTS} late writes, then right");
}

fn re_sends_keep_their_idempotency_key_and_their_body(action: &str) {
    let pair = unanswered("http", action);
    assert_eq!(pair.sync(0).counts(["changed", "delivered"]), [1, 1]);
    let sent = writes(&pair);
    assert_eq!(sent.len(), ATTEMPTS + 1, "{sent:?}");
    assert!(sent[0].0.is_string() && sent.iter().all(|write| *write == sent[0]), "{sent:?}");
    assert_eq!(pair.judged("/idempotency/conflicting"), 0);
    newer_change_waits(&pair);
    pair.sim.post("release", "");
    ends_right(&pair);
    let newer = writes(&pair);
    assert!(!newer.is_empty() && newer.iter().all(|write| write.0 != sent[0].0), "a newer change needs its own key");
    println!("http, {action}: {} sends with one key and one body, then right", sent.len());
}

#[test]
fn what_is_not_answered_is_unknown_sent_again_and_never_overtaken() {
    side_by_side(&[
        a_change_after_a_lost_answer_waits_for_the_late_window,
        a_lost_answer_is_sent_again_and_newer_changes_wait_all_the_same,
        a_write_that_is_applied_late_is_overtaken_by_nothing,
        a_write_that_is_applied_late_after_its_re_send_does_no_harm,
        || re_sends_keep_their_idempotency_key_and_their_body("\"drop_answer\""),
        || re_sends_keep_their_idempotency_key_and_their_body("\"apply_late\""),
    ]);
}
