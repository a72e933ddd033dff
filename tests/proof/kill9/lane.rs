//! One lane of the kill loop: a model of two-valued rows, a workspace, a simulator, and a seed.

use std::time::Duration;

use fastrand::Rng;

use super::figures::Figures;
use crate::{
    flips::{Flips, TABLE},
    support::pair::{Audit, Options, Pair, SYNC},
};

/// Without intents nothing has to wait for their end.
const BROKEN_PATIENCE: Duration = Duration::from_secs(30);

/// Executes statements on the lane's warehouse.
pub(super) type Execute = Box<dyn Fn(&str)>;

/// One lane of the loop.
pub(super) struct Lane {
    pair: Pair,
    execute: Option<Execute>,
    arguments: Vec<String>,
    rng: Rng,
    model: Flips,
    figures: Figures,
}

impl Lane {
    /// A lane with a model of so many rows that the vendor holds. `arguments` are those of every command.
    pub(super) fn new(
        options: &Options<'_>,
        execute: Option<Execute>,
        arguments: Vec<String>,
        rows: u32,
        seed: u64,
    ) -> Self {
        // Answers come late, so that a kill often hits between a write and its settle.
        let options = Options { simulator: &["--latency", "60ms"], ..*options };
        let (pair, mut rng) = (Pair::new(&options), Rng::with_seed(seed));
        let (model, first) = Flips::new(rows, &mut rng);
        let lane = Self { pair, execute, arguments, rng, model, figures: Figures::default() };
        lane.sql(TABLE);
        lane.sql(&first);
        lane.pair.sync(0);
        lane
    }

    /// Kills at least so many runs; compares at every quiet point.
    pub(super) fn run(mut self, kills: u64) -> Figures {
        while self.figures.kills < kills {
            for _ in 0..self.rng.u64(1..=2) {
                self.mutate();
                self.kill();
            }
            self.mutate();
            if !self.recover() {
                break;
            }
        }
        self.figures
    }

    fn mutate(&mut self) {
        let statements = self.model.mutate(&mut self.rng);
        self.sql(&statements);
    }

    fn sql(&self, sql: &str) {
        match &self.execute {
            Some(execute) => execute(sql),
            None => self.pair.sql(sql),
        }
    }

    /// Kills a run at a random moment: half of the time when a request has arrived, else after a time.
    fn kill(&mut self) {
        self.judge();
        let broken = self.arguments();
        let running = self.pair.workspace.start(&[broken.as_slice(), &["sync", SYNC]].concat());
        let under_way = if self.rng.bool() {
            // The first request asks whose the token is; then come two or three batches of updates, one of inserts.
            let requests = self.rng.u32(2..=5);
            self.pair.sim.get(&format!("wait?requests={requests}"));
            !running.ends_within(Duration::ZERO)
        } else {
            !running.ends_within(Duration::from_millis(self.rng.u64(20..600)))
        };
        self.figures.kills += u64::from(under_way);
        running.kill();
        // The state opens, and passes its integrity check.
        self.pair.standing("dirty");
    }

    /// Lets a daemon run until nothing waits, and compares. One with a broken rule may never get there: then false.
    fn recover(&mut self) -> bool {
        let broken = !self.arguments.is_empty();
        let quiet = if broken {
            self.pair.settle_within(BROKEN_PATIENCE, &self.arguments()).is_ok()
        } else {
            self.pair.settle();
            true
        };
        self.judge();
        let model = self.model.wanted();
        let found = self.pair.audit(&model);
        if found != Audit::default() && !broken {
            self.pair.explain(&model);
        }
        self.figures.check(found);
        quiet
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// Takes over the judge's counts and resets them.
    fn judge(&mut self) {
        let [identical, different] = ["/writes/identical", "/writes/different"].map(|name| self.pair.judged(name));
        self.figures.writes += identical + different;
        self.figures.identical += identical;
        self.figures.overlaps += self.pair.judged("/overlap/different");
        self.pair.sim.post("reset-requests", "");
    }
}
