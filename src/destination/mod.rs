//! Destinations: one folder for each external system, behind one contract.

mod contract;

pub use contract::{
    Batch, BatchRow, Capabilities, Correlation, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup,
    LookupBy, LookupKind, ONE, Outcome, Rejection, Unacceptable,
};
