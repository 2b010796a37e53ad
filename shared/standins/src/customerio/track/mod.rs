//! The Track API over HTTP. <https://docs.customer.io/integrations/api/track/>

mod v1;

use super::item::{BATCH_KB, Item, ItemError, parse};
use super::{Identification, Shared};
use crate::clock::Clock;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/accounts/region", get(region))
        .route("/api/v2/entity", post(entity))
        .route("/api/v2/batch", post(batch))
        .route("/api/v1/segments/{id}/add_customers", post(v1::add_customers))
        .route("/api/v1/segments/{id}/remove_customers", post(v1::remove_customers))
        .route("/api/v1/metrics", post(v1::metrics))
        .fallback(async || StatusCode::NOT_FOUND)
        .with_state(shared)
}

/// 429 and the 5xx come without a body. `Retry-After` is in no vendor page; clients must handle both.
pub(crate) fn refuse(status: StatusCode, wait: Option<Duration>, _: &Clock) -> Response {
    let mut response = status.into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

async fn region(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !authorized(&shared, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let options = &shared.options;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    Json(json!({"url": format!("http://{host}"), "region": options.region, "environment_id": options.environment_id})).into_response()
}

/// "Make a single request": 200 `{}`, or 400 with the errors and nothing applied.
async fn entity(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !authorized(&shared, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(raw) = std::str::from_utf8(&body) else {
        return bad_request(&ItemError::new("invalid", "", "not UTF-8"));
    };
    match operation(&shared, raw) {
        Ok(item) => {
            let now_ms = shared.options.clock.now_ms();
            shared.workspace().apply(item, now_ms);
            Json(json!({})).into_response()
        }
        Err(error) => bad_request(&error),
    }
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
}

/// "Send multiple requests": 200 `{}`; 207 if some operations are refused and the others accepted; 400 if the request as
/// a whole cannot be used.
async fn batch(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !authorized(&shared, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if body.len() > BATCH_KB * shared.options.variants.kilobyte.bytes() {
        return bad_request(&ItemError::new("too_large", "", format!("a batch must be smaller than {BATCH_KB}kb")));
    }
    let Ok(Batch { batch }) = serde_json::from_slice::<Batch<'_>>(&body) else {
        return bad_request(&ItemError::new("invalid", "batch", "batch must be an array of operations"));
    };
    if batch.is_empty() {
        return bad_request(&ItemError::new("invalid", "batch", "batch must not be empty"));
    }
    let mut items = Vec::with_capacity(batch.len());
    let mut errors = Vec::new();
    for (index, raw) in batch.into_iter().enumerate() {
        match operation(&shared, raw.get()) {
            Ok(item) => items.push(item),
            Err(error) => errors.push(ItemError { batch_index: Some(index), ..error }),
        }
    }
    let now_ms = shared.options.clock.now_ms();
    shared.workspace().apply_batch(items, now_ms);
    if errors.is_empty() {
        Json(json!({})).into_response()
    } else {
        (StatusCode::MULTI_STATUS, Json(json!({"errors": errors}))).into_response()
    }
}

fn operation(shared: &Shared, raw: &str) -> Result<Item, ItemError> {
    let item = parse(raw, shared.options.variants.kilobyte.bytes(), email_identifies(shared))?;
    match &item {
        Item::Event(event) if shared.options.refused_events.contains(&event.name) => {
            Err(ItemError::new("invalid", "name", "this event is refused"))
        }
        _ => Ok(item),
    }
}

fn bad_request(error: &ItemError) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"errors": [error]}))).into_response()
}

fn email_identifies(shared: &Shared) -> bool {
    match shared.options.identification {
        Identification::EmailAndId => true,
        Identification::IdOnly => false,
    }
}

/// "Track endpoints use basic authentication with your Site ID as the user name and your secret key as the password."
fn authorized(shared: &Shared, headers: &HeaderMap) -> bool {
    let expected = format!("{}:{}", shared.options.site_id, shared.options.track_api_key);
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Basic ")).and_then(|value| STANDARD.decode(value).ok());
    given.is_some_and(|given| given.ct_eq(expected.as_bytes()).into())
}
