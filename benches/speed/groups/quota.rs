//! How much of what a vendor grants is used, and whether it is ever more.

use std::{
    io::Write as _,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::latency::people;
use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, Warehouse},
    support::{Sim, TOKEN},
    table::{Line, Table},
    wait,
};

pub(crate) const GROUP: Group =
    Group { name: "quota", about: "share of a vendor's quota that is used, alone and beside a stranger", run: quota };

/// A vendor's window, and what is aimed at.
#[derive(Clone, Copy)]
struct Quota {
    limit: u64,
    seconds: u64,
    /// Requests in flight at once, at most.
    concurrent: u64,
    /// The least share in percent.
    aim: f64,
}

const QUOTAS: [Quota; 4] = [
    Quota { limit: 100, seconds: 10, concurrent: 1000, aim: 98.0 },
    Quota { limit: 190, seconds: 10, concurrent: 1000, aim: 98.0 },
    Quota { limit: 10, seconds: 1, concurrent: 1000, aim: 97.0 },
    Quota { limit: 5, seconds: 1, concurrent: 10, aim: 97.0 },
];
const SYNC: &str = "people-to-crm";
/// Where the stranger goes: nobody else asks for it.
const STRANGERS_PATH: &str = "/crm/v3/properties/contacts";
/// Of the vendor's requests, those that the stranger takes.
const STRANGERS_SHARE: f64 = 0.3;

/// All at once: each of them waits for nearly all of its time.
fn quota(arguments: &Arguments, table: &mut Table) {
    let cases = QUOTAS.iter().flat_map(|quota| ["50ms", "500ms"].map(|latency| (*quota, latency)));
    let (lines, shared) = std::thread::scope(|scope| {
        let alone: Vec<_> =
            cases.map(|(quota, latency)| scope.spawn(move || alone(quota, latency, arguments.backlog))).collect();
        let shared = scope.spawn(|| beside_a_stranger(QUOTAS[0], arguments.backlog));
        let lines: Vec<Line> = alone.into_iter().filter_map(|case| case.join().ok()).collect();
        (lines, shared.join().expect("the measurement beside a stranger"))
    });
    assert_eq!(lines.len(), 2 * QUOTAS.len(), "a measurement failed, see above");
    lines.into_iter().chain(shared).for_each(|line| table.add(line));
}

/// Whole windows, and one request more, which leaves as soon as the windows are over.
fn alone(quota: Quota, latency: &str, backlog: u64) -> Line {
    let windows = backlog / quota.seconds;
    let requests = quota.limit * windows + 1;
    let (bed, sim) = bed(quota, latency, 1, requests);
    let run = bed.sync(&[SYNC]);
    assert_eq!(run.count("delivered"), requests);
    let judged = |pointer: &str| judged(&sim, pointer);
    let took = (judged("/requests/last_allowed_us") - judged("/requests/first_arrival_us")) as f64 / 1e6;
    let share = 100.0 * (windows * quota.seconds) as f64 / took;
    let (too_many, fullest) = (judged("/requests/too_many"), judged("/windows/0/max_arrived"));
    let what = format!("{requests} requests, {} per {} s, {latency}", quota.limit, quota.seconds);
    let ours = format!("{share:.2} %, {too_many} x 429, fullest window {fullest} of {}", quota.limit);
    let met = share >= quota.aim && too_many == 0 && fullest <= quota.limit;
    let figures = json!({ "share": share, "took_s": took, "too_many": too_many, "fullest": fullest });
    Line::new(what, ours).aim(format!(">= {} %, no 429", quota.aim), met).with(figures)
}

/// The stranger takes its share at random; what it leaves is ours.
fn beside_a_stranger(quota: Quota, backlog: u64) -> [Line; 2] {
    const BATCH: u64 = 100;
    let requests = quota.limit * (backlog / quota.seconds);
    let (bed, sim) = bed(quota, "50ms", BATCH, requests);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| wait(stranger(&sim.url, quota, &stop)));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bed.sync(&[SYNC])));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ended.expect("the run").count("delivered"), requests * BATCH);
    });
    judge_shared(quota, &sim.get("requests"))
}

/// Over whole windows from our first batch on, in which the vendor grants the limit each and not one more.
fn judge_shared(quota: Quota, requests: &Value) -> [Line; 2] {
    let all: Vec<&Value> = requests.as_array().into_iter().flatten().collect();
    let is = |request: &Value, end: &str| request["path"].as_str().is_some_and(|path| path.ends_with(end));
    let at = |request: &Value| request["arrival_us"].as_f64().unwrap_or(0.0) / 1e6;
    let ours: Vec<&Value> = all.iter().copied().filter(|request| is(request, "/batch/upsert")).collect();
    let (first, last) = (at(ours[0]), at(ours[ours.len() - 1]));
    let windows = ((last - first) / quota.seconds as f64).floor().max(1.0);
    let end = first + windows * quota.seconds as f64;
    let granted = |request: &&&Value| request["status"] != 429 && (first..end).contains(&at(request));
    let (taken, used) = (
        all.iter().filter(|request| is(request, STRANGERS_PATH)).filter(granted).count() as f64,
        ours.iter().filter(granted).count() as f64,
    );
    let share = 100.0 * used / (windows * quota.limit as f64 - taken);
    let refused = ours.iter().filter(|request| request["status"] == 429).count();
    let refusals = 100.0 * refused as f64 / ours.len() as f64;
    let what = format!("beside a stranger that took {taken} of {} requests", windows * quota.limit as f64);
    let figures = json!({ "share": share, "ours": used, "stranger": taken, "windows": windows, "refused": refused });
    [
        Line::at_least(format!("share of what is left {what}"), share, 95.0, "%").with(figures),
        Line::at_most("429s among our requests beside the stranger", refusals, 1.0, "%"),
    ]
}

/// Asks at random times until told to stop, and again at once where it is refused: it takes what it wants.
async fn stranger(url: &str, quota: Quota, stop: &AtomicBool) {
    let rate = STRANGERS_SHARE * quota.limit as f64 / quota.seconds as f64;
    let mut random = fastrand::Rng::with_seed(7);
    let start = tokio::time::Instant::now();
    let mut next = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        // Times between independent requests are distributed exponentially.
        next += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        tokio::time::sleep_until(start + next).await;
        while !stop.load(Ordering::Relaxed) && !takes_one(url) {
            tokio::time::sleep(Duration::from_millis(random.u64(5..35))).await;
        }
    }
}

/// Whether the vendor grants the stranger one more request.
fn takes_one(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the simulator");
    write!(
        stream,
        "GET {STRANGERS_PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = Vec::new();
    drop(std::io::Read::read_to_end(&mut stream, &mut answer));
    !answer.starts_with(b"HTTP/1.1 429")
}

/// HubSpot for batches, any JSON endpoint for single rows; so many requests to send.
fn bed(quota: Quota, latency: &str, batch: u64, requests: u64) -> (Bed, Sim) {
    let vendor = if batch == 1 { "http" } else { "hubspot" };
    let limit = format!("{}/{}s", quota.limit, quota.seconds);
    let common = ["--limit", &limit, "--latency", latency, "--history", "0"];
    let (key, path): (&[&str], _) =
        if batch == 1 { (&["--key-pointer", "/email"], "path = \"/v1/{object}\"") } else { (&[], "") };
    let sim = Sim::start(vendor, &[&common, key].concat());
    let Quota { limit, seconds, concurrent, .. } = quota;
    let body = format!(
        r#"
[models.people]
source = "warehouse"
primary_key = "id"
table = "people"
[destinations.crm]
type = "{vendor}"
base_url = "{}"
token = {{ env = "CRM_TOKEN" }}
allow_private = ["127.0.0.1/32"]
limits = {{ requests = {limit}, per = "{seconds}s", concurrent = {concurrent} }}
{path}
[syncs.{SYNC}]
model = "people"
destination = "crm"
object = "contacts"
match = "email"
[syncs.{SYNC}.fields]
email = "email"
firstname = "firstname"
"#,
        sim.url
    );
    let bed = Bed::new(Warehouse::Sqlite, "");
    bed.sql(&people(requests * batch));
    bed.configure(&body);
    // Few batches in flight would be another limit than the one that is measured.
    let path = bed.workspace.path("config/syncline.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    bed.workspace.write("config/syncline.toml", &text.replace("workers_per_run = 8", "workers_per_run = 32"));
    (bed, sim)
}

#[track_caller]
fn judged(sim: &Sim, pointer: &str) -> u64 {
    let report = sim.get("report");
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {report}"))
}
