//! A configuration file through the real loader, which reads no other file.

use std::fs;

use crate::config::{Environment, Origin, load};

/// Loading gives the same twice, and every error has its place in the file and says something.
pub(super) fn run(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let written = fs::write(folder.path().join("a.toml"), bytes);
    assert!(written.is_ok(), "the temporary folder cannot be written");
    let once = || load(&[folder.path().to_owned()], &Environment::default());
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    match (once(), once()) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.specs, second.specs, "loaded twice, two specifications");
            drop((first.given.to_toml(true), first.given.to_json()));
        }
        (Err(first), Err(second)) => {
            assert_eq!(first, second, "loaded twice, different errors");
            assert!(!first.0.is_empty(), "refused without an error");
            for error in &first.0 {
                assert!(!error.message.is_empty() && !error.hint.is_empty(), "an error that says nothing");
                if let Origin::File { line, column, .. } = &error.origin {
                    assert!((1..=lines).contains(line) && *column >= 1, "an error outside the file");
                }
            }
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => unreachable!("loaded twice, once refused"),
    }
}
