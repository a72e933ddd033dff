//! The diff pass: one ordered merge of the model's rows with what the state holds, spooled as a plan.

use std::path::Path;

use crate::{
    destination::Destination,
    diff::{self, Decision, Neighbours, Planned, Row, Seen, Side, Standing, WaitReason, side},
    mapping::{FreshColumn, Mapping},
    model::{
        Entry, Fingerprinter, Held, InvalidCode, InvalidRow, Key, KeyKind, RecordRef, RowRef, encode_key,
        spec::{Mode, Remap, SyncSpec},
    },
    plan::{LocalEnd, LocalWriter, OwnershipBuilder, PlanRow, PlanWriter},
    shutdown::Shutdown,
    spool::SpoolError,
    state::{Overlay, State},
};

use super::{
    RunError,
    claims::MatchHasher,
    cursor::{self, Cursor},
    doubt::Doubts,
    earlier::{self, Earlier},
    judge::tells_age,
    keyed::cleared_record,
    nulls::NullCounts,
    passed::{
        MAX_LISTED, PassCounts, Passed, key_code, latest_ambiguous, rejected_before, removal_row, unless_partial,
    },
    pending::PendingRow,
    sharing::Rows,
};

/// Everything that one diff pass needs.
pub(super) struct Planner<'a> {
    pub(super) sync: &'a SyncSpec,
    pub(super) mapping: &'a Mapping,
    /// Earlier mappings that entries may have been settled under, where they are not the present one.
    pub(super) earlier: &'a [Earlier],
    /// The column that `fresh` looks at.
    pub(super) fresh: Option<FreshColumn>,
    pub(super) key_kinds: &'a [KeyKind],
    pub(super) destination: &'a dyn Destination,
    pub(super) fingerprinter: Fingerprinter,
    pub(super) hasher: Option<MatchHasher>,
    pub(super) state: &'a State,
    pub(super) context: diff::Context,
    pub(super) cursor: Option<&'a Cursor>,
    pub(super) spool_dir: &'a Path,
}

impl Planner<'_> {
    /// Reads the model to its end and plans.
    ///
    /// # Errors
    /// When the source, the state or a spool fails, or the rows are out of order: then nothing may be sent.
    pub(super) async fn pass(
        self,
        mut rows: Rows,
        overlay: Overlay,
        shutdown: &Shutdown,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Passed, RunError> {
        let mut pass = Pass::new(self, overlay).await?;
        let mut neighbours = Neighbours::new();
        // Boxed: a row is handed on five times.
        let mut spare = Some(Box::<PendingRow>::default());
        loop {
            let batch = tokio::select! {
                batch = rows.next() => unless_partial(batch)?,
                () = shutdown.cancelled() => return Err(RunError::Stopped),
            };
            let Some(lot) = batch else { break };
            for row in lot.rows() {
                let mut pending = spare.take().unwrap_or_default();
                if !pass.load(row, &mut pending) {
                    spare = Some(pending);
                    continue;
                }
                if let Some(seen) = neighbours.push(pending).map_err(RunError::Order)? {
                    spare = Some(pass.take(seen).await?);
                }
            }
            progress(pass.counts.read);
            rows.recycle(lot);
        }
        if let Some(seen) = neighbours.finish() {
            pass.take(seen).await?;
        }
        pass.finish().await
    }
}

struct Pass<'a> {
    planner: Planner<'a>,
    overlay: Overlay,
    held: Option<Held>,
    writer: PlanWriter,
    ownership: Option<OwnershipBuilder>,
    counts: PassCounts,
    invalid: Vec<InvalidRow>,
    unusable_keys: u64,
    nulls: NullCounts,
    newest: Option<i64>,
    standing: Vec<u64>,
    local: LocalWriter,
    /// Absent keys whose records have ids.
    gone: LocalWriter,
    doubts: Doubts<'a>,
    cursor: cursor::Seen,
    /// The record of every removal: fields to clear, or nothing.
    cleared: Vec<u8>,
}

impl<'a> Pass<'a> {
    async fn new(planner: Planner<'a>, mut overlay: Overlay) -> Result<Self, RunError> {
        let held = overlay.next().await?;
        Ok(Self {
            writer: PlanWriter::new(planner.spool_dir),
            ownership: planner.hasher.as_ref().map(|_| OwnershipBuilder::new(planner.spool_dir)),
            cleared: cleared_record(planner.sync, planner.mapping),
            nulls: NullCounts::of(planner.mapping.field_names()),
            newest: None,
            standing: vec![0; planner.earlier.len()],
            local: LocalWriter::new(planner.spool_dir),
            gone: LocalWriter::new(planner.spool_dir),
            doubts: Doubts::new(planner.state, planner.hasher.clone()),
            cursor: cursor::Seen::default(),
            planner,
            overlay,
            held,
            counts: PassCounts::default(),
            invalid: Vec::new(),
            unusable_keys: 0,
        })
    }

    /// Encodes a row; false when it has no usable key, which settles what becomes of it, or lies before the cursor.
    fn load(&mut self, row: RowRef<'_>, pending: &mut PendingRow) -> bool {
        pending.clear();
        if !self.place(row, pending) {
            return false;
        }
        self.counts.read += 1;
        let mapping = self.planner.mapping;
        let reaches = self.planner.fresh.and_then(|fresh| fresh.of(row));
        self.newest = self.newest.max(reaches.filter(|at| tells_age(*at, self.planner.context.now)));
        match encode_key(row, mapping.key_columns(), self.planner.key_kinds, &mut pending.key) {
            Ok(()) => {
                match mapping.encode(row, &mut pending.record) {
                    Ok(()) if pending.problem.is_some() => {}
                    Ok(()) => {
                        pending.fingerprint = Some(self.planner.fingerprinter.of(&pending.record));
                        mapping.nulls(row, &mut pending.nulls);
                        let Planner { earlier, fingerprinter, .. } = &self.planner;
                        earlier::fingerprints(earlier, row, fingerprinter, &mut pending.earlier);
                    }
                    Err(problem) => pending.problem = Some(problem),
                }
                true
            }
            Err(problem) => {
                self.unusable_keys += 1;
                self.cursor.keep_open(pending.cursor);
                self.invalid_row(None, key_code(problem), None, problem.to_string());
                false
            }
        }
    }

    /// Notes the row's place on the cursor column; false for a row that is not read.
    fn place(&mut self, row: RowRef<'_>, pending: &mut PendingRow) -> bool {
        match self.planner.cursor.map(|cursor| cursor.locate(row)) {
            Some(Ok(None)) => return false,
            Some(Ok(Some(place))) => {
                self.cursor.read(place);
                pending.cursor = Some(place);
            }
            Some(Err(problem)) => pending.problem = Some(problem),
            None => {}
        }
        true
    }

    fn invalid_row(&mut self, key: Option<Key>, code: InvalidCode, field: Option<String>, detail: String) {
        self.counts.invalid += 1;
        if self.invalid.len() < MAX_LISTED {
            self.invalid.push(InvalidRow { key, code, field, detail, others: Vec::new() });
        }
    }

    /// Decides one row, after every held key before it. Gives the row's memory back.
    async fn take(&mut self, seen: Seen<Box<PendingRow>>) -> Result<Box<PendingRow>, RunError> {
        let (row, copy) = match seen {
            Seen::Single(row) => (row, false),
            Seen::Copy(row) => (row, true),
        };
        let mut held = None;
        while let Some(next) = self.held.as_ref() {
            match side(Some(&row.key), Some(next.key.as_bytes())) {
                Some(Side::Held) => self.absent().await?,
                Some(Side::Both) => {
                    held = self.advance().await?;
                    break;
                }
                Some(Side::Row) | None => break,
            }
        }
        if copy {
            let key = Key::from_encoded(&row.key);
            self.note(&key, &Standing::Invalid)?;
            self.cursor.keep_open(row.cursor);
            let detail = "several rows have this key".to_owned();
            self.invalid_row(Some(key), InvalidCode::DuplicateKey, None, detail);
            return Ok(row);
        }
        self.present(&row, held.as_ref())?;
        Ok(row)
    }

    /// Takes the present held key and moves to the next.
    async fn advance(&mut self) -> Result<Option<Held>, RunError> {
        let next = self.overlay.next().await?;
        let held = std::mem::replace(&mut self.held, next);
        held.iter().try_for_each(|held| self.doubts.note(held, &self.planner.context))?;
        Ok(held)
    }

    fn present(&mut self, row: &PendingRow, held: Option<&Held>) -> Result<(), RunError> {
        let (Some(fingerprint), None) = (row.fingerprint, &row.problem) else {
            self.cursor.keep_open(row.cursor);
            let key = Key::from_encoded(&row.key);
            self.note(&key, &Standing::Invalid)?;
            if let Some(problem) = &row.problem {
                self.invalid_row(Some(key), problem.code, Some(problem.field.clone()), problem.detail.clone());
            }
            return Ok(());
        };
        self.nulls.row(&row.nulls, held.and_then(earlier::live_entry).is_some());
        match diff::decide(Some(&Row { fingerprint, previous: None }), held, &self.planner.context) {
            Decision::Unchanged | Decision::Rewrite => self.counts.unchanged += 1,
            Decision::Stands { loaded } => {
                self.counts.unchanged += 1;
                let entry = held.and_then(|held| held.entry.clone()).map(|entry| Entry { tombstone: false, ..entry });
                self.local.push(&LocalEnd { key: Key::from_encoded(&row.key), loaded, entry })?;
            }
            Decision::Waiting(reason) => {
                self.counts.waiting += 1;
                if !matches!(reason, WaitReason::Rejected { .. }) {
                    self.cursor.keep_open(row.cursor);
                }
                self.note_waiting(row, held, reason == WaitReason::Conflict)?;
            }
            Decision::Upsert(mut planned) => {
                let under = earlier::stands_under(&row.earlier, held, &planned);
                match (under, self.planner.sync.remap) {
                    // What a resync asks for is sent, whatever mapping it stands under, and nobody minds.
                    (Some(_), Remap::Later) if earlier::is_resynced(held, &self.planner.context) => {
                        planned.counts_for_guard = false;
                        self.upsert(row, held, planned, false)?;
                    }
                    // The entry keeps its fingerprint, so the row waits for its data to change.
                    (Some(place), Remap::Later) => {
                        self.counts.unchanged += 1;
                        self.standing.iter_mut().skip(place).take(1).for_each(|rows| *rows += 1);
                    }
                    (under, _) => self.upsert(row, held, planned, under.is_some())?,
                }
            }
            Decision::Removal(_) | Decision::WaitingRemoval(_) | Decision::Forget { .. } | Decision::Nothing => {
                return Err(RunError::Accounting("a present key was decided as absent".to_owned()));
            }
        }
        Ok(())
    }

    fn upsert(
        &mut self,
        row: &PendingRow,
        held: Option<&Held>,
        planned: Planned,
        remapped: bool,
    ) -> Result<(), RunError> {
        let key = Key::from_encoded(&row.key);
        let record = RecordRef::new(&row.record);
        if let Err(refused) = self.planner.destination.accepts(&self.planner.sync.object, record) {
            self.cursor.keep_open(row.cursor);
            self.note(&key, &Standing::Invalid)?;
            self.invalid_row(Some(key), InvalidCode::Unencodable, Some(refused.field), refused.reason);
            return Ok(());
        }
        let claims = self.claims(record);
        let has_record = planned.record_id.is_some() && !planned.id_from_mark;
        let standing = Standing::Planned { kind: planned.kind, claims: claims.clone(), has_record };
        self.note(&key, &standing)?;
        let plan_row = PlanRow {
            key,
            planned,
            fingerprint: row.fingerprint,
            claims,
            record: row.record.clone(),
            entry: held.and_then(|held| held.entry.clone()),
            rejected_before: held.map_or(0, |held| rejected_before(held, row.fingerprint)),
            remapped,
            ambiguous_at: held.and_then(latest_ambiguous),
            cursor: row.cursor,
            refusals: held.and_then(|held| held.rejected.as_ref()).map_or(0, |mark| mark.run.0.unsigned_abs()),
        };
        Ok(self.writer.push(&plan_row)?)
    }

    fn claims(&self, record: RecordRef<'_>) -> Vec<u64> {
        self.planner.hasher.as_ref().and_then(|hasher| hasher.of(record)).into_iter().collect()
    }

    fn note_waiting(&mut self, row: &PendingRow, held: Option<&Held>, refused: bool) -> Result<(), SpoolError> {
        let claims = self.claims(RecordRef::new(&row.record));
        let entry = held.and_then(|held| held.entry.as_ref());
        let has_record = entry.is_some_and(|entry| entry.record_id.is_some());
        self.note(&Key::from_encoded(&row.key), &Standing::Waiting { claims, has_record, refused })
    }

    fn note(&mut self, key: &Key, standing: &Standing) -> Result<(), SpoolError> {
        self.ownership.as_mut().map_or(Ok(()), |ownership| ownership.note(key, standing))
    }

    /// Decides the held key, which the result does not have, and moves on.
    async fn absent(&mut self) -> Result<(), RunError> {
        let Some(held) = self.advance().await? else { return Ok(()) };
        let record_id = held.entry.as_ref().and_then(|entry| entry.record_id.clone());
        if record_id.is_some() {
            let loaded = held.dirty.iter().map(|mark| mark.intent).collect();
            self.gone.push(&LocalEnd { key: held.key.clone(), loaded, entry: None })?;
        }
        match diff::decide(None, Some(&held), &self.planner.context) {
            Decision::Removal(planned) => {
                let (now, window) = (self.planner.context.now, self.planner.context.late_window);
                let standing = if latest_ambiguous(&held).is_some_and(|at| at + window > now) {
                    // An earlier attempt may still be applied, so nobody may count on the record yet.
                    Standing::WaitingRemoval
                } else {
                    Standing::Removal { record_id: planned.record_id.clone() }
                };
                self.note(&held.key, &standing)?;
                self.writer.push(&removal_row(held, planned, self.cleared.clone()))?;
            }
            Decision::WaitingRemoval(_) => {
                self.counts.waiting_removals += 1;
                self.note(&held.key, &Standing::WaitingRemoval)?;
            }
            Decision::Forget { loaded } => {
                self.note(&held.key, &Standing::Absent { record_id })?;
                // A tombstone stays; what a sync that appends forgets does not.
                let entry = held.entry.filter(|_| self.planner.sync.mode != Mode::Append);
                self.local.push(&LocalEnd { key: held.key, loaded, entry })?;
            }
            Decision::Nothing => self.note(&held.key, &Standing::Absent { record_id })?,
            Decision::Unchanged
            | Decision::Rewrite
            | Decision::Stands { .. }
            | Decision::Waiting(_)
            | Decision::Upsert(_) => {
                return Err(RunError::Accounting("an absent key was decided as present".to_owned()));
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Passed, RunError> {
        while self.held.is_some() {
            self.absent().await?;
        }
        Ok(Passed {
            plan: self.writer.finish()?,
            counts: self.counts,
            ownership: self.ownership.map(OwnershipBuilder::finish).transpose()?,
            invalid: self.invalid,
            unusable_keys: self.unusable_keys,
            nulls: self.nulls,
            newest: self.newest,
            standing: self.standing,
            local: self.local.finish()?,
            gone: self.gone.finish()?,
            in_doubt: self.doubts.finish(),
            cursor: self.cursor,
        })
    }
}
