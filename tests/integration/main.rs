//! The integration tests: one binary, so that database servers are started once.

mod acceptance;
mod borders;
mod cli;
mod config;
mod demo;
mod destinations;
mod scenarios;
mod sources;
mod support;
