//! One write as Track v2 wants it. <https://docs.customer.io/integrations/api/track/#tag/trackv2>

use super::ulid::ulid;
use serde::Serialize;
use trefoil_domain::action::CustomerioVerb;
use trefoil_domain::event::{Attributes, IdKind, Value};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{CustomerioWrite, ProfileRef};

/// The vendor says 32 KB, without saying which; what is too large may be answered with a 200 and dropped.
const MOST_ITEM_BYTES: usize = 32_000;
const MOST_NAME_BYTES: usize = 100;

/// In events these would override a campaign's own settings.
const RESERVED_IN_EVENTS: [&str; 3] = ["recipient", "from_address", "reply_to"];
/// On people these name or re-name them, or change their consent.
const RESERVED_ON_PEOPLE: [&str; 12] = [
    "id",
    "email",
    "phone",
    "cio_id",
    "anonymous_id",
    "created_at",
    "timezone",
    "unsubscribed",
    "cio_subscription_preferences",
    "cio_relationships",
    "_timestamp",
    "_update",
];

#[derive(Serialize)]
struct Entity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    identifiers: Identifiers<'a>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Unix seconds.
    timestamp: i64,
    attributes: serde_json::Map<String, Value>,
}

/// Exactly one.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Identifiers<'a> {
    CioId(&'a str),
    Id(&'a str),
    Email(&'a str),
}

/// The write as JSON.
///
/// # Errors
/// It can never be sent: the outcome says why.
pub(super) fn render(write: &CustomerioWrite) -> Result<String, Outcome> {
    let entity = match write {
        CustomerioWrite::Attributes { profile, timestamp, attributes } => {
            let mut attributes = without(attributes, &RESERVED_ON_PEOPLE);
            // Never makes a profile: profiles are billed.
            attributes.insert("_update".to_owned(), Value::Bool(true));
            Entity {
                kind: "person",
                identifiers: identifiers(profile)?,
                action: "identify",
                id: None,
                name: None,
                timestamp: *timestamp,
                attributes,
            }
        }
        CustomerioWrite::Track { profile, action } => match &action.what {
            CustomerioVerb::TrackEvent { name, .. } if name.is_empty() || name.len() > MOST_NAME_BYTES => {
                return Err(Outcome::rejected("event_name_length", format!("1 to {MOST_NAME_BYTES} bytes are allowed")));
            }
            CustomerioVerb::TrackEvent { name, properties } => Entity {
                kind: "person",
                identifiers: identifiers(profile)?,
                action: "event",
                id: Some(ulid(action.occurred_at, &action.id)),
                name: Some(name),
                timestamp: action.occurred_at.secs(),
                attributes: without(properties, &RESERVED_IN_EVENTS),
            },
        },
    };
    let json = serde_json::to_string(&entity).map_err(|_| Outcome::rejected("unwritable", ""))?;
    if json.len() > MOST_ITEM_BYTES {
        return Err(Outcome::rejected("too_large", format!("{} bytes, of at most {MOST_ITEM_BYTES}", json.len())));
    }
    Ok(json)
}

fn identifiers(profile: &ProfileRef) -> Result<Identifiers<'_>, Outcome> {
    match profile {
        // Elsewhere it is written with a prefix; here it must not be.
        ProfileRef::Own(cio_id) => Ok(Identifiers::CioId(cio_id.strip_prefix("cio_").unwrap_or(cio_id))),
        ProfileRef::By(IdKind::UserId, id) => Ok(Identifiers::Id(id)),
        ProfileRef::By(IdKind::Email, email) => Ok(Identifiers::Email(email)),
        ProfileRef::By(IdKind::CioId, cio_id) => Ok(Identifiers::CioId(cio_id)),
        ProfileRef::By(IdKind::IntercomId | IdKind::Phone | IdKind::AnonymousId, _) => {
            Err(Outcome::rejected("no_customerio_identifier", ""))
        }
    }
}

fn without(attributes: &Attributes, reserved: &[&str]) -> serde_json::Map<String, Value> {
    let kept = attributes.iter().filter(|(name, _)| !reserved.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trefoil_domain::action::CustomerioAction;
    use trefoil_domain::id::ActionId;
    use trefoil_domain::time::Timestamp;

    fn attributes(value: Value) -> Attributes {
        serde_json::from_value(value).expect("attributes")
    }

    fn rendered(write: &CustomerioWrite) -> Value {
        serde_json::from_str(&render(write).expect("rendered")).expect("JSON")
    }

    fn track(profile: ProfileRef, name: &str, properties: Value) -> CustomerioWrite {
        let what = CustomerioVerb::TrackEvent { name: name.to_owned(), properties: attributes(properties) };
        let action = CustomerioAction {
            id: ActionId::from_stored("a1"),
            route: "r".to_owned(),
            occurred_at: Timestamp::from_millis(1_700_000_000_999),
            what,
        };
        CustomerioWrite::Track { profile, action }
    }

    #[test]
    fn attributes_update_only_and_never_touch_identity_or_consent() {
        let write = CustomerioWrite::Attributes {
            profile: ProfileRef::Own("cio_03000001".to_owned()),
            timestamp: 1_700_000_000,
            attributes: attributes(json!({"has_open_ticket": true, "email": "x@example.com", "unsubscribed": true, "_update": false})),
        };
        assert_eq!(
            rendered(&write),
            json!({"type": "person", "identifiers": {"cio_id": "03000001"}, "action": "identify", "timestamp": 1_700_000_000,
                   "attributes": {"has_open_ticket": true, "_update": true}})
        );
    }

    #[test]
    fn events_carry_a_ulid_and_cannot_override_a_campaign() {
        let write = track(
            ProfileRef::By(IdKind::UserId, "42".to_owned()),
            "support_ticket_opened",
            json!({"ticket_id": "7", "recipient": "x@example.com", "from_address": "y", "reply_to": "z"}),
        );
        let json = rendered(&write);
        assert_eq!(json["id"].as_str().map(str::len), Some(26));
        assert_eq!(json["identifiers"], json!({"id": "42"}));
        assert_eq!(json["timestamp"], json!(1_700_000_000));
        assert_eq!(json["attributes"], json!({"ticket_id": "7"}));
    }

    #[test]
    fn what_can_never_be_sent_is_rejected_before_it_is() {
        let by = |kind| ProfileRef::By(kind, "x@example.com".to_owned());
        let code = |write: &CustomerioWrite| render(write).expect_err("rejected").reason().expect("a reason").code.clone();
        assert_eq!(code(&track(by(IdKind::Email), &"n".repeat(101), json!({}))), "event_name_length");
        assert_eq!(code(&track(by(IdKind::Email), "", json!({}))), "event_name_length");
        assert_eq!(code(&track(by(IdKind::IntercomId), "n", json!({}))), "no_customerio_identifier");
        assert_eq!(code(&track(by(IdKind::Email), "n", json!({"long": "x".repeat(32_000)}))), "too_large");
        assert!(render(&track(by(IdKind::Email), &"n".repeat(100), json!({"long": "x".repeat(31_000)}))).is_ok());
    }
}
