//! Settings of the sources, and the one place that turns them into a [`Source`].

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{Source, SourceError, postgres::PostgresSource, sqlite::SqliteSource};

/// The settings of one source; closed, so that the compiler finds every place that must know a new kind.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// A PostgreSQL server.
    Postgres(PostgresSettings),
    /// A SQLite file.
    Sqlite(SqliteSettings),
}

/// Settings of a PostgreSQL source.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// Where the server is and who connects.
    pub connection: PostgresConnection,
    /// TLS; `None` leaves it to the URL, and without a word there TLS is used when the server offers it.
    pub tls: Option<PostgresTls>,
    /// How long connecting may take, authentication included.
    pub connect_timeout: Duration,
}

impl PostgresSettings {
    /// The default of [`PostgresSettings::connect_timeout`].
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
}

/// Where a PostgreSQL server is and who connects.
#[derive(Debug, Clone)]
pub enum PostgresConnection {
    /// `postgres://user:password@host:port/database?sslmode=…`, a secret as a whole.
    Url(SecretString),
    /// The parts one by one.
    Parts(PostgresParts),
}

/// A PostgreSQL server's address and account.
#[derive(Debug, Clone)]
pub struct PostgresParts {
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

/// How a PostgreSQL connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresTls {
    /// How much is demanded.
    pub mode: PostgresTlsMode,
    /// A PEM file with the certificate authority; `None` trusts the built-in roots.
    pub root_certificate: Option<PathBuf>,
}

/// libpq's `sslmode` (<https://www.postgresql.org/docs/current/libpq-ssl.html>), without its legacy `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresTlsMode {
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
        SourceConfig::Sqlite(settings) => Box::new(SqliteSource::new(settings)),
    })
}
