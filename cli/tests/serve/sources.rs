//! The ways in beside Intercom's: who may come in, what is kept, and that all of them tell of the same people.

use crate::door::{Door, SEGMENT_SECRET, stage};
use crate::process::PATIENCE;
use crate::stage::{Stage, request_with};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use trefoil_domain::steps::Parked;
use trefoil_standins::intercom::{NewContact, Priority};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_comes_in() {
    let stage = stage().await;
    let serve = stage.serve().await;
    for door in Door::ALL {
        let body = door.a_message().to_string().into_bytes();
        let right = door.signature(door.secret(), &body);
        let flipped = format!("{}{}", &right[..right.len() - 1], if right.ends_with('0') { '1' } else { '0' });
        let wrong = [
            String::new(),
            right[..right.len() - 1].to_owned(),
            flipped,
            format!("{right}00"),
            format!("sha1={right}"),
            door.signature(door.secret(), b"{}"),
            door.signature("another-secret-altogether", &body),
            door.signature("", &body),
        ];
        for signature in wrong {
            let answer = door.post_with(&serve, &door.headers(signature.clone()), &body).await;
            assert_eq!((answer.status, answer.body.len()), (401, 0), "{door:?} {signature}");
        }
        assert_eq!(door.post_with(&serve, &[], &body).await.status, 401, "{door:?} without a signature");
        assert_eq!(door.post(&serve, &body).await.status, 200, "{door:?}");
    }
    // A destination can be set to any of three methods, by which Segment sends the same.
    for door in [Door::Segment, Door::Pipelines] {
        let body = door.a_message().to_string().into_bytes();
        let (url, headers) = (format!("http://{}{}", serve.address, door.path()), door.headers(door.signature(door.secret(), &body)));
        for (method, status) in [(Method::PUT, 200), (Method::PATCH, 200), (Method::DELETE, 405)] {
            let answer = request_with(method.clone(), &url, &headers, body.clone()).await.expect("an answer");
            assert_eq!(answer.status, status, "{door:?} {method}");
        }
    }
    // What one source has signed is not another's.
    let body = Door::Segment.a_message().to_string().into_bytes();
    let headers = Door::Segment.headers(Door::Segment.signature(SEGMENT_SECRET, &body));
    assert_eq!(Door::Pipelines.post_with(&serve, &headers, &body).await.status, 401);
    assert!(serve.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_without_a_key_keeps_its_sender_waiting() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    for door in Door::ALL {
        assert_eq!(door.post(&serve, door.a_message().to_string().as_bytes()).await.status, 503, "{door:?}");
    }
    let (_, output) = serve.stop().await;
    assert!(output.contains("set TREFOIL_SEGMENT_SHARED_SECRET"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_kept_and_the_strange_does_no_harm() {
    let stage = stage().await;
    let serve = stage.serve().await;
    let levels = 10_000;
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for door in Door::ALL {
        let message = door.a_message().to_string();
        for nonsense in [&b"nonsense"[..], b"", b"\xff\xfe\x00", b"17"] {
            assert_eq!(door.post(&serve, nonsense).await.status, 200, "{door:?}");
        }
        let strange = [
            deep.clone(),
            message.replacen('{', &format!("{{\"nobody\":{deep},"), 1),
            message.replace("una@example.com", "\\ud800"),
            message.replace("una@example.com", "a\u{FFFE}b\u{FFFF}@example.com"),
            message.replacen('{', &format!("{{\"nobody\":\"{}\",", "x".repeat(3_000_000)), 1),
        ];
        for body in &strange {
            assert_eq!(door.post(&serve, body.as_bytes()).await.status, 200, "{door:?}: {}", body.chars().take(60).collect::<String>());
        }
        assert_eq!(door.post(&serve, message.as_bytes()).await.status, 200, "{door:?} goes on");
    }
    stage.finish(serve).await;
    stage.nothing_left().await;
    let parked = stage.parked().await;
    let kept: BTreeSet<String> =
        parked.iter().map(|delivery| serde_json::from_str::<Parked>(&delivery.body).expect("what we wrote").reason.code).collect();
    assert!(kept.contains("not_json") && kept.contains("over_1_mib"), "{kept:?}");
}

/// Customer.io waits for an hour after some answers, so that this one is for its delivery log alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_author_of_a_webhook_action_is_told_what_is_wrong() {
    let stage = stage().await;
    let serve = stage.serve().await;
    let body =
        json!({"schema": "cio-sync/1", "type": "segment.entered", "event_id": "d1", "occurred_at": 1_768_032_990, "person": {"id": "u1"}});
    let answer = Door::Customerio.post(&serve, body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.is_empty(), "the reason is in the body");
    assert!(serve.stop().await.0.success());
}

/// Segment knows a user id and an address, Intercom the address, Customer.io its own id and the user id: one human.
#[tokio::test(flavor = "multi_thread")]
async fn one_human_in_three_tools_is_one_person() {
    let mut stage = stage().await;
    let config = stage.data.path().join("routes.yaml");
    let routes = "version: 1\nroutes:\n  - name: trial\n    on: segment.event.tracked\n    named: Trial Started\n    do:\n      - customerio.track_event:\n          name: trial_started\n          properties: { plan: \"${event.attributes.plan}\", open: \"${person.open_ticket_count}\" }\n";
    std::fs::write(&config, routes).expect("a file");
    stage.variables.insert("TREFOIL_CONFIG".to_owned(), config.display().to_string());
    let cio_id = stage.customerio.add_profile(Some("u1"), None, &[]);
    let serve = stage.serve().await;

    let email = Some("una@example.com".to_owned());
    let (contact, created) = stage.intercom.create_contact(NewContact { email, ..NewContact::default() });
    let (_, opened) = stage.intercom.open_conversation(&contact, Priority::High).expect("the contact exists");
    assert_eq!(stage.deliver(&serve.url(), &[created, opened]).await.len(), 0);
    let identify = Door::Segment.a_message();
    assert_eq!(Door::Segment.post(&serve, identify.to_string().as_bytes()).await.status, 200);
    let mut report = Door::Customerio.a_message();
    report["data"]["identifiers"] = json!({"id": "u1", "email": null, "cio_id": cio_id});
    assert_eq!(Door::Customerio.post(&serve, report.to_string().as_bytes()).await.status, 200);
    let who = trefoil_standins::customerio::Identifier::CioId(cio_id.clone());
    let held = |customerio: &trefoil_standins::CustomerIo| {
        customerio.profile(&who).and_then(|profile| profile.text("open_ticket_count")).as_deref() == Some("1")
    };
    stage.customerio.wait_until(PATIENCE, held).await.expect("the ticket of the contact is the profile's");

    let track = |name: &str, id: &str| json!({"type": "track", "event": name, "messageId": id, "userId": "u1", "timestamp": "2026-01-10T08:00:00Z", "properties": {"plan": "pro"}});
    let batch = json!([track("Page Scrolled", "m2"), track("Trial Started", "m3"), {"type": "track", "event": "of nobody"}]);
    assert_eq!(Door::Segment.post(&serve, batch.to_string().as_bytes()).await.status, 200);
    stage.customerio.wait_until(PATIENCE, |customerio| customerio.event_count() == 1).await.expect("what a route wants");
    let events = stage.customerio.events();
    assert_eq!((events[0].name.as_str(), &events[0].cio_id), ("trial_started", &Some(cio_id)));
    assert_eq!(Value::from_iter(events[0].attributes.clone()), json!({"plan": "pro", "open": 1}));
    stage.finish(serve).await;
    assert_eq!(stage.customerio.event_count(), 1, "what no route wants goes no further");
}
