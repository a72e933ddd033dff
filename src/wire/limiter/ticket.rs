//! The leave to send one request, and what becomes of it.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    proof::{Rule, is_broken},
    wire::hold::HoldReason,
};

use super::Limiter;

/// How long an outage's hold lasts before the next probe.
const PROBE_EVERY: Duration = Duration::from_secs(30);

/// Names a grant within the process; 0 is for requests of others.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The leave to send one request. While it lives, the request counts as under way.
pub(in crate::wire) struct Ticket {
    limiter: Arc<Limiter>,
    id: u64,
    weight: NonZeroU32,
    stage: Stage,
    probe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waiting, perhaps with the grants of its class.
    Waiting,
    /// Granted everything, not handed to the client.
    Granted,
    /// Handed to the client: it may leave at any moment.
    Handed,
    /// Certainly never left.
    Unsent,
}

/// What a request's end says about an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum OutageNews {
    /// It has begun, or goes on after a probe.
    Begun,
    /// It is over.
    Over,
}

/// The part of a ticket that the request's body carries, to tell when the first byte leaves.
pub(in crate::wire) struct Grant {
    limiter: Arc<Limiter>,
    id: u64,
}

impl Grant {
    /// The client begins to write the request.
    pub(in crate::wire) fn leaves(&self) {
        self.limiter.change(|state| {
            state.buckets.left(self.id);
            if let Some(pool) = &mut state.pool {
                pool.left(self.id);
            }
        });
    }
}

impl Ticket {
    pub(in crate::wire) fn new(limiter: Arc<Limiter>, weight: NonZeroU32) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { limiter, id, weight, stage: Stage::Waiting, probe: false }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn weight(&self) -> NonZeroU32 {
        self.weight
    }

    pub(super) fn granted(&mut self, probe: bool) {
        self.stage = Stage::Granted;
        self.probe = probe;
    }

    /// The request goes to the client now. Without a body nothing tells when it leaves, so it then counts as arriving when
    /// its answer is complete, which is later than it did and so never too early.
    pub(in crate::wire) fn handed(&mut self) -> Grant {
        self.stage = Stage::Handed;
        Grant { limiter: self.limiter.clone(), id: self.id }
    }

    /// The request certainly never left: it does not count.
    pub(in crate::wire) fn unsent(&mut self) {
        self.stage = Stage::Unsent;
    }

    /// How the vendor did: failures in a row begin an outage's hold, a success ends it.
    pub(in crate::wire) fn ended(&self, failed: bool) -> Option<OutageNews> {
        let outage = self.limiter.change(|state| state.outage.ended(failed && !is_broken(Rule::BoundedRetries)));
        let hold = &self.limiter.hold;
        let news = if outage {
            self.limiter.tell_hold(PROBE_EVERY, HoldReason::Outage);
            hold.hold_for(PROBE_EVERY, HoldReason::Outage).then_some(OutageNews::Begun)
        } else {
            hold.release_timed(HoldReason::Outage).then_some(OutageNews::Over)
        };
        if news == Some(OutageNews::Over) {
            self.limiter.tell_release(HoldReason::Outage);
        }
        self.limiter.wake();
        news
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (id, weight, stage, probe) = (self.id, self.weight, self.stage, self.probe);
        self.limiter.change(|state| {
            match stage {
                Stage::Waiting => state.buckets.take_back(id, weight, false),
                Stage::Granted | Stage::Unsent => state.buckets.take_back(id, weight, true),
                Stage::Handed => state.buckets.arrived(id),
            }
            if let Some(pool) = &mut state.pool {
                match stage {
                    Stage::Waiting | Stage::Granted | Stage::Unsent => pool.take_back(id),
                    Stage::Handed => pool.arrived(id),
                }
            }
            if stage != Stage::Waiting {
                state.buckets.under_way = state.buckets.under_way.saturating_sub(1);
            }
            if probe {
                state.outage.probe_over();
            }
        });
        self.limiter.flush_when_idle();
    }
}
