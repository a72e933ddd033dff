//! Sources against real databases: types, key order, traps.

#![allow(clippy::expect_used, clippy::panic)] // helpers outside of `#[test]` functions fail the test that calls them

mod cursors;
mod flags;
mod harness;
mod mysql_keys;
mod mysql_traps;
mod mysql_types;
mod postgres_keys;
mod postgres_traps;
mod postgres_types;
mod sqlite_keys;
mod sqlite_traps;
mod sqlite_types;
