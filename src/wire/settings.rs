//! How a destination is reached.

use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::{
    address::{Policy, Refused},
    limits::LimitsError,
    secret::Auth,
    signing::SigningSecrets,
};

/// How a destination is reached.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The only origin (scheme, host, port) that requests may go to.
    pub base_url: Url,
    /// Longest time for name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Longest time from the first byte of the request to the last of the answer, connecting included.
    pub request_timeout: Duration,
    /// Largest body of an answer, in bytes.
    pub max_body: usize,
    /// Private ranges that this destination may be in. Metadata services need their exact address here.
    pub allow_private: Vec<IpNet>,
    /// Allows `http://` to public addresses. To allowed private ones it is always allowed.
    pub allow_plain_http: bool,
    /// How requests are authenticated.
    pub auth: Auth,
    /// Secrets that requests are signed with, where they ask for it; the newest first.
    pub signing: SigningSecrets,
}

impl ClientSettings {
    /// The defaults: 5 s to connect, 60 s in all, bodies up to 8 MiB, public addresses over TLS only.
    pub fn new(base_url: Url, auth: Auth) -> Self {
        Self {
            base_url,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            max_body: 8 << 20,
            allow_private: Vec::new(),
            allow_plain_http: false,
            auth,
            signing: SigningSecrets::default(),
        }
    }
}

impl ClientSettings {
    /// Checks the settings and says what they allow to reach.
    pub(super) fn policy(&self) -> Result<Policy, SettingsError> {
        let public = match self.base_url.scheme() {
            "https" => true,
            "http" => self.allow_plain_http,
            other => return Err(SettingsError::Scheme(other.to_owned())),
        };
        if self.base_url.host().is_none() {
            return Err(SettingsError::NoHost);
        }
        if self.connect_timeout.is_zero() || self.connect_timeout >= self.request_timeout {
            return Err(SettingsError::Timeouts { connect: self.connect_timeout, request: self.request_timeout });
        }
        let policy = Policy::new(self.allow_private.clone(), public);
        policy.check_url(&self.base_url).map_err(SettingsError::Address)?;
        Ok(policy)
    }
}

/// Settings that no client can be built from.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Something else than `http` or `https`.
    #[error("`base_url` must begin with `https://` or `http://`, got `{0}:`")]
    Scheme(String),
    /// A URL without host.
    #[error("`base_url` names no host")]
    NoHost,
    /// The host is an address that is not allowed, or the URL holds a password.
    #[error("`base_url` may not be used")]
    Address(#[source] Refused),
    /// The timeouts contradict each other.
    #[error("`connect_timeout` ({connect:?}) must be above zero and below `request_timeout` ({request:?})")]
    Timeouts {
        /// To connect.
        connect: Duration,
        /// In all.
        request: Duration,
    },
    /// The same of a token endpoint.
    #[error("`token_url` cannot be used")]
    TokenUrl(#[source] Box<Self>),
    /// The limits cannot work.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The TLS set-up failed, for example because this machine has no root certificates.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}
