//! `changed_when`: a cheap question that spares reading a model that has not changed.

use std::sync::Arc;

use crate::{
    mapping::{HashKeys, to_text},
    model::{
        Counts, Fingerprint, Timestamp,
        spec::{DestinationSpec, ModelSpec, SyncSpec},
    },
    source::{ModelBody, ModelQuery, Source, SourceError},
    state::{FullRead, RunClose, RunStatus, SyncRecord, SyncUpdate},
    telemetry::{event, events},
};

use super::{Engine, RunError, RunReport, Trigger};

/// What a look at `changed_when` says.
#[allow(clippy::large_enum_variant, reason = "there is one of it a run")]
pub(super) enum Looked {
    /// Nothing changed and nothing is open: the run ends here.
    Same(SyncRecord),
    /// The model is to be read; with the answer that a clean run may remember.
    Read(Option<Fingerprint>),
}

impl Engine {
    /// Asks the model's `changed_when`, if it has one. Only scheduled runs are skipped: who asks for a run gets one.
    ///
    /// # Errors
    /// When the question cannot be asked or the state fails.
    pub(super) async fn look(&self, sync: &SyncSpec, trigger: Trigger) -> Result<Looked, RunError> {
        let model = self.model(sync)?;
        let Some(question) = &model.changed_when else { return Ok(Looked::Read(None)) };
        let source = self.source(&model.source).await?;
        let timeout = self.source_spec(&model.source)?.statement_timeout;
        let answer = ask(source.as_ref(), &model.name, question, timeout).await?;
        let keys = self.hash_keys(sync).await?;
        let asked = asked(sync, model, self.destination(sync)?, &keys, answer.as_deref());
        let answer = self.state().installation_hasher().of(asked.as_bytes());
        let Some(record) = self.state().sync(&sync.name).await? else { return Ok(Looked::Read(Some(answer))) };
        let recent = record.full_read.as_ref().is_some_and(|read| self.is_recent(sync, read, answer));
        if matches!(trigger, Trigger::Schedule { .. }) && recent && !self.is_open(&record).await? {
            return Ok(Looked::Same(record));
        }
        Ok(Looked::Read(Some(answer)))
    }

    fn is_recent(&self, sync: &SyncSpec, read: &FullRead, answer: Fingerprint) -> bool {
        let now = self.parts.clock.now();
        // A read in the future was made while the clock was wrong.
        read.answer == answer && read.at <= now && now < read.at + sync.full_every
    }

    /// Whether something of the sync is dirty or rejected, or its last run did not close.
    async fn is_open(&self, record: &SyncRecord) -> Result<bool, RunError> {
        let standing = self.state().standing(record.id).await?;
        Ok(standing.dirty + standing.rejected > 0)
    }

    /// Records a run that read nothing.
    ///
    /// # Errors
    /// When the state fails.
    pub(super) async fn skip(
        &self,
        record: &SyncRecord,
        trigger: Trigger,
        unless_after: Option<Timestamp>,
    ) -> Result<RunReport, RunError> {
        let begun = self.state().begin_run_unless(record.id, trigger.name(), unless_after).await?;
        let _lease = self.state().guard_lease(record.id, begun.epoch);
        let mut report = RunReport::new(&record.name, Some(begun.run), RunStatus::Skipped);
        report = report.because("`changed_when` gives the same answer and nothing is open", None);
        let close = RunClose {
            run: begun.run,
            status: report.status,
            counts: Counts::default(),
            summary: serde_json::Value::Null,
            error: None,
        };
        let update = SyncUpdate { last_ok_at: Some(self.parts.clock.now()), ..SyncUpdate::default() };
        self.state().update_sync(record.id, update).await?;
        self.state().close_run(close).await?;
        event!(events::RUN_SKIPPED, sync = record.name, run = %begun.run);
        Ok(report)
    }
}

/// What a clean run leaves: the answer that stood before it read, and when.
pub(super) fn full_read(answer: Option<Fingerprint>, at: Timestamp) -> Option<FullRead> {
    answer.map(|answer| FullRead { answer, at })
}

/// The answer together with everything of the configuration that shapes a run: a change of either reads the model.
fn asked(
    sync: &SyncSpec,
    model: &ModelSpec,
    destination: &DestinationSpec,
    keys: &HashKeys,
    answer: Option<&str>,
) -> String {
    format!("{}\n{sync:?}\n{model:?}\n{destination:?}\n{keys:?}\n{answer:?}", env!("CARGO_PKG_VERSION"))
}

/// The text form of the one value that a query answers; `None` for null.
async fn ask(
    source: &dyn Source,
    model: &str,
    question: &str,
    timeout: std::time::Duration,
) -> Result<Option<String>, RunError> {
    let query = ModelQuery {
        name: format!("{model} (changed_when)"),
        body: ModelBody::Sql(question.to_owned()),
        filter: None,
        flags: Vec::new(),
        primary_key: Vec::new(),
        key_kinds: None,
        after: None,
        timeout,
    };
    let refused = || {
        let reason = "`changed_when` must answer one row of one column".to_owned();
        RunError::from(SourceError::Statement { model: query.name.clone(), reason })
    };
    let schema = source.describe(&query).await?;
    if schema.columns.len() != 1 {
        return Err(refused());
    }
    let (mut rows, mut answer) = (source.read(&query, &schema), None);
    while let Some(batch) = rows.next().await? {
        for row in batch.rows() {
            let value = row.cell(0);
            let text = (!value.is_null()).then(|| to_text(value).into_owned());
            if answer.replace(text).is_some() {
                return Err(refused());
            }
        }
        rows.recycle(batch);
    }
    answer.ok_or_else(refused)
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        Self::Source(Arc::new(error))
    }
}
