//! Whether a sync fits the settings.

use super::{encode::OPERATION, pattern::is_plain};
use crate::{
    destination::SyncProblem,
    model::spec::{FileFormat, FileSpec, SyncSpec},
};

/// Checks a sync against what this destination can do.
///
/// # Errors
/// The first problem, with the setting that it concerns and what to do.
pub(crate) fn check_sync(spec: &FileSpec, sync: &SyncSpec) -> Result<(), SyncProblem> {
    if !is_plain(&sync.object) {
        let hint = "use letters, digits, `-` and `_`";
        return Err(SyncProblem::new("object", "the name cannot be part of a file's name", hint));
    }
    if spec.format == FileFormat::Csv && sync.fields.iter().any(|field| field.name == OPERATION) {
        let message = format!("a CSV file has a column `{OPERATION}` of its own");
        return Err(SyncProblem::new("fields", &message, "give the field another name, or use `format = \"jsonl\"`"));
    }
    Ok(())
}
