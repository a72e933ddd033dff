//! One run of one sync, end to end: read, map, diff, judge, deliver, settle, close.

mod begin;
mod behind;
mod check;
mod claims;
mod close;
mod connection;
mod cursor;
mod deliver;
mod doubt;
mod earlier;
mod ending;
mod engine;
mod error;
mod guarded;
mod judge;
mod keyed;
mod nulls;
mod outcome;
mod passed;
mod pending;
mod planner;
mod prepare;
mod preview;
mod quota;
mod report;
mod resolve;
mod resync;
mod sharing;
mod skip;
mod source_settings;
mod strangers;
mod sync_run;
#[cfg(test)]
mod tests;
mod tokens;
mod trigger;
mod turn;

pub use check::{Checked, Problem};
pub use connection::Connected;
pub use engine::{Engine, EngineParts, SecretFailure, Secrets};
pub use error::RunError;
pub use preview::{Preview, SampleRow};
pub use report::{Durations, Elsewhere, Requests, RunReport, TripLine};
pub use resync::Resync;
pub use sharing::Ticket;
pub use trigger::Trigger;

/// The engine over stand-ins, for the scheduler's tests.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::tests::{Kit, advance, rows};
}
