//! From a model to the statement that reads it: describe the bare model, then wrap it.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Column as _, Executor, SqlSafeStr, Statement};

use super::{
    decode::Decoder,
    errors,
    session::Session,
    types::{self, Shape},
};
use crate::{
    model::{Column, ColumnKind, Schema},
    source::{CursorValue, ModelQuery, SourceError, cursor, sql},
};

/// A model that is ready to be read.
pub(super) struct Prepared {
    pub(super) schema: Schema,
    /// The wrapping select, in key order.
    pub(super) sql: String,
    pub(super) decoders: Vec<Decoder>,
}

/// Prepares the bare model, which refuses a second statement, and builds the wrapping select from its columns.
pub(super) async fn prepare(session: &mut Session, query: &ModelQuery) -> Result<Prepared, SourceError> {
    let body = sql::body(query, sql::quote)?;
    let statement = (&mut session.connection).prepare(AssertSqlSafe(body.clone()).into_sql_str()).await;
    let statement = statement.map_err(|error| errors::prepare(query, &error))?;
    let (columns, shapes): (Vec<Column>, Vec<Shape>) =
        statement.columns().iter().map(|column| types::column(column.name(), column.type_info())).unzip();
    let schema = Schema { columns };
    check_names(query, &schema)?;
    let sql = wrapped(query, &body, &schema, &shapes, session.converts)?;
    let decoders = shapes.iter().map(|shape| shape.decoder).collect();
    Ok(Prepared { schema, sql, decoders })
}

/// Prepares the wrapping select too, so that a bad filter or a model that is no `select` is found before reading.
pub(super) async fn check_wrapped(
    session: &mut Session,
    query: &ModelQuery,
    prepared: &Prepared,
) -> Result<(), SourceError> {
    let sql = AssertSqlSafe(prepared.sql.clone()).into_sql_str();
    let checked = (&mut session.connection).prepare(sql).await;
    checked.map(drop).map_err(|error| errors::prepare(query, &error))
}

fn check_names(query: &ModelQuery, schema: &Schema) -> Result<(), SourceError> {
    if schema.columns.is_empty() {
        return Err(sql::refused(query, "it returns no columns; a model is one `select`"));
    }
    let mut seen = HashSet::new();
    match schema.columns.iter().find(|column| !seen.insert(column.name.as_str())) {
        None => Ok(()),
        Some(twice) => Err(SourceError::DuplicateColumn { model: query.name.clone(), column: twice.name.clone() }),
    }
}

fn wrapped(
    query: &ModelQuery,
    body: &str,
    schema: &Schema,
    shapes: &[Shape],
    converts: bool,
) -> Result<String, SourceError> {
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
            return Err(SourceError::UnusableKey {
                model: query.name.clone(),
                column: name.clone(),
                source_type: column.source_type.clone(),
            });
        }
        order.push(shape.order(&quoted(query, name)?, converts));
    }
    let after = after(query, schema)?;
    Ok(sql::wrap(&selected.join(", "), body, query.filter.as_deref(), after.as_deref(), &order))
}

/// The condition of the query's cursor, with a literal of the column's type. An `oid` compares as the `bigint` that it is
/// read as.
fn after(query: &ModelQuery, schema: &Schema) -> Result<Option<String>, SourceError> {
    let (Some(after), Some((column, place))) = (&query.after, cursor::bound(query, schema)?) else { return Ok(None) };
    let name = quoted(query, &column.name)?;
    Ok(Some(match (after.from, column.kind) {
        (CursorValue::Int(_), _) if column.source_type == "oid" => format!("m.{name}::bigint >= bigint '{place}'"),
        (CursorValue::Int(_), _) => format!("m.{name} >= bigint '{place}'"),
        (CursorValue::Date(_), _) => format!("m.{name} >= date '{place}'"),
        (CursorValue::Timestamp(_), ColumnKind::Timestamp) => format!("m.{name} >= timestamptz '{place}+00'"),
        (CursorValue::Timestamp(_), _) => format!("m.{name} >= timestamp '{place}'"),
    }))
}

fn quoted(query: &ModelQuery, name: &str) -> Result<String, SourceError> {
    sql::quote(name).ok_or_else(|| sql::refused(query, "a column has no usable name"))
}
