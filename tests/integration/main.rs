//! The integration tests: one binary, so that database servers are started once.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests print their figures, and their helpers fail the test that calls them"
)]

mod acceptance;
mod borders;
mod cli;
mod config;
mod demo;
mod destinations;
mod scenarios;
mod sources;
#[allow(dead_code, unused_imports, reason = "the proof harness uses the rest")]
#[path = "../support/mod.rs"]
mod support;
