//! Finds records whose answer was lost: by the match value that was sent, before anything else is done with the key.

use std::collections::{HashMap, HashSet};

use crate::{
    delivery::Context,
    destination::{Lookup, LookupBy, LookupKind},
    model::Key,
    state::OwnerSpace,
};

use super::{
    RunError,
    claims::MatchHasher,
    deliver::held,
    judge::{Judged, Place, ToFind, place},
};

/// Values in one lookup; the connector may split them further.
const LOOKUP: usize = 100;

/// What is known of a lost record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// There is none.
    Nothing,
    /// The record is the key's.
    Own(Box<str>),
    /// It is too, unless an upsert of another key, which will be found by the same value, is delivered with it. Until that
    /// has an end, the key waits.
    Wanted {
        /// The record's id.
        record_id: Box<str>,
        /// The other key.
        by: Key,
    },
}

impl Finding {
    /// The record's id, whoever wants it.
    pub(super) fn record_id(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Own(record_id) | Self::Wanted { record_id, .. } => Some(record_id),
        }
    }
}

/// What the lookups found, for each asked key.
pub(super) type Resolved = HashMap<Key, Finding>;

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
    judged: &Judged,
) -> Result<Resolved, RunError> {
    let to_find = judged.to_find.as_slice();
    let mut resolved: Resolved = to_find.iter().map(|find| (find.key.clone(), Finding::Nothing)).collect();
    let can_look = context.destination.capabilities(&context.object).lookup != LookupKind::None;
    let (mut asked, mut found) = (Vec::new(), Vec::new());
    for find in to_find {
        let unproven = match &find.unproven_id {
            Some(id) if !owned_by_another(context, &find.key, id).await? => Some(id),
            Some(_) | None => None,
        };
        let sealed = if can_look { find.sealed.as_slice() } else { &[] };
        if let Some(id) = unproven.filter(|_| sealed.is_empty()) {
            resolved.insert(find.key.clone(), Finding::Own(id.clone()));
        }
        for sealed in sealed {
            let value = String::from_utf8_lossy(&context.state.unseal("match", sealed)?).into_owned();
            asked.push((Asked { find, value }, unproven));
        }
    }
    if asked.is_empty() {
        return Ok(resolved);
    }
    let (asked, unproven): (Vec<Asked<'_>>, Vec<_>) = asked.into_iter().unzip();
    // What was sent to is likelier the record than what is found.
    found.extend(asked.iter().zip(unproven).filter_map(|(asked, id)| Some((asked, id?.clone()))));
    let living = living_claims(hasher, judged, &asked)?;
    for chunk in asked.chunks(LOOKUP) {
        for (asked, record_id) in look_up(context, chunk).await? {
            if !owned_by_another(context, &asked.find.key, &record_id).await? {
                found.push((asked, record_id));
            }
        }
    }
    // A record that an insert of this key has made is this key's, whoever claims its value now.
    let once = context.mode.creates_once();
    assign(&mut resolved, found, |asked, resolved| {
        if once { None } else { claimant(hasher?, &living, &judged.in_doubt.open, asked, resolved) }
    });
    Ok(resolved)
}

/// Gives found records to the keys that sent their values, each to one: first where a key has no other way to a record. A key
/// with a record of its own takes no other, so whether a value is wanted may depend on what another key was found to have.
fn assign<'a>(
    resolved: &mut Resolved,
    mut found: Vec<(&Asked<'a>, Box<str>)>,
    wanted_by: impl Fn(&Asked<'a>, &Resolved) -> Option<Key>,
) {
    let taken = |id: &str, resolved: &Resolved| {
        resolved.values().any(|finding| matches!(finding, Finding::Own(own) if **own == *id))
    };
    let mut seen = HashSet::new();
    found.retain(|(asked, id)| !taken(id, resolved) && seen.insert((&asked.find.key, id.clone())));
    let mut ways: HashMap<&Key, usize> = HashMap::new();
    found.iter().for_each(|(asked, _)| *ways.entry(&asked.find.key).or_default() += 1);
    let sole = |asked: &Asked<'_>, ways: &HashMap<&Key, usize>| ways.get(&asked.find.key) == Some(&1);
    loop {
        let is_free = |asked: &Asked<'a>| is_open(resolved, asked) && wanted_by(asked, resolved).is_none();
        let first = found.iter().position(|(asked, _)| sole(asked, &ways) && is_free(asked));
        let Some(at) = first.or_else(|| found.iter().position(|(asked, _)| is_free(asked))) else { break };
        let (asked, record_id) = found.remove(at);
        found.retain(|(other, id)| {
            let stays = *id != record_id;
            ways.entry(&other.find.key).and_modify(|ways| *ways -= usize::from(!stays));
            stays
        });
        resolved.insert(asked.find.key.clone(), Finding::Own(record_id));
    }
    for (asked, record_id) in found {
        if is_open(resolved, asked)
            && let Some(by) = wanted_by(asked, resolved)
        {
            resolved.insert(asked.find.key.clone(), Finding::Wanted { record_id, by });
        }
    }
}

fn is_open(resolved: &Resolved, asked: &Asked<'_>) -> bool {
    resolved.get(&asked.find.key) == Some(&Finding::Nothing)
}

/// Who claims a value now.
struct Claimant {
    key: Key,
    has_record: bool,
}

/// The upserts of this run that claim earlier match values now, by the values' hashes: one without a record of its own
/// takes the record that it finds there.
fn living_claims(
    hasher: Option<&MatchHasher>,
    judged: &Judged,
    asked: &[Asked<'_>],
) -> Result<HashMap<u64, Claimant>, RunError> {
    let wanted: HashSet<u64> = asked.iter().filter_map(|asked| hasher?.of_value(&asked.value)).collect();
    let mut living = HashMap::new();
    if !wanted.is_empty() {
        let mut upserts = judged.plan.upserts();
        while let Some(item) = upserts.next()? {
            if place(&item, judged.withheld) != Place::Planned || held(&judged.verdict, &item) {
                continue;
            }
            let planned = &item.row.planned;
            let has_record = planned.record_id.is_some() && !planned.id_from_mark;
            for hash in item.row.claims.iter().filter(|hash| wanted.contains(hash)) {
                living.insert(*hash, Claimant { key: item.row.key.clone(), has_record });
            }
        }
    }
    Ok(living)
}

/// The key whose upsert will be found by the asked value, if it has no record of its own for certain, or whose earlier upsert
/// may have made what was found.
fn claimant(
    hasher: &MatchHasher,
    living: &HashMap<u64, Claimant>,
    in_doubt: &[(u64, Key)],
    asked: &Asked<'_>,
    resolved: &Resolved,
) -> Option<Key> {
    let (hash, own) = (hasher.of_value(&asked.value)?, &asked.find.key);
    let has_record = |by: &Claimant| by.has_record || matches!(resolved.get(&by.key), Some(Finding::Own(_)));
    let wants = living.get(&hash).filter(|by| by.key != *own && !has_record(by)).map(|by| &by.key);
    let sent = || in_doubt.iter().find(|(sent, by)| *sent == hash && by != own).map(|(_, by)| by);
    wants.or_else(sent).cloned()
}

async fn look_up<'a, 'b>(
    context: &Context,
    chunk: &'b [Asked<'a>],
) -> Result<Vec<(&'b Asked<'a>, Box<str>)>, RunError> {
    let Some(field) = context.match_fields.first().cloned() else { return Ok(Vec::new()) };
    let values = chunk.iter().map(|asked| asked.value.clone()).collect();
    let lookup = Lookup { object: context.object.clone(), by: LookupBy::Match { field, values }, fields: Vec::new() };
    let found = context.destination.lookup(&context.account, &lookup).await;
    let found = found.inspect_err(|fault| context.account.heed(fault)).map_err(|fault| RunError::Request {
        destination: context.account.identity().to_owned(),
        action: "find records whose answer was lost",
        fault: Box::new(fault),
    })?;
    let found = found
        .into_iter()
        .filter_map(|found| chunk.get(found.position).map(|asked| (asked, found.record_id.into_boxed_str())));
    Ok(found.collect())
}

async fn owned_by_another(context: &Context, key: &Key, record_id: &str) -> Result<bool, RunError> {
    let hash = context.owner_hasher.short(record_id.as_bytes());
    let owners = context.state.owners_of(context.sync, OwnerSpace::RecordId, &[hash]).await?;
    Ok(owners.into_iter().flatten().any(|owner| owner != *key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: i64) -> Key {
        Key::from_encoded(&value.to_be_bytes())
    }

    /// Who gets which record, where `found` says which keys' values found it.
    fn assigned(found: &[(i64, &str)]) -> Vec<(i64, Option<String>)> {
        let to_find: Vec<ToFind> =
            found.iter().map(|(own, _)| ToFind { key: key(*own), sealed: Vec::new(), unproven_id: None }).collect();
        let asked: Vec<Asked<'_>> = to_find.iter().map(|find| Asked { find, value: String::new() }).collect();
        let mut resolved: Resolved = to_find.iter().map(|find| (find.key.clone(), Finding::Nothing)).collect();
        let found_ids = asked.iter().zip(found).map(|(asked, (_, id))| (asked, Box::from(*id))).collect();
        assign(&mut resolved, found_ids, |_, _| None);
        let mut owners: Vec<i64> = found.iter().map(|(own, _)| *own).collect();
        owners.dedup();
        owners.into_iter().map(|own| (own, resolved[&key(own)].record_id().map(str::to_owned))).collect()
    }

    #[test]
    fn a_record_goes_to_the_key_that_has_no_other() {
        let own = |own: i64, id: &str| (own, Some(id.to_owned()));
        // The first has sent to the second's address later, and to its own before.
        assert_eq!(assigned(&[(1, "b"), (1, "a"), (2, "b")]), [own(1, "a"), own(2, "b")]);
        // Named twice is still one way.
        assert_eq!(assigned(&[(1, "a"), (1, "b"), (2, "a"), (2, "a")]), [own(1, "b"), own(2, "a")]);
        // In a ring the newest value wins.
        assert_eq!(assigned(&[(1, "a"), (1, "b"), (2, "b"), (2, "a")]), [own(1, "a"), own(2, "b")]);
        assert_eq!(assigned(&[(1, "a"), (2, "a")]), [own(1, "a"), (2, None)]);
    }
}
