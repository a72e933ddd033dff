//! What the tests of all connectors share.

use std::time::Duration;

use super::Outcome;
use crate::model::spec::{FirstRun, GuardSpec, HttpSpec, Mode, OnRemoved, Schedule, SyncSpec};

/// One short text for each outcome, for tables.
pub(super) fn brief(outcomes: &[Outcome]) -> Vec<String> {
    let one = |outcome: &Outcome| match outcome {
        Outcome::Delivered { record_id: Some(id) } => format!("delivered {id}"),
        Outcome::Delivered { record_id: None } => "delivered".to_owned(),
        Outcome::Rejected(why) if why.conflict => format!("conflict {}", why.code),
        Outcome::Rejected(why) => format!("rejected {}", why.code),
        Outcome::Gone => "gone".to_owned(),
        Outcome::Retry(why) => format!("retry {}", why.code),
        Outcome::Unknown => "unknown".to_owned(),
    };
    outcomes.iter().map(one).collect()
}

/// A generic destination: batches of ten in an envelope, no results.
pub(super) fn http_spec() -> HttpSpec {
    HttpSpec {
        path: "/v1/{object}".into(),
        method: "POST".into(),
        delete_path: Some("/v1/{object}/{match}".into()),
        batch_size: 10,
        envelope: Some("records".into()),
        idempotency_header: "Idempotency-Key".into(),
        results: None,
        identity: None,
    }
}

/// A sync to `object`, with these match fields.
pub(super) fn sync(object: &str, match_fields: &[&str]) -> SyncSpec {
    SyncSpec {
        name: "s".into(),
        model: "m".into(),
        destination: "d".into(),
        object: object.into(),
        mode: Mode::Upsert,
        match_fields: match_fields.iter().map(|field| (*field).to_owned()).collect(),
        on_removed: OnRemoved::Keep,
        first_run: FirstRun::Ask,
        schedule: Schedule::Manual,
        guard: GuardSpec::default(),
        filter: None,
        fields: Vec::new(),
        star: None,
        enabled: true,
        late_window: None,
        max_plan_age: Duration::from_secs(3600),
    }
}
