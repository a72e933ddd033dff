//! The token endpoint: short tokens, refresh tokens that change with each use, a time in which nobody gets any.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{script::Script, trace::Trace};

/// A token's life.
const LIFE: Duration = Duration::from_secs(1800);

/// The operator's secrets: the second one from the end of the time in which the first is refused.
pub(super) const SECRETS: [&str; 2] = ["first-secret", "second-secret"];

/// Tokens given out.
#[derive(Default)]
pub(super) struct Tokens {
    /// The number of the last one, and when it ends.
    last: (u64, Duration),
    given: u64,
    /// The refresh token that was given last and the one that was used for it: the answer may be lost.
    refresh: [String; 2],
    pub(super) refused: u64,
    pub(super) troubled: u64,
    pub(super) granted: u64,
}

impl Tokens {
    /// Whether a request carries the valid token.
    pub(super) fn is_valid(&self, request: &Request<Bytes>, at: Duration) -> bool {
        let carried = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        carried == Some(&format!("Bearer token-{}", self.last.0)) && at < self.last.1
    }

    /// The valid token is so no more.
    pub(super) fn revoke(&mut self) {
        self.last.1 = Duration::ZERO;
    }

    pub(super) fn answer(&mut self, body: &Bytes, script: &Script, trace: &Trace) -> Response<Bytes> {
        let at = trace.now();
        let form = |name: &str| {
            let mut pairs = form_urlencoded::parse(body);
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let secret = SECRETS[usize::from(at >= script.token_refused.end && !script.token_refused.is_empty())];
        let (status, answer) = if script.token_trouble.contains(&at) {
            self.troubled += 1;
            (503, json!({}))
        } else if script.token_refused.contains(&at) || form("client_secret") != secret {
            self.refused += 1;
            (401, json!({ "error": "invalid_client" }))
        } else if self.given > 0 && !self.refresh.contains(&form("refresh_token")) {
            self.refused += 1;
            (400, json!({ "error": "invalid_grant" }))
        } else {
            (200, self.grant(form("refresh_token"), at))
        };
        trace.add("token", [("status".to_owned(), status.to_string())].into());
        let answer = Bytes::from(answer.to_string());
        Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(answer).unwrap()
    }

    fn grant(&mut self, used: String, at: Duration) -> Value {
        self.given += 1;
        self.granted += 1;
        self.last = (self.given, at + LIFE);
        self.refresh = [format!("refresh-{}", self.given), used];
        json!({
            "access_token": format!("token-{}", self.given),
            "token_type": "bearer",
            "expires_in": LIFE.as_secs(),
            "refresh_token": self.refresh[0],
        })
    }
}
