//! Access tokens at work: runs longer than a token's life, refresh tokens that rotate, a kill in between, a grant that is
//! revoked, and no secret left anywhere.

use std::{fs, path::Path};

use super::world::{Warehouse, World};
use crate::support::{Finished, Sim};

const CLIENT: &str = "client-1:canary-client-secret";
/// What the vendor, the simulator and the configuration hold in secret, and the tokens that are given out.
const SECRETS: [&str; 4] = ["canary-client-secret", "canary-first-refresh", "simulated-access-", "simulated-refresh-"];

#[test]
fn a_run_longer_than_the_tokens_life_delivers_everything() {
    let sim = Sim::start("http", &["--oauth-client", CLIENT, "--token-life", "2s", "--limit", "20/1s"]);
    let world = world(sim, API, "id", 140);
    let sent = world.sync("rows", 0);
    assert_eq!(sent.counts(["added", "delivered"]), [140; 2]);
    assert_eq!(world.live("records"), 140);
    let (tokens, refused) = (world.judged("/tokens/requests"), world.judged("/tokens/unauthorized"));
    println!("  {tokens} tokens, {refused} times 401");
    // 140 requests at 20 a second take 6 s at least; a token is used for 1.4 to 1.8 s of its life.
    assert!((3..=15).contains(&tokens) && refused <= tokens, "{tokens} tokens, {refused} times 401");
}

#[test]
fn a_rotated_refresh_token_survives_a_kill() {
    let world = hubspot(&["--latency", "200ms"], 1500);
    let killed = world.workspace.start(&["sync", "rows"]);
    // The token, the account, and two batches at least.
    world.wait_for_requests(4);
    let killed = killed.kill();
    assert_eq!(world.judged("/tokens/rotated"), 1);
    let sent = world.sync("rows", 0);
    println!("  after the kill: {} delivered", sent.count("delivered"));
    assert_eq!(world.live("contacts"), 1500);
    // `check` refreshes too: it must not void the token of the next run.
    let checked = world.workspace.syncline(&["check"]).expect(0);
    world.sql("update rows set name = 'again'");
    world.sync("rows", 0);
    assert_eq!(world.judged("/tokens/rotated"), 4);
    assert_eq!((world.judged("/tokens/refused"), world.judged("/tokens/unauthorized")), (0, 0));
    look_for_secrets(&world, &[killed, checked]);
}

#[test]
fn a_revoked_token_is_renewed_and_a_revoked_grant_ends_the_run_with_advice() {
    let world = hubspot(&[], 300);
    let daemon = world.daemon();
    world.sync("rows", 0);
    world.sim.post("revoke", "{}");
    world.sql("update rows set name = 'again'");
    world.sync("rows", 0);
    assert_eq!((world.judged("/tokens/rotated"), world.judged("/tokens/refused")), (2, 0));
    world.sim.post("revoke", r#"{"grant": true}"#);
    // It echoes what it was sent.
    let body = r#"{"error": "canary-client-secret", "error_description": "canary-first-refresh simulated-refresh-2"}"#;
    let echo = r#"[{"match": {"path_contains": "/oauth"}, "action": {"status": {"code": 401, "body": BODY}}}]"#;
    world.sim.post("faults", &echo.replace("BODY", body));
    world.sql("update rows set name = 'and again'");
    let mut ended = Vec::new();
    for _ in 0..2 {
        let failed = world.workspace.syncline(&["sync", "rows", "--output", "json"]).expect(1);
        let hint = "renew the credentials; the next run reads them again";
        assert!(failed.stdout.contains(hint), "{}{}", failed.stdout, failed.stderr);
        ended.push(failed);
    }
    let refreshes = world.judged("/faults/status");
    let daemon = daemon.terminate().expect(0);
    assert_eq!(refreshes, 1, "a dead grant is not asked for again: {}", daemon.stderr);
    for event in ["token.refreshed", "token.failed", "hold.opened", "credentials.refused"] {
        assert!(daemon.stderr.contains(&format!("\"{event}\"")), "no {event}: {}", daemon.stderr);
    }
    ended.push(daemon);
    look_for_secrets(&world, &ended);
}

/// Nothing of the secrets and tokens in what was said and what is kept.
#[track_caller]
fn look_for_secrets(world: &World, finished: &[Finished]) {
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for Finished { stdout, stderr, .. } in finished {
        places.push(("an output".to_owned(), stdout.clone().into_bytes()));
        places.push(("a log".to_owned(), stderr.clone().into_bytes()));
    }
    files(&world.workspace.path("data"), &mut places);
    let mut looked = 0;
    for (place, bytes) in &places {
        looked += bytes.len();
        for secret in SECRETS {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` in {place}");
        }
    }
    println!("  {looked} bytes looked at in {} places", places.len());
    assert!(looked > 10_000);
}

fn files(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, places);
        } else {
            places.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
}

fn hubspot(arguments: &[&str], rows: u64) -> World {
    let oauth = ["--oauth-client", CLIENT, "--refresh-token", "canary-first-refresh", "--rotate", "strict"];
    world(Sim::start("hubspot", &[&oauth, arguments].concat()), CRM, "email", rows)
}

fn world(sim: Sim, destination: &str, field: &str, rows: u64) -> World {
    let mut world = World::new(Warehouse::Sqlite, sim, &format!("{destination}{}", SYNC.replace("MATCH", field)));
    world.workspace.variable("CLIENT_SECRET", "canary-client-secret");
    world.workspace.variable("REFRESH_TOKEN", "canary-first-refresh");
    world.workspace.variable("SYNCLINE__LOG__LEVEL", "trace");
    world.sql(&format!(
        "create table rows (id text, email text, name text);
         with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into rows select 'r' || i, 'r' || i || '@example.com', 'name ' || i from n"
    ));
    world
}

const API: &str = r#"
[destinations.d]
type = "http"
base_url = "URL"
allow_private = ["127.0.0.1/32"]
path = "/v1/{object}"
limits = { requests = 20, per = "1s" }
[destinations.d.auth.oauth2]
token_url = "URL/oauth/token"
allow_private = ["127.0.0.1/32"]
client_id = "client-1"
client_secret = { env = "CLIENT_SECRET" }
style = "basic"
"#;

const CRM: &str = r#"
[destinations.d]
type = "hubspot"
base_url = "URL"
allow_private = ["127.0.0.1/32"]
account = "4242"
limits = { requests = 100, per = "10s" }
auth = { oauth = { client_id = "client-1", client_secret = { env = "CLIENT_SECRET" }, refresh_token = { env = "REFRESH_TOKEN" } } }
"#;

const SYNC: &str = r#"
[models.rows]
source = "warehouse"
primary_key = "id"
table = "rows"
[syncs.rows]
model = "rows"
destination = "d"
object = "contacts"
match = "MATCH"
first_run = "backfill"
guard = { max_changed = "100%" }
[syncs.rows.fields]
MATCH = "MATCH"
firstname = "name"
"#;
