//! `run`, and commands beside it.

use super::fixture::{SYNC, count, people};
use crate::support::{Running, Workspace};

fn daemon(workspace: &Workspace) -> Running {
    let running = workspace.start(&["run"]);
    running.wait_for_log("scheduler.started");
    running
}

#[test]
fn a_second_daemon_exits_6_and_a_term_signal_ends_the_first_with_0() {
    let (workspace, _sim) = people("");
    let first = daemon(&workspace);
    let second = workspace.syncline(&["run"]).expect(6);
    assert!(second.stderr.contains("hint: stop the other"), "{}", second.stderr);
    first.terminate().expect(0);
    // The lock went with the process.
    daemon(&workspace).terminate().expect(0);
}

#[test]
fn sync_and_approve_beside_a_daemon_are_done_by_it() {
    let (workspace, sim) = people("");
    let daemon = daemon(&workspace);
    let asked = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(4);
    assert_eq!(count(&asked, "guarded"), 5);
    let run = asked.json()["syncs"][0]["run"].as_i64().unwrap();
    workspace.syncline(&["approve", &run.to_string()]).expect(0);
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!(count(&sent, "delivered"), 5);
    assert_eq!(sim.get("records/contacts").as_array().map(Vec::len), Some(5));
    for reading in [&["status"][..], &["runs"], &["rejected", SYNC], &["check"], &["plan", SYNC]] {
        workspace.syncline(reading).expect(0);
    }
    let ended = daemon.terminate().expect(0);
    assert!(ended.stderr.contains("run.finished"), "{}", ended.stderr);
    let refused = workspace.syncline(&["approve", "999"]).expect(1);
    assert!(refused.stderr.contains("nothing to approve"), "{}", refused.stderr);
}

#[test]
fn a_daemon_that_dies_does_not_keep_a_command_waiting() {
    let (workspace, sim) = people("first_run = \"backfill\"");
    sim.post("faults", r#"[{"action": {"hang": {}}}]"#);
    let daemon = daemon(&workspace);
    let waiting = workspace.start(&["sync", SYNC]);
    sim.get("wait?requests=1");
    daemon.kill();
    let ended = waiting.wait().expect(1);
    assert!(ended.stderr.contains("the daemon stopped before it answered"), "{}", ended.stderr);
}

#[test]
fn sync_beside_sync_exits_6() {
    let (workspace, sim) = people("first_run = \"backfill\"");
    sim.post("faults", r#"[{"match": {"times": 1}, "action": {"hang": {}}}]"#);
    let first = workspace.start(&["sync", SYNC]);
    sim.get("wait?requests=1");
    workspace.syncline(&["sync", SYNC]).expect(6);
    drop(first);
}

#[test]
fn the_daemon_tells_its_health() {
    let (mut workspace, _sim) = people("");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    workspace.variable("SYNCLINE__HTTP__LISTEN", &address);
    let daemon = daemon(&workspace);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(crate::support::http(&address, "GET", path, "").status, 200, "{path}");
    }
    daemon.terminate().expect(0);
}
