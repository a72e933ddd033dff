//! Many small syncs on one daemon.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, DESTINATION, Warehouse},
    daemon::Daemon,
    sample::{cpu_of, peak_kib},
    table::{Line, Table},
    wait,
};

pub(crate) const GROUP: Group = Group { name: "many", about: "500 syncs every minute on one daemon", run: many };

/// Rows of each sync.
const ROWS: u64 = 1_000;
const INTERVAL: Duration = Duration::from_secs(60);
/// Longest wait for the first runs.
const PATIENCE: Duration = Duration::from_secs(300);

fn many(arguments: &Arguments, table: &mut Table) {
    let syncs = arguments.syncs;
    let bed = Bed::new(Warehouse::postgres(), "");
    bed.sql(&format!(
        "create table people as select i % {syncs} as part, i as id, 'p' || i || '@example.com' as email, i % 1000 as seats
         from generate_series(0, {}::bigint - 1) g(i); create index on people (part, id); vacuum analyze people",
        syncs * ROWS
    ));
    bed.configure(&configuration(syncs).replace("URL", &bed.sink.url));
    let daemon = Daemon::start(&bed.workspace);
    let all = |lines: &[String]| lines.iter().filter(|line| line.contains("\"run.finished\"")).count() as u64 >= syncs;
    assert!(daemon.process.wait_for_logs(PATIENCE, all), "the first runs never ended");
    assert_eq!(bed.sink.count("distinct"), syncs * ROWS, "every row is there");
    let (began, before) = (Instant::now(), cpu_of(daemon.process.id()));
    let minutes = u32::try_from(arguments.minutes).expect("some minutes");
    wait(async { tokio::time::sleep(INTERVAL * minutes).await });
    let share = (cpu_of(daemon.process.id()) - before) / began.elapsed().as_secs_f64();
    let peak = peak_kib(daemon.process.id()).expect("a running daemon") as f64 / 1024.0;
    let (missed, latest) = ticks(&daemon, syncs, arguments.minutes);
    daemon.process.terminate().expect(0);
    let what = format!("{syncs} syncs of {ROWS} rows, every minute, {} minutes", arguments.minutes);
    let line = Line::new(format!("{what}: ticks missed"), missed.to_string()).aim("0", missed == 0);
    table.add(line.with(json!({ "latest_start_s": latest })));
    table.add(Line::new("latest start after its time", format!("{latest:.2} s")));
    table.add(Line::at_most("processor time of the daemon", share, 1.0, "cores"));
    table.add(Line::at_most("peak memory of the daemon", peak, 200.0, "MiB"));
}

/// Times without a run, and by how much the latest run came late, in seconds.
fn ticks(daemon: &Daemon, syncs: u64, minutes: u64) -> (u64, f64) {
    let runs = daemon.by_sync("run.started");
    assert_eq!(runs.len() as u64, syncs);
    let (mut missed, mut latest) = (0, 0.0_f64);
    for runs in runs.values() {
        let due: Vec<f64> = runs.iter().filter_map(|run| seconds(&run["due"])).collect();
        // The first run was before the measurement; then one for each minute, between which none is left out.
        missed += (minutes + 1).saturating_sub(due.len() as u64);
        let late = runs.iter().skip(1).filter_map(|run| Some(seconds(&run["timestamp"])? - seconds(&run["due"])?));
        latest = late.fold(latest, f64::max);
    }
    (missed, latest)
}

fn seconds(time: &Value) -> Option<f64> {
    let at: jiff::Timestamp = time.as_str()?.parse().ok()?;
    Some(at.as_microsecond() as f64 / 1e6)
}

fn configuration(syncs: u64) -> String {
    let mut body = DESTINATION.to_owned();
    for sync in 0..syncs {
        body += &format!(
            r#"
[models.people-{sync}]
source = "warehouse"
primary_key = "id"
sql = "select id, email, seats from people where part = {sync}"
[syncs.people-{sync}]
model = "people-{sync}"
destination = "crm"
object = "p1_people{sync}"
match = "email"
schedule = {{ every = "1m" }}
[syncs.people-{sync}.fields]
email = "email"
seats = "seats"
"#
        );
    }
    body
}
