//! The integration tests: one binary, so that database servers are started once.

#![allow(clippy::expect_used, clippy::panic)] // helpers outside of `#[test]` functions fail the test that calls them

mod borders;
mod sources;
mod support;
