//! Kill -9 at random moments, the model flipping between the runs (acceptance 6).

use std::env;

use super::{
    figures::Figures,
    fixture::{Audit, Options, database},
    lane::{Execute, Lane},
};
use crate::support::{mariadb, postgres};

/// Re-sends after one crash (promise P3): two workers and as many batches written ahead, of 100 rows each.
const RESENDS: u64 = (2 + 2) * 100;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn kills() -> u64 {
    number("SYNCLINE_KILLS", 8)
}

fn rows() -> u32 {
    u32::try_from(number("SYNCLINE_ROWS", 500)).unwrap_or(500)
}

/// Runs lanes side by side, because most of the time goes into waiting for intents to end.
fn lanes(kills: u64, make: impl Fn(u64) -> Lane + Sync) -> Figures {
    let seed = number("SYNCLINE_SEED", fastrand::u64(..));
    let lanes = (kills / 2).clamp(1, 8);
    println!("seed {seed} (SYNCLINE_SEED), {kills} kills (SYNCLINE_KILLS) in {lanes} lanes, {} rows each", rows());
    let mut sum = Figures::default();
    std::thread::scope(|scope| {
        let make = &make;
        let run = |lane: u64| {
            let share = kills / lanes + u64::from(lane < kills % lanes);
            scope.spawn(move || make(seed.wrapping_add(lane)).run(share))
        };
        let running: Vec<_> = (0..lanes).map(run).collect();
        for lane in running {
            match lane.join() {
                Ok(figures) => sum.add(&figures),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    println!("{sum:?}");
    sum
}

#[track_caller]
fn assert_right(sum: &Figures, kills: u64) {
    assert!(sum.kills >= kills && sum.checks > 0, "{sum:?}");
    assert_eq!((sum.failed_checks, sum.audit), (0, Audit::default()), "{sum:?}");
    assert!(sum.identical <= sum.kills * RESENDS, "more re-sends than P3 allows: {sum:?}");
    assert_eq!(sum.overlaps, 0, "two operations of one key were in flight: {sum:?}");
}

#[test]
fn after_every_kill_the_vendor_equals_the_model() {
    let kills = kills();
    let sum = lanes(kills, |seed| Lane::new(&Options::default(), None, &[], rows(), seed));
    assert_right(&sum, kills);
}

#[test]
fn after_every_kill_the_vendor_equals_a_model_on_postgresql() {
    let kills = kills().div_ceil(4);
    let sum = lanes(kills, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
        let database = runtime.block_on(postgres());
        let url = database.url.clone();
        let execute: Execute = Box::new(move |sql| runtime.block_on(database.execute(sql)));
        let source = "type = \"postgres\"\nurl = { env = \"WAREHOUSE_URL\" }";
        let options = Options { source, warehouse_url: &url, ..Options::default() };
        Lane::new(&options, Some(execute), &[], rows(), seed)
    });
    assert_right(&sum, kills);
}

#[test]
fn after_every_kill_the_vendor_equals_the_model_with_the_state_on_postgresql() {
    let kills = kills().div_ceil(4);
    let sum = lanes(kills, |seed| {
        let state = database();
        Lane::new(&Options { state_url: &state.url, ..Options::default() }, None, &[], rows(), seed)
    });
    assert_right(&sum, kills);
}

#[test]
fn after_every_kill_the_vendor_equals_a_model_on_mariadb_with_the_state_on_postgresql() {
    let kills = kills().div_ceil(4);
    let sum = lanes(kills, |seed| {
        let state = database();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
        let warehouse = runtime.block_on(mariadb());
        let url = warehouse.url.clone();
        let execute: Execute = Box::new(move |sql| runtime.block_on(warehouse.execute(sql)));
        let source = "type = \"mysql\"\nurl = { env = \"WAREHOUSE_URL\" }";
        let options = Options { source, warehouse_url: &url, state_url: &state.url, ..Options::default() };
        Lane::new(&options, Some(execute), &[], rows(), seed)
    });
    assert_right(&sum, kills);
}

/// Without intents the same loop must notice: else it would prove nothing.
#[cfg(feature = "sabotage")]
#[test]
fn without_intents_the_loop_finds_wrong_rows() {
    let sum = lanes(kills(), |seed| Lane::new(&Options::default(), None, &["--sabotage", "no-intents"], rows(), seed));
    assert!(sum.audit.wrong > 0, "the loop noticed nothing: {sum:?}");
}
