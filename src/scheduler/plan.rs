//! What the scheduler knows of each sync.

use std::{collections::BTreeMap, time::Duration};

use super::{
    due::{Due, Now},
    overdue::Alarm,
};
use crate::model::{
    Timestamp,
    spec::{Schedule, SyncSpec},
};

/// What the scheduler knows of one sync.
pub(super) struct SyncPlan {
    model: String,
    schedule: Schedule,
    pub(super) max_age: Option<Duration>,
    pub(super) alarm: Alarm,
    pub(super) due: Due,
    /// When its last run began, as far as this process and the state tell.
    pub(super) last_start: Option<Timestamp>,
    pub(super) running: bool,
    /// It waits for its turn.
    pub(super) asked: bool,
    /// An operator paused it: no schedule starts it.
    pub(super) paused: bool,
    /// The configuration has it no more; its run under way ends as it began.
    pub(super) gone: bool,
    /// Requests that the next run, or the one under way, answers.
    pub(super) waiting: Vec<Waiting>,
}

/// A request for a run of a sync.
pub(super) struct Waiting {
    pub(super) request: i64,
    /// The run under way began before the request and does not answer it.
    pub(super) next_run: bool,
}

/// All syncs that the scheduler runs, by name.
pub(super) type Plans = BTreeMap<String, SyncPlan>;

/// Adds a sync. Syncs of one model with one interval share the times, so that they are due together.
pub(super) fn add(plans: &mut Plans, sync: &SyncSpec, now: Now, last_start: Option<Timestamp>) {
    let due = due(plans, sync, now, last_start);
    let plan = SyncPlan {
        model: sync.model.clone(),
        schedule: sync.schedule.clone(),
        max_age: sync.max_age,
        alarm: Alarm::new(now.wall),
        due,
        last_start,
        running: false,
        asked: false,
        paused: false,
        gone: false,
        waiting: Vec::new(),
    };
    plans.insert(sync.name.clone(), plan);
}

fn due(plans: &Plans, sync: &SyncSpec, now: Now, last_start: Option<Timestamp>) -> Due {
    let together = |plan: &&SyncPlan| {
        plan.model == sync.model && plan.schedule == sync.schedule && matches!(sync.schedule, Schedule::Every(_))
    };
    let shared = plans.values().filter(|plan| !plan.gone).find(together).map(|plan| plan.due.clone());
    shared.unwrap_or_else(|| Due::new(&sync.schedule, now, last_start, fastrand::f64()))
}

/// Takes a new configuration over: a changed schedule counts from now, an unchanged one goes on, and what is gone is not
/// started again. Returns the names that lost what they were waiting for.
pub(super) fn replace<'a>(plans: &mut Plans, syncs: impl Iterator<Item = &'a SyncSpec>, now: Now) -> Vec<String> {
    let mut unasked = Vec::new();
    plans.values_mut().for_each(|plan| plan.gone = true);
    for sync in syncs {
        let Some(plan) = plans.get(&sync.name) else {
            add(plans, sync, now, None);
            continue;
        };
        let changed = plan.schedule != sync.schedule || plan.model != sync.model;
        let due = changed.then(|| due(plans, sync, now, None));
        let Some(plan) = plans.get_mut(&sync.name) else { continue };
        plan.gone = false;
        plan.max_age = sync.max_age;
        if let Some(due) = due {
            (plan.due, plan.schedule, plan.model) = (due, sync.schedule.clone(), sync.model.clone());
            if plan.waiting.is_empty() {
                unasked.push(sync.name.clone());
            }
        }
    }
    for (name, plan) in plans.iter_mut().filter(|(_, plan)| plan.gone) {
        // A request that no run answers any more is found again and refused.
        plan.waiting.retain(|waiting| plan.running && !waiting.next_run);
        unasked.push(name.clone());
    }
    for name in &unasked {
        if let Some(plan) = plans.get_mut(name) {
            plan.asked = false;
        }
    }
    plans.retain(|_, plan| plan.running || !plan.gone);
    unasked
}

impl SyncPlan {
    /// The syncs that it runs after; none for another kind of schedule.
    pub(super) fn parents(&self) -> &[String] {
        match &self.schedule {
            Schedule::After(parents) => parents,
            Schedule::Manual | Schedule::Every(_) | Schedule::Cron(_) => &[],
        }
    }

    /// Whether anything but an operator starts it.
    pub(super) fn has_schedule(&self) -> bool {
        self.schedule != Schedule::Manual
    }

    /// Whether it may line up now: what is gone or waits already does not.
    pub(super) fn may_be_asked(&self) -> bool {
        !self.gone && !self.asked
    }
}
