//! First contact with destinations.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Kit, destination::ScriptedDestination};
use crate::{
    model::spec::{AuthSpec, DestinationSpec, LimitsSpec, SecretSpec, WindowSpec},
    run::{Connected, RunError},
    wire::{FaultKind, HoldState},
};

#[tokio::test]
async fn a_vendor_that_does_not_answer_delays_no_other() {
    let kit = Kit::new().await;
    let spec = Kit::specs().destinations.remove(0);
    let base_url = Some("http://127.0.0.1:10".to_owned());
    let other = DestinationSpec { name: "other".to_owned(), base_url, ..spec.clone() };
    let silent = ScriptedDestination::new(10);
    silent.silent.store(true, Ordering::Relaxed);
    let beside = async {
        silent.hanging.notified().await;
        kit.engine.connect(&spec, kit.vendor.as_ref()).await.unwrap();
    };
    tokio::select! {
        _ = kit.engine.connect(&other, &silent) => panic!("nobody answers"),
        done = tokio::time::timeout(Duration::from_secs(20), beside) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_vendor_that_asks_to_wait_before_its_name_is_known_is_not_asked_again() {
    let kit = Kit::new().await;
    let spec = Kit::specs().destinations.remove(0);
    let other = DestinationSpec { name: "other".to_owned(), ..spec.clone() };
    let elsewhere = DestinationSpec { base_url: Some("http://127.0.0.1:10".to_owned()), ..spec.clone() };
    let fault =
        async |spec: &DestinationSpec, vendor: &ScriptedDestination| match kit.engine.connect(spec, vendor).await {
            Err(RunError::Request { fault, .. }) => fault.kind,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it did not give its name"),
        };
    let busy = ScriptedDestination::new(10);
    busy.throttles.store(true, Ordering::Relaxed);
    assert_eq!(fault(&spec, &busy).await, FaultKind::Throttled);
    assert!(matches!(fault(&spec, &busy).await, FaultKind::Held(HoldState::Until { .. })));
    assert!(matches!(fault(&other, &busy).await, FaultKind::Held(HoldState::Until { .. })));
    // Another account of it is another matter.
    assert_eq!(fault(&elsewhere, &busy).await, FaultKind::Throttled);
}

#[tokio::test]
async fn the_question_with_a_new_credential_counts_where_the_destination_was() {
    let kit = Kit::new().await;
    let window = WindowSpec { requests: 100, per: Duration::from_secs(600), smooth: false };
    let spec = Kit::specs().destinations.remove(0);
    let spec = DestinationSpec { limits: LimitsSpec { windows: vec![window], ..spec.limits.clone() }, ..spec };
    let used = |connected: &Connected| connected.account.stats().windows.iter().map(|window| window.used).sum::<u32>();
    let before = kit.engine.connect(&spec, kit.vendor.as_ref()).await.unwrap();
    assert_eq!(used(&before), 0, "the scripted destination sends nothing itself");
    let auth = AuthSpec::Header { name: "x-key".to_owned(), value: SecretSpec::Env("KEY".to_owned()) };
    let rotated = DestinationSpec { auth, ..spec };
    kit.engine.connect(&rotated, kit.vendor.as_ref()).await.unwrap();
    assert_eq!(used(&before), 1);
    kit.engine.connect(&rotated, kit.vendor.as_ref()).await.unwrap();
    assert_eq!(used(&before), 1, "it is asked once");
}
