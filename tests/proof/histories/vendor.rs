//! A vendor that follows a script of faults.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use syncline::{
    destination::{
        Batch, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup,
        LookupBy, LookupKind, Outcome, Rejection, RowCaps, Unacceptable,
    },
    model::{Key, KeyKind, Operation, RecordRef, Timestamp, Value, encode_part},
    state::{MarkDirty, State, SyncRecord},
    wire::{Account, Fault, FaultKind, Sent, VendorText},
};
use tokio::sync::Notify;

use super::{
    op::{Hang, Stale, Step},
    world::{Aim, Doubt, LATE_WINDOW, Shared, id_of},
};

const ALL: &[Operation] =
    &[Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear, Operation::Delete];
/// An intent's life: a paused process may send what it had in hand until then.
const INTENT_LIFE: Duration = Duration::from_secs(30);
/// The least row cap is 1, the greatest this.
const MOST_ROWS: usize = 4;

/// The stand-in of a vendor.
pub(super) struct Vendor {
    world: Shared,
    /// By row cap.
    capabilities: Vec<Capabilities>,
    pub(super) rows: AtomicUsize,
    /// A request hangs.
    pub(super) hanging: Notify,
    /// The state and the sync, for what another instance confesses.
    pub(super) instance: Mutex<Option<(State, SyncRecord)>>,
}

fn capabilities(rows: usize) -> Capabilities {
    Capabilities {
        max_rows: RowCaps::new(rows, rows),
        max_bytes: 1 << 20,
        operations: ALL.into(),
        correlation: Correlation::Position,
        record_ids: true,
        updates_by_id: false,
        idempotency: false,
        lookup: LookupKind::Exact,
        can_clear: true,
        max_match_fields: 1,
    }
}

/// The encoded key of a row.
pub(super) fn key_of(id: i64) -> Key {
    let mut bytes = Vec::new();
    encode_part(Value::Int(id), KeyKind::Integer, 0, &mut bytes).expect("an integer is a key");
    Key::from_encoded(&bytes)
}

impl Vendor {
    pub(super) fn new(world: Shared) -> Self {
        Self {
            world,
            capabilities: (1..=MOST_ROWS).map(capabilities).collect(),
            rows: AtomicUsize::new(1),
            hanging: Notify::new(),
            instance: Mutex::new(None),
        }
    }

    /// Another instance sends an old record of the key and marks the key dirty. `in_run`: a run is under way, which does
    /// not know of it.
    pub(super) async fn second(&self, stale: Stale, in_run: bool) {
        let instance = self.instance.lock().expect("no panic").clone();
        let Some((state, sync)) = instance else { return };
        let sent = self.world.lock().overwrite(stale);
        let Some((id, record)) = sent else { return };
        let key = i64::from(stale.key);
        let mark = {
            let mut world = self.world.lock();
            let now = world.clock.now();
            let aims = vec![Aim { key: Some(key), writes: Some(record.bytes.clone()), at: Some(id) }];
            let doubt = Doubt { until: now + LATE_WINDOW, aims, batch: None };
            if in_run {
                world.watch.later.push(doubt);
            } else {
                world.doubts.push(doubt);
            }
            MarkDirty {
                key: key_of(key),
                operation: Operation::Update,
                fingerprint: Some(state.fingerprinter(&sync).of(&record.bytes)),
                ambiguous_at: Some(now),
                record_id: Some(id.to_string().into_boxed_str()),
                sealed_match: None,
            }
        };
        state.writer().mark_dirty(sync.id, vec![mark]).await.expect("marking dirty is always allowed");
    }

    /// Of the records that are to be removed, those that the snapshot has for the keys that they are of.
    async fn owned(&self, batch: &Batch) -> BTreeSet<u64> {
        let instance = self.instance.lock().expect("no panic").clone();
        let mut owned = BTreeSet::new();
        let Some((state, sync)) = instance.filter(|_| batch.operation.is_removal()) else { return owned };
        for id in batch.rows.iter().filter_map(id_of) {
            let key = self.world.lock().records.get(&id).and_then(|record| record.key);
            let Some(key) = key else { continue };
            let held = state.held(sync.id, &key_of(key)).await.expect("the state can be read");
            let entry = held.entry.and_then(|entry| entry.record_id);
            owned.extend(entry.filter(|own| **own == *id.to_string()).map(|_| id));
        }
        owned
    }

    /// What the step does to the request.
    async fn carry_out(&self, step: Step, batch: &Batch, aims: &[Aim]) -> Result<Vec<Outcome>, Fault> {
        let all = batch.rows.len();
        let apply = |rows: usize| self.world.lock().apply(batch, rows);
        let fault = |kind, sent| Err(Fault::new(kind, sent));
        let in_doubt = |late: bool| self.world.lock().doubts(aims.to_vec(), late.then(|| batch.clone()));
        match step {
            Step::Apply => Ok(apply(all)),
            Step::Lose => {
                apply(all);
                in_doubt(false);
                fault(FaultKind::Dropped, Sent::Maybe)
            }
            Step::LosePart(rows) => {
                apply(usize::from(rows));
                in_doubt(false);
                fault(FaultKind::Dropped, Sent::Maybe)
            }
            Step::Late => {
                tokio::time::advance(Duration::from_secs(40)).await;
                in_doubt(true);
                fault(FaultKind::TimedOut, Sent::Maybe)
            }
            Step::Unreached => fault(FaultKind::Connect, Sent::No),
            Step::Expired => {
                tokio::time::advance(INTENT_LIFE).await;
                fault(FaultKind::Expired, Sent::No)
            }
            Step::Spoiled => fault(FaultKind::BatchRefused, Sent::Yes),
            Step::Error { applied } => {
                apply(if applied { all } else { 0 });
                in_doubt(!applied);
                fault(FaultKind::Server, Sent::Yes)
            }
            Step::Omit { named, applied } => {
                let named = usize::from(named).min(all);
                let mut outcomes = apply(if applied { all } else { named });
                outcomes.truncate(named);
                self.world.lock().doubts(aims[named..].to_vec(), None);
                Ok(outcomes)
            }
            Step::Surplus => {
                let mut outcomes = apply(all);
                outcomes.push(Outcome::Delivered { record_id: None });
                Ok(outcomes)
            }
            Step::Locked(row) => {
                let row = usize::from(row) % all;
                let mut outcomes = apply(row);
                outcomes.push(Outcome::Retry(refusal("LOCKED", false)));
                outcomes.extend(self.world.lock().apply_from(batch, row + 1));
                Ok(outcomes)
            }
            Step::Overtaken(pick) => {
                self.world.lock().apply_late(pick);
                Ok(apply(all))
            }
            Step::Meanwhile(stale) => {
                let outcomes = apply(all);
                self.second(stale, true).await;
                Ok(outcomes)
            }
        }
    }

    /// The request never gets an answer.
    async fn hang(&self, hang: Hang, began: Timestamp, batch: &Batch, aims: Vec<Aim>) -> Fault {
        {
            let mut world = self.world.lock();
            world.note(|| format!("    hangs: {hang:?}"));
            if hang == Hang::Applied {
                world.apply(batch, batch.rows.len());
            }
            let zombie = world.watch.began.map(|began| began + INTENT_LIFE);
            world.doubts_since(began, aims, Some(batch.clone()).filter(|_| hang == Hang::Later));
            if hang == Hang::Later
                && let Some(doubt) = world.doubts.last_mut()
            {
                doubt.until = doubt.until.max(zombie.map_or(doubt.until, |last| last + LATE_WINDOW));
            }
        }
        self.hanging.notify_one();
        std::future::pending().await
    }
}

/// A refusal in the vendor's words.
pub(super) fn refusal(code: &str, conflict: bool) -> Rejection {
    Rejection { code: code.to_owned(), text: VendorText::new("no"), field: None, conflict }
}

#[async_trait]
impl Destination for Vendor {
    fn capabilities(&self, _object: &str) -> &Capabilities {
        let rows = self.rows.load(Ordering::Relaxed).clamp(1, MOST_ROWS);
        &self.capabilities[rows - 1]
    }

    async fn check(&self, _account: &Account) -> Result<Identity, Fault> {
        Ok(Identity { account: "1".to_owned(), time_zone: None })
    }

    async fn describe(&self, _account: &Account, _object: &str) -> Result<Vec<Field>, Fault> {
        Ok(Vec::new())
    }

    async fn lookup(&self, _account: &Account, query: &Lookup) -> Result<Vec<Found>, Fault> {
        let LookupBy::Match { values, .. } = &query.by else { return Ok(Vec::new()) };
        let world = self.world.lock();
        let found = values.iter().enumerate().filter_map(|(position, value)| {
            let id = world.find(value)?;
            Some(Found { position, record_id: id.to_string(), fields: Vec::new() })
        });
        Ok(found.collect())
    }

    async fn deliver(&self, _account: &Account, batch: &Batch) -> Result<Delivery, Fault> {
        let owned = self.owned(batch).await;
        let (began, aims, step, hang) = {
            let mut world = self.world.lock();
            let aims = world.arrives(batch, &owned);
            let step = world.script.pop_front();
            let hang = if step.is_none() { world.hang.take() } else { None };
            (world.clock.now(), aims, step.unwrap_or(Step::Apply), hang)
        };
        // Others may begin theirs.
        tokio::task::yield_now().await;
        if let Some(hang) = hang {
            return Err(self.hang(hang, began, batch, aims).await);
        }
        let ended = self.carry_out(step, batch, &aims).await;
        let mut world = self.world.lock();
        world.note(|| format!("    {step:?}: {}", told(&ended)));
        world.watch.disturbed |= !matches!(step, Step::Apply | Step::Surplus);
        world.leaves(&aims);
        if let Ok(outcomes) = &ended {
            let delivered = outcomes.iter().take(aims.len()).filter(|outcome| is_delivered(outcome)).count();
            world.watch.delivered += delivered as u64;
            let named = outcomes.iter().zip(&aims).filter_map(|(outcome, aim)| match outcome {
                Outcome::Delivered { record_id: Some(id) } => Some((aim.key?, id.parse().ok()?)),
                _ => None,
            });
            world.watch.answered.extend(named);
        }
        ended.map(Delivery::Rows)
    }

    async fn poll(&self, _account: &Account, _job: &Job) -> Result<JobState, Fault> {
        Ok(JobState::Running)
    }

    fn accepts(&self, _object: &str, _record: RecordRef<'_>) -> Result<(), Unacceptable> {
        Ok(())
    }

    fn encoded_len(&self, _object: &str, _record: RecordRef<'_>) -> usize {
        100
    }

    fn normalise_match(&self, _object: &str, _field: &str, value: &str) -> String {
        value.to_owned()
    }

    fn match_is_exact(&self, _object: &str, _field: &str) -> bool {
        true
    }
}

/// A removal of what is gone counts as delivered.
fn is_delivered(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered { .. } | Outcome::Gone)
}

fn told(ended: &Result<Vec<Outcome>, Fault>) -> String {
    match ended {
        Ok(outcomes) => format!("{outcomes:?}"),
        Err(fault) => format!("{:?}", fault.kind),
    }
}
