//! Refresh tokens of the wire, kept sealed in the state.

use async_trait::async_trait;
use secrecy::SecretString;

use super::Engine;
use crate::{
    proof::{Boundary, reach},
    state::State,
    wire::{GrantKey, SavedToken, StoreError, TokenStore},
};

impl Engine {
    /// Waits for the refreshes of tokens under way and lets none begin any more. To be called once no run is under way and
    /// before the state is closed: a refresh token that is not saved then is lost.
    pub async fn settle_tokens(&self) {
        self.connections.accounts.settle_tokens().await;
    }
}

/// Keeps refresh tokens in the state, each under a keyed hash of what it was granted for.
pub(super) struct StateTokens {
    state: State,
}

impl StateTokens {
    pub(super) fn new(state: State) -> Self {
        Self { state }
    }

    fn name(&self, grant: &GrantKey) -> String {
        format!("oauth:{:016x}", self.state.installation_hasher().short(grant.expose()))
    }
}

#[async_trait]
impl TokenStore for StateTokens {
    async fn load_token(&self, grant: &GrantKey) -> Result<Option<SavedToken>, StoreError> {
        let saved = self.state.token(&self.name(grant)).await?;
        Ok(saved.map(|(generation, token)| SavedToken { generation, token }))
    }

    async fn save_token(&self, grant: &GrantKey, after: i64, token: &SecretString) -> Result<bool, StoreError> {
        reach(Boundary::TokenBefore).await?;
        let saved = self.state.save_token(&self.name(grant), after, token).await?;
        reach(Boundary::TokenSaved).await?;
        Ok(saved)
    }
}
