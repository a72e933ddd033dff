//! What authenticates a request: read once and again after a 401, or a token of the token endpoint.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    fault::{Fault, FaultKind, Sent},
    oauth::{TokenRegistry, Tokens, Trouble},
    secret::{Auth, SecretProvider},
    settings::SettingsError,
};

/// The authentication of one destination.
pub(super) enum Credentials {
    /// None is asked for.
    None,
    /// Secrets that are sent as they are.
    Fixed {
        scheme: Scheme,
        /// Locked while reading, so that many 401s at once lead to one read each at a time, and the later ones find the
        /// secret renewed already.
        current: Mutex<Option<Credential>>,
    },
    /// Access tokens.
    Tokens(Arc<Tokens>),
}

/// How secrets become part of a request.
pub(super) enum Scheme {
    Bearer(Arc<dyn SecretProvider>),
    Basic { user: Arc<dyn SecretProvider>, password: Arc<dyn SecretProvider> },
    Header { name: HeaderName, secret: Arc<dyn SecretProvider> },
    Query { name: String, secret: Arc<dyn SecretProvider> },
}

/// What is added to one request.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) place: Place,
    /// Of an access token; 0 for what has no order.
    generation: u64,
}

/// Where a credential stands in a request.
#[derive(Clone)]
pub(super) enum Place {
    Header { name: HeaderName, value: HeaderValue },
    Query { name: String, value: SecretString },
}

impl Place {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header { value, .. }, Self::Header { value: other, .. }) => value == other,
            (Self::Query { value, .. }, Self::Query { value: other, .. }) => {
                value.expose_secret() == other.expose_secret()
            }
            (Self::Header { .. }, Self::Query { .. }) | (Self::Query { .. }, Self::Header { .. }) => false,
        }
    }
}

impl Credentials {
    /// # Errors
    /// Settings of a token endpoint that cannot work.
    pub(super) fn new(auth: Auth, registry: &TokenRegistry) -> Result<Self, SettingsError> {
        let scheme = match auth {
            Auth::None => return Ok(Self::None),
            Auth::OAuth(settings) => return registry.tokens(*settings).map(Self::Tokens),
            Auth::Bearer(secret) => Scheme::Bearer(secret),
            Auth::Basic { user, password } => Scheme::Basic { user, password },
            Auth::Header { name, secret } => Scheme::Header { name, secret },
            Auth::Query { name, secret } => Scheme::Query { name, secret },
        };
        Ok(Self::Fixed { scheme, current: Mutex::new(None) })
    }

    /// What to add to a request, if anything.
    pub(super) async fn get(&self) -> Result<Option<Credential>, Trouble> {
        match self {
            Self::None => Ok(None),
            Self::Fixed { scheme, current } => {
                let mut current = current.lock().await;
                if current.is_none() {
                    *current = Some(scheme.read().await.map_err(alive)?);
                }
                Ok(current.clone())
            }
            Self::Tokens(tokens) => {
                let token = tokens.get().await?;
                Ok(Some(Credential::bearer(token.header, token.generation)))
            }
        }
    }

    /// A newer credential than the one that was refused, if there is one. A fixed secret that cannot be read any more has
    /// no newer one.
    pub(super) async fn newer_than(&self, refused: &Credential) -> Result<Option<Credential>, Trouble> {
        match self {
            Self::None => Ok(None),
            Self::Fixed { scheme, current } => {
                let mut current = current.lock().await;
                let renewed = current.as_ref().is_some_and(|known| !known.place.is(&refused.place));
                if !renewed {
                    let renewed = scheme.read().await.ok();
                    *current = renewed.or(current.take());
                }
                Ok(current.clone().filter(|known| !known.place.is(&refused.place)))
            }
            Self::Tokens(tokens) => {
                let newer = tokens.newer_than(refused.generation).await?;
                Ok(newer.map(|token| Credential::bearer(token.header, token.generation)))
            }
        }
    }
}

fn alive(fault: Fault) -> Trouble {
    Trouble { fault, dead: false }
}

impl Credential {
    fn bearer(value: HeaderValue, generation: u64) -> Self {
        Self { place: Place::Header { name: AUTHORIZATION, value }, generation }
    }
}

impl Scheme {
    async fn read(&self) -> Result<Credential, Fault> {
        let place = match self {
            Self::Bearer(secret) => {
                let secret = read(secret.as_ref()).await?;
                header(AUTHORIZATION, &Zeroizing::new(format!("Bearer {}", secret.expose_secret())))?
            }
            Self::Basic { user, password } => {
                let (user, password) = (read(user.as_ref()).await?, read(password.as_ref()).await?);
                header(AUTHORIZATION, &basic(&user, &password)?)?
            }
            Self::Header { name, secret } => header(name.clone(), read(secret.as_ref()).await?.expose_secret())?,
            Self::Query { name, secret } => Place::Query { name: name.clone(), value: read(secret.as_ref()).await? },
        };
        Ok(Credential { place, generation: 0 })
    }
}

async fn read(provider: &dyn SecretProvider) -> Result<SecretString, Fault> {
    provider.read().await.map_err(|error| failed().because(error))
}

fn failed() -> Fault {
    Fault::new(FaultKind::Credentials, Sent::No)
}

/// RFC 7617; the user ends at the first colon.
fn basic(user: &SecretString, password: &SecretString) -> Result<Zeroizing<String>, Fault> {
    if user.expose_secret().contains(':') {
        return Err(failed().because("the user of basic authentication holds a colon"));
    }
    let pair = Zeroizing::new(format!("{}:{}", user.expose_secret(), password.expose_secret()));
    Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

fn header(name: HeaderName, text: &str) -> Result<Place, Fault> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| failed().because("the secret holds characters that no header can"))?;
    value.set_sensitive(true);
    Ok(Place::Header { name, value })
}
