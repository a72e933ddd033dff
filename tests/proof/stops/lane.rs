//! One lane: a daemon under load that is asked to stop again and again, and a seed.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::Settings;
use crate::{
    rows::Rows,
    support::{
        Running,
        pair::{Audit, Options, Pair, database},
    },
};

/// Rows of all requests in flight: two workers with batches of 100.
const IN_FLIGHT: u64 = 2 * 100;
/// The same with as many batches written ahead.
const INTENDED: u64 = 2 * IN_FLIGHT;
/// Reads so slowly that it takes seconds, where `slow` says so.
const QUERY: &str = "select id, email, plan from m where 0 < (with recursive c(x) as \
    (select m.id union all select x + 1 from c where x < m.id + (select n from slow)) select count(*) from c)";
/// Steps of the slow query for each row.
const SLOW: u64 = 30_000;

/// What the daemon is doing when it is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// It works through a backlog.
    Backlog,
    /// The vendor does not answer.
    Hanging,
    /// The model takes long to read.
    Reading,
    /// Any time after a run has begun: reading, judging, the first requests.
    Beginning,
    /// The account is on hold.
    Hold,
    /// It works through a backlog, and is asked twice.
    Twice,
}

impl Moment {
    /// Every one.
    pub(super) const ALL: [Self; 6] =
        [Self::Backlog, Self::Hanging, Self::Reading, Self::Beginning, Self::Hold, Self::Twice];

    /// Its name in the figures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Hanging => "hanging",
            Self::Reading => "reading",
            Self::Beginning => "beginning",
            Self::Hold => "hold",
            Self::Twice => "twice",
        }
    }
}

/// One stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub(super) moment: Moment,
    /// A second signal ended it.
    pub(super) second: bool,
    /// From the last signal to the end.
    pub(super) took: Duration,
    pub(super) code: Option<i32>,
}

/// What the lanes measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) stops: Vec<Stop>,
    pub(super) checks: u64,
    pub(super) failed_checks: u64,
    pub(super) audit: Audit,
    pub(super) writes: u64,
    /// Rows that repeated the write before them.
    pub(super) resends: u64,
    /// How many there may be.
    pub(super) bound: u64,
    /// Stops after which there were more.
    pub(super) beyond: Vec<String>,
    pub(super) overlaps: u64,
}

impl Figures {
    /// Adds what another lane measured.
    pub(super) fn add(&mut self, other: Self) {
        self.stops.extend(other.stops);
        self.checks += other.checks;
        self.failed_checks += other.failed_checks;
        self.audit.wrong += other.audit.wrong;
        self.audit.missing += other.audit.missing;
        self.audit.orphans += other.audit.orphans;
        self.writes += other.writes;
        self.resends += other.resends;
        self.bound += other.bound;
        self.beyond.extend(other.beyond);
        self.overlaps += other.overlaps;
    }
}

/// One lane.
pub(super) struct Lane<'a> {
    number: usize,
    settings: &'a Settings,
    pair: Pair,
    rng: Rng,
    rows: Rows,
    figures: Figures,
}

impl<'a> Lane<'a> {
    /// A lane whose model the vendor holds.
    pub(super) fn new(number: u64, settings: &'a Settings, seed: u64) -> Self {
        let state = settings.postgres.then(database);
        let (timeout, late) = (format!("{}s", settings.timeout), format!("{}s", settings.timeout + 1));
        let options = Options {
            simulator: &["--latency", "60ms"],
            state_url: state.as_ref().map_or("", |state| state.url.as_str()),
            query: QUERY,
            request_timeout: &timeout,
            late_window: &late,
            ..Options::default()
        };
        let (pair, rng) = (Pair::new(&options), Rng::with_seed(seed));
        let rows = Rows::new(settings.rows, seed);
        pair.sql(&rows.table());
        pair.sql("create table slow (n integer); insert into slow values (0)");
        pair.sync(0);
        let number = usize::try_from(number).expect("few lanes");
        Self { number, settings, pair, rng, rows, figures: Figures::default() }
    }

    /// Stops it so many times; compares at every quiet point.
    pub(super) fn run(mut self, stops: u64) -> Figures {
        let mut moment = Moment::ALL.get(self.number % Moment::ALL.len()).copied();
        while (self.figures.stops.len() as u64) < stops {
            let moments = moment.take().map_or_else(|| self.moments(), |first| vec![first]);
            let resent = self.pair.judged("/writes/identical");
            // Without another change only what the vendor has may come twice. With one, a row that waits for its first send can
            // have turned back to what the vendor holds.
            let turns = moments.len() > 1 || self.rng.bool();
            let bound = moments.iter().map(|moment| self.stop(*moment, turns)).sum();
            self.check(turns);
            let resent = self.pair.judged("/writes/identical") - resent;
            self.figures.resends += resent;
            self.figures.bound += bound;
            if resent > bound {
                self.figures.beyond.push(format!("{resent} rows sent again after {moments:?}, at most {bound} may be"));
            }
        }
        self.figures.writes = self.pair.judged("/writes/identical") + self.pair.judged("/writes/different");
        self.figures.overlaps = self.pair.judged("/overlap/different");
        self.figures
    }

    /// One or two moments before the next quiet point.
    fn moments(&mut self) -> Vec<Moment> {
        let mut any = || self.rng.choice(Moment::ALL).unwrap_or(Moment::Backlog);
        if any() == Moment::Backlog { vec![any(), any()] } else { vec![any()] }
    }

    fn mutate(&mut self) {
        let statements = self.rows.mutate();
        self.pair.sql(&statements);
    }

    /// Stops a daemon at such a moment; answers how many rows may be sent again, when the model changes once more (`turns`).
    fn stop(&mut self, moment: Moment, turns: bool) -> u64 {
        self.mutate();
        let slow = if moment == Moment::Reading { SLOW } else { 0 };
        self.pair.sql(&format!("update slow set n = {slow}"));
        let sent = self.pair.sim.requests();
        self.prepare(moment);
        let arguments: Vec<&str> = self.settings.broken.iter().map(String::as_str).chain(["run"]).collect();
        let daemon = self.pair.workspace.start(&arguments);
        self.wait_for(moment, &daemon, sent);
        let mut asked = Instant::now();
        daemon.signal("TERM");
        let mut second = false;
        if moment == Moment::Twice {
            // It may be over before it hears the second.
            daemon.find_log(Duration::from_secs(20), |line| line.contains("scheduler.stopping")).expect("it stops");
            asked = Instant::now();
            daemon.signal("TERM");
        }
        let ended = daemon.wait();
        second |= ended.code == Some(130);
        self.figures.stops.push(Stop { moment, second, took: asked.elapsed(), code: ended.code });
        self.pair.sim.clear_faults();
        self.pair.sql("update slow set n = 0");
        match (moment, turns) {
            (Moment::Twice, _) => INTENDED,
            (_, true) => self.pair.standing("dirty").min(INTENDED),
            (Moment::Hanging, false) => IN_FLIGHT,
            (Moment::Backlog | Moment::Reading | Moment::Beginning | Moment::Hold, false) => 0,
        }
    }

    fn prepare(&mut self, moment: Moment) {
        let fault = match moment {
            Moment::Hanging => {
                let phase = if self.rng.bool() { "before" } else { "after" };
                format!(
                    r#"[{{"match": {{"path_contains": "batch/", "times": 2}}, "phase": "{phase}", "action": "hang"}}]"#
                )
            }
            Moment::Hold => {
                let action = r#"{"rate_limit": {"retry_after": "100"}}"#;
                format!(r#"[{{"match": {{"path_contains": "batch/", "times": 2}}, "action": {action}}}]"#)
            }
            Moment::Backlog | Moment::Reading | Moment::Beginning | Moment::Twice => return,
        };
        self.pair.sim.post("faults", &fault);
    }

    /// Waits until the moment has come, and then some more.
    fn wait_for(&mut self, moment: Moment, daemon: &Running, sent: u64) {
        match moment {
            Moment::Backlog | Moment::Twice => {
                let requests = sent + self.rng.u64(2..=4);
                self.pair.sim.get(&format!("wait?requests={requests}"));
            }
            Moment::Hanging => {
                self.pair.sim.get(&format!("wait?requests={}", sent + 3));
            }
            Moment::Reading | Moment::Beginning => drop(daemon.wait_for_log("run.started")),
            Moment::Hold => drop(daemon.wait_for_log("hold.opened")),
        }
        daemon.ends_within(Duration::from_millis(self.rng.u64(0..150)));
    }

    /// Lets a daemon run until nothing waits, and compares.
    fn check(&mut self, turns: bool) {
        if turns {
            self.mutate();
        }
        self.pair.settle();
        let model = self.rows.content();
        let found = self.pair.audit(&model);
        if found != Audit::default() {
            self.pair.explain(&model);
        }
        self.figures.checks += 1;
        self.figures.failed_checks += u64::from(found != Audit::default());
        self.figures.audit.wrong += found.wrong;
        self.figures.audit.missing += found.missing;
        self.figures.audit.orphans += found.orphans;
    }
}
