//! What is secret in a token request, and the request made of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{ClientStyle, OAuth, endpoint::TokenRequest, tokens::Trouble};
use crate::wire::{
    fault::{Fault, FaultKind, Sent},
    secret::SecretProvider,
    store::GrantKey,
};

/// A refresh token: the `generation`th of its grant, 0 being the configured one.
#[derive(Clone)]
pub(super) struct Refresh {
    pub(super) grant: GrantKey,
    pub(super) generation: i64,
    pub(super) token: SecretString,
}

/// Everything that is secret in a token request, as it is now.
pub(super) struct Secrets {
    pub(super) id: SecretString,
    pub(super) secret: SecretString,
    pub(super) refresh: Option<Refresh>,
}

impl Secrets {
    /// Tells refused secrets from new ones without keeping them.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let refresh = self.refresh.as_ref().map_or("", |refresh| refresh.token.expose_secret());
        for part in [self.id.expose_secret(), self.secret.expose_secret(), refresh] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().into()
    }

    /// The request that trades these secrets in.
    pub(super) fn request(&self, settings: &OAuth) -> Result<TokenRequest, Trouble> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.refresh {
            None => form.append_pair("grant_type", "client_credentials"),
            Some(refresh) => form
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", refresh.token.expose_secret()),
        };
        for (name, value) in [("scope", &settings.scope), ("audience", &settings.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let (id, secret) = (self.id.expose_secret(), self.secret.expose_secret());
        let authorization = match settings.style {
            ClientStyle::Body => {
                form.append_pair("client_id", id).append_pair("client_secret", secret);
                None
            }
            ClientStyle::Basic => Some(client_header(id, secret)?),
        };
        Ok(TokenRequest { form: Zeroizing::new(form.finish()), authorization })
    }
}

/// Secrets that cannot be read, sent or kept.
pub(super) fn unreadable() -> Fault {
    Fault::new(FaultKind::Credentials, Sent::No)
}

/// Reads one secret, as it is now.
pub(super) async fn read(provider: &dyn SecretProvider) -> Result<SecretString, Trouble> {
    provider.read().await.map_err(|error| Trouble { fault: unreadable().because(error), dead: false })
}

/// RFC 6749 section 2.3.1: both are form-encoded before they are joined.
fn client_header(id: &str, secret: &str) -> Result<HeaderValue, Trouble> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(id), encode(secret)));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let unusable = |_| Trouble { fault: unreadable().because("the client's id and secret fit no header"), dead: false };
    let mut value = HeaderValue::from_str(&text).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}
