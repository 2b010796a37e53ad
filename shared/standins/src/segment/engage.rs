//! What Segment says by itself: audiences, computed traits, steps of journeys, deletions.
//!
//! - <https://www.twilio.com/docs/segment/engage/using-engage-data>
//! - <https://www.twilio.com/docs/segment/engage/trait-activation/id-sync>
//! - <https://www.twilio.com/docs/segment/engage/journeys/v1/send-data>,
//!   <https://www.twilio.com/docs/segment/engage/journeys/v2/event-triggered-journeys-steps>

use super::Segment;
use super::message::{Kind, iso};
use super::variants::EmailMessage;
use crate::seed::Seeded;
use serde_json::{Map, Value, json};

/// As which call a computation is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAs {
    Identify,
    Track,
}

/// Which identifiers a destination is sent. It does not hold for exits: "every identifier combination" is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdSync {
    #[default]
    All,
    UserId,
    Email,
}

/// An audience; a step of a first journey too, with a key that begins with `j_o_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    pub key: String,
    pub computation_id: String,
    /// Names of the track events: they can be changed.
    pub entered: String,
    pub exited: String,
}

impl Audience {
    /// With the names that Segment gives.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            computation_id: format!("aud_{key}"),
            entered: "Audience Entered".to_owned(),
            exited: "Audience Exited".to_owned(),
        }
    }
}

struct Computation<'a> {
    class: &'a str,
    id: &'a str,
    key: &'a str,
    value: &'a Value,
    /// Of the track call.
    event: &'a str,
    /// Of the track call.
    properties: Value,
}

/// To whom one message goes.
enum To {
    UserId(String),
    Email(String),
}

impl Segment {
    /// Somebody enters or leaves an audience: one message for the user id and one for each e-mail address. Nothing is sent
    /// for a user id that no profile has. Returns how many messages there are.
    pub fn engage_audience(&self, user_id: &str, audience: &Audience, is_in: bool, sent_as: SentAs) -> usize {
        let of_journey = audience.key.starts_with("j_o_");
        if of_journey && !is_in {
            // Nobody is told of leaving a step.
            return 0;
        }
        let text = of_journey && self.shared.options.variants.journey_text;
        let value = if text { json!(is_in.to_string()) } else { json!(is_in) };
        let event = if is_in { &audience.entered } else { &audience.exited };
        let properties = json!({"audience_key": audience.key, audience.key.as_str(): value});
        let (id, key) = (&audience.computation_id, &audience.key);
        let computation = Computation { class: "audience", id, key, value: &value, event, properties };
        let sync = if is_in { self.shared.options.id_sync } else { IdSync::All };
        self.engage(user_id, &computation, sent_as, sync)
    }

    /// A computed trait has changed.
    pub fn computed_trait(&self, user_id: &str, key: &str, value: &Value, sent_as: SentAs) -> usize {
        let properties = json!({"trait_key": key, key: value});
        let id = format!("tra_{key}");
        let computation = Computation { class: "trait", id: &id, key, value, event: "Trait Computed", properties };
        self.engage(user_id, &computation, sent_as, self.shared.options.id_sync)
    }

    /// A step of an event-triggered journey (v2), always a track call under a name that people choose.
    pub fn journey_step(&self, user_id: &str, event: &str, key: &str, context: &Value) -> usize {
        let id = format!("step_{key}");
        let metadata = json!({"journey_id": format!("jrn_{key}"), "epoch_id": "epo_1"});
        let properties = json!({"journey_context": context, "journey_metadata": metadata, key: true});
        let computation = Computation { class: "journey_step", id: &id, key, value: &Value::Bool(true), event, properties };
        self.engage(user_id, &computation, SentAs::Track, self.shared.options.id_sync)
    }

    /// Deletes a user and all that is known of them. Only classic webhooks are told.
    /// <https://www.twilio.com/docs/segment/privacy/user-deletion-and-suppression>
    pub fn delete(&self, user_id: &str) {
        let options = &self.shared.options;
        let now_ms = options.clock.now_ms();
        let mut inside = self.shared.inside();
        inside.workspace.world.delete(user_id);
        let notice = Map::from_iter([("userId".to_owned(), json!(user_id)), ("timestamp".to_owned(), json!(iso(now_ms)))]);
        inside.workspace.say(notice, Kind::Delete, options, now_ms);
    }

    fn engage(&self, user_id: &str, computation: &Computation<'_>, sent_as: SentAs, sync: IdSync) -> usize {
        let options = &self.shared.options;
        let now_ms = options.clock.now_ms();
        let mut inside = self.shared.inside();
        let Some(profile) = inside.workspace.world.profile(user_id) else { return 0 };
        inside.workspace.world.set_trait(user_id, computation.key, computation.value.clone(), now_ms);
        let users = profile.user_ids.into_iter().map(To::UserId);
        let all = users.chain(profile.emails.into_iter().map(To::Email));
        let to: Vec<To> = all
            .filter(|to| match (sync, to) {
                (IdSync::All, _) | (IdSync::UserId, To::UserId(_)) | (IdSync::Email, To::Email(_)) => true,
                (IdSync::UserId, To::Email(_)) | (IdSync::Email, To::UserId(_)) => false,
            })
            .collect();
        let sent = to.len();
        for to in to {
            let (kind, mut message) = match sent_as {
                SentAs::Identify => (Kind::Identify, json!({"traits": {computation.key: computation.value}})),
                SentAs::Track => (Kind::Track, json!({"event": computation.event, "properties": computation.properties})),
            };
            message["context"] = json!({"personas": {
                "computation_class": computation.class, "computation_id": computation.id, "computation_key": computation.key,
                "namespace": "spa_1", "space_id": "spa_1",
            }});
            // Only the destinations that the computation is connected to.
            message["integrations"] = json!({"All": false});
            for name in options.webhook_kind.names() {
                message["integrations"][*name] = json!(true);
            }
            match to {
                To::UserId(id) => message["userId"] = json!(id),
                To::Email(email) => {
                    match options.variants.email_message {
                        EmailMessage::MadeUpAnonymousId => message["anonymousId"] = json!(made_up(&email)),
                        EmailMessage::UserId => message["userId"] = json!(user_id),
                        EmailMessage::Nothing => {}
                    }
                    match sent_as {
                        SentAs::Identify => message["traits"]["email"] = json!(email),
                        SentAs::Track => message["context"]["traits"] = json!({ "email": email }),
                    }
                }
            }
            if let Value::Object(message) = message {
                inside.workspace.say(message, kind, options, now_ms);
            }
        }
        sent
    }
}

/// `eml_` and a hash, the same for the same address. (Profile API)
fn made_up(email: &str) -> String {
    let seed = email.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut seeded = Seeded::new(seed);
    format!("eml_{:016x}{:016x}", seeded.next(), seeded.next())
}
