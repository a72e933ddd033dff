//! How access tokens are obtained.

use std::{fmt, sync::Arc};

use ipnet::IpNet;
use url::Url;

use crate::wire::secret::SecretProvider;

/// How access tokens are obtained.
#[derive(Clone)]
pub struct OAuth {
    /// The token endpoint. It may be another server than the API's.
    pub token_url: Url,
    /// Private ranges that the token endpoint may be in.
    pub allow_private: Vec<IpNet>,
    /// The client's id.
    pub client_id: Arc<dyn SecretProvider>,
    /// The client's secret.
    pub client_secret: Arc<dyn SecretProvider>,
    /// What is traded for an access token.
    pub grant: OAuthGrant,
    /// The `scope` parameter, if any.
    pub scope: Option<String>,
    /// The `audience` parameter that some servers want.
    pub audience: Option<String>,
    /// Where the client's id and secret stand.
    pub style: ClientStyle,
    /// Names the credential within the process: destinations of one credential share its access tokens.
    pub shared_as: u64,
}

/// What is traded for an access token.
#[derive(Clone)]
pub enum OAuthGrant {
    /// Nothing but the client's own credentials.
    ClientCredentials,
    /// The refresh token of an installation. It is only the first: one that the vendor sends instead is kept by the
    /// [`TokenStore`](crate::wire::TokenStore).
    RefreshToken(Arc<dyn SecretProvider>),
}

/// Where the client's id and secret stand in a token request (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStyle {
    /// Among the form's parameters.
    Body,
    /// In an `Authorization: Basic` header.
    Basic,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("host", &self.token_url.host_str()).finish_non_exhaustive()
    }
}
