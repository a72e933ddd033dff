//! `[sources.NAME]` and `[models.NAME]`.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use url::Url;

use super::{
    diagnostic::{Origin, Sink},
    reader::Reader,
    secret,
    tree::{Entry, Node},
};
use crate::model::spec::{ModelBodySpec, ModelSpec, ServerSpec, SourceKind, SourceSpec, TextSpec};

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const LATER: [&str; 10] =
    ["bigquery", "snowflake", "redshift", "databricks", "clickhouse", "duckdb", "mssql", "trino", "athena", "oracle"];

#[derive(Clone, Copy)]
enum Kind {
    Postgres,
    Mysql,
    Sqlite,
}

/// What differs between the database servers in the configuration.
struct Dialect {
    schemes: &'static [&'static str],
    port: u16,
}

const POSTGRES: Dialect = Dialect { schemes: &["postgres", "postgresql"], port: 5432 };
const MYSQL: Dialect = Dialect { schemes: &["mysql", "mariadb"], port: 3306 };

/// Decodes a source.
pub(super) fn source(name: &str, entry: &Entry, sink: &Sink) -> Option<SourceSpec> {
    let reader = Reader::of(&entry.node, format!("source `{name}`"), sink)?;
    reader.require(&["type"], "\"postgres\"");
    let kinds =
        [("postgres", Kind::Postgres), ("mysql", Kind::Mysql), ("mariadb", Kind::Mysql), ("sqlite", Kind::Sqlite)];
    let Some(kind) = reader.choice("type", &kinds, &LATER) else {
        reader.abandon();
        return None;
    };
    let kind = match kind {
        Kind::Postgres => server(&reader, &POSTGRES).map(SourceKind::Postgres),
        Kind::Mysql => server(&reader, &MYSQL).map(SourceKind::Mysql),
        Kind::Sqlite => {
            reader.require(&["path"], "\"data/warehouse.db\"");
            secret::text_or_secret(&reader, "path").map(|path| SourceKind::Sqlite { path })
        }
    };
    let day = Duration::from_secs(86_400);
    let statement_timeout =
        reader.duration("statement_timeout", Duration::from_secs(1), day).unwrap_or(STATEMENT_TIMEOUT);
    reader.finish();
    Some(SourceSpec { name: name.to_owned(), kind: kind?, statement_timeout })
}

fn server(reader: &Reader<'_>, dialect: &Dialect) -> Option<ServerSpec> {
    const PARTS: [&str; 6] = ["host", "port", "database", "user", "password", "tls"];
    let url = secret::text_or_secret(reader, "url");
    let parts = parts(reader, dialect);
    let part = PARTS.into_iter().find(|part| reader.has(part));
    match (reader.has("url"), part) {
        (true, Some(part)) => {
            let message = format!("{} has both `url` and `{part}`", reader.what);
            let cause = "the server is named by a URL or by its parts, not by both";
            reader.sink.error(reader.origin_of(part), message, cause, format!("remove `url` or `{part}`"));
            None
        }
        (true, None) => {
            let url = url?;
            if let (TextSpec::Plain(text), Some(node)) = (&url, reader.get("url")) {
                check_url(reader, node, text, dialect);
            }
            Some(ServerSpec::Url(url))
        }
        (false, Some(_)) => {
            reader.require(&["host"], "\"localhost\"");
            reader.require(&["database"], "\"warehouse\"");
            reader.require(&["user"], "\"syncline\"");
            parts
        }
        (false, None) => {
            reader.missing(&["url"], "{ env = \"WAREHOUSE_URL\" }");
            None
        }
    }
}

fn parts(reader: &Reader<'_>, dialect: &Dialect) -> Option<ServerSpec> {
    let modes = ["disable", "prefer", "require", "verify-ca", "verify-full"].map(|mode| (mode, mode));
    let host = secret::text_or_secret(reader, "host");
    let port = reader.integer("port", 1, 65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(dialect.port);
    let database = secret::text_or_secret(reader, "database");
    let user = secret::text_or_secret(reader, "user");
    let password = secret::secret(reader, "password");
    let tls = reader.choice("tls", &modes, &[]).unwrap_or("verify-full").to_owned();
    Some(ServerSpec::Parts { host: host?, port, database: database?, user: user?, password, tls })
}

fn check_url(reader: &Reader<'_>, node: &Node, text: &str, dialect: &Dialect) {
    match Url::parse(text) {
        Ok(url) if secret::holds_password(&url) => {
            let message =
                format!("`url` of {} holds a password, which may not stand in the configuration", reader.what);
            let hint = "put the URL in an environment variable or a file: url = { env = \"WAREHOUSE_URL\" }";
            reader.sink.error(&node.origin, message, "got a URL with a password written out", hint);
        }
        Ok(url) if dialect.schemes.contains(&url.scheme()) => {}
        Ok(_) | Err(_) => {
            let scheme = dialect.schemes.first().copied().unwrap_or_default();
            let hint = format!("write {scheme}://USER@HOST:PORT/DATABASE");
            reader.refuse("url", node, format!("expected a `{scheme}://` URL"), hint);
        }
    }
}

/// Decodes a model. `sql_file` is read here, relative to the file that names it.
pub(super) fn model(name: &str, entry: &Entry, sink: &Sink) -> Option<ModelSpec> {
    let reader = Reader::of(&entry.node, format!("model `{name}`"), sink)?;
    let source = reader.required_text(&["source"], "\"warehouse\"");
    let primary_key = primary_key(&reader);
    let body = body(&reader);
    let changed_when = reader.text("changed_when");
    reader.reserved(&["dbt"]);
    reader.finish();
    Some(ModelSpec { changed_when, ..ModelSpec::new(name, &source?, primary_key?, body?) })
}

fn primary_key(reader: &Reader<'_>) -> Option<Vec<String>> {
    reader.require(&["primary_key"], "\"id\"");
    let columns = reader.texts("primary_key")?;
    let mut seen = BTreeSet::new();
    if let (Some(twice), Some(node)) = (columns.iter().find(|column| !seen.insert(*column)), reader.get("primary_key"))
    {
        reader.refuse("primary_key", node, format!("column `{twice}` is named twice"), "name each column once");
        return None;
    }
    Some(columns)
}

fn body(reader: &Reader<'_>) -> Option<ModelBodySpec> {
    let sql = reader.text("sql").map(ModelBodySpec::Sql);
    let table = reader.text("table").map(ModelBodySpec::Table);
    let file = reader.text("sql_file").and_then(|file| read_sql(reader, &file)).map(ModelBodySpec::Sql);
    let named = ["sql", "table", "sql_file"].into_iter().filter(|key| reader.has(key)).collect::<Vec<_>>();
    match named.as_slice() {
        [_] => sql.or(table).or(file),
        [] => {
            reader.missing(&["sql", "table", "sql_file"], "\"select …\"");
            None
        }
        [_, second, ..] => {
            let message = format!("{} has more than one of `sql`, `table` and `sql_file`", reader.what);
            let cause = format!(
                "got {}, expected one",
                named.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ")
            );
            reader.sink.error(reader.origin_of(second), message, cause, format!("remove `{second}`"));
            None
        }
    }
}

fn read_sql(reader: &Reader<'_>, file: &str) -> Option<String> {
    let node = reader.get("sql_file")?;
    let folder = match &node.origin {
        Origin::File { path, .. } | Origin::Path(path) => path.parent().map(PathBuf::from),
        Origin::Environment(_) => None,
    };
    let path = folder.unwrap_or_default().join(file);
    match fs::read_to_string(&path) {
        Ok(sql) if sql.trim().is_empty() => {
            let cause = format!("`{}` is empty", path.display());
            reader.refuse("sql_file", node, cause, "write one `select` into it");
            None
        }
        Ok(sql) => Some(sql),
        Err(error) => {
            let cause = format!("`{}` cannot be read: {error}", path.display());
            reader.refuse("sql_file", node, cause, "the path is relative to the file that names it");
            None
        }
    }
}
