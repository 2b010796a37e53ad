//! How long one message takes from signed bytes to events, and how long one that nobody wants.
//! `cargo bench -p trefoil-connectors --bench segment`.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha1::Sha1;
use std::hint::black_box;
use std::time::{Duration, Instant};
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_domain::config::{self, Route, Trigger};
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::ports::{Received, Several};
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;

const SECRET: &str = "a-secret-for-the-bench";
const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);
const IDENTIFY: &str = include_str!("../../../tests/cases/segment/an-identify-updates-a-person/payload.json");
const TRACK: &str = include_str!("../../../tests/cases/segment/a-track-call/payload.json");
const BATCH: usize = 100;

fn main() {
    let identify = long(IDENTIFY, "Ann Example", 4096);
    let one = measure(&identify, 500, |several| several.events.len() == 1);
    println!("{one:.1} µs per identify call of {} bytes, signature included", identify.len());

    let track = long(TRACK, "\"pro", 1024);
    let batch = format!("[{}]", vec![track.as_str(); BATCH].join(","));
    let all = measure(&batch, 20, |several| several.dropped.get("not_wanted") == Some(&BATCH));
    println!(
        "{:.1} µs per track call of {} bytes that nobody wants, in a batch of {BATCH}, signature included",
        all / BATCH as f64,
        track.len()
    );
}

/// As libraries send it, without spaces, with text in place of `replaced` that makes up the size.
fn long(message: &str, replaced: &str, bytes: usize) -> String {
    let message: serde_json::Value = serde_json::from_str(message).expect("a message");
    let message = message.to_string();
    let missing = bytes.saturating_sub(message.len());
    message.replacen(replaced, &format!("{replaced}{}", "x".repeat(missing)), 1)
}

/// A configuration that takes one event, and not the one of the batch.
fn wanted() -> Wanted {
    let mut config = config::parse("trefoil.yaml", "version: 1\n").expect("a configuration");
    let on = Trigger::all().find(|(_, name)| *name == "segment.event.tracked").expect("the trigger").0;
    let route = Route { name: String::new(), on: vec![on], named: vec!["Order Completed".to_owned()], when: None, actions: Vec::new() };
    config.routes = vec![route];
    Wanted::of(&config)
}

/// Microseconds for one body.
fn measure(body: &str, times: u32, as_expected: impl Fn(&Several) -> bool) -> f64 {
    let body = body.as_bytes();
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let workspace = Workspace::new("main").expect("a name");
    let webhooks =
        SegmentWebhooks::new(&[SecretString::from(SECRET)], workspace, Source::Segment, wanted(), BatchSignature::Full).expect("a secret");
    let once = || webhooks.receive(Some(&signature), black_box(body), NOW);
    assert!(matches!(once(), Ok(Received::Several(several)) if as_expected(&several)), "the body must be worth measuring");

    // The fastest of several rounds: what disturbs a run only ever makes it slower.
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..times {
            black_box(once()).ok();
        }
        best = best.min(start.elapsed() / times);
    }
    best.as_secs_f64() * 1e6
}
