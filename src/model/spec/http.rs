//! The generic `http` destination's own settings.

use std::collections::BTreeMap;

use super::SecretSpec;
use crate::model::Operation;

/// The generic `http` destination's own settings: one form for all objects, and operations of single objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSpec {
    /// Path that upserts are sent to, below `base_url`; `{object}` stands for the sync's object and `{match}`, for
    /// requests of one record, for the match value. `None` where only `objects` are written.
    pub path: Option<String>,
    /// `POST`, `PUT` or `PATCH` for upserts.
    pub method: String,
    /// Path that removals are sent to, with `DELETE` and `{match}` in it; `None` refuses syncs that delete.
    pub delete_path: Option<String>,
    /// Records per request: 1 sends a JSON object, more send an array.
    pub batch_size: u32,
    /// Wraps the array under this name; `None` sends the bare array.
    pub envelope: Option<String>,
    /// Field of each record that carries the row's own idempotency key, where it has one.
    pub idempotency_field: Option<String>,
    /// Further fields of each record, with the same value in all, as JSON texts.
    pub constants: BTreeMap<String, String>,
    /// Header that carries the idempotency key.
    pub idempotency_header: String,
    /// Where an answer's per-row results stand; `None` when the API answers for the whole request only.
    pub results: Option<HttpResultsSpec>,
    /// JSON pointer to the account's name in the answer of `GET identity_path`.
    pub identity: Option<HttpIdentitySpec>,
    /// Objects whose operations have settings of their own; the settings above do not concern them.
    pub objects: BTreeMap<String, HttpObjectSpec>,
    /// The secrets that requests are signed with (Standard Webhooks), the newest first; empty for no signature.
    pub signing: Vec<SecretSpec>,
}

/// The operations of one object.
pub type HttpObjectSpec = BTreeMap<Operation, HttpOperationSpec>;

/// One operation of one object. Texts with `{{ … }}` are templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOperationSpec {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Template of the path below `base_url`.
    pub path: String,
    /// Templates of further headers, by name.
    pub headers: BTreeMap<String, String>,
    /// What the request carries.
    pub body: HttpBodySpec,
    /// The body's media type.
    pub content_type: String,
    /// Statuses that mean success.
    pub success: Vec<HttpStatuses>,
    /// Statuses after which the request is sent again.
    pub retryable: Vec<HttpStatuses>,
    /// Statuses that refuse the row for good.
    pub permanent: Vec<HttpStatuses>,
    /// JSON pointer to the record's id in the answer to a request of one row.
    pub record_id: Option<String>,
    /// Where an answer's per-row results stand.
    pub results: Option<HttpResultsSpec>,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpBodySpec {
    /// Nothing.
    None,
    /// The text of a template, which is JSON.
    Template {
        /// The template.
        text: String,
        /// Most rows of a request.
        batch_size: u32,
    },
    /// The records as such.
    Records(HttpRecordsSpec),
}

/// Records in a body: one object, or an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRecordsSpec {
    /// Records per request: 1 sends a JSON object, more send an array.
    pub batch_size: u32,
    /// Wraps the array under this name; `None` sends the bare array.
    pub envelope: Option<String>,
    /// Field of each record that carries the row's own idempotency key, where it has one.
    pub idempotency_field: Option<String>,
    /// Further fields of each record, with the same value in all, as JSON texts.
    pub constants: BTreeMap<String, String>,
}

/// Statuses from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpStatuses {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl HttpStatuses {
    /// 200 to 299.
    pub const SUCCESS: Self = Self { first: 200, last: 299 };

    /// Whether a status is one of them.
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }

    /// Whether some status is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl Default for HttpRecordsSpec {
    fn default() -> Self {
        Self { batch_size: 1, envelope: None, idempotency_field: None, constants: BTreeMap::new() }
    }
}

impl HttpSpec {
    /// Upserts of one record by `POST` to a path; nothing else.
    pub fn new(path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            method: "POST".to_owned(),
            delete_path: None,
            batch_size: 1,
            envelope: None,
            idempotency_field: None,
            constants: BTreeMap::new(),
            idempotency_header: "Idempotency-Key".to_owned(),
            results: None,
            identity: None,
            objects: BTreeMap::new(),
            signing: Vec::new(),
        }
    }

    /// Whether an operation of an object can be sent.
    pub fn can(&self, object: &str, operation: Operation) -> bool {
        match (self.objects.get(object), operation) {
            (Some(own), operation) => serving(own, operation).is_some(),
            (None, Operation::Delete) => self.delete_path.is_some(),
            (None, Operation::Upsert | Operation::Insert | Operation::Update | Operation::Clear) => self.path.is_some(),
        }
    }

    /// Whether a row of an object keeps an idempotency key of its own, whatever request it is sent in.
    pub fn names_rows(&self, object: &str, operation: Operation) -> bool {
        match self.objects.get(object) {
            None => self.batch_size <= 1 || self.idempotency_field.is_some(),
            Some(own) => serving(own, operation).is_some_and(HttpOperationSpec::names_rows),
        }
    }

    /// Whether a row of an object is told from others by its match value.
    pub fn needs_match(&self, object: &str, operation: Operation) -> bool {
        let keyed = |results: &Option<HttpResultsSpec>| results.as_ref().is_some_and(|results| results.key.is_some());
        match self.objects.get(object) {
            None => keyed(&self.results) || self.path.as_ref().is_some_and(|path| path.contains("{match}")),
            Some(own) => {
                serving(own, operation).is_some_and(|spec| keyed(&spec.results) || spec.path.contains("match"))
            }
        }
    }

    /// Whether records of an object are addressed by ids that answers name.
    pub fn gives_ids(&self, object: &str) -> bool {
        self.objects.get(object).is_some_and(gives_ids)
    }
}

/// The settings that serve an operation: an update that has none goes the way of the upsert.
pub fn serving(object: &HttpObjectSpec, operation: Operation) -> Option<&HttpOperationSpec> {
    let upsert = || object.get(&Operation::Upsert).filter(|_| operation == Operation::Update);
    object.get(&operation).or_else(upsert)
}

/// Whether answers name the ids of an object's records. These are then their only addresses once they are known.
pub fn gives_ids(object: &HttpObjectSpec) -> bool {
    let of_row = |spec: &HttpOperationSpec| spec.results.as_ref().is_some_and(|results| results.record_id.is_some());
    object.values().any(|spec| spec.record_id.is_some() || of_row(spec))
}

impl HttpOperationSpec {
    fn names_rows(&self) -> bool {
        let named = match &self.body {
            HttpBodySpec::Records(records) => records.idempotency_field.is_some(),
            HttpBodySpec::Template { text, .. } => text.contains("idempotency_key"),
            HttpBodySpec::None => true,
        };
        named || self.batch_size() <= 1
    }

    /// A request of one record, or of none for a delete, to a path.
    pub fn new(operation: Operation, path: &str) -> Self {
        let (method, body) = match operation {
            Operation::Upsert | Operation::Insert => ("POST", HttpBodySpec::Records(HttpRecordsSpec::default())),
            Operation::Update | Operation::Clear => ("PATCH", HttpBodySpec::Records(HttpRecordsSpec::default())),
            Operation::Delete => ("DELETE", HttpBodySpec::None),
        };
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: BTreeMap::new(),
            body,
            content_type: "application/json".to_owned(),
            success: vec![HttpStatuses::SUCCESS],
            retryable: Vec::new(),
            permanent: Vec::new(),
            record_id: None,
            results: None,
        }
    }

    /// Most rows of a request.
    pub const fn batch_size(&self) -> u32 {
        match &self.body {
            HttpBodySpec::None => 1,
            HttpBodySpec::Template { batch_size, .. } => *batch_size,
            HttpBodySpec::Records(records) => records.batch_size,
        }
    }

    /// The names that the templates of an operation may use. `by_id`: the object's records have ids; `in_body`: in the
    /// body, else in path and headers.
    pub fn variables(&self, operation: Operation, by_id: bool, in_body: bool) -> &'static [&'static str] {
        const SHARED: &[&str] = &["idempotency_key", "object"];
        const BATCH: &[&str] = &["idempotency_key", "object", "records"];
        const ROW: &[&str] = &["idempotency_key", "match", "object", "record"];
        const KNOWN_ROW: &[&str] = &["idempotency_key", "match", "object", "record", "record_id"];
        const REMOVED: &[&str] = &["idempotency_key", "object", "record_id"];
        const CLEARED: &[&str] = &["idempotency_key", "object", "record", "record_id"];
        match (self.batch_size() > 1, operation) {
            (true, _) => {
                if in_body {
                    BATCH
                } else {
                    SHARED
                }
            }
            (false, Operation::Upsert | Operation::Insert) => ROW,
            (false, Operation::Update) => {
                if by_id {
                    KNOWN_ROW
                } else {
                    ROW
                }
            }
            (false, Operation::Clear) => {
                if by_id {
                    CLEARED
                } else {
                    ROW
                }
            }
            (false, Operation::Delete) => {
                if by_id {
                    REMOVED
                } else {
                    ROW
                }
            }
        }
    }
}

/// Where an `http` answer's per-row results stand. All are JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResultsSpec {
    /// The array of results in the answer.
    pub rows: String,
    /// In a result: the row's match value; `None` matches results by position.
    pub key: Option<String>,
    /// In a result: the row's success flag or status.
    pub status: String,
    /// Values of `status` that mean success, as JSON texts (`"ok"`, `true`, `200`).
    pub success: Vec<String>,
    /// In a result: the vendor's record id.
    pub record_id: Option<String>,
    /// In a result: the error's code.
    pub error_code: Option<String>,
    /// In a result: the error's message.
    pub error_message: Option<String>,
}

/// How an `http` destination tells its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpIdentitySpec {
    /// Path below `base_url` for a `GET`.
    pub path: String,
    /// JSON pointer to the account's name.
    pub pointer: String,
}
