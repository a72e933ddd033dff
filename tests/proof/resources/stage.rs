//! What the scenarios share: a model of two-valued rows, its sync, and the comparison at the end.

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;

use super::Plan;
use crate::{
    report::Report,
    support::{
        MariaDatabase, TestDatabase,
        pair::{Audit, Content, Options, Pair},
    },
};

/// Re-sends after one stop (promise P3): two workers and as many batches written ahead, of 100 rows each.
pub(super) const RESENDS: u64 = (2 + 2) * 100;
/// Longest wait for the end of something, on slow machines.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// The same when a rule is broken: it may never come.
const BROKEN_PATIENCE: Duration = Duration::from_secs(60);

/// Where the model is.
pub(super) enum Warehouse {
    Sqlite,
    Postgres(TestDatabase),
    MariaDb(MariaDatabase),
}

impl Warehouse {
    /// Lines of `[sources.warehouse]`.
    pub(super) fn source(&self) -> &'static str {
        match self {
            Self::Sqlite => Options::default().source,
            Self::Postgres(_) => "type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }",
            Self::MariaDb(_) => "type = \"mysql\"\nurl = { env = \"WAREHOUSE_URL\" }",
        }
    }

    /// The value of `WAREHOUSE_URL`.
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Sqlite => "",
            Self::Postgres(database) => &database.url,
            Self::MariaDb(database) => &database.url,
        }
    }
}

/// A model of two-valued rows and the pair that it is sent with.
pub(super) struct Stage {
    pub(super) pair: Pair,
    warehouse: Warehouse,
    rows: BTreeMap<u32, bool>,
    next: u32,
    pub(super) rng: Rng,
    broken: Vec<String>,
}

impl Stage {
    /// A model of `rows` rows, of which the vendor has none yet; `m` is the table, or `table` when `m` is a view of it.
    pub(super) fn new(plan: &Plan, rows: u32, warehouse: Warehouse, options: &Options<'_>) -> Self {
        let options = Options { source: warehouse.source(), warehouse_url: warehouse.url(), ..*options };
        let pair = Pair::new(&options);
        // On a slow machine nothing may look like a lost answer: every re-send here is one of an accident.
        let path = pair.workspace.path("config/syncline.toml");
        let text = std::fs::read_to_string(path).expect("a configuration");
        pair.workspace.write("config/syncline.toml", &text.replace("timeout = \"3s\"", "timeout = \"60s\""));
        let (rng, broken) = (Rng::with_seed(plan.seed), plan.broken.clone());
        let mut stage = Self { pair, warehouse, rows: BTreeMap::new(), next: 1, rng, broken };
        stage.sql("create table base (id bigint primary key, email varchar(80), plan varchar(20))");
        stage.sql("create view m as select id, email, plan from base");
        stage.insert(rows);
        stage
    }

    /// Runs statements on the warehouse.
    pub(super) fn sql(&self, sql: &str) {
        match &self.warehouse {
            Warehouse::Sqlite => self.pair.sql(sql),
            Warehouse::Postgres(database) => wait(database.execute(sql)),
            Warehouse::MariaDb(database) => wait(database.execute(sql)),
        }
    }

    /// Adds rows.
    pub(super) fn insert(&mut self, rows: u32) {
        let first = self.next;
        self.next += rows;
        let mut values = Vec::new();
        for id in first..self.next {
            let gold = self.rng.bool();
            self.rows.insert(id, gold);
            values.push(format!("({id}, 'p{id}@example.com', '{}')", name(gold)));
        }
        for values in values.chunks(1_000) {
            self.sql(&format!("insert into base values {}", values.join(", ")));
        }
    }

    /// Flips two of five rows, deletes two of a hundred and inserts as many: a row often comes back to what it was.
    pub(super) fn mutate(&mut self) {
        let (mut flipped, mut deleted) = (Vec::new(), Vec::new());
        for (id, gold) in &mut self.rows {
            match self.rng.u32(0..100) {
                0..40 => {
                    *gold = !*gold;
                    flipped.push(id.to_string());
                }
                40..42 => deleted.push(*id),
                _ => {}
            }
        }
        self.rows.retain(|id, _| !deleted.contains(id));
        let gone: Vec<String> = deleted.iter().map(u32::to_string).collect();
        let flip = "plan = case when plan = 'gold' then 'free' else 'gold' end";
        self.sql(&format!("update base set {flip} where id in ({})", flipped.join(", ")));
        self.sql(&format!("delete from base where id in (0, {})", gone.join(", ")).replace(", )", ")"));
        self.insert(u32::try_from(gone.len()).expect("fewer rows"));
    }

    /// How many rows the model has.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Compares as things are now, and explains what should not be.
    pub(super) fn audit(&self) -> Audit {
        let model = self.model();
        let found = self.pair.audit(&model);
        if found != Audit::default() && self.broken.is_empty() {
            self.pair.explain(&model);
        }
        found
    }

    /// What the vendor should hold.
    pub(super) fn model(&self) -> BTreeMap<u32, Content> {
        let content = |(id, gold): (&u32, &bool)| -> (u32, Content) {
            (*id, (format!("p{id}@example.com"), name(*gold).to_owned()))
        };
        self.rows.iter().map(content).collect()
    }

    /// Lets a daemon go on until nothing waits.
    pub(super) fn settle(&self) {
        let (patience, arguments): (_, Vec<&str>) = if self.broken.is_empty() {
            (PATIENCE, Vec::new())
        } else {
            (BROKEN_PATIENCE, self.broken.iter().map(String::as_str).collect())
        };
        if let Err(said) = self.pair.settle_within(patience, &arguments) {
            let last: Vec<&str> = said.lines().rev().take(3).collect();
            eprintln!("never quiet; the last lines: {last:#?}");
        }
    }

    /// Settles and compares: nothing wrong, missing or orphaned, re-sends within the bound of so many stops.
    pub(super) fn ends_right(&self, stops: u64, report: &mut Report) {
        self.settle();
        let found = self.audit();
        report.demand(found == Audit::default(), format!("{found:?}"));
        self.judge(stops, report);
    }

    /// Takes over the judge's counts and resets them.
    pub(super) fn judge(&self, stops: u64, report: &mut Report) {
        let [identical, overlaps] = ["/writes/identical", "/overlap/different"].map(|name| self.pair.judged(name));
        self.pair.sim.post("reset-requests", "");
        report.add("resends", identical);
        report.add("resend_bound", stops * RESENDS);
        report.demand(identical <= stops * RESENDS, format!("{identical} re-sends after {stops} stops"));
        report.demand(overlaps == 0, "two operations of one key were in flight");
    }

    /// Nobody has sent anything since the last look; the vendor's identity may be asked for.
    pub(super) fn sent_nothing(&self, when: &str, report: &mut Report) {
        let inputs = self.pair.judged("/requests/inputs");
        report.demand(inputs == 0, format!("{inputs} rows were sent {when}"));
    }
}

fn name(gold: bool) -> &'static str {
    if gold { "gold" } else { "free" }
}

/// Waits for a future on this thread.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    runtime.block_on(future)
}

/// The lines that say what stopped a process or a run.
pub(super) fn complaint(stderr: &str) -> String {
    let tells = |line: &&str| {
        let begins = ["error:", "  caused by", "hint:"].iter().any(|word| line.starts_with(word));
        begins || line.contains("run.failed") || line.contains("panicked")
    };
    stderr.lines().filter(tells).map(str::trim).collect::<Vec<_>>().join(" | ")
}
