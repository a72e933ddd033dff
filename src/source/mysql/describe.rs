//! From a model to the statement that reads it: describe the bare model, then wrap it.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Column as _, Executor, SqlSafeStr, Statement, mysql::MySqlStatement};

use super::{
    decode::Decoder,
    errors,
    session::Session,
    types::{self, Shape},
};
use crate::{
    model::{Column, Schema},
    source::{CursorValue, ModelQuery, SourceError, cursor, sql},
};

/// A model that is ready to be read.
pub(super) struct Prepared {
    pub(super) schema: Schema,
    /// The wrapping select, in key order.
    pub(super) sql: String,
    pub(super) decoders: Vec<Decoder>,
}

/// Prepares the bare model, which refuses a second statement, builds the wrapping select from its columns, and prepares
/// that too: a bad filter or a model that is no `select` is found before reading, and the columns are decoded by the types
/// that they have after wrapping.
pub(super) async fn prepare(session: &mut Session, query: &ModelQuery) -> Result<Prepared, SourceError> {
    let body = sql::body(query, sql::backtick)?;
    let statement = prepared(session, query, &body).await?;
    let (columns, shapes): (Vec<Column>, Vec<Shape>) =
        statement.columns().iter().map(|column| types::column(column.name(), column.type_info())).unzip();
    let schema = Schema { columns };
    check_names(query, &schema)?;
    let sql = wrapped(query, &body, &schema, &shapes)?;
    let statement = prepared(session, query, &sql).await?;
    let decoders = statement.columns().iter().map(|column| types::shape(column.type_info()).decoder).collect();
    Ok(Prepared { schema, sql, decoders })
}

async fn prepared(session: &mut Session, query: &ModelQuery, sql: &str) -> Result<MySqlStatement, SourceError> {
    let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
    let statement = (&mut session.connection).prepare(sql).await;
    statement.map_err(|error| errors::prepare(query, &error))
}

/// Names that differ only in case are one name to MySQL.
fn check_names(query: &ModelQuery, schema: &Schema) -> Result<(), SourceError> {
    if schema.columns.is_empty() {
        return Err(sql::refused(query, "it returns no columns; a model is one `select`"));
    }
    let mut seen = HashSet::new();
    match schema.columns.iter().find(|column| !seen.insert(column.name.to_lowercase())) {
        None => Ok(()),
        Some(twice) => Err(SourceError::DuplicateColumn { model: query.name.clone(), column: twice.name.clone() }),
    }
}

/// The comment shows in the server's list of processes, where a driver that sends no program name is hard to find.
fn wrapped(query: &ModelQuery, body: &str, schema: &Schema, shapes: &[Shape]) -> Result<String, SourceError> {
    let mut selected = Vec::with_capacity(shapes.len());
    for (column, shape) in schema.columns.iter().zip(shapes) {
        selected.push(shape.select(&quoted(query, &column.name)?));
    }
    let mut order = Vec::with_capacity(query.primary_key.len());
    for name in &query.primary_key {
        let found = schema.columns.iter().zip(shapes).find(|(column, _)| column.name == *name);
        let (column, shape) =
            found.ok_or_else(|| SourceError::MissingKey { model: query.name.clone(), column: name.clone() })?;
        if column.key_kind.is_none() {
            let (model, source_type) = (query.name.clone(), column.source_type.clone());
            return Err(SourceError::UnusableKey { model, column: name.clone(), source_type });
        }
        order.push(shape.order(&quoted(query, name)?));
    }
    let after = after(query, schema)?;
    let sql = sql::wrap(&selected.join(", "), body, query.filter.as_deref(), after.as_deref(), &order);
    Ok(format!("/* syncline */ {sql}"))
}

/// The condition of the query's cursor. `+ 0`: a `year` that is compared with 26 is compared with 2026.
fn after(query: &ModelQuery, schema: &Schema) -> Result<Option<String>, SourceError> {
    let (Some(after), Some((column, place))) = (&query.after, cursor::bound(query, schema)?) else { return Ok(None) };
    let name = quoted(query, &column.name)?;
    Ok(Some(match after.from {
        CursorValue::Int(_) if matches!(column.source_type.as_str(), "year" | "bit") => {
            format!("m.{name} + 0 >= {place}")
        }
        CursorValue::Int(_) => format!("m.{name} >= {place}"),
        CursorValue::Date(_) => format!("m.{name} >= date '{place}'"),
        CursorValue::Timestamp(_) => format!("m.{name} >= timestamp '{place}'"),
    }))
}

fn quoted(query: &ModelQuery, name: &str) -> Result<String, SourceError> {
    sql::backtick(name).ok_or_else(|| sql::refused(query, "a column has no usable name"))
}
