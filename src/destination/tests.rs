//! What the tests of all connectors share, and those of the registry.

use std::{sync::Arc, time::Duration};

use super::{DestinationError, Outcome, answer, registry};
use crate::{
    model::spec::{
        AuthSpec, DestinationSpec, HttpSpec, HubSpotSpec, LimitsSpec, SecretSpec, SyncSpec, VendorSpec, WindowSpec,
    },
    wire::{Auth, ClientSettings, FixedSecret, Limits},
};

/// One short text for each outcome, for tables.
pub(super) fn brief(outcomes: &[Outcome]) -> Vec<String> {
    let one = |outcome: &Outcome| match outcome {
        Outcome::Delivered { record_id: Some(id) } => format!("delivered {id}"),
        Outcome::Delivered { record_id: None } => "delivered".to_owned(),
        Outcome::Rejected(why) if why.conflict => format!("conflict {}", why.code),
        Outcome::Rejected(why) => format!("rejected {}", why.code),
        Outcome::Exists { record_id } => format!("exists {}", record_id.as_deref().unwrap_or("?")),
        Outcome::Gone => "gone".to_owned(),
        Outcome::Retry(why) => format!("retry {}", why.code),
        Outcome::Unknown => "unknown".to_owned(),
    };
    outcomes.iter().map(one).collect()
}

/// A generic destination: batches of ten in an envelope, no results.
pub(super) fn http_spec() -> HttpSpec {
    HttpSpec {
        delete_path: Some("/v1/{object}/{match}".into()),
        batch_size: 10,
        envelope: Some("records".into()),
        ..HttpSpec::new("/v1/{object}")
    }
}

/// A sync to `object`, with these match fields.
pub(super) fn sync(object: &str, match_fields: &[&str]) -> SyncSpec {
    let match_fields = match_fields.iter().map(|field| (*field).to_owned()).collect();
    SyncSpec { match_fields, ..SyncSpec::new("s", "m", "d", object) }
}

fn destination(vendor: VendorSpec) -> DestinationSpec {
    DestinationSpec::new("d", vendor)
}

fn hubspot() -> DestinationSpec {
    destination(VendorSpec::HubSpot(HubSpotSpec { objects_path: "/crm/v3/objects".into() }))
}

fn settings(spec: &DestinationSpec) -> Result<ClientSettings, DestinationError> {
    registry::client_settings(spec, |_| Arc::new(FixedSecret("t".into())))
}

#[test]
fn each_vendor_has_its_own_address_and_limits() {
    assert_eq!(registry::base_url(&hubspot()).unwrap().as_str(), "https://api.hubapi.com/");
    let limits = registry::limits(&hubspot(), Some("Europe/Berlin")).unwrap();
    assert_eq!((limits.windows[0].requests.get(), limits.windows[0].per.as_secs()), (100, 10));
    assert_eq!(limits.daily.unwrap().requests.get(), 250_000);
    let http = destination(VendorSpec::Http(Box::new(http_spec())));
    assert!(matches!(registry::base_url(&http), Err(DestinationError::NoBaseUrl { vendor: "http" })));
    assert_eq!(registry::limits(&http, None).unwrap(), Limits::default());
    assert!(registry::open(&hubspot()).is_ok() && registry::open(&http).is_err());
    assert!(registry::limits(&hubspot(), Some("Nowhere/Land")).is_ok());
}

#[test]
fn settings_replace_the_defaults_one_by_one() {
    let window = WindowSpec { requests: 5, per: Duration::from_secs(1), smooth: true };
    let mut spec = hubspot();
    spec.limits = LimitsSpec { windows: vec![window], concurrent: Some(3), daily: None, reserve_percent: Some(10) };
    let limits = registry::limits(&spec, None).unwrap();
    assert_eq!((limits.windows.len(), limits.windows[0].requests.get(), limits.windows[0].smooth), (1, 5, true));
    assert_eq!(limits.concurrent.unwrap().get(), 3);
    let daily = limits.daily.unwrap();
    assert_eq!((daily.requests.get(), daily.reserve_percent), (250_000, 10));
    spec.limits.daily = Some(5_000_000_000);
    assert!(matches!(registry::limits(&spec, None), Err(DestinationError::Limit { key: "daily", got: 5_000_000_000 })));
    spec.limits = LimitsSpec { concurrent: Some(0), ..LimitsSpec::default() };
    assert!(matches!(registry::limits(&spec, None), Err(DestinationError::Limit { key: "concurrent", got: 0 })));
}

#[test]
fn the_way_to_a_destination_is_checked() {
    let mut spec = hubspot();
    spec.auth = AuthSpec::Bearer(SecretSpec::Env("T".into()));
    spec.base_url = Some("http://127.0.0.1:8901/prefix/".into());
    spec.allow_private = vec!["127.0.0.1/32".into()];
    spec.request_timeout = Duration::from_secs(4);
    let good = settings(&spec).unwrap();
    assert!(matches!(good.auth, Auth::Bearer(_)));
    assert!(good.connect_timeout < good.request_timeout && good.allow_private.len() == 1);
    spec.allow_private = vec!["localhost".into()];
    assert!(matches!(settings(&spec), Err(DestinationError::AllowPrivate { .. })));
    for wrong in ["", "no url", "mailto:a@b.c", "https://x.org/?key=1", "https://x.org/#a"] {
        spec.base_url = Some(wrong.into());
        assert!(matches!(registry::base_url(&spec), Err(DestinationError::BaseUrl(_))), "{wrong}");
    }
}

#[test]
fn paths_are_appended_to_the_base() {
    for base in ["https://x.org", "https://x.org/", "https://x.org/v1", "https://x.org/v1/"] {
        let url = answer::join(&base.parse().unwrap(), "/a%2Fb?c=d").unwrap();
        let prefix = if base.contains("v1") { "https://x.org/v1" } else { "https://x.org" };
        assert_eq!(url.as_str(), format!("{prefix}/a%2Fb?c=d"));
    }
}
