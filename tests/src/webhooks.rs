//! Webhooks as Intercom sends them, after payloads of 2026. <https://developers.intercom.com/docs/references/webhooks/webhook-models>

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

pub const APP_ID: &str = "abc123def";
/// As in `emulated.py`.
const CLIENT_SECRET: &str = "client-secret-of-the-tests";

/// A customer, as the webhooks name them. Every test has its own.
#[derive(Clone, Debug)]
pub struct Person {
    number: u32,
    /// Intercom's id.
    pub contact: String,
    /// Our own id, which Customer.io knows as well.
    pub user: String,
}

impl Person {
    /// `number` makes the ids.
    pub fn new(number: u32) -> Self {
        Self { number, contact: format!("696205460674dbb9{number:08x}"), user: format!("user-{number}") }
    }

    /// As Intercom answers a look-up.
    pub fn contact(&self) -> Value {
        json!({
            "type": "contact", "id": self.contact, "external_id": self.user, "workspace_id": APP_ID, "role": "user",
            "email": format!("{}@example.com", self.user), "name": "Sam Doe", "created_at": 1_768_000_000, "updated_at": 1_768_031_000,
            "custom_attributes": {}
        })
    }
}

/// What happens to a conversation, one hour apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Opened,
    Closed,
}

/// The body of a webhook about a conversation of this person; `which` tells several apart.
pub fn conversation(person: &Person, which: u32, moment: Moment) -> String {
    let number = person.number * 100 + which;
    let opened_at = 1_768_031_789;
    let (topic, at, state) = match moment {
        Moment::Opened => ("conversation.user.created", opened_at, "open"),
        Moment::Closed => ("conversation.admin.closed", opened_at + 3600, "closed"),
    };
    let part = json!({
        "type": "conversation_part", "id": format!("3735846{number:04}"), "part_type": "close", "body": null, "created_at": at,
        "updated_at": at, "notified_at": at, "assigned_to": null, "attachments": [], "external_id": null, "redacted": false,
        "author": { "id": "9608799", "type": "admin", "name": "Jo Doe", "email": "jo@example.com" }, "metadata": {}, "tags": [],
        "state": state
    });
    let parts = match moment {
        Moment::Opened => vec![],
        Moment::Closed => vec![part],
    };
    json!({
        "type": "notification_event", "app_id": APP_ID, "topic": topic, "id": format!("notif_{number}_{topic}"), "created_at": at,
        "first_sent_at": at + 1, "delivery_attempts": 1, "delivery_status": "pending", "delivered_at": 0, "links": {}, "self": null,
        "data": { "type": "notification_event_data", "item": {
            "type": "conversation", "id": format!("215472621{number:06}"), "created_at": opened_at, "updated_at": at,
            "waiting_since": opened_at, "snoozed_until": null, "open": state == "open", "state": state, "read": false, "title": "",
            "priority": "not_priority", "admin_assignee_id": null, "team_assignee_id": null,
            "source": {
                "type": "conversation", "id": "3381828792", "delivered_as": "customer_initiated", "subject": "", "body": "<p>hello</p>",
                "author": { "type": "user", "id": person.contact, "name": null, "email": "" }, "attachments": [],
                "url": "https://app.example.com/", "redacted": false
            },
            "contacts": { "type": "contact.list", "contacts": [{ "type": "contact", "id": person.contact, "external_id": person.user }] },
            "tags": { "type": "tag.list", "tags": [] }, "conversation_rating": null, "custom_attributes": {}, "ticket": null,
            "ai_agent_participated": false, "linked_objects": { "type": "list", "data": [], "total_count": 0, "has_more": false },
            "conversation_parts": { "type": "conversation_part.list", "total_count": parts.len(), "conversation_parts": parts }
        } }
    })
    .to_string()
}

/// The `X-Hub-Signature` of a body.
pub fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(CLIENT_SECRET.as_bytes()).expect("a key of any length");
    mac.update(body.as_bytes());
    format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
}
