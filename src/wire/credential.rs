//! The authentication header, read once and again after a 401.

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    fault::{Fault, FaultKind, Sent},
    secret::{Auth, SecretProvider},
};

/// The authentication of one destination.
pub(super) struct Credentials {
    auth: Auth,
    /// Locked while reading, so that many 401s at once lead to one read each at a time, and the later ones find the
    /// secret renewed already.
    current: Mutex<Option<HeaderValue>>,
}

/// One header with its secret value.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Credentials {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, current: Mutex::new(None) }
    }

    /// The header to send, if any.
    pub(super) async fn get(&self) -> Result<Option<Credential>, Fault> {
        let Some((name, provider)) = self.parts() else { return Ok(None) };
        let mut current = self.current.lock().await;
        let value = match &*current {
            Some(value) => value.clone(),
            None => current.insert(self.read(provider).await?).clone(),
        };
        Ok(Some(Credential { name, value }))
    }

    /// A newer credential than the one that was refused, if there is one.
    pub(super) async fn newer_than(&self, refused: &Credential) -> Result<Option<Credential>, Fault> {
        let Some((name, provider)) = self.parts() else { return Ok(None) };
        let mut current = self.current.lock().await;
        let renewed = current.as_ref().is_some_and(|value| *value != refused.value);
        if !renewed {
            *current = Some(self.read(provider).await?);
        }
        let newer = current.clone().filter(|value| *value != refused.value);
        Ok(newer.map(|value| Credential { name, value }))
    }

    fn parts(&self) -> Option<(HeaderName, &dyn SecretProvider)> {
        match &self.auth {
            Auth::Bearer(secret) => Some((AUTHORIZATION, secret.as_ref())),
            Auth::Header { name, secret } => Some((name.clone(), secret.as_ref())),
            Auth::None => None,
        }
    }

    async fn read(&self, provider: &dyn SecretProvider) -> Result<HeaderValue, Fault> {
        let failed = || Fault::new(FaultKind::Credentials, Sent::No);
        let secret = provider.read().await.map_err(|error| failed().because(error))?;
        header(&self.auth, &secret).ok_or_else(|| failed().because("the secret holds characters that no header can"))
    }
}

fn header(auth: &Auth, secret: &SecretString) -> Option<HeaderValue> {
    let prefix = match auth {
        Auth::Bearer(_) => "Bearer ",
        Auth::Header { .. } | Auth::None => "",
    };
    let text = Zeroizing::new(format!("{prefix}{}", secret.expose_secret()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
