//! Walks `tests/cases/intercom/<rule-in-words>/`: `payload.json` is a webhook, `expected.json` what must come of it: an array
//! of canonical events, `{"ignored": word}` or `{"unusable": word}`. The time is always 2026-11-21T00:00:00Z.
//!
//! `TREFOIL_ACCEPT=1 cargo test -p trefoil-connectors --test cases` writes what comes out into `expected.json`. Review the
//! difference against the notes before committing it: the run then proves nothing by itself.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha1::Sha1;
use std::fs;
use std::path::{Path, PathBuf};
use trefoil_connectors::intercom::IntercomWebhooks;
use trefoil_domain::event::Workspace;
use trefoil_domain::ports::Received;
use trefoil_domain::time::Timestamp;

const SECRET: &str = "a-secret-for-the-cases";
const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/intercom");
    let mut folders: Vec<_> = fs::read_dir(&root)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn receive(body: &[u8]) -> Value {
    let workspace = Workspace::new("main").expect("a name");
    let webhooks = IntercomWebhooks::new(&[SecretString::from(SECRET)], workspace, Some("abc123def".to_owned())).expect("a secret");
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(body);
    let signature = format!("sha1={}", hex::encode(mac.finalize().into_bytes()));
    match webhooks.receive(Some(&signature), body, NOW).expect("a good signature") {
        Received::Events(events) => serde_json::to_value(events).expect("events are JSON"),
        Received::Ignored(word) => json!({ "ignored": word }),
        Received::Unusable { reason, .. } => json!({ "unusable": reason }),
    }
}

#[test]
fn every_payload_becomes_what_its_folder_says() {
    let accept = std::env::var_os("TREFOIL_ACCEPT").is_some();
    let folders = cases();
    assert!(folders.len() >= 60, "only {} cases were found", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        let payload = fs::read(folder.join("payload.json")).expect("payload.json");
        let actual = receive(&payload);
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
