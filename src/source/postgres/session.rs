//! Connecting, and the read-only transaction that everything runs in.

use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::time::timeout;

use super::errors;
use crate::{
    source::{ServerConnection, ServerSettings, ServerTls, ServerTlsMode, SourceError, SourceReport},
    telemetry::{event, events},
};

/// How long cancelling or closing politely may take before the socket is simply dropped.
const FAREWELL: Duration = Duration::from_secs(5);

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Connector {
    options: PgConnectOptions,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: &ServerSettings) -> Result<Self, SourceError> {
        let mut options = match &settings.connection {
            // The parser's error is dropped: it may quote the URL, which is a secret.
            ServerConnection::Url(url) => {
                url.expose_secret().parse::<PgConnectOptions>().map_err(|_| SourceError::Settings {
                    reason: "the URL is not of the form `postgres://user@host:port/database`".into(),
                })?
            }
            ServerConnection::Parts(parts) => {
                let options = PgConnectOptions::new_without_pgpass()
                    .host(&parts.host)
                    .port(parts.port)
                    .database(&parts.database)
                    .username(&parts.user);
                match &parts.password {
                    Some(password) => options.password(password.expose_secret()),
                    None => options,
                }
            }
        };
        if let Some(tls) = &settings.tls {
            options = with_tls(options, tls);
        }
        // Statements hold literals of the model, and the driver logs slow ones.
        let options = options.application_name("syncline").statement_cache_capacity(0).disable_statement_logging();
        Ok(Self { options, timeout: settings.connect_timeout })
    }

    pub(super) async fn connect(&self) -> Result<PgConnection, SourceError> {
        match timeout(self.timeout, self.options.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(errors::connect(&error)),
            Err(_) => Err(SourceError::Connect(format!("no answer within {:?}", self.timeout).into())),
        }
    }

    /// Asks the server to stop the statement of the backend `pid`, which must still be ours. Best effort.
    pub(super) async fn cancel(&self, pid: i32) {
        let ask = async {
            let mut connection = self.connect().await?;
            let asked = sqlx::query("select pg_cancel_backend($1)").bind(pid).execute(&mut connection).await;
            asked.map_err(|error| errors::connect(&error))
        };
        if !matches!(timeout(FAREWELL, ask).await, Ok(Ok(_))) {
            event!(events::SOURCE_LINGERS);
        }
    }
}

fn with_tls(options: PgConnectOptions, tls: &ServerTls) -> PgConnectOptions {
    let options = options.ssl_mode(match tls.mode {
        ServerTlsMode::Disable => PgSslMode::Disable,
        ServerTlsMode::Prefer => PgSslMode::Prefer,
        ServerTlsMode::Require => PgSslMode::Require,
        ServerTlsMode::VerifyCa => PgSslMode::VerifyCa,
        ServerTlsMode::VerifyFull => PgSslMode::VerifyFull,
    });
    match &tls.root_certificate {
        Some(path) => options.ssl_root_cert(path),
        None => options,
    }
}

/// A connection inside a read-only transaction, with every setting that shapes a value's text pinned.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    /// The server process, to cancel its statement.
    pub(super) pid: i32,
    /// The server's bytes are not UTF-8, so that byte order in the server is not our order.
    pub(super) converts: bool,
}

impl Session {
    pub(super) async fn open(connector: &Connector, statement_timeout: Duration) -> Result<Self, SourceError> {
        let mut connection = connector.connect().await?;
        let setup = sqlx::raw_sql(AssertSqlSafe(begin(statement_timeout))).execute(&mut connection).await;
        setup.map_err(|error| errors::connect(&error))?;
        let row =
            sqlx::query("select pg_backend_pid(), current_setting('server_encoding') not in ('UTF8', 'SQL_ASCII')")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| errors::connect(&error))?;
        let (pid, converts) = (row.try_get(0), row.try_get(1));
        let pid = pid.map_err(|error| errors::connect(&error))?;
        Ok(Self { connection, pid, converts: converts.map_err(|error| errors::connect(&error))? })
    }

    /// Says good-bye to the server; the transaction ends with the connection.
    pub(super) async fn close(self) {
        // A connection that cannot be closed politely is closed by dropping it.
        drop(timeout(FAREWELL, self.connection.close()).await);
    }
}

/// Settings are local to the transaction, so that a pooler between us and the server hands nothing on.
/// `client_min_messages`: notices can carry values, and the driver logs them.
fn begin(statement_timeout: Duration) -> String {
    let millis = statement_timeout.as_millis().clamp(1, i32::MAX as u128);
    format!(
        "begin isolation level repeatable read, read only; \
         set local statement_timeout = {millis}; \
         set local client_min_messages = 'error'; \
         set local timezone = 'UTC'; \
         set local datestyle = 'ISO, YMD'; \
         set local intervalstyle = 'iso_8601'; \
         set local bytea_output = 'hex'; \
         set local extra_float_digits = 1; \
         set local lc_monetary = 'C'"
    )
}

/// What `check` says: the server's version, and warnings about a role that may do more than read.
pub(super) async fn report(connector: &Connector) -> Result<SourceReport, SourceError> {
    let mut session = Session::open(connector, Duration::from_secs(60)).await?;
    let row = sqlx::query(
        "select current_setting('server_version'), coalesce((select rolsuper from pg_roles where rolname = current_user), false), \
         exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace \
           where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
           and has_table_privilege(c.oid, 'insert, update, delete, truncate'))",
    )
    .fetch_one(&mut session.connection)
    .await
    .map_err(|error| errors::connect(&error))?;
    let read = || Ok((row.try_get::<String, _>(0)?, row.try_get::<bool, _>(1)?, row.try_get::<bool, _>(2)?));
    let (version, superuser, writes) = read().map_err(|error: sqlx::Error| errors::connect(&error))?;
    session.close().await;
    let mut warnings = Vec::new();
    if superuser {
        warnings.push("The role is a superuser; a role that may only read the models is safer.".to_owned());
    } else if writes {
        warnings.push("The role may write to tables; a role that may only read the models is safer.".to_owned());
    }
    Ok(SourceReport { server: format!("PostgreSQL {version}"), warnings })
}
