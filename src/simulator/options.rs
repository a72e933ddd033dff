//! What a simulator is started with.

use std::{str::FromStr, time::Duration};

use jiff::tz::TimeZone;

use super::{Chaos, Fault, HttpOptions, HubSpotOptions, TokenOptions};
use crate::clock::Clock;

/// A text of the command line that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("got `{got}`, expected {expected}")]
pub struct OptionError {
    got: String,
    expected: &'static str,
}

impl OptionError {
    pub(super) fn new(got: &str, expected: &'static str) -> Self {
        Self { got: got.to_owned(), expected }
    }
}

/// One simulated account.
#[derive(Debug, Clone)]
pub struct VendorConfig {
    /// Which vendor, with its own options.
    pub vendor: VendorOptions,
    /// What every vendor has.
    pub common: CommonOptions,
}

/// The closed list of vendors.
#[derive(Debug, Clone)]
pub enum VendorOptions {
    /// HubSpot's CRM API v3.
    HubSpot(HubSpotOptions),
    /// A plain JSON endpoint.
    Http(HttpOptions),
}

impl VendorConfig {
    /// HubSpot with its standard quota of 100 requests per 10 s.
    pub fn hubspot(options: HubSpotOptions) -> Self {
        let common = CommonOptions { limits: vec![Window::HUBSPOT], ..CommonOptions::default() };
        Self { vendor: VendorOptions::HubSpot(options), common }
    }

    /// A plain JSON endpoint without quota.
    pub fn http(options: HttpOptions) -> Self {
        Self { vendor: VendorOptions::Http(options), common: CommonOptions::default() }
    }
}

/// Options that do not depend on the vendor.
#[derive(Clone)]
pub struct CommonOptions {
    /// The bearer token to demand; `None` accepts every request.
    pub token: Option<String>,
    /// A token endpoint whose access tokens are demanded instead.
    pub tokens: Option<TokenOptions>,
    /// Rate windows; all of them must have room.
    pub limits: Vec<Window>,
    /// Requests per day, counted from midnight in `time_zone`.
    pub daily: Option<u64>,
    /// The account's time zone.
    pub time_zone: TimeZone,
    /// Waited before each answer, after the request was applied.
    pub latency: Duration,
    /// Scripted faults.
    pub faults: Vec<Fault>,
    /// Seeded random faults.
    pub chaos: Option<Chaos>,
    /// Keeps the bodies in the request log.
    pub keep_bodies: bool,
    /// How many requests the log keeps.
    pub log_requests: usize,
    /// How many versions of each record are kept.
    pub history: usize,
    /// Wall-clock time of records and of the daily quota.
    pub clock: Clock,
}

impl Default for CommonOptions {
    fn default() -> Self {
        Self {
            token: None,
            tokens: None,
            limits: Vec::new(),
            daily: None,
            time_zone: TimeZone::UTC,
            latency: Duration::ZERO,
            faults: Vec::new(),
            chaos: None,
            keep_bodies: false,
            log_requests: 100_000,
            history: 8,
            clock: Clock::system(),
        }
    }
}

impl std::fmt::Debug for CommonOptions {
    /// Leaves the token and the faults (they may name row values) out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommonOptions")
            .field("limits", &self.limits)
            .field("daily", &self.daily)
            .field("latency", &self.latency)
            .field("faults", &self.faults.len())
            .finish_non_exhaustive()
    }
}

/// At most `requests` in any span of length `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests allowed in one span.
    pub requests: u32,
    /// The span.
    pub per: Duration,
}

impl Window {
    /// HubSpot's private-app limit of the free and starter tiers (destinations.md 3.2).
    pub const HUBSPOT: Self = Self { requests: 100, per: Duration::from_secs(10) };
}

impl FromStr for Window {
    type Err = OptionError;

    /// Reads `100/10s`.
    fn from_str(text: &str) -> Result<Self, OptionError> {
        let parse = || {
            let (requests, per) = text.split_once('/')?;
            let window = Self { requests: requests.parse().ok()?, per: parse_duration(per).ok()? };
            (window.requests > 0 && !window.per.is_zero()).then_some(window)
        };
        parse().ok_or_else(|| OptionError::new(text, "REQUESTS/DURATION as in `100/10s`"))
    }
}

/// Reads `250us`, `50ms`, `10s` or `2m`; a bare `0` is zero.
///
/// # Errors
/// When the text is anything else.
pub fn parse_duration(text: &str) -> Result<Duration, OptionError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let parse = || {
        let number: u64 = number.parse().ok()?;
        match unit {
            "us" => Some(Duration::from_micros(number)),
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
            "" if number == 0 => Some(Duration::ZERO),
            _ => None,
        }
    };
    parse().ok_or_else(|| OptionError::new(text, "a duration as in `250us`, `50ms`, `10s` or `2m`"))
}
