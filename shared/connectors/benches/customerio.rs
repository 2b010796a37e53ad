//! How long one webhook takes from signed bytes to events. `cargo bench -p trefoil-connectors --bench customerio`.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use std::hint::black_box;
use std::time::{Duration, Instant};
use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_domain::event::Workspace;
use trefoil_domain::ports::Received;
use trefoil_domain::time::Timestamp;

/// Of reporting webhooks and of webhook actions: both are tried.
const KEYS: [&str; 2] = ["a-key-of-webhook-actions", "a-key-of-the-reporting-webhook"];
const SENT: &str = "1795219190";
const BODY_BYTES: usize = 4096;

fn main() {
    let body = body();
    let mut mac = Hmac::<Sha256>::new_from_slice(KEYS[1].as_bytes()).expect("a key");
    mac.update(format!("v0:{SENT}:").as_bytes());
    mac.update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let workspace = Workspace::new("main").expect("a name");
    let webhooks = CustomerioWebhooks::new(&KEYS.map(SecretString::from), workspace, None).expect("keys");
    let once = || webhooks.receive(Some(SENT), Some(&signature), black_box(&body), Timestamp::from_secs(1_795_219_200));
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
    println!("{:.1} µs per webhook of {} bytes, signature and {} keys included", best.as_secs_f64() * 1e6, body.len(), KEYS.len());
}

/// A sent message with its content switched on, long enough to make up the size.
fn body() -> Vec<u8> {
    let text = include_str!("../../../tests/cases/customerio/email-sent/payload.json");
    let missing = BODY_BYTES.saturating_sub(text.len());
    text.replacen("<p>hello Jo</p>", &"x".repeat(missing), 1).into_bytes()
}
