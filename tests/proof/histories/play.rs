//! Plays a history, step by step, and looks after each run whether every promise holds.

use std::{future::Future, pin::pin, task::Poll};

use syncline::{
    model::RunId,
    run::{Resync, RunReport, Trigger},
    state::RunStatus,
};

use super::{
    bench::Bench,
    checks,
    op::{Again, Hang, History, Op, Stale, Step},
    world::{Row, Watch},
};

/// A history under way.
pub(super) struct Play<'a> {
    pub(super) bench: &'a mut Bench,
    history: &'a History,
    tag: u8,
    /// The last run that the guard held something of, and the keys that were absent then.
    guarded: Option<(RunId, Vec<i64>)>,
    /// Keys whose removal is approved.
    pub(super) approved: Vec<i64>,
    pub(super) runs: u64,
    pub(super) quiet_points: u64,
}

/// How a history ended.
pub(super) struct Played {
    pub(super) broken: Vec<String>,
    pub(super) trace: Vec<String>,
    pub(super) runs: u64,
    pub(super) quiet_points: u64,
}

/// Plays a history to its end, or to the first broken promise.
pub(super) async fn play(bench: &mut Bench, history: &History, traced: bool) -> Played {
    bench.begin(&history.shape, traced).await;
    let mut play = Play { bench, history, tag: 0, guarded: None, approved: Vec::new(), runs: 0, quiet_points: 0 };
    let last = [Op::Quiesce { late: true }];
    for (at, op) in history.ops.iter().chain(&last).enumerate() {
        play.bench.world.lock().note(|| format!("{at}: {}", serde_json::to_string(op).unwrap_or_default()));
        play.step(op).await;
        if !play.bench.world.lock().broken.is_empty() {
            break;
        }
    }
    let (runs, quiet_points) = (play.runs, play.quiet_points);
    let mut world = play.bench.world.lock();
    let trace = world.trace.take().unwrap_or_default();
    Played { broken: std::mem::take(&mut world.broken), trace, runs, quiet_points }
}

impl Play<'_> {
    async fn step(&mut self, op: &Op) {
        match op {
            Op::Set { .. }
            | Op::Remove { .. }
            | Op::Duplicate { .. }
            | Op::Swap { .. }
            | Op::Rekey { .. }
            | Op::Empty
            | Op::Refill
            | Op::NullKey { .. } => self.mutate(op),
            Op::Run { steps } => {
                self.run(steps).await;
            }
            Op::PartialRun { rows } => {
                self.bench.world.lock().fail_after = Some(usize::from(*rows));
                self.run(&[]).await;
                self.bench.world.lock().fail_after = None;
            }
            Op::Crash { steps, hang, reopen } => self.crash(steps, *hang, *reopen).await,
            Op::CrashAnywhere { polls } => self.crash_anywhere(*polls).await,
            Op::Late { pick } => {
                self.bench.world.lock().apply_late(*pick);
            }
            Op::Refuse { name } => {
                self.bench.world.lock().refused.insert(name.to_string());
            }
            Op::Accept => self.bench.world.lock().refused.clear(),
            Op::Approve => self.approve().await,
            Op::Resync(again) => self.resync(*again).await,
            Op::Advance { seconds } => self.bench.advance(u64::from(*seconds)).await,
            Op::SetBack { seconds } => self.bench.set_back(*seconds),
            Op::Remap { tag } => {
                self.tag = *tag;
                self.bench.configure(&self.history.shape, self.tag);
            }
            Op::Second(stale) => self.second(*stale).await,
            Op::Vandal { pick } => self.bench.world.lock().vandalise(*pick),
            Op::Alien { email } => self.bench.world.lock().make_alien(*email),
            Op::Quiesce { late } => checks::quiesce(self, *late).await,
        }
        self.bench.world.lock().forget_old();
    }

    fn mutate(&self, op: &Op) {
        let mut world = self.bench.world.lock();
        let world = &mut *world;
        let id = |key: u8| Some(i64::from(key));
        match *op {
            Op::Set { key, email, name } => {
                world.model.retain(|row| row.id != id(key));
                world.model.push(Row { id: id(key), email, name });
            }
            Op::Remove { key } => world.model.retain(|row| row.id != id(key)),
            Op::Duplicate { key, name } => {
                let twin = world.model.iter().find(|row| row.id == id(key)).copied();
                world.model.extend(twin.map(|row| Row { name, ..row }));
            }
            Op::Swap { a, b } => {
                let email = |key| world.model.iter().find(|row| row.id == id(key)).map(|row| row.email);
                if let (Some(of_a), Some(of_b)) = (email(a), email(b)) {
                    for row in &mut world.model {
                        row.email = if row.id == id(a) {
                            of_b
                        } else if row.id == id(b) {
                            of_a
                        } else {
                            row.email
                        };
                    }
                }
            }
            Op::Rekey { from, to } if !world.model.iter().any(|row| row.id == id(to)) => {
                let moved = world.model.iter_mut().filter(|row| row.id == id(from));
                moved.for_each(|row| row.id = id(to));
            }
            Op::Empty if !world.model.is_empty() => world.kept = std::mem::take(&mut world.model),
            Op::Refill if world.model.is_empty() => world.model = std::mem::take(&mut world.kept),
            Op::NullKey { there } => world.null_key = there,
            _ => {}
        }
    }

    fn prepare(&self, steps: &[Step], hang: Option<Hang>) {
        let mut world = self.bench.world.lock();
        world.script = steps.iter().copied().collect();
        world.hang = hang;
        world.in_flight.clear();
        world.watch = Watch { began: Some(world.clock.now()), ..Watch::default() };
    }

    /// A run that comes to its end, and is looked at.
    pub(super) async fn run(&mut self, steps: &[Step]) -> RunReport {
        self.prepare(steps, None);
        let before = self.entries().await;
        let name = self.bench.sync_name();
        let report = self.bench.engine.run_sync(&name, Trigger::Command).await;
        self.ended(&report, before).await;
        report
    }

    async fn ended(&mut self, report: &RunReport, before: u64) {
        self.runs += 1;
        self.after_run().await;
        let counts = serde_json::to_string(&report.counts).unwrap_or_default().replace('"', "");
        let short: Vec<_> = counts.trim_matches(['{', '}']).split(',').filter(|term| !term.ends_with(":0")).collect();
        self.bench.world.lock().note(|| {
            format!("    run: {:?} {} {}", report.status, short.join(" "), report.reason.clone().unwrap_or_default())
        });
        if report.status == RunStatus::Guarded
            && let Some(run) = report.run
        {
            let present = self.bench.world.lock().watch.present.clone();
            let absent = (1..=i64::from(self.history.shape.keys)).filter(|key| !present.contains(key)).collect();
            self.guarded = Some((run, absent));
        }
        checks::report(self, report, before);
        checks::truth(self).await;
    }

    /// What another instance confessed during the run counts from now on.
    async fn after_run(&self) {
        {
            let mut world = self.bench.world.lock();
            let later = std::mem::take(&mut world.watch.later);
            world.doubts.extend(later);
            world.script.clear();
            world.hang = None;
        }
        let name = self.bench.sync_name();
        let state = self.bench.engine.state().clone();
        let record = state.sync(&name).await.expect("the state can be read");
        *self.bench.vendor.instance.lock().expect("no panic") = record.map(|record| (state, record));
    }

    /// Entries of the snapshot, where the guard's oracle needs them.
    async fn entries(&self) -> u64 {
        if !self.history.shape.guard {
            return 0;
        }
        let instance = self.bench.vendor.instance.lock().expect("no panic").clone();
        let Some((state, record)) = instance else { return 0 };
        state.standing(record.id).await.expect("the state can be read").entries
    }

    async fn crash(&mut self, steps: &[Step], hang: Hang, reopen: bool) {
        self.prepare(steps, Some(hang));
        let before = self.entries().await;
        let (engine, vendor, name) = (self.bench.engine.clone(), self.bench.vendor.clone(), self.bench.sync_name());
        let ended = tokio::select! {
            report = engine.run_sync(&name, Trigger::Command) => Some(report),
            () = vendor.hanging.notified() => None,
        };
        drop(engine);
        match ended {
            Some(report) => self.ended(&report, before).await,
            None => self.died(reopen).await,
        }
    }

    async fn crash_anywhere(&mut self, polls: u16) {
        self.prepare(&[], None);
        let before = self.entries().await;
        let (engine, name) = (self.bench.engine.clone(), self.bench.sync_name());
        let ended = {
            let mut run = pin!(engine.run_sync(&name, Trigger::Command));
            let mut left = polls;
            std::future::poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                run.as_mut().poll(context).map(Some)
            })
            .await
        };
        drop(engine);
        match ended {
            Some(report) => self.ended(&report, before).await,
            None => self.died(true).await,
        }
    }

    /// The process has ended in the middle of a run.
    async fn died(&mut self, reopen: bool) {
        {
            let mut world = self.bench.world.lock();
            world.note(|| "    the process ends".to_owned());
            let left = std::mem::take(&mut world.in_flight);
            for (began, aim) in left {
                world.doubts_since(began, vec![aim], None);
            }
        }
        if reopen {
            self.bench.reopen().await;
        }
        self.after_run().await;
    }

    async fn second(&self, stale: Stale) {
        let vendor = self.bench.vendor.clone();
        vendor.second(stale, false).await;
    }

    pub(super) async fn approve(&mut self) {
        let Some((run, keys)) = self.guarded.take() else { return };
        // A later run may have replaced the set.
        if self.bench.engine.approve(run).await.is_ok() {
            self.approved = keys;
        }
    }

    pub(super) async fn resync(&mut self, again: Again) {
        let what = match again {
            Again::Whole => Resync::Whole,
            Again::Key(key) => Resync::Keys(vec![key.to_string()]),
            Again::Target => Resync::Target,
            Again::Trust => Resync::Trust,
        };
        let name = self.bench.sync_name();
        // Refused before the first run, and for keys that were never sent.
        let done = self.bench.engine.resync(&name, &what).await;
        self.bench.world.lock().note(|| format!("    resync: {done:?}"));
    }

    /// The mapping's constant.
    pub(super) const fn tag(&self) -> u8 {
        self.tag
    }

    pub(super) const fn is_guarded(&self) -> bool {
        self.history.shape.guard
    }

    pub(super) const fn emails(&self) -> u8 {
        self.history.shape.emails
    }
}
