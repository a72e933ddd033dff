//! What an installation needs beside the daemon: a starter configuration, health, completions, manual pages.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::fixture::people;
use crate::support::Workspace;

#[test]
fn every_starter_configuration_is_valid_as_it_is() {
    for source in ["postgres", "mysql", "sqlite"] {
        for destination in ["hubspot", "http", "file"] {
            let workspace = Workspace::new();
            let arguments = ["init", "conf/own", "--source", source, "--destination", destination];
            let written = workspace.syncline(&arguments).expect(0);
            assert!(written.stdout.contains("wrote conf/own/syncline.toml"), "{}", written.stdout);
            let valid = workspace.syncline(&["--config", "conf/own", "validate"]).expect(0);
            assert_eq!(valid.stderr, "", "{source} to {destination} warns");
        }
    }
}

#[test]
fn init_makes_a_private_key_and_overwrites_nothing() {
    let workspace = Workspace::new();
    workspace.syncline(&["init"]).expect(0);
    let path = workspace.path("config/installation.key");
    let key = fs::read_to_string(&path).unwrap();
    assert!(key.len() >= 64, "the key is too short");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = workspace.syncline(&["init"]).expect(2);
    assert!(refused.stderr.contains("nothing is overwritten"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
    let files = workspace.syncline(&["init", "other", "--output", "json"]).expect(0).json();
    assert_eq!(files["init"]["files"].as_array().map(Vec::len), Some(6));
}

#[test]
fn health_tells_a_daemon_that_runs_from_none() {
    let (workspace, _sim) = people("");
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let text = fs::read_to_string(workspace.path("config/syncline.toml")).unwrap();
    workspace.write("config/syncline.toml", &text.replace("\"off\"", &format!("\"127.0.0.1:{port}\"")));
    let silent = workspace.syncline(&["health"]).expect(1);
    assert!(silent.stderr.contains("nothing answers"), "{}", silent.stderr);
    let daemon = workspace.start(&["run"]);
    daemon.wait_for_log("scheduler.started");
    workspace.syncline(&["health"]).expect(0);
    let ready = workspace.syncline(&["health", "--ready", "--output", "json"]).expect(0).json();
    assert_eq!(ready["health"]["status"], 200);
    daemon.terminate().expect(0);
    workspace.syncline(&["health"]).expect(1);
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let workspace = Workspace::new();
    let help = workspace.syncline(&["--help"]).expect(0).stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next().filter(|_| !line.starts_with(' ')))
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.contains(&"validate") && commands.len() > 10, "{commands:?}");
    workspace.syncline(&["man", "pages"]).expect(0);
    assert!(workspace.syncline(&["man"]).expect(0).stdout.contains(".TH syncline"));
    for shell in ["bash", "zsh", "fish"] {
        let script = workspace.syncline(&["completions", shell]).expect(0).stdout;
        for command in &commands {
            assert!(script.contains(command), "{shell} does not know `{command}`");
            assert!(workspace.path(&format!("pages/syncline-{command}.1")).is_file(), "no page of `{command}`");
        }
    }
}
