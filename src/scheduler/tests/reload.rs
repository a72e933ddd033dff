//! Another configuration while the scheduler runs.

use std::{sync::Arc, time::Duration};

use super::{
    super::{RequestKind, post},
    bench::{Bench, ONE, syncs},
};
use crate::{model::spec::Schedule, state::RunStatus};

const START: &str = "2026-06-01T00:00:30Z";
const MINUTE: Duration = Duration::from_secs(60);

fn every(minutes: u32) -> Schedule {
    Schedule::Every(minutes * MINUTE)
}

impl Bench {
    fn reload(&self, schedules: &[(&str, Schedule)]) {
        let mut specs = self.kit.engine.specs().clone();
        syncs(&mut specs, schedules);
        self.engines.send_replace(Arc::new(self.kit.engine.reconfigured(specs, ONE)));
    }
}

#[tokio::test]
async fn added_removed_and_changed_syncs_take_effect() {
    let bench = Bench::of(START, &[("a", every(10)), ("b", every(10)), ("c", Schedule::Manual)]).await;
    bench.step(MINUTE).await;
    assert_eq!(bench.order(2).await, ["a", "b"]);
    bench.reload(&[("b", every(10)), ("c", every(60)), ("d", every(10))]);
    bench.step(MINUTE).await;
    assert_eq!(bench.order(3).await[2..], ["c"], "`d` joins the rhythm of `b`");
    bench.step(8 * MINUTE).await;
    bench.step(MINUTE).await;
    assert_eq!(bench.order(5).await[3..], ["b", "d"], "`a` is gone, `b` keeps its rhythm");
    bench.step(MINUTE).await;
    assert_eq!(bench.runs().await.len(), 5);
    bench.stop().await;
}

#[tokio::test]
async fn a_run_under_way_ends_as_it_began_and_requests_are_answered() {
    let bench = Bench::of(START, &[("a", every(10))]).await;
    let state = bench.kit.engine.state().clone();
    let gate = bench.kit.source.gate.clone();
    let held = gate.lock().await;
    bench.step(MINUTE).await;
    let late = post(&state, &RequestKind::Sync { sync: "a".to_owned() }).await.unwrap();
    bench.step(MINUTE).await;
    bench.reload(&[("b", Schedule::Manual)]);
    bench.step(MINUTE).await;
    drop(held);
    let runs = bench.ended(1).await;
    bench.step(MINUTE).await;
    assert_eq!((runs.len(), runs[0].status), (1, RunStatus::Ok));
    let answer = state.request(late).await.unwrap().unwrap().result.unwrap();
    assert!(answer["error"].as_str().unwrap().contains("no such sync"), "{answer}");
    bench.step(10 * MINUTE).await;
    assert_eq!(bench.runs().await.len(), 1, "what is gone is not started again");
    bench.stop().await;
}
