//! Bytes from outside, mutated: whatever reads them keeps its properties, never panics, never hangs (reliability, bad input).

mod corpus;
mod mutate;
mod trial;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use syncline::{
    fuzz::targets,
    proof::{Rule, Target, break_rule},
};
use tokio::time::Instant;

use self::trial::Watch;
use crate::{Proof, arguments::Arguments, report::Report};

/// `fuzz --target NAME|all --seconds S --seed S --rule RULE`, or `fuzz --target NAME --replay FILE`.
pub(crate) const PROOF: Proof = Proof {
    name: "fuzz",
    about: "mutated bytes break no reader: no panic, no hang, every round trip",
    small: &["--seed", "1", "--seconds", "1"],
    run,
};

/// Lanes at once.
const LANES: usize = 2;
/// Inputs that are mutated: the seeds, and mutants that took the place of others.
const POOL: usize = 256;
/// Most memory that the process may ever have held, in MiB: inputs are 64 KiB at most.
const MAX_MIB: u64 = 1024;
/// Finds nothing unless a number of the seed is exchanged for one above 64 bits: shows that the fuzzer finds anything.
const PLANTED: Target = Target { name: "planted", run: planted, seeds: || vec![b"wait=10".to_vec()] };

fn planted(bytes: &[u8]) {
    let number = bytes.strip_prefix(b"wait=").and_then(|rest| std::str::from_utf8(rest).ok());
    let fits = number.is_none_or(|text| !text.bytes().all(|byte| byte.is_ascii_digit()) || text.len() < 19);
    assert!(fits, "the planted bug");
}

/// What a target's runs found.
struct Tried {
    name: &'static str,
    runs: u64,
    crashes: Vec<String>,
}

fn run(arguments: &Arguments) -> Report {
    if let Some(name) = arguments.text("rule") {
        break_rule(Rule::named(name).unwrap_or_else(|| panic!("--rule: no rule is named `{name}`")));
    }
    let wanted = arguments.text("target").unwrap_or("all");
    let mut chosen: Vec<Target> =
        targets().into_iter().filter(|target| wanted == "all" || target.name == wanted).collect();
    if chosen.is_empty() {
        let names: Vec<_> = targets().iter().map(|target| target.name).collect();
        return Report::failed(&format!("no target is named `{wanted}`; there are {}", names.join(", ")));
    }
    if let (Some(file), [target, ..]) = (arguments.text("replay"), chosen.as_slice()) {
        (target.run)(&std::fs::read(file).expect("the file cannot be read"));
        return Report::new();
    }
    chosen.push(PLANTED);
    let seconds = Duration::from_secs(arguments.number("seconds", 60));
    let tried = trial::quietly(|| side_by_side(&chosen, seconds, arguments.seed()));
    judge(&tried)
}

fn side_by_side(chosen: &[Target], seconds: Duration, seed: u64) -> Vec<Tried> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let watch = Watch::default();
    let take = || chosen.get(next.fetch_add(1, Ordering::SeqCst));
    let lane = || {
        while let Some(target) = take() {
            let tried = attack(target, seconds, seed, &watch);
            all.lock().expect("no panic while locked").push(tried);
        }
    };
    let work = || {
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
            lanes.into_iter().for_each(|lane| lane.join().expect("a lane failed"));
        });
    };
    watch.during(work);
    let mut all = all.into_inner().expect("no panic while locked");
    all.sort_by_key(|tried| tried.name);
    all
}

/// Replays the seeds, then mutates them.
fn attack(target: &Target, seconds: Duration, seed: u64, watch: &Watch) -> Tried {
    let began = Instant::now();
    let mut rng = Rng::with_seed(target.name.bytes().fold(seed, |sum, byte| sum.rotate_left(7) ^ u64::from(byte)));
    let mut tried = Tried { name: target.name, runs: 0, crashes: Vec::new() };
    let mut pool = corpus::of(target);
    let mut known = Vec::new();
    let mut attempt = |input: &[u8], tried: &mut Tried| {
        tried.runs += 1;
        let Some(failure) = trial::run(target, input, watch) else { return };
        if !known.contains(&failure.place) {
            known.push(failure.place.clone());
            let smallest = trial::minimise(target, input, &failure, watch);
            let file = if target.name == PLANTED.name { String::new() } else { corpus::keep(target, &smallest) };
            tried.crashes.push(format!("{}: {failure} ({} bytes: {file})", target.name, smallest.len()));
        }
    };
    pool.iter().for_each(|input| attempt(input, &mut tried));
    while began.elapsed() < seconds {
        for _ in 0..16 {
            let (one, other) = (rng.usize(..pool.len()), rng.usize(..pool.len()));
            let mutant = mutate::mutate(&pool[one], &pool[other], &mut rng);
            attempt(&mutant, &mut tried);
            match rng.u32(0..100) {
                0 if pool.len() < POOL => pool.push(mutant),
                1 if pool.len() == POOL => pool[one] = mutant,
                _ => {}
            }
        }
    }
    tried
}

fn judge(tried: &[Tried]) -> Report {
    let mut report = Report::new();
    let (planted, real): (Vec<_>, Vec<_>) = tried.iter().partition(|tried| tried.name == PLANTED.name);
    let runs: serde_json::Map<_, _> = real.iter().map(|tried| (tried.name.to_owned(), tried.runs.into())).collect();
    report.figure("targets", real.len());
    report.figure("runs", real.iter().map(|tried| tried.runs).sum::<u64>());
    report.figure("runs_of", runs);
    report.figure("peak_mib", trial::peak_mib());
    real.iter().flat_map(|tried| &tried.crashes).for_each(|crash| report.breaks(crash.clone()));
    report.demand(planted.iter().any(|tried| !tried.crashes.is_empty()), "the planted bug was not found");
    report.demand(trial::peak_mib() < MAX_MIB, "a small input takes much memory");
    report
}
