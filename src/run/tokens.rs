//! Refresh tokens of the wire, kept sealed in the state.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    state::State,
    wire::{GrantKey, SavedToken, StoreError, TokenStore},
};

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
        Ok(self.state.save_token(&self.name(grant), after, token).await?)
    }
}
