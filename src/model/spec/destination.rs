//! Where records go: destinations, limits, vendors.

use std::time::Duration;

use super::{SecretSpec, TextSpec};

/// One account of one external system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationSpec {
    /// Its name.
    pub name: String,
    /// The vendor and its own settings.
    pub vendor: VendorSpec,
    /// Where requests go; the vendor's own address when absent.
    pub base_url: Option<String>,
    /// Private address ranges that requests may reach (CIDR).
    pub allow_private: Vec<String>,
    /// The account that the vendor must name before the first send.
    pub account: Option<String>,
    /// The credential.
    pub auth: AuthSpec,
    /// Limits that replace the vendor's defaults; empty for the defaults.
    pub limits: LimitsSpec,
    /// A whole request may take this long.
    pub request_timeout: Duration,
}

impl DestinationSpec {
    /// A destination with every setting at its default and without authentication.
    pub fn new(name: &str, vendor: VendorSpec) -> Self {
        Self {
            name: name.to_owned(),
            vendor,
            base_url: None,
            allow_private: Vec::new(),
            account: None,
            auth: AuthSpec::None,
            limits: LimitsSpec::default(),
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// How requests are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSpec {
    /// No authentication (generic `http` only).
    None,
    /// `Authorization: Bearer …`.
    Bearer(SecretSpec),
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        user: TextSpec,
        /// The password.
        password: SecretSpec,
    },
    /// A header with a secret.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: SecretSpec,
    },
    /// A query parameter with a secret.
    Query {
        /// The parameter's name.
        name: String,
        /// Its value.
        value: SecretSpec,
    },
    /// Access tokens of an OAuth 2.0 token endpoint.
    OAuth(Box<OAuthSpec>),
}

/// How access tokens are obtained (RFC 6749).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSpec {
    /// The token endpoint; `None` is the vendor's own, below `base_url`.
    pub token_url: Option<String>,
    /// The client's id.
    pub client_id: TextSpec,
    /// The client's secret.
    pub client_secret: SecretSpec,
    /// The first refresh token; without one the client's own credentials are traded in.
    pub refresh_token: Option<SecretSpec>,
    /// The `scope` parameter.
    pub scope: Option<String>,
    /// The `audience` parameter.
    pub audience: Option<String>,
    /// Where the client's id and secret stand.
    pub style: OAuthStyle,
    /// Private address ranges that token requests may reach (CIDR), unless the endpoint is of the same origin as `base_url`.
    pub allow_private: Vec<String>,
}

impl OAuthSpec {
    /// The client credentials grant with every setting at its default.
    pub const fn new(client_id: TextSpec, client_secret: SecretSpec) -> Self {
        Self {
            token_url: None,
            client_id,
            client_secret,
            refresh_token: None,
            scope: None,
            audience: None,
            style: OAuthStyle::Body,
            allow_private: Vec::new(),
        }
    }
}

/// Where the client's id and secret stand in a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthStyle {
    /// In the form.
    Body,
    /// In an `Authorization: Basic` header.
    Basic,
}

/// Request limits of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitsSpec {
    /// `requests` per `per`; several may hold at once.
    pub windows: Vec<WindowSpec>,
    /// Requests in flight at once.
    pub concurrent: Option<u32>,
    /// Requests per day.
    pub daily: Option<u64>,
    /// Share of the daily limit that is left to others, in percent.
    pub reserve_percent: Option<u8>,
}

/// At most `requests` within any stretch of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    /// Number of requests.
    pub requests: u32,
    /// Length of the window.
    pub per: Duration,
    /// Spread evenly instead of in bursts, for an account that people share.
    pub smooth: bool,
}

/// The vendors and their own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VendorSpec {
    /// HubSpot CRM.
    HubSpot(HubSpotSpec),
    /// Any JSON API.
    Http(Box<HttpSpec>),
}

impl VendorSpec {
    /// The name that `type = …` has in the configuration.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::HubSpot(_) => "hubspot",
            Self::Http(_) => "http",
        }
    }
}

/// HubSpot's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSpotSpec {
    /// Path of the object endpoints: `/crm/v3/objects` (default) or a dated `/crm/objects/2026-09`.
    pub objects_path: String,
}

/// The generic `http` destination's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSpec {
    /// Path that upserts are sent to, below `base_url`; `{object}` stands for the sync's object.
    pub path: String,
    /// `POST`, `PUT` or `PATCH` for upserts.
    pub method: String,
    /// Path that removals are sent to, with `DELETE`; `None` refuses syncs that delete.
    pub delete_path: Option<String>,
    /// Records per request: 1 sends a JSON object, more send an array.
    pub batch_size: u32,
    /// Wraps the array under this name; `None` sends the bare array.
    pub envelope: Option<String>,
    /// Header that carries the idempotency key.
    pub idempotency_header: String,
    /// Where an answer's per-row results stand; `None` when the API answers for the whole request only.
    pub results: Option<HttpResultsSpec>,
    /// JSON pointer to the account's name in the answer of `GET identity_path`.
    pub identity: Option<HttpIdentitySpec>,
}

impl HttpSpec {
    /// Upserts of one record by `POST` to a path; nothing else.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            method: "POST".to_owned(),
            delete_path: None,
            batch_size: 1,
            envelope: None,
            idempotency_header: "Idempotency-Key".to_owned(),
            results: None,
            identity: None,
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
