//! Destinations: one folder for each external system, behind one contract.

mod answer;
mod contract;
mod error;
mod hubspot;
#[cfg(test)]
mod tests;

pub use contract::{
    Batch, BatchRow, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup,
    LookupBy, LookupKind, ONE, Outcome, Rejection, RowCaps, Unacceptable,
};
pub use error::SyncProblem;
