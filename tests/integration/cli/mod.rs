//! The real binary, as a user meets it: output, exit codes, and a sync from an SQLite file to a simulated vendor.

mod configuration;
mod daemon;
mod fixture;
mod packaging;
mod reload;
mod removals;
mod resync;
mod syncs;
