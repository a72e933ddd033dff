//! Files in a local folder: JSON Lines or CSV, one file a run.
//!
//! Each batch is appended to a hidden file and synced to disk before its rows count as delivered. At the run's end the
//! file is linked to its name, so nothing half-written is ever visible and nothing visible is overwritten. A crash leaves
//! the hidden file; the next run that ends cuts it behind its last whole row and publishes it before its own file, so what
//! was reported delivered is never lost, also when `path` or `format` have changed since.
//! A row that was written but not settled before the crash stands in two files; the later one counts.

mod check;
mod connector;
mod encode;
mod pattern;
mod scan;
mod store;
mod stray;
#[cfg(test)]
mod tests;

pub(crate) use check::check_sync;
pub(crate) use connector::Files;
pub use pattern::PatternError;
