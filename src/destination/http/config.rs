//! The settings, checked and compiled.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use http::HeaderName;
use serde_json::Value;

use super::{operation::Call, path::Path};
use crate::{
    destination::{Capabilities, Correlation, LookupKind, RowCaps},
    model::{
        Operation,
        spec::{
            HttpBodySpec, HttpIdentitySpec, HttpObjectSpec, HttpOperationSpec, HttpRecordsSpec, HttpResultsSpec,
            HttpSpec, gives_ids, serving,
        },
    },
};

/// Most bytes of a request body. Generic, so no vendor's figure: what common servers take without being told.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Every operation.
const OPERATIONS: [Operation; 5] =
    [Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear, Operation::Delete];

/// Settings of an `http` destination that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("`{key}`: {problem}, got `{got}`")]
pub struct HttpSettingsError {
    /// The setting, below the destination's table.
    pub key: String,
    /// What is wrong, or expected.
    pub problem: String,
    /// What stands there.
    pub got: String,
}

/// The checked settings of an `http` destination.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    /// Objects with settings of their own.
    objects: HashMap<String, Object>,
    /// For all other objects.
    others: Object,
    pub(super) idempotency_header: HeaderName,
    pub(super) identity: Option<HttpIdentitySpec>,
    /// Whether requests are signed.
    pub(super) signs: bool,
}

/// The operations of an object.
#[derive(Debug)]
pub(super) struct Object {
    calls: BTreeMap<Operation, Call>,
    pub(super) capabilities: Capabilities,
}

/// Where per-row results stand.
#[derive(Debug, Clone)]
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
        let header = HeaderName::try_from(&spec.idempotency_header);
        if let Some(identity) = &spec.identity {
            flat_path("identity.path", &identity.path)?;
            check_pointer("identity.pointer", &identity.pointer)?;
        }
        let own = |(name, object): (&String, &HttpObjectSpec)| {
            Ok((name.clone(), Object::new(&format!("objects.{name}."), object, gives_ids(object))?))
        };
        Ok(Self {
            objects: spec.objects.iter().map(own).collect::<Result<_, _>>()?,
            // An answer may name ids, but no request of the simple form can be addressed by one.
            others: Object::new("", &flat(spec)?, false)?,
            idempotency_header: header.map_err(|_| {
                problem("idempotency_header".to_owned(), "expected a header name", &spec.idempotency_header)
            })?,
            identity: spec.identity.clone(),
            signs: !spec.signing.is_empty(),
        })
    }

    /// What is done with an object.
    pub(super) fn object(&self, name: &str) -> &Object {
        self.objects.get(name).unwrap_or(&self.others)
    }
}

impl Object {
    /// `by_id`: once known, ids are the addresses of records.
    fn new(table: &str, spec: &HttpObjectSpec, by_id: bool) -> Result<Self, HttpSettingsError> {
        let mut calls = BTreeMap::new();
        for operation in OPERATIONS {
            let Some(own) = serving(spec, operation) else { continue };
            // An update without settings of its own is sent as an upsert, whose templates know no record id.
            let like = if spec.contains_key(&operation) { operation } else { Operation::Upsert };
            let table = if table.is_empty() { String::new() } else { format!("{table}{}", like.name()) };
            calls.insert(operation, Call::new(&table, like, own, by_id)?);
        }
        Ok(Self { capabilities: capabilities(&calls, by_id), calls })
    }

    /// How an operation is sent; `None` when it is not configured.
    pub(super) fn call(&self, operation: Operation) -> Option<&Call> {
        self.calls.get(&operation)
    }

    /// How records are written in full.
    pub(super) fn writes(&self) -> impl Iterator<Item = &Call> {
        [Operation::Upsert, Operation::Insert, Operation::Update].into_iter().filter_map(|one| self.call(one))
    }
}

/// The simple form as operations.
fn flat(spec: &HttpSpec) -> Result<HttpObjectSpec, HttpSettingsError> {
    let mut operations = HttpObjectSpec::new();
    if let Some(path) = &spec.path {
        let template = flat_path("path", path)?;
        if spec.batch_size > 1 && path.contains("{match}") {
            return Err(problem("path".to_owned(), "expected `{match}` only where `batch_size` is 1", path));
        }
        if !matches!(spec.method.as_str(), "POST" | "PUT" | "PATCH") {
            return Err(problem("method".to_owned(), "expected `POST`, `PUT` or `PATCH`", &spec.method));
        }
        let write = HttpOperationSpec {
            method: spec.method.clone(),
            body: HttpBodySpec::Records(HttpRecordsSpec {
                batch_size: spec.batch_size,
                envelope: spec.envelope.clone(),
                idempotency_field: spec.idempotency_field.clone(),
                constants: spec.constants.clone(),
            }),
            results: spec.results.clone(),
            ..HttpOperationSpec::new(Operation::Upsert, &template)
        };
        for operation in [Operation::Upsert, Operation::Insert, Operation::Clear] {
            operations.insert(operation, write.clone());
        }
    }
    if let Some(path) = &spec.delete_path {
        let template = flat_path("delete_path", path)?;
        if !path.contains("{match}") {
            return Err(problem("delete_path".to_owned(), "expected `{match}` in it", path));
        }
        operations.insert(Operation::Delete, HttpOperationSpec::new(Operation::Delete, &template));
    }
    Ok(operations)
}

/// A path of the simple form as a template.
fn flat_path(key: &str, text: &str) -> Result<String, HttpSettingsError> {
    let rest = text.replace("{object}", "").replace("{match}", "");
    if rest.contains(['{', '}']) {
        return Err(problem(key.to_owned(), "knows `{object}` and `{match}` only", text));
    }
    let template = text.replace("{object}", "{{ object }}").replace("{match}", "{{ match }}");
    Path::new(&template).map_err(|why| problem(key.to_owned(), &why, text))?;
    Ok(template)
}

pub(super) fn problem(key: String, problem: &str, got: &str) -> HttpSettingsError {
    HttpSettingsError { key, problem: problem.to_owned(), got: got.to_owned() }
}

pub(super) fn check_pointer(key: &str, pointer: &str) -> Result<(), HttpSettingsError> {
    let fits = pointer.is_empty() || pointer.starts_with('/');
    if fits { Ok(()) } else { Err(problem(key.to_owned(), "a JSON pointer is empty or begins with `/`", pointer)) }
}

fn capabilities(calls: &BTreeMap<Operation, Call>, by_id: bool) -> Capabilities {
    let rows = |operation: Operation| calls.get(&operation).map_or(1, |call| call.batch_size);
    let results = calls.values().find_map(|call| call.results.as_ref());
    let correlation = match results {
        None => Correlation::None,
        Some(results) if results.pointers.key.is_some() => Correlation::Key,
        Some(_) => Correlation::Position,
    };
    Capabilities {
        max_rows: RowCaps {
            upsert: rows(Operation::Upsert),
            insert: rows(Operation::Insert),
            update: rows(Operation::Update),
            clear: rows(Operation::Clear),
            delete: rows(Operation::Delete),
        },
        max_bytes: MAX_BYTES,
        operations: Cow::Owned(calls.keys().copied().collect()),
        correlation,
        record_ids: by_id,
        updates_by_id: calls.get(&Operation::Update).is_some_and(|call| call.by_id),
        idempotency: true,
        lookup: LookupKind::None,
        can_clear: calls.contains_key(&Operation::Clear),
        max_match_fields: 1,
    }
}

impl Results {
    pub(super) fn new(key: &str, spec: &HttpResultsSpec) -> Result<Self, HttpSettingsError> {
        check_pointer(&format!("{key}.rows"), &spec.rows)?;
        check_pointer(&format!("{key}.status"), &spec.status)?;
        let optional = [
            ("key", &spec.key),
            ("record_id", &spec.record_id),
            ("error_code", &spec.error_code),
            ("error_message", &spec.error_message),
        ];
        for (name, pointer) in optional {
            pointer.as_deref().map_or(Ok(()), |pointer| check_pointer(&format!("{key}.{name}"), pointer))?;
        }
        let success = || format!("{key}.success");
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|_| problem(success(), "expected JSON texts such as `\"ok\"`", text))
        };
        let values: Vec<Value> = spec.success.iter().map(parse).collect::<Result<_, _>>()?;
        if values.is_empty() {
            return Err(problem(success(), "expected at least one value", ""));
        }
        Ok(Self { pointers: spec.clone(), success: values })
    }
}
