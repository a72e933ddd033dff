//! Finds what crashes have left, also under an earlier `path` or `format`.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    pattern::{Pattern, visible},
    store::recover,
};
use crate::model::spec::FileFormat;

/// Folders below the root that are looked into, one in another.
const DEPTH: usize = 4;

/// Publishes what crashes have left of an object's files.
///
/// # Errors
/// When a file cannot be published; it stays for the next run.
pub(super) fn recover_all(pattern: &Pattern, object: &str, format: FileFormat) -> io::Result<()> {
    let folder = pattern.folder(object);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?.file_name();
        names.extend(entry.to_str().and_then(|hidden| pattern.name_of_hidden(object, hidden)));
    }
    // The oldest first: names sort as runs do.
    names.sort_unstable();
    names.iter().try_for_each(|name| recover(&folder, name, Some(format)))
}

/// Publishes what crashes have left anywhere below the root, whatever path, format or object it was written for.
///
/// # Errors
/// When a file cannot be published, also because its format is not known; it stays for the next run.
pub(super) fn recover_strays(root: &Path) -> io::Result<()> {
    let mut found = Vec::new();
    find(root, DEPTH, &mut found)?;
    found.sort_unstable();
    found.iter().try_for_each(|(name, folder)| recover(folder, name, format_by_extension(name)))
}

/// Collects the hidden files with a run's number: the names that they will have, and their folders.
fn find(folder: &Path, depth: usize, found: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // Gone meanwhile, or below the root a folder of somebody else.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && depth < DEPTH => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            find(&entry.path(), depth - 1, found)?;
        } else if kind.is_file() {
            found.extend(left_name(entry.file_name()).map(|name| (name, folder.to_owned())));
        }
    }
    Ok(())
}

fn left_name(hidden: OsString) -> Option<String> {
    let name = visible(hidden.to_str()?)?;
    // Whatever the path was, the name holds the run in ten digits or more.
    let numbered = name.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 10);
    numbered.then(|| name.to_owned())
}

fn format_by_extension(name: &str) -> Option<FileFormat> {
    let extension = Path::new(name).extension()?.to_str()?;
    [("jsonl", FileFormat::JsonLines), ("csv", FileFormat::Csv)]
        .into_iter()
        .find_map(|(known, format)| extension.eq_ignore_ascii_case(known).then_some(format))
}
