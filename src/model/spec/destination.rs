//! Where records go: destinations, limits, vendors.

use std::time::Duration;

use super::{HttpSpec, SecretSpec, TextSpec};

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
    /// Files in a local folder.
    File(FileSpec),
}

impl VendorSpec {
    /// The name that `type = …` has in the configuration.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::HubSpot(_) => "hubspot",
            Self::Http(_) => "http",
            Self::File(_) => "file",
        }
    }
}

/// HubSpot's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSpotSpec {
    /// Path of the object endpoints: `/crm/v3/objects` (default) or a dated `/crm/objects/2026-09`.
    pub objects_path: String,
}

/// The `file` destination's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Path of the files, relative to the working directory: `{object}` stands for the sync's object, `{run}`, which the
    /// file name must have, for the run's number.
    pub path: String,
    /// How rows are written.
    pub format: FileFormat,
}

/// How rows are written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// JSON Lines: one JSON object a row.
    JsonLines,
    /// CSV (RFC 4180) with a header.
    Csv,
}
