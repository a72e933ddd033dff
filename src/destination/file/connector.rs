//! The connector: batches to files, on threads that may block.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs, io,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{
    encode::{accepts, head, line_len, lines},
    pattern::{Pattern, PatternError},
    store::{Partial, make_folder},
    stray::{recover_all, recover_strays},
};
use crate::{
    destination::{
        Batch, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup,
        LookupKind, Outcome, RowCaps, Unacceptable,
    },
    model::{
        Operation, RecordRef, RunId,
        spec::{FileFormat, FileSpec},
    },
    wire::{Account, Fault, FaultKind, Sent},
};

/// Most rows of a batch: each batch is one wait for the disk.
const MAX_ROWS: usize = 1_000;
/// Most bytes of a batch, which is held in memory.
const MAX_BYTES: usize = 8 << 20;

static CAPABILITIES: Capabilities = Capabilities {
    max_rows: RowCaps::new(MAX_ROWS, MAX_ROWS),
    max_bytes: MAX_BYTES,
    operations: Cow::Borrowed(&[
        Operation::Upsert,
        Operation::Insert,
        Operation::Update,
        Operation::Clear,
        Operation::Delete,
    ]),
    correlation: Correlation::Position,
    record_ids: false,
    updates_by_id: false,
    // A row that was written but not settled before a crash is written again, into another file.
    idempotency: false,
    lookup: LookupKind::None,
    can_clear: true,
    max_match_fields: 1,
};

/// Files in a local folder.
#[derive(Debug)]
pub(crate) struct Files {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pattern: Pattern,
    format: FileFormat,
    /// The files under way. Locked while one is written, which makes the batches of a run follow each other.
    open: Mutex<HashMap<(String, RunId), Partial>>,
}

impl Files {
    /// A connector for the files of these settings.
    ///
    /// # Errors
    /// When the path makes no files.
    pub(crate) fn new(spec: &FileSpec) -> Result<Self, PatternError> {
        let pattern = Pattern::new(&spec.path)?;
        Ok(Self { inner: Arc::new(Inner { pattern, format: spec.format, open: Mutex::default() }) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(fault)
    }
}

/// Nothing of the batch will be published, unless a crash follows before the file is cut: then it is a repeat. A full disk
/// or a missing right needs a person.
fn fault(error: io::Error) -> Fault {
    let mut fault = Fault::new(FaultKind::Settings, Sent::No);
    fault.code = Some(error.kind().to_string());
    fault.because(error)
}

impl Inner {
    pub(super) fn append(&self, batch: &Batch) -> io::Result<()> {
        let rows = lines(self.format, batch).map_err(io::Error::other)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (batch.object.clone(), batch.run);
        if !open.contains_key(&key) {
            let folder = self.pattern.folder(&batch.object);
            let name = self.pattern.name(&batch.object, batch.run);
            open.insert(key.clone(), Partial::create(&folder, &name, self.format)?);
        }
        let Some(partial) = open.get_mut(&key) else { return Err(io::Error::other("the file is not open")) };
        if partial.is_empty() {
            let mut bytes = head(self.format, &batch.fields).map_err(io::Error::other)?;
            bytes.extend_from_slice(&rows);
            return partial.append(&bytes);
        }
        partial.append(&rows)
    }

    /// What crashes have left is older than the own file, so it is published first. The own file is locked meanwhile.
    pub(super) fn finish(&self, object: &str, run: RunId) -> io::Result<()> {
        let own = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&(object.to_owned(), run));
        recover_all(&self.pattern, object, self.format)?;
        recover_strays(&self.pattern.root())?;
        own.map_or(Ok(()), |own| own.publish())
    }

    fn identity(&self) -> io::Result<String> {
        let root = self.pattern.root();
        make_folder(&root)?;
        Ok(fs::canonicalize(root)?.to_string_lossy().into_owned())
    }
}

fn unsupported(what: &'static str) -> Fault {
    Fault::new(FaultKind::Settings, Sent::No).because(what)
}

#[async_trait]
impl Destination for Files {
    fn capabilities(&self, _object: &str) -> &Capabilities {
        &CAPABILITIES
    }

    /// The account is the folder, which is made if it is not there.
    async fn check(&self, _account: &Account) -> Result<Identity, Fault> {
        let account = self.blocking(Inner::identity).await?;
        Ok(Identity { account, time_zone: None })
    }

    /// A file takes every field: an empty list means that nothing is known.
    async fn describe(&self, _account: &Account, _object: &str) -> Result<Vec<Field>, Fault> {
        Ok(Vec::new())
    }

    async fn lookup(&self, _account: &Account, _query: &Lookup) -> Result<Vec<Found>, Fault> {
        Err(unsupported("a `file` destination has no lookup"))
    }

    async fn deliver(&self, _account: &Account, batch: &Batch) -> Result<Delivery, Fault> {
        let rows = batch.rows.len();
        let batch = batch.clone();
        self.blocking(move |inner| inner.append(&batch)).await?;
        Ok(Delivery::Rows((0..rows).map(|_| Outcome::Delivered { record_id: None }).collect()))
    }

    async fn finish(&self, object: &str, run: RunId) -> Result<(), Fault> {
        let object = object.to_owned();
        self.blocking(move |inner| inner.finish(&object, run)).await
    }

    async fn poll(&self, _account: &Account, _job: &Job) -> Result<JobState, Fault> {
        Err(unsupported("a `file` destination has no jobs"))
    }

    fn accepts(&self, _object: &str, record: RecordRef<'_>) -> Result<(), Unacceptable> {
        accepts(self.inner.format, record)
    }

    fn encoded_len(&self, _object: &str, record: RecordRef<'_>) -> usize {
        line_len(self.inner.format, record)
    }

    fn normalise_match(&self, _object: &str, _field: &str, value: &str) -> String {
        value.to_owned()
    }

    fn match_is_exact(&self, _object: &str, _field: &str) -> bool {
        true
    }
}
