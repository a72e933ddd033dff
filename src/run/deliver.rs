//! Delivers a judged plan: upserts, then what waited for them, then removals.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;

use crate::{
    delivery::{self, Context, Item, TakenOver},
    diff::Annotation,
    model::{Key, Operation, RecordRef, RunId, SyncId},
    plan::{LocalEnd, Locals, Plan, PlanItem, PlanReader, PlanRow, Verdict},
    proof::{Rule, is_broken},
    spool::SpoolError,
    state::{End, LocalSettle, OwnerSpace, State},
};

use super::{
    RunError,
    judge::{Place, Withheld, place},
    keyed::KeyRecord,
    prepare::Prepared,
    resolve::{Finding, Resolved},
};

/// Local settles in one transaction.
const CHUNK: usize = 1_000;

/// What was settled without a request.
#[derive(Default)]
struct Settled {
    local: Vec<LocalSettle>,
    /// Removals that are not sent, mostly because their record has another owner.
    shared: HashSet<Key>,
}

/// A judged plan on its way out.
pub(super) struct Outgoing<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) plan: &'a Plan,
    pub(super) verdict: &'a Verdict,
    pub(super) withheld: Withheld,
    pub(super) resolved: Resolved,
    /// Makes the match fields of a removed key, for connectors without record ids.
    pub(super) key_record: KeyRecord,
}

impl Outgoing<'_> {
    /// Delivers upserts, waits until they are settled, then delivers removals, then once more what clashed: a unique value
    /// may have been given up by another upsert or by a removal.
    ///
    /// # Errors
    /// When the plan or the state fails.
    pub(super) async fn deliver(&self) -> Result<(), RunError> {
        let early = is_broken(Rule::RemovalsLast);
        let removals = if early { self.deliver_removals().await? } else { Vec::new() };
        let mut behind = Vec::new();
        let mut upserts = self.plan.upserts();
        let mut clashed = delivery::deliver(self.context, || {
            while let Some(plan_item) = upserts.next()? {
                if !self.goes(&plan_item) {
                    continue;
                }
                if self.waits(&plan_item) {
                    behind.push(plan_item);
                    continue;
                }
                let known = self.address(&plan_item.row);
                return Ok(Some(self.upsert(plan_item, known)));
            }
            Ok(None)
        })
        .await?;
        let stuck = self.deliver_behind(behind, &mut clashed).await?;
        clashed.extend(if early { removals } else { self.deliver_removals().await? });
        delivery::deliver_again(self.context, clashed).await?;
        self.leave(stuck).await
    }

    /// Whether a row is planned and not held by the guard.
    pub(super) fn goes(&self, item: &PlanItem) -> bool {
        place(item, self.withheld) == Place::Planned && !held(self.verdict, item)
    }

    /// The record's id: what was found out about it, else what the plan says.
    pub(super) fn address(&self, row: &PlanRow) -> Option<Box<str>> {
        self.found(&row.key).unwrap_or_else(|| row.planned.record_id.clone())
    }

    fn found(&self, key: &Key) -> Option<Option<Box<str>>> {
        self.resolved.get(key).map(|finding| finding.record_id().map(Into::into))
    }

    /// `known`: the id of the row's own record.
    pub(super) fn upsert(&self, plan_item: PlanItem, known: Option<Box<str>>) -> Item {
        let PlanItem { row, annotation, .. } = plan_item;
        let mode = self.context.mode;
        let (takes_over, taken_id) = match annotation {
            Some(Annotation::TakesOver { from: key, record_id }) if !mode.creates_once() => {
                let record_id = self.found(&key).unwrap_or(record_id);
                if keeps_own(&known, &record_id) {
                    (None, None)
                } else {
                    (Some(TakenOver { key, record_id: record_id.clone(), loaded: Vec::new() }), record_id)
                }
            }
            Some(
                Annotation::TakesOver { .. }
                | Annotation::TakenOver { .. }
                | Annotation::After { .. }
                | Annotation::Invalid { .. }
                | Annotation::Waits { .. },
            )
            | None => (None, None),
        };
        let record_id = known.or(taken_id);
        let operation = mode.operation(record_id.is_some());
        // What was found is what was sent then.
        let found = row.planned.unanswered.filter(|_| operation == Operation::Insert && record_id.is_some());
        Item {
            row_key: self.context.row_key(&row.key),
            refusals: row.refusals,
            cursor: row.cursor,
            size: self.context.destination.encoded_len(&self.context.object, RecordRef::new(&row.record)),
            key: row.key,
            operation,
            fingerprint: found.or(row.fingerprint),
            record: Bytes::from(row.record),
            record_id,
            match_hash: row.claims.first().copied(),
            loaded: row.planned.loaded,
            batch_key: row.planned.reform.map(|reform| reform.key).filter(|_| row.planned.operation == Some(operation)),
            ambiguous_at: row.ambiguous_at,
            entry: row.entry,
            takes_over,
            rejected_before: row.rejected_before,
            attempts: 0,
            unapproved_removal: false,
        }
    }

    async fn deliver_removals(&self) -> Result<Vec<Item>, RunError> {
        let mut settled = Settled::default();
        let mut removals = self.plan.removals();
        loop {
            let chunk = self.next_chunk(&mut removals)?;
            if chunk.is_empty() {
                break;
            }
            let owners = self.owners_of_removals(&chunk).await?;
            for (item, owners) in chunk.into_iter().zip(owners) {
                self.settle_without_request(item, &owners, &mut settled).await?;
            }
        }
        self.settle_local(&mut settled.local, 0).await?;
        let mut sent = self.plan.removals();
        Ok(delivery::deliver(self.context, || self.next_removal(&mut sent, &settled.shared)).await?)
    }

    fn next_chunk(&self, removals: &mut PlanReader) -> Result<Vec<PlanItem>, SpoolError> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK
            && let Some(item) = removals.next()?
        {
            chunk.extend(Some(item).filter(|item| self.goes(item)));
        }
        Ok(chunk)
    }

    /// For each removal the keys that own its record in the index: the id's, or where there is none the match value's.
    async fn owners_of_removals(&self, chunk: &[PlanItem]) -> Result<Vec<Vec<Key>>, RunError> {
        let mut owners = vec![Vec::new(); chunk.len()];
        if is_broken(Rule::Ownership) {
            return Ok(owners);
        }
        for space in [OwnerSpace::RecordId, OwnerSpace::Match] {
            let asked: Vec<(usize, u64)> =
                chunk.iter().enumerate().filter_map(|(at, item)| Some((at, self.owned(space, &item.row)?))).collect();
            let hashes: Vec<u64> = asked.iter().map(|(_, hash)| *hash).collect();
            let found = self.context.state.owners_of(self.context.sync, space, &hashes).await?;
            for ((at, _), found) in asked.into_iter().zip(found) {
                if let Some(slot) = owners.get_mut(at) {
                    *slot = found;
                }
            }
        }
        Ok(owners)
    }

    fn owned(&self, space: OwnerSpace, row: &PlanRow) -> Option<u64> {
        let id = self.address(row);
        match space {
            OwnerSpace::RecordId => id.map(|id| self.context.owner_hasher.short(id.as_bytes())),
            OwnerSpace::Match => row.entry.as_ref().filter(|_| id.is_none()).and_then(|entry| entry.match_hash),
        }
    }

    /// The next removal that needs a request.
    fn next_removal(&self, removals: &mut PlanReader, shared: &HashSet<Key>) -> Result<Option<Item>, SpoolError> {
        while let Some(item) = removals.next()? {
            if self.goes(&item) && self.needs_request(&item) && !shared.contains(&item.row.key) {
                return Ok(Some(self.removal(item)));
            }
        }
        Ok(None)
    }

    /// Whether a removal is sent: not when the key only leaves a tombstone, when another key takes the record over, or
    /// when nothing was found at the destination.
    fn needs_request(&self, item: &PlanItem) -> bool {
        let taken = self.taker(item).is_some();
        let nothing_found = self.resolved.get(&item.row.key) == Some(&Finding::Nothing);
        item.row.planned.operation.is_some() && !taken && !nothing_found
    }

    /// The key that takes this removed key's record over.
    fn taker<'b>(&self, item: &'b PlanItem) -> Option<&'b Key> {
        let Some(Annotation::TakenOver { by }) = &item.annotation else { return None };
        if self.context.mode.creates_once() {
            return None;
        }
        let own = match self.resolved.get(by) {
            Some(Finding::Own(id)) => Some(id.clone()),
            Some(Finding::Wanted { .. } | Finding::Nothing) | None => None,
        };
        (!keeps_own(&own, &self.address(&item.row))).then_some(by)
    }

    fn removal(&self, plan_item: PlanItem) -> Item {
        let row = plan_item.row;
        let record_id = self.address(&row);
        let record = self.key_record.join(&row.key, row.record);
        Item {
            size: self.context.destination.encoded_len(&self.context.object, RecordRef::new(&record)),
            operation: row.planned.operation.unwrap_or(Operation::Delete),
            fingerprint: None,
            record: Bytes::from(record),
            record_id,
            match_hash: None,
            loaded: row.planned.loaded,
            batch_key: row.planned.reform.map(|reform| reform.key),
            ambiguous_at: row.ambiguous_at,
            entry: row.entry,
            takes_over: None,
            rejected_before: row.rejected_before,
            attempts: 0,
            row_key: None,
            refusals: 0,
            cursor: None,
            unapproved_removal: !plan_item.approved,
            key: row.key,
        }
    }

    async fn settle_without_request(
        &self,
        item: PlanItem,
        owners: &[Key],
        settled: &mut Settled,
    ) -> Result<(), RunError> {
        let key = &item.row.key;
        let taken = self.context.claims.is_taken(key);
        if taken {
            settled.shared.insert(key.clone());
        } else if self.taker(&item).is_some() {
            self.context.tally.add(|tally| tally.left_over += 1);
            return Ok(());
        } else if self.needs_request(&item) {
            // A takeover that was settled before this removal (a guard held it, a crash came between) left the record to
            // another key. The last of its owners removes it.
            if !owners.iter().any(|owner| owner != key && !settled.shared.contains(owner)) {
                if self.is_wanted_still(key).await? {
                    self.context.tally.add(|tally| tally.left_over += 1);
                    settled.shared.insert(key.clone());
                }
                return Ok(());
            }
            settled.shared.insert(key.clone());
        }
        let tombstone = item.row.planned.operation.is_none() && !taken;
        settled.local.push(delivery::settle_without_request(self.context, self.removal(item), tombstone));
        self.settle_local(&mut settled.local, CHUNK).await
    }

    async fn settle_local(&self, local: &mut Vec<LocalSettle>, at_least: usize) -> Result<(), RunError> {
        if !local.is_empty() && local.len() >= at_least {
            let rows = std::mem::take(local);
            let context = self.context;
            context.log_removals();
            context.state.writer().settle_local(context.sync, context.epoch, rows).wait().await?;
        }
        Ok(())
    }
}

/// Tells the destination that the run's delivery has ended.
///
/// # Errors
/// When what was delivered is not visible yet.
pub(super) async fn finish(prepared: &Prepared<'_>, run: RunId) -> Result<(), RunError> {
    let finished = prepared.destination.finish(&prepared.sync.object, run).await;
    finished.map_err(|fault| RunError::Request {
        destination: prepared.sync.destination.clone(),
        action: "publish what was delivered",
        fault: Box::new(fault),
    })
}

/// Whether a claimant keeps the record that an unanswered upsert of it was found to have made. It then takes nothing over:
/// the other record is removed, and what clashes with it until then is tried again after that.
fn keeps_own(own: &Option<Box<str>>, taken: &Option<Box<str>>) -> bool {
    own.is_some() && own != taken
}

/// Whether the guard holds this row.
pub(super) fn held(verdict: &Verdict, item: &PlanItem) -> bool {
    !item.approved && verdict.held.holds(item.row.planned.kind, item.row.remapped)
}

/// Settles what needs no request and is no part of the plan.
///
/// # Errors
/// When the state fails.
pub(super) async fn settle_outside_plan(
    state: &State,
    sync: SyncId,
    epoch: i64,
    ends: &Locals,
) -> Result<(), RunError> {
    let mut reader = ends.reader();
    loop {
        let mut rows = Vec::new();
        while rows.len() < CHUNK
            && let Some(LocalEnd { key, loaded, entry }) = reader.next()?
        {
            let end = match entry {
                Some(entry) => End::Put { entry, owners: Vec::new(), quiet_until: None },
                None => End::Remove { owners: Vec::new(), quiet_until: None },
            };
            rows.push(LocalSettle { key, loaded, end });
        }
        if rows.is_empty() {
            return Ok(());
        }
        state.writer().settle_local(sync, epoch, rows).wait().await?;
    }
}
