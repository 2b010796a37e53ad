//! What Customer.io tells of messages and campaigns, and how it is signed and sent.

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Cio, NOW, event, identify, receiver};
use trefoil_standins::customerio::{
    Campaign, Channel, Endpoint, Identifier, Message, Options, Retry, SendError, SentBy, UnsubscribeClick, Variants, Webhook, sign,
};

const ULID: &str = "01HV3Z8M9QF0Q2T9ZK3B3V6W7X";

fn one(webhooks: Vec<Webhook>) -> Webhook {
    let [webhook] = webhooks.try_into().expect("one webhook");
    let key = match webhook.endpoint {
        Endpoint::Reporting => "standin-reporting-key",
        Endpoint::Action => "standin-action-key",
    };
    assert_eq!(webhook.signature, sign(key, webhook.sent_at, &webhook.body), "{}", webhook.name);
    webhook
}

fn names(webhooks: &[Webhook]) -> Vec<&str> {
    webhooks.iter().map(|webhook| webhook.name.as_str()).collect()
}

/// The vector of the notes, 2.4.
#[test]
fn the_signature_is_over_version_time_and_body() {
    let body = r#"{"event_id":"01E4C4CT6YDC7Y5M7FE1GWWPQJ","object_type":"customer","metric":"unsubscribed","timestamp":1613063089,"data":{"customer_id":"42","email_address":"test@example.com","identifiers":{"id":"42","email":"test@example.com","cio_id":"d9c106000001"}}}"#;
    let expected = "fdaf0700b417aaa915757803ce7f80724ab1fdda23f99b52059d7c05245fedf2";
    assert_eq!(sign("test-signing-key", 1_613_063_089, body.as_bytes()), expected);
}

#[tokio::test]
async fn a_click_names_its_message_and_its_person() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[]);
    let message = Message {
        delivery_id: Some("RPILAgUBcRhIBqSfeiIwdIYJKxTY".to_owned()),
        subject: Some("Your trial".to_owned()),
        href: Some("https://example.com/pricing".to_owned()),
        link_id: Some(1),
        machine: Some(false),
        content: Some("<p>never told of a click</p>".to_owned()),
        ..Message::default()
    };
    let webhook = one(t.cio.metric(&cio_id, Channel::Email, "clicked", &message));
    let mut body = webhook.json();
    assert_eq!(body["data"]["journey_id"].as_str().map(str::len), Some(26));
    body["data"].as_object_mut().expect("an object").remove("journey_id");
    let expected = json!({
        "event_id": webhook.event_id, "object_type": "email", "metric": "clicked", "timestamp": NOW,
        "data": {"customer_id": "u1", "identifiers": {"id": "u1", "email": "ada@example.com", "cio_id": cio_id},
                 "delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY", "campaign_id": 7, "action_id": 96, "trigger_event_id": null,
                 "recipient": "ada@example.com", "subject": "Your trial", "href": "https://example.com/pricing", "link_id": 1,
                 "machine": false},
    });
    assert_eq!((body, webhook.endpoint), (expected, Endpoint::Reporting));
    assert!(t.cio.take_webhooks().is_empty(), "what is done by hand is returned");
}

#[tokio::test]
async fn messages_differ_by_channel_and_parent() {
    let t = Cio::with(Options { with_content: true, ..Options::default() }).await;
    let cio_id = t.cio.add_profile(Some("u1"), None, &[("phone", json!("+15550100123"))]);
    let device = json!({"token": "t1", "platform": "android"});
    t.entity(&json!({"type": "person", "action": "add_device", "identifiers": {"id": "u1"}, "device": device})).await;
    let told = |channel, metric, message: &Message| one(t.cio.metric(&cio_id, channel, metric, message)).json()["data"].clone();

    let failed = Message { failure_message: Some("bad token".to_owned()), ..Message::default() };
    let push = told(Channel::Push, "bounced", &failed);
    assert_eq!(push["recipients"], json!([{"device_id": "t1", "device_platform": "android", "failure_message": "bad token"}]));
    assert!(push.get("recipient").is_none() && push.get("failure_message").is_none());
    let sms = told(Channel::Sms, "attempted", &failed);
    assert_eq!((sms.get("recipient"), &sms["failure_message"]), (None, &json!("bad token")));
    assert_eq!(told(Channel::Sms, "delivered", &Message::default())["recipient"], "+15550100123");

    let sent_by = SentBy::Newsletter { newsletter_id: 10, content_id: 3 };
    let newsletter = Message { sent_by, content: Some("<p>Hello</p>".to_owned()), ..Message::default() };
    let sent = told(Channel::Email, "sent", &newsletter);
    assert_eq!((&sent["newsletter_id"], &sent["content_id"], &sent["content"]), (&json!(10), &json!(3), &json!("<p>Hello</p>")));
    assert!(sent.get("campaign_id").is_none() && sent.get("journey_id").is_none());
    let sent_by = SentBy::Broadcast { broadcast_id: 2, trigger_id: 1, action_id: 96 };
    assert_eq!(told(Channel::InApp, "opened", &Message { sent_by, ..Message::default() })["broadcast_id"], 2);
    let sent_by = SentBy::Transactional { transactional_message_id: 5 };
    assert_eq!(told(Channel::Email, "opened", &Message { sent_by, ..Message::default() })["transactional_message_id"], 5);

    // Metrics go on after the person is gone.
    t.cio.delete_profile(&cio_id);
    let late = told(Channel::Email, "opened", &Message::default());
    assert_eq!((&late["customer_id"], &late["identifiers"]), (&json!(""), &json!({"id": null, "email": null, "cio_id": cio_id})));
}

#[tokio::test]
async fn a_click_on_unsubscribe_tells_once_or_twice() {
    for (unsubscribe_click, second) in [
        (UnsubscribeClick::Metric, None),
        (UnsubscribeClick::MetricAndChannel, Some("email")),
        (UnsubscribeClick::MetricAndCustomer, Some("customer")),
    ] {
        let t = Cio::start(Variants { unsubscribe_click, ..Variants::default() }).await;
        let cio_id = t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[]);
        let told = t.cio.metric(&cio_id, Channel::Email, "unsubscribed", &Message::default());
        let bodies: Vec<Value> = told.iter().map(Webhook::json).collect();
        assert_eq!(bodies.len(), 1 + usize::from(second.is_some()));
        assert_eq!((&bodies[0]["object_type"], &bodies[0]["metric"]), (&json!("email"), &json!("unsubscribed")));
        assert!(bodies[0]["data"]["delivery_id"].is_string() && bodies[0]["data"].get("email_address").is_none());
        if let Some(object_type) = second {
            assert_eq!((&bodies[1]["object_type"], &bodies[1]["metric"]), (&json!(object_type), &json!("unsubscribed")));
            assert!(bodies[1]["data"]["email_address"].is_string() && bodies[1]["data"].get("delivery_id").is_none());
            assert_ne!(told[0].event_id, told[1].event_id);
        }
        assert!(t.cio.profile(&Identifier::CioId(cio_id)).expect("a profile").is_unsubscribed());
    }
}

#[tokio::test]
async fn webhook_actions_by_hand_follow_the_contract() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(None, Some("ada@example.com"), &[("seats", json!(3)), ("trial", json!(false))]);
    let entered = one(t.cio.segment_entered(&cio_id, 42, "At-Risk Accounts").expect("a profile"));
    let mut body = entered.json();
    assert_eq!(body["campaign"]["journey_id"].as_str().map(str::len), Some(26));
    body["campaign"] = json!(null);
    let expected = json!({
        "schema": "cio-sync/1", "type": "segment.entered", "event_id": entered.event_id, "occurred_at": NOW,
        "person": {"id": "", "email": "ada@example.com", "cio_id": cio_id}, "segment": {"id": 42, "name": "At-Risk Accounts"},
        "campaign": null,
    });
    assert_eq!((body, entered.endpoint), (expected, Endpoint::Action));
    assert_eq!(entered.event_id.len(), 28);

    let left = one(t.cio.segment_left(&cio_id, 42, "At-Risk Accounts").expect("a profile"));
    assert_eq!((left.name.as_str(), left.event_id == entered.event_id), ("segment.left", false));
    let conversion = one(t.cio.conversion(&cio_id, "order_completed", ULID, 49.5, "EUR").expect("a profile"));
    let expected = json!({"name": "order_completed", "source_event_id": ULID, "value": 49.5, "currency": "EUR"});
    assert_eq!(conversion.json()["conversion"], expected);
    let risk = one(t.cio.churn_risk(&cio_id, "No login for 30 days").expect("a profile"));
    assert_eq!((risk.name.as_str(), &risk.json()["reason"]), ("churn_risk", &json!("No login for 30 days")));
    // Attributes are texts in Liquid.
    let changed = one(t.cio.attributes_changed(&cio_id, &["seats", "trial", "plan"]).expect("a profile"));
    assert_eq!(changed.json()["attributes"], json!({"seats": "3", "trial": "false", "plan": ""}));
    assert!(t.cio.churn_risk("ffff06ffffff", "nobody").is_err());
}

async fn with_campaigns() -> Cio {
    let waiting = ("has_open_ticket".to_owned(), "true".to_owned(), "Waiting".to_owned());
    let campaigns = vec![
        Campaign::AttributesChanged(vec!["plan".to_owned(), "email".to_owned()]),
        Campaign::EventConverts("order_completed".to_owned()),
        Campaign::SegmentOf { attribute: waiting.0, value: waiting.1, segment: 8, name: waiting.2 },
    ];
    Cio::with(Options { campaigns, ..Options::default() }).await
}

#[tokio::test]
async fn campaigns_tell_of_attributes_and_segments_whoever_changed_them() {
    let t = with_campaigns().await;
    let cio_id = t.cio.add_profile(Some("u1"), None, &[("plan", json!("free"))]);
    let write = async |attributes: Value| {
        assert_eq!(t.entity(&identify(&json!({"id": "u1"}), &attributes, NOW)).await.status, 200);
        t.cio.take_webhooks()
    };
    let changed = one(write(json!({"plan": "pro", "seats": 2})).await);
    assert_eq!((changed.name.as_str(), changed.json()["attributes"].clone()), ("attributes.changed", json!({"plan": "pro", "email": ""})));
    assert!(write(json!({"plan": "pro", "seats": 3})).await.is_empty(), "the same, and one that nobody watches");
    let claimed = one(write(json!({"email": "ada@example.com"})).await);
    assert_eq!((&claimed.json()["attributes"]["email"], &claimed.json()["campaign"]["id"]), (&json!("ada@example.com"), &json!("101")));

    let entered = one(write(json!({"has_open_ticket": true})).await);
    assert_eq!((entered.name.as_str(), entered.json()["segment"].clone()), ("segment.entered", json!({"id": 8, "name": "Waiting"})));
    assert_eq!(t.cio.members(8), [cio_id.as_str()]);
    assert!(write(json!({"has_open_ticket": "true"})).await.is_empty());
    let by_hand = t.cio.edit_profile(&cio_id, &[("has_open_ticket", json!(false)), ("plan", json!("free"))]);
    assert_eq!(names(&by_hand), ["attributes.changed", "segment.left"]);
    assert!(t.cio.take_webhooks().is_empty() && t.cio.members(8).is_empty());
    // A new profile enters too.
    t.entity(&identify(&json!({"id": "u2"}), &json!({"has_open_ticket": true}), NOW)).await;
    assert_eq!(one(t.cio.take_webhooks()).json()["person"]["id"], "u2");
}

#[tokio::test]
async fn an_event_converts_once_if_it_is_young_enough() {
    let t = with_campaigns().await;
    t.cio.add_profile(Some("u1"), None, &[]);
    let mut order = event(&json!({"id": "u1"}), "order_completed", ULID);
    order["timestamp"] = json!(NOW - 60);
    order["attributes"] = json!({"total": "49.50", "currency": "EUR"});
    t.entity(&order).await;
    let converted = one(t.cio.take_webhooks());
    let expected = json!({"name": "order_completed", "source_event_id": ULID, "value": 49.5, "currency": "EUR"});
    assert_eq!((converted.json()["conversion"].clone(), converted.json()["occurred_at"].clone()), (expected, json!(NOW - 60)));
    t.entity(&order).await;
    let other = "01HV3Z8M9QF0Q2T9ZK3B3V6W7Y";
    t.entity(&event(&json!({"id": "u1"}), "order_cancelled", other)).await;
    order["id"] = json!("01HV3Z8M9QF0Q2T9ZK3B3V6W7Z");
    order["timestamp"] = json!(NOW - 72 * 3600 - 1);
    t.entity(&order).await;
    assert!(t.cio.take_webhooks().is_empty(), "a repeat, another event, and one that is too old");
    let mut bare = event(&json!({"id": "u1"}), "order_completed", "01HV3Z8M9QF0Q2T9ZK3B3V6W70");
    bare["attributes"] = json!({"total": "much"});
    t.entity(&bare).await;
    assert_eq!(one(t.cio.take_webhooks()).json()["conversion"]["value"], 0.0);
}

#[tokio::test]
async fn the_same_seed_tells_the_same() {
    let told = async |seed| {
        let t = Cio::with(Options { seed, ..Options::default() }).await;
        let cio_id = t.cio.add_profile(Some("u1"), None, &[]);
        let webhooks = [t.cio.unsubscribe(&cio_id).expect("a profile"), t.cio.churn_risk(&cio_id, "quiet").expect("a profile")];
        webhooks.concat()
    };
    assert_eq!(told(3).await, told(3).await);
    assert_ne!(told(3).await[0].event_id, told(4).await[0].event_id);
}

// --------------------------------------------------------------------------------------------------- sending

#[tokio::test]
async fn webhooks_are_posted_with_time_and_signature() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some("u1"), None, &[]);
    let webhook = one(t.cio.unsubscribe(&cio_id).expect("a profile"));
    let (url, mut tells) = receiver().await;
    assert_eq!(t.cio.send(&url, &webhook).await.expect("an answer"), 202);
    let (headers, body) = tells.recv().await.expect("a webhook");
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!((body.clone(), header("content-type")), (webhook.body.clone(), Some("application/json")));
    assert_eq!(header("x-cio-timestamp"), Some(NOW.to_string().as_str()));
    assert_eq!(header("x-cio-signature"), Some(sign("standin-reporting-key", NOW, &body).as_str()));
    // Port 1 of this machine: nobody listens there.
    assert!(matches!(t.cio.send("http://127.0.0.1:1/", &webhook).await, Err(SendError::Connection(_))));
}

#[tokio::test]
async fn a_further_try_is_signed_anew_or_not() {
    for (retry, sent_at) in [(Retry::SignedAnew, NOW + 3600), (Retry::AsFirst, NOW)] {
        let t = Cio::start(Variants { retry, ..Variants::default() }).await;
        let cio_id = t.cio.add_profile(Some("u1"), None, &[]);
        for first in [one(t.cio.unsubscribe(&cio_id).expect("a profile")), one(t.cio.churn_risk(&cio_id, "quiet").expect("a profile"))] {
            t.clock.set(NOW + 3600);
            let second = one(vec![t.cio.redelivery(&first)]);
            assert_eq!((&second.body, &second.event_id, second.sent_at), (&first.body, &first.event_id, sent_at), "{retry:?}");
            t.clock.set(NOW);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_has_four_seconds() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some("u1"), None, &[]);
    let webhook = one(t.cio.unsubscribe(&cio_id).expect("a profile"));
    // It takes the connection and stays silent. Paused time jumps to the deadline as soon as nothing else can go on.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    let kept = tokio::spawn(async move { silent.accept().await });
    let sent = t.cio.send(&url, &webhook).await;
    assert!(matches!(sent, Err(SendError::TooLate(deadline)) if deadline == Duration::from_secs(4)), "{sent:?}");
    drop(kept);
}
