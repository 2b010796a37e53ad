//! What an event costs: round trips are counted, so that they cannot creep.

use crate::history::{NOW, workspace};
use crate::sim::{Profiles, World};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Profile, Source, event_id};
use trefoil_domain::job::event_message;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Message, Queue, QueueError, QueueName, Received, Several, UnusablePart};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::steps::{route::Router, send_customerio::CustomerioSender};
use trefoil_domain::tickets::*;
use trefoil_domain::time::{Span, Timestamp};

pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) config: Config,
    pub(crate) routes: Routes,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (config, routes) = config::check("trefoil.yaml", config::EMBEDDED).expect("the shipped file is right");
        let world = World::new(1, NOW);
        world.forgets.store(0, Ordering::Relaxed);
        Self { world, config, routes }
    }

    /// Routes all that waits; answers (reads, single writes, transactions, jobs sent).
    pub(crate) fn route(&self) -> (u64, u64, u64, u64) {
        let jobs = || {
            [QueueName::CustomerioState, QueueName::Customerio, QueueName::IntercomState].map(|q| self.world.sends(q)).iter().sum::<u64>()
        };
        let (calls, sent) = (self.world.store_calls(), jobs());
        let router = Router {
            store: &self.world,
            queue: &self.world,
            clock: &self.world,
            jitter: &self.world,
            config: &self.config,
            routes: &self.routes,
        };
        let dispositions = finish(router.handle(self.world.receive(QueueName::Events, 10)));
        self.world.settle(QueueName::Events, dispositions);
        let after = self.world.store_calls();
        (after.0 - calls.0, after.1 - calls.1, after.2 - calls.2, jobs() - sent)
    }

    fn send(&self, queue: QueueName, profiles: &Profiles<'_>) {
        let sender = CustomerioSender {
            store: &self.world,
            queue: &self.world,
            clock: &self.world,
            jitter: &self.world,
            customerio: profiles,
            config: &self.config,
        };
        let dispositions = finish(sender.handle(queue, self.world.receive(queue, 10)));
        self.world.settle(queue, dispositions);
    }

    fn arrives(&self, event: &Event) {
        self.world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
    }
}

pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

fn event(person: usize, name: &str, kind: Kind) -> Event {
    let ids = [(IdKind::IntercomId, format!("c{person}")), (IdKind::UserId, format!("u{person}"))];
    Event {
        id: event_id(Source::Intercom, &workspace(), &[&person.to_string(), name]),
        source: Source::Intercom,
        workspace: workspace(),
        occurred_at: NOW,
        received_at: NOW,
        ids: ids.iter().filter_map(|(kind, value)| Identifier::new(*kind, value)).collect(),
        person: None,
        origin: None,
        kind,
    }
}

fn ticket(person: usize, name: &str, fact: TicketFact, state: State, at: Timestamp) -> Event {
    let report = TicketReport {
        seen: vec![Sighting { register: Register::Conversation, state, at, part: at.secs() as u64, evidence: Evidence::Plain }],
        opened_at: Some(NOW),
        started_by: Some(StartedBy::Customer),
        ..TicketReport::new(TicketId::new(&format!("9{person}")).expect("valid"), fact)
    };
    event(person, name, Kind::Ticket(report))
}

pub(crate) fn known(bench: &Bench, person: usize) {
    bench.arrives(&event(person, "created", Kind::PersonCreated(Profile::default())));
    bench.arrives(&ticket(person, "opened", TicketFact::Opened, State::Open, NOW));
    bench.route();
}

#[test]
fn ingest_sends_once_an_event_and_asks_nobody() {
    let bench = Bench::new();
    let one = ticket(1, "opened", TicketFact::Opened, State::Open, NOW);
    let answer = finish(ingest(&bench.world, &bench.world, "ingest-intercom", &workspace(), Ok(Received::Events(vec![one])), b"{}"));
    assert_eq!(answer, Answer::Accepted { events: 1, parked: 0, dropped: BTreeMap::new() });
    assert_eq!(bench.world.sends(QueueName::Events), 1);
    assert_eq!(bench.world.store_calls(), (0, 0, 0));
}

/// A queue that cannot be reached.
struct Gone;

impl Queue for Gone {
    async fn send(&self, queue: QueueName, _: Vec<Message>) -> Result<(), QueueError> {
        Err(QueueError { queue, message: "gone".to_owned() })
    }
}

#[test]
fn what_is_of_no_use_is_parked_and_only_a_refusal_is_told() {
    let bench = Bench::new();
    let (reason, about) = ("not_json", Some("conversion".to_owned()));
    let refused = Received::Refused { reason, about: about.clone() };
    let unusable = Received::Unusable { reason, about };
    for (received, answer, status) in [(refused, Answer::Refused(reason), 400), (unusable, Answer::Parked(reason), 200)] {
        let parked = bench.world.sends(QueueName::Parked);
        let told = finish(ingest(&bench.world, &bench.world, "ingest-customerio", &workspace(), Ok(received.clone()), b"{"));
        assert_eq!((&told, told.status()), (&answer, status));
        assert_eq!(bench.world.sends(QueueName::Parked), parked + 1);
        // Nothing is refused before it is kept.
        assert_eq!(finish(ingest(&Gone, &bench.world, "ingest-customerio", &workspace(), Ok(received), b"{")).status(), 503);
    }
    assert_eq!(bench.world.sends(QueueName::Events), 0);
}

#[test]
fn of_several_messages_each_goes_where_it_belongs() {
    let bench = Bench::new();
    let events: Vec<_> = (1..=3).map(|person| ticket(person, "opened", TicketFact::Opened, State::Open, NOW)).collect();
    let part = |body: &[u8]| UnusablePart { reason: "no_type", about: None, body: body.to_vec() };
    let dropped = BTreeMap::from([("not_wanted", 7)]);
    let several = Several { events, unusable: vec![part(b"1"), part(b"2")], dropped: dropped.clone() };
    let received = Ok(Received::Several(several));
    let answer = finish(ingest(&bench.world, &bench.world, "ingest-segment", &workspace(), received, b"[]"));
    assert_eq!(answer, Answer::Accepted { events: 3, parked: 2, dropped });
    assert_eq!(bench.world.sends(QueueName::Events), 3);
    assert_eq!(bench.world.sends(QueueName::Parked), 2);

    let nothing = Ok(Received::Several(Several::default()));
    let answer = finish(ingest(&bench.world, &bench.world, "ingest-segment", &workspace(), nothing, b"[]"));
    assert_eq!(answer.status(), 200);
    assert_eq!((bench.world.sends(QueueName::Events), bench.world.sends(QueueName::Parked)), (3, 2));
}

#[test]
fn a_change_of_a_known_person_is_one_read_and_one_write() {
    let bench = Bench::new();
    known(&bench, 1);
    bench.arrives(&ticket(1, "closed", TicketFact::Closed, State::Closed, NOW.plus(Span::from_secs(9))));
    assert_eq!(bench.route(), (1, 1, 0, 2), "the facet, and the event for the resolution");
}

#[test]
fn a_repeat_writes_nothing() {
    let bench = Bench::new();
    known(&bench, 1);
    let note = ticket(1, "note", TicketFact::Updated, State::Open, NOW.plus(Span::from_secs(9)));
    bench.arrives(&note);
    assert_eq!(bench.route(), (1, 1, 0, 0), "a newer sighting is kept; nobody need be told");
    bench.arrives(&note);
    assert_eq!(bench.route(), (1, 0, 0, 0));
}

#[test]
fn a_stranger_is_one_read_and_one_transaction() {
    let bench = Bench::new();
    bench.arrives(&ticket(1, "opened", TicketFact::Opened, State::Open, NOW));
    assert_eq!(bench.route(), (1, 0, 1, 3), "the facet, the event, and a look-up of the contact");
}

#[test]
fn ten_jobs_are_one_call() {
    let bench = Bench::new();
    let profiles = Profiles::new(&bench.world);
    for person in 0..10 {
        profiles.add(&format!("0{person}"), Some(format!("u{person}")), None);
        known(&bench, person);
    }
    bench.send(QueueName::CustomerioState, &profiles);
    assert_eq!(profiles.calls.load(Ordering::Relaxed), 2, "one that finds ten profiles, one that writes ten states");
    bench.send(QueueName::Customerio, &profiles);
    assert_eq!(profiles.calls.load(Ordering::Relaxed), 3, "the profiles are known by now");
    let all = profiles.all();
    assert!(all.values().all(|p| p.attributes["has_open_ticket"] == true), "{all:#?}");
    assert_eq!(bench.world.depth(QueueName::CustomerioState), 0);
}

#[test]
fn a_state_that_is_there_already_is_no_call() {
    let bench = Bench::new();
    let profiles = Profiles::new(&bench.world);
    profiles.add("01", Some("u1".to_owned()), None);
    known(&bench, 1);
    bench.send(QueueName::CustomerioState, &profiles);
    let calls = profiles.calls.load(Ordering::Relaxed);
    // The same event again leaves the same job again, in case the first was lost.
    bench.arrives(&ticket(1, "opened", TicketFact::Opened, State::Open, NOW));
    bench.route();
    bench.send(QueueName::CustomerioState, &profiles);
    assert_eq!(profiles.calls.load(Ordering::Relaxed), calls);
    assert_eq!(bench.world.records().last().map(|r| r.outcome.clone()), Some(Outcome::skipped("already_there")));
}

#[test]
fn most_people_fit_a_kilobyte() {
    let bench = Bench::new();
    known(&bench, 1);
    bench.arrives(&ticket(1, "closed", TicketFact::Closed, State::Closed, NOW.plus(Span::from_secs(9))));
    bench.route();
    let person = serde_json::to_string(&bench.world.people()[0]).expect("serializes");
    assert!(person.len() < 1024, "{} bytes: {person}", person.len());
}
