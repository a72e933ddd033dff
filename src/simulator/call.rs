//! One vendor request and its answer, as plain bytes.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::body::Body;
use bytes::Bytes;
use serde_json::Value;

/// A request as a vendor sees it. Holds row values: deliberately without `Debug`.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// The value of a query parameter, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The path's segments, decoded, without empty ones.
    pub(super) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
    }

    /// A header as text; `None` when absent or not visible ASCII.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the call carries `Authorization: Bearer <token>`.
    pub(super) fn bears(&self, token: &str) -> bool {
        self.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) == Some(token)
    }
}

fn decode(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// An answer.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// A JSON answer from bytes that are JSON already.
    pub(super) fn raw_json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::typed(status, "application/json;charset=utf-8", body)
    }

    /// A JSON answer.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::raw_json(status, body.to_string())
    }

    /// An answer of any content type.
    pub(super) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self { status, headers, body: body.into() }
    }

    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// Sets a header; a value that no header can carry is left out.
    pub(super) fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.retain(|(known, _)| *known != name);
            self.headers.push((name, value));
        }
    }

    /// The response that axum sends.
    pub(super) fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = HeaderMap::from_iter(self.headers);
        response
    }
}
