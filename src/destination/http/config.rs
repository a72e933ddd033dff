//! The settings, checked and compiled.

use std::fmt;

use http::{HeaderName, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{
    destination::{Capabilities, Correlation, LookupKind, RowCaps, SyncProblem},
    model::{
        Operation,
        spec::{HttpIdentitySpec, HttpResultsSpec, HttpSpec, Mode, OnRemoved, SyncSpec},
    },
};

/// Most bytes of a request body. Generic, so no vendor's figure: what common servers take without being told.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Settings of an `http` destination that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("`{key}`: {problem}, got `{got}`")]
pub struct HttpSettingsError {
    /// The setting.
    pub key: &'static str,
    /// What is expected.
    pub problem: &'static str,
    /// What stands there.
    pub got: String,
}

/// The checked settings of an `http` destination.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    pub(super) method: Method,
    pub(super) path: Template,
    pub(super) delete_path: Option<Template>,
    pub(super) batch_size: usize,
    pub(super) envelope: Option<String>,
    pub(super) idempotency_header: HeaderName,
    pub(super) results: Option<Results>,
    pub(super) identity: Option<HttpIdentitySpec>,
    pub(super) capabilities: Capabilities,
}

/// A path with `{object}` and `{match}` in it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Template(String);

/// Where per-row results stand.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) pointers: HttpResultsSpec,
    /// Values of the status that mean success.
    pub(super) success: Vec<Value>,
}

impl HttpSettings {
    /// Checks and compiles the settings.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub(crate) fn new(spec: &HttpSpec) -> Result<Self, HttpSettingsError> {
        let method = match spec.method.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            other => return Err(problem("method", "expected `POST`, `PUT` or `PATCH`", other)),
        };
        let batch_size = usize::try_from(spec.batch_size).unwrap_or(usize::MAX);
        if batch_size == 0 {
            return Err(problem("batch_size", "expected at least 1", "0"));
        }
        let delete_path = spec.delete_path.as_deref().map(|path| Template::new("delete_path", path)).transpose()?;
        if let Some(path) = delete_path.as_ref().filter(|path| !path.0.contains("{match}")) {
            return Err(problem("delete_path", "expected `{match}` in it", &path.0));
        }
        let header = HeaderName::try_from(&spec.idempotency_header);
        let results = spec.results.as_ref().map(Results::new).transpose()?;
        if let Some(identity) = &spec.identity {
            Template::new("identity.path", &identity.path)?;
            check_pointer("identity.pointer", &identity.pointer)?;
        }
        Ok(Self {
            path: path_of(spec, batch_size)?,
            capabilities: capabilities(batch_size, delete_path.is_some(), results.as_ref()),
            method,
            delete_path,
            batch_size,
            envelope: spec.envelope.clone(),
            idempotency_header: header
                .map_err(|_| problem("idempotency_header", "expected a header name", &spec.idempotency_header))?,
            results,
            identity: spec.identity.clone(),
        })
    }
}

fn path_of(spec: &HttpSpec, batch_size: usize) -> Result<Template, HttpSettingsError> {
    let path = Template::new("path", &spec.path)?;
    if batch_size > 1 && path.0.contains("{match}") {
        return Err(problem("path", "expected `{match}` only where `batch_size` is 1", &path.0));
    }
    Ok(path)
}

fn problem(key: &'static str, problem: &'static str, got: &str) -> HttpSettingsError {
    HttpSettingsError { key, problem, got: got.to_owned() }
}

fn check_pointer(key: &'static str, pointer: &str) -> Result<(), HttpSettingsError> {
    let fits = pointer.is_empty() || pointer.starts_with('/');
    if fits { Ok(()) } else { Err(problem(key, "a JSON pointer is empty or begins with `/`", pointer)) }
}

fn capabilities(batch_size: usize, deletes: bool, results: Option<&Results>) -> Capabilities {
    let correlation = match results {
        None => Correlation::None,
        Some(results) if results.pointers.key.is_some() => Correlation::Key,
        Some(_) => Correlation::Position,
    };
    const WRITES: [Operation; 4] = [Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear];
    const ALL: [Operation; 5] =
        [Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear, Operation::Delete];
    Capabilities {
        max_rows: RowCaps { write: batch_size, delete: 1 },
        max_bytes: MAX_BYTES,
        operations: if deletes { &ALL } else { &WRITES },
        correlation,
        // An answer may name ids, but no request can be addressed by one.
        record_ids: false,
        idempotency: true,
        lookup: LookupKind::None,
        can_clear: true,
        max_match_fields: 1,
    }
}

impl Results {
    fn new(spec: &HttpResultsSpec) -> Result<Self, HttpSettingsError> {
        check_pointer("results.rows", &spec.rows)?;
        check_pointer("results.status", &spec.status)?;
        let optional = [
            ("results.key", &spec.key),
            ("results.record_id", &spec.record_id),
            ("results.error_code", &spec.error_code),
            ("results.error_message", &spec.error_message),
        ];
        for (key, pointer) in optional {
            pointer.as_deref().map_or(Ok(()), |pointer| check_pointer(key, pointer))?;
        }
        let parse = |text: &String| {
            serde_json::from_str(text)
                .map_err(|_| problem("results.success", "expected JSON texts such as `\"ok\"`", text))
        };
        let success: Vec<Value> = spec.success.iter().map(parse).collect::<Result<_, _>>()?;
        if success.is_empty() {
            return Err(problem("results.success", "expected at least one value", ""));
        }
        Ok(Self { pointers: spec.clone(), success })
    }
}

/// Everything but unreserved characters (RFC 3986) is encoded, so a value can neither end a segment nor begin a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Template {
    fn new(key: &'static str, text: &str) -> Result<Self, HttpSettingsError> {
        if !text.starts_with('/') {
            return Err(problem(key, "expected a path that begins with `/`", text));
        }
        let rest = text.replace("{object}", "").replace("{match}", "");
        if rest.contains(['{', '}']) {
            return Err(problem(key, "knows `{object}` and `{match}` only", text));
        }
        Ok(Self(text.to_owned()))
    }

    /// True when rows are addressed by their match value.
    pub(super) fn names_match(&self) -> bool {
        self.0.contains("{match}")
    }

    /// The path with both filled in; `None` when a value cannot stand in a path: an empty one would address the whole
    /// collection, and dots the folder above (no encoding of dots prevents that).
    pub(super) fn fill(&self, object: &str, match_value: &str) -> Option<String> {
        let encode = |value: &str| utf8_percent_encode(value, SEGMENT).to_string();
        let missing = |name: &str, value: &str| value.is_empty() && self.0.contains(name);
        // What is encoded holds no braces, so a value that looks like a placeholder stays a value.
        let path = self.0.replace("{object}", &encode(object)).replace("{match}", &encode(match_value));
        let climbs = path.split('/').any(|segment| matches!(segment, "." | ".."));
        (!climbs && !missing("{object}", object) && !missing("{match}", match_value)).then_some(path)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn has_keyed_results(spec: &HttpSpec) -> bool {
    spec.results.as_ref().is_some_and(|results| results.key.is_some())
}

/// Checks a sync against what this destination can do, without network.
///
/// # Errors
/// The first problem, with the setting that it concerns and what to do.
pub(crate) fn check_sync(spec: &HttpSpec, sync: &SyncSpec) -> Result<(), SyncProblem> {
    if matches!(sync.object.as_str(), "" | "." | "..") {
        return Err(SyncProblem::new("object", "the name cannot stand in a path", "name the API's collection"));
    }
    let needs_match = sync.mode != Mode::Append || spec.path.contains("{match}") || has_keyed_results(spec);
    if sync.match_fields.len() > 1 || (sync.match_fields.is_empty() && needs_match) {
        return Err(SyncProblem::new("match", "this destination finds records by exactly one field", "name one field"));
    }
    let deletes =
        sync.on_removed == OnRemoved::Delete || (sync.mode == Mode::Mirror && sync.on_removed == OnRemoved::Keep);
    if deletes && spec.delete_path.is_none() {
        let hint = "set `delete_path` of the destination, such as `/{object}/{match}`, or `on_removed = \"clear\"`";
        return Err(SyncProblem::new("on_removed", "the destination says no path to delete at", hint));
    }
    Ok(())
}
