//! Sources against real databases: types, key order, traps.

mod harness;
mod postgres_keys;
mod postgres_traps;
mod postgres_types;
mod sqlite_keys;
mod sqlite_traps;
mod sqlite_types;
