//! The books in memory, for tests: the store's clock is tokio's, and an exchange takes its time.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Book, BudgetStore, Message, Reply};
use crate::{
    clock::Clock,
    wire::{StoreError, locked},
};

pub(in crate::wire) struct MemoryBudget {
    books: Mutex<HashMap<String, Book>>,
    clock: Clock,
    /// How long an exchange takes, half of it before the book is looked at.
    pub(in crate::wire) latency: Duration,
    pub(in crate::wire) exchanges: AtomicU64,
}

impl MemoryBudget {
    pub(in crate::wire) fn new(clock: Clock, latency: Duration) -> Self {
        Self { books: Mutex::default(), clock, latency, exchanges: AtomicU64::new(0) }
    }
}

#[async_trait]
impl BudgetStore for MemoryBudget {
    async fn exchange(&self, account: &str, message: &Message) -> Result<Reply, StoreError> {
        tokio::time::sleep(self.latency / 2).await;
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        let reply = {
            let mut books = locked(&self.books);
            let book = books.entry(account.to_owned()).or_default();
            // As a store does: only the text survives.
            let mut read: Book = serde_json::from_str(&serde_json::to_string(book)?)?;
            let reply = read.exchange(self.clock.now(), message);
            *book = read;
            reply
        };
        tokio::time::sleep(self.latency / 2).await;
        Ok(reply)
    }
}
