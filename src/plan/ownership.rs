//! Drives [`crate::diff::judge_group`] over external sorts, in constant memory.
//!
//! Pass 1 merges the claims (by hash, key) with the owner index (by hash, key) into groups. A group whose owner is not among
//! its claimants becomes a question, sorted by the owner's key; pass 2 merges the questions with the standings of the diff
//! pass, which are in key order. The annotations are sorted by key, to be merged with the plan.

use std::path::{Path, PathBuf};

use super::{Annotations, annotations::merge_found, codec};
use crate::{
    diff::{Annotation, Claim, Group, MAX_OTHERS, Owner, Standing, Was, judge_group},
    model::Key,
    spool::{SortedReader, Sorter, Spool, SpoolError, SpoolReader, SpoolWriter},
};

/// Memory of each sorter, in bytes.
const BUDGET: usize = 4 << 20;

/// Collects standings and claims during the diff pass.
#[derive(Debug)]
pub struct OwnershipBuilder {
    dir: PathBuf,
    claims: Sorter,
    standings: SpoolWriter,
    buffer: Vec<u8>,
}

impl OwnershipBuilder {
    /// A builder whose files are made in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            claims: Sorter::new(dir, BUDGET),
            standings: SpoolWriter::new(dir),
            buffer: Vec::new(),
        }
    }

    /// Notes where a key stands. To be called in key order, once for every key of the result or the state that is not
    /// unchanged (a rewritten one is unchanged; what is forgotten is absent).
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written.
    pub fn note(&mut self, key: &Key, standing: &Standing) -> Result<(), SpoolError> {
        self.buffer.clear();
        codec::put_standing(key, standing, &mut self.buffer);
        self.standings.push(&self.buffer)?;
        match standing {
            Standing::Planned { kind, claims, has_record } => self.claim(key, Was::Planned(*kind), claims, *has_record),
            Standing::Waiting { claims, has_record, .. } => self.claim(key, Was::Waiting, claims, *has_record),
            Standing::Invalid | Standing::Removal { .. } | Standing::WaitingRemoval | Standing::Absent { .. } => Ok(()),
        }
    }

    /// Ends the diff pass.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written or read.
    pub fn finish(self) -> Result<OwnershipResolver, SpoolError> {
        Ok(OwnershipResolver {
            has_claims: !self.claims.is_empty(),
            claims: self.claims.finish()?,
            ahead: None,
            standings: self.standings.finish()?,
            owned: (0, Vec::new()),
            questions: Sorter::new(&self.dir, BUDGET),
            found: Found { sorter: Sorter::new(&self.dir, BUDGET), buffer: Vec::new() },
            dir: self.dir,
            buffer: Vec::new(),
        })
    }

    fn claim(&mut self, key: &Key, was: Was, hashes: &[u64], has_record: bool) -> Result<(), SpoolError> {
        let claim = Claim { key: key.clone(), was, has_record };
        for &hash in hashes {
            self.buffer.clear();
            codec::put_claim(hash, &claim, &mut self.buffer);
            self.claims.push(&self.buffer)?;
        }
        Ok(())
    }
}

/// Takes the owner index and finds the annotations.
#[derive(Debug)]
pub struct OwnershipResolver {
    dir: PathBuf,
    has_claims: bool,
    claims: SortedReader,
    ahead: Option<(u64, Claim)>,
    standings: Spool,
    /// The owners of the hash that came last.
    owned: (u64, Vec<Key>),
    questions: Sorter,
    found: Found,
    buffer: Vec<u8>,
}

impl OwnershipResolver {
    /// False when nothing is claimed: the owner index need not be read.
    pub const fn wants_owners(&self) -> bool {
        self.has_claims
    }

    /// Takes one entry of the owner index. Entries must come by hash, then by key.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written or read.
    pub fn owner(&mut self, hash: u64, key: &Key) -> Result<(), SpoolError> {
        if self.owned.0 != hash {
            self.close_owned()?;
            self.close_below(hash)?;
            self.owned.0 = hash;
        }
        if self.peek()?.is_some_and(|claimed| claimed == hash) {
            self.owned.1.push(key.clone());
        }
        Ok(())
    }

    /// Ends the owner index and finds the annotations.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written or read.
    pub fn finish(mut self) -> Result<Annotations, SpoolError> {
        self.close_owned()?;
        while let Some(hash) = self.peek()? {
            self.close_group(hash, &[])?;
        }
        answer(self.questions.finish()?, self.standings.reader(), &mut self.found)?;
        merge_found(self.found.sorter.finish()?, &self.dir)
    }

    /// The hash of the next claim.
    fn peek(&mut self) -> Result<Option<u64>, SpoolError> {
        if self.ahead.is_none() && self.claims.next(&mut self.buffer)? {
            self.ahead = Some(codec::take_claim(&self.buffer).ok_or(SpoolError::Undecodable)?);
        }
        Ok(self.ahead.as_ref().map(|(hash, _)| *hash))
    }

    fn close_owned(&mut self) -> Result<(), SpoolError> {
        let (hash, owners) = std::mem::take(&mut self.owned);
        if owners.is_empty() { Ok(()) } else { self.close_group(hash, &owners) }
    }

    fn close_below(&mut self, hash: u64) -> Result<(), SpoolError> {
        while let Some(claimed) = self.peek()?.filter(|claimed| *claimed < hash) {
            self.close_group(claimed, &[])?;
        }
        Ok(())
    }

    /// Takes all claims of a hash. The first of them are judged as a group; those of a large group that are not named
    /// collide whatever the owner's standing is.
    fn close_group(&mut self, hash: u64, owners: &[Key]) -> Result<(), SpoolError> {
        let mut group = Group { hash, claims: Vec::new(), owner: None };
        let mut strangers: Vec<&Key> = owners.iter().collect();
        while self.peek()? == Some(hash) {
            let Some((_, claim)) = self.ahead.take() else { break };
            strangers.retain(|owner| **owner != claim.key);
            if group.claims.len() <= MAX_OTHERS {
                group.claims.push(claim);
            } else {
                let others = group.claims.iter().take(MAX_OTHERS).map(|claim| claim.key.clone()).collect();
                self.found.push(&claim.key, &Annotation::Invalid { was: claim.was, others })?;
            }
        }
        for owner in &strangers {
            self.buffer.clear();
            codec::put_question(owner, &group, &mut self.buffer);
            self.questions.push(&self.buffer)?;
        }
        if strangers.is_empty() { self.found.push_all(judge_group(&group)) } else { Ok(()) }
    }
}

/// Annotations as they are found, sorted by key.
#[derive(Debug)]
struct Found {
    sorter: Sorter,
    buffer: Vec<u8>,
}

impl Found {
    fn push(&mut self, key: &Key, annotation: &Annotation) -> Result<(), SpoolError> {
        self.buffer.clear();
        codec::put_annotation(key, annotation, &mut self.buffer);
        self.sorter.push(&self.buffer)
    }

    fn push_all(&mut self, found: Vec<(Key, Annotation)>) -> Result<(), SpoolError> {
        found.iter().try_for_each(|(key, annotation)| self.push(key, annotation))
    }
}

/// Pass 2: gives each group the standing of its owner and judges it.
fn answer(mut questions: SortedReader, standings: SpoolReader, found: &mut Found) -> Result<(), SpoolError> {
    let mut standings = Standings { reader: standings, buffer: Vec::new(), last: None };
    let mut bytes = Vec::new();
    let mut taken: Option<(Key, Key)> = None;
    while questions.next(&mut bytes)? {
        let (owner, mut group) = codec::take_question(&bytes).ok_or(SpoolError::Undecodable)?;
        let standing = standings.of(&owner)?;
        group.owner = Some(Owner { key: owner.clone(), standing });
        for (key, annotation) in judge_group(&group) {
            let by = match &annotation {
                Annotation::TakesOver { .. } => &key,
                Annotation::TakenOver { by } => by,
                Annotation::Invalid { .. } | Annotation::Waits { .. } | Annotation::After { .. } => {
                    found.push(&key, &annotation)?;
                    continue;
                }
            };
            // An owner of several hashes loses its record to one claimant only; the others wait.
            let winner = match &taken {
                Some((from, winner)) if *from == owner => winner.clone(),
                Some(_) | None => by.clone(),
            };
            taken = Some((owner.clone(), winner.clone()));
            if *by == winner {
                found.push(&key, &annotation)?;
            } else if key != owner {
                found.push(&key, &Annotation::Waits { other: winner })?;
            }
        }
    }
    Ok(())
}

/// Looks standings up for keys that come in order.
struct Standings {
    reader: SpoolReader,
    buffer: Vec<u8>,
    last: Option<(Key, Standing)>,
}

impl Standings {
    fn of(&mut self, key: &Key) -> Result<Option<Standing>, SpoolError> {
        while self.last.as_ref().is_none_or(|(last, _)| last < key) {
            if !self.reader.next(&mut self.buffer)? {
                return Ok(None);
            }
            self.last = Some(codec::take_standing(&self.buffer).ok_or(SpoolError::Undecodable)?);
        }
        Ok(self.last.as_ref().filter(|(last, _)| last == key).map(|(_, standing)| standing.clone()))
    }
}
