//! SQLite's errors in words that carry no row value (<https://www.sqlite.org/rescode.html>).

use std::path::Path;

use super::connect::Session;
use crate::source::{ModelQuery, SourceError, sql};

const ERROR: i32 = 1;
const INTERRUPT: i32 = 9;

/// The file could not be opened.
pub(super) fn connect(path: &Path, error: &sqlx::Error) -> SourceError {
    SourceError::Connect(format!("`{}`: {}", path.display(), words(error)).into())
}

/// The statement was refused while it was prepared; what SQLite says then quotes nothing but the statement.
pub(super) fn prepare(query: &ModelQuery, error: &sqlx::Error) -> SourceError {
    match error.as_database_error() {
        Some(said) if code(error) == Some(ERROR) => sql::refused(query, said.message()),
        Some(_) | None => sql::refused(query, words(error)),
    }
}

/// Reading failed after `rows` rows.
pub(super) fn read(session: &Session, query: &ModelQuery, rows: u64, error: &sqlx::Error) -> SourceError {
    if code(error) == Some(INTERRUPT) && session.timed_out() {
        return SourceError::Timeout { model: query.name.clone() };
    }
    SourceError::Read { model: query.name.clone(), rows, reason: words(error).to_owned() }
}

/// The primary result code.
fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse::<i32>().ok().map(|code| code & 0xFF)
}

fn words(error: &sqlx::Error) -> &'static str {
    match code(error) {
        Some(ERROR) => "a value could not be computed",
        Some(5 | 6) => "the database is locked by a writer",
        Some(7) => "out of memory",
        Some(8) => "the statement tried to write",
        Some(INTERRUPT) => "the statement was interrupted",
        Some(10) => "the file could not be read",
        Some(11) => "the file is damaged",
        Some(14) => "the file, or the `-wal` and `-shm` files beside it, could not be opened",
        Some(18) => "a value is too large",
        Some(23) => "the statement is not allowed",
        Some(26) => "the file is not a database",
        Some(_) | None => "SQLite reported an error",
    }
}
