//! All accounts of this process, one per identity.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use crate::{clock::Clock, shutdown::Shutdown};

use super::{
    account::{Account, Shared},
    backoff::RetryBudget,
    client::Client,
    limiter::Limiter,
    limits::Limits,
    locked,
    settings::{ClientSettings, SettingsError},
    store::{QuotaStore, StoreError},
};

/// All accounts of this process. Two destinations of one account get the same limiter and hold.
pub struct Accounts {
    _clock: Clock,
    _store: Arc<dyn QuotaStore>,
    _shutdown: Shutdown,
    known: Mutex<BTreeMap<String, Arc<Shared>>>,
}

/// An account whose identity is still to be asked of the vendor. It has its own limiter until it is adopted.
pub struct ProvisionalAccount {
    account: Account,
}

impl ProvisionalAccount {
    /// To ask the vendor who this is. Not to be kept: requests through it are not counted once it is adopted.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl Accounts {
    /// An empty registry. `shutdown` ends the waiting of requests that are not sent yet.
    pub fn new(clock: Clock, store: Arc<dyn QuotaStore>, shutdown: Shutdown) -> Self {
        Self { _clock: clock, _store: store, _shutdown: shutdown, known: Mutex::default() }
    }

    /// An account for a destination whose identity is not known yet. `heaviest` is the weight of the connector's heaviest
    /// request.
    ///
    /// # Errors
    /// When the settings or limits cannot work.
    pub fn provisional(
        &self,
        settings: ClientSettings,
        limits: Limits,
        heaviest: NonZeroU32,
    ) -> Result<ProvisionalAccount, SettingsError> {
        limits.validate(heaviest)?;
        let shared = Shared { identity: String::new(), limiter: Limiter::new(), budget: RetryBudget::new() };
        let account = Account { shared: Arc::new(shared), client: Arc::new(Client::new(settings)?) };
        Ok(ProvisionalAccount { account })
    }

    /// The account of this identity: the one that is known already, or this one. Limits of both hold, and what the
    /// provisional one has sent counts.
    ///
    /// # Errors
    /// When the saved grants of the account cannot be loaded.
    #[allow(clippy::unused_async)]
    pub async fn adopt(&self, provisional: ProvisionalAccount, identity: &str) -> Result<Account, StoreError> {
        let shared = locked(&self.known).entry(identity.to_owned()).or_insert(provisional.account.shared).clone();
        Ok(Account { shared, client: provisional.account.client })
    }
}
