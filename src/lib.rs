//! Syncline: a reverse-ETL daemon.
//!
//! A scheduler polls model queries of a warehouse, diffs each result against the snapshot of what the destination last
//! acknowledged, and pushes only the changed rows through rate-limited connectors. One run reads, maps and encodes the
//! model ([`source`], [`mapping`], [`model`]), merges it with the state ([`diff`], [`state`]), spools and judges the plan
//! ([`spool`], [`plan`]), and delivers and settles it ([`delivery`], [`destination`], [`wire`]). [`run`] drives one run end
//! to end, [`scheduler`] decides when. `ARCHITECTURE.md` shows the arrows between these modules; a test keeps them.

pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod destination;
pub mod diff;
#[cfg(feature = "proof")]
pub mod fuzz;
pub mod http;
pub mod mapping;
pub mod model;
pub mod plan;
pub mod proof;
pub mod run;
pub mod scheduler;
pub mod shutdown;
pub mod simulator;
pub mod source;
pub mod spool;
pub mod state;
pub mod telemetry;
pub mod wire;
