//! Seeds and crashes: files of the repository, and what the real encoders make.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
};

use syncline::proof::{Rule, Target, is_broken};

fn folder(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/proof/fuzz/corpus").join(target.name)
}

/// Every seed of a target; at least one.
pub(super) fn of(target: &Target) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder(target)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut all: Vec<Vec<u8>> = files.iter().filter_map(|file| fs::read(file).ok()).collect();
    all.extend((target.seeds)());
    all.push(Vec::new());
    all
}

/// Keeps an input that broke something, so that every later run replays it; gives its path.
pub(super) fn keep(target: &Target, input: &[u8]) -> String {
    if Rule::ALL.iter().any(|rule| is_broken(*rule)) {
        return "not kept: a rule is broken".to_owned();
    }
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder(target).join(format!("crash-{:016x}", hasher.finish()));
    let kept = fs::create_dir_all(folder(target)).and_then(|()| fs::write(&file, input));
    kept.map_or_else(|error| format!("not kept: {error}"), |()| file.display().to_string())
}
