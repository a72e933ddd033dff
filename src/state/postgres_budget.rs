//! The budgets that daemons share, in PostgreSQL: one row an account, one transaction an exchange.

use async_trait::async_trait;
use sqlx::{PgPool, Row as _};

use crate::{
    model::Timestamp,
    wire::{Book, BudgetStore, Message, Reply, StoreError},
};

/// The books in column `budget` of the table `accounts`.
#[derive(Debug, Clone)]
pub(crate) struct PostgresBudget {
    pool: PgPool,
}

impl PostgresBudget {
    /// On the state's pool, whose search path leads to its tables.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl BudgetStore for PostgresBudget {
    async fn exchange(&self, account: &str, message: &Message) -> Result<Reply, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let locked = sqlx::query("select budget from accounts where account = $1 for update");
        let mut row = locked.bind(account).fetch_optional(&mut *transaction).await?;
        if row.is_none() {
            let made = sqlx::query("insert into accounts (account) values ($1) on conflict do nothing");
            made.bind(account).execute(&mut *transaction).await?;
            let locked = sqlx::query("select budget from accounts where account = $1 for update");
            row = Some(locked.bind(account).fetch_one(&mut *transaction).await?);
        }
        let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?.flatten();
        let mut book: Book = text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default();
        // Asked once the row is ours: the time before may be long past when the lock was waited for.
        let now: i64 = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
            .fetch_one(&mut *transaction)
            .await?;
        let reply = book.exchange(Timestamp::from_micros(now), message);
        let kept = sqlx::query("update accounts set budget = $2 where account = $1");
        kept.bind(account).bind(serde_json::to_string(&book)?).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(reply)
    }
}
