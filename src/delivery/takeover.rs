//! Who gets the record that an answer names: "one record, one owner" where another key owns it already.
//!
//! An owner that has left the model gives its record up to the claimant. The owner's end is written with the claimant's settle
//! or before it, in the writer's order, and its removal is then settled without sending. After a crash between the two
//! nobody owns the record, the claimant stands dirty with what finds it, and takes it again or has it removed. The other
//! way round the owner, back unchanged, would count as settled at a record that is another key's. After a lost lease
//! neither is written.
//!
//! Nobody takes a record over that an earlier request of its owner may still reach: what comes late would undo what was
//! settled. Nor in the last try of a run, when its removals are on their way. Such a claimant is refused and tried again, for
//! then the owner will be gone.

use crate::{
    model::{Held, Key, Operation, Timestamp},
    plan::Whereabouts,
    state::{End, LocalSettle, MarkDirty, OwnerChange, OwnerSpace, StateError},
};

use super::{
    claims::Claim,
    context::Context,
    item::{Item, TakenOver},
    pass::DeliveryError,
    settle::owner_changes,
};

/// What became of a claim on a record.
pub(super) enum Claimed {
    /// The record is the claimant's.
    Own {
        /// The keyed hash of its id.
        hash: u64,
        /// The ends of the absent keys that owned it.
        gone: Vec<LocalSettle>,
    },
    /// Another key keeps it, and is to be sent again: its record has just been overwritten.
    Refused {
        /// The result does not have that key, so the claimant is to be tried again.
        leaving: bool,
    },
}

/// Claims the record of this id for an item that was delivered. `ambiguous_at`: when an attempt of it that may still be
/// applied was given up.
pub(super) async fn claim(
    context: &Context,
    item: &Item,
    id: &str,
    ambiguous_at: Option<Timestamp>,
    last_try: bool,
) -> Result<Claimed, DeliveryError> {
    let hash = context.owner_hasher.short(id.as_bytes());
    let mut yields: Vec<Key> = item.takes_over.iter().map(|from| from.key.clone()).collect();
    let mut gone = Vec::new();
    loop {
        let owner = match context.claims.claim(&context.state, context.sync, hash, &item.key, &yields).await? {
            Claim::Granted => break,
            Claim::OwnedBy(owner) => owner,
        };
        let whereabouts = context.absent.find(&owner)?;
        let left = match &whereabouts {
            Whereabouts::Gone { loaded } if !last_try && !context.mode.creates_once() && !yields.contains(&owner) => {
                let held = context.state.held(context.sync, &owner).await?;
                (!may_come_late(context, &held)).then(|| end_of_owner(context, &held, loaded))
            }
            Whereabouts::Gone { .. } | Whereabouts::Leaving | Whereabouts::Present => None,
        };
        let Some(end) = left else {
            send_again(context, owner, ambiguous_at.max(item.ambiguous_at)).await?;
            return Ok(Claimed::Refused { leaving: whereabouts != Whereabouts::Present });
        };
        gone.push(end);
        yields.push(owner);
    }
    for LocalSettle { key, .. } in &gone {
        context.claims.take(key);
    }
    Ok(Claimed::Own { hash, gone })
}

/// Whether an earlier request of the key may still be applied.
///
/// # Errors
/// When the state cannot be read.
pub async fn is_in_doubt(context: &Context, key: &Key) -> Result<bool, StateError> {
    Ok(may_come_late(context, &context.state.held(context.sync, key).await?))
}

/// Whether an earlier request of a key in this state may still be applied.
pub(super) fn may_come_late(context: &Context, held: &Held) -> bool {
    let now = context.clock.now();
    let sent = held.dirty.iter().filter_map(|mark| mark.ambiguous_at).map(|at| at + context.late_window);
    sent.chain(held.quiet_until).any(|until| until > now)
}

fn end_of_owner(context: &Context, held: &Held, loaded: &[crate::model::IntentId]) -> LocalSettle {
    let owners = owner_changes(context, held.entry.as_ref(), None);
    LocalSettle { key: held.key.clone(), loaded: loaded.to_vec(), end: End::Remove { owners, quiet_until: None } }
}

/// What of the claimant's may still be applied would undo what is sent for the owner before.
async fn send_again(context: &Context, owner: Key, ambiguous_at: Option<Timestamp>) -> Result<(), StateError> {
    let mark = MarkDirty {
        key: owner,
        operation: Operation::Update,
        fingerprint: None,
        ambiguous_at,
        record_id: None,
        sealed_match: None,
    };
    context.state.writer().mark_dirty(context.sync, vec![mark]).await.map(|_| ())
}

/// The end of a key whose record has been taken over, in the transaction that settles the takeover: a crash between the
/// two would leave the record to both, and the removal of the one would delete it from under the other. Its dirty marks of
/// earlier runs go with its removal.
pub(super) fn yielded(context: &Context, from: TakenOver, match_hash: Option<u64>) -> LocalSettle {
    let record = from.record_id.map(|id| context.owner_hasher.short(id.as_bytes()));
    let owned = [(OwnerSpace::Match, match_hash), (OwnerSpace::RecordId, record)];
    let gone = |(space, hash): (_, Option<u64>)| Some(OwnerChange { space, hash: hash?, present: false });
    let owners = owned.into_iter().filter_map(gone).collect();
    LocalSettle { key: from.key, loaded: from.loaded, end: End::Remove { owners, quiet_until: None } }
}
