//! The way in for Customer.io's webhooks: signature, size, which of the two kinds; then [`super::reports`] or
//! [`super::actions`]. Knows nothing of HTTP, queues or time of day.
//!
//! <https://docs.customer.io/integrations/api/webhooks> and <https://docs.customer.io/journeys/webhooks-action>

use super::actions::{SCHEMAS, Says, action, unreadable};
use super::named::{Delivery, No};
use super::reports::report;
use super::verify::Verifier;
use super::wire::Head;
use crate::half_characters::without_half_characters;
use crate::keyring::SecretsError;
use crate::lenient::Object;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use trefoil_domain::event::{Event, Workspace};
use trefoil_domain::ports::{Received, Unauthorized};
use trefoil_domain::time::{Span, Timestamp};

/// Larger bodies are not read. With body content switched off Customer.io's own are a few kilobytes.
const MOST_BYTES: usize = 1024 * 1024;
/// Ids of Customer.io have 26 characters. What is longer goes by its hash.
const LONGEST_ID_BYTES: usize = 200;

/// Turns the webhooks of one Customer.io workspace into events of one workspace of ours.
#[derive(Debug)]
pub struct CustomerioWebhooks {
    verifier: Verifier,
    workspace: Workspace,
}

impl CustomerioWebhooks {
    /// `keys`: the signing keys of the reporting webhook and of webhook actions, several of each while one is being changed.
    /// `skew`: how far the time of sending may be from ours; `None` for any.
    ///
    /// # Errors
    /// The keys cannot protect anything.
    pub fn new(keys: &[SecretString], workspace: Workspace, skew: Option<Span>) -> Result<Self, SecretsError> {
        Ok(Self { verifier: Verifier::new(keys, skew)?, workspace })
    }

    /// `timestamp` and `signature` are the values of `X-CIO-Timestamp` and `X-CIO-Signature`; `body` the bytes exactly as
    /// they were sent.
    ///
    /// # Errors
    /// The signature is missing or wrong; nothing of the body has been looked at.
    pub fn receive(&self, timestamp: Option<&str>, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<Received, Unauthorized> {
        let sent_at = self.verifier.verify(timestamp, signature, body, now)?;
        let mut read = self.read(sent_at, body, now);
        if matches!(read, Err(No::Unusable(_) | No::Refused(_)))
            && let Some(mended) = without_half_characters(body)
        {
            read = self.read(sent_at, mended.as_bytes(), now);
        }
        Ok(match read {
            Ok(events) => Received::Events(events),
            Err(No::Ignored(word)) => Received::Ignored(word),
            Err(No::Unusable(reason)) => Received::Unusable { reason, about: about(body) },
            Err(No::Refused(reason)) => Received::Refused { reason, about: about(body) },
        })
    }

    fn read(&self, sent_at: Option<Timestamp>, body: &[u8], now: Timestamp) -> Result<Vec<Event>, No> {
        if body.len() > MOST_BYTES {
            return Err(No::Unusable("over_1_mib"));
        }
        let head: Object<Head<'_>> = serde_json::from_slice(body).map_err(|_| unreadable(body).unwrap_or(No::Unusable("not_json")))?;
        let head = head.0.ok_or(No::Unusable("not_an_object"))?;
        let hash;
        let id = match head.event_id.get().filter(|id| id.len() <= LONGEST_ID_BYTES) {
            Some(id) => id,
            None => {
                hash = hex::encode(Sha256::digest(body));
                &hash
            }
        };
        let delivery = Delivery { workspace: &self.workspace, id, sent_at, now };
        // Only a webhook action may be refused, so whatever could be a reporting webhook is taken for one.
        let is_report = [&head.object_type, &head.object_type_type, &head.metric].into_iter().any(|text| text.get().is_some());
        let is_action = match head.schema.get() {
            Some(schema) => schema.starts_with(SCHEMAS) || head.metric.get().is_none(),
            None => !is_report && head.kind.get().and_then(Says::of).is_some(),
        };
        if is_action { action(&delivery, &head, body) } else { report(&delivery, &head, body) }
    }
}

/// What a webhook of no use is called, however large it is: nothing else of it is looked at.
fn about(body: &[u8]) -> Option<String> {
    let head = serde_json::from_slice::<Object<Head<'_>>>(body).ok()?.0?;
    let said = [&head.object_type, &head.object_type_type, &head.metric, &head.kind, &head.event_id];
    let said: Vec<&str> = said.into_iter().filter_map(|text| text.get()).collect();
    // Names and ids are short; what is not is neither.
    (!said.is_empty()).then(|| said.join(" ")).filter(|about| about.len() <= 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use trefoil_domain::id::EventId;

    const KEY: &str = "a-key-for-the-tests";
    const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);
    const UNSUBSCRIBED: &str = include_str!("../../../../tests/cases/customerio/email-unsubscribed/payload.json");
    const ENTERED: &str = include_str!("../../../../tests/cases/customerio/action-segment-entered/payload.json");

    fn webhooks(workspace: &str) -> CustomerioWebhooks {
        CustomerioWebhooks::new(&[SecretString::from(KEY)], Workspace::new(workspace).expect("a name"), None).expect("a key")
    }

    fn receive(body: &[u8]) -> Received {
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key");
        mac.update(b"v0:1795219190:");
        mac.update(body);
        let signature = hex::encode(mac.finalize().into_bytes());
        assert_eq!(webhooks("main").receive(Some("1795219190"), None, body, NOW), Err(Unauthorized));
        webhooks("main").receive(Some("1795219190"), Some(&signature), body, NOW).expect("a good signature")
    }

    #[test]
    fn a_body_over_one_mebibyte_is_not_read_and_not_refused() {
        for body in [UNSUBSCRIBED, ENTERED] {
            let padded = |size: usize| format!("{}{}", body, " ".repeat(size - body.len()));
            assert!(matches!(receive(padded(MOST_BYTES).as_bytes()), Received::Events(_)));
            let over = receive(padded(MOST_BYTES + 1).as_bytes());
            assert!(matches!(&over, Received::Unusable { reason, about: Some(_) } if *reason == "over_1_mib"), "{over:?}");
        }
    }

    #[test]
    fn a_redelivery_makes_the_same_events_whenever_it_comes() {
        for body in [UNSUBSCRIBED, ENTERED] {
            for body in [body.to_owned(), body.replacen("\"event_id\"", "\"other_id\"", 1)] {
                let ids = |workspace, now: i64| -> Vec<EventId> {
                    let now = Timestamp::from_secs(now);
                    webhooks(workspace).read(Some(now), body.as_bytes(), now).expect("events").into_iter().map(|e| e.id).collect()
                };
                assert_eq!(ids("main", 1_795_219_200), ids("main", 1_795_819_200));
                assert_ne!(ids("main", 1_795_219_200), ids("other", 1_795_219_200));
                let mut all = ids("main", 1_795_219_200);
                all.dedup();
                assert_eq!(all.len(), if body.contains("cio-sync") { 1 } else { 2 });
            }
        }
    }

    #[test]
    fn a_report_and_an_action_of_one_id_are_two_events() {
        let id = |body: &str, id: &str| {
            let body = body.replacen(id, "the-same-id", 1);
            assert!(body.contains("the-same-id"));
            webhooks("main").read(None, body.as_bytes(), NOW).expect("events").remove(0).id
        };
        assert_ne!(id(UNSUBSCRIBED, "01E4C4CT6YDC7Y5M7FE1GWWPQJ"), id(ENTERED, "RPILAgUBcRhIBqSfeiIwdIYJKxTY"));
    }

    #[test]
    fn nothing_that_may_be_a_report_is_refused() {
        for body in [
            "",
            "[]",
            "7",
            "{}",
            "{\"metric\":7}",
            "{\"metric\":\"sent\",\"schema\":\"2\",\"data\":7}",
            "{\"schema\":",
            "{{ delivery_id }}",
            "{\"metric\":\"sent\",\"metric\":\"sent\"}",
            "{\"object_type\":\"email\",\"data\":{\"content\":\"cio-sync\"}}",
        ] {
            let received = receive(body.as_bytes());
            assert!(matches!(received, Received::Unusable { .. }), "{body}: {received:?}");
        }
    }

    proptest! {
        #[test]
        fn no_signed_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            receive(&body);
        }

        #[test]
        fn no_change_of_a_real_payload_makes_it_panic(action in any::<bool>(), at in any::<prop::sample::Index>(), len in 0usize..40, with in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}") {
            let real = if action { ENTERED } else { UNSUBSCRIBED };
            let at = at.index(real.len());
            let mut body = real.as_bytes().to_vec();
            body.splice(at..(at + len).min(real.len()), with.bytes());
            receive(&body);
        }
    }
}
