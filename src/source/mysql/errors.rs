//! Errors of the server in words that carry no row value.
//!
//! MySQL echoes values in messages (`Incorrect datetime value: 'abc'`), and a stored function may raise any message under
//! any number. So only what parsing, name lookup and rights refuse while a statement is prepared, before anything of it
//! runs, is shown as the server says it; for everything else the number and our words have to do
//! (<https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>).

use sqlx::mysql::MySqlDatabaseError;

use crate::source::{ModelQuery, SourceError, sql};

/// MariaDB's `ER_STATEMENT_TIMEOUT` and MySQL's `ER_QUERY_TIMEOUT`.
const TIMEOUTS: [u16; 2] = [1969, 3024];
/// `ER_QUERY_INTERRUPTED`: somebody killed the statement.
const INTERRUPTED: u16 = 1317;

/// A failure before the model's statement was sent; nothing of a row can be in it.
pub(super) fn connect(error: &sqlx::Error) -> SourceError {
    let text = match server(error) {
        Some(error) => format!("{} (error {})", error.message(), error.number()),
        None => driver(error),
    };
    SourceError::Connect(text.into())
}

/// The statement was refused while it was prepared.
pub(super) fn prepare(query: &ModelQuery, error: &sqlx::Error) -> SourceError {
    let unknown =
        "its columns cannot be described; a column of a type that the driver does not know must be cast to text";
    match (server(error), error) {
        (Some(error), _) if TIMEOUTS.contains(&error.number()) => SourceError::Timeout { model: query.name.clone() },
        (Some(error), _) if telling(error.number()) => {
            sql::refused(query, format!("{} (error {})", error.message(), error.number()))
        }
        (Some(error), _) => sql::refused(query, describe(error.number())),
        (None, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => SourceError::Connect(driver(error).into()),
        (None, _) => sql::refused(query, unknown),
    }
}

/// Reading failed after `rows` rows.
pub(super) fn read(query: &ModelQuery, rows: u64, error: &sqlx::Error) -> SourceError {
    let number = server(error).map(MySqlDatabaseError::number);
    if number.is_some_and(|number| TIMEOUTS.contains(&number)) {
        return SourceError::Timeout { model: query.name.clone() };
    }
    let reason = number.map_or_else(|| driver(error), describe);
    SourceError::Read { model: query.name.clone(), rows, reason }
}

fn server(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

/// Numbers of errors that quote nothing but the statement, names and accounts.
const fn telling(number: u16) -> bool {
    // Rights, names of databases, tables, columns and functions, syntax, grouping, and what may not be prepared.
    matches!(
        number,
        1044 | 1045 | 1046 | 1049 | 1051..=1060 | 1064..=1066 | 1103 | 1109 | 1111 | 1140..=1149 | 1222 | 1227 | 1235
            | 1241 | 1247 | 1248 | 1267 | 1295 | 1305 | 1318 | 1356 | 1370 | 1582 | 1583 | 1584 | 4161
    )
}

fn describe(number: u16) -> String {
    let words = match number {
        1040 | 1203 | 1226 => "the server accepts no more connections",
        1021 | 1037 | 1038 | 1041 | 1114 | 3170 => "the server ran out of memory or disk space",
        1205 | 1213 => "the transaction conflicted with another one",
        1242 => "a subselect that must return one row returned more",
        INTERRUPTED | 1927 | 3169 => "the server ended the statement",
        1053 | 1077 | 1079 => "the server is shutting down",
        1264 | 1292 | 1365 | 1366 | 1367 | 1411 | 1690 | 3140 | 3141 | 4038 => {
            "a value could not be converted or computed"
        }
        1290 | 1792 | 1836 => "the statement tried something that its read-only transaction does not allow",
        1644 => "a function raised an error",
        _ if telling(number) => "the statement or a function in it is not valid",
        _ => "the server reported an error",
    };
    format!("{words} (error {number})")
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
