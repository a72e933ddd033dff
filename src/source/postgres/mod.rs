//! PostgreSQL: one prepared statement in a read-only transaction, binary protocol, own decoders.
//!
//! Common types are decoded from their binary form; every other type is rendered by the server in the wrapping select,
//! so that no type needs a decoder of the driver.

mod decode;
mod describe;
mod errors;
mod numeric;
mod read;
mod session;
mod types;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{ModelQuery, RowStream, ServerSettings, Source, SourceError, SourceReport, reading};
use crate::model::Schema;
use session::{Connector, Session};

/// A PostgreSQL server as a source.
pub(super) struct PostgresSource {
    connector: Connector,
}

impl PostgresSource {
    /// Does not connect yet.
    pub(super) fn new(settings: &ServerSettings) -> Result<Self, SourceError> {
        Ok(Self { connector: Connector::new(settings)? })
    }
}

impl fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSource").finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn describe(&self, query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let mut session = Session::open(&self.connector, query.timeout).await?;
        let prepared = describe::prepare(&mut session, query).await?;
        describe::check_wrapped(&mut session, query, &prepared).await?;
        session.close().await;
        Ok(Arc::new(prepared.schema))
    }

    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        reading::start::<Session>(self.connector.clone(), query.clone(), schema)
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        session::report(&self.connector).await
    }
}
