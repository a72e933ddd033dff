//! All accounts of this process, one per identity.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroU32,
    sync::{Arc, Mutex, OnceLock},
};

use crate::{clock::Clock, shutdown::Shutdown};

use super::{
    account::{Account, Shared},
    backoff::RetryBudget,
    budget::BudgetStore,
    client::Client,
    credential::Credentials,
    limiter::Limiter,
    limits::Limits,
    locked,
    oauth::TokenRegistry,
    settings::{ClientSettings, SettingsError},
    stats::Counts,
    store::{NoStore, QuotaStore, StoreError, TokenStore},
};

/// All accounts of this process. Two destinations of one account get the same limiter and hold.
pub struct Accounts {
    clock: Clock,
    store: Arc<dyn QuotaStore>,
    budget: Option<Arc<dyn BudgetStore>>,
    shutdown: Shutdown,
    known: Mutex<BTreeMap<String, Arc<Shared>>>,
    tokens: TokenRegistry,
}

/// An account whose identity is still to be asked of the vendor. It has its own limiter until it is adopted.
pub struct ProvisionalAccount {
    account: Account,
    limits: Limits,
    heaviest: NonZeroU32,
}

impl ProvisionalAccount {
    /// To ask the vendor who this is. Not to be kept: once it is adopted, a clone may count for itself.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl Accounts {
    /// An empty registry. `shutdown` ends the waiting of requests that are not sent yet.
    pub fn new(clock: Clock, store: Arc<dyn QuotaStore>, shutdown: Shutdown) -> Self {
        let tokens = TokenRegistry::new(Arc::new(NoStore));
        Self { clock, store, budget: None, shutdown, known: Mutex::default(), tokens }
    }

    /// The same, where other daemons use the accounts too: limits are shared with them.
    #[must_use]
    pub fn shared(self, budget: Option<Arc<dyn BudgetStore>>) -> Self {
        Self { budget, ..self }
    }

    /// The same registry with refresh tokens kept in `tokens`.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenStore>) -> Self {
        self.tokens = TokenRegistry::new(tokens);
        self
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
        let credentials = Credentials::new(settings.auth.clone(), &self.tokens)?;
        let client = Arc::new(Client::new(settings, credentials)?);
        let limiter = Limiter::new(&limits, heaviest, self.clock.clone(), self.shutdown.clone());
        let shared = Shared {
            identity: OnceLock::new(),
            limiter: Arc::new(limiter),
            budget: RetryBudget::new(),
            counts: Counts::default(),
        };
        Ok(ProvisionalAccount { account: Account::new(Arc::new(shared), client), limits, heaviest })
    }

    /// The account of this identity: the one that is known already, or this one, seeded with what was saved of it. Limits
    /// of both hold, and what the provisional one has sent counts.
    ///
    /// Where the identity is expected (configured, or known from an earlier run), adopt first and ask the vendor then, so
    /// that even that request counts with what was sent before a restart.
    ///
    /// # Errors
    /// When the saved grants of the account cannot be loaded.
    pub async fn adopt(&self, provisional: ProvisionalAccount, identity: &str) -> Result<Account, StoreError> {
        let saved = self.store.load_grants(identity).await?;
        let ProvisionalAccount { account, limits, heaviest } = provisional;
        let shared = match locked(&self.known).entry(identity.to_owned()) {
            Entry::Occupied(known) => {
                let shared = known.get().clone();
                shared.limiter.narrow(&limits, heaviest);
                let made = account.snapshot(&[]);
                shared.limiter.tell_loose(&made);
                shared.limiter.seed(&made);
                shared
            }
            Entry::Vacant(vacant) => {
                account.shared.identity.get_or_init(|| identity.to_owned());
                match &self.budget {
                    Some(budget) => {
                        account.shared.limiter.share(budget.clone(), identity);
                        account.shared.limiter.tell_loose(&account.snapshot(&[]));
                    }
                    // The book knows what was sent before a restart, and by others.
                    None => account.shared.limiter.seed(&saved.unwrap_or_default()),
                }
                vacant.insert(account.shared).clone()
            }
        };
        Ok(Account::new(shared, account.client))
    }

    /// Waits for the refreshes of tokens under way, so that what they bring is saved, and lets none begin any more: the
    /// store may close then.
    pub async fn settle_tokens(&self) {
        self.tokens.settle().await;
    }

    /// Saves the grants of every account, as when the daemon stops.
    ///
    /// # Errors
    /// The first that could not be saved.
    pub async fn save(&self) -> Result<(), StoreError> {
        let known: Vec<_> = locked(&self.known).iter().map(|(name, shared)| (name.clone(), shared.clone())).collect();
        for (identity, shared) in known {
            self.store.save_grants(&identity, &shared.limiter.save(&[])).await?;
        }
        Ok(())
    }
}
