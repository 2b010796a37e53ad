//! What v2 of the Track API does not have: manual segments, and metrics of messages.
//! <https://docs.customer.io/integrations/api/track/> ("Track Segments", "Report metrics")

use super::authorized;
use crate::customerio::item::{Identifier, ReportedMetric};
use crate::customerio::query::parameter;
use crate::customerio::{Identification, ManualSegments, Shared, UnknownSegment};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// "You are limited to 1000 customer IDs per request."
const MAX_IDS: usize = 1000;

/// All that any channel can have; which ones a channel has cannot be checked, since the message is not known here.
const METRICS: [&str; 8] = ["bounced", "clicked", "converted", "deferred", "delivered", "dropped", "opened", "spammed"];

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

/// "Add people to a manual segment". Whoever is not known is ignored.
pub(super) async fn add_customers(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    change_segment(&shared, &headers, &id, query.as_deref(), &body, true)
}

/// "Remove people from a manual segment". Whoever is not known, or not in it, is ignored.
pub(super) async fn remove_customers(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    change_segment(&shared, &headers, &id, query.as_deref(), &body, false)
}

fn change_segment(shared: &Shared, headers: &HeaderMap, id: &str, query: Option<&str>, body: &Bytes, put: bool) -> Response {
    if !authorized(shared, headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (kind, by_id): (fn(String) -> Identifier, bool) = match parameter(query, "id_type").as_deref() {
        None | Some("id") => (Identifier::Id, true),
        Some("email") => (Identifier::Email, false),
        Some("cio_id") => (Identifier::CioId, false),
        Some(_) => return refused(StatusCode::BAD_REQUEST, "id_type must be id, email or cio_id"),
    };
    let ids = match serde_json::from_slice::<Ids>(body) {
        Ok(Ids { ids }) if (1..=MAX_IDS).contains(&ids.len()) => ids,
        Ok(_) | Err(_) => return refused(StatusCode::BAD_REQUEST, "ids must be an array of 1 to 1000 texts"),
    };
    let variants = shared.options.variants;
    match (variants.manual_segments, shared.options.identification) {
        (ManualSegments::RemovalById, _) if !put && !by_id => {
            return refused(StatusCode::BAD_REQUEST, "people are taken out of a segment by id only");
        }
        (ManualSegments::IdOnlyWorkspaces, Identification::EmailAndId) => {
            return refused(StatusCode::BAD_REQUEST, "not in a workspace that identifies people by e-mail and id");
        }
        (ManualSegments::EveryIdType | ManualSegments::RemovalById | ManualSegments::IdOnlyWorkspaces, _) => {}
    }
    let people: Vec<Identifier> = ids.into_iter().map(kind).collect();
    let changed = id.parse::<u64>().is_ok_and(|id| shared.workspace().change_segment(id, &people, put));
    if changed {
        return Json(json!({})).into_response();
    }
    let status = match variants.unknown_segment {
        UnknownSegment::BadRequest => StatusCode::BAD_REQUEST,
        UnknownSegment::NotFound => StatusCode::NOT_FOUND,
        UnknownSegment::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
    };
    refused(status, "no such manual segment")
}

#[derive(Deserialize)]
struct Metric {
    delivery_id: String,
    metric: String,
    timestamp: Option<i64>,
    #[serde(flatten)]
    data: Map<String, Value>,
}

/// "Report metrics": "It does not require authentication."
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Metric>(&body) {
        Err(_) => refused(StatusCode::BAD_REQUEST, "delivery_id and metric must be texts, timestamp unix seconds"),
        Ok(Metric { delivery_id, .. }) if delivery_id.is_empty() => refused(StatusCode::BAD_REQUEST, "delivery_id is required"),
        Ok(Metric { metric, .. }) if !METRICS.contains(&metric.as_str()) => refused(StatusCode::BAD_REQUEST, "no such metric"),
        Ok(Metric { delivery_id, metric, timestamp, data }) => {
            shared.workspace().reported_metrics.push(ReportedMetric { delivery_id, metric, timestamp, data });
            Json(json!({})).into_response()
        }
    }
}

/// The shape of v1.
fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"meta": {"errors": [why]}}))).into_response()
}
