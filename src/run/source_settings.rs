//! From a source's specification to its settings, with secrets read.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    model::spec::{PostgresSpec, SourceKind, SourceSpec, TextSpec},
    source::{
        PostgresConnection, PostgresParts, PostgresSettings, PostgresTls, PostgresTlsMode, SourceConfig, SqliteSettings,
    },
};

use super::{RunError, Secrets};

pub(super) async fn resolve(spec: &SourceSpec, secrets: &dyn Secrets) -> Result<SourceConfig, RunError> {
    Ok(match &spec.kind {
        SourceKind::Sqlite { path } => {
            let text = read(path, secrets).await?;
            let plain = text.expose_secret();
            let path = plain.strip_prefix("sqlite://").or_else(|| plain.strip_prefix("sqlite:")).unwrap_or(plain);
            SourceConfig::Sqlite(SqliteSettings { path: PathBuf::from(path) })
        }
        SourceKind::Postgres(spec) => SourceConfig::Postgres(postgres(spec, secrets).await?),
    })
}

async fn postgres(spec: &PostgresSpec, secrets: &dyn Secrets) -> Result<PostgresSettings, RunError> {
    let (connection, tls) = match spec {
        PostgresSpec::Url(url) => (PostgresConnection::Url(read(url, secrets).await?), None),
        PostgresSpec::Parts { host, port, database, user, password, tls } => {
            let password = match password {
                Some(secret) => Some(secrets.read(secret).await?),
                None => None,
            };
            let parts = PostgresParts {
                host: plain(host, secrets).await?,
                port: *port,
                database: plain(database, secrets).await?,
                user: plain(user, secrets).await?,
                password,
            };
            let tls = PostgresTls { mode: tls_mode(tls), root_certificate: None };
            (PostgresConnection::Parts(parts), Some(tls))
        }
    };
    Ok(PostgresSettings { connection, tls, connect_timeout: PostgresSettings::CONNECT_TIMEOUT })
}

/// The configuration has checked the name; anything else gets the strictest mode.
fn tls_mode(name: &str) -> PostgresTlsMode {
    match name {
        "disable" => PostgresTlsMode::Disable,
        "prefer" => PostgresTlsMode::Prefer,
        "require" => PostgresTlsMode::Require,
        "verify-ca" => PostgresTlsMode::VerifyCa,
        _ => PostgresTlsMode::VerifyFull,
    }
}

async fn read(text: &TextSpec, secrets: &dyn Secrets) -> Result<SecretString, RunError> {
    Ok(match text {
        TextSpec::Plain(text) => SecretString::from(text.clone()),
        TextSpec::Secret(secret) => secrets.read(secret).await?,
    })
}

async fn plain(text: &TextSpec, secrets: &dyn Secrets) -> Result<String, RunError> {
    Ok(read(text, secrets).await?.expose_secret().to_owned())
}
