//! The way in for Intercom's webhooks: signature, size, envelope, topic; then [`super::normalize`], [`super::people`] or
//! [`super::company`]. Knows nothing of HTTP, queues or time of day.
//!
//! <https://developers.intercom.com/docs/webhooks/webhook-notifications>

use super::company::companies;
use super::normalize::{Unusable, tickets};
use super::people::{behaviour, consent, people};
use super::topic::Topic;
use super::verify::Verifier;
use super::wire::Envelope;
use crate::half_characters::without_half_characters;
use crate::keyring::SecretsError;
use crate::lenient::Object;
use secrecy::SecretString;
use trefoil_domain::event::{Event, Workspace};
use trefoil_domain::ports::{Received, Unauthorized};
use trefoil_domain::time::Timestamp;

/// Larger bodies are not read. Intercom's own grow to some tens of kilobytes.
const MOST_BYTES: usize = 1024 * 1024;

/// Turns the webhooks of one Intercom app into events of one workspace.
#[derive(Debug)]
pub struct IntercomWebhooks {
    verifier: Verifier,
    workspace: Workspace,
    /// Id of the Intercom workspace. Ids of people and conversations are unique only within one.
    app_id: Option<String>,
}

impl IntercomWebhooks {
    /// `secrets`: the app's client secrets, any of which may have signed. `app_id`: the Intercom workspace whose
    /// notifications are taken; `None` takes those of every workspace that has the app, which must then be only one.
    ///
    /// # Errors
    /// The secrets cannot protect anything.
    pub fn new(secrets: &[SecretString], workspace: Workspace, app_id: Option<String>) -> Result<Self, SecretsError> {
        Ok(Self { verifier: Verifier::new(secrets)?, workspace, app_id })
    }

    /// `signature` is the value of `X-Hub-Signature`; `body` the bytes exactly as they were sent.
    ///
    /// # Errors
    /// The signature is missing or wrong; nothing of the body has been looked at.
    pub fn receive(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<Received, Unauthorized> {
        self.verifier.verify(signature, body)?;
        let read = self.read(body, now).or_else(|unusable| match without_half_characters(body) {
            Some(mended) => self.read(mended.as_bytes(), now),
            None => Err(unusable),
        });
        Ok(read.unwrap_or_else(|Unusable(reason)| Received::Unusable { reason, about: about(body) }))
    }

    fn read(&self, body: &[u8], now: Timestamp) -> Result<Received, Unusable> {
        if body.len() > MOST_BYTES {
            return Err(Unusable("over_1_mib"));
        }
        let envelope: Object<Envelope<'_>> = serde_json::from_slice(body).map_err(|_| Unusable("not_json"))?;
        let envelope = envelope.0.ok_or(Unusable("not_an_object"))?;
        let topic = envelope.topic.get().ok_or(Unusable("no_topic"))?;
        let kind = Topic::of(topic);
        // Pings come from anywhere, and say nothing.
        if kind != Topic::Ping
            && let (Some(ours), Some(theirs)) = (&self.app_id, envelope.app_id.get())
            && ours != theirs
        {
            return Err(Unusable("foreign_app"));
        }
        let notification = Notification {
            workspace: &self.workspace,
            app_id: envelope.app_id.get().unwrap_or_default(),
            topic,
            id: envelope.id.get(),
            created_at: envelope.created_at.0,
            now,
        };
        let item = || envelope.data.0.as_ref().and_then(|data| data.item).ok_or(Unusable("no_item"));
        let events: Vec<Event> = match kind {
            Topic::Ping => return Ok(Received::Ignored("ping")),
            Topic::Unknown => return Ok(Received::Ignored("unknown_topic")),
            Topic::Unused => return Ok(Received::Ignored("unused_topic")),
            Topic::TooOld => return Err(Unusable("api_version_below_2_5")),
            Topic::Person(about) => vec![people(&notification, about, item()?)?],
            Topic::Consent(asks) => vec![consent(&notification, asks, item()?)?],
            Topic::Company(life) => vec![companies(&notification, life, item()?)?],
            Topic::Behaviour => match behaviour(&notification, item()?)? {
                Some(event) => vec![event],
                None => return Ok(Received::Ignored("own_echo")),
            },
            Topic::Ticket(register, says) => tickets(&notification, register, says, item()?)?,
        };
        Ok(Received::Events(events))
    }
}

/// Topic and id of a notification of no use, however large it is: nothing else of it is looked at.
fn about(body: &[u8]) -> Option<String> {
    let envelope = serde_json::from_slice::<Object<Envelope<'_>>>(body).ok()?.0?;
    let said: Vec<&str> = [envelope.topic.get(), envelope.id.get()].into_iter().flatten().collect();
    // Names of topics and ids are short; what is not is neither.
    (!said.is_empty()).then(|| said.join(" ")).filter(|about| about.len() <= 200)
}

/// What the envelope says.
pub(super) struct Notification<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) app_id: &'a str,
    pub(super) topic: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha1::Sha1;

    const SECRET: &str = "a-secret-for-the-tests";
    macro_rules! case {
        ($name:literal) => {
            include_str!(concat!("../../../../tests/cases/intercom/", $name, "/payload.json"))
        };
    }
    const CLOSED: &str = case!("a-teammate-closes-a-conversation");
    /// One of each shape.
    const REAL: [&str; 8] = [
        CLOSED,
        case!("a-ticket-is-created"),
        case!("a-user-is-updated"),
        case!("a-lead-is-tagged"),
        case!("all-mail-comes-before-single-types"),
        case!("a-lead-joins-a-company"),
        case!("an-event-may-carry-money-and-a-link"),
        case!("a-visitor-signs-up"),
    ];

    fn receive(body: &[u8]) -> Received {
        let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key");
        mac.update(body);
        let signature = format!("sha1={}", hex::encode(mac.finalize().into_bytes()));
        let workspace = Workspace::new("main").expect("a name");
        let webhooks = IntercomWebhooks::new(&[SecretString::from(SECRET)], workspace, None).expect("a secret");
        assert_eq!(webhooks.receive(None, body, Timestamp::default()), Err(Unauthorized));
        webhooks.receive(Some(&signature), body, Timestamp::from_secs(1_768_033_001)).expect("a good signature")
    }

    #[test]
    fn a_body_over_one_mebibyte_is_not_read() {
        let padded = |size: usize| format!("{}{}", CLOSED, " ".repeat(size - CLOSED.len()));
        assert!(matches!(receive(padded(MOST_BYTES).as_bytes()), Received::Events(_)));
        let over = receive(padded(MOST_BYTES + 1).as_bytes());
        assert!(
            matches!(&over, Received::Unusable { reason, about: Some(about) } if *reason == "over_1_mib" && about.starts_with("conversation.admin.closed ")),
            "{over:?}"
        );
    }

    #[test]
    fn a_redelivery_makes_the_same_events_whenever_it_comes() {
        let webhooks = |workspace| {
            IntercomWebhooks::new(&[SecretString::from(SECRET)], Workspace::new(workspace).expect("a name"), None).expect("a secret")
        };
        for body in [CLOSED.to_owned(), CLOSED.replacen("\"notif_", "null, \"x\": \"notif_", 1)] {
            let ids = |workspace, now| match webhooks(workspace).read(body.as_bytes(), Timestamp::from_secs(now)) {
                Ok(Received::Events(events)) => events.into_iter().map(|e| e.id).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            };
            assert_eq!(ids("main", 1_768_033_001), ids("main", 1_768_033_061));
            assert_ne!(ids("main", 1_768_033_001), ids("other", 1_768_033_001));
        }
    }

    #[test]
    fn a_tag_that_every_notification_tells_again_is_one_event() {
        let told = |body: &str, notification: &str| match receive(body.replace("notif_00000000", notification).as_bytes()) {
            Received::Events(events) => events.into_iter().map(|event| event.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let all_there_are = case!("tags-inside-the-conversation");
        assert_eq!(told(all_there_are, "notif_1"), told(all_there_are, "notif_2"));
        let new_ones = case!("several-new-tags-are-several-events");
        assert_ne!(told(new_ones, "notif_1"), told(new_ones, "notif_2"));
    }

    proptest! {
        #[test]
        fn no_signed_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            receive(&body);
        }

        #[test]
        fn no_change_of_a_real_payload_makes_it_panic(
            real in prop::sample::select(REAL.to_vec()), at in any::<prop::sample::Index>(), len in 0usize..40,
            with in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}"
        ) {
            let at = at.index(real.len());
            let mut body = real.as_bytes().to_vec();
            body.splice(at..(at + len).min(real.len()), with.bytes());
            receive(&body);
        }
    }
}
