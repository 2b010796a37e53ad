//! The stages of the road: each loads through the ports, calls the pure part, and saves. No vendor, no AWS.

mod ended;
pub mod ingest;
pub mod look_up;
mod people;
pub mod route;
pub mod scan;
pub mod send_customerio;
pub mod send_intercom;
pub mod send_segment;

use crate::event::Workspace;
use crate::id::{Digest, EventId};
use crate::job::Job;
use crate::outcome::{Outcome, Reason};
use crate::ports::{Delivery, Destination, Disposition, Jitter, Message, Queue, QueueError, QueueName, Record, Store};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A message that cannot be read goes round quickly until the queue hands it to its dead letters.
const MALFORMED_AGAIN: Span = Span::from_secs(1);

/// Data that no vendor would still make use of is given up after this long and parked.
pub const GIVE_UP_AFTER: Span = Span::from_days(7);

/// `min(15 min, 1 s × 2^(n−1))` with full jitter over its upper half: never at once, never all together.
pub fn back_off(receive_count: u32, jitter: &impl Jitter) -> Span {
    let step = 1_i64 << receive_count.saturating_sub(1).min(10);
    let most = Span::from_secs(step.min(900)).millis();
    Span::from_millis(most / 2 + ((most / 2) as f64 * jitter.unit()) as i64)
}

/// Something that cannot be used as it is, kept for a human with the reason; `body` can be replayed to `stage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Where it was refused: `ingest-intercom`, or the queue that it came from.
    pub stage: String,
    pub workspace: Workspace,
    pub reason: Reason,
    pub at: Timestamp,
    /// What the source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Size of the original in bytes.
    pub size: usize,
    /// SHA-256 of the original, hex.
    pub sha256: String,
    /// The original, base64; left out where it would not fit a queue message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// SQS takes 1 MiB with all attributes; base64 makes 4 out of 3.
const PARKED_BODY_MAX: usize = 750 * 1024;

impl Parked {
    pub fn new(stage: &str, workspace: &Workspace, reason: Reason, at: Timestamp, original: &[u8]) -> Self {
        use base64::Engine as _;
        use sha2::Digest as _;
        let body = (original.len() <= PARKED_BODY_MAX).then(|| base64::engine::general_purpose::STANDARD.encode(original));
        let sha256 = hex::encode(sha2::Sha256::digest(original));
        Self { stage: stage.to_owned(), workspace: workspace.clone(), reason, at, about: None, size: original.len(), sha256, body }
    }

    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_message(&self) -> Result<Message, serde_json::Error> {
        // The same thing parked twice within minutes, because its message came again, is one.
        let id = Digest::new("parked").with(&self.stage).with(&self.reason.code).with(&self.sha256).hex();
        Message::json(self, id.clone(), id)
    }
}

/// Writes down how things ended and parks what a human must see; only then may their messages be deleted.
async fn close<S: Store, Q: Queue>(store: &S, queue: &Q, records: Vec<Record>, parked: Vec<Message>) -> Result<(), String> {
    if !parked.is_empty() {
        queue.send(QueueName::Parked, parked).await.map_err(|e| e.to_string())?;
    }
    if !records.is_empty() {
        store.record(records).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn record(event: &EventId, stage: &str, at: Timestamp, what: &str, outcome: Outcome) -> Record {
    Record { event: event.clone(), stage: stage.to_owned(), at, what: what.to_owned(), outcome, skipped: Vec::new(), notes: Vec::new() }
}

/// Gives everything back for at least this long, longer the more often it came.
fn retry_all(deliveries: &[Delivery], at_least: Span, jitter: &impl Jitter) -> Vec<(String, Disposition)> {
    deliveries.iter().map(|d| (d.id.clone(), Disposition::Retry(at_least.max(back_off(d.receive_count, jitter))))).collect()
}

/// Sends per queue, in order.
async fn send_all<Q: Queue>(queue: &Q, messages: std::collections::BTreeMap<QueueName, Vec<Message>>) -> Result<(), QueueError> {
    let sends = messages.into_iter().map(|(name, messages)| queue.send(name, messages));
    futures::future::try_join_all(sends).await.map(|_| ())
}

/// The job that a delivery carries. `None`: it is none, or not for this destination; it goes round until it is a dead letter.
fn job_of(delivery: &Delivery, lane: QueueName, destination: Destination) -> Option<Job> {
    match serde_json::from_str::<Job>(&delivery.body) {
        Ok(job) if job.work.destination() == destination => Some(job),
        Ok(Job { event, .. }) => {
            tracing::error!(%event, queue = lane.as_str(), "a job for another destination; it goes to the dead letters");
            None
        }
        Err(error) => {
            malformed(delivery, &error);
            None
        }
    }
}

/// The text of a parse error may quote the message; only where it stands is safe to tell.
fn malformed(delivery: &Delivery, error: &serde_json::Error) {
    tracing::error!(
        delivery = delivery.id,
        receive_count = delivery.receive_count,
        line = error.line(),
        column = error.column(),
        "a message that is not ours; it goes to the dead letters"
    );
}
