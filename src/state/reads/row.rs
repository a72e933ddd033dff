//! Rows and arguments of a select, the same for both databases.

use sqlx::{Decode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};

use crate::{model::Timestamp, state::store::Space};

/// An argument of a statement, `$1` being the first.
#[derive(Clone, Copy)]
pub(crate) enum Arg<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
    Bytes(&'a [u8]),
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u32> for Arg<'_> {
    fn from(value: u32) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<Space> for Arg<'_> {
    fn from(space: Space) -> Self {
        Self::Int(Some(space.code().into()))
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

/// A row of a select. Holds keys and sealed values: no `Debug`.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A value that both databases can answer.
pub(crate) trait Column<'r>: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> {}

impl<'r, T> Column<'r> for T where T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> {}

impl Row {
    pub(super) fn get<'r, T: Column<'r>>(&'r self, column: usize) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// A number that is never negative in an undamaged state.
    pub(super) fn unsigned<T: TryFrom<i64>>(&self, column: usize) -> Result<T, sqlx::Error>
    where
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        T::try_from(self.get(column)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }

    pub(super) fn time(&self, column: usize) -> Result<Timestamp, sqlx::Error> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(super) fn maybe_time(&self, column: usize) -> Result<Option<Timestamp>, sqlx::Error> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, sqlx::Error> {
        parse(self.get(column)?)
    }

    pub(super) fn maybe_json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<Option<T>, sqlx::Error> {
        self.get::<Option<&str>>(column)?.map(parse).transpose()
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
