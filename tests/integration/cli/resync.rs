//! Ways out of doubt: `resync`, a state that was restored, an upgrade; and `pause`.

use std::fs;

use super::fixture::{SYNC, count, people};
use crate::support::{Sim, Workspace};

/// Delivered rows of one run.
fn delivered(workspace: &Workspace, exit: i32) -> u64 {
    count(&workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(exit), "delivered")
}

fn contacts(sim: &Sim) -> usize {
    let records = sim.get("records/contacts");
    records.as_array().into_iter().flatten().filter(|record| record["archived"] != true).count()
}

fn standing(workspace: &Workspace, field: &str) -> serde_json::Value {
    workspace.syncline(&["status", "--output", "json"]).expect(0).json()["status"][0][field].clone()
}

#[test]
fn resync_sends_everything_or_some_keys_once_more() {
    let (workspace, sim) = people("first_run = \"backfill\"");
    workspace.syncline(&["resync", SYNC]).expect(1);
    workspace.syncline(&["sync", SYNC]).expect(0);
    let asked = workspace.syncline(&["resync", SYNC]).expect(0);
    assert!(asked.stdout.contains("every row goes with its next run"), "{}", asked.stdout);
    assert_eq!((standing(&workspace, "dirty"), standing(&workspace, "resync")), (5.into(), true.into()));
    assert_eq!((delivered(&workspace, 0), delivered(&workspace, 0)), (5, 0));
    assert_eq!(standing(&workspace, "resync"), false);

    workspace.syncline(&["resync", SYNC, "--keys", "2", "4"]).expect(0);
    assert_eq!((delivered(&workspace, 0), delivered(&workspace, 0)), (2, 0));
    let unknown = workspace.syncline(&["resync", SYNC, "--keys", "999"]).expect(1);
    assert!(unknown.stderr.contains("hint:") && !unknown.stderr.contains("999"), "{}", unknown.stderr);
    workspace.syncline(&["resync", "--all"]).expect(0);
    assert_eq!(delivered(&workspace, 0), 5);
    assert_eq!(contacts(&sim), 5);
    workspace.syncline(&["resync", "nobody"]).expect(2);
    workspace.syncline(&["resync"]).expect(2);
}

#[test]
fn resync_and_pause_beside_a_daemon_are_done_by_it() {
    let (workspace, _sim) = people("first_run = \"backfill\"");
    let daemon = workspace.start(&["run"]);
    daemon.wait_for_log("scheduler.started");
    assert_eq!(delivered(&workspace, 0), 5);
    workspace.syncline(&["resync", SYNC]).expect(0);
    assert_eq!((delivered(&workspace, 0), delivered(&workspace, 0)), (5, 0));
    let refused = workspace.syncline(&["resync", SYNC, "--keys", "999"]).expect(1);
    assert!(refused.stderr.contains("the running daemon refused"), "{}", refused.stderr);
    workspace.syncline(&["pause", SYNC]).expect(0);
    assert_eq!(standing(&workspace, "paused"), true);
    workspace.syncline(&["sync", SYNC]).expect(1);
    workspace.syncline(&["resume", SYNC]).expect(0);
    workspace.syncline(&["sync", SYNC]).expect(0);
    let log = daemon.terminate().expect(0).stderr;
    assert!(log.contains("resync.requested") && log.contains("sync.paused"), "{log}");
}

#[test]
fn a_daemon_does_not_start_a_paused_sync() {
    let (workspace, sim) = people("first_run = \"backfill\"\nschedule = { every = \"1s\" }");
    workspace.syncline(&["sync", SYNC]).expect(0);
    workspace.syncline(&["pause", SYNC]).expect(0);
    let all = workspace.syncline(&["sync", "--all"]).expect(0);
    assert!(all.stderr.contains("paused"), "{}", all.stderr);
    workspace.sql("update people set name = 'New' where id = 1");
    sim.post("reset-requests", "");
    let daemon = workspace.start(&["run"]);
    daemon.wait_for_log("scheduler.started");
    // Runs of the daemon would come before the answer to this request.
    workspace.syncline(&["pause", SYNC]).expect(0);
    assert_eq!(sim.requests(), 0);
    workspace.syncline(&["resume", SYNC]).expect(0);
    sim.get("wait?requests=1");
    daemon.terminate().expect(0);
}

#[test]
fn a_restored_state_sends_everything_again_before_it_removes_anything() {
    let (workspace, sim) = people("first_run = \"backfill\"\nmode = \"mirror\"");
    workspace.syncline(&["sync", SYNC]).expect(0);
    let state = workspace.path("data/state.db");
    let older = fs::read(&state).unwrap();
    workspace.sql("update people set name = 'New' where id = 1; delete from people where id = 5;");
    workspace.syncline(&["sync", SYNC]).expect(0);
    // The restored state knows nothing of the new name, nor that row 5 is gone; and the name flips back.
    fs::write(&state, older).unwrap();
    workspace.sql("update people set name = 'Ada' where id = 1; delete from people where id = 4;");
    let status = workspace.syncline(&["status"]).expect(0).stdout;
    assert!(status.contains("suspect"), "{status}");
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(4);
    assert_eq!((count(&sent, "delivered"), count(&sent, "removed"), count(&sent, "waiting_removals")), (3, 0, 2));
    assert_eq!(sim.get("records/contacts")[0]["properties"]["firstname"], "Ada");
    assert_eq!(contacts(&sim), 4);

    assert_eq!(standing(&workspace, "suspect"), false);
    let removed = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&removed, "removed"), count(&removed, "delivered"), count(&removed, "unchanged")), (2, 2, 3));
    assert_eq!(contacts(&sim), 3);
    assert_eq!(delivered(&workspace, 0), 0);
}

#[test]
fn a_changed_match_is_refused_until_it_is_accepted() {
    let (workspace, sim) = people("first_run = \"backfill\"\nmode = \"mirror\"");
    workspace.syncline(&["sync", SYNC]).expect(0);
    let text = fs::read_to_string(workspace.path("config/syncline.toml")).unwrap();
    let other = text
        .replace("object = \"contacts\"", "object = \"companies\"")
        .replace("email = \"email\"", "domain = \"email\"");
    workspace.write("config/syncline.toml", &other.replace("match = \"email\"", "match = \"domain\""));
    workspace.syncline(&["sync", SYNC]).expect(1);
    let refused = workspace.syncline(&["resync", SYNC, "--target"]).expect(1);
    assert!(refused.stderr.contains("its object is another one"), "{}", refused.stderr);
    assert_eq!(contacts(&sim), 5);
}

#[test]
fn an_upgrade_of_the_state_sends_nothing() {
    let (workspace, sim) = people("first_run = \"backfill\"");
    let fixture = |name: &str| fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    fs::create_dir_all(workspace.path("data")).unwrap();
    fs::write(workspace.path("data/state.db"), fixture("state-0001.db")).unwrap();
    fs::write(workspace.path("data/state.db.key"), fixture("state-0001.db.key")).unwrap();
    workspace.sql(
        "delete from people;
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 4199)
         insert into people select i, 'p' || i || '@example.com', iif(i = 7, 'Q', 'P' || i), 'pro' from n;",
    );
    workspace.syncline(&["status"]).expect(1);
    let run = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&run, "unchanged"), count(&run, "delivered"), sim.requests()), (4_199, 0, 0));
    let copies = fs::read_dir(workspace.path("data")).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(copies.filter(|name| name.to_string_lossy().contains(".backup-v1-")).count(), 1);
}
