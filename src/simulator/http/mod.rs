//! A plain JSON endpoint that accepts anything at any path.
//!
//! - `PUT`, `POST` and `PATCH` take one JSON object, an array of objects, or an envelope whose `--array-pointer` (default
//!   `/records`) leads to the array. `--key-pointer` (default `/id`) leads to a record's key; for one object without it
//!   the last segment of the path is the key. `PUT` and `POST` replace a record, `PATCH` sets its top-level fields.
//! - `DELETE` takes the key as the last segment of the path or, with a body, as in a write; an array may hold bare keys.
//!   What is gone already is no error.
//! - The answer is `{"results": [{"id": …, "status": "ok"}]}` in the order of the request; a refused row has
//!   `"status": "error"` and `"error": {"code": …, "message": …}`. The status is 200 also then, 400 when the body is not
//!   of this grammar, 401 for a wrong token, 429 with `Retry-After`.
//! - `GET /…/{key}` answers one record or 404, `GET /…?keys=a,b` answers `{"results": [{"id": …, "record": …}]}` of
//!   those that exist.
//! - The first answer to an `Idempotency-Key` is kept and repeated (header `Idempotent-Replayed: true`) for the same
//!   method, path and body; anything else under that key is refused with 422.
//!
//! - A row may carry an idempotency key of its own (`--row-key-pointer`, default `/idempotency_key`): the first write under
//!   it wins, a later one is answered `ok` and writes nothing.
//! - Below `--log-path` (such as `/events`) lies an append log: every row of a `POST` adds an event, also one that is there
//!   already, unless an idempotency key is known. The judge knows it as the object `events` and counts how often each was
//!   applied.
//! - With `--strict` a `POST` of a record that exists and a `PATCH` of one that does not are refused: one object with 409
//!   and 404, a row of an array with the codes `exists` and `not_found`.
//!
//! All other paths share one set of records; the judge knows it as the object `records`.

mod body;
mod log;
mod store;
#[cfg(test)]
mod tests;

pub(in crate::simulator) use store::HttpStore;

/// Where keys and rows are in a body, as JSON pointers (RFC 6901).
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// From a row to its key: a string, a number or a boolean.
    pub key_pointer: String,
    /// From an envelope to its rows.
    pub array_pointer: String,
    /// From a row to its own idempotency key.
    pub row_key_pointer: String,
    /// Paths that begin with this are an append log.
    pub log_path: Option<String>,
    /// `POST` only creates and `PATCH` only updates.
    pub strict: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            key_pointer: "/id".to_owned(),
            array_pointer: "/records".to_owned(),
            row_key_pointer: "/idempotency_key".to_owned(),
            log_path: None,
            strict: false,
        }
    }
}
