//! Connectors against the simulator, through a real account: what is sent is understood, what is answered is read.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not take for tests")]

mod file;
mod harness;
mod http;
mod hubspot;
