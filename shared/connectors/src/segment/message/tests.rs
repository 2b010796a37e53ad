//! Every message as it is written, or why it is not: what goes in and what must come of it stands in
//! `tests/cases/segment-requests.json`.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use trefoil_domain::event::Source;
use trefoil_domain::id::ActionId;

const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

#[derive(Deserialize, Serialize)]
struct Case {
    message: Given,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sends: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Given {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    at: String,
    origin: Source,
    #[serde(flatten)]
    what: SegmentVerb,
}

fn cases() -> (PathBuf, BTreeMap<String, Case>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/segment-requests.json");
    let cases = serde_json::from_slice(&fs::read(&path).expect("the cases")).expect("the cases are JSON");
    (path, cases)
}

impl Case {
    fn message(&self) -> SegmentMessage {
        let Given { user_id, anonymous_id, email, at, origin, what } = &self.message;
        SegmentMessage {
            user_id: user_id.clone(),
            anonymous_id: anonymous_id.clone(),
            email: email.clone(),
            at: Timestamp::parse_rfc3339(at).expect("a time"),
            id: ActionId::from_stored("0123456789abcdef0123456789abcdef"),
            origin: *origin,
            what: what.clone(),
        }
    }
}

fn rendered(message: &SegmentMessage) -> Result<Value, String> {
    match render(message, "a1b2c3d4", NOW) {
        Ok(json) => {
            let mut sent: Value = serde_json::from_str(&json).expect("JSON");
            // Not a new case with each release.
            assert_eq!(sent["context"]["library"]["version"], env!("CARGO_PKG_VERSION"));
            sent["context"]["library"]["version"] = "…".into();
            Ok(sent)
        }
        Err(outcome) => Err(outcome.reason().expect("a reason").code.clone()),
    }
}

/// What is sent in the cases, by name.
pub(super) fn samples() -> BTreeMap<String, Value> {
    cases().1.into_iter().filter_map(|(name, case)| Some((name, case.sends?))).collect()
}

#[test]
fn every_message_is_written_as_its_case_says() {
    let (path, mut cases) = cases();
    let accepts = std::env::var_os("TREFOIL_ACCEPT").is_some();
    for (name, case) in &mut cases {
        let (sends, refused) = match rendered(&case.message()) {
            Ok(sends) => (Some(sends), None),
            Err(refused) => (None, Some(refused)),
        };
        if accepts {
            (case.sends, case.refused) = (sends, refused);
        } else {
            assert_eq!((sends, refused), (case.sends.clone(), case.refused.clone()), "{name}");
        }
    }
    if accepts {
        fs::write(&path, serde_json::to_string_pretty(&cases).expect("JSON") + "\n").expect("the cases are written");
        panic!("{} was rewritten: review it, then run without TREFOIL_ACCEPT", path.display());
    }
}

fn message(what: SegmentVerb) -> SegmentMessage {
    let id = ActionId::from_stored("0123456789abcdef0123456789abcdef");
    let user_id = Some("42".to_owned());
    SegmentMessage { user_id, anonymous_id: None, email: Some("a@example.com".to_owned()), at: NOW, id, origin: Source::Intercom, what }
}

fn values(count: usize) -> Attributes {
    (0..count).map(|n| (format!("v{n:03}"), n.into())).collect()
}

#[test]
fn of_too_many_values_the_first_by_name_are_kept_and_the_rest_is_counted() {
    let group = |traits| SegmentVerb::Group { group_id: "acme".to_owned(), traits };
    let track = |properties| SegmentVerb::Track { name: "x".to_owned(), properties };
    // Of an identify, which has the address too, profiles take fewer than 300.
    for (what, field, count, last) in [
        (SegmentVerb::Identify { traits: values(301) }, "traits", 299, "v297"),
        (group(values(301)), "traits", 300, "v299"),
        (track(values(301)), "properties", 300, "v299"),
    ] {
        let sent = rendered(&message(what)).expect("sent");
        let kept = sent[field].as_object().expect("an object");
        assert_eq!(kept.len(), count, "{field}");
        assert_eq!(kept.keys().filter(|name| name.starts_with('v')).max().map(String::as_str), Some(last));
        assert_eq!(sent["context"]["trefoil"]["left_out"], 301 - kept.keys().filter(|name| name.starts_with('v')).count());
    }
    let sent = rendered(&message(track(values(300)))).expect("sent");
    assert_eq!(sent["context"]["trefoil"], json!({"origin": "intercom"}));
}

#[test]
fn what_segment_would_lose_without_a_word_is_refused_here() {
    let track = |size: usize| SegmentVerb::Track { name: "x".to_owned(), properties: [("p".to_owned(), "x".repeat(size).into())].into() };
    assert!(rendered(&message(track(31_000))).is_ok());
    assert_eq!(rendered(&message(track(32_000))), Err("too_large".to_owned()));
    let group = |id: &str| message(SegmentVerb::Group { group_id: id.to_owned(), traits: Attributes::new() });
    assert!(rendered(&group(&"é".repeat(500))).is_ok());
    assert_eq!(rendered(&group(&"g".repeat(501))), Err("group_id_length".to_owned()));
    let named = |id: &str| SegmentMessage { id: ActionId::from_stored(id), ..message(track(1)) };
    assert!(rendered(&named(&"i".repeat(82))).is_ok());
    assert_eq!(rendered(&named(&"i".repeat(83))), Err("message_id_too_long".to_owned()));
    let never = SegmentMessage { at: Timestamp::from_millis(i64::MAX), ..message(track(1)) };
    assert_eq!(rendered(&never), Err("time_out_of_range".to_owned()));
}

#[test]
fn two_sources_do_not_silence_each_other() {
    assert_ne!(namespace("key-of-staging"), namespace("key-of-production"));
    assert_eq!(namespace("key-of-staging").len(), 8);
}
