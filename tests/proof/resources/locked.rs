//! Another process holds the state file's write lock, as a backup tool or somebody's shell does.

use std::time::Duration;

use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    Plan,
    stage::{PATIENCE, Stage, Warehouse, complaint, wait},
};
use crate::{
    report::Report,
    support::pair::{Options, is_quiet},
};

/// The daemon waits, and goes on by itself when the lock is gone.
pub(super) fn run(plan: &Plan) -> Report {
    let options = Options { simulator: &["--latency", "100ms"], ..Options::default() };
    let mut stage = Stage::new(plan, plan.rows, Warehouse::Sqlite, &options);
    let mut report = Report::new();
    stage.settle();
    stage.judge(0, &mut report);
    for round in 0..plan.rounds {
        stage.mutate();
        let daemon = stage.pair.workspace.start(&plan.arguments(&["run"]));
        let begun = stage.rng.u32(1..=4);
        stage.pair.sim.get(&format!("wait?requests={begun}"));
        let lock = lock(&stage, if round % 2 == 0 { "begin exclusive" } else { "begin immediate" });
        let logged = daemon.log_lines();
        // Not a sleep: an end of the daemon is noticed at once.
        let waited = !daemon.ends_within(plan.held);
        unlock(lock);
        report.add("rounds", 1);
        report.add("waited", u64::from(waited));
        let quiet = daemon.find_log_after(logged, PATIENCE, is_quiet).is_ok();
        let ended = daemon.terminate();
        let said = complaint(&ended.stderr);
        report.demand(waited && quiet, format!("the daemon did not go on by itself: {said}"));
        report.demand(ended.code == Some(0), format!("exit code {:?}: {said}", ended.code));
        stage.ends_right(u64::from(!waited), &mut report);
    }
    report
}

/// A connection that holds the lock.
fn lock(stage: &Stage, sql: &'static str) -> (tokio::runtime::Runtime, SqliteConnection) {
    let path = stage.pair.workspace.path("data/state.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    let connection = runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(60));
        let mut connection = options.connect().await.expect("the state can be opened");
        sqlx::query(sql).execute(&mut connection).await.expect("the lock is free now and then");
        connection
    });
    (runtime, connection)
}

fn unlock((runtime, mut connection): (tokio::runtime::Runtime, SqliteConnection)) {
    runtime.block_on(async {
        sqlx::query("rollback").execute(&mut connection).await.expect("the lock can be given back");
    });
    // On a thread of its own the driver still closes the file.
    drop(connection);
    wait(async {});
}
