//! What goes wrong with a request.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::script::{AccountScript, LATE, Script, minutes};

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    Served,
    /// No connection.
    Refused,
    /// 429 with this Retry-After.
    Throttled(Option<String>),
    /// A status of the vendor's trouble, before or after it has applied the request.
    Trouble {
        status: u16,
        retry_after: Option<String>,
        applied: bool,
    },
    /// The connection breaks, before or after.
    Lost {
        applied: bool,
    },
    /// Nothing ever answers.
    Hangs,
    /// Nothing answers, or the connection breaks, and the request is applied so long after it began.
    Late {
        lost: bool,
        after: Duration,
    },
    /// 200 with a body that is none of the API's, applied.
    Garbage,
    /// 200 with the results of only some rows, all applied.
    Omits,
    /// The token is not valid any more.
    Revoked,
}

impl Fate {
    /// For the trace.
    pub(super) fn text(&self) -> String {
        format!("{self:?}").replace(' ', "")
    }
}

/// Draws what becomes of a request that arrives `at`.
pub(super) fn fate(script: &Script, account: &AccountScript, object: &str, at: Duration, rng: &mut Rng) -> Fate {
    if let Some(outage) = account.outage.as_ref().filter(|outage| outage.contains(&at)) {
        let refused = account.refuses && at < (outage.start + outage.end) / 2;
        let trouble = Fate::Trouble { status: 503, retry_after: None, applied: false };
        return if refused { Fate::Refused } else { trouble };
    }
    if account.sick.as_ref().is_some_and(|(sick, time)| *sick == object && time.contains(&at)) {
        // No sign of an outage of the whole account, as 5xx would be.
        return Fate::Trouble { status: 408, retry_after: Some("118".to_owned()), applied: false };
    }
    let draw = rng.u8(..100);
    if at >= script.calm_from || draw >= account.faulty {
        return Fate::Served;
    }
    random(script, account, at, rng)
}

fn random(script: &Script, account: &AccountScript, at: Duration, rng: &mut Rng) -> Fate {
    let applied = rng.bool();
    let late = !script.jumps_soon(at) && at + LATE < script.calm_from;
    match rng.u8(..if account.oauth { 11 } else { 10 }) {
        0 | 1 => Fate::Throttled(retry_after(script, at, rng)),
        2 => {
            let status = [500, 502, 503, 504][rng.usize(..4)];
            Fate::Trouble { status, retry_after: Some("3".to_owned()).filter(|_| rng.bool()), applied }
        }
        3 => Fate::Lost { applied },
        4 => Fate::Refused,
        5 => Fate::Hangs,
        6 | 7 if late => {
            // From the moment at which the daemon gives the request up the window lasts 90 s.
            let lost = rng.bool();
            let longest = if lost { minutes(1) } else { LATE };
            Fate::Late { lost, after: longest.mul_f64(rng.f64()).max(Duration::from_secs(1)) }
        }
        6..=8 => Fate::Garbage,
        9 => Fate::Omits,
        _ => Fate::Revoked,
    }
}

/// Odd ones among the usual.
fn retry_after(script: &Script, at: Duration, rng: &mut Rng) -> Option<String> {
    let text = match rng.u8(..12) {
        0 => "0".to_owned(),
        1 => "-5".to_owned(),
        2 => "1.5".to_owned(),
        3 => "soon".to_owned(),
        4 => {
            let date = Timestamp::from_microsecond(script.wall(at) + 20_000_000).unwrap();
            date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        }
        // An hour, in the end.
        5 if at + minutes(70) < script.calm_from => "315360000".to_owned(),
        6 => "90".to_owned(),
        7 => return None,
        _ => rng.u8(1..20).to_string(),
    };
    Some(text)
}

/// How long a daemon has to wait after a 429 with this Retry-After.
pub(super) fn hold(text: Option<&str>, wall: i64) -> Duration {
    let Some(text) = text else { return Duration::from_secs(10) };
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
    }
    let date = jiff::fmt::rfc2822::parse(text);
    date.map_or(Duration::from_secs(10), |date| {
        Duration::from_micros(u64::try_from(date.timestamp().as_microsecond() - wall).unwrap_or(0))
    })
}
