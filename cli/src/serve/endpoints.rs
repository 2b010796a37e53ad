//! The addresses that the tools send to: verify, normalize, enqueue, answer, as the ingest functions do. Knows nothing of
//! what becomes of an event.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_connectors::intercom::IntercomWebhooks;
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_domain::config::Config;
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::ports::{Clock, Received, Unauthorized};
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::wanted::Wanted;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Serve;
use trefoil_platform::sqlite::SqliteQueue;

/// Lambda takes bodies up to 6 MB; what is over 1 MiB is not parsed here either.
const BODY_LIMIT: usize = 6 * 1024 * 1024;

struct Doors {
    intercom: IntercomWebhooks,
    /// `None`, as for the two below: there is no key for it, so that nothing can be believed.
    customerio: Option<CustomerioWebhooks>,
    segment: Option<SegmentWebhooks>,
    pipelines: Option<SegmentWebhooks>,
    queue: SqliteQueue,
    workspace: Workspace,
}

/// # Errors
/// A secret cannot protect anything; the text says which.
pub(super) fn endpoints(settings: &Serve, config: &Config, queue: SqliteQueue) -> Result<Router, String> {
    let workspace = || settings.workspace.clone();
    let intercom = IntercomWebhooks::new(&settings.webhook.client_secrets, workspace(), settings.webhook.app_id.clone());
    let customerio = settings.customerio_webhook.as_ref();
    let customerio = customerio.map(|keys| CustomerioWebhooks::new(&keys.signing_keys, workspace(), keys.max_skew)).transpose();
    let wanted = Wanted::of(config);
    let batches = if settings.segment.first_of_batch { BatchSignature::First } else { BatchSignature::Full };
    let segment = |source, secrets: &[secrecy::SecretString]| {
        let webhooks = (!secrets.is_empty()).then(|| SegmentWebhooks::new(secrets, workspace(), source, wanted.clone(), batches));
        webhooks.transpose().map_err(|e| e.to_string())
    };
    let doors = Doors {
        intercom: intercom.map_err(|e| e.to_string())?,
        customerio: customerio.map_err(|e| e.to_string())?,
        segment: segment(Source::Segment, &settings.segment.segment_secrets)?,
        pipelines: segment(Source::Pipelines, &settings.segment.pipelines_secrets)?,
        queue,
        workspace: workspace(),
    };
    let there = async || StatusCode::OK;
    Ok(Router::new()
        .route("/webhooks/intercom", post(from_intercom).head(there))
        .route("/webhooks/customerio", post(from_customerio).head(there).get(there))
        .route("/webhooks/segment", post(from_segment).put(from_segment).patch(from_segment).head(there))
        .route("/webhooks/pipelines", post(from_pipelines).put(from_pipelines).patch(from_pipelines).head(there))
        .route("/healthz", get(async || "ok"))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Arc::new(doors)))
}

async fn from_intercom(State(doors): State<Arc<Doors>>, headers: HeaderMap, body: Bytes) -> Response {
    let received = doors.intercom.receive(text(&headers, "x-hub-signature"), &body, SystemClock.now());
    doors.take("ingest-intercom", received, &body).await
}

async fn from_customerio(State(doors): State<Arc<Doors>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(customerio) = &doors.customerio else { return closed("TREFOIL_CUSTOMERIO_SIGNING_KEYS") };
    let (sent_at, signature) = (text(&headers, "x-cio-timestamp"), text(&headers, "x-cio-signature"));
    let received = customerio.receive(sent_at, signature, &body, SystemClock.now());
    doors.take("ingest-customerio", received, &body).await
}

async fn from_segment(State(doors): State<Arc<Doors>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(segment) = &doors.segment else { return closed("TREFOIL_SEGMENT_SHARED_SECRET") };
    let received = segment.receive(text(&headers, "x-signature"), &body, SystemClock.now());
    doors.take("ingest-segment", received, &body).await
}

async fn from_pipelines(State(doors): State<Arc<Doors>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(pipelines) = &doors.pipelines else { return closed("TREFOIL_PIPELINES_SHARED_SECRET") };
    let received = pipelines.receive(text(&headers, "x-signature"), &body, SystemClock.now());
    doors.take("ingest-segment", received, &body).await
}

impl Doors {
    async fn take(&self, stage: &str, received: Result<Received, Unauthorized>, body: &[u8]) -> Response {
        let answer = ingest(&self.queue, &SystemClock, stage, &self.workspace, received, body).await;
        let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match answer {
            Answer::Unavailable(why) => {
                tracing::error!(stage, why, "a webhook could not be made durable; the sender was told to come again");
                status.into_response()
            }
            Answer::Parked(reason) => {
                tracing::warn!(stage, reason, "a webhook of no use was parked");
                status.into_response()
            }
            // The word stands in Customer.io's delivery log, where the author of the webhook action looks.
            Answer::Refused(reason) => {
                tracing::warn!(stage, reason, "a webhook of no use was parked, and its sender told");
                (status, reason).into_response()
            }
            Answer::Accepted { parked: parked @ 1.., .. } => {
                tracing::warn!(stage, parked, "messages of no use were parked; their neighbours were taken");
                status.into_response()
            }
            Answer::Accepted { .. } | Answer::Ignored(_) | Answer::Unauthorized => {
                tracing::debug!(stage, outcome = answer.name(), "webhook");
                status.into_response()
            }
        }
    }
}

/// 503, since the sender keeps what is answered so: once the setting is there, nothing has been lost.
fn closed(variable: &str) -> Response {
    tracing::error!("a webhook came that cannot be verified: set {variable} and start again; the sender was told to come again");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
