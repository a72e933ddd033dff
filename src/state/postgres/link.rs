//! One connection, straight to the server or through a pooler that gives each transaction another one.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Connection as _, Either, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::session::{BEGIN_POOLED, failed};
use crate::state::StateError;

/// A connection to the state's database.
///
/// Straight to the server it keeps its settings and its prepared statements. Behind a pooler nothing outlives a
/// transaction: each one brings its settings, and no statement has a name.
#[derive(Debug)]
pub(super) struct Link {
    connection: PgConnection,
    pooled: bool,
}

impl Link {
    pub(super) const fn new(connection: PgConnection, pooled: bool) -> Self {
        Self { connection, pooled }
    }

    /// Begins a transaction that [`Link::commit`] or [`Link::rollback`] ends. Dropped in between, the connection must go.
    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        let begun = self.say(if self.pooled { BEGIN_POOLED } else { "BEGIN" }).await;
        if begun.is_err() {
            // It may have begun before one of its settings was refused.
            self.rollback().await;
        }
        begun
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.say("COMMIT").await
    }

    /// If this fails, the connection is lost, and the server rolls back.
    pub(super) async fn rollback(&mut self) {
        drop(self.say("ROLLBACK").await);
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(&mut self.connection).await.map(drop)
    }

    /// One transaction; it is rolled back when `work` fails.
    pub(super) async fn transact<T>(
        &mut self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.begin().await.map_err(failed(action))?;
        match work(self).await {
            Ok(value) => self.commit().await.map_err(failed(action)).map(|()| value),
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    /// One statement, which is a transaction of its own: a pooler has to be told so.
    pub(super) async fn alone<T>(
        &mut self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        if self.pooled { self.transact(action, work).await } else { work(self).await }
    }

    /// Whether it answers.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.connection.ping().await
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// For what needs the driver's own connection: it names its statements.
    pub(super) const fn driver(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl<'c> Executor<'c> for &'c mut Link {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + sqlx::Execute<'q, Postgres>,
    {
        let named = !self.pooled;
        (&mut self.connection).fetch_many(Statement { query, named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + sqlx::Execute<'q, Postgres>,
    {
        let named = !self.pooled;
        (&mut self.connection).fetch_optional(Statement { query, named })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.connection).prepare_with(sql, parameters)
    }
}

/// A statement that the server remembers under a name, or not.
struct Statement<E> {
    query: E,
    named: bool,
}

impl<'q, E: sqlx::Execute<'q, Postgres>> sqlx::Execute<'q, Postgres> for Statement<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named && self.query.persistent()
    }
}
