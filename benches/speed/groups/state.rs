//! The state: its size for each row, and how long a durable commit takes.

use serde_json::json;
use syncline::{
    model::{
        BatchKey, Entry, Fingerprint, Key, KeyKind, Operation, RunId, SyncId, Timestamp, Value, encode_part,
        spec::KeyShape,
    },
    state::{
        Access, BegunRun, End, IntentMember, Location, NewIntent, NewSync, OpenOptions, Settle, SettleRow, State,
        Target,
    },
};
use tokio::time::Instant;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, SYNC, Warehouse},
    table::{Line, Table},
    wait,
};

pub(crate) const GROUP: Group = Group { name: "state", about: "bytes a row, and durable commits", run: state };

/// Operations of a batch.
const BATCH: i64 = 100;
/// Batches that wait for their intents at once.
const IN_FLIGHT: i64 = 8;

fn state(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows;
    for (kind, key, most) in [("16-byte", "md5(id::text)::uuid", 48.0), ("integer", "id", 32.0)] {
        let bed = Bed::new(Warehouse::postgres(), &json_rows(key));
        bed.sql(&format!(
            "create table small as select i as id, i as value from generate_series(1, {rows}::bigint) g(i)"
        ));
        bed.backfill("rows", rows);
        let bytes = bed.state_bytes();
        let line = Line::at_most(
            format!("state of {rows} rows, {kind} keys"),
            bytes as f64 / rows as f64,
            most,
            "bytes a row",
        );
        table.add(line.with(json!({ "bytes": bytes })));
    }
    let bed = Bed::customers(Warehouse::postgres(), rows);
    bed.backfill(SYNC, rows);
    let a_row = bed.state_bytes() as f64 / rows as f64;
    table.add(Line::new(
        "the same with HubSpot's record ids and owners, integer keys",
        format!("{a_row:.2} bytes a row"),
    ));
    wait(commits(i64::try_from(rows).expect("a small number"), table));
}

/// Two columns to a JSON endpoint that tells no record ids.
fn json_rows(key: &str) -> String {
    format!(
        r#"
[models.rows]
source = "warehouse"
primary_key = "id"
sql = "select {key} as id, value from small"
[destinations.api]
type = "http"
base_url = "URL"
token = {{ env = "CRM_TOKEN" }}
allow_private = ["127.0.0.1/32"]
path = "/rows"
batch_size = 1000
limits = {{ requests = 1_000_000, per = "10s" }}
[syncs.rows]
model = "rows"
destination = "api"
object = "rows"
match = "id"
[syncs.rows.fields]
id = {{ column = "id", as = "text" }}
value = "value"
"#
    )
}

/// Times each wait for a batch's intents while batches are in flight, as delivery does, and settles them.
async fn commits(entries: i64, table: &mut Table) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = OpenOptions::new(Location::Sqlite(folder.path().join("state.db")), Access::Runner);
    let state = State::open(options).await.expect("a state");
    let sync = state.register_sync(registration()).await.expect("a sync").id;
    let begun = state.begin_run(sync, "bench").await.expect("a run");
    let began = Instant::now();
    let lanes = (0..IN_FLIGHT).map(|lane| settle_lane(&state, sync, &begun, lane, entries));
    let waits: Vec<f64> = futures_util::future::join_all(lanes).await.concat();
    state.writer().flush().await.expect("durable");
    let rate = entries as f64 / began.elapsed().as_secs_f64();
    let (p50, p99) = (quantile(&waits, 0.50), quantile(&waits, 0.99));
    let figures = json!({ "commits": state.writer().commits(), "batches": waits.len(), "entries_per_s": rate });
    table.add(Line::at_most("durable commit, p50", p50, 8.0, "ms").with(figures));
    table.add(Line::at_most("durable commit, p99", p99, 25.0, "ms"));
    table.add(Line::new(
        format!("{entries} entries settled in batches of {BATCH}, 8 in flight"),
        format!("{rate:.0} entries/s"),
    ));
    for pass in ["first", "second"] {
        table.add(Line::new(format!("{pass} pass of the overlay"), format!("{:.3} s", overlay(&state, sync).await)));
    }
    state.close().await.expect("a clean end");
}

fn registration() -> NewSync {
    let key = KeyShape { columns: vec!["id".to_owned()], kinds: vec![KeyKind::Integer] };
    let target =
        Target { destination: "http".to_owned(), account: None, object: "o".to_owned(), match_fields: vec![], key };
    NewSync { name: "bench".to_owned(), target, mapping: None }
}

/// Every eighth batch, one after the other; milliseconds of each wait.
async fn settle_lane(state: &State, sync: SyncId, begun: &BegunRun, lane: i64, entries: i64) -> Vec<f64> {
    let mut waits = Vec::new();
    for first in (lane * BATCH..entries).step_by(usize::try_from(BATCH * IN_FLIGHT).expect("a small number")) {
        let began = Instant::now();
        let batch = state.writer().intend(intent(sync, begun, first)).await.expect("durable");
        waits.push(began.elapsed().as_secs_f64() * 1000.0);
        let rows = (0..BATCH as u32).map(|position| delivered(position, begun.run)).collect();
        // Nobody waits for it: the next intent's commit, or the flush, makes it durable.
        drop(state.writer().settle(Settle { batch, rows }));
    }
    waits
}

fn intent(sync: SyncId, begun: &BegunRun, first: i64) -> NewIntent {
    let members = (first..first + BATCH).map(|number| IntentMember {
        key: key(number),
        operation: Operation::Upsert,
        fingerprint: Some(Fingerprint::from_bytes([7; 16])),
        correlation: 0,
        record_id: None,
        match_value: None,
    });
    let batch_key = BatchKey { idempotency: 1, members: BATCH as u32 };
    let send_before = Timestamp::from_micros(i64::MAX);
    NewIntent {
        sync,
        run: begun.run,
        epoch: begun.epoch,
        send_before,
        batch_key,
        members: members.collect(),
        grants: vec![],
    }
}

fn delivered(position: u32, run: RunId) -> SettleRow {
    let entry = Entry {
        fingerprint: Fingerprint::from_bytes([7; 16]),
        encoding: 1,
        run,
        tombstone: false,
        match_hash: None,
        record_id: None,
        cursor: None,
    };
    SettleRow { position, loaded: vec![], end: End::Put { entry, owners: vec![], quiet_until: None } }
}

fn key(number: i64) -> Key {
    let mut bytes = Vec::new();
    encode_part(Value::Int(number), KeyKind::Integer, 0, &mut bytes).expect("a key");
    Key::from_encoded(&bytes)
}

async fn overlay(state: &State, sync: SyncId) -> f64 {
    let began = Instant::now();
    let mut overlay = state.overlay(sync);
    while overlay.next().await.expect("a whole state").is_some() {}
    began.elapsed().as_secs_f64()
}

fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}
