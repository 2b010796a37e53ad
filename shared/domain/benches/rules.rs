//! How long the rules take: reading and compiling the shipped file (paid when a function starts), and deciding.
//! `cargo bench -p trefoil-domain --bench rules`. Bounded to a few seconds.

#![expect(clippy::print_stdout, reason = "a bench reports to the terminal")]
#![expect(clippy::expect_used, reason = "the inputs are constants")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use trefoil_domain::config::{self, EMBEDDED, FILE_NAME, Trigger, What};
use trefoil_domain::event::{Attributes, Event, Kind, Profile, Source, Workspace, event_id};
use trefoil_domain::rules::{PersonView, Routes, Scope, TicketView};
use trefoil_domain::tickets::{RatingOf, TicketFact, TicketId, TicketReport};
use trefoil_domain::time::Timestamp;

/// A route with a condition and ten properties, about as much as a real one has.
const LARGE: &str = r#"
version: 1
suppress:
  renewal: { csat_at_most: 2, for: 30d }
routes:
  - name: large
    on: intercom.ticket.rated
    when: event.score <= 2 && !person.suppressed.renewal && ticket.priority in ["high", "urgent"]
    do:
      - customerio.track_event:
          name: "score_${event.score}"
          properties:
            a: "${ticket.id}"
            b: "${ticket.priority}"
            c: "${ticket.category}"
            d: "${ticket.resolution_time_hrs}"
            e: "${person.email}"
            f: "${person.open_ticket_count}"
            g: "${event.attributes.attribute_7}"
            h: "${event.attributes.attribute_9}"
            i: "Ticket ${ticket.id}: ${event.score}"
            j: "${now - ticket.opened_at}"
"#;

fn main() {
    let start = Instant::now();
    let (_, shipped) = config::check(FILE_NAME, EMBEDDED).expect("the shipped file is valid");
    println!("shipped file, first check in the process (parse + compile): {:?}", start.elapsed());
    println!("shipped file, parse alone:                                  {:?}", per_run(|| config::parse(FILE_NAME, EMBEDDED)));
    println!("shipped file, check again:                                  {:?}", per_run(|| config::check(FILE_NAME, EMBEDDED)));
    let (_, large) = config::check("large.yaml", LARGE).expect("a valid file");

    let attributes: Attributes = (0..50).map(|i| (format!("attribute_{i}"), format!("value {i}").into())).collect();
    let mut profile = attributes.clone();
    profile.extend([("plan".to_owned(), "pro".into()), ("mrr".to_owned(), 49.5.into())]);
    let ticket = |fact| {
        let ticket = TicketId::new("215468").expect("a valid id");
        let attributes = attributes.clone();
        event(Kind::Ticket(TicketReport { attributes, ..TicketReport::new(ticket, fact) }))
    };
    decide("shipped, ticket opened, 3 properties", &shipped, Trigger::intercom(What::TicketOpened), &ticket(TicketFact::Opened));
    decide(
        "shipped, ticket tagged, 2 properties",
        &shipped,
        Trigger::intercom(What::TicketTagged),
        &ticket(TicketFact::Tagged { tag: "vip".to_owned() }),
    );
    decide(
        "shipped, ticket rated, 2 properties",
        &shipped,
        Trigger::intercom(What::TicketRated),
        &ticket(TicketFact::Rated { score: 2, of: RatingOf::Teammate }),
    );
    decide("shipped, ticket resolved, 2 properties", &shipped, Trigger::intercom(What::TicketResolved), &ticket(TicketFact::Closed));
    let created = event(Kind::PersonCreated(Profile { attributes: profile, ..Profile::default() }));
    decide("shipped, person created, 3 of 52 attributes, 1 absent", &shipped, Trigger::intercom(What::PersonCreated), &created);
    decide(
        "large route, condition and 10 properties",
        &large,
        Trigger::intercom(What::TicketRated),
        &ticket(TicketFact::Rated { score: 2, of: RatingOf::Teammate }),
    );
    decide(
        "large route, condition not met",
        &large,
        Trigger::intercom(What::TicketRated),
        &ticket(TicketFact::Rated { score: 5, of: RatingOf::Teammate }),
    );
}

/// Each run makes its own scope, as each event does.
fn decide(what: &str, routes: &Routes, on: Trigger, event: &Event) {
    let person = PersonView {
        id: "p1",
        user_id: Some("user-1"),
        email: Some("ann@example.com"),
        phone: None,
        cio_id: None,
        unsubscribed: false,
        has_open_ticket: true,
        open_ticket_count: 2,
        open_ticket_priority: Some("high"),
        last_csat_score: Some(4),
        suppressed: BTreeMap::from([("expansion".to_owned(), true)]),
    };
    let ticket = TicketView {
        id: "215468",
        priority: Some("high"),
        category: Some("conversation"),
        opened_at: Some(Timestamp::from_secs(1_768_000_000)),
        resolved_at: Some(Timestamp::from_secs(1_768_018_000)),
        resolution_time_hrs: Some(5.0),
        episode: 1,
        handled_by: "human",
        ai_resolution: None,
    };
    let route = routes.on(on, &event.kind).next().expect("a route");
    let taken = per_run(|| {
        let scope = Scope::new(event, &person, on.is_about_a_ticket().then_some(&ticket), Timestamp::from_secs(1_768_018_948));
        route.decide(&scope)
    });
    println!("{what:<60}{:>6.2} µs", taken.as_secs_f64() * 1e6);
}

fn event(kind: Kind) -> Event {
    let workspace = Workspace::new("main").expect("a valid name");
    let id = event_id(Source::Intercom, &workspace, &["notif_1"]);
    let at = Timestamp::from_secs(1_768_018_900);
    Event { id, source: Source::Intercom, workspace, occurred_at: at, received_at: at, ids: Vec::new(), person: None, origin: None, kind }
}

/// The best of 20 rounds of 10 ms each: what else the machine does only ever makes it slower.
fn per_run<T>(mut run: impl FnMut() -> T) -> Duration {
    (0..20)
        .map(|_| {
            let start = Instant::now();
            let mut runs = 0;
            while start.elapsed() < Duration::from_millis(10) {
                black_box(run());
                runs += 1;
            }
            start.elapsed() / runs
        })
        .min()
        .unwrap_or_default()
}
