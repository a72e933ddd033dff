//! The contract between the engine and a connector.

use std::{borrow::Cow, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    model::{Operation, RecordRef, RunId},
    wire::{Account, Fault, VendorText},
};

/// One external system. A connector encodes requests, sends them through [`Account::send`] and classifies answers; it
/// never retries, sleeps, paces or keeps state between calls.
///
/// The engine's loop, for one batch:
///
/// ```text
/// loop {
///     match destination.deliver(&account, &batch).await {
///         Ok(Delivery::Rows(outcomes))  => settle each row; form a smaller batch of those that say `Retry`
///         Err(fault) => match fault.kind.directive() { Retry => wait holding nothing, same batch, same idempotency key
///                                                      Split => two halves; Hold/Defer/StopRun => … }
///     }
/// }
/// ```
///
/// What the engine relies on: an outcome says *delivered* only when the answer names the row (or the vendor's contract
/// makes the whole answer name every row); a row that the answer does not name is [`Outcome::Unknown`]; a request that
/// may have been applied is never reported as failed.
#[async_trait]
pub trait Destination: Send + Sync {
    /// What this system can do with an object. The same for the process's life.
    fn capabilities(&self, object: &str) -> &Capabilities;

    /// Asks the vendor which account the credential belongs to.
    ///
    /// # Errors
    /// A [`Fault`] of the request.
    async fn check(&self, account: &Account) -> Result<Identity, Fault>;

    /// The fields of an object, to validate a mapping.
    ///
    /// # Errors
    /// A [`Fault`] of the request; `NotFound` when the object does not exist.
    async fn describe(&self, account: &Account, object: &str) -> Result<Vec<Field>, Fault>;

    /// Finds records, batched, with requests of the read class. Values that find nothing are absent from the answer.
    ///
    /// # Errors
    /// A [`Fault`] of a request.
    async fn lookup(&self, account: &Account, query: &Lookup) -> Result<Vec<Found>, Fault>;

    /// One logical attempt to write a batch that respects [`Capabilities::max_rows`] and [`Capabilities::max_bytes`].
    ///
    /// # Errors
    /// A [`Fault`] that concerns the batch as a whole.
    async fn deliver(&self, account: &Account, batch: &Batch) -> Result<Delivery, Fault>;

    /// Ends a run's delivery of an object, also when nothing was delivered, or not everything: for systems that make what
    /// was delivered visible at once. Repeating it does nothing.
    ///
    /// # Errors
    /// A [`Fault`], when what was delivered is not visible yet; it is safe, and the next run tries again.
    async fn finish(&self, _object: &str, _run: RunId) -> Result<(), Fault> {
        Ok(())
    }

    /// Asks how a job ended.
    ///
    /// # Errors
    /// A [`Fault`] of a request.
    async fn poll(&self, account: &Account, job: &Job) -> Result<JobState, Fault>;

    /// Whether the connector can express this record at all; asked before planning, for every changed row.
    ///
    /// # Errors
    /// The field and the reason, without the value.
    fn accepts(&self, object: &str, record: RecordRef<'_>) -> Result<(), Unacceptable>;

    /// Size in bytes that the record will take in a request body, to form batches below the byte cap. May overestimate.
    fn encoded_len(&self, object: &str, record: RecordRef<'_>) -> usize;

    /// The form in which the vendor compares values of a match field (trimmed, lower case, …).
    fn normalise_match(&self, object: &str, field: &str, value: &str) -> String;

    /// True when [`Destination::normalise_match`] changes nothing for this field, so that different values stay different.
    fn match_is_exact(&self, object: &str, field: &str) -> bool;
}

/// What a connector can do.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Most rows in a batch.
    pub max_rows: RowCaps,
    /// Most bytes of a request body.
    pub max_bytes: usize,
    /// Operations that are supported.
    pub operations: Cow<'static, [Operation]>,
    /// How an answer names its rows.
    pub correlation: Correlation,
    /// Whether answers carry the vendor's record id.
    pub record_ids: bool,
    /// Whether a record whose id is known must be written by it: an upsert would make another one.
    pub updates_by_id: bool,
    /// Whether a repeated request with the same idempotency key is applied once.
    pub idempotency: bool,
    /// How the lookup sees our own writes.
    pub lookup: LookupKind,
    /// Whether a field can be cleared.
    pub can_clear: bool,
    /// Most match fields.
    pub max_match_fields: usize,
}

/// Most rows in a batch. Data and no function, because the configuration may set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCaps {
    /// Of upserts.
    pub upsert: usize,
    /// Of inserts.
    pub insert: usize,
    /// Of updates.
    pub update: usize,
    /// Of clears.
    pub clear: usize,
    /// Of deletes.
    pub delete: usize,
}

impl RowCaps {
    /// One cap for everything that writes, another for deletes.
    pub const fn new(write: usize, delete: usize) -> Self {
        Self { upsert: write, insert: write, update: write, clear: write, delete }
    }

    /// The cap for batches of one operation; at least 1.
    pub const fn of(self, operation: Operation) -> usize {
        match operation {
            Operation::Upsert => self.upsert,
            Operation::Insert => self.insert,
            Operation::Update => self.update,
            Operation::Clear => self.clear,
            Operation::Delete => self.delete,
        }
    }
}

/// How an answer names its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correlation {
    /// By an id of ours that it echoes.
    Trace,
    /// By position.
    Position,
    /// By an echoed match value.
    Key,
    /// Not at all: the answer stands for the whole request.
    None,
}

/// How a lookup sees earlier writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupKind {
    /// Immediately.
    Exact,
    /// After an index has caught up: absence means nothing.
    Lagging,
    /// There is no lookup.
    None,
}

/// The account that a credential belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The vendor's id of the account (portal, org, workspace).
    pub account: String,
    /// Its IANA time zone, where the vendor tells it; daily quotas end at its midnight.
    pub time_zone: Option<String>,
}

/// A field of an object at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its API name.
    pub name: String,
    /// The vendor's type.
    pub kind: String,
    /// False for read-only and calculated fields.
    pub writable: bool,
    /// Whether records can be found by it.
    pub unique: bool,
    /// Whether a record cannot be created without it, as far as the vendor tells.
    pub required: bool,
}

/// Which records to find.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The object.
    pub object: String,
    /// By what.
    pub by: LookupBy,
    /// Fields to return.
    pub fields: Vec<String>,
}

/// By what records are found.
#[derive(Clone)]
pub enum LookupBy {
    /// The vendor's record ids.
    RecordIds(Vec<String>),
    /// Values of one match field.
    Match {
        /// The field.
        field: String,
        /// The values.
        values: Vec<String>,
    },
}

impl std::fmt::Debug for LookupBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RecordIds(ids) => write!(f, "RecordIds({})", ids.len()),
            Self::Match { field, values } => write!(f, "Match({field}, {})", values.len()),
        }
    }
}

/// A record that a lookup found.
#[derive(Clone)]
pub struct Found {
    /// Position of the asked value or id.
    pub position: usize,
    /// The vendor's record id.
    pub record_id: String,
    /// The asked fields, as the vendor's texts.
    pub fields: Vec<(String, Option<String>)>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("position", &self.position).finish_non_exhaustive()
    }
}

/// The changes of one request.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The run that it belongs to.
    pub run: RunId,
    /// The object.
    pub object: String,
    /// All fields of the sync's mapping, in byte order. A record has those of them that are not skipped.
    pub fields: Arc<[String]>,
    /// The operation; the same for all rows.
    pub operation: Operation,
    /// The match fields, in order.
    pub match_fields: Vec<String>,
    /// The rows. Never two of one key.
    pub rows: Vec<BatchRow>,
    /// Names the batch: unchanged members keep it through every attempt, also after a crash.
    pub idempotency_key: u128,
}

/// One row of a batch.
#[derive(Clone)]
pub struct BatchRow {
    /// Our id of the row, unique in the batch, for connectors that correlate by trace.
    pub correlation: u64,
    /// The vendor's record id, where it is known: then it is the address.
    pub record_id: Option<Box<str>>,
    /// For inserts: names the row in every attempt, whatever batch it is in; a function of sync id and key alone.
    pub idempotency_key: Option<u128>,
    /// The canonical record. For `Clear`: the fields to clear, each null; for `Delete`: nothing; for both also the match
    /// fields with their values where the system has no record ids ([`Capabilities::record_ids`]).
    pub record: Bytes,
}

impl std::fmt::Debug for BatchRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchRow").field("correlation", &self.correlation).finish_non_exhaustive()
    }
}

/// What became of a batch.
#[derive(Debug)]
pub enum Delivery {
    /// One outcome for each row, by position in the batch.
    Rows(Vec<Outcome>),
    /// The vendor works on it; ask with [`Destination::poll`].
    Job(Job),
}

/// What became of one row.
#[derive(Debug)]
pub enum Outcome {
    /// Acknowledged.
    Delivered {
        /// The vendor's record id, where the answer names it.
        record_id: Option<Box<str>>,
    },
    /// Refused for a reason of its own.
    Rejected(Rejection),
    /// Not created, because a record with the match value stands already (inserts only).
    Exists {
        /// The id of that record, where the answer names it.
        record_id: Option<Box<str>>,
    },
    /// Nothing stands at the known record id, or an update found nothing by match (404). The engine tries one upsert by match; a delete counts as delivered.
    Gone,
    /// Refused for now (a lock, a conflict with another row of the run): worth another attempt.
    Retry(Rejection),
    /// The answer does not name the row, so nothing is known.
    Unknown,
}

/// Why a row was refused.
#[derive(Debug)]
pub struct Rejection {
    /// The vendor's code, in its spelling; safe to show.
    pub code: String,
    /// The vendor's words. May echo values of the record.
    pub text: VendorText,
    /// The field concerned, where the answer names it.
    pub field: Option<String>,
    /// A clash with the value of another record, which another row of the run may free.
    pub conflict: bool,
}

/// Why a record cannot be expressed by a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacceptable {
    /// The field.
    pub field: String,
    /// The reason, without the value.
    pub reason: String,
}

/// A job that the vendor works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The vendor's id of the job.
    pub id: String,
}

/// How a job stands.
#[derive(Debug)]
pub enum JobState {
    /// Not ended.
    Running,
    /// Ended: outcomes by correlation.
    Done(Vec<(u64, Outcome)>),
}

/// Weight of one request against the limits.
pub const ONE: NonZeroU32 = NonZeroU32::MIN;
