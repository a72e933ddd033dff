//! The state's database goes away in the middle of a run: restarted, or behind a network that drops connections without a
//! word. The daemon sends nothing that it could not record, says so, and goes on by itself, or ends for its supervisor to
//! start it again; nothing is lost.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::{
    Settings,
    figures::Figures,
    hosts::{is_at_work, is_quiet_after},
    proxy::Proxy,
};
use crate::{
    rows::Rows,
    support::{
        OwnServer, Running,
        pair::{Audit, Options, Pair},
    },
};

/// Longest wait until it goes on: the state's own longest wait for a silent connection, an intent's life, and slow machines.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long nothing passes.
const SILENCE: Duration = Duration::from_secs(6);

/// What happens to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// It is stopped and started.
    Restart,
    /// The network drops what is under way.
    Cut,
}

impl Outage {
    /// Its name on the command line and in the figures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Cut => "cut",
        }
    }
}

/// What a lane of outages measured.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Comparisons and re-sends.
    pub(super) figures: Figures,
    /// Outages in a run.
    pub(super) outages: u64,
    /// Daemons that ended and were started again.
    pub(super) ended: u64,
    /// The longest time from an outage to a quiet point.
    pub(super) longest: Duration,
    /// What was not as promised.
    pub(super) broken: Vec<String>,
}

/// One lane: a server of its own, a daemon, a simulator.
struct Lane<'a> {
    outage: Outage,
    settings: &'a Settings,
    server: OwnServer,
    proxy: Proxy,
    pair: Pair,
    rng: Rng,
    rows: Rows,
    outcome: Outcome,
}

/// Strikes at least so many times.
pub(super) fn run(outage: Outage, settings: &Settings, seed: u64, outages: u64) -> Outcome {
    let mut lane = Lane::new(outage, settings, seed);
    let mut daemon = lane.start();
    while lane.outcome.outages < outages {
        daemon = lane.strike(daemon);
    }
    let figures = &mut lane.outcome.figures;
    figures.identical = lane.pair.judged("/writes/identical");
    figures.writes = figures.identical + lane.pair.judged("/writes/different");
    figures.overlaps = lane.pair.judged("/overlap/different");
    lane.outcome
}

impl<'a> Lane<'a> {
    fn new(outage: Outage, settings: &'a Settings, seed: u64) -> Self {
        let server = OwnServer::start_new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
        let database = runtime.block_on(server.create("state"));
        let mut url = url::Url::parse(&database.url).expect("the database's URL is not one");
        let proxy = Proxy::start(format!("127.0.0.1:{}", url.port().expect("a port")));
        url.set_port(Some(proxy.port)).expect("the database's URL has a host");
        let lease = format!("{}s", settings.lease.as_secs());
        let options = Options {
            simulator: &["--latency", "100ms"],
            state_url: url.as_str(),
            lease: &lease,
            ..Options::default()
        };
        let (pair, rng) = (Pair::new(&options), Rng::with_seed(seed));
        let rows = Rows::new(settings.rows, seed);
        pair.sql(&rows.table());
        pair.sync(0);
        Self { outage, settings, server, proxy, pair, rng, rows, outcome: Outcome::default() }
    }

    fn start(&self) -> Running {
        let arguments: Vec<&str> = self.settings.broken.iter().map(String::as_str).chain(["run"]).collect();
        let daemon = self.pair.workspace.start(&arguments);
        daemon.wait_for_log("scheduler.started");
        daemon
    }

    fn mutate(&mut self) {
        let statements = self.rows.mutate();
        self.pair.sql(&statements);
    }

    /// One outage, a few requests into a run, and a quiet point.
    fn strike(&mut self, daemon: Running) -> Running {
        let requests = self.pair.sim.requests() + self.rng.u64(1..=3);
        self.mutate();
        self.pair.sim.get(&format!("wait?requests={requests}"));
        let lines = daemon.log_lines();
        let struck = Instant::now();
        if is_at_work(&daemon.log_after(0)) {
            self.outcome.outages += 1;
        }
        match self.outage {
            Outage::Restart => {
                let mode = if self.rng.bool() { "fast" } else { "immediate" };
                self.server.restart(mode);
            }
            Outage::Cut => self.cut(&daemon, lines),
        }
        self.mutate();
        let daemon = self.wait(daemon);
        self.outcome.longest = self.outcome.longest.max(struck.elapsed());
        let model = self.rows.content();
        let found = self.pair.audit(&model);
        if found != Audit::default() {
            self.pair.explain(&model);
        }
        self.outcome.figures.check(found);
        daemon
    }

    /// Nothing passes for a while. It must be told, and nothing may leave once the lease cannot be relied on.
    fn cut(&mut self, daemon: &Running, lines: usize) {
        self.proxy.cut();
        let told = daemon.find_log_after(lines, self.settings.lease * 2, |line| line.contains("state.unreachable"));
        if told.is_err() && !daemon.ends_within(Duration::ZERO) {
            self.outcome.broken.push("cut: it did not say that the state's database is silent".to_owned());
        }
        // Whatever was under way is answered by then.
        daemon.ends_within(self.settings.lease);
        let sent = self.pair.sim.requests();
        daemon.ends_within(SILENCE);
        if self.pair.sim.requests() != sent {
            self.outcome.broken.push("cut: requests left without a lease".to_owned());
        }
        self.proxy.mend();
    }

    /// Waits for a run after which nothing waits, begun after the last change; starts a daemon that has ended again.
    fn wait(&mut self, mut daemon: Running) -> Running {
        let began = Instant::now();
        let mut lines = daemon.log_lines();
        while began.elapsed() < PATIENCE {
            if is_quiet_after(&daemon, lines) {
                return daemon;
            }
            if daemon.ends_within(Duration::ZERO) {
                self.outcome.ended += 1;
                let ended = daemon.wait();
                if ended.code != Some(1) || !ended.stderr.contains("hint") {
                    self.outcome.broken.push(format!("it ended with {:?}:\n{}", ended.code, ended.stderr));
                }
                daemon = self.start();
                lines = 0;
            }
        }
        let said = daemon.log_after(lines);
        let last = said.get(said.len().saturating_sub(3)..).unwrap_or_default();
        self.outcome.broken.push(format!("{}: never quiet; the last lines: {last:#?}", self.outage.name()));
        daemon
    }
}
