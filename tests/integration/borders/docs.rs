//! The documents: their links lead somewhere, and they hold nothing of one person's machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{list, report};

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &["/home/", "/root/", "/Users/", "/mnt/", "C:\\"];

#[test]
fn links_lead_to_files() {
    report(documents().iter().flat_map(|path| broken_links(path, &fs::read_to_string(path).unwrap())).collect());
}

#[test]
fn documents_name_no_machine() {
    let wrong = |path: &PathBuf| {
        machine_paths(&fs::read_to_string(path).unwrap()).map(|word| format!("{}: `{word}`", path.display()))
    };
    report(documents().iter().filter_map(wrong).collect());
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let top = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let is_document = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    top.filter(|path| path.is_file()).chain(list(&root.join("docs"))).filter(is_document).collect()
}

fn machine_paths(text: &str) -> Option<&'static str> {
    MACHINE_PATHS.iter().copied().find(|path| text.contains(path))
}

fn broken_links(document: &Path, text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    let folder = document.parent().unwrap();
    let broken = files.filter(|target| !folder.join(target.split('#').next().unwrap_or_default()).exists());
    broken.map(|target| format!("{}: `{target}` leads nowhere", document.display())).collect()
}

#[test]
fn the_checks_notice() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert_eq!(broken_links(&here, "[a](Cargo.toml) [b](src/lib.rs#x) [c](https://example.com) [d](#here)"), [""; 0]);
    assert_eq!(broken_links(&here, "see [a](docs/none.md#x).").len(), 1);
    assert_eq!(machine_paths("cd /home/me"), Some("/home/"));
    assert_eq!(machine_paths("`/healthz` and /etc/syncline"), None);
}
