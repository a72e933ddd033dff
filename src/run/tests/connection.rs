//! First contact with destinations.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Kit, destination::ScriptedDestination};
use crate::model::spec::DestinationSpec;

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
