//! Rows whose record is gone at the destination: made again by match, unless another key owns that match value.
//!
//! There the upsert would fall on the other key's record, and would the answer be lost, the snapshot would go on saying that
//! the record is as it was. Such a row waits for the run's end: by then the other may have given the value up. What a key
//! that has left the model still owns is taken over, under intents of both. Who is bound then is refused, or left over where
//! the other's request has no answer yet.

use std::collections::HashSet;

use crate::{
    model::Key,
    plan::Whereabouts,
    state::{OwnerSpace, StateError},
};

use super::{
    context::Context,
    item::{Item, TakenOver},
    pass::DeliveryError,
    settle::refuse_without_request,
    takeover::{is_in_doubt, may_come_late},
};

/// Rows, by whether they may be found by match.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Nobody else owns their match values.
    pub(super) free: Vec<Item>,
    /// Somebody else does.
    pub(super) bound: Vec<Bound>,
}

/// A row whose match value other keys own.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) item: Item,
    owners: Vec<Key>,
}

/// Parts items. Looks at what this process has settled so far. An owner that has lost its own record among them owns nothing
/// that could be hit.
///
/// # Errors
/// When the state cannot be read.
pub(super) async fn part(context: &Context, items: Vec<Item>) -> Result<Lost, StateError> {
    let asked: Vec<u64> = items.iter().filter_map(|item| found_by(context, item)).collect();
    if asked.is_empty() {
        return Ok(Lost { free: items, bound: Vec::new() });
    }
    let mut found = context.state.owners_of(context.sync, OwnerSpace::Match, &asked).await?.into_iter();
    let without: HashSet<Key> = items.iter().filter(|item| has_lost(item)).map(|item| item.key.clone()).collect();
    let mut lost = Lost::default();
    for item in items {
        let mut owners = found_by(context, &item).and_then(|_| found.next()).unwrap_or_default();
        let from = item.takes_over.as_ref().map(|from| &from.key);
        owners.retain(|owner| *owner != item.key && Some(owner) != from && !without.contains(owner));
        if owners.is_empty() { lost.free.push(item) } else { lost.bound.push(Bound { item, owners }) }
    }
    Ok(lost)
}

/// [`part`] at a run's end: a row whose match value only a key owns that has left the model takes its record over. Nobody takes
/// one over from a key that is sent itself now.
///
/// # Errors
/// When the state or the plan cannot be read.
pub(super) async fn part_at_end(context: &Context, items: Vec<Item>) -> Result<Lost, DeliveryError> {
    let busy: HashSet<Key> = items.iter().map(|item| item.key.clone()).collect();
    let Lost { mut free, bound } = part(context, items).await?;
    let mut still = Vec::new();
    for mut bound in bound {
        match heirloom(context, &bound).await?.filter(|from| !busy.contains(&from.key)) {
            Some(from) => {
                bound.item.operation = context.mode.operation(from.record_id.is_some());
                bound.item.record_id.clone_from(&from.record_id);
                bound.item.takes_over = Some(from);
                free.push(bound.item);
            }
            None => still.push(bound),
        }
    }
    Ok(Lost { free, bound: still })
}

/// Ends rows that would fall on another key's record: refused, so that somebody sees why, unless the run stops or the other
/// is in doubt.
///
/// # Errors
/// When the state cannot be read or a reason cannot be sealed.
pub(super) async fn give_up(context: &Context, bound: Vec<Bound>) -> Result<(), StateError> {
    let mut refused = Vec::new();
    for Bound { item, owners } in bound {
        if context.must_stop() || is_any_in_doubt(context, &owners).await? {
            context.tally.add(|tally| tally.leave(&item));
        } else {
            refused.push(refuse_without_request(context, &item)?);
        }
    }
    if !refused.is_empty() {
        // Not awaited, as every settle: a failure stops the next intent.
        drop(context.state.writer().settle_local(context.sync, context.epoch, refused));
    }
    Ok(())
}

/// The match value by which the item will be found, whatever stands there. What is created once touches nothing.
fn found_by(context: &Context, item: &Item) -> Option<u64> {
    item.match_hash.filter(|_| item.record_id.is_none() && !context.mode.creates_once())
}

fn has_lost(item: &Item) -> bool {
    item.record_id.is_none() && item.entry.as_ref().is_some_and(|entry| entry.record_id.is_some())
}

/// The only owner, if it has left the model for good and nothing of it is under way.
async fn heirloom(context: &Context, bound: &Bound) -> Result<Option<TakenOver>, DeliveryError> {
    let ([owner], None) = (bound.owners.as_slice(), &bound.item.takes_over) else { return Ok(None) };
    let Whereabouts::Gone { .. } = context.absent.find(owner)? else { return Ok(None) };
    let held = context.state.held(context.sync, owner).await?;
    let record_id = held.entry.as_ref().and_then(|entry| entry.record_id.clone());
    // Those of its removal too, if that was refused in this run.
    let loaded = held.dirty.iter().map(|mark| mark.intent).collect();
    let from = TakenOver { key: owner.clone(), record_id, loaded };
    Ok(Some(from).filter(|_| !may_come_late(context, &held)))
}

async fn is_any_in_doubt(context: &Context, keys: &[Key]) -> Result<bool, StateError> {
    for key in keys {
        if is_in_doubt(context, key).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
