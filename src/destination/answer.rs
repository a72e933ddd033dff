//! What connectors share in building addresses and reading answers.

use std::time::Duration;

use ::http::{HeaderMap, StatusCode, header::DATE};
use url::Url;

use super::{Outcome, Rejection};
use crate::{
    mapping::to_text,
    model::{RecordRef, Timestamp},
    wire::{self, Fault, FaultKind, Response, Sent, VendorText},
};

/// Wait that is proposed with a throttled answer that names none.
pub(super) const THROTTLED_WAIT: Duration = Duration::from_secs(10);

/// An answer, borrowed, so that classification is a pure function of it.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Why an answer cannot be used; holds nothing of its body.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerProblem {
    /// Redirects are never followed: they could carry a body and a credential to another origin.
    #[error("the vendor answered with a redirect, which is not followed; set `base_url` to the API's final address")]
    Redirect,
    /// Not the JSON that the API promises: an HTML page, a cut-off body, other types.
    #[error("the answer is not the promised JSON (line {line}, column {column})")]
    Unreadable {
        /// Line of the body, from 1.
        line: usize,
        /// Column of that line, from 1.
        column: usize,
    },
    /// Readable, but it breaks the API's contract.
    #[error("{0}")]
    Contract(&'static str),
}

impl<'a> Answer<'a> {
    pub(super) fn of(response: &'a Response) -> Self {
        Self { status: response.status, headers: &response.headers, body: &response.body }
    }

    /// A fault of this answer, with the wait that it asks for.
    ///
    /// After a 5xx or a 408 the request may yet be applied; every other answer is the vendor's last word.
    pub(super) fn fault(&self, kind: FaultKind) -> Fault {
        let ambiguous = matches!(kind, FaultKind::Server | FaultKind::TimedOut);
        let throttled = matches!(kind, FaultKind::Throttled);
        let mut fault = Fault::answered(kind, self.status);
        if ambiguous {
            fault.sent = Sent::Maybe;
        }
        fault.retry_after = self.retry_after().or(throttled.then_some(THROTTLED_WAIT));
        fault
    }

    /// An answer that breaks the API's contract: what was applied is unknown.
    pub(super) fn protocol(&self, problem: AnswerProblem) -> Fault {
        self.fault(FaultKind::Protocol).because(problem)
    }

    /// The body as JSON.
    pub(super) fn json<T: serde::Deserialize<'a>>(&self) -> Result<T, Fault> {
        // The error's own text may quote the body, so only its place is kept.
        serde_json::from_slice(self.body)
            .map_err(|error| self.protocol(AnswerProblem::Unreadable { line: error.line(), column: error.column() }))
    }

    /// The body as a JSON object. Readers of structures take an array for one as well; no vendor means that.
    pub(super) fn object<T: serde::Deserialize<'a>>(&self) -> Result<T, Fault> {
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(self.protocol(AnswerProblem::Unreadable { line: 1, column: 1 }));
        }
        self.json()
    }

    /// `Retry-After` in seconds, or as a date relative to the answer's own `Date`: two clocks are never compared.
    fn retry_after(&self) -> Option<Duration> {
        let date = self.headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
        let since = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        // Without `Date` a date counts from the end of time, which makes the wait zero: the default is better then.
        let now = since.map_or(Timestamp::from_micros(i64::MAX), |since| Timestamp::from_micros(0) + since);
        wire::retry_after(self.headers, now).filter(|wait| !wait.is_zero())
    }

    /// What statuses mean at every vendor. `None`: a 2xx, or a 4xx that refuses the rows.
    pub(super) fn common_fault(&self) -> Option<Fault> {
        Some(match self.status.as_u16() {
            100..=199 => self.protocol(AnswerProblem::Contract("an interim answer came as the last one")),
            300..=399 => self.fault(FaultKind::Settings).because(AnswerProblem::Redirect),
            401 => self.fault(FaultKind::Credentials),
            403 => self.fault(FaultKind::Forbidden),
            // A wrong method or media type is a matter of path and settings, never of a row.
            405 | 406 | 415 => self.fault(FaultKind::Settings),
            408 => self.fault(FaultKind::TimedOut),
            413 => self.fault(FaultKind::TooLarge),
            423 | 425 | 429 => self.fault(FaultKind::Throttled),
            500.. => self.fault(FaultKind::Server),
            _ => return None,
        })
    }
}

/// `base` with `path` (which begins with `/`) below its own path.
///
/// # Errors
/// When the result is no URL.
pub(super) fn join(base: &Url, path: &str) -> Result<Url, url::ParseError> {
    Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))
}

/// A vendor's code, if it is short and plain enough to be shown and is no value of the record.
pub(super) fn safe_code(code: &str, record: Option<RecordRef<'_>>) -> Option<String> {
    let plain =
        (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let echoes = || record.is_some_and(|record| record.fields().any(|(_, value)| to_text(value) == code));
    (plain && !echoes()).then(|| code.to_owned())
}

/// A rejection by us, before anything is sent.
pub(super) fn refuse(code: &str, reason: &str) -> Rejection {
    Rejection { code: code.to_owned(), text: VendorText::new(reason), field: None, conflict: false }
}

/// Outcomes in batch order, of those that were refused here and those of the rows that were sent.
pub(super) fn in_order(
    rows: usize,
    refused: Vec<(usize, Rejection)>,
    sent: impl Iterator<Item = (usize, Outcome)>,
) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = (0..rows).map(|_| Outcome::Unknown).collect();
    let refused = refused.into_iter().map(|(position, rejection)| (position, Outcome::Rejected(rejection)));
    for (position, outcome) in refused.chain(sent) {
        if let Some(slot) = outcomes.get_mut(position) {
            *slot = outcome;
        }
    }
    outcomes
}
