//! Segments and subscription topics. <https://docs.customer.io/integrations/api/app/> ("Segments", "Subscription center")

use super::{authorized, error, found, identifier};
use crate::customerio::Shared;
use crate::customerio::profile::Profile;
use crate::customerio::query::parameter;
use crate::customerio::workspace::{Segment, SegmentKind, Topic};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// `limit` of a membership page, which is also what it is if it is not said.
const MAX_MEMBERS: usize = 30_000;

/// "List segments"; they are all built.
pub(super) async fn all(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let now = shared.options.clock.now();
    let segment = |segment: &Segment| {
        let kind = match segment.kind {
            SegmentKind::Manual(_) => "manual",
            SegmentKind::DataDriven { .. } => "dynamic",
        };
        json!({"id": segment.id, "deduplicate_id": format!("{}:{now}", segment.id), "name": segment.name, "description": "",
               "state": "finished", "progress": null, "type": kind, "tags": null, "created_at": now, "updated_at": now})
    };
    let segments: Vec<Value> = shared.workspace().segments.values().map(segment).collect();
    Json(json!({"segments": segments})).into_response()
}

/// "List customers in a segment": `identifiers`, `ids` (an empty text for people without one), and `next`, empty at the end.
pub(super) async fn members(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let limit = match parameter(query.as_deref(), "limit").map(|limit| limit.parse::<usize>()) {
        None => MAX_MEMBERS,
        Some(Ok(limit)) if (1..=MAX_MEMBERS).contains(&limit) => limit,
        Some(Ok(_) | Err(_)) => return error(StatusCode::BAD_REQUEST, "limit must be 1 to 30000"),
    };
    let start = parameter(query.as_deref(), "start").filter(|start| !start.is_empty());
    let mut workspace = shared.workspace();
    workspace.catch_up(shared.options.clock.now_ms());
    let Some(segment) = workspace.segments.get(&id) else { return error(StatusCode::NOT_FOUND, "segment not found") };
    // `next` is opaque: here the `cio_id` that the page before ended with.
    let members = segment.members(workspace.visible());
    let mut rest = members.into_iter().filter(|profile| start.as_ref().is_none_or(|start| profile.cio_id > *start));
    let page: Vec<&Profile> = rest.by_ref().take(limit).collect();
    let next = if rest.next().is_some() { page.last().map(|profile| profile.cio_id.clone()) } else { None };
    let identifiers: Vec<Value> = page.iter().map(|profile| profile.identifiers()).collect();
    let ids: Vec<String> = page.iter().map(|profile| profile.id.clone().unwrap_or_default()).collect();
    Json(json!({"identifiers": identifiers, "ids": ids, "next": next.unwrap_or_default()})).into_response()
}

/// "Look up a customer's segments".
pub(super) async fn of_one(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let mut workspace = shared.workspace();
    workspace.catch_up(shared.options.clock.now_ms());
    let profile = identifier(query.as_deref(), id).and_then(|who| found(workspace.visible(), &who).next());
    let Some(profile) = profile else { return error(StatusCode::NOT_FOUND, "customer not found") };
    let segment = |segment: &Segment| json!({"id": segment.id, "name": segment.name, "description": ""});
    let segments: Vec<Value> = workspace.segments.values().filter(|segment| segment.has(profile)).map(segment).collect();
    Json(json!({"segments": segments})).into_response()
}

/// "List subscription topics".
pub(super) async fn topics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !authorized(&shared, &headers) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let topic = |topic: &Topic| {
        json!({"id": topic.id, "identifier": format!("topic_{}", topic.id), "name": topic.name, "description": "",
               "subscribed_by_default": topic.subscribed_by_default})
    };
    let topics: Vec<Value> = shared.workspace().topics.values().map(topic).collect();
    Json(json!({"topics": topics})).into_response()
}
