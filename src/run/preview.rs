//! What a run would do, without doing it: the same plan and verdict, nothing sent and nothing written.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    model::{Counts, Key, SyncId, Timestamp, spec::SyncSpec},
    plan::PlanItem,
    state::{SyncRecord, Target},
};

use super::{
    Engine, RunError, TripLine,
    deliver::held,
    judge::{Basis, Judged, Place, place},
    sharing::Rows,
};

/// What a run would do now.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// The sync's name.
    pub sync: String,
    /// No run of the sync has begun yet.
    pub first_run: bool,
    /// Counts up to the plan, and what the guard would hold.
    pub counts: Counts,
    /// Rules of the guard that would trip.
    pub trips: Vec<TripLine>,
    /// What to do about the first of them.
    pub hint: Option<String>,
    /// Removals would wait, because a row has no usable key.
    pub withheld: bool,
    /// Write requests that the plan needs at least.
    pub requests: u64,
    /// Some planned rows.
    pub sample: Vec<SampleRow>,
}

/// One planned row.
#[derive(Debug, Clone, Serialize)]
pub struct SampleRow {
    /// The key, as text.
    pub key: String,
    /// `added`, `changed` or `removed`.
    pub kind: &'static str,
    /// What would be done at the destination; `None`: nothing.
    pub operation: Option<&'static str>,
    /// The guard would hold it.
    pub held: bool,
    /// Names of the fields that would be sent, with values only when asked for.
    pub fields: Vec<(String, Option<String>)>,
}

impl Engine {
    /// Plans a sync without sending or writing anything.
    ///
    /// # Errors
    /// As a run: when the source, the state, or the configuration fails.
    pub async fn preview(
        &self,
        name: &str,
        limit: usize,
        show_values: bool,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Preview, RunError> {
        let sync = self.sync(name).ok_or_else(|| RunError::unknown("sync", name))?;
        let known = self.state().sync(name).await?;
        let prepared = self.prepare(sync, known.as_ref()).await?;
        let first_run = known.is_none();
        let spec = self.destination(sync)?;
        let record = known.unwrap_or_else(|| stranger(sync, prepared.target(spec)));
        let rows = Rows::Own(prepared.source.read(&prepared.query, &prepared.schema));
        let overlay = self.state().overlay(record.id);
        let passed = self.planner(&prepared, &record).pass(rows, overlay, &self.parts.shutdown, progress).await?;
        let entries = if first_run { 0 } else { self.state().standing(record.id).await?.entries };
        let basis = Basis {
            sync,
            record: &record,
            state: self.state(),
            entries,
            now: self.parts.clock.now(),
            spool_dir: &self.parts.spool_dir,
        };
        let judged = basis.judge(passed).await?;
        summarise(
            sync,
            first_run,
            &judged,
            &prepared.destination.capabilities(&sync.object).max_rows,
            limit,
            show_values,
        )
    }
}

/// A sync that the state does not know yet: nothing is held for it.
fn stranger(sync: &SyncSpec, target: Target) -> SyncRecord {
    SyncRecord {
        id: SyncId(-1),
        name: sync.name.clone(),
        uuid: [0; 16],
        target,
        mapping: None,
        previous_mapping: None,
        first_run_closed: false,
        created_at: Timestamp::default(),
        last_ok_at: None,
        last_removal_at: None,
        cursor: None,
        invalid: 0,
        paused: false,
        resync_through: None,
        resync_open: false,
        suspect: false,
        full_read: None,
    }
}

fn summarise(
    sync: &SyncSpec,
    first_run: bool,
    judged: &Judged,
    caps: &crate::destination::RowCaps,
    limit: usize,
    show_values: bool,
) -> Result<Preview, RunError> {
    let mut counts = judged.counts;
    let (mut sample, mut planned) = (Vec::new(), BTreeMap::new());
    for mut reader in [judged.plan.upserts(), judged.plan.removals()] {
        while let Some(item) = reader.next()? {
            if place(&item, judged.withheld) != Place::Planned {
                continue;
            }
            let is_held = held(&judged.verdict, &item);
            counts.guarded += u64::from(is_held);
            if let Some(operation) = item.row.planned.operation.filter(|_| !is_held) {
                *planned.entry(operation).or_insert(0_u64) += 1;
            }
            if sample.len() < limit {
                sample.push(sample_row(&item, is_held, show_values));
            }
        }
    }
    let requests = planned.into_iter().map(|(operation, rows)| rows.div_ceil(caps.of(operation).max(1) as u64)).sum();
    let trips = judged.verdict.tripped.iter();
    Ok(Preview {
        sync: sync.name.clone(),
        first_run,
        counts,
        hint: judged.verdict.tripped.first().map(|trip| trip.hint.to_owned()),
        trips: trips
            .map(|trip| TripLine { rule: trip.rule.name().to_owned(), message: trip.message.clone() })
            .collect(),
        withheld: judged.withheld.removals(),
        requests,
        sample,
    })
}

fn sample_row(item: &PlanItem, held: bool, show_values: bool) -> SampleRow {
    let row = &item.row;
    let text = |value| crate::mapping::to_text(value).into_owned();
    let fields = crate::model::RecordRef::new(&row.record).fields();
    SampleRow {
        key: Key::to_text(&row.key).unwrap_or_default(),
        kind: row.planned.kind.name(),
        operation: row.planned.operation.map(crate::model::Operation::name),
        held,
        fields: fields.map(|(name, value)| (name.to_owned(), show_values.then(|| text(value)))).collect(),
    }
}
