//! What a connector hands in and gets back.

use std::{fmt, num::NonZeroU32};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

/// Which of an account's buckets a request is counted in, beside those for all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Reads single records, fields, or the account's identity.
    Read,
    /// Changes something at the vendor.
    Write,
    /// Searches, which vendors limit more tightly than reads.
    Search,
}

/// One HTTP request. Its body and URL hold row values: `Debug` shows neither.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole URL; its origin must be that of the account's `base_url`.
    pub url: Url,
    /// The path with names instead of values (`/crm/v3/objects/{object}/batch/upsert`): the only form of it that is logged.
    pub route: &'static str,
    /// Headers of the connector's own; authentication is added by the account.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
    /// Signs each attempt as the message of this id, with the secrets of the account's client.
    pub sign_as: Option<String>,
    /// What it counts as.
    pub class: Class,
    /// How many requests it counts as.
    pub weight: NonZeroU32,
}

impl Request {
    /// A request of weight 1 without headers or body.
    pub fn new(method: Method, url: Url, class: Class, route: &'static str) -> Self {
        Self {
            method,
            url,
            route,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            sign_as: None,
            class,
            weight: NonZeroU32::MIN,
        }
    }

    /// Sets a JSON body, already encoded, and its content type.
    #[must_use]
    pub fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = body.into();
        self
    }

    /// Sets one header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("route", &self.route)
            .field("class", &self.class)
            .field("weight", &self.weight)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The vendor's whole answer, whatever its status. `Debug` shows neither headers nor body.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most `max_body` bytes.
    pub body: Bytes,
    /// The vendor's name for this request, from the usual headers, for support cases.
    pub request_id: Option<String>,
}

impl Response {
    pub(super) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let request_id = request_id(&headers);
        Self { status, headers, body, request_id }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Names that vendors use; HubSpot sends `x-hubspot-correlation-id`.
const REQUEST_ID_HEADERS: [&str; 4] = ["x-hubspot-correlation-id", "x-request-id", "request-id", "x-correlation-id"];

/// Only plain, short ids are taken: a header is foreign text and this one is logged.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let plain = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok().filter(plain)).map(str::to_owned)
}
