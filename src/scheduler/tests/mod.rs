//! Requests are answered once, and a run that ends badly does not wedge its sync.

mod bench;
mod reload;
mod schedules;
mod zones;

use std::{sync::Arc, time::Duration};

use super::{Heartbeat, RequestError, RequestKind, Scheduler, post, wait_for};
use crate::run::testing::{Kit, rows};

struct Silent;

impl Heartbeat for Silent {
    fn beat(&self) {}
}

async fn answer(kit: &Kit) -> Result<serde_json::Value, RequestError> {
    let state = kit.engine.state();
    let id = post(state, &RequestKind::Sync { sync: "s".to_owned() }).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), wait_for(state, id)).await.expect("an answer")
}

fn start(kit: &Kit) -> tokio::task::JoinHandle<Result<(), crate::state::StateError>> {
    let scheduler = Scheduler::new(kit.engine.clone(), kit.shutdown.clone(), Arc::new(Silent));
    tokio::spawn(scheduler.run())
}

#[tokio::test]
async fn a_request_is_answered_with_its_run() {
    let kit = Kit::new().await;
    kit.source.set(&rows(0..3, "a"));
    let daemon = start(&kit);
    let (first, second) = tokio::join!(answer(&kit), answer(&kit));
    assert_eq!(first.unwrap()["status"], "ok");
    assert_eq!(second.unwrap()["status"], "ok");
    assert!(kit.engine.state().open_requests().await.unwrap().is_empty());
    kit.shutdown.cancel();
    daemon.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panicking_run_answers_and_its_sync_runs_again() {
    let kit = Kit::new().await;
    kit.source.set(&rows(0..3, "a"));
    kit.vendor.panic_once();
    let daemon = start(&kit);
    assert_eq!(answer(&kit).await.unwrap()["status"], "failed");
    assert_eq!(answer(&kit).await.unwrap()["status"], "ok");
    kit.shutdown.cancel();
    daemon.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_for_a_disabled_sync_is_refused() {
    let kit = Kit::with(10, |sync| sync.enabled = false).await;
    let daemon = start(&kit);
    assert!(matches!(answer(&kit).await, Err(RequestError::Refused(_))));
    kit.shutdown.cancel();
    daemon.await.unwrap().unwrap();
}
