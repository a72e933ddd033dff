//! One row that the vendor refuses together with its whole batch (acceptance 7).

use serde_json::json;

use crate::support::pair::{Options, Pair};

/// Splitting a batch of 100 in halves down to one row takes at most this many requests more (design 3.6).
const EXTRA: u64 = 21;

/// Refuses a batch that holds the value, without naming the row; `words` is what the vendor says in `rejected`.
fn poison_among_a_thousand(action: &str, words: &str) {
    let pair = Pair::new(&Options::default());
    pair.sql(
        "create table m (id integer primary key, email text, plan text);
         with recursive n(id) as (select 1 union all select id + 1 from n where id < 1000)
           insert into m select id, 'p' || id || '@example.com', 'gold' from n;
         update m set plan = 'canary-poison' where id = 637;",
    );
    let when = r#"{"property": {"name": "plan", "equals": "canary-poison"}}"#;
    pair.sim.post("faults", &format!(r#"{{"match": {when}, "action": {action}}}"#));
    let sent = pair.sync(3);
    assert_eq!(sent.counts(["read", "delivered", "rejected", "unknown", "left_over"]), [1_000, 999, 1, 0, 0]);
    assert_eq!(pair.live().len(), 999);
    // Ten batches, and one question whose the token is.
    let extra = pair.sim.requests() - 11;
    assert!(extra <= EXTRA, "{extra} extra requests");

    let listed = pair.rejected();
    assert!(!listed.stdout.contains("canary") && !listed.stdout.contains("p637@"), "{}", listed.stdout);
    let row = listed.json()["rejected"][0].clone();
    assert_eq!((&row["key"], &listed.json()["rejected_total"]), (&json!("637"), &json!(1)));
    let said = row["message"].as_str().unwrap_or_default();
    assert!(said.contains(words), "{row}");
    println!("999 of 1,000 delivered in one run, {extra} extra requests; rejected with: {said}");

    // In backoff it is not sent, neither with the fault nor without.
    pair.sim.clear_faults();
    pair.sim.post("reset-requests", "");
    let idle = pair.sync(3);
    assert_eq!(idle.counts(["unchanged", "waiting", "delivered"]), [999, 1, 0]);
    assert_eq!(pair.judged("/requests/inputs"), 0);

    pair.sql("update m set plan = 'silver' where id = 637");
    assert_eq!(pair.sync(0).counts(["delivered", "waiting"]), [1, 0]);
    assert_eq!(pair.record_of(637).content.1, "silver");
    assert_eq!(pair.rejected().json()["rejected_total"], 0);
}

#[test]
fn a_poison_row_stands_alone_and_is_tried_again_when_it_changes() {
    poison_among_a_thousand("\"poison_batch\"", "Invalid input");
}

#[test]
fn what_the_vendor_says_of_a_poison_row_is_masked() {
    let said = r#"{"status": "error", "category": "VALIDATION_ERROR",
        "message": "Plan canary-poison of p637@example.com is not among the options"}"#;
    poison_among_a_thousand(&format!(r#"{{"status": {{"code": 400, "body": {said}}}}}"#), "is not among the options");
}
