//! What is read of a store, in statements that both databases understand.

mod marks;
mod pages;
mod records;
mod row;

pub(super) use records::request;
pub(crate) use row::{Arg, Row};

use std::sync::Arc;

use super::{StateError, store::StateStore};

/// What is done when a read fails.
pub(super) const READ: &str = "read the state";

impl dyn StateStore + '_ {
    async fn all<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(&Row) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, StateError> {
        let rows = self.select(sql, args).await?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(unreadable)
    }

    /// The first row.
    async fn first<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(&Row) -> Result<T, sqlx::Error>,
    ) -> Result<Option<T>, StateError> {
        let rows = self.select(sql, args).await?;
        rows.first().map(read).transpose().map_err(unreadable)
    }

    /// The first row of a statement that always answers one.
    async fn one<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(&Row) -> Result<T, sqlx::Error>,
    ) -> Result<T, StateError> {
        self.first(sql, args, read).await?.ok_or_else(|| unreadable(sqlx::Error::RowNotFound))
    }
}

fn unreadable(error: sqlx::Error) -> StateError {
    StateError::Store { action: READ, place: None, source: Arc::new(error) }
}
