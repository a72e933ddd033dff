//! What the tests of all connectors share.

use std::time::Duration;

use crate::model::spec::{FirstRun, GuardSpec, Mode, OnRemoved, Schedule, SyncSpec};

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
