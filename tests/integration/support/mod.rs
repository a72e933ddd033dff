//! What tests need from outside the crate: database servers and files.

mod servers;
mod sqlite;

pub(crate) use servers::postgres::{TestDatabase, postgres, postgres_with};
pub(crate) use sqlite::{SqliteFile, sqlite_file};
