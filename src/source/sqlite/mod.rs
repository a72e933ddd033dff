//! SQLite: one statement on a connection that can only read, decoded by each value's storage class.
//!
//! A declared type only says what a column mostly holds; every cell arrives as SQLite stores it. The one exception is
//! 0 and 1 in a column declared `BOOL…`, which arrive as truth values.

mod connect;
mod cursor;
mod describe;
mod errors;
mod read;
mod scan;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{ModelQuery, RowStream, Source, SourceError, SourceReport, SqliteSettings};
use crate::model::Schema;
use connect::Session;

/// A SQLite file as a source.
pub(super) struct SqliteSource {
    path: PathBuf,
}

impl SqliteSource {
    /// Does not open the file yet.
    pub(super) fn new(settings: &SqliteSettings) -> Self {
        Self { path: settings.path.clone() }
    }
}

impl fmt::Debug for SqliteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSource").field("path", &self.path).finish()
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn describe(&self, query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let mut session = Session::open(&self.path, query.timeout).await?;
        let schema = describe::schema(&mut session, query).await?;
        describe::prepare(&mut session, query, &schema).await?;
        Ok(Arc::new(schema))
    }

    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        read::start(self.path.clone(), query.clone(), schema)
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        let mut session = Session::open(&self.path, Duration::from_secs(60)).await?;
        let version: Result<String, _> =
            sqlx::query_scalar("select sqlite_version()").fetch_one(&mut session.connection).await;
        let version = version.map_err(|error| errors::connect(&self.path, &error))?;
        Ok(SourceReport { server: format!("SQLite {version}"), warnings: Vec::new() })
    }
}
