//! How long one webhook takes from signed bytes to events. `cargo bench -p trefoil-connectors --bench intercom`.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha1::Sha1;
use std::hint::black_box;
use std::time::{Duration, Instant};
use trefoil_connectors::intercom::IntercomWebhooks;
use trefoil_domain::event::Workspace;
use trefoil_domain::ports::Received;
use trefoil_domain::time::Timestamp;

const SECRET: &str = "a-secret-for-the-bench";
const BODY_BYTES: usize = 4096;

fn main() {
    let body = body();
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(&body);
    let signature = format!("sha1={}", hex::encode(mac.finalize().into_bytes()));
    let workspace = Workspace::new("main").expect("a name");
    let webhooks = IntercomWebhooks::new(&[SecretString::from(SECRET)], workspace, None).expect("a secret");
    let once = || webhooks.receive(Some(&signature), black_box(&body), Timestamp::from_secs(1_768_033_001));
    assert!(matches!(once(), Ok(Received::Events(events)) if events.len() == 1), "the body must be worth measuring");

    // The fastest of several rounds: what disturbs a run only ever makes it slower.
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..500 {
            black_box(once()).ok();
        }
        best = best.min(start.elapsed() / 500);
    }
    println!("{:.1} µs per webhook of {} bytes, signature included", best.as_secs_f64() * 1e6, body.len());
}

/// A closed conversation as Intercom sends it, with a message long enough to make up the size.
fn body() -> Vec<u8> {
    let text = include_str!("../../../tests/cases/intercom/a-teammate-closes-a-conversation/payload.json");
    let missing = BODY_BYTES.saturating_sub(text.len());
    text.replacen("<p>hello</p>", &"x".repeat(missing), 1).into_bytes()
}
