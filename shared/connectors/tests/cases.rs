//! Walks `tests/cases/<source>/<rule-in-words>/`: `payload.json` is a webhook, `expected.json` what must come of it: an array
//! of canonical events, `{"ignored": word}`, `{"unusable": word}` or `{"refused": word}`, or of sources that send several messages in one body
//! an object with `events`, `unusable` and `dropped`, each where there is any. The time is always 2026-11-21T00:00:00Z;
//! Customer.io sent ten seconds before.
//!
//! A folder of `segment` may have a `case.json`: `source` is `segment` (where it says nothing), `pipelines` or
//! `eventbridge`; `wanted` maps triggers to the names that some route takes, none meaning any. Without `wanted`
//! everything is taken.
//!
//! `TREFOIL_ACCEPT=1 cargo test -p trefoil-connectors --test cases` writes what comes out into `expected.json`. Review the
//! difference against the notes before committing it: the run then proves nothing by itself.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_connectors::intercom::IntercomWebhooks;
use trefoil_connectors::segment::{BatchSignature, SegmentEvents, SegmentWebhooks};
use trefoil_domain::config::{self, Route, Trigger};
use trefoil_domain::event::{Channel, Event, Kind, Metric, Source, Workspace};
use trefoil_domain::ports::Received;
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;

const SECRET: &str = "a-secret-for-the-cases";
const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);
const SENT: &str = "1795219190";

fn cases(source: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases").join(source);
    let mut folders: Vec<_> = fs::read_dir(&root)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn workspace() -> Workspace {
    Workspace::new("main").expect("a name")
}

fn intercom(_: &Path, body: &[u8]) -> Received {
    let webhooks = IntercomWebhooks::new(&[SecretString::from(SECRET)], workspace(), Some("abc123def".to_owned())).expect("a secret");
    webhooks.receive(Some(&format!("sha1={}", signature(body))), body, NOW).expect("a good signature")
}

fn customerio(_: &Path, body: &[u8]) -> Received {
    let webhooks = CustomerioWebhooks::new(&[SecretString::from(SECRET)], workspace(), None).expect("a key");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(format!("v0:{SENT}:").as_bytes());
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    webhooks.receive(Some(SENT), Some(&signature), body, NOW).expect("a good signature")
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Case {
    source: Option<String>,
    wanted: Option<BTreeMap<String, Vec<String>>>,
    address_in_properties: bool,
}

fn wanted(case: &Case) -> Wanted {
    let everything = || Trigger::all().map(|(trigger, _)| (trigger, Vec::new())).collect();
    let by_name = |name: &String| Trigger::all().find(|(_, known)| known == name).expect("a trigger").0;
    let on: Vec<(Trigger, Vec<String>)> = match &case.wanted {
        None => everything(),
        Some(wanted) => wanted.iter().map(|(name, named)| (by_name(name), named.clone())).collect(),
    };
    let route = |(on, named)| Route { name: String::new(), on: vec![on], named, when: None, actions: Vec::new() };
    let mut config = config::parse("trefoil.yaml", "version: 1\n").expect("a configuration");
    config.identity.address_in_properties = case.address_in_properties;
    config.routes = on.into_iter().map(route).collect();
    Wanted::of(&config)
}

fn segment(folder: &Path, body: &[u8]) -> Received {
    let case: Case = match fs::read(folder.join("case.json")) {
        Ok(text) => serde_json::from_slice(&text).expect("case.json"),
        Err(_) => Case::default(),
    };
    let webhooks = |source| {
        let webhooks = SegmentWebhooks::new(&[SecretString::from(SECRET)], workspace(), source, wanted(&case), BatchSignature::Full);
        webhooks.expect("a secret").receive(Some(&signature(body)), body, NOW).expect("a good signature")
    };
    match case.source.as_deref() {
        None | Some("segment") => webhooks(Source::Segment),
        Some("pipelines") => webhooks(Source::Pipelines),
        Some("eventbridge") => SegmentEvents::new(workspace(), wanted(&case)).receive_event(body, NOW),
        Some(other) => panic!("no source {other}"),
    }
}

fn told(received: Received) -> Value {
    match received {
        Received::Events(events) => serde_json::to_value(events).expect("events are JSON"),
        Received::Ignored(word) => json!({ "ignored": word }),
        Received::Unusable { reason, .. } => json!({ "unusable": reason }),
        Received::Refused { reason, .. } => json!({ "refused": reason }),
        Received::Several(several) => {
            let mut told = json!({});
            if !several.events.is_empty() {
                told["events"] = serde_json::to_value(several.events).expect("events are JSON");
            }
            if !several.unusable.is_empty() {
                let one = |part: trefoil_domain::ports::UnusablePart| json!({"reason": part.reason, "about": part.about});
                told["unusable"] = several.unusable.into_iter().map(one).collect();
            }
            if !several.dropped.is_empty() {
                told["dropped"] = json!(several.dropped);
            }
            told
        }
    }
}

fn walk(source: &str, at_least: usize, receive: fn(&Path, &[u8]) -> Received) {
    let accept = std::env::var_os("TREFOIL_ACCEPT").is_some();
    let folders = cases(source);
    assert!(folders.len() >= at_least, "only {} cases were found", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        let payload = fs::read(folder.join("payload.json")).expect("payload.json");
        let actual = told(receive(&folder, &payload));
        let path = folder.join("expected.json");
        if accept {
            let text = serde_json::to_string_pretty(&actual).expect("JSON") + "\n";
            fs::write(&path, text).expect("expected.json is written");
            continue;
        }
        let expected: Value = serde_json::from_slice(&fs::read(&path).expect("expected.json")).expect("expected.json is JSON");
        if actual != expected {
            wrong.push(format!("{}\n  expected {expected}\n  got      {actual}", folder.display()));
        }
    }
    assert!(!accept, "expected.json files were rewritten: review them, then run without TREFOIL_ACCEPT");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_webhook_of_intercom_becomes_what_its_folder_says() {
    walk("intercom", 60, intercom);
}

#[test]
fn every_webhook_of_customerio_becomes_what_its_folder_says() {
    walk("customerio", 120, customerio);
}

#[test]
fn every_message_of_segment_becomes_what_its_folder_says() {
    walk("segment", 80, segment);
}

/// The vendor's table, apart from what concerns the person.
const PAIRS: [(Channel, &str); 7] = [
    (
        Channel::Email,
        "drafted attempted deferred sent delivered opened clicked converted unsubscribed bounced dropped failed undeliverable spammed",
    ),
    (Channel::Push, "drafted attempted sent delivered opened clicked converted bounced dropped failed undeliverable"),
    (Channel::InApp, "drafted attempted sent opened clicked converted failed undeliverable"),
    (Channel::Sms, "drafted attempted sent delivered clicked converted bounced dropped failed undeliverable replied"),
    (Channel::Whatsapp, "drafted attempted sent delivered opened clicked converted bounced dropped failed undeliverable replied"),
    (Channel::Slack, "drafted attempted sent clicked converted failed undeliverable"),
    (Channel::Webhook, "drafted attempted sent clicked converted failed undeliverable"),
];

/// The folders are data; that none is missing, and that each says what its name says, is not.
#[test]
fn each_pair_of_object_type_and_metric_has_a_case_and_is_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/customerio");
    for (channel, metrics) in PAIRS {
        for name in metrics.split(' ') {
            let folder = root.join(format!("{}-{name}", channel.as_str()).replace('_', "-"));
            let expected = fs::read(folder.join("expected.json")).unwrap_or_else(|_| panic!("{} has no case", folder.display()));
            let events: Vec<Event> = serde_json::from_slice(&expected).expect("events");
            let Kind::Message(report) = &events[0].kind else { panic!("{name}: {:?}", events[0].kind) };
            assert_eq!((report.channel, report.metric.as_str(), &report.unknown), (channel, name, &None));
            let opts_out = matches!(report.metric, Metric::Unsubscribed | Metric::Spammed);
            assert_eq!(events.len(), if opts_out { 2 } else { 1 }, "{channel:?} {name}");
            let text = String::from_utf8(expected).expect("text");
            // Addresses, message bodies, device tokens, header values.
            for private in ["hello", "+1555", "#ops", "example.com/hook", "a-device-token", "X-Custom"] {
                assert!(!text.contains(private), "{private} of {}", folder.display());
            }
        }
    }
}
