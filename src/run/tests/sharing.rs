//! Syncs of one model read together, and a model that has not changed is not read at all.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Kit, fault, kit::advance, rows};
use crate::{
    model::{Timestamp, spec::OnRemoved},
    run::{RunReport, Trigger},
    state::RunStatus,
    wire::{FaultKind, Sent},
};

/// As the scheduler starts them.
const SCHEDULED: Trigger = Trigger::Schedule { due: Timestamp::from_micros(0) };

async fn together(kit: &Kit, names: &[&str], trigger: Trigger) -> Vec<RunReport> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let runs = names.iter().zip(kit.engine.tickets(&names)).map(|(name, ticket)| {
        let engine = kit.engine.clone();
        async move { engine.run_sync_watched(name, trigger, ticket, &|_| {}).await }
    });
    let reports = tokio::time::timeout(Duration::from_secs(60), join_all(runs)).await.expect("all runs end");
    reports.iter().for_each(|report| report.counts.check().unwrap());
    reports
}

fn read(reports: &[RunReport]) -> Vec<u64> {
    reports.iter().map(|report| report.counts.read).collect()
}

#[tokio::test]
async fn syncs_of_one_model_share_one_read_and_each_sees_its_own_rows() {
    let kit = Kit::with_syncs(&["all", "even", "odd", "even too"], |sync| {
        sync.on_removed = OnRemoved::Keep;
        sync.filter = match sync.name.as_str() {
            "all" => None,
            "odd" => Some("odd".to_owned()),
            _ => Some("even".to_owned()),
        };
    })
    .await;
    kit.source.set(&rows(0..25, "a"));
    let reports = together(&kit, &["all", "even", "odd", "even too"], SCHEDULED).await;
    assert!(reports.iter().all(|report| report.status == RunStatus::Ok), "{reports:?}");
    assert_eq!((read(&reports), kit.source.reads()), (vec![25, 13, 12, 13], 1));
    // The same condition needs no flag, and another lot of syncs reads again.
    let reports = together(&kit, &["even", "even too"], SCHEDULED).await;
    assert_eq!((read(&reports), kit.source.reads()), (vec![13, 13], 2));
    assert!(reports.iter().all(|report| report.counts.unchanged == 13));
}

#[tokio::test]
async fn one_that_cannot_begin_leaves_the_others_to_read() {
    let kit = Kit::with_syncs(&["a", "b", "broken"], |sync| {
        if sync.name == "broken" {
            sync.match_fields = vec!["nowhere".to_owned()];
        }
    })
    .await;
    kit.source.set(&rows(0..5, "a"));
    let reports = together(&kit, &["a", "b", "broken"], SCHEDULED).await;
    assert_eq!((read(&reports), kit.source.reads()), (vec![5, 5, 0], 1));
    assert!(matches!(reports[2].status, RunStatus::Failed | RunStatus::Refused), "{reports:?}");
}

async fn watched() -> Kit {
    let mut specs = Kit::specs();
    specs.models[0].changed_when = Some("select max(updated_at) from t".to_owned());
    let kit = Kit::of(10, specs).await;
    kit.source.set(&rows(0..5, "a"));
    kit.source.answer("monday");
    kit
}

async fn scheduled(kit: &Kit) -> RunStatus {
    kit.engine.run_sync("s", SCHEDULED).await.status
}

#[tokio::test]
async fn a_model_whose_answer_stays_the_same_is_not_read() {
    let kit = watched().await;
    assert_eq!((scheduled(&kit).await, scheduled(&kit).await), (RunStatus::Ok, RunStatus::Skipped));
    assert_eq!(kit.source.reads(), 1);
    // Who asks for a run gets one.
    assert_eq!(kit.engine.run_sync("s", Trigger::Command).await.status, RunStatus::Ok);
    kit.source.answer("tuesday");
    assert_eq!((scheduled(&kit).await, scheduled(&kit).await), (RunStatus::Ok, RunStatus::Skipped));
    assert_eq!(kit.source.reads(), 3);
    advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!((scheduled(&kit).await, kit.source.reads()), (RunStatus::Ok, 4));
}

#[tokio::test]
async fn what_is_open_is_never_skipped() {
    let kit = watched().await;
    kit.vendor.script([fault(FaultKind::Stopped, Sent::No)]);
    assert_eq!(scheduled(&kit).await, RunStatus::Interrupted);
    assert_eq!((scheduled(&kit).await, scheduled(&kit).await), (RunStatus::Ok, RunStatus::Skipped));
    kit.source.answer("tuesday");
    kit.source.set(&rows(0..5, "b"));
    kit.vendor.script([super::Step::Hang]);
    kit.crash(&rows(0..5, "b")).await;
    // The answer is back to the one that was clean before the crash, the model is not.
    kit.source.answer("monday");
    assert_ne!(scheduled(&kit).await, RunStatus::Skipped);
}

#[tokio::test]
async fn a_model_that_is_built_anew_before_the_common_read_is_not_read() {
    let kit = Kit::with_syncs(&["a", "b"], |_| {}).await;
    kit.source.set(&rows(0..5, "a"));
    kit.source.rebuild_after(2);
    let reports = together(&kit, &["a", "b"], SCHEDULED).await;
    assert!(reports.iter().all(|report| report.status == RunStatus::Failed), "{reports:?}");
    assert!(reports[0].reason.as_ref().is_some_and(|reason| reason.contains("columns changed")), "{reports:?}");
    assert!(kit.vendor.calls().is_empty());
}

#[tokio::test]
async fn a_condition_that_fails_takes_the_others_along_only_once() {
    let kit = Kit::with_syncs(&["bad", "good"], |sync| {
        sync.on_removed = OnRemoved::Keep;
        sync.filter = Some(if sync.name == "bad" { "broken" } else { "even" }.to_owned());
    })
    .await;
    kit.source.set(&rows(0..5, "a"));
    let status = |reports: Vec<RunReport>| [reports[0].status, reports[1].status];
    assert_eq!(status(together(&kit, &["bad", "good"], SCHEDULED).await), [RunStatus::Failed; 2]);
    assert_eq!(status(together(&kit, &["bad", "good"], SCHEDULED).await), [RunStatus::Failed, RunStatus::Ok]);
}
