//! The `hubspot` connector.

use syncline::{
    destination::{Lookup, LookupBy},
    model::{
        Operation::{Clear, Delete, Update, Upsert},
        spec::{HubSpotSpec, VendorSpec},
    },
    simulator::{HubSpotOptions, VendorConfig},
    wire::{FaultKind, Sent},
};

use super::harness::{Pair, RowOf, id, start};

async fn contacts() -> Pair {
    let options = HubSpotOptions { properties: vec!["plan:string".parse().unwrap()], ..HubSpotOptions::default() };
    let vendor = VendorSpec::HubSpot(HubSpotSpec { objects_path: "/crm/v3/objects".into() });
    start(VendorConfig::hubspot(options), vendor, "contacts", "email").await
}

#[tokio::test]
async fn a_record_lives_from_upsert_to_archive() {
    let pair = contacts().await;
    assert_eq!(pair.account.identity(), "4242");
    let ada: &[(&str, &str)] = &[("email", " Ada@Example.com"), ("firstname", "Ada"), ("plan", "pro")];
    let bob: &[(&str, &str)] = &[("email", "bob@example.com"), ("firstname", "Bob"), ("plan", "free")];
    let created = pair.deliver(Upsert, &[(None, ada), (None, bob)]).await;
    assert_eq!(pair.deliver(Upsert, &[(None, bob), (None, ada)]).await, [created[1].clone(), created[0].clone()]);

    let ids = [id(&created[0]), id(&created[1])];
    // The address changes, the record does not.
    let moved = pair.deliver(Update, &[(Some(ids[0]), &[("email", "ada@new.org"), ("firstname", "Ada")])]).await;
    assert_eq!(moved, [created[0].clone()]);
    assert_eq!(pair.deliver(Clear, &[(Some(ids[1]), &[("plan", "")])]).await, [created[1].clone()]);

    let by = LookupBy::Match {
        field: "email".into(),
        values: ["ADA@new.org", "nobody@x.y", "bob@example.com"].map(str::to_owned).into(),
    };
    let lookup = Lookup { object: "contacts".into(), by, fields: vec!["firstname".into(), "plan".into()] };
    let mut found = pair.destination.lookup(&pair.account, &lookup).await.unwrap();
    found.sort_by_key(|found| found.position);
    let found: Vec<_> =
        found.iter().map(|found| (found.position, found.record_id.as_str(), found.fields[1].1.as_deref())).collect();
    assert_eq!(found, [(0, ids[0], Some("pro")), (2, ids[1], None)]);

    assert_eq!(pair.deliver(Delete, &[(Some(ids[0]), &[])]).await, ["delivered -"]);
    assert_eq!(pair.deliver(Delete, &[(Some(ids[0]), &[])]).await, ["delivered -"]);
    let rows: [RowOf<'_>; 2] = [(Some(ids[0]), &[("plan", "x")]), (Some(ids[1]), &[("plan", "x")])];
    assert_eq!(pair.deliver(Update, &rows).await, ["gone".to_owned(), created[1].clone()]);
}

#[tokio::test]
async fn refused_rows_do_not_touch_their_neighbours() {
    let pair = contacts().await;
    let created =
        pair.deliver(Upsert, &[(None, &[("email", "a@example.com")]), (None, &[("email", "b@example.com")])]).await;
    let mixed = pair
        .deliver(
            Update,
            &[
                (Some(id(&created[0])), &[("email", "b@example.com")]),
                (Some(id(&created[1])), &[("firstname", "Bob")]),
                (Some("999999"), &[("firstname", "Nobody")]),
            ],
        )
        .await;
    assert_eq!(mixed, ["conflict CONFLICT".to_owned(), created[1].clone(), "gone".to_owned()]);
    let mixed = pair
        .deliver(
            Upsert,
            &[
                (None, &[("email", "no address")]),
                (None, &[("email", " ")]),
                (None, &[("email", "c@example.com"), ("nonsense", "x")]),
                (None, &[("email", "d@example.com")]),
            ],
        )
        .await;
    let expected = [
        "rejected VALIDATION_ERROR/INVALID_EMAIL email",
        "rejected MISSING_MATCH email",
        "rejected VALIDATION_ERROR/PROPERTY_DOESNT_EXIST nonsense",
    ];
    assert_eq!(mixed[..3], expected);
    assert!(mixed[3].starts_with("delivered "), "{mixed:?}");
}

#[tokio::test]
async fn what_goes_wrong_between_is_told_apart() {
    let pair = contacts().await;
    let rows: [RowOf<'_>; 2] = [(None, &[("email", "a@example.com")]), (None, &[("email", "b@example.com")])];
    let table = [
        (r#"{"action": {"silent": {}}}"#, FaultKind::Protocol, Sent::Yes),
        (r#"{"action": {"html": {"code": 200}}}"#, FaultKind::Protocol, Sent::Yes),
        (r#"{"action": {"html": {"code": 502}}}"#, FaultKind::Server, Sent::Maybe),
        (r#"{"action": "poison_batch"}"#, FaultKind::BatchRefused, Sent::Yes),
        (r#"{"action": {"rate_limit": {"retry_after": "7"}}}"#, FaultKind::Throttled, Sent::Yes),
        (r#"{"action": {"rate_limit": {"daily": true}}}"#, FaultKind::QuotaSpent { until: None }, Sent::Yes),
        (
            r#"{"action": {"status": {"code": 403, "body": {"category": "MISSING_SCOPES"}}}}"#,
            FaultKind::Forbidden,
            Sent::Yes,
        ),
        (r#"{"action": {"status": {"code": 301}}}"#, FaultKind::Settings, Sent::Yes),
    ];
    for (script, kind, sent) in table {
        pair.fault(script);
        let fault = pair.try_deliver(Upsert, &rows).await.unwrap_err();
        assert_eq!((fault.kind, fault.sent), (kind, sent), "{script}");
        pair.simulator.clear_faults();
    }
    assert_eq!(pair.records().as_array().map(Vec::len), Some(0));
    pair.fault(r#"{"match": {"times": 1}, "action": "drop_answer"}"#);
    assert_eq!(pair.try_deliver(Upsert, &rows).await.unwrap_err().sent, Sent::Maybe);
    let again = pair.deliver(Upsert, &rows).await;
    assert!(again.iter().all(|outcome| outcome.starts_with("delivered ")), "{again:?}");
    assert_eq!(pair.records().as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn fields_are_described_and_unknown_objects_are_not_found() {
    let mut pair = contacts().await;
    let fields = pair.destination.describe(&pair.account, "contacts").await.unwrap();
    let find = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
    assert!(find("email").unique && find("email").writable && !find("plan").unique && !find("hs_object_id").writable);
    assert_eq!(pair.destination.describe(&pair.account, "cars").await.unwrap_err().kind, FaultKind::NotFound);
    pair.object = "cars";
    for operation in [Upsert, Update, Delete] {
        let rows: [RowOf<'_>; 1] = [(Some("1"), &[("email", "a@example.com")])];
        assert_eq!(pair.try_deliver(operation, &rows).await.unwrap_err().kind, FaultKind::NotFound, "{operation:?}");
    }
}

#[tokio::test]
async fn records_that_silently_lack_are_found_out() {
    let pair = contacts().await;
    let created = pair.deliver(Upsert, &[(None, &[("email", "a@example.com")])]).await;
    let live = id(&created[0]);
    let rows: [RowOf<'_>; 2] = [(Some("999999"), &[("plan", "x")]), (Some(live), &[("plan", "x")])];
    pair.fault(r#"{"match": {"path_contains": "batch/update"}, "action": {"silent": {"code": 207}}}"#);
    assert_eq!(pair.deliver(Update, &rows).await, ["gone", "unknown"]);
    assert_eq!(pair.deliver(Clear, &rows).await, ["delivered -", "unknown"]);
    assert_eq!(pair.try_deliver(Update, &rows[1..]).await.unwrap_err().kind, FaultKind::Protocol);
}

#[tokio::test]
async fn merged_contacts_and_secondary_addresses_lead_to_the_survivor() {
    let pair = contacts().await;
    let created =
        pair.deliver(Upsert, &[(None, &[("email", "a@example.com")]), (None, &[("email", "b@example.com")])]).await;
    let (into, from) = (id(&created[0]), id(&created[1]));
    pair.control("merge", serde_json::json!({ "type": "contacts", "into": into, "from": from })).await;
    pair.control("secondary-email", serde_json::json!({ "id": into, "email": "c@example.com" })).await;

    assert_eq!(pair.deliver(Update, &[(Some(from), &[("plan", "x")])]).await, [created[0].clone()]);
    let rows: [RowOf<'_>; 1] = [(None, &[("email", "b@example.com"), ("plan", "y")])];
    assert_eq!(pair.deliver(Upsert, &rows).await, [created[0].clone()]);

    let values = ["c@example.com", "b@example.com"].map(str::to_owned);
    let queries = [
        LookupBy::RecordIds(vec![from.to_owned(), into.to_owned()]),
        LookupBy::Match { field: "email".into(), values: values.into() },
    ];
    for by in queries {
        let lookup = Lookup { object: "contacts".into(), by, fields: vec!["plan".into()] };
        let mut found = pair.destination.lookup(&pair.account, &lookup).await.unwrap();
        found.sort_by_key(|found| found.position);
        let found: Vec<_> = found.iter().map(|found| (found.position, found.record_id.as_str())).collect();
        assert_eq!(found, [(0, into), (1, into)], "{lookup:?}");
    }
}

#[tokio::test]
async fn custom_objects_are_found_by_each_of_their_names() {
    let options = HubSpotOptions {
        objects: vec!["boats".to_owned(), "cars".to_owned()],
        properties: vec!["cars.vin:string:unique:required".parse().unwrap(), "cars.colour:string".parse().unwrap()],
        ..HubSpotOptions::default()
    };
    let vendor = VendorSpec::HubSpot(HubSpotSpec { objects_path: "/crm/v3/objects".into() });
    let mut pair = start(VendorConfig::hubspot(options), vendor, "cars", "vin").await;
    let created = pair.deliver(Upsert, &[(None, &[("vin", "V-1"), ("colour", "red")])]).await;
    for name in ["cars", "p4242_cars", "2-1000002"] {
        pair.object = name;
        let fields = pair.destination.describe(&pair.account, name).await.unwrap();
        let vin = fields.iter().find(|field| field.name == "vin").unwrap();
        assert!(vin.required && vin.unique && vin.writable, "{name}");
        assert!(fields.iter().filter(|field| field.required).count() == 1, "{name}");
        let again = pair.deliver(Upsert, &[(None, &[("vin", "V-1"), ("colour", name)])]).await;
        assert_eq!(again, created, "{name}");
        assert_eq!(pair.deliver(Update, &[(Some(id(&created[0])), &[("colour", "blue")])]).await, created);
        let by = LookupBy::Match { field: "vin".into(), values: vec!["V-1".into()] };
        let lookup = Lookup { object: name.into(), by, fields: vec!["colour".into()] };
        assert_eq!(pair.destination.lookup(&pair.account, &lookup).await.unwrap().len(), 1);
    }
    let paths = pair.simulator.report().to_string();
    assert!(paths.contains("/crm/v3/schemas"), "{paths}");
    assert!(!paths.contains("objects/cars/"), "the plain name stands in no path of an object: {paths}");
}

#[tokio::test]
async fn a_credential_that_may_not_read_schemas_leaves_the_name_to_the_endpoint() {
    let options = HubSpotOptions {
        objects: vec!["cars".to_owned()],
        properties: vec!["cars.vin:string:unique".parse().unwrap()],
        ..HubSpotOptions::default()
    };
    let vendor = VendorSpec::HubSpot(HubSpotSpec { objects_path: "/crm/v3/objects".into() });
    let pair = start(VendorConfig::hubspot(options), vendor, "cars", "vin").await;
    pair.fault(r#"{"match": {"path_contains": "schemas"}, "action": {"status": {"code": 403, "body": {"category": "MISSING_SCOPES"}}}}"#);
    let created = pair.deliver(Upsert, &[(None, &[("vin", "V-1")])]).await;
    assert!(created[0].starts_with("delivered "), "{created:?}");
    assert!(pair.destination.describe(&pair.account, "cars").await.unwrap().iter().any(|field| field.name == "vin"));
}
