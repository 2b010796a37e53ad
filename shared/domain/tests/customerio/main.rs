//! What Customer.io is sent, and what becomes of the jobs, whatever Customer.io and the workers do.

#[path = "../road/sim.rs"]
#[allow(dead_code, reason = "the road uses the rest")]
mod sim;

mod attributes;
mod consent;
mod ended;
mod made;
mod names;
mod races;
mod vendor;
mod verbs;

use serde_json::{Value, json};
use sim::World;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::action::{CustomerioAction, CustomerioEvent, CustomerioVerb, UpdatePerson};
use trefoil_domain::config::{self, Config};
use trefoil_domain::consent::{How, Said};
use trefoil_domain::event::{Attributes, Channel, Choice, ConsentChange, IdKind, Identifier, Source, Workspace, action_id, event_id};
use trefoil_domain::id::PersonId;
use trefoil_domain::job::{Job, Work};
use trefoil_domain::person::{Csat, Person, RecordKey};
use trefoil_domain::ports::*;
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::time::{Span, Timestamp};
use vendor::Vendor;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn workspace() -> Workspace {
    Workspace::new("main").expect("a workspace")
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus(Span::from_secs(seconds))
}

fn id(kind: IdKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect("an id")
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn update(value: Value) -> CustomerioVerb {
    CustomerioVerb::UpdatePerson(UpdatePerson { attributes: attributes(value), ..UpdatePerson::default() })
}

fn track(name: &str) -> CustomerioVerb {
    CustomerioVerb::TrackEvent(CustomerioEvent { name: name.to_owned(), properties: Attributes::new() })
}

fn merge(from: &str) -> CustomerioVerb {
    CustomerioVerb::MergePeople { from: from.to_owned() }
}

fn everything(choice: Choice) -> ConsentChange {
    ConsentChange { channel: None, topic: None, choice }
}

fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

fn world(seed: u64) -> World {
    let world = World::new(seed, NOW);
    world.forgets.store(0, Ordering::Relaxed);
    world
}

struct Bench<'w> {
    world: &'w World,
    vendor: Vendor<'w>,
    config: Config,
}

impl<'w> Bench<'w> {
    fn new(world: &'w World) -> Self {
        Self::with(world, "version: 1\n")
    }

    fn with(world: &'w World, yaml: &str) -> Self {
        Self { world, vendor: Vendor::new(world), config: config::parse("trefoil.yaml", yaml).expect("a file") }
    }

    /// Somebody with these ids, each theirs alone.
    fn person(&self, ids: &[(IdKind, &str)]) -> PersonId {
        let ids: Vec<Identifier> = ids.iter().map(|(kind, value)| id(*kind, value)).collect();
        let mut person = Person::new(&workspace(), &ids[0], NOW);
        person.version = 1;
        let key = person.id.clone();
        self.commit(vec![Put::Person { person: Box::new(person), expected: 0 }]);
        ids.iter().for_each(|id| self.gains(&key, id, NOW));
        key
    }

    fn commit(&self, puts: Vec<Put>) {
        assert_eq!(finish(self.world.commit(puts)).expect("a store"), Commit::Done);
    }

    fn gains(&self, person: &PersonId, id: &Identifier, seen_at: Timestamp) {
        self.change(person, |person| {
            person.ids.entry(id.kind).or_default().insert(id.value.clone(), seen_at);
        });
        let key = AliasKey::of_identifier(&workspace(), id);
        let found = finish(self.world.find(std::slice::from_ref(&key), &[])).expect("a store");
        let mut alias = found.aliases.get(&key).cloned().unwrap_or_default();
        alias.claimants.push(person.clone());
        alias.claimants.sort();
        let expected = alias.version;
        self.commit(vec![Put::Alias { key, alias, expected }]);
    }

    fn read(&self, person: &PersonId) -> Person {
        finish(self.world.find(&[], std::slice::from_ref(person))).expect("a store").people.remove(person).expect("somebody")
    }

    fn change(&self, person: &PersonId, change: impl FnOnce(&mut Person)) {
        let mut person = self.read(person);
        let expected = person.version;
        change(&mut person);
        person.version = expected + 1;
        self.commit(vec![Put::Person { person: Box::new(person), expected }]);
    }

    fn mark(&self, person: &PersonId) -> Mark {
        let marks = finish(self.world.with_marks(Destination::Customerio, std::slice::from_ref(person))).expect("a store");
        marks[person].1.clone()
    }

    /// Moves the person's state.
    fn rated(&self, person: &PersonId, score: u8, when: Timestamp) {
        self.change(person, |person| {
            person.rate(Csat { score, at: when });
            person.facet.version += 1;
            // As if there had been a ticket long ago.
            person.forgotten_opened_at = Some(NOW);
            person.forgotten_resolved_at = Some(NOW);
        });
    }

    fn says(&self, person: &PersonId, source: Source, change: &ConsentChange, when: Timestamp) {
        let rules = &self.config.consent;
        let kind = if source == Source::Customerio { IdKind::CioId } else { IdKind::UserId };
        let record = RecordKey::named(source, kind, "0a");
        self.change(person, |person| {
            person.consent.hear(&Said { source, record: &record, change, at: when, how: How::Act }, rules);
            person.consent.settle(&event_id(source, &workspace(), &[&when.millis().to_string()]), false, rules);
        });
    }

    /// The first goes on for both.
    fn merge(&self, survivor: &PersonId, other: &PersonId) {
        let (mut stays, goes) = (self.read(survivor), self.read(other));
        let (expected, expected_of_other) = (stays.version, goes.version);
        let husk = goes.husk(survivor, self.world.now());
        stays.absorb(goes);
        stays.version += 1;
        stays.consent.settle(&event_id(Source::Trefoil, &workspace(), &["merge"]), true, &self.config.consent);
        self.commit(vec![
            Put::Person { person: Box::new(stays), expected },
            Put::Person { person: Box::new(husk), expected: expected_of_other },
        ]);
    }

    fn sender(&self) -> CustomerioSender<'_, World, World, World, World, Vendor<'w>> {
        let world = self.world;
        CustomerioSender { store: world, queue: world, clock: world, jitter: world, customerio: &self.vendor, config: &self.config }
    }

    /// What became of these jobs, in their order: the word of the outcome, or of its reason.
    fn handle(&self, jobs: &[Job]) -> Vec<String> {
        self.handle_again(jobs, 1)
    }

    fn handle_again(&self, jobs: &[Job], receive_count: u32) -> Vec<String> {
        let before = self.world.records().len();
        let deliver = |(place, job): (usize, &Job)| Delivery {
            id: place.to_string(),
            body: job.to_message().expect("a job is JSON").body,
            group: "g".to_owned(),
            receive_count,
        };
        let deliveries = jobs.iter().enumerate().map(deliver).collect();
        let answered = finish(self.sender().handle(QueueName::CustomerioState, deliveries));
        let records = self.world.records();
        let of = |(place, job): (usize, &Job)| {
            let (_, disposition) = answered.iter().find(|(id, _)| *id == place.to_string()).expect("an answer");
            if let Disposition::Retry(_) = disposition {
                return "retry".to_owned();
            }
            let record = records[before..].iter().find(|record| record.event == job.event).expect("a record");
            record.outcome.reason().map_or_else(|| record.outcome.name().to_owned(), |reason| reason.code.clone())
        };
        jobs.iter().enumerate().map(of).collect()
    }

    /// Until none of them comes again, one call every five seconds.
    fn settle(&self, jobs: &[Job]) -> Vec<String> {
        let mut ended: Vec<Option<String>> = vec![None; jobs.len()];
        for round in 1..1000 {
            let left: Vec<usize> = (0..jobs.len()).filter(|place| ended[*place].is_none()).collect();
            if left.is_empty() {
                break;
            }
            let again: Vec<Job> = left.iter().map(|place| jobs[*place].clone()).collect();
            for (place, told) in left.into_iter().zip(self.handle_again(&again, round)) {
                ended[place] = Some(told).filter(|told| told != "retry");
            }
            self.wait(Span::from_secs(5));
        }
        ended.into_iter().map(|told| told.unwrap_or_else(|| "for ever".to_owned())).collect()
    }

    fn wait(&self, span: Span) {
        self.world.advance_to(self.world.now().plus(span));
    }

    fn job(&self, name: &str, person: Option<&PersonId>, work: Work) -> Job {
        let event = event_id(Source::Intercom, &workspace(), &[name]);
        Job { event, workspace: workspace(), person: person.cloned(), created_at: self.world.now(), work }
    }

    fn asks(&self, name: &str, person: &PersonId, occurred_at: Timestamp, verbs: Vec<CustomerioVerb>) -> Job {
        self.job(name, Some(person), Work::Customerio(actions(name, occurred_at, verbs)))
    }

    fn state(&self, name: &str, person: &PersonId) -> Job {
        self.job(name, Some(person), Work::CustomerioFacet { version: 1 })
    }

    fn consent(&self, name: &str, person: &PersonId) -> Job {
        self.job(name, Some(person), Work::Consent { destination: Destination::Customerio, version: 1 })
    }
}

fn actions(name: &str, occurred_at: Timestamp, verbs: Vec<CustomerioVerb>) -> Vec<CustomerioAction> {
    let action = |(place, what): (usize, CustomerioVerb)| CustomerioAction {
        id: action_id(&[name, &place.to_string()]),
        route: "test".to_owned(),
        occurred_at,
        origin: Source::Intercom,
        of_lead: false,
        what,
    };
    verbs.into_iter().enumerate().map(action).collect()
}

/// A user with a profile that is known by id and address.
fn user(bench: &Bench<'_>) -> PersonId {
    bench.vendor.add("0a", Some("42"), Some("a@example.com"));
    bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")])
}

fn email_in(choice: Choice) -> ConsentChange {
    ConsentChange { channel: Some(Channel::Email), topic: None, choice }
}

#[test]
fn everything_of_a_batch_goes_in_one_call_state_before_events() {
    let world = world(1);
    let bench = Bench::new(&world);
    let first = user(&bench);
    bench.vendor.add("0b", Some("43"), None);
    let second = bench.person(&[(IdKind::UserId, "43")]);
    bench.rated(&first, 2, NOW);
    let jobs = [
        bench.asks("e1", &first, at(-5), vec![track("opened")]),
        bench.state("e2", &first),
        bench.asks("e3", &second, at(-4), vec![update(json!({"plan": "pro"})), track("opened")]),
        bench.asks("e4", &first, at(-3), vec![update(json!({"plan": "free"}))]),
    ];
    assert_eq!(bench.handle(&jobs), ["done"; 4]);
    let calls = bench.vendor.calls();
    assert_eq!((calls.len(), bench.vendor.looks()), (1, 1));
    let kinds: Vec<bool> = calls[0].iter().map(|write| matches!(write, CustomerioWrite::Attributes { .. })).collect();
    assert_eq!(kinds.iter().filter(|is| **is).count(), 2, "{calls:?}");
    assert!(kinds[0], "state first");
    let profile = bench.vendor.profile("0a");
    assert_eq!((profile.get("last_csat_score"), profile.get("plan")), (json!(2), json!("free")));
    assert_eq!(profile.events.len(), 1);
}

#[test]
fn what_concerns_nobody_is_skipped() {
    let world = world(1);
    let bench = Bench::new(&world);
    let forgotten = Person::id_for(&workspace(), &id(IdKind::UserId, "nobody"));
    let jobs = [bench.job("e1", None, Work::Customerio(actions("e1", NOW, vec![track("x")]))), bench.state("e2", &forgotten)];
    assert_eq!(bench.handle(&jobs), ["concerns_no_person", "person_forgotten"]);
    assert!(bench.vendor.calls().is_empty());
}
