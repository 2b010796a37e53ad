//! The parts of Customer.io's JSON that are read, reporting webhooks and webhook actions alike. Everything else is skipped
//! unread: `recipient`, `headers`, `device_id`, rendered content.
//!
//! <https://docs.customer.io/integrations/api/webhooks>

use crate::lenient::{Flat, List, Object, Scalar, Text, Time};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What tells the two kinds of webhook apart, and names this one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Head<'a> {
    /// Only bodies that are made after our own contract have this.
    #[serde(borrow)]
    pub(super) schema: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) object_type: Text<'a>,
    /// So the vendor's description names the field for preference changes.
    #[serde(borrow)]
    pub(super) object_type_type: Text<'a>,
    #[serde(borrow)]
    pub(super) metric: Text<'a>,
    #[serde(borrow)]
    pub(super) event_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Report<'a> {
    pub(super) timestamp: Time,
    #[serde(borrow)]
    pub(super) data: Object<Data<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Data<'a> {
    /// Deprecated; blank once the person is deleted.
    #[serde(borrow)]
    pub(super) customer_id: Text<'a>,
    #[serde(borrow)]
    pub(super) identifiers: Object<Ids<'a>>,
    /// Only of changes to the person's subscriptions.
    #[serde(borrow)]
    pub(super) email_address: Text<'a>,
    #[serde(borrow)]
    pub(super) delivery_id: Text<'a>,

    #[serde(borrow)]
    pub(super) broadcast_id: Text<'a>,
    #[serde(borrow)]
    pub(super) campaign_id: Text<'a>,
    #[serde(borrow)]
    pub(super) newsletter_id: Text<'a>,
    #[serde(borrow)]
    pub(super) transactional_message_id: Text<'a>,

    #[serde(borrow)]
    pub(super) action_id: Text<'a>,
    #[serde(borrow)]
    pub(super) parent_action_id: Text<'a>,
    #[serde(borrow)]
    pub(super) journey_id: Text<'a>,
    #[serde(borrow)]
    pub(super) trigger_id: Text<'a>,
    #[serde(borrow)]
    pub(super) trigger_event_id: Text<'a>,
    #[serde(borrow)]
    pub(super) content_id: Text<'a>,
    #[serde(borrow)]
    pub(super) link_id: Text<'a>,
    #[serde(borrow)]
    pub(super) inbound_event_id: Text<'a>,
    #[serde(borrow)]
    pub(super) tracked_response: Text<'a>,

    #[serde(borrow)]
    pub(super) subject: Text<'a>,
    #[serde(borrow)]
    pub(super) href: Text<'a>,
    #[serde(borrow)]
    pub(super) failure_message: Text<'a>,
    pub(super) machine: Scalar,
    pub(super) prefetched: Scalar,
    pub(super) synthetic: Scalar,
    pub(super) proxied: Scalar,
    /// Of pushes.
    #[serde(borrow)]
    pub(super) recipients: List<Recipient<'a>>,
    /// Of preference changes JSON as text, with body content switched on; of messages the message, which is not read.
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Recipient<'a> {
    #[serde(borrow)]
    pub(super) device_platform: Text<'a>,
    #[serde(borrow)]
    pub(super) failure_message: Text<'a>,
}

/// Names of a person, in either kind of webhook.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Ids<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) email: Text<'a>,
    /// Text only: it may begin with zeros, and as a number it would have lost them.
    pub(super) cio_id: Scalar,
}

/// A webhook action made after our own contract `cio-sync/1`, see `docs/customerio.md`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Action<'a> {
    pub(super) occurred_at: Time,
    #[serde(borrow)]
    pub(super) person: Object<Ids<'a>>,
    #[serde(borrow)]
    pub(super) segment: Object<Segment<'a>>,
    #[serde(borrow)]
    pub(super) campaign: Object<Campaign<'a>>,
    #[serde(borrow)]
    pub(super) conversion: Object<Conversion<'a>>,
    /// The event that started the campaign.
    #[serde(borrow)]
    pub(super) source_event_id: Text<'a>,
    /// Of a custom event.
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    /// Of a churn risk.
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
    pub(super) attributes: Flat,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Segment<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Campaign<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) message_id: Text<'a>,
    #[serde(borrow)]
    pub(super) journey_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Conversion<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) source_event_id: Text<'a>,
    pub(super) value: Scalar,
    #[serde(borrow)]
    pub(super) currency: Text<'a>,
}
