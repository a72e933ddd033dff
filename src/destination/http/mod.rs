//! Any JSON API: one object, an array or an envelope per request; an idempotency key; per-row results by JSON pointer.
//!
//! Upserts, and clears with nulls, go to `path`; deletes go one by one to `delete_path`. The generic destination knows no
//! record ids as addresses: a record is what its match value says.

mod classify;
mod config;
mod connector;
mod encode;
#[cfg(test)]
mod tests;

pub use config::HttpSettingsError;
pub(crate) use config::{HttpSettings, check_sync};
pub(crate) use connector::Http;
