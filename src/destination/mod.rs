//! Destinations: one folder for each external system, behind one contract.

mod answer;
mod auth;
mod contract;
mod error;
mod file;
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
pub use registry::{DestinationError, base_url, check_sync, client_settings, limits, open};
