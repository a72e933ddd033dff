//! HubSpot's error bodies.

use ::http::{HeaderName, StatusCode};
use serde_json::{Map, Value, json};

use crate::simulator::{
    call::Answer,
    quota::{Denial, Policy, QuotaView},
};

const CORRELATION: &str = "7a4f1f5e-4d2b-4c11-9d0a-0e5a1b2c3d4e";

/// A refused row.
pub(super) struct RowError {
    pub(super) status: StatusCode,
    pub(super) category: String,
    pub(super) message: String,
    /// Ids for the context, beside the trace id.
    pub(super) ids: Vec<String>,
    /// A row that is not valid fails its whole batch when it carries no trace id.
    pub(super) poisons: bool,
}

impl RowError {
    /// Values that do not fit.
    pub(super) fn invalid(details: &[Value]) -> Self {
        let message = format!("Property values were not valid: {}", Value::from(details));
        Self::validation(message)
    }

    /// Any other mistake in a row.
    pub(super) fn validation(message: String) -> Self {
        let category = "VALIDATION_ERROR".to_owned();
        Self { status: StatusCode::BAD_REQUEST, category, message, ids: Vec::new(), poisons: true }
    }

    /// No such record.
    pub(super) fn not_found(object: &str, ids: Vec<String>) -> Self {
        let object = object.to_uppercase();
        let message =
            format!("Could not get some {object} objects, they may be deleted or not exist. Check that ids are valid.");
        let category = "OBJECT_NOT_FOUND".to_owned();
        Self { status: StatusCode::NOT_FOUND, category, message, ids, poisons: false }
    }

    /// Another record has a unique value.
    pub(super) fn conflict(property: &str, value: &str, owner: u64) -> Self {
        let message = if property == "email" {
            format!("Contact already exists. Existing ID: {owner}. The email {value} belongs to it.")
        } else {
            format!(
                "Cannot set PropertyValueCoordinates{{propertyName={property}, value={value}}}. {owner} already has that value. Existing ID: {owner}"
            )
        };
        let category = "CONFLICT".to_owned();
        Self { status: StatusCode::CONFLICT, category, message, ids: vec![owner.to_string()], poisons: false }
    }

    /// A refusal that a fault scripted.
    pub(super) fn scripted(category: &str, message: &str) -> Self {
        let (category, message) = (category.to_owned(), message.to_owned());
        Self { status: StatusCode::BAD_REQUEST, category, message, ids: Vec::new(), poisons: false }
    }

    /// The row's element in the `errors` of a 207.
    pub(super) fn in_batch(&self, trace: Option<&str>) -> Value {
        let mut context = Map::new();
        if let Some(trace) = trace {
            context.insert("objectWriteTraceId".to_owned(), json!([trace]));
        }
        if !self.ids.is_empty() {
            context.insert("ids".to_owned(), json!(self.ids));
        }
        json!({
            "status": "error", "category": self.category, "message": self.message, "context": context,
            "errors": [], "links": {},
        })
    }

    /// The answer when the error stands for the whole request.
    pub(super) fn answer(&self) -> Answer {
        refuse(self.status, &self.category, &self.message)
    }
}

/// An error answer.
pub(super) fn refuse(status: StatusCode, category: &str, message: &str) -> Answer {
    let body = json!({ "status": "error", "message": message, "correlationId": CORRELATION, "category": category });
    Answer::json(status, &body)
}

/// A request that is wrong as a whole.
pub(super) fn invalid(message: &str) -> Answer {
    refuse(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

/// A body that is not what the endpoint reads.
pub(super) fn malformed(error: &serde_json::Error) -> Answer {
    invalid(&format!("Invalid input JSON on line {}, column {}: {error}", error.line(), error.column()))
}

/// A missing or wrong token.
pub(super) fn unauthorized() -> Answer {
    let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find \
        more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview";
    refuse(StatusCode::UNAUTHORIZED, "INVALID_AUTHENTICATION", message)
}

/// An address that the API does not have.
pub(super) fn no_route() -> Answer {
    refuse(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found")
}

/// The 429 (body: destinations.md 3.2).
pub(super) fn throttled(denial: &Denial) -> Answer {
    let (policy, message) = match denial.policy {
        Policy::Daily => ("DAILY", "You have reached your daily limit."),
        Policy::Window(window) if window.per.as_secs() == 1 => ("SECONDLY", "You have reached your secondly limit."),
        Policy::Window(_) => ("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit."),
    };
    let body = json!({
        "status": "error", "message": message, "errorType": "RATE_LIMIT", "correlationId": CORRELATION,
        "policyName": policy,
    });
    Answer::json(StatusCode::TOO_MANY_REQUESTS, &body)
}

/// The quota headers.
pub(super) fn stamp(quota: &QuotaView, answer: &mut Answer) {
    let mut set = |name: &'static str, value: u128| answer.set(HeaderName::from_static(name), &value.to_string());
    if let Some((limit, left)) = quota.daily {
        set("x-hubspot-ratelimit-daily", limit.into());
        set("x-hubspot-ratelimit-daily-remaining", left.into());
    }
    if let Some((window, left)) = quota.window {
        set("x-hubspot-ratelimit-interval-milliseconds", window.per.as_millis());
        set("x-hubspot-ratelimit-max", window.requests.into());
        set("x-hubspot-ratelimit-remaining", left.into());
    }
}
