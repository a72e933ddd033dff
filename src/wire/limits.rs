//! How much an account may send: plain settings, checked before use.

use std::{num::NonZeroU32, time::Duration};

use super::request::Class;

/// The limits of an account: of the connector's defaults and the configuration, the narrower.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per time; all of them hold at once.
    pub windows: Vec<Window>,
    /// Most requests under way at once.
    pub concurrent: Option<NonZeroU32>,
    /// Requests per day.
    pub daily: Option<Daily>,
}

/// So many requests in any span of this length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// How many.
    pub requests: NonZeroU32,
    /// In which time.
    pub per: Duration,
    /// Spread evenly instead of using the whole window at once: for rates per second and accounts that people share.
    pub smooth: bool,
    /// Only requests of this class count; `None`: all.
    pub class: Option<Class>,
}

impl Window {
    /// A window for all requests that may be used at once.
    pub const fn new(requests: NonZeroU32, per: Duration) -> Self {
        Self { requests, per, smooth: false, class: None }
    }
}

/// So many requests a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daily {
    /// How many.
    pub requests: NonZeroU32,
    /// Where the day begins at midnight.
    pub zone: jiff::tz::TimeZone,
    /// Share left for others, 0..=99.
    pub reserve_percent: u8,
}

/// Limits that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A window without length, or a longer one than the log keeps.
    #[error("a window must last from 1 ms to 24 h, got {}", humane(*.0))]
    Length(Duration),
    /// A request that can never be sent.
    #[error("a request counts as {weight}, more than the {requests} requests that its window allows")]
    Weight {
        /// What the request counts as.
        weight: NonZeroU32,
        /// What the window allows.
        requests: NonZeroU32,
    },
    /// Nothing would be left.
    #[error("`reserve` must be from 0 to 99 percent, got {0}")]
    Reserve(u8),
}

fn humane(duration: Duration) -> String {
    format!("{duration:?}")
}

impl Limits {
    /// Checks the numbers against each other, and against the heaviest request of the connector.
    ///
    /// # Errors
    /// The first limit that cannot work.
    pub fn validate(&self, heaviest: NonZeroU32) -> Result<(), LimitsError> {
        for window in &self.windows {
            if window.per < Duration::from_millis(1) || window.per > Duration::from_secs(86_400) {
                return Err(LimitsError::Length(window.per));
            }
            if heaviest > window.requests {
                return Err(LimitsError::Weight { weight: heaviest, requests: window.requests });
            }
        }
        match &self.daily {
            Some(daily) if daily.reserve_percent > 99 => Err(LimitsError::Reserve(daily.reserve_percent)),
            Some(_) | None => Ok(()),
        }
    }

    /// Both at once: windows of one length and class are merged into the narrower, and so are the other limits.
    #[must_use]
    pub fn narrowest(mut self, other: &Self) -> Self {
        for window in &other.windows {
            match self.windows.iter_mut().find(|own| own.per == window.per && own.class == window.class) {
                Some(own) => {
                    own.requests = own.requests.min(window.requests);
                    own.smooth |= window.smooth;
                }
                None => self.windows.push(window.clone()),
            }
        }
        self.concurrent = [self.concurrent, other.concurrent].into_iter().flatten().min();
        self.daily = match (self.daily, &other.daily) {
            (Some(own), Some(other)) if other.usable() < own.usable() => Some(other.clone()),
            (Some(own), _) => Some(own),
            (None, other) => other.clone(),
        };
        self
    }
}

impl Daily {
    /// What is left after the reserve.
    pub fn usable(&self) -> u32 {
        usable(self.requests.get(), self.reserve_percent)
    }
}

/// `requests` less the reserve, rounded down.
pub(super) fn usable(requests: u32, reserve_percent: u8) -> u32 {
    let share = u64::from(100u8.saturating_sub(reserve_percent));
    u32::try_from(u64::from(requests) * share / 100).unwrap_or(u32::MAX)
}
