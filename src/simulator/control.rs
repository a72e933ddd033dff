//! The judge's endpoints: no credential, no quota, no fault, no latency.

use std::{sync::Arc, time::Duration};

use ::http::{Method, StatusCode};
use axum::{body::to_bytes, extract::Request, response::Response};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    call::{Answer, Call},
    parse_faults,
    state::Shared,
    vendor::Command,
};

const MAX_BODY: usize = 64 << 20;
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A refused control request: a sentence for the operator.
type Refusal = String;

/// Answers one control request.
pub(super) async fn respond(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: to_bytes(body, MAX_BODY).await.unwrap_or_default(),
    };
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let answer = if call.method == Method::GET && path == ["wait"] {
        wait(&shared, number(&call, "requests").unwrap_or(1)).await
    } else {
        dispatch(&shared, &call, &path)
    };
    match answer {
        Ok(body) => Answer::raw_json(StatusCode::OK, body),
        Err(refusal) => Answer::json(StatusCode::BAD_REQUEST, &json!({ "error": refusal })),
    }
    .into_response()
}

fn dispatch(shared: &Shared, call: &Call, path: &[&str]) -> Result<Bytes, Refusal> {
    let mut state = shared.lock();
    let text = |value: &Value| Ok(Bytes::from(value.to_string()));
    match (call.method.as_str(), path) {
        ("GET", ["report"]) => text(&state.report()),
        ("GET", ["records", object]) => {
            let (offset, limit) = (number(call, "offset").unwrap_or(0), number(call, "limit").unwrap_or(usize::MAX));
            state.vendor.records(object, offset, limit).map(Bytes::from)
        }
        ("GET", ["history", object, id]) => text(&state.vendor.history(object, id)?),
        ("GET", ["requests"]) => text(&state.judge.requests(number(call, "limit").unwrap_or(usize::MAX)).into()),
        ("POST", ["faults"]) => {
            let faults = std::str::from_utf8(&call.body).map_err(|error| error.to_string())?;
            let faults = parse_faults(faults).map_err(|error| described(&error))?;
            let added = faults.len();
            state.faults.append(faults);
            text(&json!({ "added": added }))
        }
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            text(&json!({}))
        }
        ("POST", ["release"]) => text(&json!({ "applied": state.release() })),
        ("POST", ["revoke"]) => {
            let Revoke { grant } = parse(&call.body)?;
            state.tokens.as_mut().ok_or("the simulator demands no access tokens")?.revoke(grant);
            text(&json!({}))
        }
        ("POST", ["reset"]) => {
            state.reset();
            shared.arrivals.send_replace(0);
            text(&json!({}))
        }
        ("POST", ["reset-requests"]) => {
            state.reset_requests();
            shared.arrivals.send_replace(0);
            text(&json!({}))
        }
        ("POST", [name]) => {
            let (command, at) = (command(name, &call.body)?, state.moment());
            text(&state.vendor.control(command, at)?)
        }
        (method, path) => Err(unknown(method, path)),
    }
}

fn command(name: &str, body: &[u8]) -> Result<Command, Refusal> {
    match name {
        "edit" => parse(body).map(|Edit { object, id, properties }| Command::Edit { object, id, properties }),
        "archive" => parse(body).map(|Archive { object, id }| Command::Archive { object, id }),
        "merge" => parse(body).map(|Merge { object, into, from }| Command::Merge { object, into, from }),
        "secondary-email" => parse(body).map(|Secondary { id, email }| Command::SecondaryEmail { id, email }),
        other => Err(unknown("POST", &[other])),
    }
}

fn unknown(method: &str, path: &[&str]) -> Refusal {
    format!("got `{method} /_sim/{}`, expected a control endpoint", path.join("/"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    #[serde(default)]
    grant: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    #[serde(rename = "type")]
    object: String,
    id: String,
    properties: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    #[serde(rename = "type")]
    object: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    #[serde(rename = "type")]
    object: String,
    into: String,
    from: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secondary {
    id: String,
    email: String,
}

async fn wait(shared: &Shared, requests: usize) -> Result<Bytes, Refusal> {
    let mut arrivals = shared.arrivals.subscribe();
    let enough = arrivals.wait_for(|seen| *seen >= requests as u64);
    let reached = tokio::time::timeout(MAX_WAIT, enough).await.is_ok();
    let seen = *shared.arrivals.borrow();
    Ok(Bytes::from(json!({ "reached": reached, "requests": seen }).to_string()))
}

fn number(call: &Call, name: &str) -> Option<usize> {
    call.query(name)?.parse().ok()
}

fn described(error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
