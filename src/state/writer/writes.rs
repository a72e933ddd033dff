//! From outcomes to writes: which rows one settle changes.

use crate::{
    model::{BatchKey, DirtyMark, IntentId, Key, RejectedMark, SyncId, Timestamp},
    proof::{Rule, is_broken},
    state::{
        End, IntentMember, LocalSettle, OwnerChange, Settle, SettleRow, StateError,
        codec::{JournalRow, pack_dirty, pack_journal, pack_quiet, pack_rejected},
        keyring::Keyring,
        matches,
        store::Write,
    },
};

/// A batch between its intent and its settle.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) sync: SyncId,
    pub(super) epoch: i64,
    pub(super) batch_key: BatchKey,
    pub(super) members: Vec<IntentMember>,
}

/// Collects the writes of one settle.
#[derive(Debug)]
struct Collector<'a> {
    keyring: &'a Keyring,
    sync: SyncId,
    now: Timestamp,
    journal: JournalRow,
    cleared: Vec<IntentId>,
    delivered: Vec<Key>,
    marks: Vec<Write>,
}

/// The writes of a settle, with the owner changes among them.
pub(super) type Settled = (Vec<Write>, Vec<(Key, OwnerChange)>);

pub(super) fn settle(
    keyring: &Keyring,
    open: OpenBatch,
    settle: Settle,
    now: Timestamp,
) -> Result<Settled, StateError> {
    let mut rows: Vec<Option<SettleRow>> = vec![None; open.members.len()];
    for row in settle.rows {
        let slot =
            rows.get_mut(row.position as usize).ok_or_else(|| contract("a settle of a position outside its batch"))?;
        if slot.replace(row).is_some() {
            return Err(contract("a position settled twice"));
        }
    }
    let mut collector = Collector::new(keyring, open.sync, now);
    for (row, member) in rows.into_iter().zip(open.members) {
        let row = row.ok_or_else(|| contract("a settle without all members of its batch"))?;
        let intent = IntentId { batch: settle.batch, position: row.position };
        collector.add_member(intent, open.batch_key, member, row)?;
    }
    let mut writes =
        vec![Write::CheckEpoch { sync: open.sync, epoch: open.epoch }, Write::DeleteIntent { batch: settle.batch }];
    let owners = collector.finish(&mut writes);
    Ok((writes, owners))
}

/// Marks of what a batch may have changed at the destination, under ids that nobody can have loaded: the operation was sent,
/// and another may have been delivered before it. No idempotency key goes with them: a vendor that has seen it would answer
/// without doing anything.
pub(super) fn confess(
    keyring: &Keyring,
    open: &OpenBatch,
    settle: &Settle,
    batch: i64,
    now: Timestamp,
) -> Result<Vec<Write>, StateError> {
    let mark = |row: &SettleRow| {
        let ambiguous_at = match &row.end {
            End::Put { .. } | End::Remove { .. } => None,
            End::Rejected { ambiguous_at, .. } | End::Undelivered { ambiguous_at } => *ambiguous_at,
            End::Unsent => return None,
        };
        let member = open.members.get(row.position as usize)?.clone();
        let intent = IntentId { batch, position: row.position };
        Some(dirty(keyring, (open.sync, intent), None, member, ambiguous_at, now))
    };
    settle.rows.iter().filter_map(mark).collect()
}

pub(super) fn settle_local(
    keyring: &Keyring,
    sync: SyncId,
    epoch: i64,
    rows: Vec<LocalSettle>,
    now: Timestamp,
) -> Result<Settled, StateError> {
    let mut collector = Collector::new(keyring, sync, now);
    collector.add_local(rows)?;
    let mut writes = vec![Write::CheckEpoch { sync, epoch }];
    let owners = collector.finish(&mut writes);
    Ok((writes, owners))
}

impl<'a> Collector<'a> {
    const fn new(keyring: &'a Keyring, sync: SyncId, now: Timestamp) -> Self {
        let journal = JournalRow { entries: Vec::new(), owners: Vec::new() };
        Self { keyring, sync, now, journal, cleared: Vec::new(), delivered: Vec::new(), marks: Vec::new() }
    }

    fn add_member(
        &mut self,
        intent: IntentId,
        batch_key: BatchKey,
        member: IntentMember,
        row: SettleRow,
    ) -> Result<(), StateError> {
        match row.end {
            End::Put { entry, owners, quiet_until } => {
                self.deliver(member.key, Some(entry), owners, quiet_until, row.loaded);
            }
            End::Remove { owners, quiet_until } => self.deliver(member.key, None, owners, quiet_until, row.loaded),
            End::Rejected { mark, ambiguous_at } => {
                self.reject(&member.key, &mark);
                if is_broken(Rule::RejectStaysDirty) {
                    self.cleared.extend(row.loaded);
                } else {
                    self.mark(intent, Some(batch_key), member, ambiguous_at)?;
                }
            }
            End::Undelivered { ambiguous_at } => self.mark(intent, Some(batch_key), member, ambiguous_at)?,
            // The loaded marks say all that is in doubt.
            End::Unsent if !row.loaded.is_empty() => {}
            End::Unsent => self.mark(intent, Some(batch_key), member, None)?,
        }
        Ok(())
    }

    fn add_local(&mut self, rows: Vec<LocalSettle>) -> Result<(), StateError> {
        for LocalSettle { key, loaded, end } in rows {
            match end {
                End::Put { entry, owners, quiet_until } => self.deliver(key, Some(entry), owners, quiet_until, loaded),
                End::Remove { owners, quiet_until } => self.deliver(key, None, owners, quiet_until, loaded),
                End::Rejected { mark, .. } => self.reject(&key, &mark),
                End::Undelivered { .. } | End::Unsent => {
                    return Err(contract("a key without an intent cannot end undelivered"));
                }
            }
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        key: Key,
        entry: Option<crate::model::Entry>,
        owners: Vec<OwnerChange>,
        quiet_until: Option<Timestamp>,
        loaded: Vec<IntentId>,
    ) {
        if let Some(until) = quiet_until {
            let data = pack_quiet(self.sync, &key, until);
            self.marks.push(Write::PutQuiet { sync: self.sync, key: key.clone(), until, data });
        }
        self.cleared.extend(loaded);
        self.journal.owners.extend(owners.into_iter().map(|change| (key.clone(), change)));
        self.journal.entries.push((key.clone(), entry));
        self.delivered.push(key);
    }

    fn reject(&mut self, key: &Key, mark: &RejectedMark) {
        let data = pack_rejected(self.sync, key, mark);
        self.marks.push(Write::PutRejected { sync: self.sync, key: key.clone(), data });
    }

    fn mark(
        &mut self,
        intent: IntentId,
        batch_key: Option<BatchKey>,
        member: IntentMember,
        ambiguous_at: Option<Timestamp>,
    ) -> Result<(), StateError> {
        self.marks.push(dirty(self.keyring, (self.sync, intent), batch_key, member, ambiguous_at, self.now)?);
        Ok(())
    }

    fn finish(self, writes: &mut Vec<Write>) -> Vec<(Key, OwnerChange)> {
        let sync = self.sync;
        if !self.journal.is_empty() {
            let data = pack_journal(sync, &self.journal);
            writes.push(Write::Journal { sync, entries: self.journal.len(), data });
        }
        if !self.cleared.is_empty() {
            writes.push(Write::DeleteDirty { sync, intents: self.cleared });
        }
        if !self.delivered.is_empty() {
            writes.push(Write::DeleteRejected { sync, keys: self.delivered });
        }
        writes.extend(self.marks);
        self.journal.owners
    }
}

/// A member of an intent as a dirty mark under the intent's id.
///
/// # Errors
/// When the system gives no randomness to seal its match value with.
pub(in crate::state) fn dirty(
    keyring: &Keyring,
    (sync, intent): (SyncId, IntentId),
    batch_key: Option<BatchKey>,
    member: IntentMember,
    ambiguous_at: Option<Timestamp>,
    since: Timestamp,
) -> Result<Write, StateError> {
    let mark = DirtyMark {
        intent,
        operation: member.operation,
        fingerprint: member.fingerprint,
        ambiguous_at,
        batch_key,
        record_id: member.record_id,
        sealed_match: matches::alone(keyring, member.match_value)?,
    };
    let data = pack_dirty(sync, &member.key, &mark);
    Ok(Write::PutDirty { sync, key: member.key, intent, since, data })
}

fn contract(what: &str) -> StateError {
    StateError::Contract(what.to_owned())
}
