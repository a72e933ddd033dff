//! Kill -9 at random moments and at boundaries, the model flipping between the runs; compared at every quiet point (promises P1 to P5).

mod figures;
mod lane;

use figures::Figures;
use lane::{Execute, Lane, Program};

use crate::{
    Proof,
    arguments::Arguments,
    report::Report,
    support::{
        Workspace, mariadb,
        pair::{Audit, Options, database},
        postgres,
    },
};

/// Re-sends after one crash (promise P3): two workers and as many batches written ahead, of 100 rows each.
const RESENDS: u64 = (2 + 2) * 100;
/// Lanes at once, unless `--lanes` says otherwise: most of their time goes into waiting for intents to end.
const LANES: u64 = 8;

/// Life of the intents, so that a recovery takes seconds; without the feature `proof` they live for 30.
const LIFE: [&str; 2] = ["--intent-life", "3"];

/// `kill9 --n KILLS --state sqlite|postgres --source sqlite|postgres|mariadb --rows R --lanes N --rule RULE`.
pub(crate) const PROOF: Proof = Proof {
    name: "kill9",
    about: "kill -9 at random moments, then nothing is wrong, missing or orphaned",
    small: &["--seed", "1", "--n", "8"],
    run,
};

fn run(arguments: &Arguments) -> Report {
    let (kills, rows) = (arguments.number("n", 50), arguments.number("rows", 500));
    let (source, state) = (arguments.text("source").unwrap_or("sqlite"), arguments.text("state").unwrap_or("sqlite"));
    let rows = u32::try_from(rows).expect("fewer rows");
    let program = program(arguments.text("rule"));
    let wide = arguments.number("lanes", LANES);
    let sum = lanes(kills, wide, arguments.seed(), |seed| lane(source, state, program.clone(), rows, seed));
    judge(&sum, kills)
}

/// A release build knows no failpoints, and its intents live as long as they do.
fn program(rule: Option<&str>) -> Program {
    let has_failpoints = Workspace::new().syncline(&[&LIFE[..], &["completions", "bash"]].concat()).code == Some(0);
    let life = LIFE.iter().copied().filter(|_| has_failpoints);
    let broken = rule.map(|rule| ["--break-rule", rule]);
    let arguments = life.chain(broken.into_iter().flatten()).map(str::to_owned).collect();
    Program { arguments, has_failpoints, is_broken: rule.is_some() }
}

fn judge(sum: &Figures, kills: u64) -> Report {
    let mut report = Report::new();
    report.figure("kills", sum.kills);
    report.figure("kills_at_boundaries", sum.at_boundaries);
    report.figure("checks", sum.checks);
    report.figure("wrong", sum.audit.wrong);
    report.figure("missing", sum.audit.missing);
    report.figure("orphans", sum.audit.orphans);
    report.figure("overlaps", sum.overlaps);
    report.figure("writes", sum.writes);
    report.figure("resends", sum.identical);
    report.figure("resend_bound", sum.kills * RESENDS);
    report.demand(sum.kills >= kills && sum.checks > 0, "too few kills hit a run under way");
    report.demand(
        sum.audit == Audit::default(),
        format!("{} of {} checks found a difference", sum.failed_checks, sum.checks),
    );
    report.demand(sum.unclean == 0, format!("{} quiet points left the state unclean", sum.unclean));
    report.demand(sum.identical <= sum.kills * RESENDS, "more re-sends than P3 allows");
    report.demand(sum.overlaps == 0, "two operations of one key were in flight");
    report
}

/// Runs lanes side by side.
fn lanes(kills: u64, wide: u64, seed: u64, make: impl Fn(u64) -> Lane + Sync) -> Figures {
    let lanes = (kills / 2).clamp(1, wide.max(1));
    let mut sum = Figures::default();
    std::thread::scope(|scope| {
        let make = &make;
        let run = |lane: u64| {
            let share = kills / lanes + u64::from(lane < kills % lanes);
            scope.spawn(move || make(seed.wrapping_add(lane)).run(share))
        };
        let running: Vec<_> = (0..lanes).map(run).collect();
        for lane in running {
            match lane.join() {
                Ok(figures) => sum.add(&figures),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    sum
}

/// A lane over the databases of these names.
fn lane(source: &str, state: &str, program: Program, rows: u32, seed: u64) -> Lane {
    let state_url = match state {
        "sqlite" => String::new(),
        "postgres" => database().url,
        other => panic!("--state: expected sqlite or postgres, got {other}"),
    };
    let (settings, url, execute) = warehouse(source);
    let options = Options { source: settings, warehouse_url: &url, state_url: &state_url, ..Options::default() };
    Lane::new(&options, execute, program, rows, seed)
}

/// The configuration of a source, its address, and what runs statements on it.
fn warehouse(source: &str) -> (&'static str, String, Option<Execute>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    match source {
        "sqlite" => (Options::default().source, String::new(), None),
        "postgres" => {
            let database = runtime.block_on(postgres());
            let url = database.url.clone();
            let execute: Execute = Box::new(move |sql| runtime.block_on(database.execute(sql)));
            ("type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }", url, Some(execute))
        }
        "mariadb" => {
            let database = runtime.block_on(mariadb());
            let url = database.url.clone();
            let execute: Execute = Box::new(move |sql| runtime.block_on(database.execute(sql)));
            ("type = \"mysql\"\nurl = { env = \"WAREHOUSE_URL\" }", url, Some(execute))
        }
        other => panic!("--source: expected sqlite, postgres or mariadb, got {other}"),
    }
}
