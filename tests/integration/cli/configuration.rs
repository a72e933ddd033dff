//! What needs neither network nor state.

use crate::support::Workspace;

#[test]
fn ten_mistakes_are_ten_errors_and_exit_2() {
    let workspace = Workspace::new();
    workspace.copy("tests/integration/config/ten-mistakes", "config");
    let finished = workspace.syncline(&["validate"]).expect(2);
    let first_lines: Vec<&str> = finished.stderr.lines().filter(|line| line.contains(": error: ")).collect();
    assert_eq!(first_lines.len(), 10, "{}", finished.stderr);
    for line in first_lines {
        let at: Vec<&str> = line.splitn(4, ':').collect();
        assert!(at[0].ends_with(".toml") && at[1].parse::<u32>().is_ok() && at[2].parse::<u32>().is_ok(), "{line}");
    }
    assert!(finished.stderr.ends_with("error: the configuration has 10 errors\n"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("canary"), "a literal secret was printed");
    let document = workspace.syncline(&["--output", "json", "validate"]).expect(2).json();
    assert_eq!(document["error"]["problems"].as_array().map(Vec::len), Some(10));
}

#[test]
fn the_default_configuration_is_valid() {
    let workspace = Workspace::new();
    workspace.copy("config", "config");
    let finished = workspace.syncline(&["validate"]).expect(0);
    assert_eq!(finished.stdout, "configuration is valid: 1 source, 1 model, 1 destination, 1 sync\n");
    let document = workspace.syncline(&["validate", "--output", "json"]).expect(0).json();
    assert_eq!((document["valid"].as_bool(), document["syncs"].as_u64()), (Some(true), Some(1)));
}

#[test]
fn a_reader_that_wants_no_more_is_no_error() {
    let workspace = Workspace::new();
    workspace.copy("config", "config");
    for arguments in [&["config", "show"][..], &["schema"], &["validate"], &["runs"], &["validate", "--output", "json"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = workspace.command(arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn what_a_connector_refuses_has_a_place_too() {
    let workspace = Workspace::new();
    workspace.copy("config", "config");
    let text = std::fs::read_to_string(workspace.path("config/syncline.toml")).unwrap();
    let line = text.lines().position(|line| line.starts_with("match = ")).unwrap() + 1;
    let wrong = text.replace("match = \"email\"", "match = \"hs_object_id\"");
    let wrong = wrong.replace("email = \"email\"", "hs_object_id = \"id\"");
    workspace.write("config/syncline.toml", &wrong);
    let errors = workspace.syncline(&["validate"]).expect(2).stderr;
    assert!(errors.starts_with(&format!("config/syncline.toml:{line}:")), "{errors}");
    assert!(errors.contains("given out by HubSpot"), "{errors}");
}

#[test]
fn a_missing_folder_and_bad_usage_exit_2() {
    let workspace = Workspace::new();
    for arguments in [&["validate"][..], &["status"], &["--config", "nowhere", "sync", "--all"], &["run"]] {
        let finished = workspace.syncline(arguments).expect(2);
        assert!(finished.stderr.contains("error: "), "{arguments:?}: {}", finished.stderr);
    }
    for arguments in [&["sync"][..], &["approve", "x"], &["nonsense"], &[]] {
        workspace.syncline(arguments).expect(2);
    }
}

#[test]
fn help_names_every_command() {
    let help = Workspace::new().syncline(&["--help"]).expect(0).stdout;
    let commands = [
        "validate", "config", "check", "plan", "sync", "run", "status", "runs", "rejected", "approve", "simulate",
        "demo",
    ];
    for command in commands {
        assert!(help.contains(&format!("  {command} ")), "`{command}` is missing:\n{help}");
    }
}

#[test]
fn without_a_state_reading_commands_say_so() {
    let workspace = Workspace::new();
    workspace.copy("config", "config");
    let status = workspace.syncline(&["status"]).expect(0);
    assert!(status.stdout.contains("there is no state yet"), "{}", status.stdout);
    assert!(status.stdout.contains("customers-to-crm"), "{}", status.stdout);
    assert_eq!(workspace.syncline(&["runs"]).expect(0).stdout, "nothing has run yet\n");
    assert_eq!(workspace.syncline(&["runs", "--output", "json"]).expect(0).json()["runs"], serde_json::json!([]));
    workspace.syncline(&["rejected", "customers-to-crm"]).expect(1);
    workspace.syncline(&["approve", "1"]).expect(1);
    assert!(!workspace.path("data").exists(), "a reading command made a state");
}
