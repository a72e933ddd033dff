//! The portal, over real connections.

use serde_json::{Value, json};

use super::{HubSpotOptions, PropertySpec};
use crate::simulator::{
    VendorConfig,
    probe::{Probe, Reply, contact},
};

async fn portal(properties: &[&str]) -> Probe {
    let properties = properties.iter().map(|text| text.parse().unwrap()).collect();
    Probe::start(VendorConfig::hubspot(HubSpotOptions { properties, ..HubSpotOptions::default() })).await
}

fn typed(id: &str, properties: Value) -> Value {
    json!({ "id": id, "idProperty": "email", "properties": properties, "objectWriteTraceId": id })
}

fn first_id(reply: &Reply) -> String {
    reply.json()["results"][0]["id"].as_str().unwrap().to_owned()
}

fn message(reply: &Reply) -> String {
    reply.json()["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upsert_creates_then_updates_the_same_record() {
    let probe = Probe::hubspot().await;
    let created = probe.contacts("upsert", json!([contact("  Ada@X.io ", "Ada")])).await;
    let item = created.json()["results"][0].clone();
    assert_eq!((created.status, &item["new"], &item["archived"]), (200, &json!(true), &json!(false)));
    assert_eq!(item["objectWriteTraceId"], "  Ada@X.io ");
    assert_eq!(item["properties"]["hs_object_id"], item["id"]);
    let updated = probe.contacts("upsert", json!([contact("ada@x.io", "Bob")])).await;
    assert_eq!((first_id(&updated), &updated.json()["results"][0]["new"]), (first_id(&created), &json!(false)));
    let held = probe.records("contacts").await;
    assert_eq!(held[0]["properties"], json!({ "email": "ada@x.io", "firstname": "Bob" }));
    assert_eq!(held[0]["versions"], 2);
}

#[tokio::test]
async fn identical_sends_in_succession_are_counted() {
    let probe = Probe::hubspot().await;
    for name in ["Ada", "Ada", "Bob", "Ada"] {
        probe.contacts("upsert", json!([contact("a@x.io", name)])).await;
    }
    assert_eq!(probe.report().await["writes"], json!({ "identical": 1, "different": 3 }));
    let id = probe.records("contacts").await[0]["id"].as_str().unwrap().to_owned();
    let history = probe.send("GET", &format!("/_sim/history/contacts/{id}"), Value::Null).await.json();
    let names: Vec<_> =
        history.as_array().unwrap().iter().map(|version| version["properties"]["firstname"].clone()).collect();
    assert_eq!(names, ["Ada", "Ada", "Bob", "Ada"]);
}

#[tokio::test]
async fn a_bad_row_fails_alone_in_a_207_that_echoes() {
    let probe = portal(&["mrr:number"]).await;
    let rows = json!([
        typed("a@x.io", json!({ "mrr": "abc" })),
        typed("b@x.io", json!({ "mrr": "1.50" })),
        typed("c@x.io", json!({ "nope": "1", "hs_object_id": "7" })),
        typed("not an address", json!({})),
    ]);
    let reply = probe.contacts("upsert", rows).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["status"], &body["numErrors"]), (207, &json!("COMPLETE"), &json!(3)));
    assert_eq!(body["results"].as_array().unwrap().len(), 1);
    let texts: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert!(
        texts[0].starts_with("Property values were not valid: [{") && texts[0].contains("abc was not a valid number.")
    );
    assert!(texts[1].contains("PROPERTY_DOESNT_EXIST") && texts[1].contains("READ_ONLY_VALUE"));
    assert!(texts[2].contains("not an address"));
    assert_eq!(body["errors"][0]["context"]["objectWriteTraceId"], json!(["a@x.io"]));
    assert_eq!(body["errors"][0]["category"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_bad_row_without_a_trace_fails_its_batch() {
    let probe = portal(&["mrr:number"]).await;
    let good = json!({ "id": "b@x.io", "idProperty": "email", "properties": {} });
    let bad = json!({ "id": "a@x.io", "idProperty": "email", "properties": { "mrr": "abc" } });
    assert_eq!(probe.contacts("upsert", json!([good, bad])).await.status, 400);
    assert_eq!(probe.records("contacts").await, json!([]));
}

#[tokio::test]
async fn malformed_batches_are_refused_whole() {
    let probe = Probe::hubspot().await;
    let many: Vec<Value> = (0..101).map(|no| contact(&format!("{no}@x.io"), "n")).collect();
    let batches = [
        (json!(many), "maximum is 100"),
        (json!([contact("a@x.io", "n"), contact(" A@X.io", "n")]), "Duplicate IDs found in batch input: [a@x.io]"),
        (json!([typed("a@x.io", json!({ "firstname": 5 }))]), "expected a string"),
        (json!([typed("a@x.io", json!({ "firstname": null }))]), "expected a string"),
        (json!([{ "idProperty": "email", "properties": {} }]), "[id]"),
        (json!([{ "id": "a@x.io", "idProperty": "email" }]), "[properties]"),
        (json!([{ "id": "a@x.io", "properties": {} }]), "idProperty"),
        (json!([{ "id": "a", "idProperty": "firstname", "properties": {} }]), "not a unique property"),
        (json!([{ "id": "a", "idProperty": "nothing", "properties": {} }]), "does not exist"),
        (json!([{ "id": "a", "idproperty": "email", "properties": {} }]), "unknown field"),
        (json!({}), "Invalid input JSON"),
    ];
    for (inputs, words) in batches {
        let reply = probe.contacts("upsert", inputs).await;
        assert_eq!((reply.status, &reply.json()["category"]), (400, &json!("VALIDATION_ERROR")), "{words}");
        assert!(message(&reply).contains(words), "{}", message(&reply));
    }
    let companies = json!({ "inputs": [{ "id": "x.io", "idProperty": "domain", "properties": {} }] });
    assert_eq!(probe.send("POST", "/crm/v3/objects/companies/batch/upsert", companies).await.status, 400);
    assert_eq!(probe.send("POST", "/crm/v3/objects/spaceships/batch/upsert", json!({})).await.status, 400);
    assert_eq!(probe.send("POST", "/crm/v4/anything", json!({})).await.status, 404);
    assert_eq!(probe.records("contacts").await, json!([]));
}

#[tokio::test]
async fn an_empty_string_clears() {
    let probe = Probe::hubspot().await;
    probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
    probe.contacts("upsert", json!([contact("a@x.io", "")])).await;
    assert_eq!(probe.records("contacts").await[0]["properties"], json!({ "email": "a@x.io" }));
}

#[tokio::test]
async fn a_unique_value_of_another_record_conflicts() {
    let probe = portal(&["ext:string:unique"]).await;
    let ids: Vec<String> = {
        let rows = json!([typed("a@x.io", json!({ "ext": "E1" })), typed("b@x.io", json!({}))]);
        let body = probe.contacts("upsert", rows).await.json();
        body["results"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let update = json!([{ "id": ids[1], "properties": { "email": "A@x.io" }, "objectWriteTraceId": "t" }]);
    let reply = probe.contacts("update", update).await;
    let error = reply.json()["errors"][0].clone();
    assert_eq!((reply.status, &error["category"]), (207, &json!("CONFLICT")));
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("a@x.io") && text.contains(&format!("Existing ID: {}", ids[0])), "{text}");
    let update = json!([{ "id": ids[1], "properties": { "ext": "E1" } }]);
    assert_eq!(probe.contacts("update", update).await.json()["errors"][0]["category"], "CONFLICT");
    // The owner itself may be addressed by the value, and may keep it.
    let own = json!([{ "id": "E1", "idProperty": "ext", "properties": { "ext": "E1", "email": "new@x.io" } }]);
    assert_eq!(first_id(&probe.contacts("update", own).await), ids[0]);
    // Its old address is free now.
    let update = json!([{ "id": ids[1], "properties": { "email": "a@x.io" } }]);
    assert_eq!(probe.contacts("update", update).await.status, 200);
}

#[tokio::test]
async fn a_further_address_finds_the_contact_and_can_become_the_first() {
    let probe = Probe::hubspot().await;
    let id = first_id(&probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await);
    probe.control("secondary-email", json!({ "id": id, "email": "Two@x.io" })).await;
    let found = probe.contacts("upsert", json!([contact("two@x.io", "Bob")])).await;
    assert_eq!(first_id(&found), id);
    assert_eq!(probe.records("contacts").await[0]["properties"]["email"], "a@x.io");
    let swap = json!([typed("two@x.io", json!({ "email": "two@x.io" }))]);
    assert_eq!(first_id(&probe.contacts("upsert", swap).await), id);
    let held = probe.records("contacts").await[0]["properties"].clone();
    assert_eq!((&held["email"], &held["hs_additional_emails"]), (&json!("two@x.io"), &json!("a@x.io")));
    assert_eq!(first_id(&probe.contacts("upsert", json!([contact("a@x.io", "Eve")])).await), id);
}

#[tokio::test]
async fn a_merged_record_answers_to_both_ids_and_addresses() {
    let probe = portal(&["ext:string:unique"]).await;
    let a = first_id(&probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await);
    let row = typed("b@x.io", json!({ "city": "Rome", "firstname": "Bob", "ext": "B" }));
    let b = first_id(&probe.contacts("upsert", json!([row])).await);
    probe.control("merge", json!({ "type": "contacts", "into": a, "from": b })).await;
    let update = probe.contacts("update", json!([{ "id": b, "properties": { "state": "x" } }])).await;
    assert_eq!((update.status, first_id(&update)), (200, a.clone()));
    assert_eq!(first_id(&probe.contacts("upsert", json!([contact("b@x.io", "Bea")])).await), a);
    let held = probe.records("contacts").await;
    let expected = json!({
        "email": "a@x.io", "hs_additional_emails": "b@x.io", "hs_merged_object_ids": b, "firstname": "Bea",
        "city": "Rome", "state": "x", "ext": "B",
    });
    assert_eq!((&held[0]["properties"], &held[1]["merged_into"]), (&expected, &json!(a)));
    let both = probe.contacts("read", json!([{ "id": a }, { "id": b }])).await;
    assert_eq!((both.status, both.json()["results"].as_array().unwrap().len()), (200, 1));
    let counts = probe.report().await["objects"]["contacts"].clone();
    assert_eq!((&counts["live"], &counts["merged"], &counts["archived"]), (&json!(1), &json!(1), &json!(0)));
    // Whoever archives the lost id archives the survivor.
    probe.contacts("archive", json!([{ "id": b }])).await;
    assert_eq!(probe.report().await["objects"]["contacts"]["live"], 0);
}

#[tokio::test]
async fn an_archived_record_is_gone_and_its_values_are_free() {
    let probe = Probe::hubspot().await;
    let id = first_id(&probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await);
    for _ in 0..2 {
        assert_eq!(probe.contacts("archive", json!([{ "id": id }, { "id": "77" }])).await.status, 204);
    }
    let update = json!([{ "id": id, "properties": { "city": "Rome" }, "objectWriteTraceId": "t" }]);
    let reply = probe.contacts("update", update).await;
    let error = reply.json()["errors"][0].clone();
    assert_eq!((reply.status, &error["category"]), (207, &json!("OBJECT_NOT_FOUND")));
    assert_eq!(error["context"], json!({ "objectWriteTraceId": ["t"], "ids": [id] }));
    let again = first_id(&probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await);
    assert!(again.parse::<u64>().unwrap() > id.parse().unwrap());
    let counts = probe.report().await["objects"]["contacts"].clone();
    assert_eq!((&counts["live"], &counts["archived"], &counts["created_total"]), (&json!(1), &json!(1), &json!(2)));
}

#[tokio::test]
async fn a_batch_read_names_what_is_missing() {
    let probe = Probe::hubspot().await;
    probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
    let body = json!({
        "idProperty": "email", "properties": ["firstname", "city"],
        "inputs": [{ "id": "A@x.io" }, { "id": "m1@x.io" }, { "id": "m2@x.io" }],
    });
    let reply = probe.send("POST", "/crm/v3/objects/0-1/batch/read", body).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["numErrors"]), (207, &json!(1)));
    assert_eq!(body["errors"][0]["category"], "OBJECT_NOT_FOUND");
    assert_eq!(body["errors"][0]["context"]["ids"], json!(["m1@x.io", "m2@x.io"]));
    let properties = &body["results"][0]["properties"];
    assert_eq!((&properties["firstname"], &properties["city"]), (&json!("Ada"), &Value::Null));
    assert_eq!(properties["email"], "a@x.io");
    let twice = json!({ "idProperty": "email", "inputs": [{ "id": "a@x.io" }, { "id": "A@x.io" }] });
    assert_eq!(probe.send("POST", "/crm/v3/objects/contacts/batch/read", twice).await.status, 400);
}

#[tokio::test]
async fn single_records() {
    let probe = Probe::hubspot().await;
    let made = probe.send("POST", "/crm/objects/2026-09/companies", json!({ "properties": { "name": "Acme" } })).await;
    assert_eq!(made.status, 201);
    let path = format!("/crm/v3/objects/companies/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(probe.send("PATCH", &path, json!({ "properties": { "numberofemployees": "x" } })).await.status, 400);
    assert_eq!(probe.send("PATCH", &path, json!({ "properties": { "numberofemployees": "12" } })).await.status, 200);
    let read = probe.send("GET", &format!("{path}?properties=numberofemployees"), Value::Null).await;
    assert_eq!(read.json()["properties"]["numberofemployees"], "12");
    assert_eq!(probe.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(probe.send("GET", &path, Value::Null).await.status, 404);
    assert_eq!(probe.send("PATCH", &path, json!({ "properties": {} })).await.status, 404);
}

#[tokio::test]
async fn a_batch_create_makes_records_or_conflicts() {
    let probe = Probe::hubspot().await;
    let rows = json!([{ "properties": { "email": "a@x.io" }, "objectWriteTraceId": "1" }]);
    assert_eq!(probe.contacts("create", rows.clone()).await.status, 201);
    let reply = probe.contacts("create", rows).await;
    assert_eq!((reply.status, &reply.json()["errors"][0]["category"]), (207, &json!("CONFLICT")));
}

#[tokio::test]
async fn what_the_portal_tells_about_itself() {
    let mut options =
        HubSpotOptions { portal: 77, objects: vec!["subscriptions".to_owned()], ..HubSpotOptions::default() };
    options.properties = vec!["subscriptions.ref:string".parse().unwrap(), "tier:enumeration(a|b)".parse().unwrap()];
    options.unique = vec!["subscriptions.ref".to_owned()];
    let mut config = VendorConfig::hubspot(options);
    config.common.daily = Some(10);
    let probe = Probe::start(config).await;
    let details = probe.send("GET", "/account-info/v3/details", Value::Null).await.json();
    assert_eq!((&details["portalId"], &details["timeZone"]), (&json!(77), &json!("UTC")));
    let usage = probe.send("GET", "/account-info/v3/api-usage/daily/private-apps", Value::Null).await.json();
    assert_eq!((&usage["results"][0]["usageLimit"], &usage["results"][0]["currentUsage"]), (&json!(10), &json!(2)));
    let properties = probe.send("GET", "/crm/v3/properties/subscriptions", Value::Null).await.json();
    let named =
        |name: &str| properties["results"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap().clone();
    assert_eq!((&named("ref")["hasUniqueValue"], &named("tier")["type"]), (&json!(true), &json!("enumeration")));
    assert_eq!(named("tier")["options"][1]["value"], "b");
    assert_eq!(named("hs_object_id")["modificationMetadata"]["readOnlyValue"], true);
    let row = json!({ "id": "R1", "idProperty": "ref", "properties": { "tier": "a" } });
    let reply = probe.send("POST", "/crm/v3/objects/subscriptions/batch/upsert", json!({ "inputs": [row] })).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn the_day_ends_the_quota() {
    let mut config = VendorConfig::hubspot(HubSpotOptions::default());
    config.common.daily = Some(1);
    let probe = Probe::start(config).await;
    let first = probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
    assert_eq!(first.header("x-hubspot-ratelimit-daily-remaining"), Some("0"));
    let second = probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
    assert_eq!((second.status, &second.json()["policyName"]), (429, &json!("DAILY")));
}

#[tokio::test]
async fn any_property_is_accepted_where_that_is_wanted() {
    let options = HubSpotOptions { accept_any_property: true, ..HubSpotOptions::default() };
    let probe = Probe::start(VendorConfig::hubspot(options)).await;
    assert_eq!(probe.contacts("upsert", json!([typed("a@x.io", json!({ "c17": "v" }))])).await.status, 200);
    assert_eq!(probe.records("contacts").await[0]["properties"]["c17"], "v");
}

#[tokio::test]
async fn a_human_edits_and_archives() {
    let probe = Probe::hubspot().await;
    let id = first_id(&probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await);
    probe
        .control("edit", json!({ "type": "contacts", "id": id, "properties": { "firstname": "Eve", "city": null } }))
        .await;
    assert_eq!(probe.records("contacts").await[0]["properties"]["firstname"], "Eve");
    probe.contacts("upsert", json!([contact("a@x.io", "Ada")])).await;
    assert_eq!(probe.report().await["writes"]["identical"], 0);
    probe.control("archive", json!({ "type": "contacts", "id": id })).await;
    assert_eq!(probe.records("contacts").await[0]["archived"], true);
    assert_eq!(probe.send("POST", "/_sim/archive", json!({ "type": "contacts", "id": id })).await.status, 400);
}

#[test]
fn values_are_checked_by_type() {
    use super::{
        schema::{Kind, Property},
        validate::check,
    };
    let options = || vec!["a".to_owned(), "b".to_owned()];
    let cases: [(Kind, &[&str], &[&str]); 8] = [
        (Kind::String, &["", "any"], &[]),
        (Kind::Number, &["", "1", "-1.5", "1e3", "0012"], &["abc", "inf", "NaN", "1,5", " 1", "e"]),
        (Kind::Date, &["2026-11-22", "86400000"], &["2026-13-01", "22.11.2026", "86400001", "2026-11-22T00:00:00Z"]),
        (Kind::Datetime, &["2026-11-22T10:00:00Z", "1790000000123", "2026-11-22"], &["yesterday", "10:00"]),
        (Kind::Bool, &["true", "false"], &["1", "TRUE", "yes"]),
        (Kind::Email, &["a@x.io", " A@X.io "], &["a", "a@x", "@x.io", "a b@x.io", "a@x.io;b@x.io"]),
        (Kind::One(options()), &["a", ""], &["c", "a;b", "A"]),
        (Kind::Many(options()), &["a;b", "b"], &["a;c"]),
    ];
    for (kind, good, bad) in cases {
        let property = Property { name: "p".to_owned(), kind, unique: false, read_only: false, required: false };
        for value in good {
            assert!(check(&property, value).is_ok(), "{:?} {value:?}", property.kind);
        }
        for value in bad {
            let (_, message) = check(&property, value).unwrap_err();
            assert!(message.contains(value), "{:?} {value:?}", property.kind);
        }
    }
}

#[test]
fn property_specs_are_read_strictly() {
    let spec: PropertySpec = "deals.tier:enumeration(a|b):unique".parse().unwrap();
    assert_eq!((spec.object.as_deref(), spec.name.as_str(), spec.unique), (Some("deals"), "tier", true));
    for wrong in
        ["tier", "tier:text", "tier:enumeration", "tier:string(a)", "tier:string:once", ":string", "a:string:unique:x"]
    {
        assert!(wrong.parse::<PropertySpec>().is_err(), "{wrong}");
    }
}
