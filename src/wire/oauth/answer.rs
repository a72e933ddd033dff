//! What a token endpoint's answer means: a pure function of status, headers and body.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::tokens::Trouble;
use crate::{
    model::Timestamp,
    wire::{
        fault::{Fault, FaultKind, Sent},
        request::Response,
        retry_after::retry_after,
    },
};

/// Longest life that is believed.
const MAX_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// A granted token.
pub(super) struct Issued {
    /// `Bearer TOKEN`.
    pub(super) header: HeaderValue,
    /// How long it lives, if the server says so.
    pub(super) life: Option<Duration>,
    /// The refresh token to use from now on, if the server sent one.
    pub(super) refresh_token: Option<SecretString>,
}

/// Why an answer grants nothing; holds nothing of its body.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the token endpoint answered with a redirect, which is not followed; set `token_url` to its final address")]
    Redirect,
    #[error("the token endpoint's answer is not the JSON of RFC 6749 (line {line}, column {column})")]
    Unreadable { line: usize, column: usize },
    #[error("the token endpoint's answer has no usable `access_token`")]
    NoToken,
    #[error("the token endpoint grants tokens of another type than `bearer`")]
    Type,
    #[error("the token endpoint refused the client or its grant")]
    Refused,
    #[error("the token endpoint did not understand the request")]
    Request,
    #[error("the token endpoint is in trouble")]
    Transient,
}

#[derive(Deserialize)]
struct Success {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<SecretString>,
    token_type: Option<String>,
    expires_in: Option<Number>,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// Some servers send the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(f64),
    Text(String),
}

impl Number {
    fn life(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        Duration::try_from_secs_f64(seconds.min(MAX_LIFE.as_secs_f64())).ok()
    }
}

/// `status` is of HubSpot's older answers (`BAD_REFRESH_TOKEN`).
#[derive(Deserialize, Default)]
struct Failure {
    error: Option<String>,
    status: Option<String>,
}

/// The codes of RFC 6749 section 5.2 and of its extensions, and HubSpot's.
const CODES: [&str; 15] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "slow_down",
    "BAD_CLIENT_ID",
    "BAD_CLIENT_SECRET",
    "BAD_GRANT_TYPE",
    "BAD_REFRESH_TOKEN",
];

/// Reads an answer.
///
/// # Errors
/// A fault that was certainly not sent, since the request that needs the token never left; `dead` when only a person can
/// help.
pub(super) fn read(answer: &Response) -> Result<Issued, Trouble> {
    match answer.status.as_u16() {
        200..=299 => issued(&answer.body).map_err(|problem| trouble(answer, FaultKind::Protocol, problem)),
        300..=399 => Err(trouble(answer, FaultKind::Settings, Problem::Redirect)),
        408 => Err(trouble(answer, FaultKind::TimedOut, Problem::Transient)),
        425 | 429 => Err(trouble(answer, FaultKind::Throttled, Problem::Transient)),
        500.. => Err(trouble(answer, FaultKind::Server, Problem::Transient)),
        status => Err(refusal(answer, status)),
    }
}

fn issued(body: &[u8]) -> Result<Issued, Problem> {
    // The error's own text may quote the body, so only its place is kept.
    let body: Success = serde_json::from_slice(body)
        .map_err(|error| Problem::Unreadable { line: error.line(), column: error.column() })?;
    if body.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Problem::Type);
    }
    let given = |token: &SecretString| !token.expose_secret().is_empty();
    let token = body.access_token.filter(given).ok_or(Problem::NoToken)?;
    let mut header = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", token.expose_secret())))
        .map_err(|_| Problem::NoToken)?;
    header.set_sensitive(true);
    Ok(Issued {
        header,
        life: body.expires_in.as_ref().and_then(Number::life),
        refresh_token: body.refresh_token.filter(given),
    })
}

/// A 4xx. RFC 6749 section 5.2 names the codes.
fn refusal(answer: &Response, status: u16) -> Trouble {
    let body: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body.error.as_deref().or(body.status.as_deref()).unwrap_or_default();
    let mut trouble = match code {
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            trouble(answer, FaultKind::Server, Problem::Transient)
        }
        "invalid_grant" | "invalid_client" | "unauthorized_client" | "access_denied" => dead(answer),
        _ if code.starts_with("BAD_") => dead(answer),
        "" if matches!(status, 400 | 401 | 403) => dead(answer),
        _ if matches!(status, 401 | 403) => dead(answer),
        _ => trouble(answer, FaultKind::Settings, Problem::Request),
    };
    // Any other text may echo a secret.
    trouble.fault.code = CODES.contains(&code).then(|| code.to_owned());
    trouble
}

fn dead(answer: &Response) -> Trouble {
    Trouble { dead: true, ..trouble(answer, FaultKind::Credentials, Problem::Refused) }
}

fn trouble(answer: &Response, kind: FaultKind, problem: Problem) -> Trouble {
    let asked = wait(&answer.headers);
    let mut fault = Fault::answered(kind, answer.status).with_retry_after(asked).because(problem);
    // The answer is the token endpoint's: the request that waits for the token has not left.
    fault.sent = Sent::No;
    Trouble { fault, dead: false }
}

/// `Retry-After` in seconds; a date is left to the retry loop's own pace.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers, Timestamp::from_micros(i64::MAX)).filter(|wait| !wait.is_zero())
}
