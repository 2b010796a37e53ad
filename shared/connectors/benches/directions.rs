//! How long one event takes from the body of a webhook to the body of the call that it leads to: normalised, planned by the
//! shipped routes, rendered. The signature is in it; storage and the network are not.
//! `cargo bench -p trefoil-connectors --bench directions`. Bounded to a second.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha1::Sha1;
use sha2::Sha256;
use std::hint::black_box;
use std::time::{Duration, Instant};
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_connectors::{customerio, segment};
use trefoil_domain::config::{self, Config, EMBEDDED, FILE_NAME};
use trefoil_domain::event::{Event, IdKind, Identifier, Source, Workspace};
use trefoil_domain::fold::Folded;
use trefoil_domain::job::Work;
use trefoil_domain::person::{Person, RecordKey};
use trefoil_domain::plan::plan;
use trefoil_domain::ports::{CustomerioWrite, ProfileRef, Received, SegmentMessage};
use trefoil_domain::rules::Routes;
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;

const KEY: &str = "a-secret-for-the-bench";
const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);
const SENT: &str = "1795219190";
const TRACK: &str = include_str!("../../../tests/cases/segment/a-track-call/payload.json");
const CLICK: &str = r#"{"event_id":"01E4C4CT6YDC7Y5M7FE1GWWPQJ","object_type":"email","metric":"clicked","timestamp":1795219180,"data":{"customer_id":"user-1","identifiers":{"id":"user-1","email":"ann@example.com","cio_id":"d9c106000001"},"delivery_id":"RPILAgUBcRhIBqSfeiIwdIYJKxTY","campaign_id":7,"action_id":96,"recipient":"ann@example.com","subject":"Your trial","href":"https://example.com/pricing","link_id":1,"machine":false}}"#;

struct Rules {
    config: Config,
    routes: Routes,
}

fn main() {
    let (config, routes) = config::check(FILE_NAME, EMBEDDED).expect("the shipped file is valid");
    let wanted = Wanted::of(&config);
    let rules = Rules { config, routes };
    let workspace = Workspace::new("main").expect("a name");
    let person = person(&workspace);

    let track: serde_json::Value = serde_json::from_str(TRACK).expect("a message");
    let track = track.to_string();
    let mut mac = Hmac::<Sha1>::new_from_slice(KEY.as_bytes()).expect("a key");
    mac.update(track.as_bytes());
    let signed = hex::encode(mac.finalize().into_bytes());
    let secrets = [SecretString::from(KEY)];
    let webhooks = SegmentWebhooks::new(&secrets, workspace.clone(), Source::Segment, wanted, BatchSignature::Full).expect("a long secret");
    measure("Segment event to Customer.io request", track.len(), || {
        let received = webhooks.receive(Some(&signed), black_box(track.as_bytes()), NOW).ok()?;
        to_customerio(&rules, &person, &only(received)?)
    });

    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key");
    mac.update(format!("v0:{SENT}:{CLICK}").as_bytes());
    let signed = hex::encode(mac.finalize().into_bytes());
    let webhooks = customerio::CustomerioWebhooks::new(&secrets, workspace, None).expect("a key");
    measure("Customer.io webhook to Segment event", CLICK.len(), || {
        let received = webhooks.receive(Some(SENT), Some(&signed), black_box(CLICK.as_bytes()), NOW).ok()?;
        to_segment(&rules, &person, &only(received)?)
    });
}

fn person(workspace: &Workspace) -> Person {
    let ids: Vec<Identifier> = [(IdKind::UserId, "user-1"), (IdKind::Email, "ann@example.com"), (IdKind::CioId, "d9c106000001")]
        .into_iter()
        .filter_map(|(kind, value)| Identifier::new(kind, value))
        .collect();
    let mut person = Person::new(workspace, &ids[0], NOW);
    person.learn(&RecordKey::of(Source::Segment, &ids).expect("named"), &ids, NOW, true, false);
    person
}

fn only(received: Received) -> Option<Event> {
    match received {
        Received::Events(events) => events.into_iter().next(),
        Received::Several(several) => several.events.into_iter().next(),
        Received::Ignored(_) | Received::Unusable { .. } | Received::Refused { .. } => None,
    }
}

fn jobs(rules: &Rules, person: &Person, event: &Event) -> Vec<Work> {
    let plan = plan(event, person, Folded::Taken, None, &rules.config, &rules.routes, NOW);
    plan.jobs.into_iter().map(|job| job.work).collect()
}

fn to_customerio(rules: &Rules, person: &Person, event: &Event) -> Option<String> {
    let work =
        jobs(rules, person, event).into_iter().find_map(|work| if let Work::Customerio(actions) = work { Some(actions) } else { None });
    let action = work?.into_iter().next()?;
    let profile = Some(ProfileRef::Own("d9c106000001".to_owned()));
    customerio::as_sent(&CustomerioWrite::Act { profile, action }, rules.config.customerio.dates_as_seconds)
}

fn to_segment(rules: &Rules, person: &Person, event: &Event) -> Option<String> {
    let work = jobs(rules, person, event).into_iter().find_map(|work| if let Work::Segment(actions) = work { Some(actions) } else { None });
    let action = work?.into_iter().next()?;
    let message = SegmentMessage {
        user_id: person.id_of(IdKind::UserId).map(str::to_owned),
        anonymous_id: None,
        email: person.id_of(IdKind::Email).map(str::to_owned),
        at: action.occurred_at,
        id: action.id,
        origin: action.origin,
        what: action.what,
    };
    segment::as_sent(&message, NOW)
}

/// The fastest of several rounds: what disturbs a run only ever makes it slower.
fn measure(what: &str, bytes: usize, mut once: impl FnMut() -> Option<String>) {
    let rendered = once().expect("it must lead to a request");
    let mut best = Duration::MAX;
    for _ in 0..40 {
        let start = Instant::now();
        for _ in 0..300 {
            black_box(once());
        }
        best = best.min(start.elapsed() / 300);
    }
    println!("{:.1} µs: {what}, {bytes} bytes to {}, signature included", best.as_secs_f64() * 1e6, rendered.len());
}
