//! One lane of the kill loop: a model of two-valued rows, a workspace, a simulator, and a seed.

use std::time::Duration;

use fastrand::Rng;
use syncline::proof::Boundary;

use super::figures::Figures;
use crate::{
    rows::Rows,
    support::pair::{Audit, Options, Pair, SYNC},
};

/// Longest wait until nothing waits, for a program with a broken rule.
const BROKEN_PATIENCE: Duration = Duration::from_secs(30);
/// Boundaries that every run with changes reaches.
const BOUNDARIES: &[Boundary] = &[
    Boundary::PlanDone,
    Boundary::IntentBefore,
    Boundary::IntentAfter,
    Boundary::SendBefore,
    Boundary::SendAfter,
    Boundary::AnswerParsed,
    Boundary::SettleBefore,
    Boundary::SettleInside,
    Boundary::SettleAfter,
    Boundary::RunClose,
];

/// Executes statements on the lane's warehouse.
pub(super) type Execute = Box<dyn Fn(&str)>;

/// What the program under test can do.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Arguments of every command.
    pub(super) arguments: Vec<String>,
    /// It dies at boundaries when told to.
    pub(super) has_failpoints: bool,
    /// It breaks a rule on purpose.
    pub(super) is_broken: bool,
}

/// One lane of the loop.
pub(super) struct Lane {
    pair: Pair,
    execute: Option<Execute>,
    program: Program,
    rng: Rng,
    rows: Rows,
    figures: Figures,
}

impl Lane {
    /// A lane with a model of so many rows that the vendor holds.
    pub(super) fn new(options: &Options<'_>, execute: Option<Execute>, program: Program, rows: u32, seed: u64) -> Self {
        // Answers come late, so that a kill often hits between a write and its settle.
        let options = Options { simulator: &["--latency", "60ms"], ..*options };
        let (pair, rng) = (Pair::new(&options), Rng::with_seed(seed));
        let lane = Self { pair, execute, program, rng, rows: Rows::new(rows, seed), figures: Figures::default() };
        lane.sql(&lane.rows.table());
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
        let sql = self.rows.mutate();
        self.sql(&sql);
    }

    fn sql(&self, sql: &str) {
        match &self.execute {
            Some(execute) => execute(sql),
            None => self.pair.sql(sql),
        }
    }

    /// Kills a run: at a boundary, when a request has arrived, or after a time.
    fn kill(&mut self) {
        self.judge();
        let under_way = match self.rng.u32(0..4) {
            0 | 1 if self.program.has_failpoints => self.kill_at_a_boundary(),
            0 | 2 => {
                // The first request asks whose the token is; then come two or three batches of updates, one of inserts.
                let requests = self.rng.u32(2..=5);
                let running = self.pair.workspace.start(&self.command(&["sync", SYNC]));
                self.pair.sim.get(&format!("wait?requests={requests}"));
                let under_way = !running.ends_within(Duration::ZERO);
                running.kill();
                under_way
            }
            _ => {
                let time = Duration::from_millis(self.rng.u64(20..600));
                let running = self.pair.workspace.start(&self.command(&["sync", SYNC]));
                let under_way = !running.ends_within(time);
                running.kill();
                under_way
            }
        };
        self.figures.kills += u64::from(under_way);
        // The state opens, and passes its integrity check.
        self.pair.standing("dirty");
    }

    /// Lets a run kill itself; false when it did not get there.
    fn kill_at_a_boundary(&mut self) -> bool {
        let boundary = self.rng.choice(BOUNDARIES).map_or("", |boundary| boundary.name());
        let point = format!("{boundary}=kill@{}", self.rng.u32(1..=6));
        let ended = self.pair.workspace.syncline(&self.command(&["--failpoint", &point, "sync", SYNC]));
        let killed = ended.code.is_none();
        self.figures.at_boundaries += u64::from(killed);
        killed
    }

    /// Lets a daemon run until nothing waits, and compares. One with a broken rule may never get there: then false.
    fn recover(&mut self) -> bool {
        let quiet = if self.program.is_broken {
            self.pair.settle_within(BROKEN_PATIENCE, &self.command(&[])).is_ok()
        } else {
            self.pair.settle_with(&self.command(&[]));
            true
        };
        self.judge();
        let model = self.rows.content();
        let found = self.pair.audit(&model);
        if found != Audit::default() && !self.program.is_broken {
            self.pair.explain(&model);
        }
        self.figures.check(found);
        let status = self.pair.workspace.syncline(&["status", "--output", "json"]).expect(0).json();
        let clean = status["suspect"] == false && status["status"][0]["dirty"] == 0;
        self.figures.unclean += u64::from(quiet && !clean);
        quiet
    }

    fn command<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        self.program.arguments.iter().map(String::as_str).chain(words.iter().copied()).collect()
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
