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
//! All paths share one set of records; the judge knows it as the object `records`.

mod body;
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
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { key_pointer: "/id".to_owned(), array_pointer: "/records".to_owned() }
    }
}
