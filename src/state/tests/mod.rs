//! Tests of the state; the conformance suite and the random histories run on every store.

mod budget;
mod conformance;
mod damage;
mod files;
mod kept;
mod leases;
mod model;
mod postgres;
mod resync;
#[allow(dead_code, clippy::expect_used, clippy::panic, reason = "shared with the integration tests")]
#[path = "../../../tests/support/servers/mod.rs"]
mod servers;
mod support;
