//! The budgets that daemons share: one row an account, one transaction an exchange.

use async_trait::async_trait;
use sqlx::Row as _;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Idle, PATIENCE, connection, is_in_order,
    link::Link,
    session::{Connector, failed},
    within,
};
use crate::{
    model::Timestamp,
    state::StateError,
    wire::{Book, BudgetStore, Message, Reply, StoreError},
};

const ASK: &str = "ask the account's budget";

/// The books, in the column `budget` of the table `accounts`, on a connection of their own: an exchange must not wait for a
/// long commit, for every request of the account waits for it.
#[derive(Debug)]
pub(super) struct PostgresBudget {
    connector: Connector,
    idle: Mutex<Option<Idle>>,
}

impl PostgresBudget {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, idle: Mutex::default() }
    }
}

#[async_trait]
impl BudgetStore for PostgresBudget {
    async fn exchange(&self, account: &str, message: &Message) -> Result<Reply, StoreError> {
        let mut slot = self.idle.lock().await;
        let mut connection = connection(&self.connector, slot.take()).await?;
        let exchanging = connection.transact(ASK, async |c| exchange(c, account, message).await);
        let result = within(PATIENCE, exchanging).await;
        if is_in_order(&result) {
            *slot = Some(Idle(connection, Instant::now()));
        }
        Ok(result?)
    }
}

async fn exchange(c: &mut Link, account: &str, message: &Message) -> Result<Reply, StateError> {
    let unreadable = |error: serde_json::Error| StateError::damaged(format!("a budget cannot be read: {error}"));
    let made = sqlx::query("insert into accounts (account) values ($1) on conflict do nothing").bind(account);
    made.execute(&mut *c).await.map_err(failed(ASK))?;
    let locked = sqlx::query("select budget from accounts where account = $1 for update").bind(account);
    let row = locked.fetch_one(&mut *c).await.map_err(failed(ASK))?;
    let text: Option<String> = row.try_get(0).map_err(failed(ASK))?;
    let mut book: Book =
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?.unwrap_or_default();
    // Asked once the row is ours: a time from before may be long past when the lock was waited for.
    let now: i64 = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        .fetch_one(&mut *c)
        .await
        .map_err(failed(ASK))?;
    let reply = book.exchange(Timestamp::from_micros(now), message);
    let text = serde_json::to_string(&book).map_err(unreadable)?;
    let kept = sqlx::query("update accounts set budget = $2 where account = $1").bind(account).bind(text);
    kept.execute(&mut *c).await.map_err(failed(ASK))?;
    Ok(reply)
}
