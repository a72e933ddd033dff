//! One record, one owner: who may have a match value (design section 4). Pure; `plan` drives it over external sorts.

use crate::model::{ChangeKind, Key};

/// Most other keys that an invalid row names.
pub const MAX_OTHERS: usize = 5;

/// Where a key stands in this run, as far as ownership is concerned. A key without a standing is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A planned upsert.
    Planned {
        /// Its kind.
        kind: ChangeKind,
        /// The keyed hashes of what it claims.
        claims: Vec<u64>,
        /// Its entry has a record id: it has a record of its own. An id that only a dirty mark names does not count, for
        /// it may be that of the record which is to be taken over.
        has_record: bool,
    },
    /// A row that waits; it claims too.
    Waiting {
        /// The keyed hashes of what it claims.
        claims: Vec<u64>,
        /// Its entry has a record id.
        has_record: bool,
        /// It was answered with the record of another key: it stands refused until something changes, and gives up nothing
        /// meanwhile.
        refused: bool,
    },
    /// An invalid row. Its key is present and keeps what it owns.
    Invalid,
    /// A planned removal.
    Removal {
        /// The vendor's record id, where it is known.
        record_id: Option<Box<str>>,
    },
    /// A removal that waits.
    WaitingRemoval,
    /// Absent and kept at the destination, or with no effect there.
    Absent {
        /// The vendor's record id, where it is known.
        record_id: Option<Box<str>>,
    },
}

/// As what a key was counted before it turned out to be part of a colliding group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Was {
    /// Unchanged.
    Unchanged,
    /// Waiting.
    Waiting,
    /// A planned upsert of this kind.
    Planned(ChangeKind),
}

/// What ownership says about a key, beside the plan. At most one for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Annotation {
    /// One of a colliding group: not sent, counted as invalid instead of as `was`.
    Invalid {
        /// How it was counted.
        was: Was,
        /// The other keys, at most [`MAX_OTHERS`].
        others: Vec<Key>,
    },
    /// A planned change that waits, for its record is bound up with that of a key that waits or collides: counted as
    /// waiting (a removal: waiting removal) instead of as planned.
    Waits {
        /// The other key.
        other: Key,
    },
    /// A planned upsert takes over the record of a key that left the model.
    TakesOver {
        /// That key. Its state is settled with the upsert's.
        from: Key,
        /// The record's id, then the upsert's address; `None`: found by match.
        record_id: Option<Box<str>>,
    },
    /// A key that left the model loses its record to a planned upsert: nothing is sent for it. It may be a planned
    /// removal or a tombstone; it is settled when the upsert is delivered.
    TakenOver {
        /// The upsert's key.
        by: Key,
    },
    /// A planned upsert claims what a planned change of another key gives up.
    After {
        /// The other key.
        owner: Key,
        /// True: the upsert is found by match and would hit the other's record, so it is sent only once the other's
        /// change is delivered. False: it is addressed by id; a conflict is tried again at the run's end.
        strict: bool,
    },
}

/// A claim on a hash by a row that is planned or waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The claiming key.
    pub key: Key,
    /// How it is counted so far.
    pub was: Was,
    /// Its entry has a record id.
    pub has_record: bool,
}

/// The present owner of a hash, if it is not among the claimants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its key.
    pub key: Key,
    /// Its standing; `None`: unchanged.
    pub standing: Option<Standing>,
}

/// The claimants of one hash (of a large group, the first [`MAX_OTHERS`] + 1) and its present owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The hash.
    pub hash: u64,
    /// Claimants in key order; never empty.
    pub claims: Vec<Claim>,
    /// The owner in the index, unless it is one of the claimants.
    pub owner: Option<Owner>,
}

/// Judges one group: the annotations of its claimants and its owner, in no particular order.
pub fn judge_group(group: &Group) -> Vec<(Key, Annotation)> {
    let collides = group.claims.len() > 1;
    let Some(owner) = &group.owner else {
        return if collides { collision(group, None) } else { Vec::new() };
    };
    match &owner.standing {
        None => collision(group, Some((&owner.key, Some(Was::Unchanged)))),
        Some(Standing::Invalid) => collision(group, Some((&owner.key, None))),
        Some(Standing::Planned { .. }) if collides => collision(group, None),
        Some(Standing::Planned { .. }) => each(group, |claim| after(claim, &owner.key)),
        Some(Standing::Waiting { .. }) if collides => collision(group, None),
        Some(Standing::Waiting { refused: true, .. }) => each(group, |claim| beside(claim, &owner.key)),
        Some(Standing::Waiting { .. }) => each(group, |claim| behind(claim, &owner.key)),
        Some(Standing::WaitingRemoval) if collides => collision(group, None),
        Some(Standing::WaitingRemoval) => each(group, |claim| behind(claim, &owner.key)),
        Some(Standing::Removal { .. }) if collides => {
            let mut found = collision(group, None);
            let other = group.claims.first().map(|claim| claim.key.clone());
            found.extend(other.map(|other| (owner.key.clone(), Annotation::Waits { other })));
            found
        }
        Some(Standing::Absent { .. }) if collides => collision(group, None),
        Some(Standing::Removal { record_id } | Standing::Absent { record_id }) => {
            take_over(group, &owner.key, record_id)
        }
    }
}

fn each(group: &Group, annotate: impl Fn(&Claim) -> Option<Annotation>) -> Vec<(Key, Annotation)> {
    group.claims.iter().filter_map(|claim| Some((claim.key.clone(), annotate(claim)?))).collect()
}

/// All of the group are invalid and name each other; `owner` is part of it, with how it was counted if it is not
/// invalid already.
fn collision(group: &Group, owner: Option<(&Key, Option<Was>)>) -> Vec<(Key, Annotation)> {
    let members = || owner.iter().map(|(key, _)| *key).chain(group.claims.iter().map(|claim| &claim.key));
    let invalid = |key: &Key, was: Was| {
        let others = members().filter(|other| *other != key).take(MAX_OTHERS).cloned().collect();
        (key.clone(), Annotation::Invalid { was, others })
    };
    let owner_too = owner.and_then(|(key, was)| Some(invalid(key, was?)));
    group.claims.iter().map(|claim| invalid(&claim.key, claim.was)).chain(owner_too).collect()
}

fn after(claim: &Claim, owner: &Key) -> Option<Annotation> {
    matches!(claim.was, Was::Planned(_)).then(|| Annotation::After { owner: owner.clone(), strict: !claim.has_record })
}

/// Behind a key that waits: a claimant found by match would hit that key's record, one that is addressed by id would
/// clash with it, so both wait too.
fn behind(claim: &Claim, owner: &Key) -> Option<Annotation> {
    matches!(claim.was, Was::Planned(_)).then(|| Annotation::Waits { other: owner.clone() })
}

/// Beside a key that is refused until something changes: it may wait for this very claimant to move on. One that is addressed
/// by id hits nothing of that key's; a clash tells more than a wait without an end.
fn beside(claim: &Claim, owner: &Key) -> Option<Annotation> {
    if claim.has_record { after(claim, owner) } else { behind(claim, owner) }
}

/// The owner left the model. A planned claimant without a record of its own takes the owner's over; one that waits keeps
/// the owner's removal waiting, so that the record is still there for it.
fn take_over(group: &Group, owner: &Key, record_id: &Option<Box<str>>) -> Vec<(Key, Annotation)> {
    let removal =
        matches!(group.owner.as_ref().and_then(|owner| owner.standing.as_ref()), Some(Standing::Removal { .. }));
    let Some(claim) = group.claims.first() else { return Vec::new() };
    if claim.has_record {
        return each(group, |claim| after(claim, owner));
    }
    if !matches!(claim.was, Was::Planned(_)) {
        let waits = (owner.clone(), Annotation::Waits { other: claim.key.clone() });
        return if removal { vec![waits] } else { Vec::new() };
    }
    let takes = Annotation::TakesOver { from: owner.clone(), record_id: record_id.clone() };
    vec![(claim.key.clone(), takes), (owner.clone(), Annotation::TakenOver { by: claim.key.clone() })]
}
