//! Errors and warnings with their place in a file.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    path::PathBuf,
};

/// Where something stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// In a file; line and column count from 1, columns in characters.
    File {
        /// The file, as it was found below the `--config` folder.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// A whole file or folder.
    Path(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Path(path) => write!(f, "{}:1:1", path.display()),
            Self::Environment(name) => write!(f, "environment variable `{name}`"),
        }
    }
}

/// One error or warning: what is wrong, why, and what to do. None of the three holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// Why: what was got and what was expected.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

impl Diagnostic {
    fn write(&self, level: &str, f: &mut impl fmt::Write) -> fmt::Result {
        let Self { origin, message, cause, hint } = self;
        write!(f, "{origin}: {level}: {message}\n  cause: {cause}\n  hint: {hint}")
    }

    /// The text of a warning, three lines.
    pub fn to_warning(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.write("warning", &mut text).unwrap_or(());
        text
    }
}

/// Every error of a configuration, in order of file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Diagnostic>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.write("error", f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects errors and warnings while the configuration is decoded.
#[derive(Debug, Default)]
pub(super) struct Sink {
    errors: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Vec<Diagnostic>>,
    /// Files and lines with broken syntax: what is missing or odd there is a consequence, not a mistake of its own.
    broken: RefCell<BTreeSet<(PathBuf, usize)>>,
    /// A `[table]` line is broken, so that names may be lost.
    broken_header: Cell<bool>,
}

impl Sink {
    /// Reports broken syntax, once a line.
    pub(super) fn syntax(&self, origin: &Origin, in_header: bool, cause: &str, hint: &str) {
        self.error(origin, "the file is not valid TOML", cause, hint);
        self.broken_header.set(self.broken_header.get() || in_header);
        if let Origin::File { path, line, .. } = origin {
            self.broken.borrow_mut().insert((path.clone(), *line));
        }
    }

    /// Reports something missing; not in a broken file, where it may stand in the broken part.
    pub(super) fn missing(&self, origin: &Origin, message: String, cause: String, hint: String) {
        let broken = match origin {
            Origin::File { path, .. } => self.broken.borrow().iter().any(|(file, _)| file == path),
            Origin::Path(_) | Origin::Environment(_) => false,
        };
        if !broken {
            self.error(origin, message, cause, hint);
        }
    }

    /// True when names that are referred to may have been lost with a broken `[table]` line.
    pub(super) fn names_are_lost(&self) -> bool {
        self.broken_header.get()
    }

    fn is_broken(&self, origin: &Origin) -> bool {
        match origin {
            Origin::File { path, line, .. } => self.broken.borrow().contains(&(path.clone(), *line)),
            Origin::Path(_) | Origin::Environment(_) => false,
        }
    }

    pub(super) fn error(
        &self,
        origin: &Origin,
        message: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.is_broken(origin) {
            return;
        }
        self.errors.borrow_mut().push(Diagnostic {
            origin: origin.clone(),
            message: message.into(),
            cause: cause.into(),
            hint: hint.into(),
        });
    }

    pub(super) fn warning(
        &self,
        origin: &Origin,
        message: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.warnings.borrow_mut().push(Diagnostic {
            origin: origin.clone(),
            message: message.into(),
            cause: cause.into(),
            hint: hint.into(),
        });
    }

    /// The warnings, or all errors when there are any.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, ConfigErrors> {
        let mut errors = self.errors.into_inner();
        if errors.is_empty() {
            return Ok(self.warnings.into_inner());
        }
        errors.sort_by(|a, b| a.origin.cmp(&b.origin));
        errors.dedup();
        Err(ConfigErrors(errors))
    }
}
