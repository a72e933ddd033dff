//! What is written around a send: intents before it, settles after it.

use std::fmt;

use super::OwnerChange;
use crate::model::{BatchKey, Entry, Fingerprint, IntentId, Key, Operation, RejectedMark, RunId, SyncId, Timestamp};

/// A batch that is about to be sent.
#[derive(Debug, Clone)]
pub struct NewIntent {
    /// The sync.
    pub sync: SyncId,
    /// The run.
    pub run: RunId,
    /// The lease's epoch.
    pub epoch: i64,
    /// No attempt of the batch begins after this without [`Writer::note_attempt`](super::Writer::note_attempt).
    pub send_before: Timestamp,
    /// The batch's idempotency key and size.
    pub batch_key: BatchKey,
    /// The operations, in batch order.
    pub members: Vec<IntentMember>,
    /// Recent grants of the account, saved in the same transaction: account and the limiter's own bytes.
    pub grants: Vec<(String, Vec<u8>)>,
}

/// One operation of a batch that is about to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct IntentMember {
    /// The key.
    pub key: Key,
    /// The operation.
    pub operation: Operation,
    /// The sent record's fingerprint; `None` for removals.
    pub fingerprint: Option<Fingerprint>,
    /// Keyed hash of the correlation that the vendor gives back.
    pub correlation: u64,
    /// The vendor's record id that the operation addresses.
    pub record_id: Option<Box<str>>,
    /// The match value that the operation addresses.
    pub match_value: Option<MatchValue>,
}

/// A match value on its way into the state, which never holds one in clear.
#[derive(Clone, PartialEq, Eq)]
pub enum MatchValue {
    /// Sealed with the others of its batch, and by itself if a dirty mark is to name it.
    Clear(Box<str>),
    /// Sealed with the installation key.
    Sealed(Box<[u8]>),
}

impl fmt::Debug for MatchValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MatchValue(..)")
    }
}

impl fmt::Debug for IntentMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntentMember").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// The outcomes of a batch: each member of its intent exactly once.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The batch, as [`Writer::intend`](super::Writer::intend) named it.
    pub batch: i64,
    /// One row for every member, in any order.
    pub rows: Vec<SettleRow>,
}

/// The outcome of one member of a batch.
#[derive(Debug, Clone)]
pub struct SettleRow {
    /// Position in the batch, from 0.
    pub position: u32,
    /// The dirty marks of the key that were loaded at the run's start; only these are cleared.
    pub loaded: Vec<IntentId>,
    /// How it ended.
    pub end: End,
}

/// A settle of a key without an intent: tombstones, takeovers, rewrites under a new encoding version (P9).
#[derive(Debug, Clone)]
pub struct LocalSettle {
    /// The key.
    pub key: Key,
    /// The dirty marks of the key that were loaded at the run's start; only these are cleared.
    pub loaded: Vec<IntentId>,
    /// How it ended: [`End::Put`], [`End::Remove`] or [`End::Rejected`] (a conflict found before sending).
    pub end: End,
}

/// How a row ended.
#[derive(Clone)]
pub enum End {
    /// Delivered: the entry is put; the loaded marks and this intent are cleared; the standing reject is deleted.
    Put {
        /// What the destination acknowledged.
        entry: Entry,
        /// Changes of the owner index.
        owners: Vec<OwnerChange>,
        /// Other changes of the key wait until then.
        quiet_until: Option<Timestamp>,
    },
    /// A delivered removal, or forgotten: the entry goes; else as [`End::Put`].
    Remove {
        /// Changes of the owner index.
        owners: Vec<OwnerChange>,
        /// Other changes of the key wait until then.
        quiet_until: Option<Timestamp>,
    },
    /// Refused: the key stays dirty under this intent's id, and the reject stands.
    Rejected {
        /// The reject.
        mark: RejectedMark,
        /// When an earlier attempt of this intent whose outcome is unknown began; `None` when there is none.
        ambiguous_at: Option<Timestamp>,
    },
    /// Attempted without a known outcome, retries spent, or left over after an attempt: dirty under this intent's id.
    Undelivered {
        /// When the last attempt whose outcome is unknown began; `None` when none is unaccounted for.
        ambiguous_at: Option<Timestamp>,
    },
    /// Never attempted under this intent: the loaded marks stay; without any, the key is dirty under this intent's id.
    Unsent,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put { .. } => "Put",
            Self::Remove { .. } => "Remove",
            Self::Rejected { .. } => "Rejected",
            Self::Undelivered { .. } => "Undelivered",
            Self::Unsent => "Unsent",
        })
    }
}

/// A key to mark dirty without sending (`resync`, a confession after a lost lease).
#[derive(Clone, PartialEq, Eq)]
pub struct MarkDirty {
    /// The key.
    pub key: Key,
    /// The operation that may have been sent, or that is wanted.
    pub operation: Operation,
    /// The sent fingerprint.
    pub fingerprint: Option<Fingerprint>,
    /// When an ambiguous attempt may have begun at the latest.
    pub ambiguous_at: Option<Timestamp>,
    /// The vendor's record id.
    pub record_id: Option<Box<str>>,
    /// The match value, sealed.
    pub sealed_match: Option<Box<[u8]>>,
}

impl fmt::Debug for MarkDirty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarkDirty").field("operation", &self.operation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_key_nor_match_value_nor_record_id_is_in_a_debug_text() {
        let (key, sealed): (Key, Box<[u8]>) = (Key::from_encoded(b"canary"), Box::from(*b"canary"));
        let member = IntentMember {
            key: key.clone(),
            operation: Operation::Upsert,
            fingerprint: None,
            correlation: 1,
            record_id: Some("canary".into()),
            match_value: Some(MatchValue::Clear("canary".into())),
        };
        assert_eq!(format!("{member:?}"), "IntentMember { operation: Upsert, .. }");
        assert_eq!(format!("{:?}", member.match_value), "Some(MatchValue(..))");
        let mark = MarkDirty {
            key,
            operation: Operation::Upsert,
            fingerprint: None,
            ambiguous_at: None,
            record_id: Some("canary".into()),
            sealed_match: Some(sealed),
        };
        assert_eq!(format!("{mark:?}"), "MarkDirty { operation: Upsert, .. }");
        assert_eq!(format!("{:?}", End::Unsent), "Unsent");
    }
}
