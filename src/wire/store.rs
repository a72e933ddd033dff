//! What the accounts keep across restarts. The state store implements the traits.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::request::Class;

/// An error of the store behind a trait of this module.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// The requests of an account that still count against its limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedGrants {
    /// Per window, what was granted within it.
    pub windows: Vec<SavedWindow>,
    /// The count of the day.
    pub day: Option<SavedDay>,
}

/// The grants of one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedWindow {
    /// Which class it limits; `None`: all.
    pub class: Option<Class>,
    /// Its length.
    pub per: Duration,
    /// When, in microseconds since 1970 UTC, and how many requests.
    pub grants: Vec<(i64, u32)>,
}

/// The requests of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDay {
    /// The date in the account's time zone, `YYYY-MM-DD`.
    pub date: String,
    /// Requests on it.
    pub used: u32,
}

/// Keeps the grants of an account.
#[async_trait]
pub trait QuotaStore: Send + Sync {
    /// What was saved for this account, if anything.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load_grants(&self, account: &str) -> Result<Option<SavedGrants>, StoreError>;

    /// Replaces what is saved for this account.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn save_grants(&self, account: &str, grants: &SavedGrants) -> Result<(), StoreError>;
}

/// What a refresh token was granted for: token endpoint, client and first refresh token. It holds secrets; a store keeps
/// only a keyed hash of it.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantKey(Zeroizing<Vec<u8>>);

impl GrantKey {
    pub(super) fn new(token_url: &Url, client_id: &SecretString, first: &SecretString) -> Self {
        let mut bytes = Zeroizing::new(Vec::new());
        for part in [token_url.as_str(), client_id.expose_secret(), first.expose_secret()] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Self(bytes)
    }

    /// The bytes, for the store's keyed hash and for nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantKey(..)")
    }
}

/// A refresh token that was saved.
#[derive(Debug, Clone)]
pub struct SavedToken {
    /// Grows by one with each token of the grant; the configured one is 0.
    pub generation: i64,
    /// The token.
    pub token: SecretString,
}

/// Keeps refresh tokens, sealed.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// The token last saved for this grant, if any.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load_token(&self, grant: &GrantKey) -> Result<Option<SavedToken>, StoreError>;

    /// Saves the successor of generation `after` as the next one; durable when it returns, because the old one may already
    /// be void. `false`, and nothing changes, when another process has saved a successor before.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn save_token(&self, grant: &GrantKey, after: i64, token: &SecretString) -> Result<bool, StoreError>;
}

/// Keeps nothing: for `check` and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStore;

#[async_trait]
impl QuotaStore for NoStore {
    async fn load_grants(&self, _account: &str) -> Result<Option<SavedGrants>, StoreError> {
        Ok(None)
    }

    async fn save_grants(&self, _account: &str, _grants: &SavedGrants) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl TokenStore for NoStore {
    async fn load_token(&self, _grant: &GrantKey) -> Result<Option<SavedToken>, StoreError> {
        Ok(None)
    }

    async fn save_token(&self, _grant: &GrantKey, _after: i64, _token: &SecretString) -> Result<bool, StoreError> {
        Ok(true)
    }
}
