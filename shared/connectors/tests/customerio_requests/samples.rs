//! One sample of each write, and of each way in which a write may differ.

use serde_json::{Value, json};
use trefoil_domain::action::{CustomerioAction, CustomerioVerb};
use trefoil_domain::event::{Attributes, IdKind, Source};
use trefoil_domain::id::ActionId;
use trefoil_domain::ports::{CustomerioWrite, ProfileRef};
use trefoil_domain::time::Timestamp;

pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) writes: Vec<CustomerioWrite>,
    pub(crate) dates_as_seconds: bool,
}

fn own() -> ProfileRef {
    ProfileRef::Own("cio_03000001".to_owned())
}

fn user() -> ProfileRef {
    ProfileRef::By(IdKind::UserId, "42".to_owned())
}

fn email() -> ProfileRef {
    ProfileRef::By(IdKind::Email, "user@example.com".to_owned())
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn identify(profile: ProfileRef, create: bool, values: Value, own: Value) -> CustomerioWrite {
    CustomerioWrite::Attributes { profile, timestamp: 1_795_219_200, create, attributes: attributes(values), own: attributes(own) }
}

fn act(profile: impl Into<Option<ProfileRef>>, verb: &str, fields: Value) -> CustomerioWrite {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    let action = CustomerioAction {
        id: ActionId::from_stored("a1"),
        route: "a route".to_owned(),
        occurred_at: Timestamp::from_millis(1_768_018_948_240),
        origin: Source::Intercom,
        of_lead: false,
        what: CustomerioVerb::of(verb, fields).expect("a verb"),
    };
    CustomerioWrite::Act { profile: profile.into(), action }
}

/// Dates among other texts, as Segment's own destination was seen to read them.
fn dates() -> Value {
    json!({
        "created_at": "2024-05-14T09:30:15.250Z",
        "person": {"over18": true, "birthdate": "1990-01-01T00:00:00.000Z"},
        "visits": ["2019-02-01"],
        "date": "2019-02-01",
        "without_a_zone": "2007-01-02T18:04:07",
        "offset": "2006-01-02T15:04:05.07-0800",
        "words": "25 Mar 2015",
        "with_a_space": "2024-01-01 10:00:00",
        "digits": "1715679015",
        "impossible": "2024-02-30",
        "before_1970": "1955-10-05",
    })
}

pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut told = |name, writes: Vec<CustomerioWrite>| samples.push(Sample { name, writes, dates_as_seconds: true });
    let mut plain = |name, write| told(name, vec![write]);

    plain("update by cio_id", identify(own(), false, json!({"has_open_ticket": true, "open_ticket_count": 2, "none": null}), json!({})));
    plain("update by id", identify(user(), false, json!({"plan": "pro"}), json!({"email": "user@example.com"})));
    plain("update by address", identify(email(), false, json!({"plan": "pro"}), json!({})));
    let given = json!({"created_at": 1_700_000_000, "phone": "+15555550100", "timezone": "Europe/Berlin"});
    plain("create", identify(user(), true, given, json!({"email": "user@example.com"})));
    plain("unsubscribe", identify(own(), false, json!({}), json!({"unsubscribed": true})));
    plain("unsubscribe from a topic", identify(own(), false, json!({}), json!({"cio_subscription_preferences.topics.topic_3": false})));
    let foreign = json!({
        "plan": "pro", "id": "43", "email": "x@example.com", "cio_id": "09", "anonymous_id": "a", "unsubscribed": true, "_update": false,
        "cio_subscription_preferences": {"topics": {"topic_1": true}}, "cio_subscription_preferences.topics.topic_1": true,
        "cio_relationships": [], "_timestamp": 1,
    });
    plain("attributes that name somebody or change what they agreed to", identify(own(), false, foreign, json!({})));
    plain("attributes with dates", identify(user(), false, dates(), json!({})));
    plain("what is its own is no date", identify(own(), false, json!({"at": "2024-01-01"}), json!({"at": "2024-01-02"})));
    plain("merge", CustomerioWrite::Merge { primary: own(), secondary: user() });
    plain("merge an address", CustomerioWrite::Merge { primary: user(), secondary: email() });
    let by_cio_id = ProfileRef::By(IdKind::CioId, "cio_03000002".to_owned());
    plain("merge a cio_id", CustomerioWrite::Merge { primary: email(), secondary: by_cio_id });

    plain(
        "event",
        act(own(), "track_event", json!({"name": "support_ticket_opened", "properties": {"ticket_id": "7", "priority": "high"}})),
    );
    let overriding = json!({"a": 1, "recipient": "x@example.com", "from_address": "y@example.com", "reply_to": "z@example.com"});
    plain("event that would override a campaign", act(user(), "track_event", json!({"name": "order", "properties": overriding})));
    plain("event with dates", act(user(), "track_event", json!({"name": "order", "properties": dates()})));
    let address = format!("https://example.com/{}", "deep/".repeat(30));
    plain("page", act(email(), "track_page", json!({"name": address, "properties": {"url": address, "title": "Deep"}})));
    plain("screen", act(user(), "track_screen", json!({"name": "Home"})));

    let company =
        json!({"type": "1", "id": "acme", "attributes": {"name": "Acme", "since": "2019-02-01"}, "relationship": {"role": "admin"}});
    plain("object of somebody", act(own(), "upsert_object", company.clone()));
    plain("object of nobody", act(None, "upsert_object", company));
    plain("object without attributes", act(user(), "upsert_object", json!({"id": "acme"})));
    plain("delete an object", act(own(), "delete_object", json!({"type": "2", "id": "acme"})));
    plain("remove a relationship", act(own(), "remove_relationship", json!({"id": "acme"})));

    plain("delete", act(own(), "delete_person", json!({})));
    plain("suppress", act(user(), "suppress_person", json!({})));
    plain("unsuppress", act(email(), "unsuppress_person", json!({})));
    let device = json!({"token": "device_123", "platform": "ios", "last_used": "2026-01-10T04:22:28Z",
        "attributes": {"app_version": "1.2.3", "push_enabled": true, "seats": 4, "none": null, "_last_status": "sent", "tags": ["a"]}});
    plain("add a device", act(user(), "add_device", device));
    plain("add a device that was used just now", act(own(), "add_device", json!({"token": "device_123", "platform": "Android"})));
    plain("delete a device", act(user(), "delete_device", json!({"token": "device_123"})));

    plain("add to a segment", act(own(), "add_to_segment", json!({"segment": "7"})));
    plain("add to a segment by id", act(user(), "add_to_segment", json!({"segment": "7"})));
    plain("remove from a segment by address", act(email(), "remove_from_segment", json!({"segment": "7"})));
    let enter = |id: &str| act(ProfileRef::By(IdKind::UserId, id.to_owned()), "add_to_segment", json!({"segment": "7"}));
    told("add several to a segment", vec![enter("42"), enter("43")]);

    told(
        "batch",
        vec![
            identify(own(), false, json!({"has_open_ticket": true}), json!({})),
            act(own(), "track_event", json!({"name": "support_ticket_opened"})),
            act(None, "upsert_object", json!({"id": "acme"})),
            CustomerioWrite::Merge { primary: own(), secondary: user() },
            act(email(), "delete_person", json!({})),
        ],
    );
    let as_text = vec![identify(user(), false, dates(), json!({}))];
    samples.push(Sample { name: "attributes with dates that stay text", writes: as_text, dates_as_seconds: false });
    samples
}
