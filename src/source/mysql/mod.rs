//! MySQL and MariaDB: one prepared statement in a read-only transaction, binary protocol, own decoders.
//!
//! The two speak one protocol and differ in few words; which one it is, the server's version tells. Values of text columns
//! arrive in UTF-8 whatever their character set is, and every setting that shapes a value is pinned for the session.

mod decode;
mod describe;
mod errors;
mod read;
mod report;
mod session;
mod types;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{ModelQuery, RowStream, ServerSettings, Source, SourceError, SourceReport, reading};
use crate::model::Schema;
use session::{Connector, Session};

/// A MySQL or MariaDB server as a source.
pub(super) struct MysqlSource {
    connector: Connector,
}

impl MysqlSource {
    /// Does not connect yet.
    pub(super) fn new(settings: &ServerSettings) -> Result<Self, SourceError> {
        Ok(Self { connector: Connector::new(settings)? })
    }
}

impl fmt::Debug for MysqlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlSource").finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for MysqlSource {
    async fn describe(&self, query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let mut session = Session::open(&self.connector, query.timeout).await?;
        let prepared = describe::prepare(&mut session, query).await?;
        session.close().await;
        Ok(Arc::new(prepared.schema))
    }

    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        reading::start::<Session>(self.connector.clone(), query.clone(), schema)
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        report::report(&self.connector).await
    }
}
