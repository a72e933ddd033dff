//! What readers write too: operator requests, and refresh tokens, because a command that refreshes may void the daemon's.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{Access, Request, State, StateError, store::Write};
use crate::model::SyncId;

/// How long finished operator requests are kept.
const FINISHED: Duration = Duration::from_secs(24 * 3600);

#[allow(clippy::missing_errors_doc, reason = "all fail as the store does")]
impl State {
    /// Posts an operator request; works for readers too. Returns its id.
    pub async fn post_request(
        &self,
        kind: &str,
        sync: Option<SyncId>,
        args: serde_json::Value,
    ) -> Result<i64, StateError> {
        let (kind, at) = (kind.to_owned(), self.inner.clock.now());
        let ids = self.write_beside(Write::InsertRequest { kind, sync, args: args.to_string(), at }).await?;
        ids.first().copied().ok_or_else(|| StateError::Contract("the store answered too few ids".to_owned()))
    }

    /// Unfinished requests, oldest first.
    pub async fn open_requests(&self) -> Result<Vec<Request>, StateError> {
        self.inner.store.requests(None).await
    }

    /// Finishes a request with its result; a reader withdraws it so.
    pub async fn finish_request(&self, id: i64, result: serde_json::Value) -> Result<(), StateError> {
        let at = self.inner.clock.now();
        let finish = Write::FinishRequest { id, result: result.to_string(), at, prune_before: at - FINISHED };
        self.write_beside(finish).await.map(drop)
    }

    /// The refresh token that is saved under this name, and its generation.
    pub async fn token(&self, name: &str) -> Result<Option<(i64, SecretString)>, StateError> {
        let Some((generation, sealed)) = self.inner.store.token(name).await? else { return Ok(None) };
        let plain = Zeroizing::new(self.unseal(&token_context(name), &sealed)?);
        let text = std::str::from_utf8(&plain).map_err(|_| StateError::damaged("a refresh token is no text"))?;
        Ok(Some((generation, SecretString::from(text))))
    }

    /// Saves, sealed, the successor of generation `after` of a refresh token; works for readers too. `false`, and nothing
    /// changes, when another successor has been saved.
    ///
    /// Not through the writer: the old token is void by then, so a writer that has failed must not lose the new one. The
    /// generation makes it repeatable; after a commit whose end is not known it is repeated once, and `false` may then
    /// mean that the first try did land.
    pub async fn save_token(&self, name: &str, after: i64, token: &SecretString) -> Result<bool, StateError> {
        let data = self.seal(&token_context(name), token.expose_secret().as_bytes())?.into_vec();
        let put = || vec![Write::PutToken { account: name.to_owned(), after, data: data.clone() }];
        let mut saved = self.inner.store.commit(put()).await;
        if matches!(saved, Err(StateError::CommitUnknown { .. })) {
            saved = self.inner.store.commit(put()).await;
        }
        let ids = saved?;
        Ok(ids.first() == Some(&1))
    }

    /// Writes as the runner, or as a reader beside it.
    async fn write_beside(&self, write: Write) -> Result<Vec<i64>, StateError> {
        match self.inner.access {
            Access::Runner => self.inner.writer.write(vec![write]).await,
            Access::Reader => self.inner.store.commit(vec![write]).await,
        }
    }

    /// One request.
    pub async fn request(&self, id: i64) -> Result<Option<Request>, StateError> {
        Ok(self.inner.store.requests(Some(id)).await?.pop())
    }
}

/// A sealed token opens only under the name that it was saved under.
fn token_context(name: &str) -> String {
    format!("token {name}")
}
