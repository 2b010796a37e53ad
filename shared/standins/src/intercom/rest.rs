//! The REST API, as far as people and conversations are looked up.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io>

use super::shapes::{self, ApiVersion, Form};
use super::variants::MergedContact;
use super::world::{ADMIN_EMAIL, ADMIN_ID, ADMIN_NAME, Life};
use super::{Inside, REQUESTS_PER_WINDOW, Shared};
use crate::clock::Clock;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Limits are enforced in windows of 10 seconds. (Rate limiting)
const WINDOW_SECS: i64 = 10;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/contacts/{id}", get(contact))
        .route("/conversations/{id}", get(conversation))
        .fallback(unknown)
        .with_state(shared)
}

/// "error.list" with the code of the status; 429 with the end of the window, or `wait` from now.
pub(crate) fn refuse(status: StatusCode, wait: Option<Duration>, clock: &Clock) -> Response {
    let (code, message) = match status.as_u16() {
        400 => ("parameter_invalid", "a fault was asked for"),
        401 => ("unauthorized", "Access Token Invalid"),
        403 => ("forbidden", "a fault was asked for"),
        404 => ("not_found", "Resource Not Found"),
        408 => ("request_timeout", "a fault was asked for"),
        409 => ("conflict", "a fault was asked for"),
        429 => ("rate_limit_exceeded", "Exceeded rate limit of 1666 in 10_seconds"),
        503 => ("service_unavailable", "a fault was asked for"),
        _ => ("server_error", "a fault was asked for"),
    };
    let mut response = error(status, code, message);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let now = clock.now();
        let reset = wait.map_or(window_end(now), |wait| now + i64::try_from(wait.as_secs()).unwrap_or(i64::MAX - now));
        rate_headers(response.headers_mut(), REQUESTS_PER_WINDOW, 0, reset);
    }
    response
}

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, |_, _| {
        let options = &shared.options;
        Json(json!({
            "type": "admin", "id": ADMIN_ID.to_string(), "name": ADMIN_NAME, "email": ADMIN_EMAIL, "email_verified": true,
            "has_inbox_seat": true, "avatar": {"type": "avatar", "image_url": null},
            "app": {"type": "app", "id_code": options.app_id, "name": "Example", "region": options.region,
                    "timezone": options.timezone, "created_at": 1_734_537_243, "identity_verification": false},
        }))
        .into_response()
    })
}

async fn contact(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let not_found = || error(StatusCode::NOT_FOUND, "not_found", "User Not Found");
    answer(&shared, &headers, |inside, version| match inside.world.any_contact(&id) {
        None => not_found(),
        Some(contact) => match (&contact.life, shared.options.variants.merged_contact) {
            (Life::Active, _) => Json(shapes::contact(contact, &shared.options.app_id, Form::Rest(version))).into_response(),
            (Life::Deleted, _) | (Life::MergedInto(_), MergedContact::NotFound) => not_found(),
            (Life::MergedInto(survivor), MergedContact::Gone) => {
                let message = "This contact has been merged. See the 'Link' header for the canonical contact.";
                let mut response = error(StatusCode::GONE, "contact_merged", message);
                if let Ok(link) = HeaderValue::try_from(format!("</contacts/{survivor}>; rel=\"canonical\"")) {
                    response.headers_mut().insert(header::LINK, link);
                }
                response
            }
        },
    })
}

async fn conversation(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    answer(&shared, &headers, |inside, version| match inside.world.conversation(&id) {
        Ok(conversation) => Json(shapes::conversation(&inside.world, conversation, Form::Rest(version))).into_response(),
        Err(_) => error(StatusCode::NOT_FOUND, "not_found", "Resource Not Found"),
    })
}

async fn unknown(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, |_, _| error(StatusCode::NOT_FOUND, "not_found", "Resource Not Found"))
}

/// What is the same for every operation: token, version, rate limit.
fn answer(shared: &Shared, headers: &HeaderMap, work: impl FnOnce(&Inside, ApiVersion) -> Response) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")) != Some(shared.options.access_token.as_str()) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized", "Access Token Invalid");
    }
    let limit = shared.options.requests_per_window;
    let now = shared.options.clock.now();
    let reset = window_end(now);
    let mut inside = shared.inside();
    let window = &mut inside.window;
    if window.0 != reset {
        *window = (reset, 0);
    }
    let within = window.1 < limit;
    window.1 = window.1.saturating_add(u32::from(within));
    let remaining = limit.saturating_sub(window.1);
    let mut response = match version(shared, headers) {
        _ if !within => {
            let mut response =
                error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", &format!("Exceeded rate limit of {limit} in 10_seconds"));
            if shared.options.variants.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(reset.saturating_sub(now)));
            }
            response
        }
        Some(version) => work(&inside, version),
        None => error(StatusCode::BAD_REQUEST, "intercom_version_invalid", "The requested version could not be found"),
    };
    rate_headers(response.headers_mut(), limit, remaining, reset);
    response
}

/// The version of the header; without one the app's own, which a client must not rely on.
fn version(shared: &Shared, headers: &HeaderMap) -> Option<ApiVersion> {
    match headers.get("intercom-version").map(HeaderValue::to_str) {
        None if shared.options.version_required => None,
        None => Some(shared.options.api_version),
        Some(Ok("2.11" | "2.12" | "2.13" | "2.14")) => Some(ApiVersion::V2_14),
        Some(Ok("2.15")) => Some(ApiVersion::V2_15),
        Some(Ok("2.16")) => Some(ApiVersion::V2_16),
        Some(_) => None,
    }
}

fn window_end(now: i64) -> i64 {
    now.div_euclid(WINDOW_SECS).saturating_add(1).saturating_mul(WINDOW_SECS)
}

fn rate_headers(headers: &mut HeaderMap, limit: u32, remaining: u32, reset: i64) {
    headers.insert(LIMIT, HeaderValue::from(limit));
    headers.insert(REMAINING, HeaderValue::from(remaining));
    headers.insert(RESET, HeaderValue::from(reset));
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"type": "error.list", "request_id": null, "errors": [{"code": code, "message": message}]}))).into_response()
}
