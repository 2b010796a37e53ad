//! What Segment tells back: echoes, the customer's own product, Engage, and the tools that it feeds by itself.

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::NOW;
use support::segment::{NOW_ISO, Seg};
use tokio::sync::mpsc;
use trefoil_standins::segment::{
    Audience, BatchSignature, Caller, EmailMessage, IdSync, Kind, Native, NativeKind, Options, SendError, SentAs, Variants, WebhookKind,
    sign, tries_again,
};

const SECRET: &str = "standin-shared-secret";

#[tokio::test]
async fn what_is_written_comes_back_unless_it_says_otherwise() {
    let t = Seg::start(Variants::default()).await;
    let event = |id: &str, integrations: Value| json!({"type": "track", "userId": "u1", "event": "E", "messageId": id, "integrations": integrations});
    t.batch(json!([
        event("plain", json!({})),
        event("off", json!({"Webhooks (Actions)": false})),
        event("off by its other name", json!({"Webhook": false})),
        event("off by one of two names", json!({"Webhook": true, "Webhooks (Actions)": false})),
        event("all off", json!({"All": false})),
        event("all but this one off", json!({"All": false, "Webhooks (Actions)": true})),
        event("settings", json!({"All": false, "Webhooks (Actions)": {"a": 1}})),
        event("others off", json!({"Customer.io (Actions)": false, "webhooks (actions)": false, "Webhooks": false})),
    ]))
    .await;
    let webhooks = t.segment.take_webhooks();
    let ids: Vec<_> = webhooks.iter().flat_map(|webhook| webhook.ids.clone()).collect();
    assert_eq!(ids, ["plain", "all but this one off", "settings", "others off"]);
    assert_eq!(webhooks[0].json(), json!(t.segment.messages()[0].json));
    for webhook in webhooks {
        assert_eq!(webhook.signature, Some(sign(SECRET, &webhook.body)));
    }
    assert!(t.segment.take_webhooks().is_empty());
}

#[tokio::test]
async fn batches_are_signed_whole_or_over_their_first() {
    // From RFC 2202.
    assert_eq!(sign("Jefe", b"what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    for over in [BatchSignature::Whole, BatchSignature::First] {
        let t = Seg::start(Variants { batch_signature: over, ..Variants::default() }).await;
        for n in 0..5 {
            t.segment.app_track(&Caller::user("u1"), &format!("Événement {n}"), &json!({}));
        }
        let batches = t.segment.batch_webhooks(2);
        assert_eq!(batches.iter().map(|batch| batch.ids.len()).collect::<Vec<_>>(), [2, 2, 1]);
        for batch in batches {
            let elements: Vec<Box<serde_json::value::RawValue>> = serde_json::from_slice(&batch.body).expect("an array");
            let signed = match over {
                BatchSignature::Whole => batch.body.as_ref(),
                BatchSignature::First => elements[0].get().as_bytes(),
            };
            assert_eq!(batch.signature, Some(sign(SECRET, signed)));
        }
    }
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_without_a_destination_nothing_is_told() {
    for (webhooks, told) in [(Some(String::new()), 1), (None, 0)] {
        let t = Seg::with(Options { webhooks, ..Options::default() }).await;
        t.segment.app_track(&Caller::user("u1"), "E", &json!({}));
        let webhooks = t.segment.take_webhooks();
        assert_eq!(webhooks.len(), told);
        assert!(webhooks.iter().all(|webhook| webhook.signature.is_none()));
    }
}

#[tokio::test]
async fn the_customers_product_speaks_like_segments_libraries() {
    let t = Seg::start(Variants::default()).await;
    let ada = Caller { email: Some("ada@example.com".to_owned()), ..Caller::user("u1") };
    let id = t.segment.app_identify(&ada, &json!({"plan": "pro"}));
    t.segment.app_page(&Caller::visitor("a1"), "Pricing", &json!({"url": "https://example.com/pricing"}));
    t.segment.app_group(&Caller::on_server("u1"), "acme", &json!({"name": "Acme"}));
    t.segment.app_alias(&Caller::on_server("u1"), "a1");
    t.segment.app_screen(&Caller::on_server("u1"), "Home", &json!({}));
    let told = t.told();
    assert_eq!(told.iter().map(|told| told["type"].clone()).collect::<Vec<_>>(), ["identify", "page", "group", "alias", "screen"]);
    assert_eq!((&told[0]["messageId"], &told[0]["userId"], &told[0]["timestamp"]), (&json!(id), &json!("u1"), &json!(NOW_ISO)));
    assert!(id.starts_with(&format!("ajs-next-{}-", NOW * 1000)), "{id}");
    assert_eq!(told[0]["context"]["library"]["name"], "analytics.js");
    assert_eq!((&told[0]["context"]["traits"]["email"], &told[0]["anonymousId"]), (&json!("ada@example.com"), &json!("browser-of-u1")));
    assert_eq!((&told[1]["userId"], &told[1]["anonymousId"]), (&Value::Null, &json!("a1")));
    assert_eq!((&told[2]["context"]["library"]["name"], told[2].get("anonymousId")), (&json!("@segment/analytics-node"), None));
    // It is not what the API was asked.
    assert!(t.segment.messages().is_empty());
    assert_eq!(t.segment.profile("u1").expect("a profile").traits["plan"], "pro");
    // Ids are compared across sources: an id used again is not heard, wherever it came from first.
    t.batch(json!([{"type": "track", "userId": "u1", "event": "E", "messageId": id}])).await;
    assert_eq!((t.segment.duplicates(), t.told().len()), (vec![id], 0));
    let fields = json!({"event": "E", "timestamp": "2026-01-01T00:00:00Z", "integrations": {"All": false}});
    t.segment.app_call(&ada, Kind::Track, &fields);
    assert!(t.told().is_empty());
    assert_eq!(t.segment.profile("u1").expect("a profile").events[0].timestamp_ms, 1_767_225_600_000);
    // A mistake of theirs is lost as one of ours would be.
    t.segment.app_track(&ada, "", &json!({}));
    assert_eq!(t.reasons().len(), 1);
}

#[tokio::test]
async fn an_audience_is_told_for_each_identifier() {
    let with = |email_message, id_sync| {
        let variants = Variants { email_message, ..Variants::default() };
        Options { variants, id_sync, ..Options::default() }
    };
    let ada = || Caller { email: Some("ada@example.com".to_owned()), ..Caller::user("u1") };
    let shoppers = Audience::new("shoppers");
    let t = Seg::with(with(EmailMessage::MadeUpAnonymousId, IdSync::All)).await;
    assert_eq!(t.segment.engage_audience("u1", &shoppers, true, SentAs::Track), 0, "nobody has this id");
    t.segment.app_identify(&ada(), &json!({}));
    t.told();
    assert_eq!(t.segment.engage_audience("u1", &shoppers, true, SentAs::Track), 2);
    let told = t.told();
    let personas = json!({"computation_class": "audience", "computation_id": "aud_shoppers", "computation_key": "shoppers",
                          "namespace": "spa_1", "space_id": "spa_1"});
    for told in &told {
        assert_eq!((&told["event"], &told["context"]["personas"]), (&json!("Audience Entered"), &personas));
        assert_eq!(told["properties"], json!({"audience_key": "shoppers", "shoppers": true}));
        assert_eq!(told["integrations"], json!({"All": false, "Webhook": true, "Webhooks (Actions)": true}));
        assert!(told["messageId"].as_str().is_some_and(|id| id.starts_with("personas_")));
    }
    assert_eq!((&told[0]["userId"], told[0]["context"].get("traits")), (&json!("u1"), None));
    assert_eq!((told[1].get("userId"), &told[1]["context"]["traits"]["email"]), (None, &json!("ada@example.com")));
    assert!(told[1]["anonymousId"].as_str().is_some_and(|id| id.starts_with("eml_")));
    assert_eq!(t.segment.profile("u1").expect("a profile").traits["shoppers"], true);
    // As identify, and by the other readings of what goes with an address.
    for (email_message, user_id) in [(EmailMessage::UserId, json!("u1")), (EmailMessage::Nothing, Value::Null)] {
        let t = Seg::with(with(email_message, IdSync::Email)).await;
        t.segment.app_identify(&ada(), &json!({}));
        t.told();
        assert_eq!(t.segment.engage_audience("u1", &shoppers, true, SentAs::Identify), 1);
        let told = t.told();
        assert_eq!((told[0]["userId"].clone(), told[0].get("anonymousId")), (user_id, None));
        assert_eq!(told[0]["traits"], json!({"shoppers": true, "email": "ada@example.com"}));
        // Of leaving, every identifier is told.
        assert_eq!(t.segment.engage_audience("u1", &shoppers, false, SentAs::Identify), 2);
        assert_eq!(t.told()[0]["traits"], json!({"shoppers": false}));
    }
}

#[tokio::test]
async fn journeys_and_computed_traits_are_told() {
    for (journey_text, value) in [(true, json!("true")), (false, json!(true))] {
        let t = Seg::start(Variants { journey_text, ..Variants::default() }).await;
        t.segment.app_identify(&Caller::user("u1"), &json!({}));
        t.told();
        let step = Audience::new("j_o_welcome");
        assert_eq!(t.segment.engage_audience("u1", &step, false, SentAs::Identify), 0, "entry only");
        t.segment.engage_audience("u1", &step, true, SentAs::Identify);
        t.segment.journey_step("u1", "Nudge Due", "nudge", &json!({"Cart_Modified": {"items": 2}}));
        t.segment.computed_trait("u1", "revenue", &json!(450.5), SentAs::Identify);
        t.segment.computed_trait("u1", "revenue", &json!(451.5), SentAs::Track);
        let told = t.told();
        assert_eq!(told[0]["traits"]["j_o_welcome"], value);
        assert_eq!(
            (&told[1]["event"], &told[1]["properties"]["journey_context"]["Cart_Modified"]["items"]),
            (&json!("Nudge Due"), &json!(2))
        );
        assert_eq!(told[1]["context"]["personas"]["computation_class"], "journey_step");
        assert_eq!(
            (&told[2]["traits"], &told[2]["context"]["personas"]["computation_class"]),
            (&json!({"revenue": 450.5}), &json!("trait"))
        );
        assert_eq!(
            (&told[3]["event"], &told[3]["properties"]),
            (&json!("Trait Computed"), &json!({"trait_key": "revenue", "revenue": 451.5}))
        );
    }
}

#[tokio::test]
async fn only_classic_webhooks_hear_of_deletions() {
    for (webhook_kind, told) in [(WebhookKind::Actions, 0), (WebhookKind::Classic, 1)] {
        let t = Seg::with(Options { webhook_kind, ..Options::default() }).await;
        t.segment.delete("u1");
        let webhooks = t.told();
        assert_eq!(webhooks.len(), told);
        assert!(webhooks.iter().all(|webhook| webhook["type"] == "delete" && webhook["userId"] == "u1"));
        t.batch(json!([{"type": "track", "userId": "u1", "event": "E", "integrations": {"Webhooks": false}}])).await;
        assert_eq!(t.told().len(), 1 - told);
    }
}

#[tokio::test]
async fn tools_that_segment_feeds_by_itself_hear_it_too() {
    let names = [
        ("Customer.io", Native::CustomerIo, NativeKind::Classic),
        ("Actions Customerio", Native::CustomerIo, NativeKind::Actions),
        ("Customer.io Actions", Native::CustomerIo, NativeKind::Actions),
        ("Customer.io (Actions)", Native::CustomerIo, NativeKind::Actions),
        ("Intercom", Native::Intercom, NativeKind::Classic),
        ("Intercom Cloud Mode (Actions)", Native::Intercom, NativeKind::Actions),
    ];
    for kind in [NativeKind::Classic, NativeKind::Actions] {
        let native = BTreeSet::from([Native::CustomerIo, Native::Intercom]);
        let t = Seg::with(Options { native, variants: Variants { native: kind, ..Variants::default() }, ..Options::default() }).await;
        for (name, _, _) in names {
            t.batch(json!([{"type": "track", "userId": "u1", "event": name, "integrations": {name: false}}])).await;
        }
        for native in [Native::CustomerIo, Native::Intercom] {
            let heard: Vec<_> = t.segment.forwarded(native).iter().filter_map(|message| message.text("event").map(str::to_owned)).collect();
            let expected: Vec<_> = names.iter().filter(|name| (name.1, name.2) != (native, kind)).map(|name| name.0.to_owned()).collect();
            assert_eq!(heard, expected);
        }
        // Pages without an address, and calls that Intercom's destination does not know.
        let before = [Native::CustomerIo, Native::Intercom].map(|native| t.segment.forwarded(native).len());
        t.segment.app_page(&Caller::user("u1"), "Pricing", &json!({"url": "https://example.com/pricing"}));
        t.segment.app_page(&Caller::user("u1"), "Pricing", &json!({}));
        t.segment.app_alias(&Caller::user("u1"), "u0");
        // Engage names the destinations that a computation is connected to.
        t.segment.computed_trait("u1", "revenue", &json!(1), SentAs::Identify);
        let after = [Native::CustomerIo, Native::Intercom].map(|native| t.segment.forwarded(native).len());
        assert_eq!([after[0] - before[0], after[1] - before[1]], [2, 0]);
    }
}

// --------------------------------------------------------------------------------------------------- sending

type Received = (HeaderMap, Bytes);

async fn receiver(status: StatusCode) -> (String, mpsc::UnboundedReceiver<Received>) {
    async fn take(
        State((status, sender)): State<(StatusCode, mpsc::UnboundedSender<Received>)>,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        sender.send((headers, body)).expect("the test waits");
        status
    }
    let (sender, received) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/segment", listener.local_addr().expect("an address"));
    let router = Router::new().route("/segment", post(take)).with_state((status, sender));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

#[tokio::test]
async fn webhooks_are_posted_as_segment_posts_them() {
    let (url, mut received) = receiver(StatusCode::SERVICE_UNAVAILABLE).await;
    for (webhook_kind, user_agent) in [(WebhookKind::Actions, "Segment (Actions)"), (WebhookKind::Classic, "Segment.io/1.0")] {
        for secret in [SECRET, ""] {
            let t = Seg::with(Options { webhook_kind, webhooks: Some(secret.to_owned()), ..Options::default() }).await;
            t.segment.app_track(&Caller::user("u1"), "E", &json!({}));
            let webhooks = t.segment.take_webhooks();
            let status = t.segment.send(&url, &webhooks[0]).await.expect("an answer");
            assert_eq!((status, tries_again(Some(status))), (503, true));
            let (headers, body) = received.recv().await.expect("a webhook");
            assert_eq!(headers["user-agent"], user_agent);
            assert_eq!(headers["content-type"], "application/json");
            let signature = headers.get("x-signature").and_then(|value| value.to_str().ok()).map(str::to_owned);
            assert_eq!((signature, &body), (webhooks[0].signature.clone(), &webhooks[0].body));
            assert!(matches!(t.segment.send("http://127.0.0.1:1/", &webhooks[0]).await, Err(SendError::Connection(_))));
        }
    }
}

#[test]
fn which_answers_are_tried_again() {
    let again: Vec<u16> = (200..600).filter(|status| tries_again(Some(*status))).collect();
    let expected: Vec<u16> = [408, 423, 429].into_iter().chain((500..600).filter(|status| *status != 501)).collect();
    assert_eq!(again, expected);
    assert!(tries_again(None));
}
