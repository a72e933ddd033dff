//! A token endpoint (RFC 6749) in front of a vendor's API: `POST` to any path that begins with `/oauth` and ends with
//! `/token`. Client credentials and refresh tokens; access tokens expire; refresh tokens may rotate.

use std::{collections::HashMap, str::FromStr, time::Duration};

use ::http::{Method, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use super::{
    OptionError,
    call::{Answer, Call},
};

/// The token endpoint's one client.
#[derive(Clone)]
pub struct TokenOptions {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The first refresh token; without one only the client credentials grant is known.
    pub refresh_token: Option<String>,
    /// How long an access token is accepted.
    pub life: Duration,
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
}

impl std::fmt::Debug for TokenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenOptions")
            .field("life", &self.life)
            .field("rotation", &self.rotation)
            .finish_non_exhaustive()
    }
}

/// What a refresh does to the refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// Nothing.
    #[default]
    Off,
    /// It is replaced and void at once.
    Strict,
    /// It is replaced, and void once the new one is used.
    Overlap,
}

impl FromStr for Rotation {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "off" => Ok(Self::Off),
            "strict" => Ok(Self::Strict),
            "overlap" => Ok(Self::Overlap),
            other => Err(OptionError::new(other, "`off`, `strict` or `overlap`")),
        }
    }
}

/// The tokens that were given out.
pub(super) struct TokenService {
    options: TokenOptions,
    /// Until when each access token is accepted.
    access: HashMap<String, Instant>,
    /// The refresh tokens that are accepted, the newest last.
    refresh: Vec<String>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    requests: u64,
    issued: u64,
    rotated: u64,
    refused: u64,
    unauthorized: u64,
}

/// A refusal of RFC 6749 section 5.2.
type Refusal = (StatusCode, &'static str);

impl TokenService {
    pub(super) fn new(options: TokenOptions) -> Self {
        let refresh = options.refresh_token.iter().cloned().collect();
        Self { options, access: HashMap::new(), refresh, counts: Counts::default() }
    }

    /// Whether a call is for the token endpoint.
    pub(super) fn serves(call: &Call) -> bool {
        call.method == Method::POST && call.path.starts_with("/oauth") && call.path.ends_with("/token")
    }

    /// Whether a call carries an access token that is neither expired nor revoked.
    pub(super) fn accepts(&mut self, call: &Call) -> bool {
        let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let until = token.and_then(|token| self.access.get(token));
        let accepted = until.is_some_and(|until| Instant::now() < *until);
        self.counts.unauthorized += u64::from(!accepted);
        accepted
    }

    /// Answers a token request.
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        self.counts.requests += 1;
        match self.grant(call) {
            Ok(body) => {
                self.counts.issued += 1;
                Answer::json(StatusCode::OK, &body)
            }
            Err((status, code)) => {
                self.counts.refused += 1;
                Answer::json(status, &json!({ "error": code, "error_description": "refused by the simulator" }))
            }
        }
    }

    fn grant(&mut self, call: &Call) -> Result<Value, Refusal> {
        let form: HashMap<String, String> = form_urlencoded::parse(&call.body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str);
        let client = basic(call).or_else(|| Some((field("client_id")?.to_owned(), field("client_secret")?.to_owned())));
        let (id, secret) = (&self.options.client_id, &self.options.client_secret);
        if client.is_none_or(|(given, with)| given != *id || with != *secret) {
            return Err((StatusCode::UNAUTHORIZED, "invalid_client"));
        }
        let refresh = match field("grant_type") {
            Some("client_credentials") if self.options.refresh_token.is_none() => None,
            Some("refresh_token") => Some(self.refreshed(field("refresh_token").unwrap_or_default())?),
            Some(_) | None => return Err((StatusCode::BAD_REQUEST, "unsupported_grant_type")),
        };
        let access = format!("simulated-access-{}", self.counts.issued + 1);
        self.access.insert(access.clone(), Instant::now() + self.options.life);
        let mut body =
            json!({ "access_token": access, "token_type": "bearer", "expires_in": self.options.life.as_secs() });
        if let (Some(refresh), Some(fields)) = (refresh, body.as_object_mut()) {
            fields.insert("refresh_token".to_owned(), refresh.into());
        }
        Ok(body)
    }

    /// The refresh token to use after this one.
    fn refreshed(&mut self, used: &str) -> Result<String, Refusal> {
        let position = self.refresh.iter().position(|known| known == used);
        let position = position.ok_or((StatusCode::BAD_REQUEST, "invalid_grant"))?;
        if self.options.rotation == Rotation::Off {
            return Ok(used.to_owned());
        }
        self.counts.rotated += 1;
        let next = format!("simulated-refresh-{}", self.counts.rotated);
        // Its predecessors are void once a token is used.
        self.refresh.drain(..position);
        self.refresh.retain(|known| self.options.rotation == Rotation::Overlap && known == used);
        self.refresh.push(next.clone());
        Ok(next)
    }

    /// Revokes every access token, and with `grant` every refresh token.
    pub(super) fn revoke(&mut self, grant: bool) {
        self.access.clear();
        if grant {
            self.refresh.clear();
        }
    }

    /// What was asked of the endpoint, and how often a token was refused by the API.
    pub(super) fn report(&self) -> Value {
        let Counts { requests, issued, rotated, refused, unauthorized } = &self.counts;
        json!({
            "requests": requests, "issued": issued, "rotated": rotated, "refused": refused,
            "unauthorized": unauthorized,
        })
    }
}

/// The client of an `Authorization: Basic` header; both parts are form-encoded.
fn basic(call: &Call) -> Option<(String, String)> {
    let text = call.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let decoded = |text: &str| Some(form_urlencoded::parse(text.as_bytes()).next()?.0.into_owned());
    let (id, secret) = pair.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}
