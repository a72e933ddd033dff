//! The state as the other modules use it.
#![allow(unused_variables, clippy::unused_async, clippy::missing_const_for_fn, reason = "signatures first")]

use std::sync::Arc;

use super::{
    Approval, BegunRun, NewSync, OpenOptions, Overlay, OwnerScan, OwnerSpace, Request, RunClose, RunRow, Standing,
    StateError, SyncRecord, SyncUpdate, Writer,
};
use crate::model::{Fingerprinter, Held, InvalidRow, Key, RejectedMark, RunId, SyncId, Timestamp};

/// The state; cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    writer: Arc<Writer>,
}

impl State {
    /// Opens the state.
    ///
    /// # Errors
    /// Locked, foreign, newer or damaged state, a wrong key or environment; a reader also when there is none.
    pub async fn open(options: OpenOptions) -> Result<Self, StateError> {
        Err(StateError::Stopped)
    }

    /// Drains the writer and closes the store.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn close(self) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// True when the store is older than its high-water mark: it was restored, or lost commits.
    pub fn is_suspect(&self) -> bool {
        false
    }

    /// Whether this process may write: it opened the state to run syncs.
    pub fn is_writable(&self) -> bool {
        false
    }

    /// The sync of that name.
    ///
    /// # Errors
    /// When the store fails or is damaged (so for all readers below).
    pub async fn sync(&self, name: &str) -> Result<Option<SyncRecord>, StateError> {
        Err(StateError::Stopped)
    }

    /// All syncs, by name.
    #[allow(missing_docs, clippy::missing_errors_doc)]
    pub async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError> {
        Err(StateError::Stopped)
    }

    /// Registers a sync under a random id; an error when the name is taken.
    #[allow(clippy::missing_errors_doc)]
    pub async fn register_sync(&self, new: NewSync) -> Result<SyncRecord, StateError> {
        Err(StateError::Stopped)
    }

    /// Changes a sync.
    #[allow(clippy::missing_errors_doc)]
    pub async fn update_sync(&self, id: SyncId, update: SyncUpdate) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// Takes the fingerprints of a sync's records.
    pub fn fingerprinter(&self, sync: &SyncRecord) -> Fingerprinter {
        Fingerprinter::new(&[0; 16])
    }

    /// Hashes match values, record ids and correlations of a sync (`Fingerprinter::short`).
    pub fn owner_hasher(&self, sync: &SyncRecord) -> Fingerprinter {
        Fingerprinter::new(&[0; 16])
    }

    /// Hashes what belongs to no sync, such as credentials.
    pub fn installation_hasher(&self) -> Fingerprinter {
        Fingerprinter::new(&[0; 16])
    }

    /// Seals bytes with the installation key; `context` must be given again to unseal.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Box<[u8]>, StateError> {
        Err(StateError::Stopped)
    }

    /// Opens sealed bytes.
    ///
    /// # Errors
    /// Damaged bytes, another context or another key.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, StateError> {
        Err(StateError::Stopped)
    }

    /// Begins a run: closes interrupted ones, turns open intents into dirty marks, prunes, compacts.
    #[allow(clippy::missing_errors_doc)]
    pub async fn begin_run(&self, sync: SyncId, trigger: &str) -> Result<BegunRun, StateError> {
        Err(StateError::Stopped)
    }

    /// Closes a run, after everything queued before it.
    #[allow(clippy::missing_errors_doc)]
    pub async fn close_run(&self, close: RunClose) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// The last runs, newest first.
    #[allow(clippy::missing_errors_doc)]
    pub async fn runs(&self, sync: Option<SyncId>, limit: u32) -> Result<Vec<RunRow>, StateError> {
        Err(StateError::Stopped)
    }

    /// One run.
    #[allow(clippy::missing_errors_doc)]
    pub async fn run(&self, id: RunId) -> Result<Option<RunRow>, StateError> {
        Err(StateError::Stopped)
    }

    /// What the state holds for the sync's keys, in key order.
    pub fn overlay(&self, sync: SyncId) -> Overlay {
        Overlay {}
    }

    /// What the state holds for one key (an empty [`Held`] when nothing).
    #[allow(clippy::missing_errors_doc)]
    pub async fn held(&self, sync: SyncId, key: &Key) -> Result<Held, StateError> {
        Err(StateError::Stopped)
    }

    /// An owner index in the order of (hash, key).
    pub fn owners(&self, sync: SyncId, space: OwnerSpace) -> OwnerScan {
        OwnerScan {}
    }

    /// The keys that own each hash; sees writes that this process has queued.
    #[allow(clippy::missing_errors_doc)]
    pub async fn owners_of(
        &self,
        sync: SyncId,
        space: OwnerSpace,
        hashes: &[u64],
    ) -> Result<Vec<Vec<Key>>, StateError> {
        Err(StateError::Stopped)
    }

    /// What stands for a sync, for `status`.
    #[allow(clippy::missing_errors_doc)]
    pub async fn standing(&self, sync: SyncId) -> Result<Standing, StateError> {
        Err(StateError::Stopped)
    }

    /// Rejected rows in key order, after a key.
    #[allow(clippy::missing_errors_doc)]
    pub async fn rejected(
        &self,
        sync: SyncId,
        after: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<(Key, RejectedMark)>, StateError> {
        Err(StateError::Stopped)
    }

    /// The listed invalid rows of the last run that read the model.
    #[allow(clippy::missing_errors_doc)]
    pub async fn invalid(&self, sync: SyncId, limit: u32) -> Result<Vec<InvalidRow>, StateError> {
        Err(StateError::Stopped)
    }

    /// Approves the guarded set of a run for 24 h; replaces an earlier approval of the sync.
    ///
    /// # Errors
    /// [`StateError::NothingToApprove`].
    pub async fn approve(&self, run: RunId) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// The sync's standing approval.
    #[allow(clippy::missing_errors_doc)]
    pub async fn approved(&self, sync: SyncId) -> Result<Option<Approval>, StateError> {
        Err(StateError::Stopped)
    }

    /// Drops the approval, once a complete run has used it.
    #[allow(clippy::missing_errors_doc)]
    pub async fn drop_approval(&self, sync: SyncId) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// Unapproved removals since a time, from the 24-hour log.
    #[allow(clippy::missing_errors_doc)]
    pub async fn removals_since(&self, sync: SyncId, since: Timestamp) -> Result<u64, StateError> {
        Err(StateError::Stopped)
    }

    /// The account that a credential (by keyed hash) belongs to.
    #[allow(clippy::missing_errors_doc)]
    pub async fn identity(&self, credential_hash: u64) -> Result<Option<String>, StateError> {
        Err(StateError::Stopped)
    }

    /// The limiter's saved grants of an account.
    #[allow(clippy::missing_errors_doc)]
    pub async fn grants(&self, account: &str) -> Result<Option<Vec<u8>>, StateError> {
        Err(StateError::Stopped)
    }

    /// Posts an operator request; works for readers too. Returns its id.
    #[allow(clippy::missing_errors_doc)]
    pub async fn post_request(
        &self,
        kind: &str,
        sync: Option<SyncId>,
        args: serde_json::Value,
    ) -> Result<i64, StateError> {
        Err(StateError::Stopped)
    }

    /// Unfinished requests, oldest first.
    #[allow(clippy::missing_errors_doc)]
    pub async fn open_requests(&self) -> Result<Vec<Request>, StateError> {
        Err(StateError::Stopped)
    }

    /// Finishes a request with its result.
    #[allow(clippy::missing_errors_doc)]
    pub async fn finish_request(&self, id: i64, result: serde_json::Value) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// One request.
    #[allow(clippy::missing_errors_doc)]
    pub async fn request(&self, id: i64) -> Result<Option<Request>, StateError> {
        Err(StateError::Stopped)
    }

    /// The writer. A reader's writer answers every call with an error.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}
