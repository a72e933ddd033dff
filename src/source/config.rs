//! Settings of the sources, and the one place that turns them into a [`Source`].

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{Source, SourceError, mysql::MysqlSource, postgres::PostgresSource, sqlite::SqliteSource};

/// The settings of one source; closed, so that the compiler finds every place that must know a new kind.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// A PostgreSQL server.
    Postgres(ServerSettings),
    /// A MySQL or MariaDB server.
    Mysql(ServerSettings),
    /// A SQLite file.
    Sqlite(SqliteSettings),
}

/// Settings of a source that is a database server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where the server is and who connects.
    pub connection: ServerConnection,
    /// TLS; `None` leaves it to the URL, and without a word there TLS is used when the server offers it.
    pub tls: Option<ServerTls>,
    /// How long connecting may take, authentication included.
    pub connect_timeout: Duration,
}

impl ServerSettings {
    /// The default of [`ServerSettings::connect_timeout`].
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
}

/// Where a database server is and who connects.
#[derive(Debug, Clone)]
pub enum ServerConnection {
    /// `postgres://user:password@host:port/database?sslmode=…`, or `mysql://` and `mariadb://` likewise; a secret as a whole.
    Url(SecretString),
    /// The parts one by one.
    Parts(ServerParts),
}

/// A database server's address and account.
#[derive(Debug, Clone)]
pub struct ServerParts {
    /// Host name or address; a path that starts with `/` is the directory of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role.
    pub user: String,
    /// The role's password.
    pub password: Option<SecretString>,
}

/// How a connection to a database server is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// How much is demanded.
    pub mode: ServerTlsMode,
    /// A PEM file with the certificate authority; `None` trusts the built-in roots.
    pub root_certificate: Option<PathBuf>,
}

/// libpq's `sslmode` (<https://www.postgresql.org/docs/current/libpq-ssl.html>), without its legacy `allow`; MySQL's modes
/// are the same under other names (<https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTlsMode {
    /// No TLS.
    Disable,
    /// TLS when the server offers it.
    Prefer,
    /// TLS, whoever answers.
    Require,
    /// TLS with a certificate of a trusted authority.
    VerifyCa,
    /// TLS with a certificate of a trusted authority for this host.
    VerifyFull,
}

/// Settings of a SQLite source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The database file. It is opened read-only and never created.
    pub path: PathBuf,
}

/// Makes a source. Connects only when it is asked something.
///
/// # Errors
/// [`SourceError::Settings`] when the settings make no sense, such as a URL that cannot be parsed.
pub fn open(config: &SourceConfig) -> Result<Box<dyn Source>, SourceError> {
    Ok(match config {
        SourceConfig::Postgres(settings) => Box::new(PostgresSource::new(settings)?),
        SourceConfig::Mysql(settings) => Box::new(MysqlSource::new(settings)?),
        SourceConfig::Sqlite(settings) => Box::new(SqliteSource::new(settings)),
    })
}
