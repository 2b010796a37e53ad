//! What comes in that should not: refused or parked, and never in the way of what comes after.

use crate::process::{PATIENCE, Serve};
use crate::stage::{Answer, Stage, request};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trefoil_domain::steps::Parked;
use trefoil_standins::CustomerIo;
use trefoil_standins::customerio::Identifier;
use trefoil_standins::intercom::{NewContact, Priority, Webhook};

async fn post(serve: &Serve, signature: Option<&str>, body: &[u8]) -> Answer {
    request(Method::POST, &serve.url(), signature, body.to_vec()).await.expect("an answer")
}

/// Whoever opens a ticket now is seen at Customer.io.
async fn it_still_works(stage: &Stage, serve: &Serve, name: &str) {
    let email = format!("{name}@example.com");
    let cio_id = stage.customerio.add_profile(None, Some(&email), &[]);
    let (contact, _) = stage.intercom.create_contact(NewContact { email: Some(email), ..NewContact::default() });
    let (_, opened) = stage.intercom.open_conversation(&contact, Priority::High).expect("the contact exists");
    assert_eq!(stage.intercom.send(&serve.url(), &opened).await.expect("an answer"), 200);
    let who = Identifier::CioId(cio_id.clone());
    let arrives = |customerio: &CustomerIo| {
        let open = customerio.profile(&who).and_then(|profile| profile.text("has_open_ticket"));
        open.as_deref() == Some("true") && customerio.events().iter().any(|event| event.cio_id == Some(cio_id.clone()))
    };
    stage.customerio.wait_until(PATIENCE, arrives).await.expect("a later webhook works");
}

fn opened(stage: &Stage) -> Webhook {
    let (contact, _) = stage.intercom.create_contact(NewContact { email: Some("eve@example.com".to_owned()), ..NewContact::default() });
    stage.intercom.open_conversation(&contact, Priority::High).expect("the contact exists").1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused_and_nothing_is_said() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    let webhook = opened(&stage);
    let right = webhook.signature.as_str();
    let hex = right.strip_prefix("sha1=").expect("its scheme");
    let flipped = if hex.ends_with('0') { format!("{}1", &right[..right.len() - 1]) } else { format!("{}0", &right[..right.len() - 1]) };
    let other_body = stage.sign(b"{}");
    let empty_key = trefoil_standins::intercom::sign("", &webhook.body);
    let wrong = [
        None,
        Some(""),
        Some("sha1="),
        Some(hex),
        Some(&right[..right.len() - 1]),
        Some(flipped.as_str()),
        Some(other_body.as_str()),
        Some(empty_key.as_str()),
    ];
    let other_schemes = [format!("sha256={hex}"), format!("sha256={hex}{hex}"), format!("{right}00"), format!("sha1=sha1={hex}")];
    for signature in wrong.into_iter().chain(other_schemes.iter().map(|text| Some(text.as_str()))) {
        let answer = post(&serve, signature, &webhook.body).await;
        assert_eq!((answer.status, answer.body.len()), (401, 0), "{signature:?}");
    }
    it_still_works(&stage, &serve, "after-forgery").await;
    stage.finish(serve).await;
    assert_eq!(stage.parked().await, [], "what is not authentic is not kept");
    assert!(stage.customerio.events().iter().all(|event| event.name == "support_ticket_opened"));
    assert_eq!(stage.customerio.event_count(), 1, "only what was signed counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn authentic_nonsense_is_kept_with_the_reason() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    let whole = opened(&stage).json();
    let mut of_nobody = whole.clone();
    // Whom it attaches nobody can say; other topics concern those who are known.
    of_nobody["topic"] = json!("conversation.contact.attached");
    let mut of_nothing = whole.clone();
    of_nothing["data"]["item"].as_object_mut().expect("an object").remove("id");
    let bodies: [(&str, Vec<u8>); 8] = [
        ("not_json", b"nonsense".to_vec()),
        ("not_json", Vec::new()),
        ("not_json", vec![0xff, 0xfe, 0x00]),
        ("not_an_object", b"[1, 2, 3]".to_vec()),
        ("no_topic", b"{}".to_vec()),
        ("no_item", br#"{"topic": "conversation.user.created"}"#.to_vec()),
        ("no_contacts", of_nobody.to_string().into_bytes()),
        ("no_ticket_id", of_nothing.to_string().into_bytes()),
    ];
    for (reason, body) in &bodies {
        let answer = post(&serve, Some(&stage.sign(body)), body).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{reason}");
    }
    // Understood, and of no use: not kept.
    for body in [stage.intercom.ping().json(), json!({"topic": "some.new.topic", "data": {"item": {}}})] {
        let body = body.to_string();
        assert_eq!(post(&serve, Some(&stage.sign(body.as_bytes())), body.as_bytes()).await.status, 200);
    }
    it_still_works(&stage, &serve, "after-nonsense").await;
    let (status, output) = serve.stop().await;
    assert!(status.success(), "{output}");

    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in stage.parked().await {
        let parked: Parked = serde_json::from_str(&delivery.body).expect("what we wrote");
        let original = bodies.iter().find(|(reason, body)| *reason == parked.reason.code && body.len() == parked.size);
        assert!(original.is_some(), "{} of {} bytes", parked.reason.code, parked.size);
        *kept.entry(parked.reason.code).or_default() += 1;
    }
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for (reason, _) in &bodies {
        *expected.entry((*reason).to_owned()).or_default() += 1;
    }
    assert_eq!(kept, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deep_the_large_and_the_strange_do_no_harm() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    let webhook = opened(&stage);
    let levels = 10_000;
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let text = String::from_utf8(webhook.body.to_vec()).expect("JSON");
    let mut bodies: Vec<String> = vec![deep.clone(), objects.clone()];
    for nested in [&deep, &objects] {
        bodies.push(format!(r#"{{"topic": "conversation.user.created", "data": {{"item": {nested}}}}}"#));
        bodies.push(format!(r#"{{"topic": {nested}}}"#));
        // Where nobody looks.
        bodies.push(text.replacen("\"links\":{}", &format!("\"links\":{nested}"), 1));
        bodies.push(text.replacen("\"custom_attributes\":{", &format!("\"custom_attributes\":{{\"deep\":{nested},"), 1));
    }
    bodies.push(text.replacen("notif_", "\\ud800", 1));
    bodies.push(text.replacen("Hello, I need help", "\\ud800 lone \\udc00", 1));
    bodies.push(text.replacen("Hello, I need help", &"x".repeat(3_000_000), 1));
    bodies.push("9".repeat(100_000));
    assert!(bodies.iter().all(|body| *body != text), "every one of them is strange");
    for body in &bodies {
        let answer = post(&serve, Some(&stage.sign(body.as_bytes())), body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}…", body.chars().take(80).collect::<String>());
    }
    // Beyond what Lambda would hand over. Whether the answer or the closed connection comes first is up to the network.
    let huge = vec![b' '; 7 * 1024 * 1024];
    let answer = request(Method::POST, &serve.url(), Some(&stage.sign(&huge)), huge).await;
    assert!(answer.is_none_or(|answer| answer.status == 413));
    it_still_works(&stage, &serve, "after-harm").await;
    assert!(serve.stop().await.0.success());
}

/// Queues refuse U+FFFE and U+FFFF for ever, so that they must not reach one as they are.
#[tokio::test(flavor = "multi_thread")]
async fn characters_that_are_none_arrive_all_the_same() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    let strange = "a\u{FFFE}b\u{FFFF}c\u{0}d\u{202E}e";
    stage.customerio.add_profile(Some("user-1"), Some("una@example.com"), &[]);
    let attributes = [("plan".to_owned(), json!(strange)), (strange.to_owned(), json!(1))].into_iter().collect();
    let new = NewContact {
        external_id: Some("user-1".to_owned()),
        email: Some("una@example.com".to_owned()),
        name: Some(strange.to_owned()),
        custom_attributes: attributes,
        ..NewContact::default()
    };
    let (contact, created) = stage.intercom.create_contact(new);
    let (ticket, opened) = stage.intercom.open_conversation(&contact, Priority::High).expect("the contact exists");
    let tagged = stage.intercom.tag(&ticket, strange).expect("the ticket exists");
    assert_eq!(stage.deliver(&serve.url(), &[created, opened, tagged]).await.len(), 0);
    stage.customerio.wait_until(PATIENCE, |customerio| customerio.event_count() == 3).await.expect("three events");
    let events = stage.customerio.events();
    let told = |name: &str, property: &str| {
        let event = events.iter().find(|event| event.name == name).expect("the event");
        event.attributes.get(property).and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!(told("support_tag_applied", "tag_name").as_deref(), Some(strange));
    assert_eq!(told("intercom_user_synced", "plan").as_deref(), Some(strange));
    assert!(serve.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn intercom_may_look_whether_the_address_is_there_and_nobody_may_read_it() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    let status = async |method, url: String| request(method, &url, None, "").await.expect("an answer").status;
    let url = |path: &str| format!("http://{}{path}", serve.address);
    assert_eq!(status(Method::HEAD, serve.url()).await, 200);
    assert_eq!(status(Method::GET, serve.url()).await, 405);
    assert_eq!(status(Method::PUT, serve.url()).await, 405);
    assert_eq!(status(Method::DELETE, serve.url()).await, 405);
    assert_eq!(status(Method::GET, url("/healthz")).await, 200);
    assert_eq!(status(Method::GET, url("/")).await, 404);
    assert_eq!(status(Method::POST, url("/webhooks/intercom/x")).await, 404);
}
