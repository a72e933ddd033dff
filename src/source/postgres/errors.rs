//! Errors of the server in words that carry no row value.
//!
//! PostgreSQL echoes values in messages (`invalid input syntax for type integer: "abc"`). Only what comes from parsing,
//! name lookup and rights is shown as the server says it; for everything else the SQLSTATE and its class have to do
//! (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::source::{ModelQuery, SourceError, sql};

/// `query_canceled`: the statement timeout, or somebody who cancelled.
pub(super) const QUERY_CANCELED: &str = "57014";

/// A failure before the model's statement was sent; nothing of a row can be in it.
pub(super) fn connect(error: &sqlx::Error) -> SourceError {
    let text = match server(error) {
        Some(error) => format!("{} (SQLSTATE {})", error.message(), error.code()),
        None => driver(error),
    };
    SourceError::Connect(text.into())
}

/// The statement was refused while it was prepared.
pub(super) fn prepare(query: &ModelQuery, error: &sqlx::Error) -> SourceError {
    if code(error) == Some(QUERY_CANCELED) {
        return SourceError::Timeout { model: query.name.clone() };
    }
    let hint = "its columns cannot be described; a column of a multirange type must be cast to text";
    match (server(error), error) {
        (Some(error), _) => sql::refused(query, describe(error)),
        (None, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => SourceError::Connect(driver(error).into()),
        (None, _) => sql::refused(query, hint),
    }
}

/// Reading failed after `rows` rows.
pub(super) fn read(query: &ModelQuery, rows: u64, error: &sqlx::Error) -> SourceError {
    let reason = server(error).map_or_else(|| driver(error), describe);
    SourceError::Read { model: query.name.clone(), rows, reason }
}

/// The SQLSTATE, when the server sent one.
pub(super) fn code(error: &sqlx::Error) -> Option<&str> {
    server(error).map(PgDatabaseError::code)
}

fn server(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

fn describe(error: &PgDatabaseError) -> String {
    let code = error.code();
    // What a function raises, or what dynamic SQL inside of it provokes, may hold anything.
    let from_function = error.routine() == Some("exec_stmt_raise")
        || matches!(error.position(), Some(PgErrorPosition::Internal { .. }))
        || error.r#where().is_some();
    let telling = code.starts_with("42") || code == "25006";
    if !telling || from_function {
        return format!("{} (SQLSTATE {code})", class(code));
    }
    match error.position() {
        Some(PgErrorPosition::Original(at)) => format!("{} at character {at} (SQLSTATE {code})", error.message()),
        Some(PgErrorPosition::Internal { .. }) | None => format!("{} (SQLSTATE {code})", error.message()),
    }
}

/// Our words for the class of a SQLSTATE.
fn class(code: &str) -> &'static str {
    match code.get(..2).unwrap_or_default() {
        "08" => "the connection failed",
        "0A" => "the server does not support something in the statement",
        "21" => "a subselect that must return one row returned more",
        "22" => "a value could not be converted or computed",
        "23" => "a constraint was violated",
        "25" => "the statement tried something that its read-only transaction does not allow",
        "28" => "the server refused the login",
        "40" => "the transaction conflicted with another one",
        "42" => "the statement or a function in it is not valid",
        "53" => "the server ran out of resources",
        "54" => "a limit of the server was passed",
        "55" => "an object was not in the state that the statement needs",
        "57" => "the server ended the statement or the connection",
        "58" | "XX" => "the server had an internal or system error",
        "P0" => "a function raised an error",
        _ => "the server reported an error",
    }
}

/// The driver's errors without what they quote.
fn driver(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => format!("the connection failed: {error}"),
        sqlx::Error::Tls(error) => format!("no encrypted connection: {error}"),
        // The driver's kinds are open-ended, and some of them quote what they could not decode.
        _ => "the driver did not understand the server's answer".to_owned(),
    }
}
