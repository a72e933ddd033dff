//! One budget per account for several daemons: before a daemon sends, it reserves permits, a chunk at a time, in a book that
//! the state keeps. Each daemon's own limiter still paces what it may send.

mod book;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;

use crate::model::Timestamp;

use super::{
    hold::HoldReason,
    limits::{Daily, usable},
    request::Class,
    store::StoreError,
};

pub use book::Book;
pub(super) use book::{LATE, LIVE};
#[cfg(test)]
pub(super) use memory::MemoryBudget;

/// Keeps the books. Implemented where several daemons share one state; with one writer nothing needs to be shared.
#[async_trait]
pub trait BudgetStore: Send + Sync {
    /// Locks the account's book (an empty one at first), answers [`Book::exchange`] with the time of the store's own clock
    /// and keeps what it became, all in one transaction.
    ///
    /// # Errors
    /// When the store fails: then nothing is sent.
    async fn exchange(&self, account: &str, message: &Message) -> Result<Reply, StoreError>;
}

/// What a daemon tells, and asks of, the book.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The limiter that asks, by a random number.
    pub holder: u64,
    /// The windows that it keeps, as narrow as it knows them.
    pub windows: Vec<SharedWindow>,
    /// The day's limit.
    pub daily: Option<SharedDay>,
    /// Most requests under way at once, of all daemons.
    pub concurrent: Option<u32>,
    /// Requests that this limiter has under way, or may begin without asking.
    pub busy: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// What became of reserved permits.
    pub returns: Vec<Return>,
    /// Grants with requests that have not left yet.
    pub open: Vec<u64>,
    /// Requests made without a permit, such as the one that asked whose account this is: scope, weight, age.
    pub loose: Vec<(Option<Class>, u32, Duration)>,
    /// Holds that began here, and how long they still last.
    pub holds: Vec<(Duration, HoldReason)>,
    /// Holds of this reason are over.
    pub released: Option<HoldReason>,
    /// Permits that are wanted.
    pub want: Option<Want>,
}

/// One window of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedWindow {
    /// Only requests of this class count; `None`: all.
    pub class: Option<Class>,
    /// Its length.
    pub per: Duration,
    /// Requests that it allows.
    pub limit: u32,
}

/// The day's limit of an account.
#[derive(Debug, Clone)]
pub struct SharedDay {
    /// Requests a day, zone and reserve.
    pub settings: Daily,
    /// The limit before the reserve, if the vendor says less than the settings.
    pub limit: u32,
}

impl SharedDay {
    fn usable(&self) -> u32 {
        usable(self.limit.min(self.settings.requests.get()), self.settings.reserve_percent)
    }
}

/// Permits that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// For requests of this class, or with `None` the permits that every request needs.
    pub scope: Option<Class>,
    /// The first request's weight: fewer are of no use.
    pub weight: u32,
    /// As many as can be used at once.
    pub up_to: u32,
}

/// What became of permits of one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The grant.
    pub grant: u64,
    /// Certainly not used, and not going to be.
    pub unused: u32,
    /// Arrived: weight, and how long ago at least.
    pub arrived: Vec<(u32, Duration)>,
}

/// The book's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The permits, if there were enough.
    pub granted: Option<Granted>,
    /// Otherwise when to ask again.
    pub again_in: Option<Duration>,
    /// Requests that may be under way from now on, where their number is limited and permits for all were wanted.
    pub share: Option<u32>,
    /// The day is spent, until this time if it is known.
    pub spent: Option<Option<Timestamp>>,
    /// The account is on hold.
    pub hold: Option<(Duration, HoldReason)>,
    /// What other limiters count in each window asked about.
    pub others: Vec<u32>,
}

/// Permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// Names the grant in returns.
    pub grant: u64,
    /// How many.
    pub weight: u32,
    /// How long requests may be begun with them.
    pub valid: Duration,
}
