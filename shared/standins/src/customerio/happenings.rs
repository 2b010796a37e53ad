//! What happens in Customer.io by itself or by hand: messages, a person's clicks, a marketer's campaigns. Each is a method
//! that changes the workspace at the clock's time and returns the webhooks that follow, signed. What the API does leaves its
//! webhooks in [`CustomerIo::take_webhooks`].

use super::message::{Channel, Message};
use super::webhook::Webhook;
use super::workspace::{CAMPAIGN_BY_HAND, ONE_TOPIC, Said, Workspace};
use super::{CustomerIo, Retry, SendError};
use serde_json::{Map, Value, json};
use std::fmt;

/// A `cio_id` that nobody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoProfile(pub String);

impl fmt::Display for NoProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no profile of this workspace has the cio_id {}", self.0)
    }
}

impl std::error::Error for NoProfile {}

impl CustomerIo {
    /// The webhooks of what the API has done since the last call, in the order of its doing.
    pub fn take_webhooks(&self) -> Vec<Webhook> {
        std::mem::take(&mut self.shared.workspace().teller.outbox)
    }

    /// Posts a webhook as Customer.io does and returns the status of the answer. Trying again, which Customer.io does for 7
    /// days, or 11 times for a webhook action, is up to the caller: see [`CustomerIo::redelivery`].
    ///
    /// # Errors
    /// There was no answer, or none within 4 seconds.
    pub async fn send(&self, url: &str, webhook: &Webhook) -> Result<u16, SendError> {
        let sent_at = webhook.sent_at.to_string();
        let headers = [("X-CIO-Timestamp", sent_at.as_str()), ("X-CIO-Signature", webhook.signature.as_str())];
        self.sender.post(url, &headers, webhook.body.clone()).await
    }

    /// A further try of the same webhook: the body stays, the signature by [`super::Variants::retry`].
    #[must_use]
    pub fn redelivery(&self, webhook: &Webhook) -> Webhook {
        match self.shared.options.variants.retry {
            Retry::SignedAnew => webhook.sent_at(self.shared.options.clock.now(), self.shared.workspace().teller.key(webhook.endpoint)),
            Retry::AsFirst => webhook.clone(),
        }
    }

    // ------------------------------------------------------------------------------- messages and subscriptions

    /// The person unsubscribes from everything, by no message that is known.
    ///
    /// # Errors
    /// No such profile.
    pub fn unsubscribe(&self, cio_id: &str) -> Result<Vec<Webhook>, NoProfile> {
        self.set_attribute(cio_id, "unsubscribed".to_owned(), json!(true))
    }

    /// The person subscribes again.
    ///
    /// # Errors
    /// No such profile.
    pub fn subscribe(&self, cio_id: &str) -> Result<Vec<Webhook>, NoProfile> {
        self.set_attribute(cio_id, "unsubscribed".to_owned(), json!(false))
    }

    /// The person chooses a topic, or against it, in the subscription centre.
    ///
    /// # Errors
    /// No such profile.
    pub fn set_topic(&self, cio_id: &str, topic: u64, wants: bool) -> Result<Vec<Webhook>, NoProfile> {
        self.set_attribute(cio_id, format!("{ONE_TOPIC}topic_{topic}"), json!(wants))
    }

    /// A message gets to `metric`, such as `sent`, `opened` or `clicked`; people who are gone have metrics too. `unsubscribed`
    /// also unsubscribes the person, and by [`super::Variants::unsubscribe_click`] tells of that in addition.
    pub fn metric(&self, cio_id: &str, channel: Channel, metric: &str, message: &Message) -> Vec<Webhook> {
        self.by_hand(|workspace, now_ms| workspace.metric(cio_id, channel, metric, message, now_ms)).1
    }

    // ------------------------------------------------------------------------------------------ webhook actions

    /// The person comes into a segment that a campaign watches. The campaign alone tells: no profile is changed.
    ///
    /// # Errors
    /// No such profile.
    pub fn segment_entered(&self, cio_id: &str, segment: u64, name: &str) -> Result<Vec<Webhook>, NoProfile> {
        self.act(cio_id, "segment.entered", &[], json!({"segment": {"id": segment, "name": name}}))
    }

    /// See [`CustomerIo::segment_entered`].
    ///
    /// # Errors
    /// No such profile.
    pub fn segment_left(&self, cio_id: &str, segment: u64, name: &str) -> Result<Vec<Webhook>, NoProfile> {
        self.act(cio_id, "segment.left", &[], json!({"segment": {"id": segment, "name": name}}))
    }

    /// The person converts by an event that did not come by the API. `source_event_id` is the event's ULID.
    ///
    /// # Errors
    /// No such profile.
    pub fn conversion(
        &self,
        cio_id: &str,
        name: &str,
        source_event_id: &str,
        value: f64,
        currency: &str,
    ) -> Result<Vec<Webhook>, NoProfile> {
        let conversion = json!({"name": name, "source_event_id": source_event_id, "value": value, "currency": currency});
        self.act(cio_id, "conversion", &[], json!({ "conversion": conversion }))
    }

    /// A campaign finds that the person may leave.
    ///
    /// # Errors
    /// No such profile.
    pub fn churn_risk(&self, cio_id: &str, reason: &str) -> Result<Vec<Webhook>, NoProfile> {
        self.act(cio_id, "churn_risk", &[], json!({ "reason": reason }))
    }

    /// A campaign passes on these attributes as they are, those that are missing as empty texts.
    ///
    /// # Errors
    /// No such profile.
    pub fn attributes_changed(&self, cio_id: &str, names: &[&str]) -> Result<Vec<Webhook>, NoProfile> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.act(cio_id, "attributes.changed", &names, Value::Null)
    }

    fn act(&self, cio_id: &str, kind: &str, attributes: &[String], rest: Value) -> Result<Vec<Webhook>, NoProfile> {
        let (found, webhooks) = self.by_hand(|workspace, now_ms| {
            let occurred_at = now_ms.div_euclid(1000);
            workspace.act(cio_id, &Said { kind, campaign: CAMPAIGN_BY_HAND, occurred_at, attributes, rest }, now_ms)
        });
        if found { Ok(webhooks) } else { Err(NoProfile(cio_id.to_owned())) }
    }

    fn set_attribute(&self, cio_id: &str, name: String, value: Value) -> Result<Vec<Webhook>, NoProfile> {
        let attributes = Map::from_iter([(name, value)]);
        let (found, webhooks) = self.by_hand(|workspace, now_ms| workspace.edit(cio_id, attributes, Some("customer"), now_ms));
        if found { Ok(webhooks) } else { Err(NoProfile(cio_id.to_owned())) }
    }

    /// What `change` tells goes to the caller; what the API told before stays where it is. Everything shows at once.
    pub(super) fn by_hand<R>(&self, change: impl FnOnce(&mut Workspace, i64) -> R) -> (R, Vec<Webhook>) {
        let now_ms = self.now_ms();
        let mut workspace = self.shared.workspace();
        let waiting = std::mem::take(&mut workspace.teller.outbox);
        let result = change(&mut workspace, now_ms);
        workspace.show_all();
        let told = std::mem::replace(&mut workspace.teller.outbox, waiting);
        (result, told)
    }
}
