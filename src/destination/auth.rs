//! From the settings of a credential to what the wire adds to requests.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use secrecy::SecretString;
use url::Url;

use super::{DestinationError, hubspot, registry::private};
use crate::{
    model::spec::{AuthSpec, DestinationSpec, OAuthSpec, OAuthStyle, SecretSpec, TextSpec, VendorSpec},
    wire::{Auth, ClientStyle, FixedSecret, OAuth, OAuthGrant, SecretProvider},
};

/// How a destination authenticates.
///
/// # Errors
/// The first setting that cannot work.
pub(super) fn auth(
    spec: &DestinationSpec,
    base_url: &Url,
    secret: &impl Fn(&SecretSpec) -> Arc<dyn SecretProvider>,
) -> Result<Auth, DestinationError> {
    Ok(match &spec.auth {
        AuthSpec::None => Auth::None,
        AuthSpec::Bearer(token) => Auth::Bearer(secret(token)),
        AuthSpec::Basic { user, password } => Auth::Basic { user: text(user, secret), password: secret(password) },
        AuthSpec::Header { name, value } => {
            let header = name.parse().map_err(|_| DestinationError::Header { got: name.clone() })?;
            Auth::Header { name: header, secret: secret(value) }
        }
        AuthSpec::Query { name, value } => Auth::Query { name: name.clone(), secret: secret(value) },
        AuthSpec::OAuth(settings) => Auth::OAuth(Box::new(oauth(spec, settings, base_url, secret)?)),
    })
}

fn oauth(
    spec: &DestinationSpec,
    settings: &OAuthSpec,
    base_url: &Url,
    secret: &impl Fn(&SecretSpec) -> Arc<dyn SecretProvider>,
) -> Result<OAuth, DestinationError> {
    let token_url = token_url(spec, settings, base_url)?;
    let ranges = if token_url.origin() == base_url.origin() { &spec.allow_private } else { &settings.allow_private };
    Ok(OAuth {
        allow_private: ranges.iter().map(|range| private(range)).collect::<Result<_, _>>()?,
        token_url,
        client_id: text(&settings.client_id, secret),
        client_secret: secret(&settings.client_secret),
        grant: match &settings.refresh_token {
            Some(first) => OAuthGrant::RefreshToken(secret(first)),
            None => OAuthGrant::ClientCredentials,
        },
        scope: settings.scope.clone(),
        audience: settings.audience.clone(),
        style: match settings.style {
            OAuthStyle::Body => ClientStyle::Body,
            OAuthStyle::Basic => ClientStyle::Basic,
        },
        shared_as: shared_as(&spec.vendor, settings, base_url),
    })
}

fn token_url(spec: &DestinationSpec, settings: &OAuthSpec, base_url: &Url) -> Result<Url, DestinationError> {
    if let Some(url) = &settings.token_url {
        return Url::parse(url).map_err(DestinationError::TokenUrl);
    }
    match &spec.vendor {
        VendorSpec::HubSpot(_) => {
            super::answer::join(base_url, hubspot::TOKEN_PATH).map_err(DestinationError::TokenUrl)
        }
        VendorSpec::Http(_) | VendorSpec::File(_) => {
            Err(DestinationError::NoTokenUrl { vendor: spec.vendor.type_name() })
        }
    }
}

/// A text that need not be a secret.
fn text(text: &TextSpec, secret: &impl Fn(&SecretSpec) -> Arc<dyn SecretProvider>) -> Arc<dyn SecretProvider> {
    match text {
        TextSpec::Plain(text) => Arc::new(FixedSecret(SecretString::from(text.as_str()))),
        TextSpec::Secret(reference) => secret(reference),
    }
}

/// Tells credentials apart by where they come from.
fn shared_as(vendor: &VendorSpec, settings: &OAuthSpec, base_url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    (vendor.type_name(), base_url.as_str(), &settings.token_url).hash(&mut hasher);
    (&settings.client_id, &settings.client_secret, &settings.refresh_token).hash(&mut hasher);
    (&settings.scope, &settings.audience).hash(&mut hasher);
    hasher.finish()
}
