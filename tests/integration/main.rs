//! The integration tests: one binary, so that database servers are started once.

mod borders;
mod cli;
mod config;
mod destinations;
mod scenarios;
mod sources;
mod support;
