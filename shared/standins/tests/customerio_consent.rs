//! Subscriptions of Customer.io: what counts as unsubscribed, topics, and what is told of both.

mod support;

use serde_json::{Value, json};
use support::{Cio, NOW, identify};
use trefoil_standins::customerio::{
    Endpoint, Identification, Identifier, Options, PreferenceContent, Profile, Removal, TopicOrder, Variants, sign,
};

const WHO: &str = "u1";

fn person(t: &Cio) -> Profile {
    t.cio.profile(&Identifier::Id(WHO.to_owned())).expect("a profile")
}

async fn write(t: &Cio, attributes: Value, timestamp: i64) {
    assert_eq!(t.entity(&identify(&json!({"id": WHO}), &attributes, timestamp)).await.status, 200);
}

/// Names of the webhooks since the last call.
fn told(t: &Cio) -> Vec<String> {
    t.cio.take_webhooks().into_iter().map(|webhook| webhook.name).collect()
}

#[tokio::test]
async fn any_spelling_of_true_is_unsubscribed() {
    let t = Cio::start(Variants { removal: Removal::NullOrEmpty, ..Variants::default() }).await;
    for out in [json!(true), json!("TRUE"), json!("True"), json!(1), json!("1")] {
        for subscribed in [json!(false), json!("yes"), json!(2), json!("0"), json!(null), json!({})] {
            write(&t, json!({"unsubscribed": out}), NOW).await;
            assert!(person(&t).is_unsubscribed(), "{out}");
            assert_eq!(t.app("/v1/customers/u1/attributes").await.json()["customer"]["unsubscribed"], true);
            write(&t, json!({"unsubscribed": subscribed}), NOW).await;
            assert!(!person(&t).is_unsubscribed(), "{subscribed}");
            assert_eq!(told(&t), ["customer_unsubscribed", "customer_subscribed"], "{out} {subscribed}");
        }
    }
}

#[tokio::test]
async fn a_change_of_consent_is_told_in_the_vendors_shape() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some(WHO), Some("ada@example.com"), &[]);
    write(&t, json!({"unsubscribed": true, "plan": "pro", "_update": true}), NOW - 5).await;
    let [webhook] = t.cio.take_webhooks().try_into().expect("one webhook");
    let expected = json!({
        "event_id": webhook.event_id, "object_type": "customer", "metric": "unsubscribed", "timestamp": NOW,
        "data": {"customer_id": "u1", "email_address": "ada@example.com",
                 "identifiers": {"id": "u1", "email": "ada@example.com", "cio_id": cio_id}},
    });
    assert_eq!((webhook.json(), webhook.endpoint, webhook.sent_at), (expected, Endpoint::Reporting, NOW));
    assert_eq!(webhook.signature, sign("standin-reporting-key", NOW, &webhook.body));
    // A ULID of this time: 2026-01-10T07:56:29Z.
    assert_eq!((webhook.event_id.len(), &webhook.event_id[..10]), (26, "01KEKEG7Y8"));

    // A workspace that knows ids alone tells ids alone.
    let t = Cio::with(Options { identification: Identification::IdOnly, ..Options::default() }).await;
    write(&t, json!({"unsubscribed": true}), NOW).await;
    assert_eq!(t.cio.take_webhooks()[0].json()["data"]["identifiers"], json!({"id": "u1"}));
}

#[tokio::test]
async fn the_same_consent_is_told_again_or_not() {
    for identical_consent_tells in [false, true] {
        let t = Cio::start(Variants { identical_consent_tells, ..Variants::default() }).await;
        write(&t, json!({"plan": "pro"}), NOW).await;
        assert!(told(&t).is_empty(), "consent was not written");
        write(&t, json!({"unsubscribed": false}), NOW).await;
        write(&t, json!({"unsubscribed": true}), NOW).await;
        write(&t, json!({"unsubscribed": "1"}), NOW).await;
        write(&t, json!({"cio_subscription_preferences": {"topics": {"topic_1": false}}}), NOW).await;
        write(&t, json!({"cio_subscription_preferences.topics.topic_1": false}), NOW).await;
        // What is too old is not written, and so not told.
        write(&t, json!({"unsubscribed": false, "cio_subscription_preferences.topics.topic_1": true}), NOW - 1).await;
        let (subscribed, out, preferences) =
            ("customer_subscribed", "customer_unsubscribed", "customer_cio_subscription_preferences_changed");
        let expected = if identical_consent_tells { vec![subscribed, out, out, preferences, preferences] } else { vec![out, preferences] };
        assert_eq!(told(&t), expected);
    }
}

#[tokio::test]
async fn topics_are_replaced_together_or_set_one_by_one() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_topic(1, "News", false);
    t.cio.add_topic(4, "Offers", true);
    write(&t, json!({"cio_subscription_preferences": {"topics": {"topic_1": true, "topic_2": false}}}), NOW).await;
    write(&t, json!({"cio_subscription_preferences.topics.topic_3": false}), NOW).await;
    let topics = |t: &Cio| [1, 2, 3, 4].map(|topic| person(t).topic(topic));
    assert_eq!(topics(&t), [Some(true), Some(false), Some(false), None]);
    let attributes = t.app("/v1/customers/u1/attributes").await.json()["customer"]["attributes"].clone();
    let parsed = |name: &str| serde_json::from_str::<Value>(attributes[name].as_str().expect("a text")).expect("JSON");
    assert_eq!(parsed("cio_subscription_preferences"), json!({"topics": {"topic_1": true, "topic_2": false, "topic_3": false}}));
    assert_eq!(
        parsed("_cio_subscription_preferences_computed"),
        json!({"topics": {"topic_1": true, "topic_2": false, "topic_3": false, "topic_4": true}})
    );
    // "Empty values use the topic default."
    write(&t, json!({"cio_subscription_preferences.topics.topic_1": null}), NOW).await;
    assert_eq!(topics(&t), [None, Some(false), Some(false), None]);
    // The nested form replaces all.
    write(&t, json!({"cio_subscription_preferences": {"topics": {"topic_4": false}}}), NOW).await;
    assert_eq!(topics(&t), [None, None, None, Some(false)]);
}

#[tokio::test]
async fn a_topic_is_as_old_as_itself_or_as_all_of_them() {
    for (topic_order, late) in [(TopicOrder::PerTopic, Some(true)), (TopicOrder::AllTogether, None)] {
        let t = Cio::start(Variants { topic_order, ..Variants::default() }).await;
        write(&t, json!({"cio_subscription_preferences.topics.topic_1": false}), NOW).await;
        write(&t, json!({"cio_subscription_preferences.topics.topic_2": true}), NOW - 5).await;
        write(&t, json!({"cio_subscription_preferences.topics.topic_1": true}), NOW - 5).await;
        assert_eq!((person(&t).topic(1), person(&t).topic(2)), (Some(false), late), "{topic_order:?}");
        // All were replaced later than that, by whatever reading.
        write(&t, json!({"cio_subscription_preferences": {"topics": {}}}), NOW + 9).await;
        write(&t, json!({"cio_subscription_preferences.topics.topic_2": true}), NOW + 8).await;
        assert_eq!((person(&t).topic(1), person(&t).topic(2)), (None, None), "{topic_order:?}");
    }
}

#[tokio::test]
async fn preferences_are_told_with_or_without_content() {
    for (with_content, preference_content, object_type_type, content) in [
        (false, PreferenceContent::All, false, None),
        (true, PreferenceContent::All, false, Some(json!({"topics": {"topic_1": true, "topic_2": false}}))),
        (true, PreferenceContent::Changed, true, Some(json!({"topics": {"topic_2": false}}))),
    ] {
        let variants = Variants { preference_content, object_type_type, ..Variants::default() };
        let t = Cio::with(Options { with_content, variants, ..Options::default() }).await;
        let cio_id = t.cio.add_profile(Some(WHO), None, &[("cio_subscription_preferences", json!({"topics": {"topic_1": true}}))]);
        let by_hand = t.cio.set_topic(&cio_id, 2, false).expect("a profile");
        assert!(t.cio.take_webhooks().is_empty(), "what is done by hand is returned");
        let [webhook] = by_hand.try_into().expect("one webhook");
        let body = webhook.json();
        assert_eq!((&body["metric"], &body["data"]["email_address"]), (&json!("cio_subscription_preferences_changed"), &json!(null)));
        let told =
            body["data"].get("content").map(|content| serde_json::from_str::<Value>(content.as_str().expect("a text")).expect("JSON"));
        assert_eq!(told, content);
        assert_eq!((body.get("object_type").is_some(), body.get("object_type_type").is_some()), (!object_type_type, object_type_type));
        assert_eq!(person(&t).topic(2), Some(false));
    }
}

#[tokio::test]
async fn people_subscribe_and_unsubscribe_by_hand() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some(WHO), None, &[]);
    let names = |webhooks: Vec<trefoil_standins::customerio::Webhook>| webhooks.into_iter().map(|webhook| webhook.name).collect::<Vec<_>>();
    assert_eq!(names(t.cio.unsubscribe(&cio_id).expect("a profile")), ["customer_unsubscribed"]);
    assert!(person(&t).is_unsubscribed());
    assert_eq!(names(t.cio.subscribe(&cio_id).expect("a profile")), ["customer_subscribed"]);
    assert!(!person(&t).is_unsubscribed());
    assert_eq!(names(t.cio.edit_profile(&cio_id, &[("unsubscribed", json!("1"))])), ["customer_unsubscribed"]);
    for none in [t.cio.unsubscribe("ffff06ffffff"), t.cio.subscribe("ffff06ffffff"), t.cio.set_topic("ffff06ffffff", 1, true)] {
        assert_eq!(none.expect_err("nobody").to_string(), "no profile of this workspace has the cio_id ffff06ffffff");
    }
}
