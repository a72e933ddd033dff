//! A HubSpot portal (CRM API v3), after destinations.md 3.2.
//!
//! Objects: `contacts`, `companies`, `deals`, `tickets`, `products` (also by their numbers `0-1`, `0-2`, `0-3`, `0-5`,
//! `0-7`) and those declared with `--object` (by name, as `p4242_NAME`, and by the type id that
//! `/crm/v3/schemas` tells). Under `/crm/v3/objects/{type}` and the dated `/crm/objects/{date}/{type}`:
//! `batch/upsert`, `batch/update`, `batch/create`, `batch/archive`, `batch/read`, create, read, update and archive of one
//! record. Also `/crm/v3/properties/{type}`, `/account-info/v3/details` and
//! `/account-info/v3/api-usage/daily/private-apps`.
//!
//! A batch that is malformed as a whole is refused with 400. A row that is not valid fails alone, in a 207, when it
//! carries an `objectWriteTraceId`; without one it fails the whole batch with a 400, before anything is written. A row
//! that is not found, or collides with another record, fails alone in any case.
//!
//! Values are stored as sent, `email` trimmed and in lower case. A merged record's id leads to the survivor for ever, and
//! so does its address. An archived record gives its unique values free.

mod account;
mod addressed;
mod batch;
mod control;
mod errors;
mod objects;
mod options;
mod parse;
mod portal;
mod render;
mod schema;
mod store;
mod validate;

#[cfg(test)]
mod tests;

pub use options::{HubSpotOptions, PropertySpec};
pub(in crate::simulator) use portal::HubSpot;
