//! One lane of the kill loop: a model of two-valued rows, a workspace, a simulator, and a seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;

use super::figures::Figures;
use crate::support::pair::{Audit, Content, Options, Pair, SYNC};

/// Without intents nothing has to wait for their end.
const BROKEN_PATIENCE: Duration = Duration::from_secs(30);

/// Executes statements on the lane's warehouse.
pub(super) type Execute = Box<dyn Fn(&str)>;

/// A row: who, which of two addresses, which of two plans. Few values, so that A -> B -> A is common.
#[derive(Clone, Copy)]
struct Row {
    person: u32,
    address: bool,
    plan: bool,
}

/// One lane of the loop.
pub(super) struct Lane {
    pair: Pair,
    execute: Option<Execute>,
    arguments: Vec<String>,
    rng: Rng,
    rows: BTreeMap<u32, Row>,
    next: u32,
    /// People whose rows were deleted: a new row may bring them back.
    gone: Vec<u32>,
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
        let (pair, rng) = (Pair::new(&options), Rng::with_seed(seed));
        let mut lane = Self {
            pair,
            execute,
            arguments,
            rng,
            rows: BTreeMap::new(),
            next: 1,
            gone: Vec::new(),
            figures: Figures::default(),
        };
        lane.sql("create table m (id bigint primary key, email text, plan text)");
        let first: BTreeSet<u32> = (0..rows).map(|_| lane.insert()).collect();
        lane.store(&first);
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

    fn insert(&mut self) -> u32 {
        let id = self.next;
        self.next += 1;
        let old = if self.rng.bool() { self.gone.pop() } else { None };
        let row = Row { person: old.unwrap_or(id), address: self.rng.bool(), plan: self.rng.bool() };
        self.rows.insert(id, row);
        id
    }

    /// Flips 40 % of the rows, gives 3 % the other address, deletes 3 % and inserts as many.
    fn mutate(&mut self) {
        let ids: Vec<u32> = self.rows.keys().copied().collect();
        let mut touched = BTreeSet::new();
        let mut deleted = 0;
        for id in ids {
            let Some(row) = self.rows.get_mut(&id) else { continue };
            match self.rng.u32(0..100) {
                0..40 => row.plan = !row.plan,
                40..43 => row.address = !row.address,
                43..46 => {
                    self.gone.push(row.person);
                    self.rows.remove(&id);
                    deleted += 1;
                }
                _ => continue,
            }
            touched.insert(id);
        }
        touched.extend((0..deleted).map(|_| self.insert()).collect::<Vec<_>>());
        self.store(&touched);
    }

    fn store(&self, touched: &BTreeSet<u32>) {
        let ids = touched.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let row = |id: &u32| {
            let (email, plan) = content(self.rows.get(id)?);
            Some(format!("({id}, '{email}', '{plan}')"))
        };
        let rows = touched.iter().filter_map(row).collect::<Vec<_>>().join(", ");
        self.sql(&format!("begin; delete from m where id in ({ids}); insert into m values {rows}; commit;"));
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
        let model: BTreeMap<u32, Content> = self.rows.iter().map(|(id, row)| (*id, content(row))).collect();
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

fn content(row: &Row) -> Content {
    let address = if row.address { "home" } else { "work" };
    (format!("p{}.{address}@example.com", row.person), if row.plan { "gold" } else { "free" }.to_owned())
}
