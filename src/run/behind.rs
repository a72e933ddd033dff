//! Upserts that wait for what becomes of another key in the same run.

use std::collections::HashSet;

use crate::{
    delivery::{self, Item},
    diff::Annotation,
    model::Key,
    plan::PlanItem,
    state::OwnerSpace,
};

use super::{RunError, deliver::Outgoing, resolve::Finding};

/// Whether an upsert may be sent.
enum Turn {
    /// To its own record, if it has one.
    Go(Option<Box<str>>),
    Wait,
}

impl Outgoing<'_> {
    /// Whether an upsert waits for another key's. It is found by a match value which that key is to give up, or it has lost
    /// a record that may become that key's.
    pub(super) fn waits(&self, item: &PlanItem) -> bool {
        self.is_strict(item) || matches!(self.resolved.get(&item.row.key), Some(Finding::Wanted { .. }))
    }

    /// Whether the other key's change is to be delivered first. A record that was found is addressed by its id, and is tried
    /// once more if it clashes.
    fn is_strict(&self, item: &PlanItem) -> bool {
        let found = matches!(self.resolved.get(&item.row.key), Some(Finding::Own(_)));
        matches!(item.annotation, Some(Annotation::After { strict: true, .. })) && !found
    }

    /// Delivers what waited, in as many rounds as one waits for another. Gives back what waits still.
    ///
    /// # Errors
    /// When the plan or the state fails.
    pub(super) async fn deliver_behind(
        &self,
        mut behind: Vec<PlanItem>,
        clashed: &mut Vec<Item>,
    ) -> Result<Vec<PlanItem>, RunError> {
        while !behind.is_empty() {
            let keys: HashSet<Key> = behind.iter().map(|item| item.row.key.clone()).collect();
            let (mut free, mut rest) = (Vec::new(), Vec::new());
            for item in behind {
                match self.turn(&item, &keys).await? {
                    Turn::Go(known) => free.push(self.upsert(item, known)),
                    Turn::Wait => rest.push(item),
                }
            }
            if free.is_empty() {
                // Lost records whose keys want each other's addresses: each finds the other's.
                let (ring, stuck) = rest.into_iter().partition(|item| self.is_ring(item, &keys));
                free = Vec::<PlanItem>::into_iter(ring).map(|item| self.upsert(item, None)).collect();
                rest = stuck;
            }
            if free.is_empty() {
                return Ok(rest);
            }
            let mut free = free.into_iter();
            clashed.extend(delivery::deliver(self.context, || Ok(free.next())).await?);
            behind = rest;
        }
        Ok(behind)
    }

    async fn turn(&self, item: &PlanItem, behind: &HashSet<Key>) -> Result<Turn, RunError> {
        let key = &item.row.key;
        if self.is_strict(item) && self.has_owner(OwnerSpace::Match, item.row.claims.first().copied(), key).await? {
            return Ok(Turn::Wait);
        }
        let Some(Finding::Wanted { record_id, by }) = self.resolved.get(key) else {
            return Ok(Turn::Go(self.address(&item.row)));
        };
        if behind.contains(by) {
            return Ok(Turn::Wait);
        }
        if self
            .has_owner(OwnerSpace::RecordId, Some(self.context.owner_hasher.short(record_id.as_bytes())), key)
            .await?
        {
            return Ok(Turn::Go(None));
        }
        let is_open = delivery::is_in_doubt(self.context, by).await?;
        Ok(if is_open { Turn::Wait } else { Turn::Go(Some(record_id.clone())) })
    }

    async fn has_owner(&self, space: OwnerSpace, hash: Option<u64>, but: &Key) -> Result<bool, RunError> {
        let hashes: Vec<u64> = hash.into_iter().collect();
        let owners = self.context.state.owners_of(self.context.sync, space, &hashes).await?;
        Ok(owners.into_iter().flatten().any(|owner| owner != *but))
    }

    fn is_ring(&self, item: &PlanItem, behind: &HashSet<Key>) -> bool {
        matches!(self.resolved.get(&item.row.key), Some(Finding::Wanted { by, .. }) if behind.contains(by))
            && !self.is_strict(item)
    }

    /// Whether the lost record of a removed key may yet become another's.
    pub(super) async fn is_wanted_still(&self, key: &Key) -> Result<bool, RunError> {
        match self.resolved.get(key) {
            Some(Finding::Wanted { by, .. }) => Ok(delivery::is_in_doubt(self.context, by).await?),
            Some(Finding::Own(_) | Finding::Nothing) | None => Ok(false),
        }
    }

    /// Leaves over at a run's end what still waits, but refuses what waits for an address of a row that is held back: nobody
    /// would see why else.
    ///
    /// # Errors
    /// When the plan or the state fails.
    pub(super) async fn leave(&self, stuck: Vec<PlanItem>) -> Result<(), RunError> {
        let mut refused = Vec::new();
        for item in stuck {
            let owner = match &item.annotation {
                Some(Annotation::After { owner, strict: true }) => Some(owner.clone()),
                Some(_) | None => None,
            };
            let known = self.address(&item.row);
            let item = self.upsert(item, known);
            match owner {
                Some(owner) if self.is_held_back(&owner, &item).await? => {
                    refused.push(delivery::refuse_without_request(self.context, &item)?);
                }
                Some(_) | None => self.context.tally.add(|tally| tally.leave(&item)),
            }
        }
        if !refused.is_empty() {
            let context = self.context;
            context.state.writer().settle_local(context.sync, context.epoch, refused).wait().await?;
        }
        Ok(())
    }

    /// Whether the owner has kept the row's address, though this run was to change it and nothing is under way.
    async fn is_held_back(&self, owner: &Key, item: &Item) -> Result<bool, RunError> {
        let in_doubt = delivery::is_in_doubt(self.context, owner).await?;
        Ok(!self.context.stop.requested()
            && !in_doubt
            && !self.is_guarded(owner)?
            && self.has_owner(OwnerSpace::Match, item.match_hash, &item.key).await?)
    }

    fn is_guarded(&self, key: &Key) -> Result<bool, RunError> {
        let mut upserts = self.plan.upserts();
        while let Some(item) = upserts.next()? {
            if item.row.key >= *key {
                return Ok(item.row.key == *key && item.is_planned() && !self.goes(&item));
            }
        }
        Ok(false)
    }
}
