//! Where rows come from: secrets, sources, models.

use std::{path::PathBuf, time::Duration};

/// Where a secret comes from. The configuration never holds one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSpec {
    /// An environment variable.
    Env(String),
    /// A file, without its trailing newline; read again on reload and on a 401.
    File(PathBuf),
    /// The standard output of a command, without its trailing newline.
    Command(Vec<String>),
}

/// A text that may be a secret: either written in the configuration or taken from a [`SecretSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextSpec {
    /// Written in the configuration.
    Plain(String),
    /// Taken from a secret.
    Secret(SecretSpec),
}

/// A connection to a warehouse or database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Its name.
    pub name: String,
    /// Its kind and settings.
    pub kind: SourceKind,
    /// Statements are cancelled after this long.
    pub statement_timeout: Duration,
}

/// The kinds of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// PostgreSQL.
    Postgres(ServerSpec),
    /// MySQL or MariaDB.
    Mysql(ServerSpec),
    /// An SQLite database file.
    Sqlite {
        /// The file (relative to the working directory), or an `sqlite://` URL.
        path: TextSpec,
    },
}

/// How to reach a database server: a URL, or its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSpec {
    /// A URL: `postgres://`, `mysql://` or `mariadb://`.
    Url(TextSpec),
    /// Parts.
    Parts {
        /// Host name, address or socket folder.
        host: TextSpec,
        /// TCP port.
        port: u16,
        /// Database name.
        database: TextSpec,
        /// Role.
        user: TextSpec,
        /// The role's password.
        password: Option<SecretSpec>,
        /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full` (default).
        tls: String,
    },
}

/// A query with a primary key; its result is the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    /// Its name.
    pub name: String,
    /// The source's name.
    pub source: String,
    /// Key columns, in order.
    pub primary_key: Vec<String>,
    /// The statement (already read from its file) or the table.
    pub body: ModelBodySpec,
    /// A query of one value; while its answer stays the same the model is not read.
    pub changed_when: Option<String>,
}

impl ModelSpec {
    /// A model with every setting at its default.
    pub fn new(name: &str, source: &str, primary_key: Vec<String>, body: ModelBodySpec) -> Self {
        Self { name: name.to_owned(), source: source.to_owned(), primary_key, body, changed_when: None }
    }
}

/// The statement of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelBodySpec {
    /// A `select`, written in the configuration or in `sql_file`.
    Sql(String),
    /// A table or view.
    Table(String),
}

impl std::fmt::Display for SecretSpec {
    /// The reference, as messages name it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Command(words) => write!(f, "command `{}`", words.first().map_or("", String::as_str)),
        }
    }
}
