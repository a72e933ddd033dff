//! Random models, faults, late requests and crashes: every history ends with the model's records at the destination.

use std::time::Duration;

use super::{Kit, Row, Step, fault, kit::advance, row};
use crate::{
    model::Counts,
    wire::{FaultKind, Sent},
};

fn model(rng: &mut fastrand::Rng) -> Vec<Row> {
    let mut emails: Vec<u32> = (0..6).collect();
    rng.shuffle(&mut emails);
    let all = (1..5).map(|id| row(id, &format!("{}@x", emails[id as usize]), &rng.u8(0..3).to_string()));
    let all: Vec<_> = all.collect();
    all.into_iter().filter(|_| rng.u8(0..4) > 0).collect()
}

fn step(rng: &mut fastrand::Rng) -> Step {
    match rng.u8(0..8) {
        0 => Step::LoseAnswer,
        1 => Step::Late,
        2 => fault(FaultKind::Connect, Sent::No),
        3 => fault(FaultKind::Expired, Sent::No),
        4 => fault(FaultKind::BatchRefused, Sent::Yes),
        _ => Step::Apply,
    }
}

async fn history(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let kit = Kit::with(rng.usize(1..4), |_| {}).await;
    let mut late = false;
    for _ in 0..6 {
        let rows = model(&mut rng);
        kit.vendor.script((0..rng.usize(0..4)).map(|_| step(&mut rng)));
        if rng.u8(0..4) == 0 {
            kit.vendor.script([Step::Hang]);
            kit.source.set(&rows);
            tokio::select! {
                _ = kit.engine.run_sync("s", crate::run::Trigger::Command) => {}
                () = kit.vendor.hanging.notified() => {}
            }
        } else {
            kit.run(&rows).await;
        }
        kit.vendor.clear_script();
        // A request comes at most two pauses late, which is within the late window.
        if late || rng.bool() {
            kit.vendor.apply_late();
        }
        late = !late;
        advance(Duration::from_secs(rng.u64(0..40))).await;
        if rng.u8(0..3) == 0 {
            kit.vendor.apply_late();
            advance(Duration::from_secs(120)).await;
        }
    }
    kit.vendor.apply_late();
    let mut rows = model(&mut rng);
    if settled(&kit, &rows).await.rejected > 0 {
        // Values that keys have exchanged in a ring are refused by a vendor that wants them unique: free them.
        rows.iter_mut().for_each(|row| row.email = format!("free{}@x", row.id.unwrap()));
        assert_eq!(settled(&kit, &rows).await.rejected, 0, "seed {seed}");
    }
    let mut wanted: Vec<_> = rows.iter().map(|row| (row.email.clone(), row.name.clone())).collect();
    wanted.sort();
    assert_eq!(kit.vendor.records(), wanted, "seed {seed}");
}

/// Runs until nothing changes any more.
async fn settled(kit: &Kit, rows: &[Row]) -> Counts {
    let mut last = Counts::default();
    for _ in 0..4 {
        advance(Duration::from_secs(25 * 3600)).await;
        last = kit.run(rows).await.counts;
    }
    last
}

#[tokio::test]
async fn random_histories_converge() {
    for seed in 0..30 {
        history(seed).await;
    }
}
