//! The ways in: webhooks of Segment or of Customer.io's pipelines, and events from Amazon EventBridge. Signature, size,
//! the messages of a body; then [`super::normalize`] for each. Knows nothing of HTTP, queues or time of day.
//!
//! <https://segment.com/docs/connections/destinations/catalog/actions-webhook/>,
//! <https://segment.com/docs/connections/destinations/catalog/actions-amazon-eventbridge/>

use super::normalize::Reader;
use super::verify::{BatchSignature, Verifier};
use super::wire::{Envelope, value_at};
use crate::keyring::SecretsError;
use crate::lenient::Object;
use secrecy::SecretString;
use serde_json::value::RawValue;
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::ports::{Received, Several, Unauthorized};
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;

/// Larger bodies are not read. AWS lets 6 MB through to a function.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Messages in one body. Segment sends 4000 at most.
const MOST_MESSAGES: usize = 10_000;

/// Turns the webhooks of one source into events of one workspace.
#[derive(Debug)]
pub struct SegmentWebhooks {
    verifier: Verifier,
    reader: Reader,
}

impl SegmentWebhooks {
    /// `secrets`: the destination's shared secrets, any of which may have signed. `source`: [`Source::Segment`] or
    /// [`Source::Pipelines`]. `wanted`: what the configuration has a use for; the rest is dropped.
    ///
    /// # Errors
    /// The secrets cannot protect anything.
    pub fn new(
        secrets: &[SecretString],
        workspace: Workspace,
        source: Source,
        wanted: Wanted,
        batch_signature: BatchSignature,
    ) -> Result<Self, SecretsError> {
        Ok(Self { verifier: Verifier::new(secrets, batch_signature)?, reader: Reader { source, workspace, wanted } })
    }

    /// `signature` is the value of `X-Signature`; `body` the bytes exactly as they were sent. Several messages may come in
    /// one body, and one of no use never costs the others.
    ///
    /// # Errors
    /// The signature is missing or wrong, or covers too little of the body; nothing of it has been used.
    pub fn receive(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<Received, Unauthorized> {
        self.verifier.verify(signature, body)?;
        Ok(self.read(body, now))
    }

    fn read(&self, body: &[u8], now: Timestamp) -> Received {
        if body.len() > MOST_BYTES {
            return unusable("over_8_mib");
        }
        let Ok(whole) = serde_json::from_slice::<&RawValue>(body) else { return unusable("not_json") };
        let messages = match messages(whole) {
            Some(messages) if messages.is_empty() => return Received::Ignored("empty_batch"),
            Some(messages) if messages.len() > MOST_MESSAGES => return unusable("over_10000_messages"),
            Some(messages) => messages,
            None => vec![whole],
        };
        let mut several = Several::default();
        for message in messages {
            self.reader.read(message, now, &mut several);
        }
        Received::Several(several)
    }
}

/// The messages of a batch; `None` where it is a message itself.
fn messages(whole: &RawValue) -> Option<Vec<&RawValue>> {
    let list = |raw: &'_ RawValue| raw.get().starts_with('[');
    if list(whole) {
        return serde_json::from_str(whole.get()).ok();
    }
    // The form in which Segment itself takes batches. A message has a type.
    let at = |key| value_at(Some(whole), key).ok().flatten();
    let batch = at("batch").filter(|batch| list(batch))?;
    if at("type").is_some() {
        return None;
    }
    serde_json::from_str(batch.get()).ok()
}

fn unusable(reason: &'static str) -> Received {
    Received::Unusable { reason, about: None }
}

/// Both sources at one address: who signed is whose it is.
#[derive(Debug)]
pub struct SegmentOrPipelines(Vec<SegmentWebhooks>);

impl SegmentOrPipelines {
    /// Tried in this order.
    pub fn new(sources: impl IntoIterator<Item = SegmentWebhooks>) -> Self {
        Self(sources.into_iter().collect())
    }

    /// As [`SegmentWebhooks::receive`], with the source that signed.
    ///
    /// # Errors
    /// As [`SegmentWebhooks::receive`], for each of them.
    pub fn receive(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<(Source, Received), Unauthorized> {
        let received = |one: &SegmentWebhooks| Some((one.reader.source, one.receive(signature, body, now).ok()?));
        self.0.iter().find_map(received).ok_or(Unauthorized)
    }
}

/// Turns Segment's messages into events where they come by Amazon EventBridge. There is no signature: AWS lets nobody but
/// the partner put events under its name, and the rule nobody but itself fill the queue.
#[derive(Debug)]
pub struct SegmentEvents {
    reader: Reader,
}

impl SegmentEvents {
    /// `wanted`: as for [`SegmentWebhooks::new`].
    pub fn new(workspace: Workspace, wanted: Wanted) -> Self {
        Self { reader: Reader { source: Source::Segment, workspace, wanted } }
    }

    /// `envelope`: the event as EventBridge gives it to its targets, with the message under `detail`.
    pub fn receive_event(&self, envelope: &[u8], now: Timestamp) -> Received {
        /// Classic and new destinations alike.
        const PARTNER: &str = "aws.partner/segment.com";
        let Ok(read) = serde_json::from_slice::<Object<Envelope<'_>>>(envelope) else { return unusable("not_json") };
        let Some(read) = read.0 else { return unusable("not_an_object") };
        let partner = read.source.get().and_then(|source| source.strip_prefix(PARTNER));
        if !partner.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return unusable("not_from_segment");
        }
        let Some(detail) = read.detail else { return unusable("no_detail") };
        let mut several = Several::default();
        self.reader.read(detail, now, &mut several);
        Received::Several(several)
    }
}

#[cfg(test)]
mod tests;
