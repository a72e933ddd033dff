//! Edits of the mapping, emptied fields and removals over several runs.

use super::{Kit, Row, Step, fault, row, rows};
use crate::{
    model::spec::{FieldSource, Remap, SyncSpec},
    run::RunReport,
    state::RunStatus,
    wire::{FaultKind, Sent},
};

/// The name with this behind it.
fn behind(suffix: &str) -> impl FnOnce(&mut SyncSpec) {
    let text = format!("{{{{ name }}}}{suffix}");
    |sync| sync.fields[1].source = FieldSource::Template(text)
}

fn plain(sync: &mut SyncSpec) {
    sync.fields[1].source = FieldSource::Column { column: "name".to_owned(), cast: None };
}

fn changes(report: &RunReport) -> (u64, u64) {
    (report.counts.changed, report.counts.remapped)
}

/// How many records have this name.
fn named(kit: &Kit, name: &str) -> usize {
    kit.vendor.records().iter().filter(|(_, found)| found == name).count()
}

async fn after_first_run() -> Kit {
    let kit = Kit::with(100, |_| {}).await;
    kit.run_ok(&rows(0..1_000, "a")).await;
    kit
}

#[tokio::test]
async fn an_edit_that_rewrites_every_record_is_held_and_its_data_changes_go() {
    let mut kit = after_first_run().await;
    kit.reconfigure(behind("!"));
    let mut model = rows(0..1_000, "a");
    model[5].name = "b".to_owned();
    let held = kit.run(&model).await;
    assert_eq!((held.status, changes(&held)), (RunStatus::Guarded, (1_000, 999)));
    assert_eq!((held.counts.guarded, held.counts.delivered), (999, 1));
    assert_eq!(held.trips[0].message, "the new mapping alone would change 999 of 1000 rows, over 10 %");
    assert_eq!((named(&kit, "a"), named(&kit, "b!")), (999, 1));
    // The same mapping again: still held, and still known as the mapping's change.
    let again = kit.run(&model).await;
    assert_eq!((again.status, changes(&again)), (RunStatus::Guarded, (999, 999)));
    // The edit is reverted: what went meanwhile is the mapping's change too.
    kit.reconfigure(plain);
    let back = kit.run_ok(&model).await;
    assert_eq!((changes(&back), back.counts.delivered), ((1, 1), 1));
    assert_eq!((named(&kit, "a"), named(&kit, "b")), (999, 1));
}

#[tokio::test]
async fn an_approved_edit_goes_and_the_next_is_judged_anew() {
    let mut kit = after_first_run().await;
    kit.reconfigure(behind("!"));
    let model = rows(0..1_000, "a");
    let held = kit.run(&model).await;
    kit.engine.approve(held.run.unwrap()).await.unwrap();
    // Stopped half-way; the approval stands.
    kit.vendor.script([Step::Apply, Step::Apply, fault(FaultKind::Stopped, Sent::No)]);
    let stopped = kit.run(&model).await;
    assert_eq!((stopped.status, stopped.counts.guarded), (RunStatus::Interrupted, 0));
    let rest = kit.run_ok(&model).await;
    // But for the batch under way, which is sent again as dirty.
    assert_eq!(changes(&rest), (rest.counts.delivered, rest.counts.delivered - 100), "{rest:?}");
    assert_eq!(named(&kit, "a!"), 1_000);
    assert_eq!(kit.run_ok(&model).await.counts.unchanged, 1_000);
    kit.reconfigure(behind("?"));
    let next = kit.run(&model).await;
    assert_eq!((next.status, changes(&next)), (RunStatus::Guarded, (1_000, 1_000)));
}

#[tokio::test]
async fn rows_under_two_earlier_mappings_are_known() {
    let mut kit = after_first_run().await;
    let model = rows(0..1_000, "a");
    kit.reconfigure(behind("!"));
    let held = kit.run(&model).await;
    kit.engine.approve(held.run.unwrap()).await.unwrap();
    kit.vendor.script([Step::Apply, Step::Apply, fault(FaultKind::Stopped, Sent::No)]);
    kit.run(&model).await;
    assert!((1..1_000).contains(&named(&kit, "a!")));
    kit.engine.state().drop_approval(kit.engine.state().sync("s").await.unwrap().unwrap().id).await.unwrap();
    kit.reconfigure(behind("?"));
    let report = kit.run(&model).await;
    let open = report.counts.changed - report.counts.remapped;
    assert!(open <= 100, "only what was under way is open: {report:?}");
    assert_eq!(report.status, RunStatus::Guarded);
}

#[tokio::test]
async fn later_applies_each_edit_when_the_data_changes() {
    let mut kit = Kit::with(100, |sync| sync.remap = Remap::Later).await;
    let mut model = rows(0..1_000, "a");
    kit.run_ok(&model).await;
    kit.vendor.calls();
    for (edit, suffix) in ["!", "?", "."].into_iter().enumerate() {
        kit.reconfigure(behind(suffix));
        let quiet = kit.run_ok(&model).await;
        assert_eq!((quiet.counts.unchanged, kit.vendor.calls().len()), (1_000, 0), "edit {edit}");
        model[edit].name = format!("b{edit}");
        let sent = kit.run_ok(&model).await;
        assert_eq!((changes(&sent), sent.counts.unchanged), ((1, 0), 999));
        assert_eq!(named(&kit, &format!("b{edit}{suffix}")), 1);
        kit.vendor.calls();
    }
    // Every row is of its own time, and nothing is to be done.
    assert_eq!(kit.run_ok(&model).await.counts.unchanged, 1_000);
    // At once after all: what was put off is the mapping's change.
    kit.reconfigure(|sync| sync.remap = Remap::Now);
    let held = kit.run(&model).await;
    assert_eq!((held.status, changes(&held)), (RunStatus::Guarded, (999, 999)));
    kit.engine.approve(held.run.unwrap()).await.unwrap();
    kit.run_ok(&model).await;
    assert_eq!(kit.run_ok(&model).await.counts.unchanged, 1_000);
    assert_eq!(named(&kit, "a."), 997);
    let record = kit.engine.state().sync("s").await.unwrap().unwrap();
    assert_eq!(record.mapping.unwrap().text.matches("{\"mapping\"").count(), 1, "earlier mappings are forgotten");
}

#[tokio::test]
async fn a_resync_sends_what_stands_under_an_earlier_mapping() {
    let mut kit = Kit::with(100, |sync| sync.remap = Remap::Later).await;
    let model = rows(0..300, "a");
    kit.run_ok(&model).await;
    kit.reconfigure(behind("!"));
    kit.engine.resync("s", &crate::run::Resync::Whole).await.unwrap();
    assert_eq!(kit.run_ok(&model).await.counts.delivered, 300);
    assert_eq!(named(&kit, "a!"), 300);
}

/// The rows of these keys without a name.
fn emptied(model: &[Row], nulls: std::ops::Range<usize>) -> Vec<Row> {
    let mut model = model.to_vec();
    nulls.for_each(|place| model[place].name.clear());
    model
}

#[tokio::test]
async fn a_column_that_empties_is_held_until_it_is_back_or_meant() {
    let kit = after_first_run().await;
    let model = rows(0..1_000, "a");
    kit.run_ok(&emptied(&model, 0..200)).await;
    let wrong = emptied(&model, 0..401);
    let held = kit.run(&wrong).await;
    assert_eq!((held.status, held.counts.guarded, held.counts.delivered), (RunStatus::Guarded, 201, 0));
    assert_eq!(held.trips[0].message, "`name` would become null in 201 of 1000 rows where it was not, over 20 %");
    kit.run_ok(&emptied(&model, 0..210)).await;
    let held = kit.run(&emptied(&model, 0..700)).await;
    kit.engine.approve(held.run.unwrap()).await.unwrap();
    // More has gone by now: the approved rows go, and the rest is few.
    kit.run_ok(&emptied(&model, 0..800)).await;
    assert_eq!(kit.run_ok(&emptied(&model, 0..800)).await.counts.unchanged, 1_000);
    // The new shares are the base.
    kit.run_ok(&emptied(&model, 0..999)).await;
}

#[tokio::test]
async fn new_rows_without_a_value_and_old_ones_with_another_are_no_emptying() {
    let kit = Kit::with(100, |sync| sync.guard.max_changed = 100.0).await;
    let model = emptied(&rows(0..1_000, "a"), 0..600);
    kit.run_ok(&model).await;
    // Four hundred rows come without a name, and every row without one changes otherwise.
    let mut next = emptied(&rows(0..1_400, "a"), 0..600);
    (0..600).for_each(|place| next[place].email = format!("new{place}@x"));
    (1_000..1_400).for_each(|place| next[place].name.clear());
    kit.run_ok(&next).await;
}

#[tokio::test]
async fn nine_percent_removed_thrice_a_day_is_held_at_the_second_run() {
    for remove in [crate::model::spec::OnRemoved::Delete, crate::model::spec::OnRemoved::Keep] {
        let kit = Kit::with(100, |sync| {
            sync.on_removed = remove;
            sync.guard.min_rows = 50;
        })
        .await;
        kit.run_ok(&rows(0..2_000, "a")).await;
        kit.run_ok(&rows(180..2_000, "a")).await;
        let held = kit.run(&rows(343..2_000, "a")).await;
        let rules: Vec<_> = held.trips.iter().map(|trip| trip.rule.as_str()).collect();
        assert_eq!((held.status, rules, held.counts.guarded), (RunStatus::Guarded, vec!["max_removed_24h"], 163));
        kit.engine.approve(held.run.unwrap()).await.unwrap();
        kit.run_ok(&rows(343..2_000, "a")).await;
        // Approved removals are not in the sum, those of the first run are.
        let third = kit.run(&rows(490..2_000, "a")).await;
        assert_eq!((third.status, third.counts.guarded), (RunStatus::Guarded, 147));
        super::kit::advance(std::time::Duration::from_secs(25 * 3_600)).await;
        kit.run_ok(&rows(490..2_000, "a")).await;
        kit.run_ok(&[row(490, "490@x", "a")].into_iter().chain(rows(491..2_000, "a")).collect::<Vec<_>>()).await;
    }
}
