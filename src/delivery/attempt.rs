//! The one retry loop: it knows rows, waits holding nothing, and never calls an ambiguous send failed.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{
    destination::{Batch, BatchRow, Delivery, Outcome, Rejection},
    model::{Operation, Timestamp},
    proof::{Boundary, Injected, Rule, is_broken, reach},
    shutdown,
    telemetry::{event, events},
    wire::{DEFAULT_HOLD, Directive, Fault, FaultKind, HoldReason, Sent, VendorText, backoff},
};

use super::{
    batcher::{part_key, rows_key},
    context::Context,
    item::Item,
    read_back::read_back,
    stop::StopReason,
};

/// Attempts of one request in one run.
const MAX_ATTEMPTS: u32 = 3;
/// Answers "too many requests" that one request takes in one run.
const MAX_THROTTLED: u32 = 20;
/// Requests in a row that got no answer in all their attempts end the run.
const MAX_GIVEN_UP: u32 = 3;
/// First and longest wait between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));
/// A longer hold ends the run instead of being waited for.
const MAX_PATIENCE: Duration = Duration::from_secs(120);

/// How one row of a batch ended.
#[derive(Debug)]
pub(super) struct RowEnd {
    pub(super) fate: Fate,
    /// When an attempt that may still be applied was given up, if there was one.
    pub(super) ambiguous_at: Option<Timestamp>,
}

/// How one row of a batch ended.
#[derive(Debug)]
pub(super) enum Fate {
    /// Acknowledged.
    Delivered { record_id: Option<Box<str>> },
    /// Refused.
    Rejected { rejection: Rejection, attempts: u32 },
    /// Not created, because the record stands already.
    Exists { record_id: Option<Box<str>> },
    /// Nothing stands at the known id.
    Gone,
    /// Needs a new intent before another attempt.
    Expired { attempts: u32 },
    /// Not acknowledged in this run.
    Open,
}

/// One batch with durable intents.
pub(super) struct Ready<'a> {
    pub(super) items: &'a [Item],
    pub(super) idempotency: u128,
    /// No attempt may begin later: the intents say so.
    pub(super) send_before: Timestamp,
}

/// Rows of a batch that are sent in one request.
struct Part {
    rows: Vec<usize>,
    attempts: u32,
    throttled: u32,
}

/// Sends a batch until every row has an end.
pub(super) async fn send(context: &Context, batch: &Ready<'_>) -> Vec<RowEnd> {
    let mut ends: Vec<RowEnd> = batch.items.iter().map(|_| RowEnd { fate: Fate::Open, ambiguous_at: None }).collect();
    let attempts = batch.items.iter().map(|item| item.attempts).max().unwrap_or(0);
    let rows = (0..batch.items.len()).filter(|&row| !is_found(batch, row, &mut ends)).collect::<Vec<_>>();
    let mut parts: Vec<Part> =
        Some(Part { rows, attempts, throttled: 0 }).filter(|part| !part.rows.is_empty()).into_iter().collect();
    while let Some(mut part) = parts.pop() {
        context.look_for_shutdown();
        if context.stop.requested() {
            continue;
        }
        if context.clock.now() >= batch.send_before {
            part.rows.iter().for_each(|&row| end(&mut ends, row, Fate::Expired { attempts: part.attempts }));
            continue;
        }
        if !read_back(context, batch.items, &mut part.rows, &mut ends).await {
            continue;
        }
        part.attempts += 1;
        match attempt(context, batch, &part).await {
            Ok(outcomes) => sort_outcomes(context, part, outcomes, &mut ends, &mut parts).await,
            Err(fault) => react(context, part, fault, &mut ends, &mut parts).await,
        }
    }
    ends
}

/// An insert whose record is known: an earlier one, whose answer was lost, was found to have made it.
fn is_found(batch: &Ready<'_>, row: usize, ends: &mut [RowEnd]) -> bool {
    let inserted = batch.items.get(row).filter(|item| item.operation == Operation::Insert);
    let Some(record_id) = inserted.and_then(|item| item.record_id.clone()) else { return false };
    end(ends, row, Fate::Delivered { record_id: Some(record_id) });
    true
}

pub(super) fn end(ends: &mut [RowEnd], row: usize, fate: Fate) {
    if let Some(slot) = ends.get_mut(row) {
        slot.fate = fate;
    }
}

/// One request. A batch in flight is given up when the daemon has been asked to stop for long enough.
async fn attempt(context: &Context, batch: &Ready<'_>, part: &Part) -> Result<Vec<Outcome>, Fault> {
    let request = request(context, batch, part);
    let account = context.account.within(context.time_to_send(batch.send_before));
    #[cfg(feature = "proof")]
    let account = match is_broken(Rule::LimitEachAttempt) && part.attempts + part.throttled > 1 {
        true => account.unlimited(),
        false => account,
    };
    reach(Boundary::SendBefore).await.map_err(|injected| dropped(Sent::No, injected))?;
    let delivering = context.destination.deliver(&account, &request);
    let Some(delivery) = context.shutdown.within(shutdown::REQUESTS, delivering).await else {
        context.stop.request(StopReason::Shutdown);
        return Err(Fault::new(FaultKind::Stopped, Sent::Maybe));
    };
    reach(Boundary::SendAfter).await.map_err(|injected| dropped(Sent::Maybe, injected))?;
    match delivery? {
        Delivery::Rows(outcomes) => Ok(outcomes),
        Delivery::Job(_) => Err(Fault::new(FaultKind::Settings, Sent::Maybe)
            .because("the connector answered with a job, which this version does not follow")),
    }
}

fn dropped(sent: Sent, injected: Injected) -> Fault {
    Fault::new(FaultKind::Dropped, sent).because(injected)
}

fn request(context: &Context, batch: &Ready<'_>, part: &Part) -> Batch {
    let whole = || {
        let is_whole = part.rows.len() == batch.items.len();
        if is_whole { batch.idempotency } else { part_key(batch.idempotency, &part.rows) }
    };
    let own = rows_key(part.rows.iter().filter_map(|&row| batch.items.get(row)));
    let rows = part.rows.iter().filter_map(|&row| batch.items.get(row).map(|item| (row, item)));
    Batch {
        run: context.run,
        object: context.object.clone(),
        fields: context.fields.clone(),
        operation: batch.items.first().map_or(Operation::Upsert, |item| item.operation),
        match_fields: context.match_fields.clone(),
        rows: rows
            .map(|(row, item)| BatchRow {
                correlation: row as u64,
                record_id: item.record_id.clone(),
                idempotency_key: item.row_key,
                record: item.record.clone(),
            })
            .collect(),
        idempotency_key: own.unwrap_or_else(whole),
    }
}

async fn sort_outcomes(
    context: &Context,
    part: Part,
    outcomes: Vec<Outcome>,
    ends: &mut [RowEnd],
    parts: &mut Vec<Part>,
) {
    let mut outcomes = outcomes.into_iter();
    let unnamed =
        if is_broken(Rule::NamedRows) { || Outcome::Delivered { record_id: None } } else { || Outcome::Unknown };
    let (mut unknown, mut again) = (Vec::new(), Vec::new());
    for &row in &part.rows {
        // A row that the connector left out is a row that the answer did not name.
        match outcomes.next().unwrap_or_else(unnamed) {
            Outcome::Delivered { record_id } => {
                context.given_up.store(0, Ordering::Relaxed);
                end(ends, row, Fate::Delivered { record_id });
            }
            Outcome::Gone => end(ends, row, Fate::Gone),
            Outcome::Exists { record_id } => end(ends, row, Fate::Exists { record_id }),
            Outcome::Rejected(rejection) => end(ends, row, Fate::Rejected { rejection, attempts: part.attempts }),
            Outcome::Retry(rejection) => {
                end(ends, row, Fate::Rejected { rejection, attempts: part.attempts });
                again.push(row);
            }
            Outcome::Unknown => {
                mark_ambiguous(context, ends, &[row]);
                unknown.push(row);
            }
        }
    }
    // The unnamed rows alone, so that one answer cannot hide them twice behind named ones.
    for rows in [unknown, again] {
        if !rows.is_empty() {
            try_again(context, Part { rows, attempts: part.attempts, throttled: part.throttled }, None, parts).await;
        }
    }
}

async fn react(context: &Context, part: Part, fault: Fault, ends: &mut [RowEnd], parts: &mut Vec<Part>) {
    if is_broken(Rule::AnswerNeeded) && fault.sent != Sent::Yes {
        return part.rows.iter().for_each(|&row| end(ends, row, Fate::Delivered { record_id: None }));
    }
    if may_be_applied(&fault) {
        mark_ambiguous(context, ends, &part.rows);
    }
    match fault.kind.directive() {
        Directive::Retry => try_again(context, part, Some(fault), parts).await,
        Directive::Hold => wait_out(context, part, fault, parts),
        Directive::Split => split(context, part, fault, ends, parts),
        Directive::Renew => {
            // What never left was no attempt.
            let attempts = part.attempts.saturating_sub(1);
            part.rows.iter().for_each(|&row| end(ends, row, Fate::Expired { attempts }));
        }
        Directive::Defer | Directive::StopRun => context.stop.request(StopReason::of_fault(fault)),
    }
}

/// Whether the vendor may have applied the request, or may yet. An answer that refuses the whole request has not.
fn may_be_applied(fault: &Fault) -> bool {
    match fault.sent {
        Sent::No => false,
        Sent::Maybe => true,
        Sent::Yes => match fault.kind {
            FaultKind::Server | FaultKind::Protocol | FaultKind::TimedOut | FaultKind::Dropped => true,
            FaultKind::Connect
            | FaultKind::Tls
            | FaultKind::Blocked
            | FaultKind::Throttled
            | FaultKind::QuotaSpent { .. }
            | FaultKind::Credentials
            | FaultKind::Forbidden
            | FaultKind::NotFound
            | FaultKind::BatchRefused
            | FaultKind::TooLarge
            | FaultKind::Held(_)
            | FaultKind::Budget
            | FaultKind::Stopped
            | FaultKind::Expired
            | FaultKind::Settings => false,
        },
    }
}

fn mark_ambiguous(context: &Context, ends: &mut [RowEnd], rows: &[usize]) {
    let now = context.clock.now();
    event!(events::BATCH_AMBIGUOUS, sync = context.sync.0, run = %context.run, rows = rows.len());
    for &row in rows {
        if let Some(slot) = ends.get_mut(row) {
            slot.ambiguous_at = Some(now);
            slot.fate = Fate::Open;
        }
    }
}

/// Queues another attempt after a backoff, unless attempts or the account's retry budget are spent.
async fn try_again(context: &Context, part: Part, fault: Option<Fault>, parts: &mut Vec<Part>) {
    if part.attempts >= MAX_ATTEMPTS && !is_broken(Rule::BoundedRetries) {
        return give_up(context, fault);
    }
    if !context.account.retry_budget().withdraw() && !is_broken(Rule::BoundedRetries) {
        // The whole account has spent its retries: whatever is wrong, more requests do not mend it.
        fault.into_iter().for_each(|fault| context.stop.request(StopReason::of_fault(fault)));
        return;
    }
    context.tally.add(|tally| tally.retries += 1);
    let asked = fault.as_ref().and_then(|fault| fault.retry_after).unwrap_or(Duration::ZERO);
    if asked > MAX_PATIENCE {
        context.account.hold_for(asked, HoldReason::RetryAfter);
        return context.stop.request(StopReason::Hold(context.account.hold_state()));
    }
    let wait = backoff(part.attempts, BACKOFF.0, BACKOFF.1, &mut fastrand::Rng::new()).max(asked);
    let reason = fault.map_or_else(|| "rows not named by the answer".to_owned(), |fault| fault.kind.to_string());
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    event!(events::REQUEST_RETRIED, account = context.account.identity(), attempt = part.attempts, reason, wait_ms);
    #[cfg(feature = "proof")]
    let _turn = match is_broken(Rule::WaitEmptyHanded) {
        true => context.account.take_turn().await,
        false => None,
    };
    tokio::select! {
        biased;
        () = tokio::time::sleep(wait) => parts.push(part),
        () = context.shutdown.cancelled() => context.stop.request(StopReason::Shutdown),
        () = context.stop.token().cancelled() => {}
    }
}

/// One batch without an answer may be the batch's own trouble; several in a row are the vendor's.
fn give_up(context: &Context, fault: Option<Fault>) {
    let in_a_row = context.given_up.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(fault) = fault.filter(|_| in_a_row >= MAX_GIVEN_UP) {
        context.stop.request(StopReason::of_fault(fault));
    }
}

/// Puts the account on hold, as the vendor asks, and queues the part again: the next send waits for the hold.
fn wait_out(context: &Context, mut part: Part, fault: Fault, parts: &mut Vec<Part>) {
    let hold = fault.retry_after.unwrap_or(DEFAULT_HOLD);
    context.account.heed(&fault);
    part.throttled += 1;
    // A refused request was not an attempt.
    part.attempts = part.attempts.saturating_sub(1);
    if hold > MAX_PATIENCE || part.throttled > MAX_THROTTLED {
        context.stop.request(StopReason::Hold(context.account.hold_state()));
    } else {
        parts.push(part);
    }
}

/// Halves a part that was refused as a whole, until the row that is to blame stands alone.
fn split(context: &Context, mut part: Part, fault: Fault, ends: &mut [RowEnd], parts: &mut Vec<Part>) {
    if part.rows.len() == 1 || is_broken(Rule::RefusedIsHalved) {
        let rejection = || Rejection {
            code: fault.code.clone().unwrap_or_else(|| refusal_code(&fault).to_owned()),
            text: fault.text.clone(),
            field: None,
            conflict: false,
        };
        for &row in &part.rows {
            end(ends, row, Fate::Rejected { rejection: rejection(), attempts: part.attempts });
        }
        return;
    }
    event!(events::BATCH_SPLIT, run = %context.run, rows = part.rows.len());
    let second = part.rows.split_off(part.rows.len() / 2);
    parts.push(Part { rows: second, attempts: 0, throttled: part.throttled });
    parts.push(Part { rows: part.rows, attempts: 0, throttled: part.throttled });
}

fn refusal_code(fault: &Fault) -> &'static str {
    if fault.kind == FaultKind::TooLarge { "too_large" } else { "refused" }
}

/// The words of a rejection that is ours.
pub(super) fn own_words(text: &str) -> VendorText {
    VendorText::new(text)
}
