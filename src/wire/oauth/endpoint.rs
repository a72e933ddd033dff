//! The way to a token endpoint.

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::OAuth;
use crate::wire::{
    client::Client,
    credential::Credentials,
    fault::Fault,
    request::Response,
    secret::Auth,
    settings::{ClientSettings, SettingsError},
};

/// Longest time for a whole token request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes.
const MAX_BODY: usize = 64 << 10;

/// One token request. Holds secrets: deliberately without `Debug`.
pub(super) struct TokenRequest {
    /// The form, encoded.
    pub(super) form: Zeroizing<String>,
    /// `Basic …`, where the client authenticates so.
    pub(super) authorization: Option<HeaderValue>,
}

/// A token endpoint.
#[async_trait]
pub(super) trait Endpoint: Send + Sync {
    /// Asks once.
    ///
    /// # Errors
    /// When there is no whole answer.
    async fn ask(&self, request: TokenRequest) -> Result<Response, Fault>;
}

/// A token endpoint over HTTP, with an address guard of its own. Redirects are not followed and nothing of it is logged.
pub(super) struct HttpEndpoint(Client);

impl HttpEndpoint {
    pub(super) fn new(settings: &OAuth) -> Result<Self, SettingsError> {
        let client = ClientSettings {
            request_timeout: TIMEOUT,
            max_body: MAX_BODY,
            allow_private: settings.allow_private.clone(),
            ..ClientSettings::new(settings.token_url.clone(), Auth::None)
        };
        let client = Client::new(client, Credentials::None);
        client.map(Self).map_err(|error| SettingsError::TokenUrl(Box::new(error)))
    }
}

#[async_trait]
impl Endpoint for HttpEndpoint {
    async fn ask(&self, request: TokenRequest) -> Result<Response, Fault> {
        self.0.post_form(&request.form, request.authorization).await
    }
}
