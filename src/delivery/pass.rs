//! One pass over planned operations: batches, intents written ahead, workers, settles.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    StreamExt as _,
    stream::{FuturesOrdered, FuturesUnordered},
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    destination::LookupKind,
    mapping::to_text,
    model::{BatchKey, Operation, RecordRef},
    proof::{Boundary, Rule, intent_life, is_broken, reach},
    spool::SpoolError,
    state::{IntentMember, MatchValue, NewIntent, StateError},
};

use super::{
    ahead::{Ahead, CountedAhead, Intended},
    attempt::{self, Fate, Ready, RowEnd},
    batcher::{Formed, rows_key},
    context::Context,
    former::Former,
    item::Item,
    lost::{self, Lost},
    settle::settle,
    stop::StopReason,
};

/// Intents are good for this long: a batch not begun by then gets new ones, so that after a crash the time of the last
/// possible attempt is known.
const INTENT_LIFE: Duration = Duration::from_secs(30);
/// Names a batch whose intents were left out on purpose ([`Context::skips_intents`]).
pub(super) const NO_INTENT: i64 = -1;
/// Rows that clashed and are tried once more at the end; further ones are rejected at once.
const MAX_CLASHED: usize = 10_000;

/// An error that ends a delivery.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The plan could not be read back.
    #[error("the plan could not be read back")]
    Spool(#[from] SpoolError),
    /// The state store failed.
    #[error("the state store failed")]
    State(#[from] StateError),
}

/// Rows that clashed, or whose record is gone while another key owns their match value, of all workers.
type Clashed = Arc<Mutex<Vec<Item>>>;

/// Delivers every item that `next` gives. Gives back those that clashed with each other, or with what is yet to be
/// removed, or that would fall on the record of another: they are to be tried [once more](deliver_again) at the run's end.
///
/// Returns when each other item is settled in the state or counted as left over.
///
/// # Errors
/// When the plan or the state fails; everything unsettled stays dirty.
pub async fn deliver(
    context: &Arc<Context>,
    next: impl FnMut() -> Result<Option<Item>, SpoolError>,
) -> Result<Vec<Item>, DeliveryError> {
    let clashed = pass(context, next, false).await?;
    context.state.writer().flush().await?;
    Ok(clashed)
}

/// Delivers what clashed once more. A row that clashes again is rejected. Rows that have lost their records wait for those that
/// own their match values still.
///
/// # Errors
/// As [`deliver`].
pub async fn deliver_again(context: &Arc<Context>, clashed: Vec<Item>) -> Result<(), DeliveryError> {
    let mut left = clashed;
    loop {
        let Lost { free, bound } = lost::part_at_end(context, left).await?;
        if free.is_empty() {
            lost::give_up(context, bound).await?;
            context.state.writer().flush().await?;
            return Ok(());
        }
        let mut again = free.into_iter();
        pass(context, || Ok(again.next()), true).await?;
        context.state.writer().flush().await?;
        left = bound.into_iter().map(|bound| bound.item).collect();
    }
}

/// One pass; gives back the rows that clashed.
async fn pass(
    context: &Arc<Context>,
    next: impl FnMut() -> Result<Option<Item>, SpoolError>,
    last_try: bool,
) -> Result<Vec<Item>, DeliveryError> {
    let clashed = Arc::default();
    let mut former = Former::new(context, next);
    let (mut intending, mut working) = (FuturesOrdered::new(), FuturesUnordered::new());
    let mut ahead = Ahead::new(context.workers);
    let mut failure = None;
    let mut fail = |error: DeliveryError| {
        // Others in flight still end and settle; nothing new begins.
        context.stop.request(StopReason::Storage(StateError::Stopped));
        failure.get_or_insert(error);
    };
    loop {
        while working.len() < context.workers
            && let Some(ready) = ahead.take()
        {
            working.push(in_task(context, ready, last_try, &clashed));
        }
        while ahead.has_room(working.len()) {
            match former.next() {
                Ok(Some(formed)) => {
                    ahead.begin(&formed);
                    intending.push_back(intend(context, formed));
                }
                Ok(None) => break,
                Err(error) => fail(error),
            }
        }
        tokio::select! {
            Some(intended) = intending.next() => match intended {
                Ok(intended) => ahead.push(intended),
                Err(error) => {
                    ahead.fail();
                    fail(error.into());
                }
            },
            Some(done) = working.next() => {
                ahead.widen_if_awaited();
                done.unwrap_or_else(&mut fail);
            }
            else => break,
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(std::mem::take(&mut clashed.lock().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// Works in a task of its own: bodies are written and answers read on every processor. The task ends with the pass, however
/// that ends.
async fn in_task(
    context: &Arc<Context>,
    ready: Intended,
    last_try: bool,
    clashed: &Clashed,
) -> Result<(), DeliveryError> {
    let (context, clashed) = (Arc::clone(context), Arc::clone(clashed));
    let task = tokio::spawn(async move { work(&context, ready, last_try, &clashed).await });
    match AbortOnDropHandle::new(task).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the runtime cancels it.
            Err(_) => Err(StateError::Stopped.into()),
        },
    }
}

/// Makes a batch's intents durable.
async fn intend(context: &Context, mut formed: Formed) -> Result<Intended, StateError> {
    let ahead = CountedAhead::new(&context.ahead);
    // In key order, as the batch is formed again after a crash: then its body is the same too.
    formed.items.sort_by(|a, b| a.key.cmp(&b.key));
    reach(Boundary::IntentBefore).await?;
    let send_before = context.clock.now() + intent_life(INTENT_LIFE);
    let again = || formed.again.map_or_else(|| fastrand::u128(..), |key| key.idempotency);
    let idempotency = rows_key(formed.items.iter()).unwrap_or_else(again);
    let members = u32::try_from(formed.items.len()).unwrap_or(u32::MAX);
    let mut noted: Vec<IntentMember> =
        formed.items.iter().enumerate().map(|(row, item)| member(context, row, item)).collect();
    noted.extend(formed.items.iter().zip(noted.clone()).filter_map(|(item, taker)| yielding(item, taker)));
    let intent = NewIntent {
        sync: context.sync,
        run: context.run,
        epoch: context.epoch,
        send_before,
        batch_key: BatchKey { idempotency, members },
        members: noted,
        grants: context.saved_grants(send_before),
    };
    let batch = if context.skips_intents() { NO_INTENT } else { context.state.writer().intend(intent).await? };
    reach(Boundary::IntentAfter).await?;
    Ok(Intended { batch, items: formed.items, idempotency, send_before, since: Instant::now(), ahead })
}

fn member(context: &Context, row: usize, item: &Item) -> IntentMember {
    IntentMember {
        key: item.key.clone(),
        operation: item.operation,
        fingerprint: item.fingerprint,
        correlation: row as u64,
        record_id: item.record_id.clone(),
        match_value: match_value(context, item),
    }
}

/// The absent key whose record is taken over: not what it was sent itself, so it has no fingerprint.
fn yielding(item: &Item, taker: IntentMember) -> Option<IntentMember> {
    let from = item.takes_over.as_ref()?;
    Some(IntentMember { key: from.key.clone(), fingerprint: None, record_id: from.record_id.clone(), ..taker })
}

/// What finds the record if the answer is lost and the match value then changes or the row vanishes, while the vendor's id is
/// not known; else where the record may get another address by this, which nobody else must then be found by.
fn match_value(context: &Context, item: &Item) -> Option<MatchValue> {
    let wanted = match item.operation {
        Operation::Upsert | Operation::Update => context.keeps_ids,
        Operation::Insert => context.destination.capabilities(&context.object).lookup != LookupKind::None,
        Operation::Clear | Operation::Delete => false,
    };
    let moves = item.match_hash.is_some() && item.match_hash != item.entry.as_ref().and_then(|entry| entry.match_hash);
    let field = context.match_fields.first().filter(|_| wanted && (item.record_id.is_none() || moves));
    let value = field.and_then(|field| RecordRef::new(&item.record).get(field))?;
    Some(MatchValue::Clear(to_text(value).into()))
}

/// Sends and settles one batch, and at once again what needs a new intent.
async fn work(context: &Context, ready: Intended, last_try: bool, clashed: &Clashed) -> Result<(), DeliveryError> {
    let mut queue = VecDeque::from([ready]);
    while let Some(ready) = queue.pop_front() {
        context.tally.add(|tally| tally.batches += 1);
        let batch = Ready { items: &ready.items, idempotency: ready.idempotency, send_before: ready.send_before };
        if is_broken(Rule::SettleAfterSend) {
            settle(context, ready.batch, ready.items.clone(), hoped(&ready.items), true).await?;
            attempt::send(context, &batch).await;
            continue;
        }
        let ends = attempt::send(context, &batch).await;
        drop(ready.ahead);
        reach(Boundary::AnswerParsed).await.map_err(StateError::from)?;
        let whole = BatchKey { idempotency: ready.idempotency, members: u32::try_from(ends.len()).unwrap_or(u32::MAX) };
        let full = clashed.lock().unwrap_or_else(PoisonError::into_inner).len() >= MAX_CLASHED;
        let last_try = last_try || full;
        let aftermath = settle(context, ready.batch, ready.items, ends, last_try).await?;
        clashed.lock().unwrap_or_else(PoisonError::into_inner).extend(aftermath.clashed);
        let free = part_gone(context, aftermath.gone, last_try, clashed).await?;
        for formed in again(whole, aftermath.expired, free) {
            if context.must_stop() {
                context.tally.add(|tally| formed.items.iter().for_each(|item| tally.leave(item)));
            } else {
                queue.push_back(intend(context, formed).await?);
            }
        }
    }
    Ok(())
}

/// Gives back which rows whose record is gone are to be made again at once; the others wait for the run's end, or have come to
/// it.
async fn part_gone(
    context: &Context,
    gone: Vec<Item>,
    last_try: bool,
    clashed: &Clashed,
) -> Result<Vec<Item>, StateError> {
    let Lost { free, bound } = lost::part(context, gone).await?;
    if last_try {
        lost::give_up(context, bound).await?;
    } else {
        let bound = bound.into_iter().map(|bound| bound.item);
        clashed.lock().unwrap_or_else(PoisonError::into_inner).extend(bound);
    }
    Ok(free)
}

/// The proof harness's broken variant: every row counts as delivered before it is sent.
fn hoped(items: &[Item]) -> Vec<RowEnd> {
    let end = |item: &Item| RowEnd { fate: Fate::Delivered { record_id: item.record_id.clone() }, ambiguous_at: None };
    items.iter().map(end).collect()
}

/// What is sent again under new intents. A batch that expired as a whole stays the same batch.
fn again(whole: BatchKey, expired: Vec<Item>, gone: Vec<Item>) -> impl Iterator<Item = Formed> {
    let same = (expired.len() == whole.members as usize).then_some(whole);
    let formed = [Formed { items: expired, again: same }, Formed { items: gone, again: None }];
    formed.into_iter().filter(|formed| !formed.items.is_empty())
}
