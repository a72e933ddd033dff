//! Keeps the borders between modules: who may use whom, which library stands where, how long a file may be.

#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

mod docs;
mod events;
mod rules;
mod scan;
mod scan_tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use syncline::proof::Boundary;

use rules::{ARROWS, BANNED, BARE_ARROWS, COMMON, CONFINED, MAX_LINES};

/// A file of `src`, by its path below it (`wire/client.rs`).
struct File {
    path: String,
    text: String,
}

#[test]
fn modules_use_only_what_the_table_allows() {
    report(production_files().iter().flat_map(wrong_arrows).collect());
}

#[test]
fn libraries_and_words_stand_where_they_belong() {
    report(production_files().iter().flat_map(wrong_words).collect());
}

#[test]
fn no_file_is_too_long() {
    let mut files = files_below("src");
    files.extend(files_below("tests"));
    report(files.iter().filter_map(too_long).collect());
}

#[test]
fn the_table_names_every_module_once() {
    let mut named: Vec<&str> = ARROWS.iter().chain(BARE_ARROWS).map(|(name, _)| *name).collect();
    named.sort_unstable();
    let mut found: Vec<String> = files_below("src").iter().map(|file| module_of(&file.path).to_owned()).collect();
    found.sort();
    found.dedup();
    assert_eq!(named, found);
}

#[test]
fn every_boundary_is_reached() {
    let files = production_files();
    let others = files.iter().filter(|file| module_of(&file.path) != "proof");
    let code: Vec<String> = others.map(|file| code_of(&file.text)).collect();
    let calls = Boundary::ALL.iter().map(|boundary| format!("reach(Boundary::{boundary:?})"));
    report(calls.filter(|call| !code.iter().any(|code| code.contains(call))).collect());
}

/// Uses of a module that the table does not allow.
fn wrong_arrows(file: &File) -> Vec<String> {
    let module = module_of(&file.path);
    let (allowed, common) = match ARROWS.iter().find(|(name, _)| *name == module) {
        Some((_, allowed)) => (*allowed, COMMON),
        None => {
            (BARE_ARROWS.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, allowed)| *allowed), &[][..])
        }
    };
    let modules: Vec<&str> = ARROWS.iter().chain(BARE_ARROWS).map(|(name, _)| *name).collect();
    let code = code_of(&file.text);
    let named = scan::modules_named(&code, depth_of(&file.path));
    let wrong = named.into_iter().filter(|(name, _)| {
        *name != module && modules.contains(name) && !allowed.contains(name) && !common.contains(name)
    });
    wrong.map(|(name, line)| format!("src/{}:{line}: `{module}` may not use `{name}`", file.path)).collect()
}

/// Words that do not belong where they stand.
fn wrong_words(file: &File) -> Vec<String> {
    let code = code_of(&file.text);
    let is_in = |places: &[&str]| places.iter().any(|place| file.path.starts_with(place));
    let mut wrong = Vec::new();
    for word in scan::words(&code) {
        // `env!` and `option_env!` are read when the crate is built.
        let at_build = word.text == "env" && word.after.starts_with('!');
        let confined = CONFINED.iter().find(|rule| rule.word == word.text && !at_build && !is_in(rule.only_in));
        let banned =
            BANNED.iter().find(|rule| rule.words.iter().any(|banned| is_this(word, banned)) && is_in(rule.places));
        let reason = confined.map(|rule| rule.reason).or(banned.map(|rule| rule.reason));
        wrong.extend(reason.map(|reason| format!("src/{}:{}: `{}` here: {reason}", file.path, word.line, word.text)));
    }
    wrong
}

/// Whether a word is the banned one: `panic!` is the macro and not the module, `.unwrap` the method.
fn is_this(word: scan::Word<'_>, banned: &str) -> bool {
    if let Some(name) = banned.strip_suffix('!') {
        return word.text == name && word.after.starts_with('!');
    }
    if let Some(name) = banned.strip_prefix('.') {
        return word.text == name && word.before.ends_with('.') && !is_constant(word.before);
    }
    word.text == banned
}

/// Whether the statement so far defines a constant: what goes wrong there goes wrong in the build.
fn is_constant(before: &str) -> bool {
    let statement = before.rsplit([';', '{', '}']).next().unwrap_or_default().trim_start();
    statement.trim_start_matches("pub ").starts_with("const ")
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > MAX_LINES).then(|| format!("{}: {lines} lines, at most {MAX_LINES}", file.path))
}

/// The code that runs: no comments, no texts, no tests.
fn code_of(text: &str) -> String {
    scan::without_tests(&scan::blank(text))
}

/// `wire/client.rs` is of `wire`, `clock.rs` of `clock`.
fn module_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

/// The number of modules from the crate's root down to this file's: 0 for `main.rs` and `lib.rs`.
fn depth_of(path: &str) -> usize {
    let parts = path.split('/').count();
    let names_its_folder = ["main.rs", "lib.rs"].contains(&path) || path.ends_with("/mod.rs");
    if names_its_folder { parts - 1 } else { parts }
}

/// The files of `src` that a release holds: without test modules.
fn production_files() -> Vec<File> {
    let files = files_below("src");
    let tests: Vec<String> = files.iter().flat_map(test_modules).collect();
    let is_test =
        |path: &str| tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")));
    files.into_iter().filter(|file| !is_test(&file.path)).collect()
}

/// The paths, without ending, of the modules that a file declares for tests only.
fn test_modules(file: &File) -> Vec<String> {
    let folder = file
        .path
        .strip_suffix("mod.rs")
        .map_or_else(|| file.path.trim_end_matches(".rs").to_owned() + "/", |folder| folder.to_owned());
    let blanked = scan::blank(&file.text);
    let declared = scan::test_items(&blanked).filter_map(|(_, item)| item.split_once(';')?.0.rsplit_once("mod "));
    declared.filter(|(before, _)| !before.contains('{')).map(|(_, name)| format!("{folder}{}", name.trim())).collect()
}

/// Every Rust file below a folder of the repository; paths are relative to `src`, or to the repository for others.
fn files_below(folder: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let base = if folder == "src" { root.join("src") } else { root.to_owned() };
    let paths = list(&root.join(folder));
    let rust = paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let files: Vec<File> = rust
        .map(|path| File {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(&base).unwrap().to_str().unwrap().replace('\\', "/"),
        })
        .collect();
    assert!(!files.is_empty(), "no file in {folder}");
    files
}

/// Every file below a folder, in order.
fn list(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { list(&path) } else { vec![path] }).collect()
}

fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
