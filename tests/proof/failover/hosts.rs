//! Two hosts with a daemon each, on one state.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Running, Workspace,
    pair::{Options, Pair, is_quiet},
};

/// Longest wait for a daemon to begin.
const BEGIN: Duration = Duration::from_secs(60);
/// How long one daemon's log is listened to before the other's is.
const TURN: Duration = Duration::from_millis(100);

/// Two hosts with a daemon each, on one state.
pub(super) struct Hosts {
    second: Workspace,
    daemons: [Option<Running>; 2],
    arguments: Vec<String>,
}

impl Hosts {
    /// Both daemons, which have begun to schedule. `arguments` are those of every command.
    pub(super) fn start(pair: &Pair, options: &Options<'_>, arguments: Vec<String>) -> Self {
        let mut hosts = Self { second: pair.another_host(options), daemons: [None, None], arguments };
        [0, 1].into_iter().for_each(|host| hosts.begin(pair, host));
        hosts
    }

    /// Starts the daemon of a host that has none.
    pub(super) fn begin(&mut self, pair: &Pair, host: usize) {
        let workspace = if host == 0 { &pair.workspace } else { &self.second };
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).chain(["run"]).collect();
        let daemon = workspace.start(&arguments);
        daemon.find_log(BEGIN, |line| line.contains("scheduler.started")).expect("a daemon that does not begin");
        self.daemons[host] = Some(daemon);
    }

    /// The daemon of a host.
    pub(super) fn daemon(&self, host: usize) -> &Running {
        self.daemons[host].as_ref().expect("the host has a daemon")
    }

    /// Takes the daemon of a host away.
    pub(super) fn take(&mut self, host: usize) -> Running {
        self.daemons[host].take().expect("the host has a daemon")
    }

    /// Whose daemon is in a run, as its log says.
    pub(super) fn at_work(&self) -> Option<usize> {
        (0..2).find(|&host| is_at_work(&self.daemon(host).log_after(0)))
    }

    /// Lines that each daemon has logged.
    pub(super) fn lines(&self) -> [usize; 2] {
        [0, 1].map(|host| self.daemons[host].as_ref().map_or(0, Running::log_lines))
    }

    /// Waits until one of the daemons ends a run, begun after these lines, after which nothing waits; false if none does.
    pub(super) fn wait_for_quiet(&self, after: [usize; 2], patience: Duration) -> bool {
        let began = tokio::time::Instant::now();
        while began.elapsed() < patience {
            let mut daemons = self.daemons.iter().zip(after);
            if daemons.any(|(daemon, lines)| daemon.as_ref().is_some_and(|daemon| is_quiet_after(daemon, lines))) {
                return true;
            }
        }
        false
    }
}

/// Whether a daemon ends a run, begun after these lines, after which nothing waits. Listens for a moment.
pub(super) fn is_quiet_after(daemon: &Running, lines: usize) -> bool {
    let started: Vec<String> = daemon.log_after(lines).iter().filter_map(|line| started(line)).collect();
    let quiet = |line: &str| is_quiet(line) && run_of(line).is_some_and(|run| started.contains(&run));
    daemon.find_log_after(lines, TURN, quiet).is_ok()
}

/// Whether the last that these lines tell of a run is its begin.
pub(super) fn is_at_work<T: AsRef<str>>(lines: &[T]) -> bool {
    let told = |line: &&T| ["\"run.started\"", "\"run.finished\""].iter().any(|event| line.as_ref().contains(event));
    lines.iter().rev().find(told).is_some_and(|line| started(line.as_ref()).is_some())
}

/// The run whose begin a line tells.
pub(super) fn started(line: &str) -> Option<String> {
    line.contains("\"run.started\"").then(|| run_of(line)).flatten()
}

fn run_of(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.get("fields").unwrap_or(&line).get("run").map(ToString::to_string)
}
