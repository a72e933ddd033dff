//! Why an attempt brought no answer, or one that the connector's classification calls a fault, and what may follow.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::model::Timestamp;

use super::hold::{HoldReason, HoldState};

/// Whether the vendor can have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: nothing can have been applied.
    No,
    /// It may have been applied, or may yet be; never to be counted as failed.
    Maybe,
    /// The vendor answered.
    Yes,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// No connection: name not found, refused, unreachable, connect timeout.
    Connect,
    /// The server's certificate or its TLS version was not accepted, by one side or the other.
    Tls,
    /// The URL or an address it resolves to is not allowed.
    Blocked,
    /// No answer within the request timeout.
    TimedOut,
    /// The connection was lost in the middle.
    Dropped,
    /// Too many requests (429).
    Throttled,
    /// The day's requests are used up.
    QuotaSpent {
        /// When the next day begins in the account's time zone, if known.
        until: Option<Timestamp>,
    },
    /// The credentials are missing, unreadable, wrong or expired.
    Credentials,
    /// The credentials lack a right.
    Forbidden,
    /// The object or path as such does not exist.
    NotFound,
    /// The batch was refused as a whole, without naming rows.
    BatchRefused,
    /// The request is too large for the vendor (413).
    TooLarge,
    /// An error of the vendor's (5xx).
    Server,
    /// An answer that is not what the API promises; what was applied is unknown.
    Protocol,
    /// The account is on hold, for longer than a request should wait.
    Held(HoldState),
    /// The budget that daemons share cannot be asked.
    Budget,
    /// The daemon is stopping.
    Stopped,
    /// Still waiting for its turn when it should have begun at the latest.
    Expired,
    /// The settings cannot work, such as a request that weighs more than its limit.
    Settings,
}

/// What the delivery loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Send again after a backoff.
    Retry,
    /// Halve the batch and send both halves.
    Split,
    /// Put the account on hold for `retry_after`, then send again.
    Hold,
    /// End the run: the configuration or the credentials need a person.
    StopRun,
    /// End the run early and come back later.
    Defer,
    /// Write new intents, then send again.
    Renew,
}

impl FaultKind {
    /// What follows from this fault.
    pub const fn directive(&self) -> Directive {
        self.policy().0
    }

    /// One line of advice for the operator.
    pub const fn hint(&self) -> &'static str {
        self.policy().1
    }

    /// The one table of all kinds. It has no `_` arm on purpose: a new kind must be decided here.
    const fn policy(&self) -> (Directive, &'static str) {
        use Directive::{Defer, Hold, Renew, Retry, Split, StopRun};
        match self {
            Self::Connect => (Retry, "check the host name, the network and the vendor's status page"),
            Self::Tls => {
                (StopRun, "check the server's certificate, the host name and this machine's root certificates")
            }
            Self::Blocked => (StopRun, "if this address is meant, list it under `allow_private` of the destination"),
            Self::TimedOut => (Retry, "the vendor is slow; raise `request_timeout` if this is usual"),
            Self::Dropped => (Retry, "the connection broke; the rows count as unknown and are sent again"),
            Self::Throttled => (Hold, "lower `limits` if other programs share this account"),
            Self::QuotaSpent { .. } => (Defer, "the day's quota is used up; raise it or lower `reserve`"),
            Self::Credentials => (StopRun, "renew the credentials; the next run reads them again"),
            Self::Forbidden => (StopRun, "grant the credentials the right that the vendor names"),
            Self::NotFound => (StopRun, "check `object` and `base_url`"),
            Self::BatchRefused => (Split, "a row of this batch is refused; see `syncline rejected`"),
            Self::TooLarge => (Split, "the batch is too large for the vendor; lower its size"),
            Self::Server => (Retry, "the vendor has an internal error; see its status page"),
            Self::Protocol => {
                (Retry, "the answer is not what the API promises; check `base_url` and any proxy between")
            }
            Self::Held(HoldState::Open | HoldState::Until { .. }) => {
                (Defer, "the account is on hold; it goes on by itself")
            }
            Self::Held(HoldState::Shut(reason)) => match reason {
                HoldReason::Credentials => (StopRun, "renew the credentials; the next run reads them again"),
                HoldReason::Operator | HoldReason::RetryAfter | HoldReason::Outage | HoldReason::Quota => {
                    (Defer, "the account goes on when it is released")
                }
            },
            Self::Budget => (StopRun, "the state store keeps the account's budget; check that it can be reached"),
            Self::Stopped => (Defer, "the daemon is stopping; the next run goes on"),
            Self::Expired => (Renew, "the account is busy; the batch is sent when its turn comes"),
            Self::Settings => (StopRun, "correct the destination's settings"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("no connection"),
            Self::Tls => f.write_str("no trusted connection"),
            Self::Blocked => f.write_str("address not allowed"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Dropped => f.write_str("connection lost before the answer"),
            Self::Throttled => f.write_str("too many requests"),
            Self::QuotaSpent { until: Some(until) } => write!(f, "daily quota spent until {until}"),
            Self::QuotaSpent { until: None } => f.write_str("daily quota spent"),
            Self::Credentials => f.write_str("credentials refused"),
            Self::Forbidden => f.write_str("not permitted"),
            Self::NotFound => f.write_str("not found"),
            Self::BatchRefused => f.write_str("batch refused"),
            Self::TooLarge => f.write_str("request too large"),
            Self::Server => f.write_str("vendor error"),
            Self::Protocol => f.write_str("unexpected answer"),
            Self::Held(state) => write!(f, "account on hold: {state}"),
            Self::Budget => f.write_str("the shared budget cannot be asked"),
            Self::Stopped => f.write_str("stopped before sending"),
            Self::Expired => f.write_str("no turn in time"),
            Self::Settings => f.write_str("settings cannot work"),
        }
    }
}

/// An attempt without a usable answer.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// Whether the vendor can have seen the request.
    pub sent: Sent,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The vendor's code, which holds no row values.
    pub code: Option<String>,
    /// How long the vendor asks to wait, already clamped to an hour.
    pub retry_after: Option<Duration>,
    /// The vendor's words, which may echo row values.
    pub text: VendorText,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault without further detail.
    pub fn new(kind: FaultKind, sent: Sent) -> Self {
        Self { kind, sent, status: None, code: None, retry_after: None, text: VendorText::default(), cause: None }
    }

    /// A fault that the vendor answered with this status.
    pub fn answered(kind: FaultKind, status: http::StatusCode) -> Self {
        Self { status: Some(status.as_u16()), ..Self::new(kind, Sent::Yes) }
    }

    /// Adds the vendor's code, which must hold no row values.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the vendor's words.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.text = VendorText::new(text);
        self
    }

    /// Adds how long the vendor asks to wait, as [`retry_after`](super::retry_after) reads it.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Adds the error below, which must hold no secret and no row value.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into().into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, " (status {status}, code `{code}`)"),
            (Some(status), None) => write!(f, " (status {status})"),
            (None, Some(code)) => write!(f, " (code `{code}`)"),
            (None, None) => Ok(()),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// The vendor's words, at most 512 bytes. They may echo row values: no `Display`, and `Debug` shows the length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VendorText(String);

/// Longest vendor text that is kept, in bytes.
const MAX_VENDOR_TEXT: usize = 512;

impl VendorText {
    /// Keeps the first 512 bytes, cut at a character's border.
    pub fn new(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(MAX_VENDOR_TEXT)].to_owned())
    }

    /// The words themselves, for the code that masks them and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for VendorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VendorText({} bytes)", self.0.len())
    }
}
