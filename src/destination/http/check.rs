//! Whether a sync fits the settings.

use crate::{
    destination::SyncProblem,
    model::{
        Operation,
        spec::{HttpSpec, Mode, OnRemoved, SyncSpec},
    },
};

/// Checks a sync against what this destination can do, without network.
///
/// # Errors
/// The first problem, with the setting that it concerns and what to do.
pub(crate) fn check_sync(spec: &HttpSpec, sync: &SyncSpec) -> Result<(), SyncProblem> {
    if matches!(sync.object.as_str(), "" | "." | "..") {
        return Err(SyncProblem::new("object", "the name cannot stand in a path", "name the API's collection"));
    }
    let needs_match = sync.mode != Mode::Append || spec.needs_match(&sync.object, Operation::Insert);
    if sync.match_fields.len() > 1 || (sync.match_fields.is_empty() && needs_match) {
        return Err(SyncProblem::new("match", "this destination finds records by exactly one field", "name one field"));
    }
    for (key, operation) in needed(sync) {
        if !spec.can(&sync.object, operation) {
            return Err(lacking(spec, sync, key, operation));
        }
    }
    Ok(())
}

/// What a sync sends, and the setting that makes it so.
fn needed(sync: &SyncSpec) -> Vec<(&'static str, Operation)> {
    let mut needed = vec![("object", sync.mode.operation(false))];
    match (sync.on_removed, sync.mode) {
        (OnRemoved::Delete, _) | (OnRemoved::Keep, Mode::Mirror) => needed.push(("on_removed", Operation::Delete)),
        (OnRemoved::Clear, _) => needed.push(("on_removed", Operation::Clear)),
        (OnRemoved::Keep, Mode::Upsert | Mode::Insert | Mode::Update | Mode::Append) => {}
    }
    needed
}

fn lacking(spec: &HttpSpec, sync: &SyncSpec, key: &'static str, operation: Operation) -> SyncProblem {
    if spec.objects.contains_key(&sync.object) {
        let (object, operation) = (&sync.object, operation.name());
        let message = format!("the destination does not say how to {operation} records of `{object}`");
        return SyncProblem::new(key, &message, &format!("add `[destinations.NAME.objects.{object}.{operation}]`"));
    }
    match operation {
        Operation::Delete => {
            let hint = "set `delete_path` of the destination, such as `/{object}/{match}`, or `on_removed = \"clear\"`";
            SyncProblem::new(key, "the destination says no path to delete at", hint)
        }
        Operation::Upsert | Operation::Insert | Operation::Update | Operation::Clear => SyncProblem::new(
            key,
            &format!("the destination says no path to {} records of `{}` at", operation.name(), sync.object),
            "set `path` of the destination, or configure the object below `objects`",
        ),
    }
}
