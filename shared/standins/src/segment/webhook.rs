//! Webhooks as Segment sends them: the message itself, or an array of messages, and the signature.
//! <https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook>,
//! <https://github.com/segmentio/action-destinations> (webhook/send; pull requests 3987 to 3989 on batches)

use super::destinations::WebhookKind;
use super::message::Message;
use super::variants::BatchSignature;
use hmac::{Hmac, KeyInit, Mac};
use hyper::body::Bytes;
use serde_json::Value;
use sha1::Sha1;
use std::time::Duration;

impl WebhookKind {
    #[must_use]
    pub fn user_agent(self) -> &'static str {
        match self {
            Self::Actions => "Segment (Actions)",
            Self::Classic => "Segment.io/1.0",
        }
    }

    /// Later answers are failed deliveries. 10 seconds are the default of the framework; the hosted one is not told.
    #[must_use]
    pub fn deadline(self) -> Duration {
        match self {
            Self::Actions => Duration::from_secs(10),
            Self::Classic => Duration::from_secs(5),
        }
    }
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// `messageId` of each message in it.
    pub ids: Vec<String>,
    /// The raw body: one message, or an array of messages.
    pub body: Bytes,
    /// The header `X-Signature`; none without a shared secret.
    pub signature: Option<String>,
}

impl Webhook {
    pub(crate) fn single(message: &Message, secret: &str) -> Self {
        let body = text(message);
        Self { ids: vec![message.id.clone()], signature: signature(secret, &body), body: Bytes::from(body) }
    }

    pub(crate) fn batch(messages: &[Message], secret: &str, over: BatchSignature) -> Self {
        let elements: Vec<String> = messages.iter().map(text).collect();
        let body = format!("[{}]", elements.join(","));
        let signed = match over {
            BatchSignature::Whole => &body,
            BatchSignature::First => elements.first().unwrap_or(&body),
        };
        let signature = signature(secret, signed);
        Self { ids: messages.iter().map(|message| message.id.clone()).collect(), body: Bytes::from(body), signature }
    }

    /// The body, decoded.
    #[must_use]
    pub fn json(&self) -> Value {
        // Written above, so that it reads.
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn text(message: &Message) -> String {
    // Text keys and JSON values always can be written.
    serde_json::to_string(&message.json).unwrap_or_default()
}

/// "If you provide a shared secret, Segment will sign requests."
fn signature(secret: &str, signed: &str) -> Option<String> {
    if secret.is_empty() { None } else { Some(sign(secret, signed.as_bytes())) }
}

/// HMAC-SHA1 in lower-case hex.
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { unreachable!("HMAC takes keys of any length") };
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Whether Segment delivers again, for up to four hours; `None`: there was no answer. (action-destinations, core/errors.ts;
/// <https://www.twilio.com/docs/segment/connections/destinations#retries>)
#[must_use]
pub fn tries_again(status: Option<u16>) -> bool {
    match status {
        None | Some(408 | 423 | 429) => true,
        Some(501) => false,
        Some(status) => status >= 500,
    }
}
