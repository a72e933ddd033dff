//! The configuration as a user meets it: the default, every example, and a folder full of mistakes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use syncline::config::{ConfigErrors, Environment, Loaded, load};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load_folder(path: &str) -> Result<Loaded, ConfigErrors> {
    load(&[repository(path)], &Environment::default())
}

#[test]
fn ten_mistakes_in_four_files_are_ten_errors() {
    let errors = load_folder("tests/integration/config/ten-mistakes").unwrap_err();
    let text = errors.to_string().replace(&format!("{}/", repository("tests/integration/config").display()), "");
    assert_eq!(errors.0.len(), 10, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_default_and_every_example_are_valid() {
    let mut folders = vec!["config".to_owned()];
    for entry in fs::read_dir(repository("config/examples")).unwrap() {
        folders.push(format!("config/examples/{}", entry.unwrap().file_name().into_string().unwrap()));
    }
    assert!(folders.len() >= 3, "{folders:?}");
    for folder in folders {
        let loaded = load_folder(&folder).unwrap_or_else(|errors| panic!("{folder}:\n{errors}"));
        assert!(!loaded.specs.syncs.is_empty(), "{folder} has no sync");
        assert_eq!(loaded.warnings, [], "{folder}");
    }
}
