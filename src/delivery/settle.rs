//! Turns the ends of a batch's rows into what the state records, and counts them.

use std::time::Duration;

use crate::{
    destination::Rejection,
    model::{ENCODING_VERSION, Entry, IntentId, Key, RecordRef, RejectedMark, Timestamp, spec::Mode},
    proof::{Rule, is_broken},
    state::{End, LocalSettle, OwnerChange, OwnerSpace, Settle, SettleRow, StateError},
};

use super::{
    attempt::{Fate, RowEnd, own_words},
    context::Context,
    item::{Item, TakenOver},
    mask::mask,
    pass::{DeliveryError, NO_INTENT},
    stop::StopReason,
    takeover::{self, Claimed, yielded},
};

/// First and longest wait before a rejected record is tried again unchanged.
const REJECT_BACKOFF: (Duration, Duration) = (Duration::from_secs(15 * 60), Duration::from_secs(24 * 3600));
/// The first batches of a run show whether the mapping works at all.
const JUDGED_AT_LEAST: u64 = 200;

/// What a worker goes on with after a batch is settled.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// Needs a new intent and another send at once.
    pub(super) expired: Vec<Item>,
    /// The record is gone: needs an upsert by match at once.
    pub(super) gone: Vec<Item>,
    /// Clashed with another row: tried once more at the end of the pass.
    pub(super) clashed: Vec<Item>,
    /// Hashes of records that this batch's rows were granted.
    claimed: Vec<u64>,
    /// The ends of absent keys whose records were among them.
    gone_owners: Vec<LocalSettle>,
}

/// Settles one batch: every item gets exactly one end.
pub(super) async fn settle(
    context: &Context,
    batch: i64,
    items: Vec<Item>,
    ends: Vec<RowEnd>,
    last_try: bool,
) -> Result<Aftermath, DeliveryError> {
    let mut aftermath = Aftermath::default();
    let mut rows = Vec::with_capacity(items.len());
    let (mut taken, mut also) = (Vec::new(), Vec::new());
    let keys: Vec<Key> =
        if batch == NO_INTENT { items.iter().map(|item| item.key.clone()).collect() } else { Vec::new() };
    // Behind the items stand, in the same order, the keys whose records are taken over.
    let (mut positions, mut behind) = (0.., u32::try_from(items.len()).unwrap_or(u32::MAX)..);
    for (mut item, row_end) in items.into_iter().zip(ends) {
        let intent = IntentId { batch, position: positions.next().unwrap_or(u32::MAX) };
        let loaded = cleared_by(context, &item).await?;
        let yields = item.takes_over.as_mut().map(|from| {
            let intent = IntentId { batch, position: behind.next().unwrap_or(u32::MAX) };
            from.loaded.push(intent);
            (intent.position, yielded(context, from.clone(), item.match_hash))
        });
        let ambiguous_at = row_end.ambiguous_at;
        let end = end_of(context, item, row_end, intent, last_try, &mut aftermath).await?;
        let is_put = matches!(end, End::Put { .. });
        rows.push(SettleRow { position: intent.position, loaded, end });
        match yields {
            Some((_, gone)) if is_put && batch == NO_INTENT => also.push(gone),
            Some((position, gone)) if is_put => {
                taken.push(SettleRow { position, loaded: gone.loaded, end: gone.end });
            }
            Some((position, _)) => {
                taken.push(SettleRow { position, loaded: Vec::new(), end: End::Undelivered { ambiguous_at } });
            }
            None => {}
        }
    }
    context.log_removals();
    also.append(&mut aftermath.gone_owners);
    if batch == NO_INTENT {
        settle_unnoted(context, keys, rows, also);
        context.claims.queued(&aftermath.claimed);
        return Ok(aftermath);
    }
    // Not awaited: the writer records it with the next group, and a failure stops the next intent. Owners that have left
    // are settled no later than those who have their records now.
    if !also.is_empty() {
        drop(context.state.writer().settle_local(context.sync, context.epoch, also));
    }
    rows.extend(taken);
    drop(context.state.writer().settle(Settle { batch, rows }));
    context.claims.queued(&aftermath.claimed);
    judge_rejects(context);
    Ok(aftermath)
}

/// The dirty marks that a delivered outcome clears: those that the plan has loaded, not those that came meanwhile.
async fn cleared_by(context: &Context, item: &Item) -> Result<Vec<IntentId>, StateError> {
    if is_broken(Rule::SettleByIntent) {
        let held = context.state.held(context.sync, &item.key).await?;
        return Ok(held.dirty.iter().map(|mark| mark.intent).collect());
    }
    Ok(item.loaded.clone())
}

/// The proof harness's broken variant: without intents only acknowledged rows leave a trace.
fn settle_unnoted(context: &Context, keys: Vec<Key>, rows: Vec<SettleRow>, also: Vec<LocalSettle>) {
    let settled = keys.into_iter().zip(rows).filter_map(|(key, SettleRow { loaded, end, .. })| match end {
        End::Put { .. } | End::Remove { .. } => Some(LocalSettle { key, loaded, end }),
        End::Rejected { .. } | End::Undelivered { .. } | End::Unsent => None,
    });
    drop(context.state.writer().settle_local(context.sync, context.epoch, settled.chain(also).collect()));
}

async fn end_of(
    context: &Context,
    item: Item,
    row_end: RowEnd,
    intent: IntentId,
    last_try: bool,
    aftermath: &mut Aftermath,
) -> Result<End, DeliveryError> {
    let ambiguous_at = row_end.ambiguous_at;
    match row_end.fate {
        Fate::Delivered { record_id } => delivered(context, item, record_id, ambiguous_at, last_try, aftermath).await,
        Fate::Gone if item.operation.is_removal() => {
            delivered(context, item, None, ambiguous_at, last_try, aftermath).await
        }
        Fate::Gone if item.record_id.is_none() => {
            // Found by match and yet gone: another upsert by match would end the same way.
            let words = match context.mode {
                Mode::Update => "no record there has this match value, and mode `update` creates none",
                Mode::Upsert | Mode::Mirror | Mode::Insert | Mode::Append => {
                    "the destination says that the record is gone"
                }
            };
            let rejection = own_rejection("not_found", words);
            Ok(refused(context, &item, &rejection, 1, ambiguous_at)?)
        }
        Fate::Gone => {
            // The record was deleted there, or merged: once more by match, under an intent of its own.
            let item = Item { operation: context.mode.operation(false), record_id: None, ..item };
            aftermath.gone.push(renewed(item, intent, ambiguous_at));
            Ok(End::Undelivered { ambiguous_at })
        }
        // An earlier insert of this key had no answer: it has made the record.
        Fate::Exists { record_id } if ambiguous_at.max(item.ambiguous_at).is_some() => {
            delivered(context, item, record_id, ambiguous_at, last_try, aftermath).await
        }
        Fate::Exists { .. } => Ok(exists(context, &item)?),
        Fate::Expired { attempts } => {
            aftermath.expired.push(renewed(Item { attempts, ..item }, intent, ambiguous_at));
            Ok(End::Undelivered { ambiguous_at })
        }
        Fate::Rejected { rejection, .. } if rejection.conflict && !last_try => {
            aftermath.clashed.push(renewed(item, intent, ambiguous_at));
            Ok(End::Undelivered { ambiguous_at })
        }
        Fate::Rejected { rejection, attempts } => Ok(refused(context, &item, &rejection, attempts, ambiguous_at)?),
        Fate::Open => {
            context.tally.add(|tally| match ambiguous_at {
                Some(_) => {
                    tally.unknown += 1;
                    tally.keep_open(&item);
                }
                None => tally.leave(&item),
            });
            Ok(End::Undelivered { ambiguous_at })
        }
    }
}

/// Trying an unchanged row again would not mend it.
fn exists(context: &Context, item: &Item) -> Result<End, StateError> {
    context.tally.add(|tally| {
        tally.rejected += 1;
        tally.rejected_again += u64::from(item.rejected_before > 0);
    });
    let words = "a record with this match value stands there already, and it is never touched in this mode";
    let rejection = own_rejection("exists", words);
    Ok(End::Rejected { mark: rejected(context, item, &rejection, 1, false)?, ambiguous_at: None })
}

fn refused(
    context: &Context,
    item: &Item,
    rejection: &Rejection,
    attempts: u32,
    ambiguous_at: Option<Timestamp>,
) -> Result<End, StateError> {
    context.tally.add(|tally| {
        tally.rejected += 1;
        tally.rejected_again += u64::from(item.rejected_before > 0);
    });
    Ok(End::Rejected { mark: rejected(context, item, rejection, attempts, true)?, ambiguous_at })
}

/// The same item for a new intent; the old intent's mark is cleared with the others once it is delivered, but an attempt
/// under it may still be applied.
fn renewed(mut item: Item, intent: IntentId, ambiguous_at: Option<Timestamp>) -> Item {
    item.ambiguous_at = item.ambiguous_at.max(ambiguous_at);
    item.loaded.push(intent);
    item.batch_key = None;
    item
}

async fn delivered(
    context: &Context,
    item: Item,
    answered: Option<Box<str>>,
    ambiguous_at: Option<Timestamp>,
    last_try: bool,
    aftermath: &mut Aftermath,
) -> Result<End, DeliveryError> {
    let quiet_until = quiet_until(context, &item, ambiguous_at);
    if item.operation.is_removal() {
        context.tally.add(|tally| {
            tally.delivered += 1;
            tally.unlogged_removals += u64::from(item.unapproved_removal);
        });
        return Ok(End::Remove { owners: owner_changes(context, item.entry.as_ref(), None), quiet_until });
    }
    let record_id = if context.keeps_ids { answered.or_else(|| item.record_id.clone()) } else { None };
    let Some(fingerprint) = item.fingerprint else { return Ok(End::Undelivered { ambiguous_at }) };
    let held = item.entry.as_ref().and_then(|entry| entry.record_id.as_deref());
    if let Some(id) = record_id.as_deref().filter(|id| held != Some(*id)) {
        match takeover::claim(context, &item, id, ambiguous_at, last_try).await? {
            Claimed::Own { hash, gone } => {
                aftermath.claimed.push(hash);
                aftermath.gone_owners.extend(gone);
            }
            Claimed::Refused { leaving: true } => {
                let words = "the destination answered with a record of a key that is about to leave";
                return Ok(refused(context, &item, &own_rejection("conflict", words), 1, ambiguous_at)?);
            }
            Claimed::Refused { leaving: false } => {
                context.tally.add(|tally| tally.rejected += 1);
                let words = "the destination answered with a record that another key of this sync owns";
                let mark = rejected(context, &item, &own_rejection("conflict", words), 1, false)?;
                return Ok(End::Rejected { mark, ambiguous_at });
            }
        }
    }
    let released = item.entry.as_ref().and_then(|old| old.match_hash).is_some_and(|old| item.match_hash != Some(old));
    context.tally.add(|tally| {
        tally.delivered += 1;
        tally.released += u64::from(released);
    });
    if let Some(TakenOver { key: from, .. }) = &item.takes_over {
        context.claims.take(from);
    }
    let entry = Entry {
        fingerprint,
        encoding: ENCODING_VERSION,
        run: context.run,
        tombstone: false,
        match_hash: item.match_hash,
        record_id,
        cursor: item.cursor,
    };
    Ok(End::Put { owners: owner_changes(context, item.entry.as_ref(), Some(&entry)), entry, quiet_until })
}

fn own_rejection(code: &str, words: &str) -> Rejection {
    Rejection { code: code.to_owned(), text: own_words(words), field: None, conflict: false }
}

fn rejected(
    context: &Context,
    item: &Item,
    rejection: &Rejection,
    attempts: u32,
    retried: bool,
) -> Result<RejectedMark, StateError> {
    let now = context.clock.now();
    let key_text = item.key.to_text().unwrap_or_default();
    let masked = |text: &str| mask(text, RecordRef::new(&item.record), &[&key_text]);
    let words = masked(rejection.text.expose());
    let words = match rejection.field.as_deref() {
        None => words,
        Some(field) if context.fields.iter().any(|known| known == field) => format!("{field}: {words}"),
        // What a vendor calls a field may be anything that it was sent.
        Some(field) => format!("{}: {words}", masked(field)),
    };
    Ok(RejectedMark {
        operation: item.operation,
        fingerprint: item.fingerprint,
        code: rejection.code.clone(),
        sealed_message: context.state.seal("message", words.as_bytes())?,
        attempts: item.rejected_before.saturating_add(attempts.max(1)),
        next_try: retried.then(|| now + reject_backoff(item.rejected_before)),
        first_at: now,
        last_at: now,
        run: context.run,
    })
}

fn reject_backoff(before: u32) -> Duration {
    let doubled = 2_u32.checked_pow(before).and_then(|factor| REJECT_BACKOFF.0.checked_mul(factor));
    doubled.unwrap_or(REJECT_BACKOFF.1).min(REJECT_BACKOFF.1)
}

/// Until when other changes of this key wait, after a send that may still be applied.
fn quiet_until(context: &Context, item: &Item, ambiguous_at: Option<Timestamp>) -> Option<Timestamp> {
    let last = ambiguous_at.max(item.ambiguous_at)?;
    Some(last + context.late_window).filter(|until| *until > context.clock.now())
}

/// The owner-index rows that change when `old` becomes `new`.
pub(super) fn owner_changes(context: &Context, old: Option<&Entry>, new: Option<&Entry>) -> Vec<OwnerChange> {
    let record = |entry: &Entry| entry.record_id.as_ref().map(|id| context.owner_hasher.short(id.as_bytes()));
    let hashes = |entry: Option<&Entry>| {
        [(OwnerSpace::Match, entry.and_then(|e| e.match_hash)), (OwnerSpace::RecordId, entry.and_then(record))]
    };
    let mut changes = Vec::new();
    for ((space, before), (_, after)) in hashes(old).into_iter().zip(hashes(new)) {
        if before != after {
            changes.extend(before.map(|hash| OwnerChange { space, hash, present: false }));
            changes.extend(after.map(|hash| OwnerChange { space, hash, present: true }));
        }
    }
    changes
}

/// Refuses a row that would be found by a match value which is still another row's.
///
/// # Errors
/// When the reason cannot be sealed.
pub fn refuse_without_request(context: &Context, item: &Item) -> Result<LocalSettle, StateError> {
    let words = "its match value is still that of another row, which is to get another one and is held back";
    let end = refused(context, item, &own_rejection("conflict", words), 1, None)?;
    Ok(LocalSettle { key: item.key.clone(), loaded: Vec::new(), end })
}

/// Settles a key that needs no request: it leaves the snapshot, or stays as a tombstone.
pub fn settle_without_request(context: &Context, item: Item, tombstone: bool) -> LocalSettle {
    context.tally.add(|tally| {
        tally.skipped += 1;
        tally.unlogged_removals += u64::from(item.unapproved_removal);
    });
    let end = match item.entry.as_ref().filter(|_| tombstone) {
        Some(old) => {
            let entry = Entry { tombstone: true, run: context.run, ..old.clone() };
            End::Put { owners: owner_changes(context, item.entry.as_ref(), Some(&entry)), entry, quiet_until: None }
        }
        None => End::Remove { owners: owner_changes(context, item.entry.as_ref(), None), quiet_until: None },
    };
    LocalSettle { key: item.key, loaded: item.loaded, end }
}

/// Stops a run whose rows are mostly refused: ten million errors help nobody.
fn judge_rejects(context: &Context) {
    let tally = context.tally.get();
    // Those that stand refused already say nothing about the mapping of the others.
    let rejected = tally.rejected - tally.rejected_again;
    let judged = tally.delivered + rejected;
    if judged >= JUDGED_AT_LEAST && rejected * 2 > judged {
        context.stop.request(StopReason::TooManyRejects { rejected, judged });
    }
}
