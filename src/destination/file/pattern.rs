//! Where the files of an object and a run stand.

use std::path::{Path, PathBuf};

use crate::model::RunId;

/// What hides a file that is still written.
const HIDDEN: (&str, &str) = (".", ".partial");

/// A path that makes no files. Holds the setting, which is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`path`: {problem}, got `{got}`")]
pub struct PatternError {
    /// What is expected.
    pub problem: &'static str,
    /// What stands there.
    pub got: String,
}

/// The `path` of the settings, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// The folder, perhaps with `{object}` in it.
    folder: String,
    /// The file's name before and after `{run}`, perhaps with `{object}` in it.
    name: (String, String),
}

impl Pattern {
    pub(super) fn new(path: &str) -> Result<Self, PatternError> {
        let wrong = |problem| Err(PatternError { problem, got: path.to_owned() });
        let (folder, name) = path
            .rsplit_once('/')
            .map_or((".", path), |(folder, name)| if folder.is_empty() { ("/", name) } else { (folder, name) });
        let rest = path.replace("{object}", "").replace("{run}", "");
        if rest.contains(['{', '}']) {
            return wrong("knows `{object}` and `{run}` only");
        }
        if path.chars().any(char::is_control) || name.starts_with('.') {
            return wrong("expected a path of a file that is not hidden");
        }
        match name.split_once("{run}") {
            Some((before, after)) if !after.contains("{run}") && !folder.contains("{run}") => {
                Ok(Self { folder: folder.to_owned(), name: (before.to_owned(), after.to_owned()) })
            }
            _ => wrong("expected `{run}` once, in the file's name: each run writes a file of its own"),
        }
    }

    /// The part of the folder that is the same for all objects.
    pub(super) fn root(&self) -> PathBuf {
        let fixed: PathBuf = Path::new(&self.folder)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains('{'))
            .collect();
        if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed }
    }

    /// The folder of an object's files.
    pub(super) fn folder(&self, object: &str) -> PathBuf {
        PathBuf::from(self.folder.replace("{object}", object))
    }

    /// The name of a run's file. Runs are padded, so that names sort as runs do.
    pub(super) fn name(&self, object: &str, run: RunId) -> String {
        let (before, after) = self.around(object);
        format!("{before}{:010}{after}", run.0)
    }

    /// The name that a hidden file of this object will have; `None` for any other file.
    pub(super) fn name_of_hidden(&self, object: &str, hidden: &str) -> Option<String> {
        let name = visible(hidden)?;
        let (before, after) = self.around(object);
        let run = name.strip_prefix(&before)?.strip_suffix(&after)?;
        (!run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.to_owned())
    }

    fn around(&self, object: &str) -> (String, String) {
        (self.name.0.replace("{object}", object), self.name.1.replace("{object}", object))
    }
}

/// The name of a file while it is written.
pub(super) fn hidden(name: &str) -> String {
    format!("{}{name}{}", HIDDEN.0, HIDDEN.1)
}

/// The name that a hidden file will have; `None` for any other file.
pub(super) fn visible(hidden: &str) -> Option<&str> {
    hidden.strip_prefix(HIDDEN.0)?.strip_suffix(HIDDEN.1)
}

/// Another name for a file whose own name is taken: `a-2.csv` for `a.csv`.
pub(super) fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{number}.{extension}"),
        _ => format!("{name}-{number}"),
    }
}

/// Whether an object's name can be part of a file's name.
pub(super) fn is_plain(object: &str) -> bool {
    !object.is_empty() && !object.starts_with('.') && !object.contains(|c: char| c.is_control() || "/\\{}".contains(c))
}
