//! Everything over HTTP: the client with its guards, the account with its limits, hold and credentials, and faults.
//! Nothing else uses `reqwest`, so no connector can bypass limit, timeout, authentication or address guard.

mod account;
mod accounts;
mod address;
mod backoff;
mod budget;
mod client;
mod credential;
mod fault;
#[cfg(feature = "proof")]
mod fuzz;
mod hold;
mod limiter;
mod limits;
mod oauth;
mod request;
mod resolver;
mod retry_after;
mod secret;
mod settings;
mod signing;
mod stack;
mod stats;
mod store;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "proof"))]
mod transport;

pub use account::{Account, Observed, ObservedWindow};
pub use accounts::{Accounts, ProvisionalAccount};
pub use address::Refused;
pub use backoff::{RetryBudget, backoff};
pub use budget::{Book, BudgetStore, Granted, Message, Reply, Return, SharedDay, SharedWindow, Want};
pub use fault::{Directive, Fault, FaultKind, Sent, VendorText};
#[cfg(feature = "proof")]
pub(crate) use fuzz::FUZZ_TARGETS;
pub use hold::{DEFAULT_HOLD, HoldReason, HoldState};
pub use limiter::Ahead;
pub use limits::{Daily, Limits, LimitsError, Window};
pub use oauth::{ClientStyle, OAuth, OAuthGrant};
pub use request::{Class, Request, Response};
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use secret::{Auth, FixedSecret, SecretError, SecretProvider};
pub use settings::{ClientSettings, SettingsError};
pub use signing::SigningSecrets;
pub use stats::{AccountStats, WindowUse};
pub use store::{
    GrantKey, NoStore, QuotaStore, SavedDay, SavedGrants, SavedToken, SavedWindow, StoreError, TokenStore,
};
#[cfg(any(test, feature = "proof"))]
pub use transport::{NetworkFault, Transport, install_transport};

/// The value behind a lock that is never held across a panic-prone step; a poisoned one is still consistent.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
