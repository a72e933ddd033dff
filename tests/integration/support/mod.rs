//! What tests need from outside the crate: database servers and files.

#![allow(clippy::expect_used, clippy::panic)] // helpers outside of `#[test]` functions fail the test that calls them

mod servers;
mod sqlite;

pub(crate) use servers::postgres::{TestDatabase, postgres, postgres_with};
pub(crate) use sqlite::{SqliteFile, sqlite_file};
