//! A first run that is killed goes on by itself (acceptance 6).

use std::collections::BTreeMap;

use crate::support::pair::{Audit, Content, Options, Pair, SYNC};

const ROWS: u32 = 3_000;

#[test]
fn a_killed_first_run_goes_on_without_being_asked_again() {
    // `first_run` asks, and the guard keeps its defaults: both must let the rest through.
    let pair = Pair::new(&Options { simulator: &["--latency", "50ms"], settings: "", ..Options::default() });
    let defaults = std::fs::read_to_string(pair.workspace.path("config/syncline.toml")).unwrap();
    let guard = "guard = { max_removed = \"100%\", max_changed = \"100%\", max_added = \"100%\" }";
    assert!(defaults.contains(guard));
    pair.workspace.write("config/syncline.toml", &defaults.replace(guard, ""));
    let model: BTreeMap<u32, Content> =
        (1..=ROWS).map(|id| (id, (format!("p{id}@example.com"), "gold".to_owned()))).collect();
    let rows: Vec<String> = model.iter().map(|(id, (email, plan))| format!("({id}, '{email}', '{plan}')")).collect();
    pair.sql("create table m (id integer primary key, email text, plan text)");
    pair.sql(&format!("insert into m values {}", rows.join(", ")));

    let asked = pair.sync(4);
    assert_eq!(asked.counts(["guarded", "delivered"]), [u64::from(ROWS), 0]);
    pair.workspace.syncline(&["approve", &asked.run().to_string()]).expect(0);

    pair.sim.post("reset-requests", "");
    let running = pair.workspace.start(&["sync", SYNC]);
    // One request asks whose the token is; the tenth batch is on its way at 30 %.
    pair.sim.get("wait?requests=11");
    assert!(running.kill().code.is_none(), "it ended before it was killed");
    let held = pair.live().len();
    assert!((500..2_000).contains(&held), "killed at {held} of {ROWS}");

    let rest = pair.sync(0);
    assert_eq!(rest.count("guarded"), 0);
    assert_eq!(pair.audit(&model), Audit::default());
    let identical = pair.judged("/writes/identical");
    println!(
        "killed at {held} of {ROWS} rows; the rest: {} delivered, {identical} sent twice",
        rest.count("delivered")
    );
    assert!(identical <= 400, "{identical} re-sends, P3 allows 4 batches");
    pair.sim.post("reset-requests", "");
    assert_eq!(pair.sync(0).counts(["unchanged", "delivered"]), [u64::from(ROWS), 0]);
    assert_eq!(pair.sim.requests(), 0);
}
