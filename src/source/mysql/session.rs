//! Connecting, and the read-only transaction that everything runs in.

use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, MySqlConnection, Row,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};
use tokio::time::timeout;

use super::errors;
use crate::{
    source::{ServerConnection, ServerParts, ServerSettings, ServerTls, ServerTlsMode, SourceError},
    telemetry::{event, events},
};

/// How long cancelling or closing politely may take before the socket is simply dropped.
const FAREWELL: Duration = Duration::from_secs(5);

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Connector {
    options: MySqlConnectOptions,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: &ServerSettings) -> Result<Self, SourceError> {
        let mut options = match &settings.connection {
            // The parser's error is dropped: it may quote the URL, which is a secret.
            ServerConnection::Url(url) => url.expose_secret().parse::<MySqlConnectOptions>().map_err(|_| {
                SourceError::Settings { reason: "the URL is not of the form `mysql://user@host:port/database`".into() }
            })?,
            ServerConnection::Parts(parts) => from_parts(parts),
        };
        if let Some(tls) = &settings.tls {
            options = with_tls(options, tls);
        }
        // Statements hold literals of the model, and the driver logs slow ones. What the driver would set for the session
        // is set in `begin`, with everything else.
        let options = options
            .statement_cache_capacity(0)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        Ok(Self { options, timeout: settings.connect_timeout })
    }

    pub(super) async fn connect(&self) -> Result<MySqlConnection, SourceError> {
        match timeout(self.timeout, self.options.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(errors::connect(&error)),
            Err(_) => Err(SourceError::Connect(format!("no answer within {:?}", self.timeout).into())),
        }
    }

    /// Asks the server to stop the statement of the connection `id`, which must still be ours. Best effort.
    pub(super) async fn cancel(&self, id: u64) {
        let ask = async {
            let mut connection = self.connect().await?;
            let asked = sqlx::raw_sql(AssertSqlSafe(format!("kill query {id}"))).execute(&mut connection).await;
            asked.map_err(|error| errors::connect(&error))
        };
        if !matches!(timeout(FAREWELL, ask).await, Ok(Ok(_))) {
            event!(events::SOURCE_LINGERS);
        }
    }
}

fn from_parts(parts: &ServerParts) -> MySqlConnectOptions {
    let options = MySqlConnectOptions::new().port(parts.port).database(&parts.database).username(&parts.user);
    let options = if parts.host.starts_with('/') { options.socket(&parts.host) } else { options.host(&parts.host) };
    match &parts.password {
        Some(password) => options.password(password.expose_secret()),
        None => options,
    }
}

fn with_tls(options: MySqlConnectOptions, tls: &ServerTls) -> MySqlConnectOptions {
    let options = options.ssl_mode(match tls.mode {
        ServerTlsMode::Disable => MySqlSslMode::Disabled,
        ServerTlsMode::Prefer => MySqlSslMode::Preferred,
        ServerTlsMode::Require => MySqlSslMode::Required,
        ServerTlsMode::VerifyCa => MySqlSslMode::VerifyCa,
        ServerTlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
    });
    match &tls.root_certificate {
        Some(path) => options.ssl_ca(path),
        None => options,
    }
}

/// A connection inside a read-only transaction, with every setting that shapes a value pinned.
pub(super) struct Session {
    pub(super) connection: MySqlConnection,
    /// The server's number of the connection, to stop its statement.
    pub(super) id: u64,
    /// What the server says of itself: `10.11.19-MariaDB-…` or `8.4.3`.
    pub(super) version: String,
}

impl Session {
    pub(super) async fn open(connector: &Connector, statement_timeout: Duration) -> Result<Self, SourceError> {
        let failed = |error: sqlx::Error| errors::connect(&error);
        let mut connection = connector.connect().await?;
        let row = sqlx::raw_sql("select connection_id(), version()").fetch_one(&mut connection).await;
        let row = row.map_err(failed)?;
        let id = row.try_get_unchecked(0).map_err(failed)?;
        let version = row.try_get_unchecked::<String, _>(1).map_err(failed)?;
        let begin = begin(is_mariadb(&version), statement_timeout);
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await.map_err(failed)?;
        Ok(Self { connection, id, version })
    }

    /// Says good-bye to the server; the transaction ends with the connection.
    pub(super) async fn close(self) {
        // A connection that cannot be closed politely is closed by dropping it.
        drop(timeout(FAREWELL, self.connection.close()).await);
    }
}

pub(super) fn is_mariadb(version: &str) -> bool {
    version.to_ascii_lowercase().contains("mariadb")
}

/// - `sql_mode`: without `pad_char_to_full_length`, `ansi_quotes` and other modes that change what a statement means.
/// - `sql_select_limit`: a server-wide limit would make a part of a result look whole.
/// - `max_sort_length`: longer than a key, so that all of it sorts; a longer text is no valid key anyway.
/// - `net_write_timeout`: the rows wait while the engine is busy, for as long as the statement may run.
fn begin(mariadb: bool, statement_timeout: Duration) -> String {
    let millis = statement_timeout.as_millis().clamp(1, i32::MAX as u128);
    let limit = if mariadb {
        format!("max_statement_time = {}.{:03}", millis / 1_000, millis % 1_000)
    } else {
        format!("max_execution_time = {millis}")
    };
    let patience = millis.div_ceil(1_000).clamp(60, 86_400);
    format!(
        "set names utf8mb4; \
         set session sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
         time_zone = '+00:00', lc_time_names = 'en_US', sql_select_limit = 18446744073709551615, \
         max_sort_length = 1024, net_write_timeout = {patience}, {limit}; \
         set session transaction isolation level repeatable read; \
         start transaction with consistent snapshot, read only"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_gets_its_own_limit() {
        assert!(is_mariadb("10.11.19-MariaDB-0+deb12u1") && !is_mariadb("8.4.3-commercial"));
        assert!(begin(true, Duration::from_millis(1_250)).contains("max_statement_time = 1.250;"));
        assert!(begin(false, Duration::from_millis(1_250)).contains("max_execution_time = 1250;"));
        assert!(begin(true, Duration::ZERO).contains("max_statement_time = 0.001;"), "zero means no limit");
    }
}
