//! One lane: a model, a simulator, two daemons on one state, and a seed.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::{
    LIMIT, Settings,
    figures::Figures,
    hosts::{Hosts, is_at_work, started},
};
use crate::{
    rows::Rows,
    support::pair::{Audit, Options, Pair, SYNC, database},
};

/// Longest wait for the other daemon, and until nothing waits: an intent's life, a late window, and slow machines.
const PATIENCE: Duration = Duration::from_secs(240);
/// A broken rule may keep it from ever getting there.
const BROKEN_PATIENCE: Duration = Duration::from_secs(60);

/// What happens to the daemon that is in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP, and SIGCONT later.
    Freeze,
}

impl Blow {
    /// Its name on the command line and in the figures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Terminate => "term",
            Self::Freeze => "stop",
        }
    }
}

/// One lane.
pub(super) struct Lane<'a> {
    blow: Blow,
    settings: &'a Settings,
    pair: Pair,
    hosts: Hosts,
    rng: Rng,
    rows: Rows,
    figures: Figures,
}

impl<'a> Lane<'a> {
    /// A lane whose model the vendor holds.
    pub(super) fn new(blow: Blow, settings: &'a Settings, seed: u64) -> Self {
        let state = database();
        let state_url = if settings.pooled { state.through_pooler() } else { state.url };
        let lease = format!("{}s", settings.lease.as_secs());
        let options = Options {
            // Answers come late, so that a blow often hits between a write and its settle.
            simulator: &["--latency", "100ms"],
            state_url: &state_url,
            lease: &lease,
            limit: Some((LIMIT, "2s")),
            // What is handed over must not wait for the next scheduled run.
            every: if blow == Blow::Terminate { "1h" } else { "1s" },
            ..Options::default()
        };
        let (pair, rng) = (Pair::new(&options), Rng::with_seed(seed));
        let rows = Rows::new(settings.rows, seed);
        pair.sql(&rows.table());
        // On a machine that is busy with something else even a lease that nobody disturbs can run out.
        assert!(
            (0..5).any(|_| pair.workspace.syncline(&["sync", SYNC]).code == Some(0)),
            "the vendor never held the model"
        );
        let hosts = Hosts::start(&pair, &options, settings.broken.clone());
        Self { blow, settings, pair, hosts, rng, rows, figures: Figures::default() }
    }

    /// Strikes at least so many times; compares at every quiet point.
    pub(super) fn run(mut self, blows: u64) -> Figures {
        while self.figures.blows() < blows {
            for _ in 0..self.rng.u64(1..=2).min(blows - self.figures.blows()) {
                self.strike();
            }
            if !self.check() {
                break;
            }
        }
        let [identical, different] = ["/writes/identical", "/writes/different"].map(|name| self.pair.judged(name));
        self.figures.writes = identical + different;
        self.figures.identical = identical;
        self.figures.overlaps = self.pair.judged("/overlap/different");
        self.figures.fullest = self.pair.judged("/windows/0/max_arrived");
        self.figures.too_many = self.pair.judged("/requests/too_many");
        self.figures
    }

    fn mutate(&mut self) {
        let statements = self.rows.mutate();
        self.pair.sql(&statements);
    }

    /// One blow to the daemon that works, a few requests into its run.
    fn strike(&mut self) {
        let requests = self.pair.sim.requests() + self.rng.u64(1..=3);
        self.mutate();
        let asked = (self.blow == Blow::Terminate).then(|| self.pair.workspace.start(&["sync", SYNC]));
        self.pair.sim.get(&format!("wait?requests={requests}"));
        if let Some(host) = self.hosts.at_work() {
            let other = 1 - host;
            let lines = self.hosts.daemon(other).log_lines();
            let struck = Instant::now();
            let hit = self.hit(host);
            // The other finds another model than the one that the open intents are of.
            self.mutate();
            let found = self.hosts.daemon(other).find_log_after(lines, PATIENCE, |line| started(line).is_some());
            if let Err(said) = found {
                panic!("nobody went on; the other said:\n{said}");
            }
            if hit {
                self.figures.struck(self.blow, struck.elapsed());
            }
            self.restore(host, struck);
        }
        drop(asked);
    }

    /// Strikes; whether it was in a run.
    fn hit(&mut self, host: usize) -> bool {
        match self.blow {
            Blow::Kill => is_at_work(&self.hosts.take(host).kill().stderr.lines().collect::<Vec<_>>()),
            Blow::Terminate => {
                self.hosts.daemon(host).signal("TERM");
                is_at_work(&self.hosts.daemon(host).log_after(0))
            }
            Blow::Freeze => {
                self.hosts.daemon(host).signal("STOP");
                is_at_work(&self.hosts.daemon(host).log_after(0))
            }
        }
    }

    /// The host has a daemon again.
    fn restore(&mut self, host: usize, struck: Instant) {
        match self.blow {
            Blow::Kill => self.hosts.begin(&self.pair, host),
            Blow::Terminate => {
                self.hosts.take(host).wait().expect(0);
                self.hosts.begin(&self.pair, host);
            }
            Blow::Freeze => {
                // The other delivers newer values meanwhile.
                self.check();
                let rest = self.settings.frozen.saturating_sub(struck.elapsed());
                drop(self.hosts.daemon(1 - host).find_log(rest, |_| false));
                let daemon = self.hosts.daemon(host);
                let lines = daemon.log_lines();
                daemon.signal("CONT");
                let over = |line: &str| line.contains("\"run.finished\"") || line.contains("\"run.failed\"");
                if let Err(said) = daemon.find_log_after(lines, PATIENCE, over) {
                    panic!("the frozen run never ended:\n{said}");
                }
            }
        }
    }

    /// Waits until nothing waits, and compares. False when it never gets there, with a broken rule.
    fn check(&mut self) -> bool {
        self.mutate();
        let broken = !self.settings.broken.is_empty();
        let quiet = if self.blow == Blow::Terminate { self.sync_all() } else { self.wait(broken) };
        assert!(quiet || broken, "never quiet");
        let model = self.rows.content();
        let found = self.pair.audit(&model);
        if found != Audit::default() && !broken {
            self.pair.explain(&model);
        }
        self.figures.check(found);
        quiet
    }

    fn wait(&self, broken: bool) -> bool {
        let lines = self.hosts.lines();
        self.hosts.wait_for_quiet(lines, if broken { BROKEN_PATIENCE } else { PATIENCE })
    }

    /// Asks for runs until one leaves nothing waiting.
    fn sync_all(&self) -> bool {
        // Bounded by runs: after a clean stop nothing is in doubt, so nothing waits for long.
        (0..100).any(|_| {
            let ended = self.pair.workspace.syncline(&["sync", SYNC, "--output", "json"]);
            let counts = ended.json()["syncs"][0]["counts"].clone();
            ended.code == Some(0) && counts["waiting"] == 0 && counts["waiting_removals"] == 0
        })
    }
}
