//! The shared machinery, over real loopback connections.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    Chaos, HttpOptions, HubSpotOptions, VendorConfig, Window,
    chaos::Dice,
    parse_duration, parse_faults,
    probe::{Probe, Reply, contact},
    serve,
};
use crate::shutdown::Shutdown;

fn upsert(email: &str, name: &str) -> String {
    json!({ "inputs": [contact(email, name)] }).to_string()
}

const UPSERT: &str = "/crm/v3/objects/contacts/batch/upsert";

async fn faulty(action: Value) -> (Probe, Option<Reply>) {
    let probe = Probe::hubspot().await;
    probe.control("faults", json!([{ "match": { "times": 1 }, "phase": "before", "action": action }])).await;
    let reply = probe.try_send("POST", UPSERT, "", &upsert("a@x.io", "Ada")).await;
    (probe, reply)
}

async fn live(probe: &Probe) -> Value {
    probe.report().await["objects"]["contacts"]["live"].clone()
}

#[tokio::test]
async fn refuses_to_listen_beyond_loopback() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let config = VendorConfig::http(HttpOptions::default());
    assert!(serve(listener, config, Shutdown::new()).await.is_err());
}

#[tokio::test]
async fn stops_on_shutdown_and_cuts_hanging_requests() {
    let probe = Probe::hubspot().await;
    probe.control("faults", json!({ "action": "hang" })).await;
    let body = upsert("a@x.io", "Ada");
    let hanging = probe.try_send("POST", UPSERT, "", &body);
    let stop = async {
        probe.send("GET", "/_sim/wait?requests=1", Value::Null).await;
        probe.shutdown.cancel();
    };
    let (reply, ()) = tokio::join!(hanging, stop);
    assert!(reply.is_none());
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_uses_no_quota() {
    let mut config = VendorConfig::hubspot(HubSpotOptions::default());
    config.common.token = Some("right".to_owned());
    let probe = Probe::start(config).await;
    let wrong = probe.try_send("POST", UPSERT, "authorization: Bearer wrong\r\n", &upsert("a@x.io", "Ada")).await;
    assert_eq!(wrong.unwrap().status, 401);
    let right =
        probe.try_send("POST", UPSERT, "authorization: Bearer right\r\n", &upsert("a@x.io", "Ada")).await.unwrap();
    assert_eq!((right.status, right.header("x-hubspot-ratelimit-remaining")), (200, Some("99")));
}

#[tokio::test]
async fn a_spent_window_answers_429_and_takes_nothing() {
    let mut config = VendorConfig::hubspot(HubSpotOptions::default());
    config.common.limits = vec!["3/1m".parse::<Window>().unwrap()];
    let probe = Probe::start(config).await;
    for no in 0..3 {
        assert_eq!(probe.contacts("upsert", json!([contact(&format!("{no}@x.io"), "n")])).await.status, 200);
    }
    let refused = probe.contacts("upsert", json!([contact("late@x.io", "n")])).await;
    assert_eq!((refused.status, refused.header("x-hubspot-ratelimit-remaining")), (429, Some("0")));
    assert_eq!(refused.json()["policyName"], "TEN_SECONDLY_ROLLING");
    let report = probe.report().await;
    let window = &report["windows"][0];
    assert_eq!((&window["max_allowed"], &window["max_arrived"]), (&json!(3), &json!(4)));
    assert!(window["first_violation_us"].is_u64());
    assert_eq!((&report["requests"]["too_many"], &report["requests"]["allowed"]), (&json!(1), &json!(3)));
    probe.control("reset-requests", Value::Null).await;
    assert_eq!(probe.contacts("upsert", json!([contact("late@x.io", "n")])).await.status, 200);
    assert_eq!(live(&probe).await, 4);
}

#[tokio::test]
async fn a_status_before_leaves_nothing_and_after_leaves_the_write() {
    for (phase, left) in [("before", 0), ("after", 1)] {
        let probe = Probe::hubspot().await;
        let action = json!({ "status": { "code": 503, "body": { "m": 1 }, "headers": { "Retry-After": "7" } } });
        probe.control("faults", json!({ "faults": [{ "phase": phase, "action": action }] })).await;
        let reply = probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
        assert_eq!((reply.status, reply.header("retry-after"), reply.json()), (503, Some("7"), json!({ "m": 1 })));
        assert_eq!(live(&probe).await, left, "{phase}");
    }
}

#[tokio::test]
async fn a_closed_connection_leaves_nothing_and_a_dropped_answer_leaves_the_write() {
    for (action, left) in [("close", 0), ("drop_answer", 1)] {
        let (probe, reply) = faulty(json!(action)).await;
        assert!(reply.is_none(), "{action}");
        assert_eq!(live(&probe).await, left, "{action}");
        let report = probe.report().await;
        assert_eq!(report["faults"][action], 1);
        let endpoint = &report["requests"]["by_endpoint"]["POST /crm/v3/objects/contacts/batch/upsert"];
        assert_eq!(endpoint["status"]["none"], 1);
        assert_eq!(probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await.status, 200);
    }
}

#[tokio::test]
async fn a_late_request_is_applied_over_what_came_between() {
    let (probe, reply) = faulty(json!({ "apply_late": {} })).await;
    assert!(reply.is_none());
    assert_eq!(live(&probe).await, 0);
    probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
    probe.contacts("upsert", json!([contact("a@x.io", "Bob")])).await;
    assert_eq!(probe.control("release", Value::Null).await["applied"], 1);
    assert_eq!(probe.records("contacts").await[0]["properties"]["firstname"], "Ada");
    let report = probe.report().await;
    assert_eq!(report["late"], json!({ "pending": 0, "applied": 1 }));
    assert_eq!((&report["overlap"]["late_identical"], &report["overlap"]["late_different"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_late_request_is_applied_after_its_delay() {
    let (probe, _) = faulty(json!({ "apply_late": { "delay": "1ms" } })).await;
    while probe.report().await["late"]["pending"] != 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(live(&probe).await, 1);
}

#[tokio::test]
async fn a_slow_request_takes_effect_also_when_its_client_has_gone() {
    let probe = Probe::hubspot().await;
    probe.control("faults", json!({ "action": { "slow": { "delay": "10m" } } })).await;
    let body = upsert("a@x.io", "Ada");
    {
        let slow = probe.try_send("POST", UPSERT, "", &body);
        let taken = probe.send("GET", "/_sim/wait?requests=1", Value::Null);
        tokio::select! {
            _ = slow => panic!("answered too early"),
            _ = taken => {}
        }
    }
    while probe.report().await["late"]["pending"] != 1 || probe.report().await["requests"]["in_flight"] != 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(live(&probe).await, 0);
    assert_eq!(probe.control("release", Value::Null).await["applied"], 1);
    assert_eq!(live(&probe).await, 1);
}

#[tokio::test]
async fn broken_answers() {
    let (probe, reply) = faulty(json!("html")).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.header("content-type"), live(&probe).await), (502, Some("text/html"), json!(0)));

    let (probe, reply) = faulty(json!("truncate")).await;
    let reply = reply.unwrap();
    let announced: usize = reply.header("content-length").unwrap().parse().unwrap();
    assert!(!reply.body.is_empty() && reply.body.len() < announced);
    assert_eq!(live(&probe).await, 1);

    let (probe, reply) = faulty(json!("silent")).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, &reply.json()["results"], live(&probe).await), (200, &json!([]), json!(0)));

    let (_, reply) = faulty(json!({ "rate_limit": { "retry_after": 3, "daily": true } })).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    assert_eq!(reply.json()["policyName"], "DAILY");

    let (probe, reply) = faulty(json!({ "slow": { "delay": "1ms" } })).await;
    assert_eq!((reply.unwrap().status, live(&probe).await), (200, json!(1)));

    let (probe, reply) = faulty(json!({ "hang": { "for": "1ms" } })).await;
    assert!(reply.is_none());
    assert_eq!(live(&probe).await, 0);
}

#[tokio::test]
async fn a_poison_row_takes_its_batch_along_without_being_named() {
    let probe = Probe::hubspot().await;
    let poison = json!({ "name": "firstname", "contains": "bad" });
    probe.control("faults", json!([{ "match": { "property": poison }, "action": "poison_batch" }])).await;
    let reply = probe.contacts("upsert", json!([contact("a@x.io", "good"), contact("b@x.io", "so bad")])).await;
    assert_eq!(reply.status, 400);
    assert!(!String::from_utf8(reply.body).unwrap().contains("b@x.io"));
    assert_eq!(live(&probe).await, 0);
    assert_eq!(probe.contacts("upsert", json!([contact("a@x.io", "good")])).await.status, 200);
}

#[tokio::test]
async fn a_rejected_row_fails_alone_and_echoes() {
    let probe = Probe::hubspot().await;
    let action = json!({ "reject_row": { "category": "NOPE", "message": "{value} of {key} is bad" } });
    let wanted = json!({ "property": { "name": "firstname", "equals": "secret" } });
    probe.control("faults", json!([{ "match": wanted, "action": action }])).await;
    let reply = probe.contacts("upsert", json!([contact("a@x.io", "good"), contact("b@x.io", "secret")])).await;
    let body = reply.json();
    assert_eq!((reply.status, body["results"].as_array().unwrap().len()), (207, 1));
    assert_eq!(
        (&body["errors"][0]["category"], &body["errors"][0]["message"]),
        (&json!("NOPE"), &json!("secret of b@x.io is bad"))
    );
    assert_eq!(body["errors"][0]["context"]["objectWriteTraceId"], json!(["b@x.io"]));
}

#[tokio::test]
async fn faults_count_the_requests_they_match() {
    let probe = Probe::hubspot().await;
    let rule = |when: Value, code: u16| json!({ "match": when, "action": { "status": { "code": code } } });
    let rules = json!([
        rule(json!({ "nth": 2, "path_contains": "upsert" }), 502),
        rule(json!({ "every": 3, "method": "post" }), 503),
        rule(json!({ "after": 4, "times": 1, "row_key_contains": "@x" }), 504),
    ]);
    probe.control("faults", rules).await;
    let mut seen = Vec::new();
    for no in 0..7 {
        seen.push(probe.contacts("upsert", json!([contact(&format!("{no}@x.io"), "n")])).await.status);
    }
    assert_eq!(seen, [200, 502, 503, 200, 504, 503, 200]);
    assert_eq!(probe.send("DELETE", "/_sim/faults", Value::Null).await.status, 200);
}

#[tokio::test]
async fn requests_that_hold_one_record_at_once_are_noticed() {
    let probe = Probe::hubspot().await;
    probe.contacts("upsert", json!([contact("a@x.io", "n")])).await;
    let id = probe.records("contacts").await[0]["id"].clone();
    probe.control("faults", json!([{ "match": { "times": 1 }, "phase": "after", "action": "hang" }])).await;
    let body = upsert("a@x.io", "Ada");
    let hanging = probe.try_send("POST", UPSERT, "", &body);
    let others = async {
        probe.send("GET", "/_sim/wait?requests=2", Value::Null).await;
        while probe.records("contacts").await[0]["versions"] != 2 {
            tokio::task::yield_now().await;
        }
        let by_id = |name: &str| json!([{ "id": id, "properties": { "firstname": name } }]);
        probe.contacts("update", by_id("Ada")).await;
        probe.contacts("update", by_id("Bob")).await;
        probe.contacts("upsert", json!([contact("other@x.io", "n")])).await;
        let overlap = probe.report().await["overlap"].clone();
        probe.shutdown.cancel();
        overlap
    };
    let (_, overlap) = tokio::join!(hanging, others);
    assert_eq!((&overlap["identical"], &overlap["different"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn one_connection_serves_many_requests_refused_ones_too() {
    let mut config = VendorConfig::http(HttpOptions::default());
    config.common.token = Some("t".to_owned());
    let probe = Probe::start(config).await;
    let mut stream = TcpStream::connect(probe.address).await.unwrap();
    let request = |headers: &str| format!("PUT /a HTTP/1.1\r\nhost: sim\r\n{headers}content-length: 2\r\n\r\n{{}}");
    let all = [request(""), request("authorization: Bearer t\r\n"), request("connection: close\r\n")].concat();
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 401").count(), 2);
    assert_eq!(text.matches("HTTP/1.1 200").count(), 1);
}

#[tokio::test]
async fn the_log_keeps_what_arrived_and_reset_forgets_all() {
    let mut config = VendorConfig::hubspot(HubSpotOptions::default());
    config.common.keep_bodies = true;
    let probe = Probe::start(config).await;
    let body = upsert("a@x.io", "Ada");
    for _ in 0..2 {
        probe.try_send("POST", UPSERT, "idempotency-key: k1\r\n", &body).await.unwrap();
    }
    let log = probe.send("GET", "/_sim/requests?limit=1", Value::Null).await.json();
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!((&log[0]["no"], &log[0]["status"], &log[0]["inputs"]), (&json!(2), &json!(200), &json!(1)));
    assert_eq!((&log[0]["idempotency_key"], &log[0]["body"]), (&json!("k1"), &json!(body)));
    let report = probe.report().await;
    assert_eq!(report["idempotency"], json!({ "seen": 1, "repeated": 1, "conflicting": 0 }));
    assert_eq!(report["writes"], json!({ "identical": 1, "different": 1 }));
    assert_eq!(report, probe.simulator.report());
    probe.control("reset", Value::Null).await;
    assert_eq!(probe.records("contacts").await, json!([]));
    assert_eq!(probe.report().await["requests"]["total"], 0);
    assert_eq!(probe.send("GET", "/_sim/nothing", Value::Null).await.status, 400);
}

#[test]
fn scripts_are_read_from_json_and_toml() {
    let toml = "[[faults]]\nmatch = { nth = 3 }\nphase = \"after\"\naction = { status = { code = 503 } }\n\
        [[faults]]\naction = \"close\"\n[[faults]]\naction = \"hang\"\n[[faults]]\naction = { slow = { delay = \"2s\" } }\n";
    let names =
        |text: &str| parse_faults(text).map(|faults| faults.iter().map(|f| f.action.name()).collect::<Vec<_>>());
    assert_eq!(names(toml).unwrap(), ["status", "close", "hang", "slow"]);
    assert_eq!(
        names(r#"[{"action": "truncate"}, {"action": {"apply_late": {"delay": "5ms"}}}]"#).unwrap(),
        ["truncate", "apply_late"]
    );
    assert_eq!(names(r#"{"action": "poison_batch"}"#).unwrap(), ["poison_batch"]);
    assert_eq!(names("").unwrap(), Vec::<&str>::new());
    for wrong in [
        r#"[{"action": "explode"}]"#,
        r#"[{"action": "close", "when": {}}]"#,
        r#"[{"action": {"slow": {"delay": "5 apples"}}}]"#,
        r#"[{"action": {"hang": {"four": "5s"}}}]"#,
        "[[faults]]\nmatch = { nht = 3 }\naction = \"close\"",
        "nonsense",
    ] {
        assert!(names(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn chaos_is_repeatable_and_near_its_probability() {
    let chaos: Chaos = "p=0.2,seed=7,kinds=5xx,close,drop_answer,429".parse().unwrap();
    let rolls = || {
        let mut dice = Dice::new(chaos.clone());
        (0..10_000).map(|_| dice.roll().map(|(phase, action)| (phase, action.name()))).collect::<Vec<_>>()
    };
    let first = rolls();
    assert_eq!(first, rolls());
    let struck = first.iter().flatten().count();
    assert!((1_800..2_200).contains(&struck), "{struck}");
    for wrong in ["p=2,kinds=close", "p=0.1", "p=0.1,kinds=boom", "kinds=close", "p=0.1,seed=x,kinds=close", ""] {
        assert!(wrong.parse::<Chaos>().is_err(), "{wrong}");
    }
}

#[test]
fn windows_and_durations_are_read_strictly() {
    assert_eq!("100/10s".parse::<Window>().unwrap(), Window::HUBSPOT);
    for wrong in ["100", "0/10s", "5/0s", "x/10s", "5/10", "5/10h"] {
        assert!(wrong.parse::<Window>().is_err(), "{wrong}");
    }
    assert_eq!(parse_duration("2m").unwrap().as_secs(), 120);
}
