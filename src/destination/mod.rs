//! Destinations: one folder for each external system, behind one contract.

mod answer;
mod auth;
mod contract;
mod error;
mod file;
#[cfg(feature = "proof")]
mod fuzz;
mod http;
mod hubspot;
mod registry;
#[cfg(test)]
mod tests;

pub use self::{file::PatternError, http::HttpSettingsError};
pub use contract::{
    Batch, BatchRow, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup,
    LookupBy, LookupKind, ONE, Outcome, Rejection, RowCaps, Unacceptable,
};
pub use error::SyncProblem;
#[cfg(feature = "proof")]
pub(crate) use fuzz::FUZZ_TARGETS;
pub use registry::{DestinationError, base_url, check_sync, client_settings, limits, open};
