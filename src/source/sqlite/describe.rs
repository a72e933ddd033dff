//! From a model to its columns and to the statement that reads it in key order.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Column as _, Executor, SqlSafeStr, Statement, TypeInfo, sqlite::SqliteStatement};

use super::{
    connect::{Session, UTF8_ORDER},
    cursor, errors, scan,
};
use crate::{
    model::{Column, ColumnKind, KeyKind, Schema},
    source::{ModelBody, ModelQuery, SourceError, sql},
};

/// The model's columns, from the declared types and, for key columns without one, from the first value.
pub(super) async fn schema(session: &mut Session, query: &ModelQuery) -> Result<Schema, SourceError> {
    let body = body(query)?;
    let statement = prepared(session, query, body.clone()).await?;
    let mut schema = Schema {
        columns: statement.columns().iter().map(|found| column(found.name(), found.type_info().name())).collect(),
    };
    check_names(query, &schema)?;
    for (part, name) in query.primary_key.iter().enumerate() {
        let found = schema.columns.iter_mut().find(|column| column.name == *name);
        let Some(column) = found else {
            return Err(SourceError::MissingKey { model: query.name.clone(), column: name.clone() });
        };
        if column.kind == ColumnKind::Dynamic {
            let fixed = query.key_kinds.as_ref().and_then(|kinds| kinds.get(part)).copied();
            let kind = match fixed {
                Some(kind) => Some(kind),
                None => first_kind(session, query, &body, column).await?,
            };
            column.key_kind = kind;
        }
        if column.key_kind.is_none() {
            let (model, source_type) = (query.name.clone(), column.source_type.clone());
            return Err(SourceError::UnusableKey { model, column: name.clone(), source_type });
        }
    }
    Ok(schema)
}

/// The statement that reads the model in key order; prepared once, so that a bad filter is found before reading.
pub(super) async fn prepare(session: &mut Session, query: &ModelQuery, schema: &Schema) -> Result<String, SourceError> {
    let mut order = Vec::with_capacity(query.primary_key.len());
    for name in &query.primary_key {
        let kind = schema.position(name).and_then(|at| schema.columns.get(at)).and_then(|column| column.key_kind);
        order.push(order_by(&quoted(query, name)?, kind, session.utf16));
    }
    let after = cursor::condition(query, schema)?;
    let sql = sql::wrap("*", &body(query)?, query.filter.as_deref(), after.as_deref(), &order);
    let statement = prepared(session, query, sql.clone()).await?;
    let names = statement.columns().iter().map(|column| column.name());
    if !names.eq(schema.columns.iter().map(|column| column.name.as_str())) {
        return Err(sql::refused(query, "a column has no stable name; name each column with `as`"));
    }
    Ok(sql)
}

/// Texts compare by their UTF-8 bytes and blobs bytewise; classes never mix inside one kind, so values of another class,
/// which are no valid keys anyway, may stand wherever SQLite sorts them.
fn order_by(quoted: &str, kind: Option<KeyKind>, utf16: bool) -> String {
    match kind {
        Some(KeyKind::Text) if utf16 => format!("m.{quoted} collate {UTF8_ORDER}"),
        Some(KeyKind::Text) => format!("m.{quoted} collate binary"),
        _ => format!("m.{quoted}"),
    }
}

fn body(query: &ModelQuery) -> Result<String, SourceError> {
    let two = || sql::refused(query, "it is more than one statement");
    if let ModelBody::Sql(text) = &query.body {
        let bare = scan::single_statement(text).ok_or_else(two)?;
        return Ok(sql::with_flags(query, bare.to_owned()));
    }
    sql::body(query, sql::quote)
}

async fn prepared(session: &mut Session, query: &ModelQuery, sql: String) -> Result<SqliteStatement, SourceError> {
    let statement = (&mut session.connection).prepare(AssertSqlSafe(sql).into_sql_str()).await;
    statement.map_err(|error| errors::prepare(query, &error))
}

pub(super) fn quoted(query: &ModelQuery, name: &str) -> Result<String, SourceError> {
    sql::quote(name).ok_or_else(|| sql::refused(query, "a column has no usable name"))
}

/// `declared` is the driver's reading of the declared type; `NULL` for expressions and for types it does not know, such
/// as `DECIMAL`, `JSON` or `UUID`.
fn column(name: &str, declared: &str) -> Column {
    let (kind, key_kind) = match declared {
        "INTEGER" => (ColumnKind::Int, Some(KeyKind::Integer)),
        "TEXT" => (ColumnKind::Text, Some(KeyKind::Text)),
        "BLOB" => (ColumnKind::Bytes, Some(KeyKind::Bytes)),
        "BOOLEAN" => (ColumnKind::Bool, Some(KeyKind::Bool)),
        "REAL" => (ColumnKind::Float, None),
        // `DATE`, `TIME` and `DATETIME` are only names to SQLite: such columns hold texts or numbers.
        _ => (ColumnKind::Dynamic, None),
    };
    let source_type = if declared == "NULL" { "untyped".to_owned() } else { declared.to_lowercase() };
    Column { name: name.to_owned(), kind, key_kind, source_type }
}

/// Names that differ only in ASCII case are one name to SQLite.
fn check_names(query: &ModelQuery, schema: &Schema) -> Result<(), SourceError> {
    if schema.columns.is_empty() {
        return Err(sql::refused(query, "it returns no columns; a model is one `select`"));
    }
    let mut seen = HashSet::new();
    match schema.columns.iter().find(|column| !seen.insert(column.name.to_ascii_lowercase())) {
        None => Ok(()),
        Some(twice) => Err(SourceError::DuplicateColumn { model: query.name.clone(), column: twice.name.clone() }),
    }
}

/// The key kind of a column without a telling declared type: that of its first value; text when there is none.
async fn first_kind(
    session: &mut Session,
    query: &ModelQuery,
    body: &str,
    column: &mut Column,
) -> Result<Option<KeyKind>, SourceError> {
    let name = quoted(query, &column.name)?;
    let sql =
        sql::wrap(&format!("typeof(m.{name})"), body, Some(&format!("m.{name} is not null")), None, &[]) + "\nlimit 1";
    let class: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_optional(&mut session.connection)
        .await
        .map_err(|error| errors::read(session, query, 0, &error))?;
    let kind = match class.as_deref() {
        Some("integer") => Some(KeyKind::Integer),
        Some("text") | None => Some(KeyKind::Text),
        Some("blob") => Some(KeyKind::Bytes),
        Some(_) => None,
    };
    if kind.is_none() {
        column.source_type = "real".to_owned();
    }
    Ok(kind)
}
