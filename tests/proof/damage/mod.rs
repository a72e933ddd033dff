//! Damaged state files: refused with a reason, suspect, or provably harmless; never a mass send, a delete or a panic (F20).

mod harm;
mod lab;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use fastrand::Rng;

use self::lab::{End, Lab};
use crate::{Proof, arguments::Arguments, report::Report};

/// `damage --n DAMAGES --seed S`, or one of them again: `damage --seed S --first NUMBER --n 1`.
pub(crate) const PROOF: Proof = Proof {
    name: "damage",
    about: "a damaged state is refused, suspect or harmless; never a mass send or a delete",
    small: &["--seed", "1", "--n", "25"],
    run,
};

/// Workspaces at once.
const LANES: u64 = 2;

/// What all lanes found: by damage, how the runs ended.
#[derive(Default)]
struct Found {
    ends: Mutex<BTreeMap<String, BTreeMap<String, u64>>>,
    broken: Mutex<Vec<String>>,
}

fn run(arguments: &Arguments) -> Report {
    let (n, seed, first) = (arguments.number("n", 1_000), arguments.seed(), arguments.number("first", 0));
    let broken: Vec<&str> = arguments.text("rule").map(|rule| vec!["--break-rule", rule]).unwrap_or_default();
    let (found, next) = (Found::default(), AtomicU64::new(first));
    std::thread::scope(|scope| {
        let lane = || {
            let mut lab = Lab::new(&broken);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= first + n {
                    return;
                }
                if !attack(&lab, number, seed, &found) {
                    // What the vendor holds is not what it was.
                    lab = Lab::new(&broken);
                }
            }
        };
        let lanes: Vec<_> = (0..LANES.min(n)).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            if let Err(panic) = lane.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    judge(found, n)
}

fn attack(lab: &Lab, number: u64, seed: u64, found: &Found) -> bool {
    let mut rng = Rng::with_seed(seed.wrapping_add(number));
    let (harm, ended) = lab.attack(number, &mut rng);
    let name = match &ended {
        Ok(end) => format!("{end:?}").to_lowercase(),
        Err(_) => "broken".to_owned(),
    };
    let mut ends = found.ends.lock().expect("no panic");
    *ends.entry(format!("{harm:?}")).or_default().entry(name).or_default() += 1;
    let sound = ended.is_ok();
    if let Err(what) = ended {
        let what = format!("`damage --seed {seed} --first {number} --n 1`: {what}");
        found.broken.lock().expect("no panic").push(what);
    }
    sound
}

fn judge(found: Found, n: u64) -> Report {
    let mut report = Report::new();
    let ends = found.ends.into_inner().expect("no panic");
    let of = |name: &str| ends.values().filter_map(|ends| ends.get(name)).sum::<u64>();
    report.figure("damages", n);
    for end in [End::Refused, End::Suspect, End::Harmless, End::Guarded] {
        let name = format!("{end:?}").to_lowercase();
        report.figure(&name, of(&name));
    }
    report.figure("by_damage", serde_json::to_value(&ends).unwrap_or_default());
    report.demand(ends.values().flat_map(BTreeMap::values).sum::<u64>() == n, "not every damage was tried");
    found.broken.into_inner().expect("no panic").into_iter().for_each(|what| report.breaks(what));
    report
}
