//! SQLite files in temporary folders.

use std::path::PathBuf;

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// A SQLite file that disappears with this value.
pub(crate) struct SqliteFile {
    /// The file; it exists once something was executed.
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

/// A new, empty SQLite file in a folder of its own.
pub(crate) fn sqlite_file() -> SqliteFile {
    let folder = tempfile::tempdir().expect("no temporary folder");
    SqliteFile { path: folder.path().join("test.db"), _folder: folder }
}

impl SqliteFile {
    /// Runs statements on a writing connection of its own.
    pub(crate) async fn execute(&self, sql: &str) {
        let options = SqliteConnectOptions::new().filename(&self.path).create_if_missing(true);
        let mut connection = options.connect().await.expect("the file cannot be opened");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("a test's statement failed");
        connection.close().await.expect("the file cannot be closed");
    }
}
