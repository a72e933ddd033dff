//! HubSpot CRM: any object by name, through the batch endpoints.
//!
//! Facts are of the vendor's API reference (CRM objects v3, <https://developers.hubspot.com/docs/api-reference>) unless a
//! comment says otherwise. Empty text and null are one thing to HubSpot: both clear a property.

mod classify;
mod config;
mod connector;
mod encode;
#[cfg(feature = "proof")]
mod fuzz;
mod objects;
mod problem;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use config::{BASE_URL, TOKEN_PATH, check_sync, default_limits};
pub(crate) use connector::HubSpot;
#[cfg(feature = "proof")]
pub(super) use fuzz::TARGETS as FUZZ_TARGETS;
