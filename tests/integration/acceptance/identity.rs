//! The record of a row stays its record, whatever becomes of the match value (acceptance 8).

use crate::support::pair::{Content, Held, Options, Pair, SYNC};

const BATCHES: &str = "batch/";

fn content(email: &str, plan: &str) -> Content {
    (format!("{email}@example.com"), plan.to_owned())
}

/// Kills a run when the simulator has written what it sent, and has not answered.
fn kill_unanswered(pair: &Pair, requests: u32, written: impl Fn(&[Held]) -> bool) {
    let slow = r#"{"slow": {"delay": "60s"}}"#;
    pair.sim.post(
        "faults",
        &format!(
            r#"{{"match": {{"path_contains": "{BATCHES}", "times": {requests}}}, "phase": "after", "action": {slow}}}"#
        ),
    );
    let running = pair.workspace.start(&["sync", SYNC]);
    pair.wait_until("what was sent", written);
    assert!(running.kill().code.is_none(), "it ended before it was killed");
    pair.sim.clear_faults();
}

#[test]
fn an_address_that_changes_moves_with_its_record() {
    let pair = Pair::with_rows(&Options::default(), "(1, 'a@example.com', 'gold'), (2, 'b@example.com', 'gold')");
    assert_eq!(pair.sync(0).count("added"), 2);
    let first = pair.record_of(1);
    pair.sql("update m set email = 'new@example.com' where id = 1");
    assert_eq!(pair.sync(0).counts(["changed", "delivered"]), [1, 1]);
    assert_eq!(pair.record_of(1), Held { content: content("new", "gold"), ..first.clone() });
    assert_eq!(pair.ever_made(), 2, "a second record was made");
    pair.sql("delete from m where id = 1");
    assert_eq!(pair.sync(0).counts(["removed", "delivered"]), [1, 1]);
    assert!(pair.is_archived(&first.id));
    assert_eq!((pair.live().len(), pair.ever_made()), (1, 2));
    println!("record {} changed its address and was archived; 2 records ever made", first.id);
}

#[test]
fn a_kill_before_the_answer_loses_no_record() {
    let pair = Pair::with_rows(
        &Options::default(),
        "(1, 'a@example.com', 'gold'), (2, 'b@example.com', 'gold'), (3, 'c@example.com', 'gold'),
         (6, 'f@example.com', 'gold')",
    );
    pair.sync(0);
    let [first, second, third, sixth] = [1, 2, 3, 6].map(|id| pair.record_of(id));
    // One batch of updates, one of upserts: 4 and 5 are new, so only their match value can find them.
    pair.sql(
        "update m set email = 'new-' || email where id < 4;
         insert into m values (4, 'd@example.com', 'gold'), (5, 'e@example.com', 'gold');",
    );
    kill_unanswered(&pair, 2, |live| {
        live.len() == 6 && live.iter().filter(|held| held.content.0.starts_with("new-")).count() == 3
    });
    let [fourth, fifth] = [4, 5].map(|id| pair.record_of(id));
    assert_eq!(pair.standing("entries"), 4);
    pair.sql(
        "delete from m where id in (2, 5);
         update m set email = 'newer@example.com' where id = 3;
         update m set email = 'newest@example.com' where id = 4;",
    );
    pair.settle();
    assert_eq!(pair.record_of(1), Held { content: content("new-a", "gold"), ..first });
    assert_eq!(pair.record_of(3), Held { content: content("newer", "gold"), ..third });
    assert_eq!(pair.record_of(4), Held { content: content("newest", "gold"), ..fourth });
    assert_eq!(pair.record_of(6), sixth);
    assert!(pair.is_archived(&second.id) && pair.is_archived(&fifth.id));
    assert_eq!((pair.live().len(), pair.ever_made()), (4, 6), "{:?}", pair.live());
    // What was known before is known now.
    pair.sql("delete from m where id = 1");
    assert_eq!(pair.sync(0).counts(["removed", "delivered"]), [1, 1]);
    println!("5 of 6 rows in flight at the kill, 4 changed or removed after it: 6 records ever made, 0 wrong");
}
