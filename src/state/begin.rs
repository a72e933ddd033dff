//! The start of a run: what an earlier one left behind is made safe first.

use std::collections::HashMap;

use super::{
    BegunRun, Recovered, RunStatus, State, StateError,
    codec::{PackedIntent, pack_dirty, unpack_intent},
    compact, count,
    keyring::Keyring,
    matches, overlay,
    store::{IntentRow, RunFilter, Space, StateStore, Write},
    writer,
};
use crate::model::{DirtyMark, IntentId, RunId, SyncId, Timestamp};

/// A key with more dirty marks than this gets equal ones joined.
const CROWD: u32 = 3;
/// The journal is compacted at a run's start above this many entries, or this many rows.
const COMPACT_ENTRIES: u64 = 4_096;
const COMPACT_ROWS: u64 = 2_048;

pub(super) async fn begin_run(
    state: &State,
    sync: SyncId,
    trigger: &str,
    unless_after: Option<Timestamp>,
) -> Result<BegunRun, StateError> {
    state.writer().flush().await?;
    // From here on whoever ran it before writes nothing more, so that what is read now stands.
    let epoch = state.take_lease(sync).await?;
    // However this ends without a run: a lease that nobody works under must not be renewed for ever.
    let guard = state.guard_lease(sync, epoch);
    let begun = begin_under(state, sync, epoch, trigger, unless_after).await;
    match &begun {
        Ok(_) => guard.disarm(),
        Err(_) => state.release_lease(sync, epoch).await.unwrap_or(()),
    }
    begun
}

async fn begin_under(
    state: &State,
    sync: SyncId,
    epoch: i64,
    trigger: &str,
    unless_after: Option<Timestamp>,
) -> Result<BegunRun, StateError> {
    let (store, now) = (state.store(), state.clock().now());
    state.check_turn(sync, unless_after).await?;
    let interrupted = store.runs(RunFilter::With(sync, RunStatus::Running), u32::MAX).await?;
    let intents = store.intents(sync).await?;
    let mut writes = vec![
        Write::CheckEpoch { sync, epoch },
        Write::InterruptRuns { sync, at: now },
        Write::InsertRun { sync, trigger: trigger.to_owned(), at: now },
        Write::PruneQuiet { sync, before: now },
        Write::DeleteIntents { sync },
    ];

    let before = writes.len();
    for intent in intents {
        writes.extend(recover(state.keyring(), sync, intent, now)?);
    }
    let dirty_marks = (writes.len() - before) as u64;
    join_crowded(store, sync, now, &mut writes).await?;
    let ids = state.writer().write(writes).await?;
    state.writer().forget_open(sync);
    let run = match ids.as_slice() {
        [_, _, run, ..] => RunId(*run),
        [] | [_] | [_, _] => return Err(StateError::Contract("the store answered too few ids".to_owned())),
    };
    state.note_begun(sync, run);
    compact_if_large(state, sync, epoch).await?;
    let (entries, tombstones) = count::count(store, sync).await?;
    state.write_mark().await?;
    let recovered = Recovered { interrupted_runs: interrupted.len() as u64, dirty_marks };
    Ok(BegunRun { run, epoch, recovered, entries, tombstones })
}

/// The members of an open intent as dirty marks: the attempt may have begun as late as its `send_before`.
fn recover(keyring: &Keyring, sync: SyncId, intent: IntentRow, now: Timestamp) -> Result<Vec<Write>, StateError> {
    let PackedIntent { batch_key, mut members, matches: sealed } = unpack_intent(sync, intent.batch, &intent.data)?;
    if members.len() as u64 != intent.members {
        return Err(StateError::damaged("an intent lost members"));
    }
    sealed.map_or(Ok(()), |sealed| matches::unseal(keyring, (sync, intent.batch), &sealed, &mut members))?;
    let ambiguous_at = Some(intent.attempted_at.unwrap_or(intent.send_before));
    let marks = (0..).zip(members).map(|(position, member)| {
        let id = IntentId { batch: intent.batch, position };
        writer::dirty(keyring, (sync, id), Some(batch_key), member, ambiguous_at, now)
    });
    marks.collect()
}

/// Joins marks of one key that say the same, so that a row that keeps failing does not gather marks without bound.
/// No settle can name a joined mark: the sync has no open intent and no run at this point.
async fn join_crowded(
    store: &dyn StateStore,
    sync: SyncId,
    now: Timestamp,
    writes: &mut Vec<Write>,
) -> Result<(), StateError> {
    for key in store.crowded(sync, CROWD).await? {
        let marks = overlay::marks_of(store, sync, &key).await?;
        let (kept, gone) = join(marks);
        if !gone.is_empty() {
            writes.push(Write::DeleteDirty { sync, intents: gone });
            writes.extend(kept.iter().map(|mark| Write::PutDirty {
                sync,
                key: key.clone(),
                intent: mark.intent,
                // Standing rows keep the time that they have.
                since: now,
                data: pack_dirty(sync, &key, mark),
            }));
        }
    }
    Ok(())
}

/// Keeps the newest of the marks with the same operation, fingerprint and address, with the latest ambiguous attempt.
/// Marks with a sealed match are kept: sealed values cannot be compared, and each may name another record.
fn join(marks: Vec<DirtyMark>) -> (Vec<DirtyMark>, Vec<IntentId>) {
    let mut kept: HashMap<_, DirtyMark> = HashMap::new();
    let (mut apart, mut gone) = (Vec::new(), Vec::new());
    for mark in marks {
        if mark.sealed_match.is_some() {
            apart.push(mark);
            continue;
        }
        let same = (mark.operation, mark.fingerprint, mark.record_id.clone());
        if let Some(older) = kept.insert(same.clone(), mark) {
            gone.push(older.intent);
            if let Some(newer) = kept.get_mut(&same) {
                newer.ambiguous_at = newer.ambiguous_at.max(older.ambiguous_at);
            }
        }
    }
    apart.extend(kept.into_values());
    (apart, gone)
}

async fn compact_if_large(state: &State, sync: SyncId, epoch: i64) -> Result<(), StateError> {
    // One that an earlier run began ends first: what it moves must not move while the snapshot is read.
    let _alone = state.writer().compacting(sync).write_owned().await;
    let store = state.store();
    let (rows, entries) = store.journal_size(sync).await?;
    let live = u64::try_from(store.extent(sync, Space::Entries).await?.1.entries).unwrap_or(0);
    if rows > COMPACT_ROWS || entries > (live / 20).clamp(COMPACT_ENTRIES, compact::JOURNAL_BOUND) {
        state.writer().compact(sync, epoch).await?;
    }
    Ok(())
}
