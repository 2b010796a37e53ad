//! Notifications as Intercom sends them: the envelope, the signature and the request.
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>,
//! <https://developers.intercom.com/docs/webhooks/webhook-notifications>

use hmac::{Hmac, KeyInit, Mac};
use hyper::body::Bytes;
use serde_json::{Value, json};
use sha1::Sha1;
use std::time::Duration;

/// Later answers are failed deliveries.
pub const DEADLINE: Duration = Duration::from_secs(5);
pub const USER_AGENT: &str = "intercom-parrot-service-client/1.0";

/// A notification that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub topic: String,
    /// `notif_<uuid>`; a ping has none.
    pub id: Option<String>,
    /// The raw body; the signature is over these bytes.
    pub body: Bytes,
    /// The header `X-Hub-Signature`: `sha1=` and 40 hex digits.
    pub signature: String,
}

impl Webhook {
    pub(crate) fn new(topic: &str, id: Option<String>, app_id: &str, item: &Value, now: i64, secret: &str) -> Self {
        let delivery_status = if id.is_some() { json!("pending") } else { Value::Null };
        let envelope = json!({
            "type": "notification_event", "app_id": app_id, "id": id, "topic": topic, "created_at": now, "first_sent_at": now,
            "delivery_attempts": 1, "delivery_status": delivery_status, "delivered_at": 0, "links": {}, "self": null,
            "data": {"type": "notification_event_data", "item": item},
        });
        Self::signed(topic, id, &envelope, secret)
    }

    /// The second delivery of the same notification.
    pub(crate) fn again(&self, new_id: Option<String>, secret: &str) -> Self {
        let mut envelope = self.json();
        let id = new_id.or_else(|| self.id.clone());
        envelope["delivery_attempts"] = json!(2);
        envelope["id"] = json!(id);
        Self::signed(&self.topic, id, &envelope, secret)
    }

    fn signed(topic: &str, id: Option<String>, envelope: &Value, secret: &str) -> Self {
        let body = envelope.to_string();
        let signature = sign(secret, body.as_bytes());
        Self { topic: topic.to_owned(), id, body: Bytes::from(body), signature }
    }

    /// The body, decoded.
    #[must_use]
    pub fn json(&self) -> Value {
        // Written by `signed`, so that it reads.
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// `sha1=` and the HMAC-SHA1 of the raw body in hex; the key is the app's client secret.
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { unreachable!("HMAC takes keys of any length") };
    mac.update(body);
    format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
}
