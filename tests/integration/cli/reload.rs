//! SIGHUP, and `config show`.

use std::time::Duration;

use super::fixture::{SYNC, count, people};
use crate::support::{Running, Workspace};

const FILE: &str = "config/syncline.toml";

fn daemon(workspace: &Workspace) -> Running {
    let running = workspace.start(&["run"]);
    running.wait_for_log("scheduler.started");
    running
}

fn change(workspace: &Workspace, from: &str, to: &str) {
    let text = std::fs::read_to_string(workspace.path(FILE)).unwrap();
    assert!(text.contains(from), "{from}");
    workspace.write(FILE, &text.replacen(from, to, 1));
}

/// Sends SIGHUP and gives the line of this event and text that follows.
fn reload(daemon: &Running, event: &str, text: &str) -> serde_json::Value {
    daemon.signal("HUP");
    let line = daemon.find_log(Duration::from_secs(20), |line| line.contains(event) && line.contains(text));
    serde_json::from_str(&line.unwrap_or_else(|all| panic!("no {event} with {text}:\n{all}"))).unwrap()
}

#[test]
fn a_good_configuration_is_taken_over_and_a_broken_one_is_not() {
    let (workspace, sim) = people("first_run = \"backfill\"");
    let daemon = daemon(&workspace);
    workspace.syncline(&["sync", SYNC]).expect(0);
    let before = sim.get("records/contacts");
    change(&workspace, "object = \"contacts\"", "object = \"contacts\"\nobjct = 7\nmax_age = \"1s\"");
    let rejected = reload(&daemon, "config.rejected", "");
    assert_eq!((rejected["errors"].as_u64(), rejected["level"].as_str()), (Some(2), Some("ERROR")));
    let error = rejected["error"].as_str().unwrap();
    assert!(
        error.contains(&format!("{FILE}:")) && error.contains("did you mean `object`?") == error.contains("hint"),
        "{error}"
    );
    assert!(error.contains("objct") && error.contains("max_age"), "{error}");
    // The configuration in force still serves.
    workspace.sql("insert into people values (6, 'f@example.com', 'Flo', 'pro')");
    change(&workspace, "objct = 7\nmax_age = \"1s\"", "max_age = \"1h\"");
    change(&workspace, "firstname = \"name\"", "firstname = { value = \"all alike\" }");
    change(&workspace, "url = \"sqlite://data/state.db\"", "url = \"sqlite://data/other.db\"");
    change(&workspace, "[http]", "[scheduler]\nmax_runs = 1\n[http]");
    let taken = reload(&daemon, "config.reloaded", "");
    assert_eq!(taken["changed"], format!("sync {SYNC}, [scheduler]"));
    assert_eq!((taken["syncs"].as_u64(), taken.get("added")), (Some(1), None));
    let kept = daemon.find_log(Duration::from_secs(20), |line| line.contains("config.kept")).unwrap();
    assert!(kept.contains("\"settings\":\"state.url\""), "{kept}");
    change(&workspace, "sqlite://data/other.db", "sqlite://data/state.db");
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&sent, "added"), count(&sent, "changed")), (1, 5));
    let after = sim.get("records/contacts");
    assert_ne!(before, after);
    assert!(after.to_string().contains("all alike"), "{after}");
    daemon.terminate().expect(0);
}

#[test]
fn a_run_under_way_keeps_its_configuration_and_a_new_sync_runs_by_its_schedule() {
    let (workspace, sim) = people("first_run = \"backfill\"");
    sim.post("faults", r#"[{"match": {"times": 1}, "action": {"slow": {"delay": "1500ms"}}}]"#);
    let daemon = daemon(&workspace);
    let asked = workspace.start(&["sync", SYNC]);
    sim.get("wait?requests=1");
    let text = std::fs::read_to_string(workspace.path(FILE)).unwrap();
    let text = text.replace(&format!("[syncs.{SYNC}"), "[syncs.second");
    workspace.write(FILE, &text.replace("first_run", "schedule = { every = \"1s\" }\nfirst_run"));
    let taken = reload(&daemon, "config.reloaded", "");
    assert_eq!(
        (taken["added"].as_str(), taken["removed"].as_str()),
        (Some("sync second"), Some(&*format!("sync {SYNC}")))
    );
    let ended = asked.wait().expect(0);
    assert!(ended.stdout.contains(SYNC), "{}", ended.stdout);
    let started = |line: &str| line.contains("run.started") && line.contains("\"sync\":\"second\"");
    let line = daemon.find_log(Duration::from_secs(20), started).unwrap();
    assert!(line.contains("\"trigger\":\"schedule\"") && line.contains("\"due\":\""), "{line}");
    daemon.terminate().expect(0);
}

#[test]
fn status_tells_a_cron_schedule_and_the_age_that_is_allowed() {
    let (workspace, _sim) =
        people("schedule = { cron = \"0 0 29 2 *\", timezone = \"Europe/Berlin\" }\nmax_age = \"1m\"");
    workspace.syncline(&["sync", SYNC, "--approve"]).expect(4);
    let status = workspace.syncline(&["status", "--output", "json"]).expect(0).json();
    let sync = &status["status"][0];
    assert_eq!((sync["overdue"].as_bool(), sync["max_age_ms"].as_u64()), (Some(false), Some(60_000)));
    assert_eq!(sync["schedule"], "cron 0 0 29 2 * (Europe/Berlin)");
}

#[test]
fn config_show_prints_what_is_in_force_and_where_it_stands() {
    let (mut workspace, _sim) = people("");
    workspace.write("prod/crm.toml", &format!("[syncs.{SYNC}]\nenabled = false\n"));
    workspace.variable("SYNCLINE__SCHEDULER__MAX_RUNS", "3");
    let layers = ["--config", "config", "--config", "prod", "config", "show"];
    let shown = workspace.syncline(&[&layers[..], &["--origin"]].concat()).expect(0).stdout;
    for line in [
        "environment = \"test\"  # config/syncline.toml:2",
        "enabled = false  # prod/crm.toml:2",
        "max_runs = 3  # environment variable `SYNCLINE__SCHEDULER__MAX_RUNS`",
        "token = { env = \"CRM_TOKEN\" }  # config/syncline.toml:",
    ] {
        assert!(shown.contains(line), "{line} is missing:\n{shown}");
    }
    assert!(!shown.contains(crate::support::TOKEN), "a secret was printed");
    // What is printed is a configuration again, and the same one.
    workspace.write("again/all.toml", &workspace.syncline(&layers).expect(0).stdout);
    let json = |arguments: &[&str]| workspace.syncline(&[arguments, &["--output", "json"]].concat()).expect(0).json();
    assert_eq!(json(&layers)["config"], json(&["--config", "again", "config", "show"])["config"]);
    let places = json(&[&layers[..], &["--origin"]].concat());
    assert_eq!(places["origins"][format!("syncs.{SYNC}.enabled")], "prod/crm.toml:2:11");
    workspace.write("prod/crm.toml", "[syncs.nobody]\nenabled = 7\n");
    workspace.syncline(&layers).expect(2);
}
