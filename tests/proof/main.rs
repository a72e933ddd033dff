//! The proof harness: commands that attack the program, with seeds (see `docs/proof.md`).
//!
//! `cargo test --release --all-features --test proof -- NAME [--n N] [--seed S] …` runs one of them in full and prints one
//! JSON line; without a name all run with their small budgets, as `cargo test` does.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness prints its figures, and its helpers fail the proof that calls them"
)]

mod arguments;
mod damage;
mod days;
mod failover;
mod failpoints;
mod fuzz;
mod guard;
mod histories;
mod kill9;
mod limits;
mod report;
mod resources;
mod rows;
mod stops;
#[allow(dead_code, unused_imports, reason = "the integration tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod variants;

use std::{panic::AssertUnwindSafe, process::ExitCode};

use arguments::{Arguments, Wanted};
use report::Report;
use tokio::time::Instant;

/// One command of the harness.
struct Proof {
    name: &'static str,
    /// What it shows, in one line.
    about: &'static str,
    /// Arguments of the small budget that every change has to pass.
    small: &'static [&'static str],
    run: fn(&Arguments) -> Report,
}

/// Every command.
const PROOFS: &[Proof] = &[
    kill9::PROOF,
    failpoints::PROOF,
    failover::PROOF,
    stops::PROOF,
    resources::PROOF,
    limits::PROOF,
    fuzz::PROOF,
    damage::PROOF,
    guard::PROOF,
    days::PROOF,
    histories::PROOF,
    variants::PROOF,
];

fn main() -> ExitCode {
    match arguments::wanted(std::env::args().skip(1), PROOFS.iter().map(|proof| proof.name)) {
        Ok(Wanted::List) => {
            PROOFS.iter().for_each(|proof| println!("{}: proof", proof.name));
            ExitCode::SUCCESS
        }
        Ok(Wanted::Small(filter)) => {
            let chosen = PROOFS.iter().filter(|proof| filter.as_ref().is_none_or(|text| proof.name.contains(text)));
            let fails = |proof: &&Proof| !run(proof, &Arguments::of(proof.small));
            // All of them, also after one has failed.
            end(chosen.filter(fails).count() == 0)
        }
        Ok(Wanted::One(name, arguments)) => {
            end(PROOFS.iter().find(|proof| proof.name == name).is_some_and(|proof| run(proof, &arguments)))
        }
        Err(error) => {
            eprintln!("error: {error}\nhint: `-- NAME [--KEY VALUE]…`, where NAME is one of:");
            PROOFS.iter().for_each(|proof| eprintln!("  {:<12} {}", proof.name, proof.about));
            ExitCode::from(2)
        }
    }
}

fn end(passed: bool) -> ExitCode {
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one proof and prints its line.
fn run(proof: &Proof, arguments: &Arguments) -> bool {
    eprintln!("proof {}: {}", proof.name, proof.about);
    let began = Instant::now();
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| (proof.run)(arguments)));
    let report = ended.unwrap_or_else(|_| Report::failed("it panicked, see above"));
    println!("{}", report.line(proof.name, arguments, began.elapsed()));
    report.passed()
}
