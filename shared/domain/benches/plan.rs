//! How long deciding about one event takes: fold, facet, plan, over the shipped configuration. Reading and writing the
//! person are not in it. `cargo bench -p trefoil-domain --bench plan`. Bounded to a few seconds.

#![expect(clippy::print_stdout, reason = "a bench reports to the terminal")]
#![expect(clippy::expect_used, reason = "the inputs are constants")]

use std::hint::black_box;
use std::time::{Duration, Instant};
use trefoil_domain::config::{self, Config, EMBEDDED, FILE_NAME};
use trefoil_domain::event::{Attributes, Event, IdKind, Identifier, Kind, Profile, Source, Workspace, event_id};
use trefoil_domain::fold::{fold, move_facet};
use trefoil_domain::person::{Person, RecordKey};
use trefoil_domain::plan::{Plan, plan};
use trefoil_domain::rules::Routes;
use trefoil_domain::tickets::{
    Author, Evidence, Priority, RatingOf, Register, Sighting, StartedBy, State, TicketFact, TicketId, TicketReport,
};
use trefoil_domain::time::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_768_000_000);

struct Rules {
    config: Config,
    routes: Routes,
}

fn main() {
    let (config, routes) = config::check(FILE_NAME, EMBEDDED).expect("the shipped file is valid");
    let rules = Rules { config, routes };
    let ids: Vec<Identifier> = [(IdKind::UserId, "user-1"), (IdKind::IntercomId, "5f3e1a"), (IdKind::Email, "ann@example.com")]
        .into_iter()
        .map(|(kind, value)| Identifier::new(kind, value).expect("an id"))
        .collect();
    let mut person = Person::new(&Workspace::new("main").expect("a name"), &ids[0], NOW);
    let record = RecordKey::of(Source::Intercom, &ids).expect("named");
    person.learn(&record, &ids, NOW, true, true);
    let created = event(&ids, 0, Kind::PersonCreated(Profile { attributes: attributes(), ..Profile::default() }));
    decide(&rules, &mut person, &created);
    // Somebody with a past: three closed tickets and one open.
    for number in 1..5 {
        decide(&rules, &mut person, &ticket(&ids, number * 10, number, TicketFact::Opened, State::Open));
        if number < 4 {
            decide(&rules, &mut person, &ticket(&ids, number * 10 + 1, number, TicketFact::Closed, State::Closed));
        }
    }
    println!("of a person with {} tickets and {} ids:", person.tickets.len(), ids.len());
    measure(&rules, &person, "contact created, 20 attributes", &created);
    measure(&rules, &person, "ticket opened", &ticket(&ids, 100, 9, TicketFact::Opened, State::Open));
    measure(&rules, &person, "ticket replied", &ticket(&ids, 100, 4, TicketFact::Replied { by: Author::Teammate }, State::Open));
    measure(&rules, &person, "ticket tagged", &ticket(&ids, 100, 4, TicketFact::Tagged { tag: "churn-risk".to_owned() }, State::Open));
    measure(&rules, &person, "ticket rated", &ticket(&ids, 100, 4, TicketFact::Rated { score: 1, of: RatingOf::Teammate }, State::Open));
    measure(&rules, &person, "ticket closed", &ticket(&ids, 100, 4, TicketFact::Closed, State::Closed));
}

fn decide(rules: &Rules, person: &mut Person, event: &Event) -> Plan {
    let folded = fold(person, event, None, &rules.config, NOW);
    move_facet(person, event, false, false, &rules.config, NOW);
    plan(event, person, folded, None, &rules.config, &rules.routes, NOW)
}

fn measure(rules: &Rules, person: &Person, what: &str, event: &Event) {
    let whole = per_run(|| {
        let mut person = person.clone();
        decide(rules, &mut person, event)
    });
    let mut after = person.clone();
    let folded = fold(&mut after, event, None, &rules.config, NOW);
    move_facet(&mut after, event, false, false, &rules.config, NOW);
    let planned = per_run(|| plan(event, &after, folded, None, &rules.config, &rules.routes, NOW));
    let Plan { jobs, .. } = plan(event, &after, folded, None, &rules.config, &rules.routes, NOW);
    let micros = |took: Duration| took.as_secs_f64() * 1e6;
    println!("{what:<34}{:>7.2} µs, of which plan {:>7.2} µs, {} jobs", micros(whole), micros(planned), jobs.len());
}

fn ticket(ids: &[Identifier], minute: i64, number: i64, fact: TicketFact, state: State) -> Event {
    let at = NOW.minus(Span::from_days(1)).plus(Span::from_mins(minute));
    let evidence = match fact {
        TicketFact::Closed => Evidence::Cause,
        _ => Evidence::Plain,
    };
    let part = minute.unsigned_abs() * 1000;
    let report = TicketReport {
        seen: vec![Sighting { register: Register::Conversation, state, at, part, evidence }],
        opened_at: Some(at),
        priority: Some(Priority::High),
        started_by: Some(StartedBy::Customer),
        attributes: attributes(),
        ..TicketReport::new(TicketId::new(&format!("21547{number}")).expect("an id"), fact)
    };
    event(ids, minute, Kind::Ticket(report))
}

fn event(ids: &[Identifier], minute: i64, kind: Kind) -> Event {
    let workspace = Workspace::new("main").expect("a valid name");
    let id = event_id(Source::Intercom, &workspace, &[&minute.to_string(), kind.name()]);
    let at = NOW.minus(Span::from_days(1)).plus(Span::from_mins(minute));
    Event { id, source: Source::Intercom, workspace, occurred_at: at, received_at: at, ids: ids.to_vec(), person: None, origin: None, kind }
}

fn attributes() -> Attributes {
    let mut attributes: Attributes = (0..18).map(|i| (format!("attribute_{i}"), format!("value {i}").into())).collect();
    attributes.extend([("plan".to_owned(), "pro".into()), ("mrr".to_owned(), 49.5.into())]);
    attributes
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
