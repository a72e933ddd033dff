//! Where credentials come from. The configuration resolves them; who uses them asks again.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;

use super::oauth::OAuth;

/// A secret that could not be read. The message names the reference, never the secret.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret from {reference}")]
pub struct SecretError {
    /// What the configuration names, such as `env HUBSPOT_TOKEN`.
    pub reference: String,
    /// Why.
    #[source]
    pub source: Option<std::io::Error>,
}

/// Reads one secret by its reference: environment, file or command.
#[async_trait]
pub trait SecretProvider: Send + Sync {
    /// The secret as it is now. Called at first use and again after a 401, for each token request, and every minute for
    /// signatures.
    ///
    /// # Errors
    /// When the reference leads nowhere.
    async fn read(&self) -> Result<SecretString, SecretError>;
}

/// A secret that never changes, for tests and simulators.
pub struct FixedSecret(pub SecretString);

#[async_trait]
impl SecretProvider for FixedSecret {
    async fn read(&self) -> Result<SecretString, SecretError> {
        Ok(self.0.clone())
    }
}

/// How requests are authenticated.
#[derive(Clone)]
pub enum Auth {
    /// `Authorization: Bearer SECRET`.
    Bearer(Arc<dyn SecretProvider>),
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user, without a colon.
        user: Arc<dyn SecretProvider>,
        /// The password.
        password: Arc<dyn SecretProvider>,
    },
    /// The secret as the value of this header.
    Header {
        /// The header.
        name: http::HeaderName,
        /// Its value.
        secret: Arc<dyn SecretProvider>,
    },
    /// The secret as the value of this query parameter.
    Query {
        /// The parameter.
        name: String,
        /// Its value.
        secret: Arc<dyn SecretProvider>,
    },
    /// `Authorization: Bearer TOKEN` with access tokens of a token endpoint.
    OAuth(Box<OAuth>),
    /// Not at all.
    None,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Auth::Bearer",
            Self::Basic { .. } => "Auth::Basic",
            Self::Header { .. } => "Auth::Header",
            Self::Query { .. } => "Auth::Query",
            Self::OAuth(_) => "Auth::OAuth",
            Self::None => "Auth::None",
        })
    }
}
