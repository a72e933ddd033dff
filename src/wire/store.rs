//! What the accounts keep across restarts. The state store implements the traits.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

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

/// Keeps refresh tokens, sealed.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// The token last saved for this account, if any.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load_token(&self, account: &str) -> Result<Option<SecretString>, StoreError>;

    /// Replaces the token; durable when it returns, because the old one may already be void.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn save_token(&self, account: &str, token: &SecretString) -> Result<(), StoreError>;
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
    async fn load_token(&self, _account: &str) -> Result<Option<SecretString>, StoreError> {
        Ok(None)
    }

    async fn save_token(&self, _account: &str, _token: &SecretString) -> Result<(), StoreError> {
        Ok(())
    }
}
