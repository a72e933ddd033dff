//! From a source's specification to its settings, with secrets read.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    model::spec::{PostgresSpec, SourceKind, SourceSpec, TextSpec},
    source::{
        PostgresConnection, PostgresParts, PostgresSettings, PostgresTls, PostgresTlsMode, SourceConfig,
        SqliteSettings,
    },
};

use super::{RunError, Secrets};

pub(super) fn resolve(spec: &SourceSpec, secrets: &dyn Secrets) -> Result<SourceConfig, RunError> {
    Ok(match &spec.kind {
        SourceKind::Sqlite { path } => {
            let text = read(path, secrets)?;
            let plain = text.expose_secret();
            let path = plain.strip_prefix("sqlite://").or_else(|| plain.strip_prefix("sqlite:")).unwrap_or(plain);
            SourceConfig::Sqlite(SqliteSettings { path: PathBuf::from(path) })
        }
        SourceKind::Postgres(spec) => SourceConfig::Postgres(postgres(spec, secrets)?),
    })
}

fn postgres(spec: &PostgresSpec, secrets: &dyn Secrets) -> Result<PostgresSettings, RunError> {
    let (connection, tls) = match spec {
        PostgresSpec::Url(url) => (PostgresConnection::Url(read(url, secrets)?), None),
        PostgresSpec::Parts { host, port, database, user, password, tls } => {
            let text = |spec| read(spec, secrets).map(|text| text.expose_secret().to_owned());
            let parts = PostgresParts {
                host: text(host)?,
                port: *port,
                database: text(database)?,
                user: text(user)?,
                password: password.as_ref().map(|secret| secrets.read(secret)).transpose()?,
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

fn read(text: &TextSpec, secrets: &dyn Secrets) -> Result<SecretString, RunError> {
    Ok(match text {
        TextSpec::Plain(text) => SecretString::from(text.clone()),
        TextSpec::Secret(secret) => secrets.read(secret)?,
    })
}
