//! Too few file handles for a daemon with several syncs.

use std::time::Duration;

use super::{
    Plan,
    stage::{PATIENCE, Stage, Warehouse, complaint},
};
use crate::{
    report::Report,
    support::{
        Running,
        pair::{Options, SYNC, is_quiet},
    },
};

/// Syncs that run at once, each of its share of the rows.
const SYNCS: u32 = 6;
/// Handles that a process may have; with the first it cannot even begin.
const HANDLES: &[u32] = &[20, 32, 12, 16, 24, 28, 40, 8, 48, 64];
/// How long a daemon that is short of handles is left to itself.
const LEFT_ALONE: Duration = Duration::from_secs(4);
/// What says that there are too few.
const WORDS: &[&str] = &["too many open files", "os error 24", "unable to open database file", "file handle"];

/// Whatever fails says why and loses nothing; with enough handles all of it goes on.
pub(super) fn run(plan: &Plan) -> Report {
    let options = Options { vendor: "http", settings: "first_run = \"backfill\"", ..Options::default() };
    let mut stage = Stage::new(plan, plan.rows / 3, Warehouse::Sqlite, &options);
    stage.sql(&format!("drop view m; create view m as select id, email, plan from base where id % {SYNCS} = 0"));
    stage.pair.workspace.write("config/more.toml", &more_syncs());
    let mut report = Report::new();
    settle(&stage, &mut report);
    stage.judge(0, &mut report);
    let rounds = usize::try_from(plan.rounds * 3).expect("fewer rounds");
    for handles in HANDLES.iter().cycle().take(rounds).map(|handles| plan.handles.unwrap_or(*handles)) {
        stage.mutate();
        let first = format!("ulimit -n {handles}");
        let daemon = stage.pair.workspace.start_after(&first, &plan.arguments(&["run"]));
        daemon.ends_within(LEFT_ALONE);
        let ended = daemon.terminate();
        let (said, lower) = (complaint(&ended.stderr), ended.stderr.to_lowercase());
        let short = WORDS.iter().any(|word| lower.contains(word));
        report.demand(!lower.contains("panicked"), format!("with {handles} handles: a panic: {said}"));
        report.demand(
            matches!(ended.code, Some(0 | 1)),
            format!("with {handles} handles: exit code {:?}: {said}", ended.code),
        );
        report.demand(short || ended.code == Some(0), format!("with {handles} handles: no clear message: {said}"));
        if short {
            report.add("short_of_handles", 1);
            report.say("said", &format!("with {handles}: {}", said.chars().take(600).collect::<String>()));
        }
        report.add("rounds", 1);
        settle(&stage, &mut report);
        let found = stage.audit();
        report.demand(found == Default::default(), format!("after {handles} handles: {found:?}"));
        stage.judge(u64::from(SYNCS), &mut report);
        if !report.passed() {
            // The next rounds would find it again.
            return report;
        }
    }
    report.demand(rounds < 3 || report.has("short_of_handles"), "no daemon was ever short of handles");
    report
}

/// A daemon with enough handles, until every sync is quiet.
fn settle(stage: &Stage, report: &mut Report) {
    let daemon = stage.pair.workspace.start(&["run"]);
    let names = std::iter::once(SYNC.to_owned()).chain((1..SYNCS).map(sync_name));
    let quiet = names.filter(|name| is_quiet_of(&daemon, name)).count();
    report.demand(quiet == SYNCS as usize, format!("only {quiet} of {SYNCS} syncs became quiet"));
    daemon.terminate().expect(0);
}

fn is_quiet_of(daemon: &Running, name: &str) -> bool {
    let wanted = format!("\"{name}\"");
    daemon.find_log(PATIENCE, |line| line.contains(&wanted) && is_quiet(line)).is_ok()
}

fn sync_name(number: u32) -> String {
    format!("share-{number}")
}

fn more_syncs() -> String {
    let sync = |number: u32| {
        let name = sync_name(number);
        format!(
            r#"
[models.{name}]
source = "warehouse"
primary_key = "id"
sql = "select id, email, plan from base where id % {SYNCS} = {number}"
[syncs.{name}]
model = "{name}"
destination = "crm"
object = "records"
match = "model_id"
mode = "mirror"
late_window = "3s"
first_run = "backfill"
guard = {{ max_removed = "100%", max_changed = "100%", max_added = "100%" }}
[syncs.{name}.fields]
model_id = "id"
email = "email"
plan = "plan"
"#
        )
    };
    (1..SYNCS).map(sync).collect()
}
