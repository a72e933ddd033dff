//! What is outside the program: the model, the vendor's records, what is under way, and what of it broke a promise.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use syncline::{
    clock::Clock,
    destination::{Batch, BatchRow},
    mapping::to_text,
    model::{Operation, RecordRef, Timestamp},
};

use super::op::{Hang, Step};

/// After an ambiguous send, other changes of a key wait this long.
pub(super) const LATE_WINDOW: Duration = Duration::from_secs(100);

/// The world, shared by source, vendor and history.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(World::new(clock))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panics with the world in hand")
    }
}

/// A row of the model. Without an id it has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) id: Option<i64>,
    pub(super) email: u8,
    pub(super) name: u8,
}

/// A record, as the vendor holds it or as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Whose row it is; `None`: somebody else's.
    pub(super) key: Option<i64>,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) tag: String,
    pub(super) bytes: Bytes,
}

impl Record {
    pub(super) fn of(bytes: &Bytes) -> Self {
        let record = RecordRef::new(bytes);
        let text = |field: &str| record.get(field).map(|value| to_text(value).into_owned()).unwrap_or_default();
        let key = text("key").parse().ok();
        Self { key, email: text("email"), name: text("name"), tag: text("tag"), bytes: bytes.clone() }
    }
}

/// What one row of a request is about: the key, and the record that it writes (`None`: a removal).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) key: Option<i64>,
    pub(super) writes: Option<Bytes>,
    /// The record that it names by id.
    pub(super) at: Option<u64>,
}

/// A request without a known outcome.
pub(super) struct Doubt {
    /// From then on nobody needs to reckon with it.
    pub(super) until: Timestamp,
    pub(super) aims: Vec<Aim>,
    /// What may still be applied.
    pub(super) batch: Option<Batch>,
}

/// What is watched of one run.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) began: Option<Timestamp>,
    /// Keys of the model that was read.
    pub(super) present: BTreeSet<i64>,
    pub(super) rows: u64,
    pub(super) null_key: bool,
    pub(super) partial: bool,
    pub(super) removed: BTreeSet<i64>,
    /// Keys that a request of the run has named.
    pub(super) tried: BTreeSet<i64>,
    pub(super) delivered: u64,
    /// The record that an answer named for each key.
    pub(super) answered: BTreeMap<i64, u64>,
    pub(super) requests: u64,
    /// Doubts that the run cannot know of.
    pub(super) later: Vec<Doubt>,
    /// A request did not end well.
    pub(super) disturbed: bool,
}

/// Everything outside the program.
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) model: Vec<Row>,
    /// What `Empty` took.
    pub(super) kept: Vec<Row>,
    pub(super) null_key: bool,
    pub(super) fail_after: Option<usize>,
    pub(super) records: BTreeMap<u64, Record>,
    pub(super) graves: BTreeMap<u64, Option<i64>>,
    pub(super) last_id: u64,
    pub(super) refused: BTreeSet<String>,
    pub(super) script: VecDeque<Step>,
    pub(super) hang: Option<Hang>,
    pub(super) doubts: Vec<Doubt>,
    /// Rows of requests that have no answer yet.
    pub(super) in_flight: Vec<(Timestamp, Aim)>,
    pub(super) watch: Watch,
    /// Records that were ever sent, by key.
    pub(super) seen: BTreeMap<i64, Vec<Record>>,
    /// Addresses that rows of a read model had: an intent to send one is open before anything arrives.
    pub(super) addresses: BTreeSet<String>,
    /// Somebody deleted records: only a resync mends that.
    pub(super) vandalised: BTreeSet<i64>,
    pub(super) broken: Vec<String>,
    /// What happened, for whoever reads a failure.
    pub(super) trace: Option<Vec<String>>,
}

impl World {
    fn new(clock: Clock) -> Self {
        Self {
            clock,
            model: Vec::new(),
            kept: Vec::new(),
            null_key: false,
            fail_after: None,
            records: BTreeMap::new(),
            graves: BTreeMap::new(),
            last_id: 0,
            refused: BTreeSet::new(),
            script: VecDeque::new(),
            hang: None,
            doubts: Vec::new(),
            in_flight: Vec::new(),
            watch: Watch::default(),
            seen: BTreeMap::new(),
            addresses: BTreeSet::new(),
            vandalised: BTreeSet::new(),
            broken: Vec::new(),
            trace: None,
        }
    }

    /// An empty world for the next history.
    pub(super) fn reset(&mut self, traced: bool) {
        let clock = self.clock.clone();
        *self = Self { trace: traced.then(Vec::new), ..Self::new(clock) };
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }

    pub(super) fn breaks(&mut self, what: String) {
        self.note(|| format!("    BROKEN: {what}"));
        self.broken.push(what);
    }

    /// The rows as one read sees them, and whether it fails after them.
    pub(super) fn read(&mut self) -> (Vec<Row>, bool) {
        let mut rows = self.model.clone();
        rows.sort();
        let fails = self.fail_after.take();
        rows.truncate(fails.unwrap_or(usize::MAX));
        if self.null_key {
            rows.push(Row { id: None, email: 200, name: 0 });
        }
        self.watch.present = rows.iter().filter_map(|row| row.id).collect();
        self.addresses.extend(rows.iter().map(|row| format!("{}@x", row.email)));
        self.watch.rows = rows.len() as u64;
        self.watch.null_key = self.null_key;
        self.watch.partial = fails.is_some();
        (rows, fails.is_some())
    }

    /// What the rows of a request are about.
    pub(super) fn aims(&self, batch: &Batch) -> Vec<Aim> {
        batch.rows.iter().map(|row| self.aim(batch.operation, row)).collect()
    }

    fn aim(&self, operation: Operation, row: &BatchRow) -> Aim {
        if !operation.is_removal() {
            return Aim { key: Record::of(&row.record).key, writes: Some(row.record.clone()), at: id_of(row) };
        }
        let key =
            id_of(row).and_then(|id| self.records.get(&id).map(|r| r.key).or_else(|| self.graves.get(&id).copied()));
        Aim { key: key.flatten(), writes: None, at: id_of(row) }
    }

    /// Looks at a request as it arrives: may it be sent at all?
    pub(super) fn arrives(&mut self, batch: &Batch, owned: &BTreeSet<u64>) -> Vec<Aim> {
        let aims = self.aims(batch);
        self.note(|| format!("    request {}: {}", batch.operation.name(), told(batch, &aims)));
        self.watch.requests += 1;
        if self.watch.partial {
            self.breaks("P4: something is sent after the model was read in part".to_owned());
        }
        for (aim, row) in aims.iter().zip(&batch.rows) {
            self.judge(aim, row, owned);
            self.in_flight.push((self.clock.now(), aim.clone()));
            if let (Some(key), Some(bytes)) = (aim.key, &aim.writes) {
                let record = Record::of(bytes);
                let seen = self.seen.entry(key).or_default();
                if !seen.contains(&record) {
                    seen.push(record);
                }
            }
        }
        aims
    }

    /// `owned`: records that the snapshot has for the keys that they are of.
    fn judge(&mut self, aim: &Aim, row: &BatchRow, owned: &BTreeSet<u64>) {
        let Some(key) = aim.key else {
            if aim.writes.is_none() && self.is_strange(row) {
                self.breaks("P4: a record is removed at whose address there never was a row".to_owned());
            }
            return;
        };
        if self.in_flight.iter().any(|(_, other)| other.key == Some(key)) {
            self.breaks(format!("P5: two operations of key {key} are in flight"));
        }
        let now = self.clock.now();
        let differs = |doubt: &&Doubt| {
            let disagrees =
                |other: &Aim| other.key == Some(key) && other.writes != aim.writes && self.may_meet(other, aim);
            doubt.until > now && doubt.aims.iter().any(disagrees)
        };
        if self.doubts.iter().any(|doubt| differs(&doubt)) {
            self.breaks(format!("P5: key {key} is sent otherwise while an earlier request may still be applied"));
        }
        if aim.writes.is_some() {
            if !self.watch.removed.is_empty() && !self.watch.tried.contains(&key) {
                self.breaks(format!("key {key} is written after the run's removals began"));
            }
        } else {
            let record = id_of(row).filter(|id| self.records.contains_key(id) && owned.contains(id));
            if self.watch.present.contains(&key) && record.is_some() {
                self.breaks(format!("P4: the record of key {key} is removed, which is in the model"));
            }
            if self.watch.null_key {
                self.breaks(format!("P4: key {key} is removed though a row has no key"));
            }
            self.watch.removed.insert(key);
        }
        self.watch.tried.insert(key);
    }

    /// Whether a write and a removal may concern one record. The record of a key that leaves may show what another key was
    /// about to make of it, which then went elsewhere.
    fn may_meet(&self, one: &Aim, other: &Aim) -> bool {
        let (write, removal) = match (&one.writes, &other.writes) {
            (Some(bytes), None) => ((one.at, bytes), other.at),
            (None, Some(bytes)) => ((other.at, bytes), one.at),
            (Some(_), Some(_)) | (None, None) => return true,
        };
        match write {
            (Some(id), _) => removal == Some(id),
            (None, bytes) => {
                let removed = removal.and_then(|id| self.records.get(&id));
                removed.is_none_or(|record| record.email == Record::of(bytes).email)
            }
        }
    }

    /// Whether a row names a record whose address no row ever had. A lost upsert may have met somebody else's.
    fn is_strange(&self, row: &BatchRow) -> bool {
        let record = id_of(row).and_then(|id| self.records.get(&id));
        record.is_some_and(|record| !self.addresses.contains(&record.email))
    }

    /// The request has its answer, or never gets one.
    pub(super) fn leaves(&mut self, aims: &[Aim]) {
        for aim in aims {
            if let Some(at) = self.in_flight.iter().position(|(_, other)| other == aim) {
                self.in_flight.swap_remove(at);
            }
        }
    }

    /// A request is given up without a known outcome for these rows. `batch`: it may still be applied.
    pub(super) fn doubts(&mut self, aims: Vec<Aim>, batch: Option<Batch>) {
        self.doubts_since(self.clock.now(), aims, batch);
    }

    /// The same of a request whose process ended: nobody has given it up, so the window counts from its beginning.
    pub(super) fn doubts_since(&mut self, began: Timestamp, aims: Vec<Aim>, batch: Option<Batch>) {
        let until = began + LATE_WINDOW;
        self.watch.disturbed = true;
        self.doubts.push(Doubt { until, aims, batch });
    }

    /// What can no longer be applied.
    pub(super) fn forget_old(&mut self) {
        let now = self.clock.now();
        self.doubts.retain(|doubt| doubt.until > now);
    }

    /// Applies what was given up. False when there is nothing.
    pub(super) fn apply_late(&mut self, pick: u8) -> bool {
        self.forget_old();
        let open: Vec<usize> =
            self.doubts.iter().enumerate().filter(|(_, doubt)| doubt.batch.is_some()).map(|(at, _)| at).collect();
        let Some(&at) = open.get(usize::from(pick) % open.len().max(1)) else { return false };
        let Some(batch) = self.doubts[at].batch.take() else { return false };
        self.note(|| format!("    late: {}", batch.operation.name()));
        self.apply(&batch, batch.rows.len());
        true
    }
}

/// The record id that a row names.
pub(super) fn id_of(row: &BatchRow) -> Option<u64> {
    row.record_id.as_deref()?.parse().ok()
}

fn told(batch: &Batch, aims: &[Aim]) -> String {
    let row = |(aim, row): (&Aim, &BatchRow)| {
        let id = row.record_id.as_deref().unwrap_or("?");
        let key = aim.key.map_or_else(|| "?".to_owned(), |key| key.to_string());
        match aim.writes.as_ref().map(Record::of) {
            Some(record) => format!("key {key} at {id}: {} {} {}", record.email, record.name, record.tag),
            None => format!("key {key} at {id}"),
        }
    };
    aims.iter().zip(&batch.rows).map(row).collect::<Vec<_>>().join("; ")
}
