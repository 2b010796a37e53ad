//! The App API over HTTP, as far as it finds people, segments and topics, and names of what messages are part of. <https://docs.customer.io/integrations/api/app/>

mod segments;

use super::Shared;
use super::item::Identifier;
use super::profile::{Directory, Profile};
use super::query::parameter;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// "Up to 100 people."
const MAX_IDS: usize = 100;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/customers", get(by_email))
        .route("/v1/customers/attributes", post(attributes_of_many))
        .route("/v1/customers/{id}/attributes", get(attributes_of_one))
        .route("/v1/customers/{id}/segments", get(segments::of_one))
        .route("/v1/segments", get(segments::all))
        .route("/v1/segments/{id}/membership", get(segments::members))
        .route("/v1/subscription_topics", get(segments::topics))
        .route("/v1/{kind}/{id}", get(named))
        .fallback(async || error(StatusCode::NOT_FOUND, "not found"))
        .with_state(shared)
}

/// Every profile with this address, in any case of letters. A `+` that is not encoded means a space, so that it finds
/// nobody: 200 with an empty list.
async fn by_email(State(shared): State<Arc<Shared>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let Some(email) = parameter(query.as_deref(), "email").filter(|email| !email.is_empty()) else {
        return error(StatusCode::BAD_REQUEST, "email is required");
    };
    let now_ms = shared.options.clock.now_ms();
    let mut workspace = shared.workspace();
    workspace.catch_up(now_ms);
    let directory = workspace.visible();
    let found: Vec<Value> = found(directory, &Identifier::Email(email)).map(Profile::identifiers).collect();
    Json(json!({"results": found})).into_response()
}

async fn attributes_of_one(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let now_ms = shared.options.clock.now_ms();
    let mut workspace = shared.workspace();
    workspace.catch_up(now_ms);
    let (directory, defaults) = (workspace.visible(), workspace.topic_defaults());
    // 404 for unknown people, and for an `id_type` that does not fit.
    let profile = identifier(query.as_deref(), id).and_then(|who| found(directory, &who).next());
    match profile {
        Some(profile) => Json(profile.to_json(&defaults)).into_response(),
        None => error(StatusCode::NOT_FOUND, "customer not found"),
    }
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

/// "Attributes and devices of up to 100 people"; ids that nobody has are left out.
async fn attributes_of_many(State(shared): State<Arc<Shared>>, headers: HeaderMap, RawQuery(query): RawQuery, body: Bytes) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let ids = match serde_json::from_slice::<Ids>(&body) {
        Ok(Ids { ids }) if (1..=MAX_IDS).contains(&ids.len()) => ids,
        Ok(_) | Err(_) => return error(StatusCode::BAD_REQUEST, "ids must be an array of 1 to 100 texts"),
    };
    let now_ms = shared.options.clock.now_ms();
    let mut workspace = shared.workspace();
    workspace.catch_up(now_ms);
    let (directory, defaults) = (workspace.visible(), workspace.topic_defaults());
    let mut customers = Vec::new();
    for id in ids {
        let Some(who) = identifier(query.as_deref(), id) else {
            return error(StatusCode::BAD_REQUEST, "id_type must be id, email, phone or cio_id");
        };
        customers.extend(found(directory, &who).map(|profile| profile.to_json(&defaults)));
    }
    Json(json!({"customers": customers})).into_response()
}

/// "Get a campaign", "Get a broadcast", "Get a newsletter", "Get a transactional message": an object under one key, of which
/// only id and name are told here.
async fn named(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path((kind, id)): Path<(String, u64)>) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let key = match kind.as_str() {
        "campaigns" => "campaign",
        "broadcasts" => "broadcast",
        "newsletters" => "newsletter",
        "transactional" => "message",
        _ => return error(StatusCode::NOT_FOUND, "not found"),
    };
    match shared.workspace().names.get(&(kind, id)) {
        Some(name) => Json(json!({key: {"id": id, "name": name}})).into_response(),
        None => error(StatusCode::NOT_FOUND, "not found"),
    }
}

fn found<'a>(directory: &'a Directory, who: &Identifier) -> impl Iterator<Item = &'a Profile> {
    let cio_ids: Vec<String> = directory.find(who).into_iter().map(str::to_owned).collect();
    cio_ids.into_iter().filter_map(|cio_id| directory.get(&cio_id))
}

/// `id_type` is `id` unless it is said.
fn identifier(query: Option<&str>, text: String) -> Option<Identifier> {
    match parameter(query, "id_type").as_deref() {
        None | Some("id") => Some(Identifier::Id(text)),
        Some("email") => Some(Identifier::Email(text)),
        Some("phone") => Some(Identifier::Phone(text)),
        Some("cio_id") => Some(Identifier::CioId(text)),
        Some(_) => None,
    }
}

fn error(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"errors": [{"detail": detail, "status": status.as_u16().to_string()}]}))).into_response()
}

fn authorized(shared: &Shared, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|key| key == shared.options.app_api_key)
}
