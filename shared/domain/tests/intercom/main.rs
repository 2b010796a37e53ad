//! Whatever the workers, the network and Intercom's search do: one contact a person, nothing that people see twice, no event
//! lost.

#[path = "../road/sim.rs"]
#[allow(dead_code, reason = "the road uses the rest")]
mod sim;

mod acts;
mod ours;
mod whose;
mod workspace;

use serde_json::json;
use sim::{Dice, World};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::action::{
    ContactRole, IntercomAction, IntercomVerb, MessageChannel, OpenConversation, SendMessage, TrackEvent, UpsertContact,
};
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Profile, Source, Workspace, event_id};
use trefoil_domain::id::{ActionId, Digest, PersonId};
use trefoil_domain::job::{Job, Work, event_message};
use trefoil_domain::ledger::Ledger;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Clock, Disposition, QueueName};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::route::Router;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::time::{Span, Timestamp};
use workspace::{Life, Simulated};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const QUEUES: [QueueName; 3] = [QueueName::Events, QueueName::IntercomState, QueueName::Intercom];

type Work_<'w> = Pin<Box<dyn Future<Output = Vec<(String, Disposition)>> + 'w>>;

fn workspace() -> Workspace {
    Workspace::new("main").expect("a workspace")
}

fn id(kind: IdKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect("an id")
}

/// How a human stands at Intercom in the beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Nobody,
    User,
    Lead,
    /// A lead whose id Trefoil knows from a webhook.
    KnownLead,
    ArchivedUser,
    /// Trefoil knows a lead that has gone up in a user since.
    KnownLeadMerged,
}

const STARTS: [Start; 6] = [Start::Nobody, Start::User, Start::Lead, Start::KnownLead, Start::ArchivedUser, Start::KnownLeadMerged];

#[derive(Debug)]
struct Human {
    start: Start,
    user_id: Option<String>,
    email: String,
    /// Ids of the person, or of the two that they seem to be at first.
    people: Vec<PersonId>,
    /// What shows that the two are one.
    link: Option<Vec<Identifier>>,
}

impl Human {
    fn person(&self, dice: &Dice) -> PersonId {
        self.people[dice.below(self.people.len())].clone()
    }
}

struct Bench<'w> {
    world: &'w World,
    intercom: &'w Simulated<'w>,
    config: &'w Config,
    routes: &'w Routes,
    names: EventNameBudget,
}

impl Bench<'_> {
    /// Runs workers over the queues until nothing is left to do before `until`. `crashes`: percent of turns.
    fn run(&self, workers: usize, crashes: usize, until: Timestamp, mut happens: impl FnMut(&World)) {
        let world = self.world;
        let router = Router { store: world, queue: world, clock: world, jitter: world, config: self.config, routes: self.routes };
        let (intercom, config, names) = (self.intercom, self.config, &self.names);
        let sender = IntercomSender { store: world, queue: world, clock: world, jitter: world, intercom, config, names };
        let mut running: Vec<(QueueName, Work_<'_>)> = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        for turn in 0.. {
            assert!(turn < 2_000_000, "it goes on for ever");
            if world.dice.percent(2) {
                happens(world);
            }
            if running.len() < workers && (running.is_empty() || world.dice.percent(50)) {
                let first = world.dice.below(QUEUES.len());
                let next = (0..QUEUES.len()).map(|i| QUEUES[(first + i) % QUEUES.len()]).find_map(|queue| {
                    let batch = world.receive(queue, 1 + world.dice.below(10));
                    (!batch.is_empty()).then_some((queue, batch))
                });
                if let Some((queue, batch)) = next {
                    let work: Work_<'_> = match queue {
                        QueueName::Events => Box::pin(router.handle(batch)),
                        _ => Box::pin(sender.handle(queue, batch)),
                    };
                    running.push((queue, work));
                } else if running.is_empty() {
                    match world.next_time().filter(|at| *at <= until) {
                        Some(at) => world.advance_to(at),
                        None => return,
                    }
                }
                continue;
            }
            if running.is_empty() {
                continue;
            }
            let chosen = world.dice.below(running.len());
            if world.dice.percent(crashes) && world.dice.percent(20) {
                drop(running.swap_remove(chosen));
                continue;
            }
            if let Poll::Ready(dispositions) = running[chosen].1.as_mut().poll(&mut context) {
                let (queue, _) = running.swap_remove(chosen);
                world.settle(queue, dispositions);
            }
        }
    }

    fn hear(&self, ids: Vec<Identifier>, source: Source, kind: Kind) {
        let name = format!("{ids:?} {}", kind.name());
        let event = Event {
            id: event_id(source, &workspace(), &[&name]),
            source,
            workspace: workspace(),
            occurred_at: NOW,
            received_at: self.world.now(),
            ids,
            person: None,
            origin: None,
            kind,
        };
        self.world.put(QueueName::Events, event_message(&event).expect("an event is JSON"));
    }

    fn ask(&self, person: PersonId, occurred_at: Timestamp, name: &str, verbs: Vec<IntercomVerb>) {
        let actions = verbs.into_iter().enumerate().map(|(index, what)| IntercomAction {
            id: ActionId::from(Digest::new("test").with(name).with(&index.to_string())),
            route: "test".to_owned(),
            occurred_at,
            origin: Source::Segment,
            of_lead: false,
            what,
        });
        let work = Work::Intercom(actions.collect());
        let event = event_id(Source::Segment, &workspace(), &[name]);
        let job = Job { event, workspace: workspace(), person: Some(person), created_at: self.world.now(), work };
        self.world.put(job.queue(), job.to_message().expect("a job is JSON"));
    }
}

fn humans(bench: &Bench<'_>) -> Vec<Human> {
    let dice = &bench.world.dice;
    let mut humans = Vec::new();
    for n in 0..1 + dice.below(3) {
        let start = STARTS[dice.below(STARTS.len())];
        let needs_user = matches!(start, Start::User | Start::ArchivedUser | Start::KnownLeadMerged);
        let user_id = (needs_user || dice.percent(60)).then(|| format!("u{n}"));
        let email = format!("h{n}@example.com");
        let (user, address) = (user_id.as_deref(), Some(email.as_str()));
        let known = match start {
            Start::Nobody => None,
            Start::User => {
                bench.intercom.add(ContactRole::User, user, address, Life::Active);
                None
            }
            Start::ArchivedUser => {
                bench.intercom.add(ContactRole::User, user, address, Life::Archived);
                None
            }
            Start::Lead => {
                bench.intercom.add(ContactRole::Lead, None, address, Life::Active);
                None
            }
            Start::KnownLead => Some(bench.intercom.add(ContactRole::Lead, None, address, Life::Active)),
            Start::KnownLeadMerged => {
                let into = bench.intercom.add(ContactRole::User, user, address, Life::Active);
                Some(bench.intercom.add(ContactRole::Lead, None, None, Life::MergedInto(into)))
            }
        };
        let mut people = Vec::new();
        let mut heard = |ids: Vec<Identifier>, source| {
            people.push(Person::id_for(&workspace(), &ids[0]));
            bench.hear(ids, source, Kind::PersonUpdated(Profile::default()));
        };
        let by_email = id(IdKind::Email, &email);
        match (&user_id, &known) {
            // Two people at first, who turn out to be one.
            (Some(user_id), Some(contact)) => {
                heard(vec![id(IdKind::IntercomId, contact)], Source::Intercom);
                heard(vec![id(IdKind::UserId, user_id), by_email.clone()], Source::Segment);
            }
            (None, Some(contact)) => heard(vec![id(IdKind::IntercomId, contact), by_email.clone()], Source::Intercom),
            (Some(user_id), None) => heard(vec![id(IdKind::UserId, user_id), by_email.clone()], Source::Segment),
            (None, None) => heard(vec![by_email.clone()], Source::Segment),
        }
        let link =
            known.zip(user_id.as_ref()).map(|(contact, user_id)| vec![id(IdKind::IntercomId, &contact), id(IdKind::UserId, user_id)]);
        humans.push(Human { start, user_id, email, people, link });
    }
    humans
}

fn upsert(value: usize) -> IntercomVerb {
    let attributes = [("plan".to_owned(), json!(value))].into_iter().collect();
    IntercomVerb::UpsertContact(UpsertContact { create: true, attributes, ..UpsertContact::default() })
}

fn track(marker: &str) -> IntercomVerb {
    let metadata = [("n".to_owned(), json!(marker))].into_iter().collect();
    IntercomVerb::TrackEvent(TrackEvent { name: "Used".to_owned(), fallback: None, metadata })
}

/// One race: workers that die, calls without answers, a search that lags, contacts that go up in others.
fn race(seed: u64) {
    let (config, routes) = config::check("trefoil.yaml", "version: 1\n").expect("a file");
    let world = World::new(seed, NOW);
    let intercom = Simulated::new(&world);
    let bench = Bench { world: &world, intercom: &intercom, config: &config, routes: &routes, names: EventNameBudget::new(&config) };
    let dice = &world.dice;
    let humans = humans(&bench);
    let (workers, crashes) = (2 + dice.below(2), dice.below(8));
    intercom.failing.store(10 * dice.below(3) as u64, Ordering::Relaxed);
    // Who they are is known before anything is asked for; a job for somebody unknown has nobody.
    bench.run(1, 0, NOW, |_| {});

    let mut last = vec![0; humans.len()];
    for (n, human) in humans.iter().enumerate() {
        if let Some(link) = &human.link {
            bench.hear(link.clone(), Source::Intercom, Kind::PersonUpdated(Profile::default()));
        }
        for value in 1..=2 + dice.below(4) {
            last[n] = value;
            let at = NOW.plus(Span::from_secs(value as i64));
            bench.ask(human.person(dice), at, &format!("upsert {n} {value}"), vec![upsert(value)]);
        }
    }
    let signs_up = |world: &World| {
        let human = &humans[world.dice.below(humans.len())];
        if let Some(user_id) = human.user_id.as_ref().filter(|_| human.start != Start::ArchivedUser && world.dice.percent(20)) {
            intercom.signs_up(user_id, &human.email);
        }
    };
    bench.run(workers, crashes, NOW.plus(Span::from_hours(2)), signs_up);

    if world.depth(QueueName::Intercom) == 0 {
        // Of two people whom nothing shows to be one, nobody knows whose fact is the later one.
        for (n, human) in humans.iter().enumerate().filter(|(_, human)| human.people.len() == 1) {
            let active = intercom.active(human.user_id.as_deref(), &human.email);
            let given: Vec<_> = active.iter().map(|(_, contact)| contact.attributes.get("plan")).collect();
            assert_eq!(given, [Some(&json!(last[n]))], "seed {seed}: {human:?} has {active:#?}");
        }
    }

    let start = world.now();
    let mut markers = BTreeSet::new();
    for (n, human) in humans.iter().enumerate() {
        for k in 0..1 + dice.below(5) {
            let marker = format!("{n}-{k}");
            // Several in one second.
            let at = NOW.plus(Span::from_secs(dice.below(2) as i64));
            bench.ask(human.person(dice), at, &format!("track {marker}"), vec![track(&marker)]);
            markers.insert(marker);
        }
        let open = OpenConversation {
            body: format!("conversation {n}"),
            assign_to_team: Some("7".to_owned()),
            note: Some(format!("note {n}")),
            tag: Some("risk".to_owned()),
            ..OpenConversation::default()
        };
        bench.ask(human.person(dice), NOW, &format!("open {n}"), vec![IntercomVerb::OpenConversation(open)]);
        let message = SendMessage { channel: MessageChannel::InApp, subject: None, body: format!("message {n}") };
        let tag = IntercomVerb::AddTag { tag: "vip".to_owned() };
        bench.ask(human.person(dice), NOW, &format!("send {n}"), vec![IntercomVerb::SendMessage(message), tag]);
        bench.ask(human.person(dice), NOW.plus(Span::from_secs(9)), &format!("upsert {n} 9"), vec![upsert(9)]);
    }
    bench.run(workers, crashes, start.plus(Span::from_hours(3)), signs_up);
    intercom.failing.store(0, Ordering::Relaxed);
    bench.run(2, 0, start.plus(Span::from_hours(12)), |_| {});

    let left = world.depth(QueueName::Intercom) + world.depth(QueueName::IntercomState);
    assert_eq!(left, 0, "seed {seed}: something is left");
    let inside = intercom.inside.lock().expect("lock");
    let kept: BTreeSet<&str> = inside.events.values().filter_map(|metadata| metadata["n"].as_str()).collect();
    let review: BTreeMap<ActionId, String> = now_or_never(world.wanting_review(&workspace()))
        .expect("reads")
        .into_iter()
        .map(|entry| {
            let step = entry.unknown().expect("a step").0.to_owned();
            (entry.action, step)
        })
        .collect();
    for marker in &markers {
        assert!(
            kept.contains(marker.as_str()),
            "seed {seed}: event {marker} is lost\n{:#?}\n{humans:#?}",
            world.records().iter().map(|r| format!("{} {:?} {:?}", r.stage, r.outcome, r.notes)).collect::<Vec<_>>()
        );
    }
    for (text, times) in &inside.seen_by_people {
        assert_eq!(*times, 1, "seed {seed}: people saw {text:?} {times} times");
    }
    for n in 0..humans.len() {
        let unknown = |name: &str, index: usize| {
            let action = ActionId::from(Digest::new("test").with(name).with(&index.to_string()));
            review.contains_key(&action)
        };
        let open = unknown(&format!("open {n}"), 0);
        let saw = |text: String| inside.seen_by_people.contains_key(&text);
        assert!(saw(format!("conversation {n}")) || open, "seed {seed}: conversation {n} is lost");
        assert!(saw(format!("note {n}")) || open, "seed {seed}: note {n} is lost");
        assert!(saw(format!("message {n}")) || unknown(&format!("send {n}"), 0), "seed {seed}: message {n} is lost");
    }
    drop(inside);
    for human in &humans {
        let active = intercom.active(human.user_id.as_deref(), &human.email);
        assert_eq!(active.len(), 1, "seed {seed}: {human:?} has {active:#?}");
        let (_, contact) = &active[0];
        assert_eq!(contact.attributes.get("plan"), Some(&json!(9)), "seed {seed}: {human:?} {contact:?}");
        assert!(contact.tags.contains("vip"), "seed {seed}: {human:?}");
        if human.user_id.is_some() {
            assert_eq!((contact.role, &contact.user_id), (ContactRole::User, &human.user_id), "seed {seed}: {human:?}");
        }
    }
}

fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// `RACES=20000` runs more of them, `RACE=299` one alone.
#[test]
fn a_thousand_races() {
    let races = std::env::var("RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(1000);
    let only = std::env::var("RACE").ok().and_then(|seed| seed.parse().ok());
    match only {
        Some(seed) => race(seed),
        None => (0..races).for_each(race),
    }
}
