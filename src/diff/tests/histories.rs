//! Random histories of one key against a destination that loses answers, applies late, refuses and crashes: when the
//! faults stop, one run past the late window must leave the destination as the model is (promises P1, P2, P5).

use proptest::prelude::*;

use super::*;
use crate::diff::{Decision, Planned, decide};

/// What happens to the operation of a run.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Delivered,
    CrashBeforeSend,
    AppliedUnanswered,
    Lost,
    /// Applied this many seconds after the attempt, less than the late window.
    AppliedLate(i64),
    Rejected,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    model: Option<u8>,
    wait: i64,
    fate: Fate,
}

struct World {
    now: i64,
    on_removed: OnRemoved,
    held: Held,
    record: Option<u8>,
    late: Vec<(i64, Option<u8>)>,
    batches: i64,
}

impl World {
    fn advance(&mut self, seconds: i64) {
        self.now += seconds;
        self.late.sort_unstable();
        while self.late.first().is_some_and(|(due, _)| *due <= self.now) {
            self.record = self.late.remove(0).1;
        }
    }

    fn run(&mut self, model: Option<u8>, fate: Fate) {
        let row = model.map(row);
        match decide(row.as_ref(), Some(&self.held), &context(self.on_removed, self.now)) {
            Decision::Upsert(planned) => self.send(model, &planned, fate),
            Decision::Removal(planned) if planned.operation.is_some() => self.send(None, &planned, fate),
            Decision::Removal(planned) => self.settle(None, &planned),
            Decision::Forget { .. } => (self.held.dirty, self.held.rejected) = (Vec::new(), None),
            Decision::Unchanged | Decision::Rewrite => assert!(self.held.dirty.is_empty()),
            Decision::Stands { .. } => unreachable!("only of modes that create once"),
            Decision::Waiting(_) | Decision::WaitingRemoval(_) | Decision::Nothing => {}
        }
    }

    fn send(&mut self, value: Option<u8>, planned: &Planned, fate: Fate) {
        self.batches += 1;
        let operation = planned.operation.unwrap();
        let sent = mark(self.batches, operation, value, Some(self.now));
        match fate {
            Fate::Delivered => {
                self.record = value;
                self.settle(value, planned);
                return;
            }
            Fate::AppliedUnanswered => self.record = value,
            Fate::AppliedLate(delay) => self.late.push((self.now + delay, value)),
            Fate::CrashBeforeSend | Fate::Lost => {}
            Fate::Rejected => {
                self.held.dirty.push(DirtyMark { ambiguous_at: None, ..sent });
                self.held.rejected = Some(reject(operation, value, "X", Some(self.now + 100)));
                return;
            }
        }
        self.held.dirty.push(sent);
    }

    /// Clears the loaded marks; unexpired ambiguous ones leave a quiet time.
    fn settle(&mut self, value: Option<u8>, planned: &Planned) {
        let (gone, left): (Vec<_>, Vec<_>) =
            self.held.dirty.drain(..).partition(|mark| planned.loaded.contains(&mark.intent));
        assert!(left.is_empty());
        let quiet = gone.iter().filter_map(|mark| mark.ambiguous_at).map(|t| t + LATE).max();
        self.held.quiet_until = self.held.quiet_until.max(quiet);
        self.held.rejected = None;
        self.held.entry = value.map(|value| entry(value, None));
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        2 => Just(Fate::Delivered),
        1 => Just(Fate::CrashBeforeSend),
        1 => Just(Fate::AppliedUnanswered),
        1 => Just(Fate::Lost),
        3 => (1_i64..60).prop_map(Fate::AppliedLate),
        1 => Just(Fate::Rejected),
    ];
    let model = prop_oneof![Just(None), Just(Some(1_u8)), Just(Some(2))];
    // Mostly quick, so that several runs fall into one late window.
    let wait = prop_oneof![4 => 0_i64..10, 1 => 0_i64..90];
    let step = (model, wait, fate).prop_map(|(model, wait, fate)| Step { model, wait, fate });
    proptest::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn one_run_past_the_late_window_converges(
        history in steps(),
        keep in any::<bool>(),
        // Mostly the model stands still at the end.
        flip in proptest::option::weighted(0.2, proptest::option::of(1_u8..3)),
    ) {
        let last = flip.unwrap_or_else(|| history.last().and_then(|step| step.model));
        let on_removed = if keep { OnRemoved::Keep } else { OnRemoved::Delete };
        let mut world = World { now: 0, on_removed, held: nothing_held(), record: None, late: Vec::new(), batches: 0 };
        for step in history {
            world.advance(step.wait);
            world.run(step.model, step.fate);
        }
        world.advance(200);
        world.run(last, Fate::Delivered);
        if last.is_some() || !keep {
            prop_assert_eq!(world.record, last);
        }
        prop_assert!(world.held.dirty.is_empty());
        world.run(last, Fate::Delivered);
        prop_assert_eq!(world.held.entry.map(|entry| entry.fingerprint), last.map(print));
    }
}
