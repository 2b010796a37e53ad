//! The ways in beside Intercom's, as the tools use them: signed, with a message of each.

use crate::process::Serve;
use crate::stage::{Answer, Stage, request_with};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::Method;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

/// When Customer.io says that it sent; nobody compares it with a clock.
const SENT: &str = "1768033000";
const CUSTOMERIO_KEY: &str = "a-signing-key-of-customerio";
pub(crate) const SEGMENT_SECRET: &str = "a-shared-secret-of-segment";
const PIPELINES_SECRET: &str = "a-shared-secret-of-pipelines";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Door {
    Customerio,
    Segment,
    Pipelines,
}

impl Door {
    pub(crate) const ALL: [Self; 3] = [Self::Customerio, Self::Segment, Self::Pipelines];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Customerio => "/webhooks/customerio",
            Self::Segment => "/webhooks/segment",
            Self::Pipelines => "/webhooks/pipelines",
        }
    }

    pub(crate) fn secret(self) -> &'static str {
        match self {
            Self::Customerio => CUSTOMERIO_KEY,
            Self::Segment => SEGMENT_SECRET,
            Self::Pipelines => PIPELINES_SECRET,
        }
    }

    pub(crate) fn signature(self, secret: &str, body: &[u8]) -> String {
        if self == Self::Customerio {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
            mac.update(format!("v0:{SENT}:").as_bytes());
            mac.update(body);
            return hex::encode(mac.finalize().into_bytes());
        }
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key will do");
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    pub(crate) fn headers(self, signature: String) -> Vec<(&'static str, String)> {
        match self {
            Self::Customerio => vec![("x-cio-timestamp", SENT.to_owned()), ("x-cio-signature", signature)],
            Self::Segment | Self::Pipelines => vec![("x-signature", signature)],
        }
    }

    pub(crate) async fn post(self, serve: &Serve, body: &[u8]) -> Answer {
        let headers = self.headers(self.signature(self.secret(), body));
        self.post_with(serve, &headers, body).await
    }

    pub(crate) async fn post_with(self, serve: &Serve, headers: &[(&str, String)], body: &[u8]) -> Answer {
        let url = format!("http://{}{}", serve.address, self.path());
        request_with(Method::POST, &url, headers, body.to_vec()).await.expect("an answer")
    }

    pub(crate) fn a_message(self) -> Value {
        match self {
            Self::Customerio => json!({
                "event_id": "01E4C4CT6YDC7Y5M7FE1GWWPQJ", "object_type": "email", "metric": "sent", "timestamp": 1_768_032_990,
                "data": {"identifiers": {"id": "u1", "email": "una@example.com", "cio_id": "0a01"}, "delivery_id": "d1", "campaign_id": 7}
            }),
            Self::Segment | Self::Pipelines => json!({
                "type": "identify", "messageId": "m1", "userId": "u1", "timestamp": "2026-01-10T08:00:00Z",
                "traits": {"email": "una@example.com", "name": "Una"}
            }),
        }
    }
}

/// Plain stand-ins, and a key for every door.
pub(crate) async fn stage() -> Stage {
    opened(Stage::plain().await)
}

/// With a key for every door.
pub(crate) fn opened(mut stage: Stage) -> Stage {
    let secrets = [
        ("TREFOIL_CUSTOMERIO_SIGNING_KEYS", CUSTOMERIO_KEY),
        ("TREFOIL_SEGMENT_SHARED_SECRET", SEGMENT_SECRET),
        ("TREFOIL_PIPELINES_SHARED_SECRET", PIPELINES_SECRET),
    ];
    stage.variables.extend(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
    stage
}
