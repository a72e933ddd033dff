//! The two answers, and the checks before them.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::StatusCode;
use http_body::Body as _;
use serde_json::json;

use super::{Health, Liveness, host};
use crate::telemetry::{event, events};

pub(super) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(middleware::from_fn(check))
        .with_state(health)
}

async fn check(request: Request, next: Next) -> Response {
    if !host::is_allowed(request.headers(), request.uri()) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "the host is not a loopback name");
    }
    if !request.body().is_end_stream() {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "no body is expected");
    }
    next.run(request).await
}

fn refuse(status: StatusCode, reason: &'static str) -> Response {
    event!(events::HTTP_REFUSED, status = status.as_u16(), reason = reason);
    (status, Json(json!({ "status": "refused", "reason": reason }))).into_response()
}

async fn healthz(State(health): State<Arc<Health>>) -> Response {
    match health.liveness() {
        Liveness::Alive => Json(json!({ "status": "ok" })).into_response(),
        Liveness::Silent(silence) => {
            let body =
                json!({ "status": "stuck", "silent_ms": u64::try_from(silence.as_millis()).unwrap_or(u64::MAX) });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    if health.is_ready() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready" }))).into_response()
}
