//! A peer: sqlx and nothing else. Streams a query and touches every column of every row.

use std::error::Error;

use futures_util::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Column, ColumnIndex, ConnectOptions as _, Connection as _, Database, Decode, MySqlConnection,
    PgConnection, Row, SqliteConnection, TypeInfo as _, ValueRef as _,
};

use crate::wait;

/// Rows read, and the bytes or numbers in them.
#[derive(Default)]
struct Seen {
    rows: u64,
    bytes: u64,
}

/// Reads the result of `sql` at `url` (`postgres://`, `mysql://`, `sqlite://`), and prints what it has seen.
pub(crate) fn run(url: &str, sql: &str) -> Result<(), Box<dyn Error>> {
    let seen = wait(async {
        match url.split(':').next() {
            Some("postgres") => postgres(url, sql).await,
            Some("mysql") => mysql(url, sql).await,
            _ => sqlite(url, sql).await,
        }
    })?;
    println!("{}", serde_json::json!({ "rows": seen.rows, "bytes": seen.bytes }));
    Ok(())
}

async fn postgres(url: &str, sql: &str) -> Result<Seen, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(&mut connection);
    let mut seen = Seen::default();
    while let Some(row) = rows.try_next().await? {
        seen.rows += 1;
        for column in 0..row.len() {
            let value = row.try_get_raw(column)?;
            seen.bytes += if value.is_null() { 0 } else { value.as_bytes().map_err(sqlx::Error::Decode)?.len() as u64 };
        }
    }
    Ok(seen)
}

async fn mysql(url: &str, sql: &str) -> Result<Seen, sqlx::Error> {
    let mut connection = MySqlConnection::connect(url).await?;
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(&mut connection);
    let mut seen = Seen::default();
    while let Some(row) = rows.try_next().await? {
        seen.rows += 1;
        for column in 0..row.len() {
            seen.bytes += raw::<sqlx::MySql, _>(&row, column)?;
        }
    }
    Ok(seen)
}

/// The bytes of a value, none of a null.
fn raw<'r, D: Database, R: Row<Database = D>>(row: &'r R, column: usize) -> Result<u64, sqlx::Error>
where
    usize: ColumnIndex<R>,
    Option<&'r [u8]>: Decode<'r, D>,
{
    let bytes: Option<&[u8]> = Decode::decode(row.try_get_raw(column)?).map_err(sqlx::Error::Decode)?;
    Ok(bytes.map_or(0, |bytes| bytes.len() as u64))
}

/// By the declared types of the columns: SQLite would make a text of a number that is asked for its bytes.
async fn sqlite(url: &str, sql: &str) -> Result<Seen, sqlx::Error> {
    let options: sqlx::sqlite::SqliteConnectOptions = url.parse()?;
    let mut connection: SqliteConnection = options.read_only(true).connect().await?;
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(&mut connection);
    let (mut seen, mut texts) = (Seen::default(), Vec::new());
    while let Some(row) = rows.try_next().await? {
        if texts.is_empty() {
            texts = row.columns().iter().map(|column| column.type_info().name() == "TEXT").collect();
        }
        seen.rows += 1;
        for (column, text) in texts.iter().enumerate() {
            seen.bytes += if *text { text_len(&row, column)? } else { u64::from(number(&row, column)?.is_some()) };
        }
    }
    Ok(seen)
}

fn text_len(row: &sqlx::sqlite::SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    Ok(row.try_get_unchecked::<Option<&str>, _>(column)?.map_or(0, |text| text.len() as u64))
}

fn number(row: &sqlx::sqlite::SqliteRow, column: usize) -> Result<Option<f64>, sqlx::Error> {
    row.try_get_unchecked::<Option<f64>, _>(column)
}
