//! Who may send: `tests/cases/segment-signatures.json`, and, where a folder of shared cases is beside the repository or
//! named by `TREFOIL_SHARED`, what was recorded by running Segment's own destinations.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use trefoil_connectors::segment::{BatchSignature, SegmentOrPipelines, SegmentWebhooks};
use trefoil_domain::config::{self, Route, Trigger};
use trefoil_domain::event::{Kind, Source, Workspace};
use trefoil_domain::ports::{Received, Unauthorized};
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;

const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn everything() -> Wanted {
    let mut config = config::parse("trefoil.yaml", "version: 1\n").expect("a configuration");
    let route = |(on, _)| Route { name: String::new(), on: vec![on], named: Vec::new(), when: None, actions: Vec::new() };
    config.routes = Trigger::all().map(route).collect();
    Wanted::of(&config)
}

fn webhooks(secrets: &[String], source: Source, batches: BatchSignature) -> SegmentWebhooks {
    let secrets: Vec<SecretString> = secrets.iter().cloned().map(SecretString::from).collect();
    SegmentWebhooks::new(&secrets, Workspace::new("main").expect("a name"), source, everything(), batches).expect("secrets")
}

#[derive(Deserialize)]
struct Signatures {
    secrets: Vec<String>,
    cases: Vec<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    id: String,
    batches: String,
    raw_body: String,
    x_signature: Option<String>,
    expect: String,
}

#[test]
fn signatures_hold_for_what_they_cover_and_no_more() {
    let text = fs::read(root().join("tests/cases/segment-signatures.json")).expect("the cases");
    let Signatures { secrets, cases } = serde_json::from_slice(&text).expect("the cases are JSON");
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    for case in cases {
        let batches = match case.batches.as_str() {
            "full" => BatchSignature::Full,
            "first" => BatchSignature::First,
            other => panic!("{}: no setting {other}", case.id),
        };
        let received = webhooks(&secrets, Source::Segment, batches).receive(case.x_signature.as_deref(), case.raw_body.as_bytes(), NOW);
        match case.expect.as_str() {
            "valid" => assert!(received.is_ok(), "{}", case.id),
            "invalid" => assert_eq!(received, Err(Unauthorized), "{}", case.id),
            other => panic!("{}: expects {other}", case.id),
        }
        // Whatever was let in by a part of the body, nothing unsigned stands for it.
        if let Ok(Received::Several(several)) = received
            && several.events.len() == 1
        {
            assert!(matches!(several.events[0].kind, Kind::Tracked(_)), "{}", case.id);
        }
    }
}

#[test]
fn who_signed_tells_the_source() {
    let [ours, theirs] = ["the-secret-of-segment", "the-secret-of-pipelines"].map(str::to_owned);
    let one = |secret: &String, source| webhooks(std::slice::from_ref(secret), source, BatchSignature::Full);
    let both = SegmentOrPipelines::new([one(&ours, Source::Segment), one(&theirs, Source::Pipelines)]);
    // Signed with the two secrets in turn.
    let body = br#"{"type":"track","event":"Trial Started","userId":"u1","messageId":"m1"}"#;
    let source = |signature: &str| both.receive(Some(signature), body, NOW).map(|(source, _)| source);
    assert_eq!(source("3da2b63faa902a4cb2d6246bdbccd4d44778bfe6"), Ok(Source::Segment));
    assert_eq!(source("4247936da1bee816e6d7acb7c3375653214d9cf1"), Ok(Source::Pipelines));
    assert_eq!(source("0000000000000000000000000000000000000000"), Err(Unauthorized));
    assert_eq!(SegmentOrPipelines::new([]).receive(Some("3da2b63faa902a4cb2d6246bdbccd4d44778bfe6"), body, NOW), Err(Unauthorized));
}

#[test]
fn the_vector_of_the_notes_for_pipelines_is_accepted() {
    // Customer.io's own scheme is the same one.
    let body = br#"{"event_id":"01E4C4CT6YDC7Y5M7FE1GWWPQJ","object_type":"customer","metric":"unsubscribed","timestamp":1613063089,"data":{"customer_id":"42","email_address":"test@example.com","identifiers":{"id":"42","email":"test@example.com","cio_id":"d9c106000001"}}}"#;
    let pipelines = webhooks(&["pipelines-secret".to_owned()], Source::Pipelines, BatchSignature::Full);
    assert!(pipelines.receive(Some("ddd6b85aebbc1754418bd2e2019a5150bf209b73"), body, NOW).is_ok());
}

/// What the reference recorded, if it is at hand.
fn recorded() -> Option<Value> {
    let shared = std::env::var_os("TREFOIL_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let text = fs::read(shared.join("cases/segment-parity.json")).ok()?;
    Some(serde_json::from_slice(&text).expect("the recorded cases are JSON"))
}

#[expect(clippy::print_stdout, reason = "whoever runs the tests should see that this one had nothing to do")]
fn skipped() {
    println!("skipped: there is no cases/segment-parity.json beside the repository or in TREFOIL_SHARED");
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{key} of {}", case["id"]))
}

#[test]
fn recorded_signatures_are_judged_as_recorded() {
    let Some(recorded) = recorded() else { return skipped() };
    let cases = recorded["signature_cases"].as_array().expect("signature_cases");
    assert!(!cases.is_empty());
    for case in cases {
        // HMAC fills short keys up with zeros, so this is the same key, and long enough for us.
        let secret = format!("{:\0<16}", text(case, "secret"));
        let webhooks = webhooks(&[secret], Source::Segment, BatchSignature::Full);
        let received = webhooks.receive(case["x_signature"].as_str(), text(case, "raw_body").as_bytes(), NOW);
        let ours = match (text(case, "expect"), text(case, "id")) {
            ("valid", _) | ("implementation-choice", "sig-uppercase-hex" | "sig-empty-batch") => true,
            // What was merged in after signing could be anybody's.
            ("invalid", _) | ("implementation-choice", "sig-audiences-extras") => false,
            (other, id) => panic!("{id}: {other}: decide what we do with it"),
        };
        assert_eq!(received.is_ok(), ours, "{}", case["id"]);
    }
}

#[test]
fn recorded_memberships_are_seen_as_recorded() {
    let Some(recorded) = recorded() else { return skipped() };
    let cases = recorded["audience_membership_cases"].as_array().expect("audience_membership_cases");
    assert!(!cases.is_empty());
    for case in cases {
        let mut message = case["input"].clone();
        // They name nobody, and a track call has an event.
        message["userId"] = json!("u1");
        message["event"] = json!("Audience Entered");
        let envelope = json!({"source": "aws.partner/segment.com/abc", "detail": message}).to_string();
        let events = trefoil_connectors::segment::SegmentEvents::new(Workspace::new("main").expect("a name"), everything());
        let Received::Several(several) = events.receive_event(envelope.as_bytes(), NOW) else { panic!("{}", case["id"]) };
        let seen: Vec<&str> = several
            .events
            .iter()
            .filter_map(|event| match event.kind {
                Kind::ListEntered(_) => Some("entered"),
                Kind::ListLeft(_) => Some("left"),
                _ => None,
            })
            .collect();
        let expected: Vec<&str> = case["expected"].as_str().into_iter().collect();
        assert_eq!(seen, expected, "{}", case["id"]);
        assert_eq!(several.events.len(), 1, "{}: a call that is no membership is an ordinary one", case["id"]);
    }
}
