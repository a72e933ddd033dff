//! Finds records whose answer was lost: by the match value that was sent, before anything else is done with the key.

use std::collections::{HashMap, HashSet};

use crate::{
    delivery::Context,
    destination::{Lookup, LookupBy, LookupKind},
    model::Key,
    plan::Plan,
    state::OwnerSpace,
};

use super::{RunError, claims::MatchHasher, judge::ToFind};

/// Values in one lookup; the connector may split them further.
const LOOKUP: usize = 100;

/// What the lookups found: for each asked key the record's id, or nothing.
pub(super) type Resolved = HashMap<Key, Option<Box<str>>>;

/// One earlier match value of a key.
struct Asked<'a> {
    find: &'a ToFind,
    value: String,
}

/// Looks up the records of all keys that need it.
///
/// # Errors
/// When a lookup or the state fails: then none of these keys may be sent.
pub(super) async fn resolve(
    context: &Context,
    hasher: Option<&MatchHasher>,
    plan: &Plan,
    to_find: &[ToFind],
) -> Result<Resolved, RunError> {
    let mut resolved: Resolved = to_find.iter().map(|find| (find.key.clone(), None)).collect();
    for find in to_find {
        if let Some(id) = &find.unproven_id
            && !owned_by_another(context, &find.key, id).await?
        {
            resolved.insert(find.key.clone(), Some(id.clone()));
        }
    }
    if to_find.is_empty() || context.destination.capabilities(&context.object).lookup == LookupKind::None {
        return Ok(resolved);
    }
    let mut asked = Vec::new();
    for find in to_find {
        for sealed in &find.sealed {
            let value = String::from_utf8_lossy(&context.state.unseal("match", sealed)?).into_owned();
            asked.push(Asked { find, value });
        }
    }
    let living = living_claims(hasher, plan, &asked)?;
    // A record that an insert of this key has made is this key's, whoever claims its value now.
    asked.retain(|asked| context.mode.creates_once() || !is_claimed(hasher, &living, asked));
    for chunk in asked.chunks(LOOKUP) {
        for (find, record_id) in look_up(context, chunk).await? {
            if !owned_by_another(context, &find.key, &record_id).await? {
                resolved.entry(find.key.clone()).and_modify(|found| {
                    found.get_or_insert(record_id);
                });
            }
        }
    }
    Ok(resolved)
}

/// Hashes of earlier match values that a planned upsert claims now: that record is the claimant's, found by match.
fn living_claims(hasher: Option<&MatchHasher>, plan: &Plan, asked: &[Asked<'_>]) -> Result<HashSet<u64>, RunError> {
    let wanted: HashSet<u64> = asked.iter().filter_map(|asked| hasher?.of_value(&asked.value)).collect();
    let mut living = HashSet::new();
    if !wanted.is_empty() {
        let mut upserts = plan.upserts();
        while let Some(item) = upserts.next()? {
            living.extend(item.row.claims.iter().filter(|hash| wanted.contains(hash)));
        }
    }
    Ok(living)
}

fn is_claimed(hasher: Option<&MatchHasher>, living: &HashSet<u64>, asked: &Asked<'_>) -> bool {
    let hash = hasher.and_then(|hasher| hasher.of_value(&asked.value));
    hash.is_some_and(|hash| living.contains(&hash))
}

async fn look_up<'a>(context: &Context, chunk: &[Asked<'a>]) -> Result<Vec<(&'a ToFind, Box<str>)>, RunError> {
    let Some(field) = context.match_fields.first().cloned() else { return Ok(Vec::new()) };
    let values = chunk.iter().map(|asked| asked.value.clone()).collect();
    let lookup = Lookup { object: context.object.clone(), by: LookupBy::Match { field, values }, fields: Vec::new() };
    let found = context.destination.lookup(&context.account, &lookup).await.map_err(|fault| RunError::Request {
        destination: context.account.identity().to_owned(),
        action: "find records whose answer was lost",
        fault: Box::new(fault),
    })?;
    let found = found
        .into_iter()
        .filter_map(|found| chunk.get(found.position).map(|asked| (asked.find, found.record_id.into_boxed_str())));
    Ok(found.collect())
}

async fn owned_by_another(context: &Context, key: &Key, record_id: &str) -> Result<bool, RunError> {
    let hash = context.owner_hasher.short(record_id.as_bytes());
    let owners = context.state.owners_of(context.sync, OwnerSpace::RecordId, &[hash]).await?;
    Ok(owners.into_iter().flatten().any(|owner| owner != *key))
}
