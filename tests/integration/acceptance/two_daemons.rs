//! Two daemons on one PostgreSQL state (acceptance of the first version, 6): work is shared, and who is killed is replaced.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::support::Workspace;
use crate::support::pair::{Audit, Content, Options, Pair, SYNC, database};

const ROWS: u32 = 3_000;
/// `lease` of the fixture, and what a slow machine takes to notice.
const LEASE: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_secs(8);

fn model(plan: &str) -> BTreeMap<u32, Content> {
    (1..=ROWS).map(|id| (id, (format!("p{id}@example.com"), plan.to_owned()))).collect()
}

fn fill(pair: &Pair, model: &BTreeMap<u32, Content>) {
    let rows: Vec<String> = model.iter().map(|(id, (email, plan))| format!("({id}, '{email}', '{plan}')")).collect();
    pair.sql("create table m (id integer primary key, email text, plan text)");
    pair.sql(&format!("insert into m values {}", rows.join(", ")));
}

fn runs(workspace: &Workspace) -> Vec<Value> {
    let listed = workspace.syncline(&["runs", "--limit", "100", "--output", "json"]).expect(0).json();
    listed["runs"].as_array().cloned().unwrap_or_default()
}

fn started(run: &Value) -> jiff::Timestamp {
    run["started_at"].as_str().and_then(|text| text.parse().ok()).expect("a time")
}

#[test]
fn one_is_killed_in_a_run_and_the_other_goes_on_within_the_lease() {
    let state = database();
    let options = Options { state_url: &state.url, simulator: &["--latency", "150ms"], ..Options::default() };
    let pair = Pair::new(&options);
    let rows = model("gold");
    fill(&pair, &rows);
    let second = pair.another_host(&options);
    let one = pair.workspace.start(&["run"]);
    one.wait_for_log("run.started");
    let two = second.start(&["run"]);
    two.wait_for_log("scheduler.started");
    pair.sim.get("wait?requests=8");
    let killed = tokio::time::Instant::now();
    assert!(one.kill().code.is_none(), "it ended before it was killed");
    let held = pair.live().len();
    assert!((100..2_900).contains(&held), "killed at {held} of {ROWS}");

    two.find_log(LEASE + SLOW, |line| line.contains("run.started")).expect("the other goes on within the lease");
    let waited = killed.elapsed();
    two.find_log(Duration::from_secs(120), crate::support::pair::is_quiet).expect("it comes to an end");
    assert_eq!(pair.audit(&rows), Audit::default());
    let (identical, overlaps) = (pair.judged("/writes/identical"), pair.judged("/overlap/different"));
    println!("killed at {held} of {ROWS}; taken over after {waited:?}; {identical} sent twice");
    assert!(identical <= 400 && overlaps == 0, "{identical} re-sends, {overlaps} overlaps");
    let statuses: Vec<String> = runs(&second).iter().rev().map(|run| run["status"].to_string()).collect();
    assert_eq!(&statuses[..2], ["\"interrupted\"", "\"ok\""], "{statuses:?}");
    two.terminate().expect(0);
}

#[test]
fn a_scheduled_run_is_made_by_one_of_them() {
    let state = database();
    let options = Options { state_url: &state.url, every: "3s", ..Options::default() };
    let pair = Pair::with_rows(&options, "(1, 'a@example.com', 'gold')");
    let second = pair.another_host(&options);
    let one = pair.workspace.start(&["run"]);
    one.wait_for_log("run.finished");
    let two = second.start(&["run"]);
    two.wait_for_log("scheduler.started");
    // One of them is started anew: nothing runs out of turn.
    one.terminate().expect(0);
    let again = pair.workspace.start(&["run"]);
    again.wait_for_log("scheduler.started");
    let patience = (0..2_000).any(|_| runs(&second).len() >= 6);
    assert!(patience, "{:?}", runs(&second));
    let times: Vec<jiff::Timestamp> = runs(&second).iter().rev().map(started).collect();
    let gaps: Vec<i128> =
        times.windows(2).map(|two| (two[1].as_millisecond() - two[0].as_millisecond()).into()).collect();
    println!("gaps of a schedule of 3 s, two daemons: {gaps:?} ms");
    // A run's begin may be late on a busy machine; one out of turn would take three seconds from the whole.
    let whole: i128 = gaps.iter().sum();
    assert!(whole >= 3_000 * gaps.len() as i128 - 1_500, "{gaps:?}");
    // Killed between runs, it leaves nothing behind that the other waits for.
    again.kill();
    let before = runs(&second).len();
    assert!((0..2_000).any(|_| runs(&second).len() > before), "the other goes on");
    two.terminate().expect(0);
}

#[test]
fn commands_beside_a_daemon_and_beside_each_other() {
    let state = database();
    let settings = "first_run = \"ask\"\nschedule = \"manual\"";
    let options = Options { state_url: &state.url, settings, ..Options::default() };
    let pair = Pair::with_rows(&options, "(1, 'a@example.com', 'gold'), (2, 'b@example.com', 'gold')");
    let second = pair.another_host(&options);
    assert!(second.syncline(&["status"]).expect(0).stdout.contains("no state yet"));
    let daemon = pair.workspace.start(&["run"]);
    daemon.wait_for_log("scheduler.started");
    // From another host, the daemon does it.
    let asked = second.syncline(&["sync", SYNC, "--output", "json"]).expect(4).json();
    let run = asked["syncs"][0]["run"].to_string();
    second.syncline(&["approve", &run]).expect(0);
    let sent = second.syncline(&["sync", SYNC, "--output", "json"]).expect(0).json();
    assert_eq!(sent["syncs"][0]["counts"]["delivered"], 2);
    assert!(runs(&second).iter().all(|run| run["trigger"] == "request"));
    assert_eq!(pair.standing("entries"), 2);
    daemon.terminate().expect(0);

    // Without one, two commands: the second is told, and does nothing.
    pair.sql("update m set plan = 'silver'");
    pair.sim.post("faults", r#"{"match": {"path_contains": "batch/", "times": 1}, "action": "hang"}"#);
    pair.sim.post("reset-requests", "");
    let first = pair.workspace.start(&["sync", SYNC]);
    pair.sim.get("wait?requests=2");
    let refused = second.syncline(&["sync", SYNC]).expect(6);
    assert!(refused.stdout.contains("runs this sync"), "{}{}", refused.stdout, refused.stderr);
    // Killed: its lease ends, and the command given again waits for that.
    assert!(first.kill().code.is_none());
    pair.sim.clear_faults();
    let rest = second.syncline(&["sync", SYNC, "--output", "json"]).expect(0).json();
    assert_eq!(rest["syncs"][0]["counts"]["delivered"], 2, "{rest}");
}
