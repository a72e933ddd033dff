//! The state's PostgreSQL server is stopped in mid-run and started again.

use std::time::Duration;

use super::{
    Plan,
    stage::{PATIENCE, Stage, Warehouse, complaint},
};
use crate::{
    report::Report,
    support::{
        OwnServer,
        pair::{Options, SYNC, is_quiet},
    },
};

/// How the server goes, and for how long it is away.
const STOPS: &[(&str, Duration)] = &[
    ("immediate", Duration::from_secs(2)),
    ("fast", Duration::ZERO),
    ("fast", Duration::from_secs(8)),
    ("immediate", Duration::ZERO),
    ("immediate", Duration::from_secs(30)),
];

/// An absence that reads wait for.
const SHORT: Duration = Duration::from_secs(5);

/// A short absence is waited for; after a long one the daemon has stopped (promise P7) and says why.
pub(super) fn run(plan: &Plan) -> Report {
    let mut server = OwnServer::start_new();
    let url = server.database.url.clone();
    let options = Options { simulator: &["--latency", "100ms"], state_url: &url, ..Options::default() };
    let mut stage = Stage::new(plan, plan.rows, Warehouse::Sqlite, &options);
    let mut report = Report::new();
    stage.settle();
    stage.judge(0, &mut report);
    let stops = STOPS.iter().cycle().take(usize::try_from(plan.rounds).expect("fewer rounds"));
    for (mode, away) in stops {
        stage.mutate();
        stop_in_mid_run(plan, &mut stage, &mut server, mode, *away, &mut report);
        stage.mutate();
        stage.ends_right(1, &mut report);
        report.add("rounds", 1);
    }
    report
}

fn stop_in_mid_run(
    plan: &Plan,
    stage: &mut Stage,
    server: &mut OwnServer,
    mode: &str,
    away: Duration,
    report: &mut Report,
) {
    let daemon = stage.pair.workspace.start(&plan.arguments(&["run"]));
    let begun = stage.rng.u32(1..=4);
    stage.pair.sim.get(&format!("wait?requests={begun}"));
    server.stop(mode);
    let down = daemon.log_lines();
    let mut ended = daemon.ends_within(away);
    if away >= Duration::from_secs(2) {
        refuses_to_begin(plan, stage, report);
    }
    server.start();
    if !ended {
        // Either it goes on by itself, or it finds out now that it cannot.
        let quiet = daemon.find_log_after(down, PATIENCE, is_quiet).is_ok();
        ended = !quiet && daemon.ends_within(Duration::from_secs(10));
        report.demand(quiet || ended, format!("after `stop {mode}` it neither went on nor ended"));
    }
    let finished = daemon.terminate();
    let said = complaint(&finished.stderr);
    if ended {
        report.add("stopped_itself", 1);
        report.say("said", &said);
        report.demand(finished.code == Some(1), format!("exit code {:?}: {said}", finished.code));
        report.demand(said.contains("hint:"), format!("no advice: {said}"));
        // Only a commit whose answer was lost may not be repeated.
        let needless = away < SHORT && ["cannot read", "cannot look for"].iter().any(|words| said.contains(words));
        report.demand(!needless, format!("a read after a short absence ended the daemon: {said}"));
    } else {
        report.add("went_on", 1);
        report.demand(finished.code == Some(0), format!("exit code {:?}: {said}", finished.code));
    }
}

/// Without its state a command sends nothing.
fn refuses_to_begin(plan: &Plan, stage: &Stage, report: &mut Report) {
    let ended = stage.pair.workspace.syncline(&plan.arguments(&["sync", SYNC]));
    let said = complaint(&ended.stderr);
    report.say("refused", &said);
    report.demand(ended.code == Some(1) && said.contains("hint:"), format!("{:?}: {said}", ended.code));
}
