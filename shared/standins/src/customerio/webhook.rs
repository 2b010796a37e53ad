//! Webhooks as Customer.io sends them: the signature, and which of the two keys it is made with.
//! <https://docs.customer.io/integrations/api/webhooks>,
//! <https://docs.customer.io/release-notes/2023-05-17-verify-webhook-actions>

use hmac::{Hmac, KeyInit, Mac};
use hyper::body::Bytes;
use serde_json::Value;
use sha2::Sha256;
use std::time::Duration;

/// Later answers are failed deliveries of a reporting webhook. (That of webhook actions is in no page.)
pub const DEADLINE: Duration = Duration::from_secs(4);

/// What sent a webhook, which also says whose key signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The reporting webhook: message activity and subscriptions.
    Reporting,
    /// A webhook action in a campaign ("Send and receive data").
    Action,
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub endpoint: Endpoint,
    /// `customer_unsubscribed`, `email_clicked`, or the `type` of a webhook action: `segment.entered`.
    pub name: String,
    /// `event_id` of the body: a ULID, or the delivery's id for a webhook action.
    pub event_id: String,
    /// The header `X-CIO-Timestamp`: unix seconds, when the request was sent.
    pub sent_at: i64,
    /// The raw body; the signature is over these bytes.
    pub body: Bytes,
    /// The header `X-CIO-Signature`: 64 hex digits.
    pub signature: String,
}

impl Webhook {
    pub(crate) fn new(endpoint: Endpoint, name: String, event_id: String, body: &Value, now: i64, key: &str) -> Self {
        let body = Bytes::from(body.to_string());
        let signature = sign(key, now, &body);
        Self { endpoint, name, event_id, sent_at: now, body, signature }
    }

    /// The same event, sent at another time.
    pub(crate) fn sent_at(&self, now: i64, key: &str) -> Self {
        Self { sent_at: now, signature: sign(key, now, &self.body), ..self.clone() }
    }

    /// The body, decoded.
    #[must_use]
    pub fn json(&self) -> Value {
        // Written by `new`, so that it reads.
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// HMAC-SHA256 in hex of `v0:`, the time in unix seconds, `:` and the raw body.
#[must_use]
pub fn sign(key: &str, timestamp: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { unreachable!("HMAC takes keys of any length") };
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
