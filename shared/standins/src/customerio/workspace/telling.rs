//! What Customer.io tells of changes, and the bodies it tells it in.
//!
//! - Reporting webhooks: <https://docs.customer.io/integrations/api/webhooks>. They tell of messages and subscriptions, never
//!   of attributes or segments.
//! - Webhook actions: <https://docs.customer.io/journeys/webhooks-action>. Their body is what the user pasted: here the
//!   contract `cio-sync/1` of the team's notes (3.4, 3.5).

use super::Workspace;
use crate::customerio::campaign::Campaign;
use crate::customerio::item::EventItem;
use crate::customerio::message::{Channel, Message};
use crate::customerio::profile::{Profile, as_text};
use crate::customerio::variants::{PreferenceContent, UnsubscribeClick};
use crate::customerio::webhook::{Endpoint, Webhook};
use crate::customerio::{Identification, Options};
use crate::seed::Seeded;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Map, Value, json};

/// Which of the person's choices a call wrote, changed or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wrote {
    pub(super) consent: bool,
    pub(super) preferences: bool,
}

/// What one webhook action says.
pub(crate) struct Said<'a> {
    pub(crate) kind: &'a str,
    /// The campaign it is in.
    pub(crate) campaign: u64,
    /// Unix seconds.
    pub(crate) occurred_at: i64,
    /// Attributes that the body passes on.
    pub(crate) attributes: &'a [String],
    /// What only bodies of this kind have.
    pub(crate) rest: Value,
}

/// The campaign that happenings by hand belong to.
pub(crate) const CAMPAIGN_BY_HAND: u64 = 7;
/// The first of [`Options::campaigns`] has this id, the next one more.
const FIRST_CAMPAIGN: u64 = 101;

/// Signs, and keeps until somebody takes it.
#[derive(Debug)]
pub(crate) struct Teller {
    reporting_key: String,
    action_key: String,
    with_content: bool,
    identification: Identification,
    campaigns: Vec<(u64, Campaign)>,
    /// Not the workspace's: what is told must not change which ids people get.
    seeded: Seeded,
    pub(crate) outbox: Vec<Webhook>,
}

impl Teller {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            reporting_key: options.reporting_key.clone(),
            action_key: options.action_key.clone(),
            with_content: options.with_content,
            identification: options.identification,
            campaigns: (FIRST_CAMPAIGN..).zip(options.campaigns.iter().cloned()).collect(),
            seeded: Seeded::new(options.seed ^ 0x7e11),
            outbox: Vec::new(),
        }
    }

    pub(crate) fn key(&self, endpoint: Endpoint) -> &str {
        match endpoint {
            Endpoint::Reporting => &self.reporting_key,
            Endpoint::Action => &self.action_key,
        }
    }

    /// `type_field`: `object_type`, or what stands in its place.
    fn report(&mut self, type_field: &str, object_type: &str, metric: &str, data: &Value, now_ms: i64) {
        let now = now_ms.div_euclid(1000);
        let event_id = self.seeded.ulid(now_ms);
        let body = json!({"event_id": event_id, type_field: object_type, "metric": metric, "timestamp": now, "data": data});
        let name = format!("{object_type}_{metric}");
        self.outbox.push(Webhook::new(Endpoint::Reporting, name, event_id, &body, now, &self.reporting_key));
    }

    fn act(&mut self, profile: &Profile, said: &Said<'_>, now_ms: i64) {
        let now = now_ms.div_euclid(1000);
        let event_id = self.delivery_id();
        let mut body = json!({
            "schema": "cio-sync/1", "type": said.kind, "event_id": event_id, "occurred_at": said.occurred_at,
            // "A missing attribute without a fallback": these have one, which is the empty text.
            "person": {"id": profile.id.clone().unwrap_or_default(), "email": profile.email.clone().unwrap_or_default(),
                       "cio_id": profile.cio_id},
            "campaign": {"id": said.campaign.to_string(), "message_id": "96", "journey_id": self.seeded.ulid(now_ms)},
        });
        if !said.attributes.is_empty() {
            // "Attributes are strings in Liquid."
            let attribute = |name: &String| (name.clone(), profile.told(name).unwrap_or_default().into());
            body["attributes"] = said.attributes.iter().map(attribute).collect::<Map<String, Value>>().into();
        }
        if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), &said.rest) {
            body.extend(rest.clone());
        }
        self.outbox.push(Webhook::new(Endpoint::Action, said.kind.to_owned(), event_id, &body, now, &self.action_key));
    }

    /// Base 64 with `-` and `_`, and `=` at its end, as in the vendor's example.
    fn delivery_id(&mut self) -> String {
        let bytes: Vec<u8> = (0..3).flat_map(|_| self.seeded.next().to_be_bytes()).take(19).collect();
        URL_SAFE.encode(bytes)
    }

    /// "Workspaces that support multiple identifiers": `id`, `email` (either may be null) and `cio_id`; else `id` alone.
    fn identifiers(&self, id: Option<&str>, email: Option<&str>, cio_id: &str) -> Value {
        match self.identification {
            Identification::EmailAndId => json!({"id": id, "email": email, "cio_id": cio_id}),
            Identification::IdOnly => json!({ "id": id }),
        }
    }

    fn of_customer(&self, profile: &Profile) -> Value {
        let identifiers = self.identifiers(profile.id.as_deref(), profile.email.as_deref(), &profile.cio_id);
        json!({"customer_id": profile.id.clone().unwrap_or_default(), "email_address": profile.email, "identifiers": identifiers})
    }
}

impl Workspace {
    /// Tells what is new since `before`. `object_type` is what changed the subscriptions: `customer`, or the channel of a
    /// message; `None` leaves them untold.
    pub(super) fn tell(&mut self, before: &Profile, wrote: Wrote, object_type: Option<&str>, now_ms: i64) {
        let Some(after) = self.live.get(&before.cio_id).cloned() else { return };
        let again = self.variants.identical_consent_tells;
        if let Some(object_type) = object_type {
            let data = self.teller.of_customer(&after);
            if before.is_unsubscribed() != after.is_unsubscribed() || wrote.consent && again {
                let metric = if after.is_unsubscribed() { "unsubscribed" } else { "subscribed" };
                self.teller.report("object_type", object_type, metric, &data, now_ms);
            }
            if before.topics() != after.topics() || wrote.preferences && again {
                self.report_preferences(before, &after, object_type, data, now_ms);
            }
        }
        let campaigns = std::mem::take(&mut self.teller.campaigns);
        for (id, campaign) in &campaigns {
            self.campaign(*id, campaign, before, &after, now_ms);
        }
        self.teller.campaigns = campaigns;
    }

    fn report_preferences(&mut self, before: &Profile, after: &Profile, object_type: &str, mut data: Value, now_ms: i64) {
        if self.teller.with_content {
            let (old, mut topics) = (before.topics(), after.topics());
            match self.variants.preference_content {
                PreferenceContent::Changed if old != topics => topics.retain(|topic, choice| old.get(topic) != Some(choice)),
                PreferenceContent::Changed | PreferenceContent::All => {}
            }
            data["content"] = json!({ "topics": topics }).to_string().into();
        }
        let type_field = if self.variants.object_type_type { "object_type_type" } else { "object_type" };
        self.teller.report(type_field, object_type, "cio_subscription_preferences_changed", &data, now_ms);
    }

    fn campaign(&mut self, id: u64, campaign: &Campaign, before: &Profile, after: &Profile, now_ms: i64) {
        let occurred_at = now_ms.div_euclid(1000);
        match campaign {
            Campaign::AttributesChanged(names) => {
                if names.iter().any(|name| before.told(name) != after.told(name)) {
                    let said = Said { kind: "attributes.changed", campaign: id, occurred_at, attributes: names, rest: Value::Null };
                    self.teller.act(after, &said, now_ms);
                }
            }
            Campaign::SegmentOf { attribute, value, segment, name } => {
                let has = |profile: &Profile| profile.told(attribute).as_ref() == Some(value);
                let kind = match (has(before), has(after)) {
                    (false, true) => "segment.entered",
                    (true, false) => "segment.left",
                    (true, true) | (false, false) => return,
                };
                let rest = json!({"segment": {"id": segment, "name": name}});
                self.teller.act(after, &Said { kind, campaign: id, occurred_at, attributes: &[], rest }, now_ms);
            }
            Campaign::EventConverts(_) => {}
        }
    }

    /// For an event that can start a campaign. The body is that of the notes, 3.5: the value is `total` as a number, 0 if it
    /// is none.
    pub(super) fn convert(&mut self, cio_id: &str, event: &EventItem, timestamp: i64, now_ms: i64) {
        let converts = |campaign: &Campaign| match campaign {
            Campaign::EventConverts(name) => *name == event.name,
            Campaign::AttributesChanged(_) | Campaign::SegmentOf { .. } => false,
        };
        let campaigns: Vec<u64> = self.teller.campaigns.iter().filter(|(_, campaign)| converts(campaign)).map(|(id, _)| *id).collect();
        let Some(profile) = self.live.get(cio_id).filter(|_| !campaigns.is_empty()).cloned() else { return };
        let text = |name: &str| event.attributes.get(name).map(as_text).unwrap_or_default();
        let value = text("total").trim().parse::<f64>().ok().filter(|value| value.is_finite()).unwrap_or(0.0);
        let source_event_id = event.ulid.clone().unwrap_or_else(|| self.teller.seeded.ulid(now_ms));
        let conversion = json!({"name": event.name, "source_event_id": source_event_id, "value": value, "currency": text("currency")});
        for campaign in campaigns {
            let rest = json!({ "conversion": conversion });
            let said = Said { kind: "conversion", campaign, occurred_at: timestamp, attributes: &[], rest };
            self.teller.act(&profile, &said, now_ms);
        }
    }

    /// A webhook action that is told by hand. False if there is no such profile.
    pub(crate) fn act(&mut self, cio_id: &str, said: &Said<'_>, now_ms: i64) -> bool {
        let Some(profile) = self.live.get(cio_id).cloned() else { return false };
        self.teller.act(&profile, said, now_ms);
        true
    }

    /// The metric of a message. A person who is gone still has metrics: "blank once the person is deleted".
    pub(crate) fn metric(&mut self, cio_id: &str, channel: Channel, metric: &str, message: &Message, now_ms: i64) {
        let profile = self.live.get(cio_id).cloned();
        let (id, email) = profile.as_ref().map_or((None, None), |profile| (profile.id.as_deref(), profile.email.as_deref()));
        let mut data = message.data(channel, metric, profile.as_ref(), self.teller.with_content);
        data.insert("customer_id".to_owned(), id.unwrap_or_default().into());
        data.insert("identifiers".to_owned(), self.teller.identifiers(id, email, cio_id));
        let delivery_id = message.delivery_id.clone().unwrap_or_else(|| self.teller.delivery_id());
        data.insert("delivery_id".to_owned(), delivery_id.into());
        if message.in_journey() {
            data.insert("journey_id".to_owned(), self.teller.seeded.ulid(now_ms).into());
        }
        self.teller.report("object_type", channel.as_str(), metric, &data.into(), now_ms);
        if metric == "unsubscribed" {
            let object_type = match self.variants.unsubscribe_click {
                UnsubscribeClick::Metric => None,
                UnsubscribeClick::MetricAndChannel => Some(channel.as_str()),
                UnsubscribeClick::MetricAndCustomer => Some("customer"),
            };
            let unsubscribed = Map::from_iter([("unsubscribed".to_owned(), Value::Bool(true))]);
            self.edit(cio_id, unsubscribed, object_type, now_ms);
        }
    }
}
