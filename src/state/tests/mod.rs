//! Tests of the state on SQLite; the conformance suite runs on every store.

mod conformance;
mod damage;
mod files;
mod model;
mod resync;
mod support;
