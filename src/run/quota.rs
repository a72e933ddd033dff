//! Saved grants of the limiter, kept in the state.

use async_trait::async_trait;

use crate::{
    state::State,
    wire::{QuotaStore, SavedGrants, StoreError},
};

/// Keeps grants in the state, so that a restart neither bursts nor stalls.
pub(super) struct StateQuota {
    state: State,
}

impl StateQuota {
    pub(super) fn new(state: State) -> Self {
        Self { state }
    }
}

#[async_trait]
impl QuotaStore for StateQuota {
    async fn load_grants(&self, account: &str) -> Result<Option<SavedGrants>, StoreError> {
        let saved = self.state.grants(account).await?;
        Ok(saved.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
    }

    async fn save_grants(&self, account: &str, grants: &SavedGrants) -> Result<(), StoreError> {
        Ok(self.state.writer().save_grants(account, serde_json::to_vec(grants)?).wait().await?)
    }
}
