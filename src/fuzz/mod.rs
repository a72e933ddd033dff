//! Targets of the proof harness's fuzzer: what bytes from outside meet first, with the properties that must hold for any.
//!
//! Only with the test-only feature `proof`. A module whose decoders are its own has its targets beside them.

mod bits;
mod config;
mod cron;
mod key;
mod mapping;
mod record;
mod template;

use crate::{destination, plan, proof::Target, state, wire};

/// Every target.
pub fn targets() -> Vec<Target> {
    let own = [
        Target::of_text("config", config::run),
        Target::of_text("cron", cron::run),
        Target::new("key", key::run, key::seeds),
        Target::new("record", record::run, record::seeds),
        Target::new("mapping", mapping::run, record::seeds),
        Target::of_text("template", template::run),
    ];
    let others = [wire::FUZZ_TARGETS, destination::FUZZ_TARGETS, state::FUZZ_TARGETS, plan::FUZZ_TARGETS];
    own.into_iter().chain(others.into_iter().flatten().copied()).collect()
}
