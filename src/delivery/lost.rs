//! Rows whose record is gone at the destination: made again by match, unless another key owns that match value.
//!
//! There the upsert would fall on the other key's record, and would the answer be lost, the snapshot would go on saying that
//! the record is as it was. What the other key is to give up in this run is tried at the run's end; what it keeps refuses
//! the row, which is tried again later.

use crate::{
    model::Key,
    state::{OwnerSpace, StateError},
};

use super::{context::Context, item::Item, settle::refuse_without_request};

/// Lost records' rows, by whether they may be made again.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Nobody else owns their match values.
    pub(super) free: Vec<Item>,
    /// Somebody else does.
    pub(super) bound: Vec<Item>,
}

/// Parts items that are to be found by match from now on. Looks at what this process has settled so far.
///
/// # Errors
/// When the state cannot be read.
pub(super) async fn part(context: &Context, items: Vec<Item>) -> Result<Lost, StateError> {
    let mut lost = Lost::default();
    for item in items {
        let side = if is_bound(context, &item).await? { &mut lost.bound } else { &mut lost.free };
        side.push(item);
    }
    Ok(lost)
}

/// Refuses rows that would fall on another key's record.
///
/// # Errors
/// When a reason cannot be sealed.
pub(super) fn refuse(context: &Context, bound: &[Item]) -> Result<(), StateError> {
    let refused: Vec<_> = bound.iter().map(|item| refuse_without_request(context, item)).collect::<Result<_, _>>()?;
    if !refused.is_empty() {
        // Not awaited, as every settle: a failure stops the next intent.
        drop(context.state.writer().settle_local(context.sync, context.epoch, refused));
    }
    Ok(())
}

/// Whether the item has lost its own record, and another key than the one that it takes over from owns its match value.
async fn is_bound(context: &Context, item: &Item) -> Result<bool, StateError> {
    let had_record = item.entry.as_ref().is_some_and(|entry| entry.record_id.is_some());
    let Some(hash) = item.match_hash.filter(|_| had_record && item.record_id.is_none()) else { return Ok(false) };
    let from = item.takes_over.as_ref().map(|from| &from.key);
    let owners = context.state.owners_of(context.sync, OwnerSpace::Match, &[hash]).await?;
    let is_other = |owner: &Key| *owner != item.key && Some(owner) != from;
    Ok(owners.iter().flatten().any(is_other))
}
