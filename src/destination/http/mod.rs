//! Any JSON API: one object, an array or an envelope per request; an idempotency key; per-row results by JSON pointer.
//!
//! The simple form: upserts, and clears with nulls, go to `path`; deletes go one by one to `delete_path`; a record is what
//! its match value says. Objects with settings of their own say for each operation how it is sent, with templates, and may
//! know records by the ids that answers name. The simple form is compiled to the same operations.

mod check;
mod classify;
mod config;
mod connector;
mod encode;
#[cfg(feature = "proof")]
mod fuzz;
mod operation;
mod path;
#[cfg(test)]
mod tests;

pub(crate) use check::check_sync;
pub(crate) use config::HttpSettings;
pub use config::HttpSettingsError;
pub(crate) use connector::Http;
#[cfg(feature = "proof")]
pub(super) use fuzz::TARGET as FUZZ_TARGET;
