//! One case: a state, a process that fails at a boundary, a model that flips meanwhile, and a comparison.

use std::{fs, time::Duration};

use fastrand::Rng;
use serde_json::Value;
use syncline::proof::{Action, Boundary};

use super::{
    ends::{End, Scene, Setting, Store, Way, ends},
    upgrade,
};
use crate::{
    rows::{Rows, Stand},
    support::{
        Finished, Running,
        pair::{Audit, Options, Pair, SYNC, database, is_quiet},
    },
};

/// Longest wait for what a process should say or do.
const PATIENCE: Duration = Duration::from_secs(180);
/// Intents live so short, so that the next run need not wait for their end.
const LIFE: [&str; 2] = ["--intent-life", "3"];
/// Rows of the model; more than 4,096 in a journal are compacted.
const ROWS: u32 = 300;
const MANY_ROWS: u32 = 4_300;
const OAUTH: [&str; 6] =
    ["--oauth-client", "client-1:client-secret", "--refresh-token", "first-refresh", "--rotate", "overlap"];

/// One action at one boundary, in one setting.
pub(super) struct Case {
    pub(super) boundary: Boundary,
    pub(super) action: Action,
    pub(super) setting: Setting,
    /// `--break-rule RULE`, or nothing.
    pub(super) rule: Vec<String>,
    pub(super) seed: u64,
}

/// What a case came to.
#[derive(Default)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) checks: u64,
    pub(super) audit: Audit,
    pub(super) overlaps: u64,
    pub(super) identical: u64,
    pub(super) writes: u64,
    pub(super) broken: Vec<String>,
}

impl Found {
    pub(super) fn broken(what: String) -> Self {
        Self { broken: vec![what], ..Self::default() }
    }

    pub(super) fn of(self, case: &Case) -> Self {
        Self { name: case.name(), ..self }
    }

    pub(super) fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }
}

impl Case {
    fn name(&self) -> String {
        let Setting { scene, store, way, .. } = self.setting;
        format!("{}={} ({scene:?}, {store:?}, {way:?})", self.boundary.name(), self.action.name())
    }

    /// Leads it to its end.
    pub(super) fn lead(&self) -> Found {
        if self.setting.scene == Scene::Upgrade {
            return upgrade::lead(self);
        }
        let mut led = Led { case: self, world: World::new(self), found: Found::default(), rng: self.rng() };
        led.begin();
        let mut reached = led.fail(self.pass());
        if !reached && self.pass() > 1 && self.boundary != Boundary::LeaseRenewal {
            // Not every run has so many of them.
            reached = led.fail(1);
        }
        led.found.demand(reached, || "the boundary was not reached".to_owned());
        led.end();
        led.found
    }

    fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }

    pub(super) fn pass(&self) -> u64 {
        let (first, last) = self.setting.passes;
        self.rng().u64(first..=last)
    }

    pub(super) fn expected(&self) -> End {
        match (ends(self.boundary, self.setting.store).of(self.action), self.setting.store) {
            // On a busy machine a lease of 2 s runs out without any failpoint too.
            (End::GoesOn, Store::Postgres) => End::MayFail,
            (end, Store::Sqlite | Store::Postgres) => end,
        }
    }

    /// `--failpoint …`, a short life of intents, and the broken rule.
    pub(super) fn arguments(&self, pass: u64) -> Vec<String> {
        let point = format!("{}={}@{pass}", self.boundary.name(), self.action.name());
        let own = ["--failpoint".to_owned(), point].into_iter();
        own.chain(LIFE.map(str::to_owned)).chain(self.rule.iter().cloned()).collect()
    }

    fn said_so(&self, log: &str) -> bool {
        log.contains(&self.line())
    }

    /// What a process says that fails at the boundary.
    pub(super) fn line(&self) -> String {
        format!("boundary {}: {}", self.boundary.name(), self.action.name())
    }
}

/// A workspace, a simulator, and the model.
struct World {
    pair: Pair,
    rows: Rows,
}

impl World {
    fn new(case: &Case) -> Self {
        let Setting { scene, store, .. } = case.setting;
        let state_url = if store == Store::Postgres { database().url } else { String::new() };
        // A run longer than its lease needs the renewals.
        let latency = if case.boundary == Boundary::LeaseRenewal { "1200ms" } else { "20ms" };
        let mut simulator = vec!["--latency", latency];
        simulator.extend(if scene == Scene::Token { &OAUTH[..] } else { &[] });
        let ask = scene == Scene::Approve;
        let settings = if ask { "" } else { Options::default().settings };
        let options =
            Options { simulator: &simulator, late_window: "2s", settings, state_url: &state_url, ..Options::default() };
        let mut pair = Pair::new(&options);
        if scene == Scene::Token {
            let file = pair.workspace.path("config/syncline.toml");
            let text = fs::read_to_string(file).expect("the configuration");
            let auth = "auth = { oauth = { client_id = \"client-1\", client_secret = { env = \"CLIENT_SECRET\" }, \
                        refresh_token = { env = \"REFRESH_TOKEN\" } } }\naccount = \"4242\"";
            pair.workspace.write("config/syncline.toml", &text.replace("token = { env = \"CRM_TOKEN\" }", auth));
            pair.workspace.variable("CLIENT_SECRET", "client-secret");
            pair.workspace.variable("REFRESH_TOKEN", "first-refresh");
        }
        let rows = Rows::new(if scene == Scene::LongJournal { MANY_ROWS } else { ROWS }, case.seed);
        pair.sql(&rows.table());
        Self { pair, rows }
    }

    fn mutate(&mut self) {
        let sql = self.rows.mutate();
        self.pair.sql(&sql);
    }

    fn restore(&mut self, stand: Stand) {
        let sql = self.rows.restore(stand);
        self.pair.sql(&sql);
    }
}

/// A case under way.
struct Led<'a> {
    case: &'a Case,
    world: World,
    found: Found,
    rng: Rng,
}

impl Led<'_> {
    /// What stands before the failure.
    fn begin(&self) {
        let pair = &self.world.pair;
        match self.case.setting.scene {
            Scene::Fresh | Scene::Upgrade => {}
            Scene::Approve => drop(pair.workspace.syncline(&["sync", SYNC]).expect(4)),
            Scene::Run | Scene::Rejects | Scene::LongJournal | Scene::Token | Scene::Resync | Scene::RunNow => {
                // On a busy machine requests and statements run out of time without any failpoint too.
                if pair.workspace.syncline(&["sync", SYNC]).code != Some(0) {
                    pair.settle_with(&LIFE);
                }
            }
        }
    }

    /// Lets a process fail at the boundary, and flips the model; false when it was not reached.
    fn fail(&mut self, pass: u64) -> bool {
        let before = self.world.rows.stand();
        self.world.mutate();
        if self.case.setting.scene == Scene::Rejects {
            let sql = self.world.rows.spoil(3);
            self.world.pair.sql(&sql);
        }
        match self.case.setting.way {
            Way::Sync => self.fail_in_sync(pass, before),
            Way::Daemon => self.fail_in_daemon(pass, before),
        }
    }

    fn arguments<'b>(own: &'b [String], command: &[&'b str]) -> Vec<&'b str> {
        own.iter().map(String::as_str).chain(command.iter().copied()).collect()
    }

    fn fail_in_sync(&mut self, pass: u64, before: Stand) -> bool {
        let own = self.case.arguments(pass);
        let command = Self::arguments(&own, &["sync", SYNC, "--output", "json"]);
        let finished = self.world.pair.workspace.syncline(&command);
        if !self.case.said_so(&finished.stderr) {
            return false;
        }
        let refused = self.case.setting.scene == Scene::Rejects;
        if self.case.expected() == End::GoesOn && !refused {
            self.compare();
        }
        let ends_well = if refused { 3 } else { 0 };
        self.judge_end(&finished, ends_well);
        self.flip(before);
        true
    }

    fn fail_in_daemon(&mut self, pass: u64, before: Stand) -> bool {
        let own = self.case.arguments(pass);
        let daemon = self.world.pair.workspace.start(&Self::arguments(&own, &["run"]));
        let command = self.command();
        let asked = command.map(|command| {
            daemon.wait_for_log("scheduler.started");
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            self.world.pair.workspace.start(&words)
        });
        let line = self.case.line();
        if daemon.find_log(PATIENCE, |said| said.contains(&line)).is_err() {
            return false;
        }
        self.flip(before);
        if let Some(asked) = asked {
            self.judge_asked(&asked.wait());
        }
        match self.case.expected() {
            End::Killed | End::Stops => {
                let finished = daemon.wait();
                self.judge_end(&finished, 0);
            }
            End::RunFails | End::GoesOn | End::MayFail => self.mends_itself(daemon),
        }
        true
    }

    /// The daemon goes on: its own next runs bring everything right.
    fn mends_itself(&mut self, daemon: Running) {
        // One more: it may have begun before the flip, and its line be on its way.
        let begun = daemon.logs().iter().filter(|line| has_begun(line.as_str())).count() + 1;
        let quiet = |lines: &[String]| {
            let mut later = lines.iter().skip_while({
                let mut seen = 0;
                move |line| {
                    seen += usize::from(has_begun(line));
                    seen <= begun
                }
            });
            later.any(|line| is_quiet(line))
        };
        let mended = daemon.wait_for_logs(PATIENCE, quiet);
        self.found.demand(mended, || "the daemon did not bring everything right by itself".to_owned());
        if mended {
            self.compare();
        }
        let finished = daemon.terminate();
        let failed = finished.stderr.lines().any(has_failed);
        let expected = self.case.expected();
        let noticed = failed || finished.stderr.contains("process.panicked");
        self.found.demand(expected != End::RunFails || noticed, || "no run failed".to_owned());
        self.found.demand(expected != End::GoesOn || !failed, || format!("a run failed: {}", tail(&finished)));
        self.found.demand(finished.code == Some(0), || format!("the daemon ended with {:?}", finished.code));
    }

    /// The command that leaves a request.
    fn command(&self) -> Option<Vec<String>> {
        let words: &[&str] = match self.case.setting.scene {
            Scene::Resync => &["resync", SYNC, "--keys", "1", "2"],
            Scene::RunNow => &["sync", SYNC],
            Scene::Approve => &["approve", "1"],
            Scene::Run | Scene::Rejects | Scene::LongJournal | Scene::Token | Scene::Fresh | Scene::Upgrade => {
                return None;
            }
        };
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// Whoever asked is told: what was done, or that the daemon is gone.
    fn judge_asked(&mut self, asked: &Finished) {
        let stopped = asked.stderr.contains("the daemon stopped before it answered");
        let right = match self.case.expected() {
            End::Killed | End::Stops => asked.code == Some(1) && stopped,
            End::RunFails | End::GoesOn | End::MayFail => asked.code == Some(0),
        };
        self.found.demand(right, || format!("the command beside ended with {:?}: {}", asked.code, tail(asked)));
    }

    /// The model goes back to what it was, or goes on to something else.
    fn flip(&mut self, before: Stand) {
        if self.rng.bool() {
            self.world.restore(before);
        } else {
            self.world.mutate();
        }
    }

    fn judge_end(&mut self, finished: &Finished, ends_well: i32) {
        let fails = match self.case.action {
            Action::Panic => [Some(101), Some(1)].contains(&finished.code),
            Action::Error => finished.code == Some(1) && says_why(finished),
            Action::Stall | Action::Kill => finished.code == Some(1),
        };
        let right = match self.case.expected() {
            End::Killed => finished.code.is_none(),
            End::RunFails | End::Stops => fails,
            End::GoesOn => finished.code == Some(ends_well),
            End::MayFail => fails || finished.code == Some(ends_well),
        };
        self.found.demand(right, || format!("it ended with {:?}: {}", finished.code, tail(finished)));
    }

    /// Goes on without a failpoint until nothing waits, and compares.
    fn end(&mut self) {
        if self.case.setting.scene == Scene::Approve {
            // Given again: what was withdrawn is done now, what was done stays.
            drop(self.world.pair.workspace.syncline(&["approve", "1"]));
        }
        let rule: Vec<&str> = self.case.rule.iter().map(String::as_str).collect();
        let quiet = self.world.pair.settle_within(PATIENCE, &[&LIFE[..], &rule].concat());
        self.found.demand(quiet.is_ok(), || "it never became quiet again".to_owned());
        self.compare();
        let pair = &self.world.pair;
        let status = pair.workspace.syncline(&["status", "--output", "json"]).expect(0).json();
        let none = |name: &str| status["status"][0][name] == 0;
        let clean = status["suspect"] == false && none("dirty") && none("rejected");
        self.found.demand(clean, || format!("the state is not clean: {status}"));
        [self.found.identical, self.found.overlaps] =
            ["/writes/identical", "/overlap/different"].map(|name| pair.judged(name));
        self.found.writes = self.found.identical + pair.judged("/writes/different");
    }

    fn compare(&mut self) {
        let model = self.world.rows.content();
        let audit = self.world.pair.audit(&model);
        self.found.checks += 1;
        self.found.audit.wrong += audit.wrong;
        self.found.audit.missing += audit.missing;
        self.found.audit.orphans += audit.orphans;
        if audit != Audit::default() && self.case.rule.is_empty() {
            self.world.pair.explain(&model);
        }
        self.found.demand(audit == Audit::default(), || format!("{audit:?}"));
    }
}

fn event(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some(line.get("fields").cloned().unwrap_or(line))
}

fn has_begun(line: &str) -> bool {
    event(line).is_some_and(|fields| fields["event"] == "run.started")
}

fn has_failed(line: &str) -> bool {
    // One that is still reading when the daemon is asked to stop ends so too.
    let stopped =
        |fields: &Value| fields["error"].as_str().is_some_and(|error| error.starts_with("the run was stopped"));
    event(line).is_some_and(|fields| fields["event"] == "run.failed" && !stopped(&fields))
}

/// Whether it says why it failed, in JSON.
pub(super) fn says_why(finished: &Finished) -> bool {
    let Ok(said) = serde_json::from_str::<Value>(&finished.stdout) else {
        return finished.stderr.contains("error: ");
    };
    let reason = said.pointer("/syncs/0/reason").or_else(|| said.pointer("/error"));
    reason.is_some_and(|reason| !reason.is_null())
}

/// The last words of a process.
pub(super) fn tail(finished: &Finished) -> String {
    let lines: Vec<&str> = finished.stderr.lines().chain(finished.stdout.lines()).collect();
    let text = lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join(" | ");
    text.chars().take(1_500).collect()
}
