//! Lookups, fields, the account and its limits.

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::super::read::{Asked, fields, identity, observed};
use crate::{
    destination::{Lookup, LookupBy, answer::Answer},
    wire::FaultKind,
};

fn answer<T>(body: &serde_json::Value, read: impl FnOnce(&Answer<'_>) -> T) -> T {
    read(&Answer { status: StatusCode::OK, headers: &HeaderMap::new(), body: body.to_string().as_bytes() })
}

#[test]
fn a_lookup_asks_each_value_once_and_follows_aliases() {
    let values = ["a@b.c", "second@b.c", " A@B.C", "missing@b.c", ""].map(str::to_owned).to_vec();
    let by = LookupBy::Match { field: "email".into(), values: values.clone() };
    let lookup = Lookup { object: "contacts".into(), by, fields: vec!["name".into(), "plan".into()] };
    let asked = Asked::new(&lookup, 10, &values);
    let body: serde_json::Value = serde_json::from_slice(&asked.body()).unwrap();
    let expected = json!({
        "inputs": [{ "id": "a@b.c" }, { "id": "missing@b.c" }, { "id": "second@b.c" }],
        "idProperty": "email", "properties": ["name", "plan", "email", "hs_additional_emails"],
    });
    assert_eq!(body, expected);

    let reply = json!({
        "results": [
            { "id": "1", "properties": { "email": "a@b.c", "name": "Ada", "plan": "" } },
            { "id": "2", "properties": { "email": "first@b.c", "hs_additional_emails": "x@y.z;Second@b.c", "plan": "pro" } },
        ],
        "errors": [{ "category": "OBJECT_NOT_FOUND", "context": { "ids": ["missing@b.c"] } }],
    });
    let found = answer(&reply, |answer| asked.found(answer)).unwrap();
    let mut found: Vec<_> =
        found.iter().map(|found| (found.position, found.record_id.as_str(), &found.fields)).collect();
    found.sort_unstable();
    let field = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let ada = vec![field("name", Some("Ada")), field("plan", None)];
    let second = vec![field("name", None), field("plan", Some("pro"))];
    assert_eq!(found, [(10, "1", &ada), (11, "2", &second), (12, "1", &ada)]);
}

#[test]
fn a_lookup_by_record_id_finds_merged_records() {
    let by = LookupBy::RecordIds(vec!["5".into(), "6".into()]);
    let lookup = Lookup { object: "contacts".into(), by, fields: vec![] };
    let asked = Asked::new(&lookup, 0, &["5".into(), "6".into()]);
    let reply = json!({ "results": [{ "id": "9", "properties": { "hs_merged_object_ids": "4;6" } }] });
    let found = answer(&reply, |answer| asked.found(answer)).unwrap();
    assert_eq!(found.iter().map(|found| (found.position, found.record_id.as_str())).collect::<Vec<_>>(), [(1, "9")]);
    assert_eq!(answer(&json!({}), |answer| asked.found(answer)).unwrap_err().kind, FaultKind::Protocol);
}

#[test]
fn fields_say_what_can_be_written_and_matched() {
    let reply = json!({ "results": [
        { "name": "email", "type": "string", "fieldType": "text", "modificationMetadata": { "readOnlyValue": false } },
        { "name": "erp_id", "type": "string", "hasUniqueValue": true },
        { "name": "hs_object_id", "type": "number", "modificationMetadata": { "readOnlyValue": true } },
        { "name": "score", "type": "number", "calculated": true },
    ] });
    let fields = answer(&reply, |answer| fields("contacts", answer)).unwrap();
    let flags: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.writable, field.unique)).collect();
    assert_eq!(
        flags,
        [("email", true, true), ("erp_id", true, true), ("hs_object_id", false, false), ("score", false, false)]
    );
}

#[test]
fn the_account_and_its_limits() {
    let account = answer(&json!({ "portalId": 4242, "timeZone": "US/Eastern" }), identity).unwrap();
    assert_eq!((account.account.as_str(), account.time_zone.as_deref()), ("4242", Some("US/Eastern")));
    assert_eq!(answer(&json!({}), identity).unwrap_err().kind, FaultKind::Protocol);

    let headers = [
        ("x-hubspot-ratelimit-daily", "250000"),
        ("x-hubspot-ratelimit-daily-remaining", "12"),
        ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
        ("x-hubspot-ratelimit-max", "100"),
        ("x-hubspot-ratelimit-remaining", "many"),
    ];
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let observed = observed(&headers);
    assert_eq!((observed.daily_limit, observed.daily_remaining), (Some(250_000), Some(12)));
    let [window] = observed.windows.as_slice() else { panic!("{observed:?}") };
    assert_eq!((window.per.as_secs(), window.limit, window.remaining), (10, Some(100), None));
}
