//! The one task through which everything is written.
#![allow(unused_variables, clippy::unused_async, clippy::missing_const_for_fn, reason = "signatures first")]

use super::{LocalSettle, MarkDirty, NewIntent, Settle, StateError};
use crate::model::{ChangeKind, Fingerprint, InvalidRow, Key, RunId, SyncId, Timestamp};

/// Writes to the state, through one task with group commit. After its first error every call returns that error (P7).
#[derive(Debug)]
pub struct Writer {}

/// A queued write. Dropping it is fine: the write happens all the same, and an error stops the writer.
#[derive(Debug)]
pub struct SettleTicket {}

impl SettleTicket {
    /// Waits until the write is durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn wait(self) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }
}

impl Writer {
    /// Writes a batch's intents; returns its id (monotonic, unique in the state) when they are durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn intend(&self, intent: NewIntent) -> Result<i64, StateError> {
        Err(StateError::Stopped)
    }

    /// Notes that an attempt of the batch begins at `at`. Call it before each attempt; wait for the ticket before
    /// attempts after the first, and before any that begins after `send_before`.
    pub fn note_attempt(&self, batch: i64, at: Timestamp) -> SettleTicket {
        SettleTicket {}
    }

    /// Queues the outcomes of a batch: journal, dirty marks, quiet keys, rejects and the intent change in one transaction.
    pub fn settle(&self, settle: Settle) -> SettleTicket {
        SettleTicket {}
    }

    /// Queues outcomes of keys without an intent.
    pub fn settle_local(&self, sync: SyncId, epoch: i64, rows: Vec<LocalSettle>) -> SettleTicket {
        SettleTicket {}
    }

    /// Marks keys dirty; needs no lease. Returns the batch id that names the marks, when durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn mark_dirty(&self, sync: SyncId, marks: Vec<MarkDirty>) -> Result<i64, StateError> {
        Err(StateError::Stopped)
    }

    /// Replaces the listed invalid rows of a sync; `total` counts also those that the list leaves out.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn replace_invalid(
        &self,
        sync: SyncId,
        run: RunId,
        rows: Vec<InvalidRow>,
        total: u64,
    ) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// Appends changes, in key order, to the guarded set of a run. `first_run`: approval means all `added` keys.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn save_guarded(
        &self,
        run: RunId,
        sync: SyncId,
        first_run: bool,
        rows: Vec<(Key, ChangeKind, Option<Fingerprint>)>,
    ) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// Saves the limiter's recent grants and quota counters of an account, in the limiter's own bytes.
    pub fn save_grants(&self, account: &str, bytes: Vec<u8>) -> SettleTicket {
        SettleTicket {}
    }

    /// Remembers which account a credential (by keyed hash) belongs to.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn save_identity(&self, credential_hash: u64, account: &str) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// Counts removals of a run into the 24-hour log.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn log_removals(&self, sync: SyncId, run: RunId, at: Timestamp, count: u64) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }

    /// Waits until everything queued so far is durable.
    ///
    /// # Errors
    /// The writer's first error.
    pub async fn flush(&self) -> Result<(), StateError> {
        Err(StateError::Stopped)
    }
}
