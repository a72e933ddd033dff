//! A destination that holds records and follows a script of faults.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Mutex,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    destination::{
        Batch, BatchRow, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState,
        Lookup, LookupBy, LookupKind, Outcome, Rejection, RowCaps, Unacceptable,
    },
    mapping::to_text,
    model::{Operation, RecordRef, RunId},
    wire::{Account, Fault, FaultKind, HoldState, Sent, VendorText},
};

/// What happens to one request.
pub(crate) enum Step {
    /// Applied and acknowledged.
    Apply,
    /// Applied, but the answer is lost.
    LoseAnswer,
    /// Never answered; applied when the test says so.
    Late,
    /// Not applied; answered with a fault.
    Fail(Fault),
    /// Not applied; answered with an outcome for each row.
    Answer(fn(&BatchRow) -> Outcome),
    /// Applied, and never answered at all.
    Hang,
    /// Applied, and acknowledged when the test says so.
    Pause,
    /// A defect of the connector.
    Panic,
}

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// Record id and match value of each row.
    pub(crate) rows: Vec<(Option<String>, String)>,
    pub(crate) key: u128,
}

#[derive(Default)]
struct Vendor {
    records: BTreeMap<u64, BTreeMap<String, String>>,
    /// Further match values of a record.
    aliases: BTreeMap<String, u64>,
    /// Match values that are refused.
    refused: BTreeSet<String>,
    last_id: u64,
    /// Records by the idempotency key of their row.
    by_row_key: BTreeMap<u128, u64>,
    /// An insert never looks at what stands: `Some(true)` when idempotency keys of rows are honoured.
    log: Option<bool>,
    script: VecDeque<Step>,
    calls: Vec<Call>,
    late: Vec<Batch>,
}

/// A destination that holds records and follows a script.
pub(crate) struct ScriptedDestination {
    capabilities: Capabilities,
    vendor: Mutex<Vendor>,
    /// What was delivered cannot be published.
    pub(crate) keeps_back: std::sync::atomic::AtomicBool,
    /// Neither a lookup nor the end of a run is ever answered.
    pub(crate) is_mute: std::sync::atomic::AtomicBool,
    /// A request hangs.
    pub(crate) hanging: Notify,
    /// A request has arrived and is answered at once, or never.
    pub(crate) called: Notify,
    /// Ends a pause.
    pub(crate) go_on: Notify,
    /// How long each request might still have been begun.
    pub(crate) times: Mutex<Vec<Option<Duration>>>,
    /// A refused row spoils its whole batch.
    pub(crate) refuses_whole: std::sync::atomic::AtomicBool,
    /// It never says whose the credential is.
    pub(crate) silent: std::sync::atomic::AtomicBool,
    /// It asks everybody who asks whose the credential is to wait a minute.
    pub(crate) throttles: std::sync::atomic::AtomicBool,
}

pub(crate) fn fault(kind: FaultKind, sent: Sent) -> Step {
    Step::Fail(Fault::new(kind, sent))
}

pub(crate) fn answered(answer: fn(&BatchRow) -> Outcome) -> Step {
    Step::Answer(answer)
}

fn email(record: &[u8]) -> String {
    RecordRef::new(record).get("email").map(|value| to_text(value).into_owned()).unwrap_or_default()
}

impl ScriptedDestination {
    pub(crate) fn new(max_rows: usize) -> Self {
        const ALL: &[Operation] =
            &[Operation::Upsert, Operation::Insert, Operation::Update, Operation::Clear, Operation::Delete];
        let capabilities = Capabilities {
            max_rows: RowCaps::new(max_rows, max_rows),
            max_bytes: 1 << 20,
            operations: ALL.into(),
            correlation: Correlation::Position,
            record_ids: true,
            updates_by_id: false,
            idempotency: false,
            lookup: LookupKind::Exact,
            can_clear: true,
            max_match_fields: 1,
        };
        Self {
            capabilities,
            vendor: Mutex::default(),
            keeps_back: std::sync::atomic::AtomicBool::new(false),
            is_mute: std::sync::atomic::AtomicBool::new(false),
            hanging: Notify::new(),
            called: Notify::new(),
            go_on: Notify::new(),
            times: Mutex::default(),
            refuses_whole: std::sync::atomic::AtomicBool::new(false),
            silent: std::sync::atomic::AtomicBool::new(false),
            throttles: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.vendor.lock().unwrap().script.extend(steps);
    }

    /// Makes inserts an append log, which honours the idempotency keys of rows or does not.
    pub(crate) fn append_log(&self, honours: bool) {
        self.vendor.lock().unwrap().log = Some(honours);
    }

    pub(crate) fn panic_once(&self) {
        self.script([Step::Panic]);
    }

    pub(crate) fn clear_script(&self) {
        self.vendor.lock().unwrap().script.clear();
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.vendor.lock().unwrap().calls)
    }

    async fn answer_unless_mute(&self) {
        if self.is_mute.load(std::sync::atomic::Ordering::Relaxed) {
            self.hanging.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Match value and name of every record, sorted.
    pub(crate) fn records(&self) -> Vec<(String, String)> {
        let vendor = self.vendor.lock().unwrap();
        let text = |record: &BTreeMap<String, String>, field: &str| record.get(field).cloned().unwrap_or_default();
        let mut all: Vec<_> = vendor.records.values().map(|r| (text(r, "email"), text(r, "name"))).collect();
        all.sort();
        all
    }

    pub(crate) fn alias(&self, email: &str, id: u64) {
        self.vendor.lock().unwrap().aliases.insert(email.to_owned(), id);
    }

    pub(crate) fn refuse(&self, email: &str) {
        self.vendor.lock().unwrap().refused.insert(email.to_owned());
    }

    pub(crate) fn accept_all(&self) {
        self.vendor.lock().unwrap().refused.clear();
    }

    /// Somebody makes a record at the vendor.
    pub(crate) fn put(&self, email: &str, name: &str) {
        let mut vendor = self.vendor.lock().unwrap();
        vendor.last_id += 1;
        let (id, fields) = (vendor.last_id, [("email", email), ("name", name)]);
        vendor.records.insert(id, fields.map(|(field, value)| (field.to_owned(), value.to_owned())).into());
    }

    /// Somebody deletes the record at the vendor.
    pub(crate) fn delete(&self, email: &str) {
        let mut vendor = self.vendor.lock().unwrap();
        vendor.records.retain(|_, record| record.get("email").map(String::as_str) != Some(email));
    }

    /// Applies what was not answered, as a slow vendor does.
    pub(crate) fn apply_late(&self) {
        let mut vendor = self.vendor.lock().unwrap();
        let late = std::mem::take(&mut vendor.late);
        for batch in late {
            vendor.apply(&batch);
        }
    }
}

impl Vendor {
    fn apply(&mut self, batch: &Batch) -> Vec<Outcome> {
        batch.rows.iter().map(|row| self.apply_row(batch.operation, row)).collect()
    }

    fn apply_row(&mut self, operation: Operation, row: &BatchRow) -> Outcome {
        let email = email(&row.record);
        if let Some(honours) = self.log.filter(|_| operation == Operation::Insert) {
            return self.append(row, honours);
        }
        if self.refused.contains(&email) {
            return refused(false);
        }
        let known = row.record_id.as_deref().and_then(|id| id.parse().ok());
        let found = match operation {
            Operation::Upsert | Operation::Insert => self.find(&email),
            Operation::Update | Operation::Clear | Operation::Delete => {
                let by_match = || self.find(&email).filter(|_| operation == Operation::Update);
                row.record_id.as_ref().map_or_else(by_match, |_| known.filter(|id| self.records.contains_key(id)))
            }
        };
        match (operation, found) {
            (Operation::Insert, Some(id)) => Outcome::Exists { record_id: Some(id.to_string().into()) },
            (Operation::Upsert | Operation::Insert, None) => {
                self.last_id += 1;
                self.write(self.last_id, row)
            }
            (Operation::Upsert | Operation::Update | Operation::Clear, Some(id)) => {
                if operation == Operation::Update && self.find(&email).is_some_and(|other| other != id) {
                    return refused(true);
                }
                self.write(id, row)
            }
            (Operation::Update, None) => Outcome::Gone,
            (Operation::Delete, Some(id)) => {
                self.records.remove(&id);
                Outcome::Delivered { record_id: None }
            }
            (Operation::Clear | Operation::Delete, None) => Outcome::Delivered { record_id: None },
        }
    }

    fn append(&mut self, row: &BatchRow, honours: bool) -> Outcome {
        if self.refused.contains(&email(&row.record)) {
            return refused(false);
        }
        if let Some(id) = row.idempotency_key.and_then(|key| self.by_row_key.get(&key)).filter(|_| honours) {
            return Outcome::Delivered { record_id: Some(id.to_string().into()) };
        }
        self.last_id += 1;
        self.by_row_key.extend(row.idempotency_key.map(|key| (key, self.last_id)));
        self.write(self.last_id, row)
    }

    fn find(&self, email: &str) -> Option<u64> {
        let alias = self.aliases.get(email).copied().filter(|id| self.records.contains_key(id));
        let own = self.records.iter().find(|(_, record)| record.get("email").is_some_and(|value| value == email));
        alias.or(own.map(|(id, _)| *id))
    }

    fn write(&mut self, id: u64, row: &BatchRow) -> Outcome {
        let record = self.records.entry(id).or_default();
        for (name, value) in RecordRef::new(&row.record).fields() {
            record.insert(name.to_owned(), to_text(value).into_owned());
        }
        Outcome::Delivered { record_id: Some(id.to_string().into_boxed_str()) }
    }
}

fn refused(conflict: bool) -> Outcome {
    let code = if conflict { "VALUE_TAKEN" } else { "INVALID" };
    Outcome::Rejected(Rejection { code: code.to_owned(), text: VendorText::new("no"), field: None, conflict })
}

#[async_trait]
impl Destination for ScriptedDestination {
    fn capabilities(&self, _object: &str) -> &Capabilities {
        &self.capabilities
    }

    async fn check(&self, account: &Account) -> Result<Identity, Fault> {
        let held = account.hold_state();
        if held != HoldState::Open {
            return Err(Fault::new(FaultKind::Held(held), Sent::No));
        }
        if self.throttles.load(std::sync::atomic::Ordering::Relaxed) {
            let mut fault = Fault::new(FaultKind::Throttled, Sent::Yes);
            fault.retry_after = Some(Duration::from_secs(60));
            return Err(fault);
        }
        if self.silent.load(std::sync::atomic::Ordering::Relaxed) {
            self.hanging.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(Identity { account: "1".to_owned(), time_zone: None })
    }

    async fn describe(&self, _account: &Account, _object: &str) -> Result<Vec<Field>, Fault> {
        Ok(Vec::new())
    }

    async fn lookup(&self, _account: &Account, query: &Lookup) -> Result<Vec<Found>, Fault> {
        self.answer_unless_mute().await;
        let LookupBy::Match { values, .. } = &query.by else { return Ok(Vec::new()) };
        let vendor = self.vendor.lock().unwrap();
        let found = values.iter().enumerate().filter_map(|(position, value)| {
            vendor.find(value).map(|id| Found { position, record_id: id.to_string(), fields: Vec::new() })
        });
        Ok(found.collect())
    }

    async fn deliver(&self, account: &Account, batch: &Batch) -> Result<Delivery, Fault> {
        self.times.lock().unwrap().push(account.time_left());
        self.called.notify_one();
        let step = {
            let mut vendor = self.vendor.lock().unwrap();
            let id = |row: &BatchRow| row.record_id.as_deref().map(str::to_owned);
            let rows = batch.rows.iter().map(|row| (id(row), email(&row.record))).collect();
            vendor.calls.push(Call { operation: batch.operation, rows, key: batch.idempotency_key });
            let spoiled = self.refuses_whole.load(std::sync::atomic::Ordering::Relaxed)
                && batch.rows.iter().any(|row| vendor.refused.contains(&email(&row.record)));
            if spoiled {
                return Err(Fault::new(FaultKind::BatchRefused, Sent::Yes));
            }
            vendor.script.pop_front().unwrap_or(Step::Apply)
        };
        let apply = || self.vendor.lock().unwrap().apply(batch);
        match step {
            Step::Apply => Ok(Delivery::Rows(apply())),
            Step::LoseAnswer => {
                apply();
                Err(Fault::new(FaultKind::Dropped, Sent::Maybe))
            }
            Step::Late => {
                self.vendor.lock().unwrap().late.push(batch.clone());
                Err(Fault::new(FaultKind::TimedOut, Sent::Maybe))
            }
            Step::Fail(fault) => Err(fault),
            Step::Answer(answer) => Ok(Delivery::Rows(batch.rows.iter().map(answer).collect())),
            Step::Hang => {
                apply();
                self.hanging.notify_one();
                std::future::pending().await
            }
            Step::Pause => {
                let outcomes = apply();
                self.hanging.notify_one();
                self.go_on.notified().await;
                Ok(Delivery::Rows(outcomes))
            }
            Step::Panic => panic!("a defect"),
        }
    }

    async fn finish(&self, _object: &str, _run: RunId) -> Result<(), Fault> {
        self.answer_unless_mute().await;
        match self.keeps_back.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(Fault::new(FaultKind::Settings, Sent::No)),
            false => Ok(()),
        }
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
        value.trim().to_lowercase()
    }

    fn match_is_exact(&self, _object: &str, _field: &str) -> bool {
        false
    }
}
