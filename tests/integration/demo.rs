//! `syncline demo` as a newcomer meets it: nothing configured, nothing installed.

use std::fs;

use crate::support::{Finished, Workspace};

/// An empty working directory whose temporary files are its own, with the environment of some other installation.
fn nowhere() -> Workspace {
    let mut nowhere = Workspace::new();
    let folder = nowhere.path("").display().to_string();
    nowhere.variable("TMPDIR", &folder);
    nowhere.variable("SYNCLINE__STATE__URL", "sqlite://elsewhere.db");
    nowhere
}

#[test]
fn it_tells_its_story_and_leaves_nothing_behind() {
    let nowhere = nowhere();
    let Finished { stdout: story, stderr, .. } = nowhere.syncline(&["demo"]).expect(0);
    assert_eq!(stderr, "");
    assert!(story.lines().any(|line| line == "   0 missing, 0 wrong, 0 orphans"), "{story}");
    assert_eq!(story.matches("$ syncline sync customers-to-crm").count(), 7, "{story}");
    for expected in ["added 10,000", "0 requests;", "guarded (exit 4)", "partial (exit 3)", "*** was not one of"] {
        assert!(story.contains(expected), "`{expected}` is missing in {story}");
    }
    assert!(!story.contains('\u{1b}'), "colour without a terminal");
    let rejection = story.split("$ syncline rejected").nth(1).unwrap();
    assert!(!rejection.contains("platinum"), "{rejection}");
    assert_eq!(fs::read_dir(nowhere.path("")).unwrap().count(), 0);
}

#[test]
fn its_figures_are_json_and_its_folder_can_be_kept() {
    let nowhere = nowhere();
    let summary = nowhere.syncline(&["demo", "--keep", "kept", "--output", "json"]).expect(0).json();
    assert_eq!(summary["passed"], true);
    let exits: Vec<u64> = summary["steps"].as_array().unwrap().iter().map(|s| s["exit"].as_u64().unwrap()).collect();
    assert_eq!(exits, [0, 0, 0, 4, 0, 3, 0]);
    assert_eq!(summary["steps"][1]["requests"]["total"], 0);
    let third = &summary["steps"][2]["run"]["counts"];
    assert_eq!((&third["changed"], &third["added"], &third["removed"]), (&200.into(), &50.into(), &30.into()));
    assert_eq!(summary["audit"]["values"], 6 * 10_020);
    assert_eq!(fs::read_dir(nowhere.path("")).unwrap().count(), 1);
    let again = nowhere.syncline(&["demo", "--keep", "kept"]).expect(1);
    assert!(again.stderr.contains("expected a new or empty one"), "{}", again.stderr);
    let config = nowhere.path("kept/config");
    let runs = Workspace::new().syncline(&["--config", config.to_str().unwrap(), "runs"]).expect(0);
    assert!(runs.stdout.contains("guarded"), "{}", runs.stdout);
}
