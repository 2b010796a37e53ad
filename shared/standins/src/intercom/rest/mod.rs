//! The REST API, as far as people are looked up and written to. What it does goes to the outbox as webhooks.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io>

mod asked;
mod attributes;
mod call;
mod companies;
mod contacts;
mod conversations;
mod events;
mod lives;
mod messages;
mod search;
mod subscriptions;
mod tags;
mod tickets;

use super::shapes::ApiVersion;
use super::world::{ADMIN_EMAIL, ADMIN_ID, ADMIN_NAME};
use super::{REQUESTS_PER_WINDOW, Shared};
use crate::clock::Clock;
use asked::Asked;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use call::{Answered, Call, Refusal, ok};
use serde_json::json;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

/// Limits are enforced in windows of 10 seconds. (Rate limiting)
const WINDOW_SECS: i64 = 10;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// One operation: what it is asked, and the answer or the refusal.
type Operation = fn(&mut Call<'_>, &Asked) -> Answered;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/me", on_get(me))
        .route("/contacts", on_post(contacts::create))
        .route("/contacts/search", on_post(search::contacts))
        .route("/contacts/merge", on_post(lives::merge))
        .route("/contacts/find_by_external_id/{external_id}", on_get(contacts::find))
        .route("/contacts/{id}", on_get(contacts::read).merge(on_put(contacts::update)).merge(on_delete(lives::delete)))
        .route("/contacts/{id}/archive", on_post(lives::archive))
        .route("/contacts/{id}/unarchive", on_post(lives::unarchive))
        .route("/contacts/{id}/tags", on_post(tags::attach))
        .route("/contacts/{id}/tags/{tag_id}", on_delete(tags::detach))
        .route("/contacts/{id}/subscriptions", on_get(subscriptions::of_contact).merge(on_post(subscriptions::attach)))
        .route("/contacts/{id}/subscriptions/{subscription_id}", on_delete(subscriptions::detach))
        .route("/contacts/{id}/companies", on_post(companies::attach))
        .route("/contacts/{id}/companies/{company_id}", on_delete(companies::detach))
        .route("/contacts/{id}/notes", on_post(messages::note))
        .route("/subscription_types", on_get(subscriptions::list))
        .route("/data_attributes", on_get(attributes::list).merge(on_post(attributes::create)))
        .route("/tags", on_get(tags::list).merge(on_post(tags::create)))
        .route("/events", on_post(events::track))
        .route("/messages", on_post(messages::send))
        .route("/conversations", on_post(conversations::create))
        .route("/conversations/search", on_post(search::conversations))
        .route("/conversations/{id}", on_get(conversations::read))
        .route("/conversations/{id}/parts", on_post(conversations::manage))
        .route("/conversations/{id}/reply", on_post(conversations::reply))
        .route("/conversations/{id}/tags", on_post(conversations::tag))
        .route("/tickets", on_post(tickets::create))
        .route("/tickets/{id}", on_get(tickets::read).merge(on_put(tickets::update)))
        .route("/companies", on_get(companies::find).merge(on_post(companies::upsert)))
        .route("/companies/{id}", on_get(companies::read))
        .method_not_allowed_fallback(operation(unknown))
        .fallback(operation(unknown))
        .with_state(shared)
}

fn on_get(work: Operation) -> MethodRouter<Arc<Shared>> {
    get(operation(work))
}

fn on_post(work: Operation) -> MethodRouter<Arc<Shared>> {
    post(operation(work))
}

fn on_put(work: Operation) -> MethodRouter<Arc<Shared>> {
    put(operation(work))
}

fn on_delete(work: Operation) -> MethodRouter<Arc<Shared>> {
    delete(operation(work))
}

/// What axum hands over; without parameters in the path there are none to have.
type Parameters = Result<RawPathParams, RawPathParamsRejection>;

fn operation(
    work: Operation,
) -> impl Fn(State<Arc<Shared>>, HeaderMap, Parameters, RawQuery, Bytes) -> Ready<Response> + Clone + Send + Sync + 'static {
    move |State(shared), headers, parameters, RawQuery(query), body| {
        let asked = Asked::new(parameters.ok().as_ref(), query, body);
        ready(answer(&shared, &headers, |call| work(call, &asked)))
    }
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
    let mut response = Refusal::new(status.as_u16(), code, message).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let now = clock.now();
        let reset = wait.map_or(window_end(now), |wait| now + i64::try_from(wait.as_secs()).unwrap_or(i64::MAX - now));
        rate_headers(response.headers_mut(), REQUESTS_PER_WINDOW, 0, reset);
    }
    response
}

/// `GET /me`: the teammate and the workspace. (notes 2.1)
fn me(call: &mut Call<'_>, _: &Asked) -> Answered {
    let options = &call.shared.options;
    ok(&json!({
        "type": "admin", "id": ADMIN_ID.to_string(), "name": ADMIN_NAME, "email": ADMIN_EMAIL, "email_verified": true,
        "has_inbox_seat": true, "avatar": {"type": "avatar", "image_url": null},
        "app": {"type": "app", "id_code": options.app_id, "name": "Example", "region": options.region,
                "timezone": options.timezone, "created_at": 1_734_537_243, "identity_verification": false},
    }))
}

fn unknown(_: &mut Call<'_>, _: &Asked) -> Answered {
    Err(Refusal::not_found())
}

/// What is the same for every operation: token, version, rate limit.
fn answer(shared: &Shared, headers: &HeaderMap, work: impl FnOnce(&mut Call<'_>) -> Answered) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")) != Some(shared.options.access_token.as_str()) {
        return Refusal::new(401, "unauthorized", "Access Token Invalid").into_response();
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
            let refusal = Refusal::new(429, "rate_limit_exceeded", format!("Exceeded rate limit of {limit} in 10_seconds"));
            let mut response = refusal.into_response();
            if shared.options.variants.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(reset.saturating_sub(now)));
            }
            response
        }
        Some(version) => work(&mut Call { shared, inside: &mut inside, version }).unwrap_or_else(Refusal::into_response),
        None => Refusal::new(400, "intercom_version_invalid", "The requested version could not be found").into_response(),
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
        Some(Ok("2.17")) => Some(ApiVersion::V2_17),
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
