//! From a source's specification to its settings, with secrets read.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    model::spec::{ServerSpec, SourceKind, SourceSpec, TextSpec},
    source::{ServerConnection, ServerParts, ServerSettings, ServerTls, ServerTlsMode, SourceConfig, SqliteSettings},
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
        SourceKind::Postgres(spec) => SourceConfig::Postgres(server(spec, secrets).await?),
        SourceKind::Mysql(spec) => SourceConfig::Mysql(server(spec, secrets).await?),
    })
}

async fn server(spec: &ServerSpec, secrets: &dyn Secrets) -> Result<ServerSettings, RunError> {
    let (connection, tls) = match spec {
        ServerSpec::Url(url) => (ServerConnection::Url(read(url, secrets).await?), None),
        ServerSpec::Parts { host, port, database, user, password, tls } => {
            let password = match password {
                Some(secret) => Some(secrets.read(secret).await?),
                None => None,
            };
            let parts = ServerParts {
                host: plain(host, secrets).await?,
                port: *port,
                database: plain(database, secrets).await?,
                user: plain(user, secrets).await?,
                password,
            };
            let tls = ServerTls { mode: tls_mode(tls), root_certificate: None };
            (ServerConnection::Parts(parts), Some(tls))
        }
    };
    Ok(ServerSettings { connection, tls, connect_timeout: ServerSettings::CONNECT_TIMEOUT })
}

/// The configuration has checked the name; anything else gets the strictest mode.
fn tls_mode(name: &str) -> ServerTlsMode {
    match name {
        "disable" => ServerTlsMode::Disable,
        "prefer" => ServerTlsMode::Prefer,
        "require" => ServerTlsMode::Require,
        "verify-ca" => ServerTlsMode::VerifyCa,
        _ => ServerTlsMode::VerifyFull,
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
