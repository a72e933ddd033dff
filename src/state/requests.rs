//! Operator requests: the one thing that readers write too.

use std::time::Duration;

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
        let ids = self.write_request(Write::InsertRequest { kind, sync, args: args.to_string(), at }).await?;
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
        self.write_request(finish).await.map(drop)
    }

    /// Requests are the one thing that readers write too.
    async fn write_request(&self, write: Write) -> Result<Vec<i64>, StateError> {
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
