//! The Tracking API over HTTP. Nearly everything is answered with 200.
//! <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api>

use super::message::{Kind, Reason, Via};
use super::variants::{Success, Unfit};
use super::{Inside, Shared};
use crate::clock::Clock;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// "There is a maximum of 32KB per normal API request", and of each event in a batch. (Max request size)
pub(crate) const EVENT_KB: usize = 32;
/// (Max request size)
pub(crate) const BATCH_KB: usize = 500;
/// Beyond it a batch is answered with 200, and none of its events is accepted. (Errors)
pub(crate) const BATCH_EVENTS: usize = 2500;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let mut router = Router::new().route("/v1/batch", post(batch));
    for kind in [Kind::Identify, Kind::Track, Kind::Page, Kind::Screen, Kind::Group, Kind::Alias] {
        let call =
            move |State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes| async move { single(&shared, kind, &headers, &body) };
        router = router.route(&format!("/v1/{}", kind.word()), post(call));
    }
    router.fallback(async || StatusCode::NOT_FOUND).with_state(shared)
}

/// "The response header contains `Retry-After` and `X-RateLimit-Reset` headers, which contains the number of seconds after
/// which you can retry the request." (Rate limits)
pub(crate) fn refuse(status: StatusCode, wait: Option<Duration>, _: &Clock) -> Response {
    let mut response = status.into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        response.headers_mut().insert("X-RateLimit-Reset", HeaderValue::from(wait.as_secs()));
    }
    response
}

fn bad_request(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"success": false, "message": message}))).into_response()
}

fn success(shared: &Shared) -> Response {
    match shared.options.variants.success {
        Success::SuccessTrue => Json(json!({"success": true})).into_response(),
        Success::Empty => StatusCode::OK.into_response(),
        Success::EmptyObject => Json(json!({})).into_response(),
    }
}

fn single(shared: &Shared, kind: Kind, headers: &HeaderMap, body: &Bytes) -> Response {
    let options = &shared.options;
    let mut inside = shared.inside();
    if let Some(response) = too_many(shared, &mut inside) {
        return response;
    }
    if body.len() > EVENT_KB * options.variants.kilobyte.bytes() {
        return bad_request("the request is larger than 32KB");
    }
    let Ok(mut call) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return bad_request("malformed JSON");
    };
    let write_key = call.remove("writeKey");
    call.insert("type".to_owned(), kind.word().into());
    let fate = match admitted(shared, headers, write_key.as_ref()) {
        Admitted::Refused(reason) => return bad_request(&reason.to_string()),
        Admitted::Lost(reason) => Err(reason),
        Admitted::Yes => inside.workspace.accept(&call, Via::Api, options, options.clock.now_ms()),
    };
    match (fate, options.variants.nobody) {
        (Ok(()), _) => {}
        (Err(reason @ Reason::NoUserOrAnonymousId), Unfit::Refused) => return bad_request(&reason.to_string()),
        (Err(reason), Unfit::Refused | Unfit::Lost) => inside.workspace.lose(reason, Value::Object(call)),
    }
    success(shared)
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
    context: Option<Map<String, Value>>,
    integrations: Option<Map<String, Value>>,
    #[serde(rename = "sentAt")]
    sent_at: Option<Value>,
    #[serde(rename = "writeKey")]
    write_key: Option<Value>,
}

async fn batch(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let options = &shared.options;
    let mut inside = shared.inside();
    if let Some(response) = too_many(&shared, &mut inside) {
        return response;
    }
    let kilobyte = options.variants.kilobyte.bytes();
    if body.len() > BATCH_KB * kilobyte {
        return bad_request("the batch is larger than 500KB");
    }
    let Ok(batch) = serde_json::from_slice::<Batch<'_>>(&body) else {
        return bad_request("malformed JSON");
    };
    if batch.batch.iter().any(|event| event.get().len() > EVENT_KB * kilobyte) {
        return bad_request("an event of the batch is larger than 32KB");
    }
    let all_lost = match admitted(&shared, &headers, batch.write_key.as_ref()) {
        Admitted::Refused(reason) => return bad_request(&reason.to_string()),
        Admitted::Lost(reason) => Some(reason),
        Admitted::Yes if batch.batch.len() > BATCH_EVENTS => Some(Reason::TooManyInBatch),
        Admitted::Yes => None,
    };
    let now_ms = options.clock.now_ms();
    for raw in &batch.batch {
        let event = serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
        let fate = match (all_lost, event.as_object()) {
            (Some(reason), _) => Err(reason),
            (None, None) => Err(Reason::NoObject),
            // The batch takes "Identify, Group, Track, Page and Screen requests". (Batch)
            (None, Some(event)) if event.get("type").and_then(Value::as_str) == Some(Kind::Alias.word()) => Err(Reason::AliasInBatch),
            (None, Some(event)) => inside.workspace.accept(&merged(event, &batch), Via::Api, options, now_ms),
        };
        if let Err(reason) = fate {
            inside.workspace.lose(reason, event);
        }
    }
    success(&shared)
}

/// `context` and `integrations` of the batch "will be merged with" those of its items; of what both say, the item's stands.
fn merged(event: &Map<String, Value>, batch: &Batch<'_>) -> Map<String, Value> {
    let mut event = event.clone();
    event.remove("writeKey");
    for (key, shared) in [("context", &batch.context), ("integrations", &batch.integrations)] {
        let mut both = shared.clone().unwrap_or_default();
        both.extend(event.get(key).and_then(Value::as_object).cloned().unwrap_or_default());
        event.insert(key.to_owned(), Value::Object(both));
    }
    if let (None, Some(sent_at)) = (event.get("sentAt"), &batch.sent_at) {
        event.insert("sentAt".to_owned(), sent_at.clone());
    }
    event
}

/// "Requests that exceed acceptable limits may be rejected with HTTP Status Code 429." (Rate limits)
fn too_many(shared: &Shared, inside: &mut Inside) -> Option<Response> {
    let now = shared.options.clock.now();
    if inside.second.0 != now {
        inside.second = (now, 0);
    }
    inside.second.1 += 1;
    let over = inside.second.1 > shared.options.requests_per_second;
    over.then(|| refuse(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(1)), &shared.options.clock))
}

/// What becomes of a request as a whole.
enum Admitted {
    Yes,
    /// 200
    Lost(Reason),
    /// 400
    Refused(Reason),
}

fn admitted(shared: &Shared, headers: &HeaderMap, write_key: Option<&Value>) -> Admitted {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return unfit(shared.options.variants.content_type, Reason::ContentType);
    }
    // Whatever is given must be right. "Basic", the key and an empty password; a token of OAuth has the key in the body.
    let in_header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = in_header.and_then(|value| value.strip_prefix("Basic ")).map(|value| STANDARD.decode(value).unwrap_or_default());
    let in_body = write_key.map(|key| format!("{}:", key.as_str().unwrap_or_default()).into_bytes());
    let given: Vec<Vec<u8>> = in_header.into_iter().chain(in_body).collect();
    let all = |key: &str| !given.is_empty() && given.iter().all(|given| *given == format!("{key}:").into_bytes());
    if all(&shared.options.write_key) {
        Admitted::Yes
    } else if all(&shared.options.other_region_write_key) {
        unfit(shared.options.variants.other_region, Reason::OtherRegion)
    } else {
        Admitted::Lost(Reason::WrongWriteKey)
    }
}

fn unfit(unfit: Unfit, reason: Reason) -> Admitted {
    match unfit {
        Unfit::Lost => Admitted::Lost(reason),
        Unfit::Refused => Admitted::Refused(reason),
    }
}
