//! What every worker of one delivery shares.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::Clock,
    destination::Destination,
    model::{Fingerprinter, Key, RunId, SyncId, Timestamp, spec::Mode},
    plan::Absent,
    proof::{Rule, is_broken},
    shutdown::Shutdown,
    state::State,
    wire::{Account, Ahead, Class},
};

use super::{
    claims::Claims,
    item::Item,
    stop::{Stop, StopReason},
};

/// What every worker of one delivery shares.
pub struct Context {
    /// The connector.
    pub destination: Arc<dyn Destination>,
    /// The account: limits, hold, credentials.
    pub account: Account,
    /// The state store.
    pub state: State,
    /// The sync.
    pub sync: SyncId,
    /// The run.
    pub run: RunId,
    /// Epoch of the lease that the run works under.
    pub epoch: i64,
    /// What is done with the model's rows.
    pub mode: Mode,
    /// Makes the idempotency keys of rows that are created once.
    pub row_hasher: Fingerprinter,
    /// The destination's object.
    pub object: String,
    /// All destination fields of the mapping, in byte order.
    pub fields: Arc<[String]>,
    /// Destination fields that identify a record.
    pub match_fields: Vec<String>,
    /// Hashes record ids for the owner index.
    pub owner_hasher: Fingerprinter,
    /// Whether the snapshot keeps vendor record ids.
    pub keeps_ids: bool,
    /// After an ambiguous send, other changes of the key wait this long.
    pub late_window: Duration,
    /// Batches in flight at once.
    pub workers: usize,
    /// No batch is begun later than this.
    pub plan_expires: tokio::time::Instant,
    /// The wall clock.
    pub clock: Clock,
    /// Begins the graceful stop.
    pub shutdown: Shutdown,
    /// Who owns which record.
    pub claims: Claims,
    /// Which keys have left the model: their records may be taken over.
    pub absent: Absent,
    /// Batches of this account, of all runs, with durable intents that have not ended.
    pub ahead: Arc<AtomicU32>,
    /// Requests in a row that got no answer in all their attempts.
    pub given_up: AtomicU32,
    /// Why no further batch is begun.
    pub stop: Stop,
    /// What happened so far.
    pub tally: Tally,
}

/// Counts of one delivery, each taken where it happens.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Tallied>);

/// The counts of [`Tally`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Operations acknowledged.
    pub delivered: u64,
    /// Operations refused.
    pub rejected: u64,
    /// Those of them that an earlier run had seen refused, unchanged.
    pub rejected_again: u64,
    /// Operations settled without a request.
    pub skipped: u64,
    /// Operations with an unknown outcome.
    pub unknown: u64,
    /// Operations not begun.
    pub left_over: u64,
    /// The least place on the cursor column of an operation that is not settled.
    pub open_cursor: Option<i64>,
    /// Delivered operations that gave up a match value, which a standing conflict may be waiting for.
    pub released: u64,
    /// Batches begun.
    pub batches: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Removals without an approval that are settled next: they go into the 24-hour log first.
    pub unlogged_removals: u64,
}

impl Tallied {
    /// Counts an operation that was not begun.
    pub fn leave(&mut self, item: &Item) {
        self.left_over += 1;
        self.keep_open(item);
    }

    /// The operation is not settled, so the next read begins no later.
    pub(super) fn keep_open(&mut self, item: &Item) {
        self.open_cursor = least(self.open_cursor, item.cursor);
    }
}

/// The least of two places, where there are any.
pub fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

impl Tally {
    /// Changes the counts.
    pub fn add(&self, change: impl FnOnce(&mut Tallied)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Gives away what is not logged yet; nobody else finds it gone before that has happened.
    fn log(&self, log: impl FnOnce(u64)) {
        let mut tallied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = std::mem::take(&mut tallied.unlogged_removals);
        if count > 0 {
            log(count);
        }
    }

    /// The counts so far.
    pub fn get(&self) -> Tallied {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Counts removals into the 24-hour log, right before they are settled: a run that dies later has them counted too.
    pub fn log_removals(&self) {
        self.tally.log(|count| {
            // Not awaited: it is durable with the settle that follows, and a failure stops the next intent.
            drop(self.state.writer().log_removals(self.sync, self.run, self.clock.now(), count));
        });
    }

    /// Requests a stop once the daemon is asked to end.
    pub(super) fn look_for_shutdown(&self) {
        if self.shutdown.is_cancelled() {
            self.stop.request(StopReason::Shutdown);
        }
        if let Err(error) = self.state.lease_left(self.sync, self.epoch) {
            self.stop.request(StopReason::Storage(error));
        }
    }

    /// How long a request of a batch may still be begun: until its intents end, or the lease.
    pub(super) fn time_to_send(&self, send_before: Timestamp) -> Duration {
        let left = send_before.since(self.clock.now());
        match self.state.lease_left(self.sync, self.epoch) {
            Ok(lease) => lease.map_or(left, |lease| lease.min(left)),
            Err(_) => Duration::ZERO,
        }
    }

    /// Whether to begin nothing new: also because the daemon ends or the plan is too old.
    pub(super) fn must_stop(&self) -> bool {
        self.look_for_shutdown();
        if tokio::time::Instant::now() >= self.plan_expires {
            self.stop.request(StopReason::PlanTooOld);
        }
        self.stop.requested()
    }

    /// Names a row in every attempt, whatever batch it is in: a function of sync and key alone. `None` where a record may be
    /// changed after it was created.
    pub fn row_key(&self, key: &Key) -> Option<u128> {
        let named = self.mode.creates_once();
        named.then(|| u128::from_be_bytes(self.row_hasher.of(key.as_bytes()).to_bytes()))
    }

    /// True only in the proof harness's broken variant.
    pub(super) fn skips_intents(&self) -> bool {
        is_broken(Rule::Intents)
    }

    /// The account's grants to save with a batch's intents. The requests of batches that are written ahead count as made:
    /// after a crash nobody knows which of them were.
    pub(super) fn saved_grants(&self, send_before: Timestamp) -> Vec<(String, Vec<u8>)> {
        let weight = self.ahead.load(Ordering::Relaxed);
        let ahead = Ahead { class: Class::Write, weight, by: send_before };
        let saved = serde_json::to_vec(&self.account.snapshot(&[ahead]));
        saved.map(|bytes| (self.account.identity().to_owned(), bytes)).into_iter().collect()
    }
}
