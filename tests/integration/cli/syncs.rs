//! `check`, `plan`, `sync`, `approve` and what shows their results, without a daemon.

use serde_json::json;

use super::fixture::{SYNC, count, people};

#[test]
fn a_first_run_asks_then_delivers_then_has_nothing_to_do() {
    let (workspace, sim) = people("");
    let plan = workspace.syncline(&["plan", SYNC]).expect(4);
    assert!(plan.stdout.contains("guard `first_run`"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("example.com"), "values were not asked for");
    assert!(!workspace.path("data").exists(), "`plan` made a state");

    let asked = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(4);
    assert_eq!((count(&asked, "guarded"), count(&asked, "delivered")), (5, 0));
    let run = asked.json()["syncs"][0]["run"].as_i64().unwrap();
    let waits = workspace.syncline(&["status"]).expect(0).stdout;
    assert!(waits.contains(&format!("syncline approve {run}")), "{waits}");

    workspace.syncline(&["approve", &run.to_string()]).expect(0);
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&sent, "added"), count(&sent, "delivered")), (5, 5));
    assert_eq!(sim.get("records/contacts").as_array().map(Vec::len), Some(5));

    sim.post("reset-requests", "");
    let idle = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(0);
    assert_eq!((count(&idle, "unchanged"), count(&idle, "delivered"), sim.requests()), (5, 0, 0));

    let status = workspace.syncline(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(status["status"][0]["entries"], 5);
    let runs = workspace.syncline(&["runs", SYNC, "--output", "json"]).expect(0).json();
    let statuses: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| run["status"].clone()).collect();
    assert_eq!(statuses, ["ok", "ok", "guarded"]);
}

#[test]
fn sync_approves_when_told_to() {
    let (workspace, sim) = people("");
    workspace.syncline(&["sync", "--all"]).expect(4);
    let sent = workspace.syncline(&["sync", "--all", "--approve"]).expect(0);
    assert!(sent.stdout.contains(SYNC), "{}", sent.stdout);
    assert_eq!(sim.get("records/contacts").as_array().map(Vec::len), Some(5));
}

#[test]
fn invalid_rows_are_listed_and_exit_3() {
    let (workspace, _sim) = people("first_run = \"backfill\"");
    workspace.sql("insert into people values (6, 'a@example.com', 'Twin', 'pro');");
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(3);
    assert_eq!((count(&sent, "invalid"), count(&sent, "delivered")), (2, 4));
    let listed = workspace.syncline(&["rejected", SYNC, "--output", "json"]).expect(0).json();
    assert_eq!((&listed["rejected"], &listed["invalid_total"]), (&json!([]), &json!(2)));
    assert_eq!(listed["invalid"][0]["others"], json!(["6"]));
    let text = workspace.syncline(&["rejected", SYNC]).expect(0).stdout;
    assert!(text.contains("invalid: 2 rows") && !text.contains("example.com"), "{text}");
}

#[test]
fn rejected_rows_are_listed_with_the_vendors_masked_words() {
    let (workspace, _sim) = people("first_run = \"backfill\"");
    workspace.sql("update people set email = 'no address of anybody' where id = 3;");
    let sent = workspace.syncline(&["sync", SYNC, "--output", "json"]).expect(3);
    assert_eq!((count(&sent, "rejected"), count(&sent, "delivered")), (1, 4));
    let listed = workspace.syncline(&["rejected", SYNC, "--output", "json"]).expect(0);
    let row = listed.json()["rejected"][0].clone();
    assert_eq!((&row["key"], &row["attempts"]), (&json!("3"), &json!(1)));
    assert!(row["message"].as_str().is_some_and(|words| !words.is_empty()), "{row}");
    assert!(!listed.stdout.contains("anybody"), "{}", listed.stdout);
    workspace.syncline(&["rejected", SYNC]).expect(0);
}

#[test]
fn check_connects_and_finds_what_does_not_fit() {
    let (workspace, sim) = people("");
    let fine = workspace.syncline(&["check", "--output", "json"]).expect(0).json();
    let kinds: Vec<_> = fine["check"].as_array().unwrap().iter().map(|item| item["kind"].clone()).collect();
    assert_eq!(kinds, ["source", "model", "destination", "sync"]);
    assert!(!workspace.path("data").exists(), "`check` made a state");

    let text = std::fs::read_to_string(workspace.path("config/syncline.toml")).unwrap();
    workspace.write("config/syncline.toml", &text.replace("firstname = ", "fristname = "));
    let wrong = workspace.syncline(&["check", SYNC]).expect(1).stdout;
    assert!(wrong.contains("no field `fristname`") && wrong.contains("did you mean `firstname`?"), "{wrong}");
    workspace.write("config/syncline.toml", &text.replace(&sim.url, "http://127.0.0.1:1"));
    workspace.syncline(&["check", "crm"]).expect(1);
    workspace.syncline(&["check", "warehouse", "people"]).expect(0);
    workspace.syncline(&["check", "nothing"]).expect(2);
}

#[test]
fn an_unknown_sync_is_bad_usage() {
    let (workspace, _sim) = people("");
    let finished = workspace.syncline(&["sync", "people-to-cmr"]).expect(2);
    assert!(finished.stderr.contains("did you mean `people-to-crm`?"), "{}", finished.stderr);
    workspace.syncline(&["plan", "nobody"]).expect(2);
}
