//! What Segment is sent, and what becomes of the jobs, whatever Segment and the workers do.

mod outside;
mod state;
mod values;
mod whose;

use outside::{Outside, go_on};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use trefoil_domain::action::{SegmentAction, SegmentVerb};
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Attributes, IdKind, Identifier, Source, Workspace, action_id, event_id};
use trefoil_domain::id::PersonId;
use trefoil_domain::job::{Job, Work};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::{Csat, Person};
use trefoil_domain::ports::{Alias, AliasKey, Clock, Delivery, Destination, Disposition, SegmentMessage};
use trefoil_domain::steps::send_segment::SegmentSender;
use trefoil_domain::time::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn workspace() -> Workspace {
    Workspace::new("main").expect("a workspace")
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus(Span::from_secs(seconds))
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn identify(traits: Value) -> SegmentVerb {
    SegmentVerb::Identify { traits: attributes(traits) }
}

fn track(name: &str) -> SegmentVerb {
    SegmentVerb::Track { name: name.to_owned(), properties: Attributes::new() }
}

/// What happened, to whom.
struct Bench {
    outside: Outside,
    config: Config,
}

type Answered = Vec<(String, Disposition)>;

impl Bench {
    fn new() -> Self {
        Self::with("version: 1\n")
    }

    fn with(yaml: &str) -> Self {
        Self { outside: Outside::at(NOW), config: config::parse("trefoil.yaml", yaml).expect("a file") }
    }

    /// Somebody with these ids, each theirs alone.
    fn person(&self, ids: &[(IdKind, &str)]) -> PersonId {
        let ids: Vec<Identifier> = ids.iter().map(|(kind, value)| Identifier::new(*kind, value).expect("an id")).collect();
        let person = Person::new(&workspace(), &ids[0], NOW);
        let key = person.id.clone();
        self.outside.people.lock().expect("lock").insert(key.clone(), person);
        ids.into_iter().for_each(|id| self.gains(&key, &id));
        key
    }

    fn gains(&self, person: &PersonId, id: &Identifier) {
        self.change(person, |person| {
            person.ids.entry(id.kind).or_default().insert(id.value.clone(), NOW);
        });
        let mut aliases = self.outside.aliases.lock().expect("lock");
        let alias: &mut Alias = aliases.entry(AliasKey::of_identifier(&workspace(), id)).or_default();
        alias.claimants.push(person.clone());
    }

    fn change(&self, person: &PersonId, change: impl FnOnce(&mut Person)) {
        change(self.outside.people.lock().expect("lock").get_mut(person).expect("somebody"));
    }

    /// Moves the person's state.
    fn rated(&self, person: &PersonId, score: u8) {
        self.change(person, |person| person.csat = Some(Csat { score, at: NOW }));
    }

    /// The first goes on for both.
    fn merge(&self, survivor: &PersonId, other: &PersonId) {
        let other = self.outside.people.lock().expect("lock")[other].clone();
        let husk = other.husk(survivor, NOW);
        self.change(survivor, |survivor| survivor.absorb(other));
        self.outside.people.lock().expect("lock").insert(husk.id.clone(), husk);
    }

    fn sender(&self) -> SegmentSender<'_, Outside, Outside, Outside, Outside, Outside> {
        let outside = &self.outside;
        SegmentSender { store: outside, queue: outside, clock: outside, jitter: outside, segment: outside, config: &self.config }
    }

    fn begin(&self, jobs: &[Job]) -> Pin<Box<dyn Future<Output = Answered> + '_>> {
        let deliver = |(place, job): (usize, &Job)| Delivery {
            id: place.to_string(),
            body: job.to_message().expect("a job is JSON").body,
            group: "g".to_owned(),
            receive_count: 1,
        };
        let deliveries = jobs.iter().enumerate().map(deliver).collect();
        Box::pin(async move { self.sender().handle(deliveries).await })
    }

    /// What became of these jobs, in their order: the word of the outcome, and of the reason.
    fn handle(&self, jobs: &[Job]) -> Vec<String> {
        let before = self.outside.records.lock().expect("lock").len();
        let answered = go_on(&mut self.begin(jobs)).expect("an end");
        self.told(jobs, &answered, before)
    }

    fn told(&self, jobs: &[Job], answered: &Answered, before: usize) -> Vec<String> {
        let records = self.outside.records.lock().expect("lock");
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

    fn job(&self, name: &str, person: Option<&PersonId>, work: Work) -> Job {
        let event = event_id(Source::Intercom, &workspace(), &[name]);
        Job { event, workspace: workspace(), person: person.cloned(), created_at: self.outside.now(), work }
    }

    fn asks(&self, name: &str, person: &PersonId, occurred_at: Timestamp, verbs: Vec<SegmentVerb>) -> Job {
        let action = |(place, what): (usize, SegmentVerb)| SegmentAction {
            id: action_id(&[name, &place.to_string()]),
            route: "test".to_owned(),
            occurred_at,
            origin: Source::Intercom,
            of_lead: false,
            what,
        };
        self.job(name, Some(person), Work::Segment(verbs.into_iter().enumerate().map(action).collect()))
    }

    fn state(&self, name: &str, person: &PersonId) -> Job {
        self.job(name, Some(person), Work::SegmentFacet { version: 1 })
    }

    fn consent(&self, name: &str, person: &PersonId) -> Job {
        self.job(name, Some(person), Work::Consent { destination: Destination::Segment, version: 1 })
    }

    /// The messages of the last call.
    fn last_call(&self) -> Vec<SegmentMessage> {
        self.outside.calls().pop().expect("a call")
    }

    fn traits(&self, name: &str) -> Attributes {
        self.outside.segment.lock().expect("lock").traits.get(name).cloned().unwrap_or_default()
    }
}

fn traits_of(message: &SegmentMessage) -> Attributes {
    let SegmentVerb::Identify { traits } = &message.what else { panic!("no identify: {message:?}") };
    traits.clone()
}

fn user(bench: &Bench) -> PersonId {
    bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")])
}

#[test]
fn everything_of_a_batch_goes_in_one_call_state_before_events() {
    let bench = Bench::new();
    let (first, second) = (user(&bench), bench.person(&[(IdKind::UserId, "43")]));
    bench.rated(&first, 2);
    let jobs = [
        bench.asks("e1", &first, at(-5), vec![track("Email Opened")]),
        bench.state("e2", &first),
        bench.asks("e3", &second, at(-4), vec![identify(serde_json::json!({"plan": "pro"})), track("Email Opened")]),
        bench.asks("e4", &first, at(-3), vec![track("Unsubscribed")]),
    ];
    assert_eq!(bench.handle(&jobs), ["done"; 4]);
    let calls = bench.outside.calls();
    assert_eq!(calls.len(), 1);
    let told: Vec<String> =
        calls[0].iter().map(|message| format!("{} {}", message.user_id.as_deref().expect("a user"), name(message))).collect();
    let (of_first, of_second): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.starts_with("42"));
    assert_eq!(of_first, ["42 identify", "42 Email Opened", "42 Unsubscribed"]);
    assert_eq!(of_second, ["43 identify", "43 Email Opened"]);
    let Some(opened) = calls[0].iter().find(|message| message.at == at(-5)) else { panic!("with its own time") };
    assert_eq!((opened.id.clone(), opened.origin), (action_id(&["e1", "0"]), Source::Intercom));
    assert_eq!(opened.email.as_deref(), Some("a@example.com"));
}

fn name(message: &SegmentMessage) -> &str {
    match &message.what {
        SegmentVerb::Identify { .. } => "identify",
        SegmentVerb::Track { name, .. } => name,
        SegmentVerb::Group { .. } => "group",
        SegmentVerb::Alias { .. } => "alias",
    }
}

#[test]
fn events_alone_cost_no_write() {
    let bench = Bench::new();
    let person = user(&bench);
    for n in 0..5 {
        let job = bench.asks(&format!("e{n}"), &person, at(n), vec![track("Email Opened")]);
        assert_eq!(bench.handle(&[job]), ["done"]);
    }
    assert_eq!(bench.outside.mark_writes(), 0);
    assert_eq!(bench.outside.calls().len(), 5);
}

#[test]
fn a_repeat_of_an_event_has_the_same_id() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.outside.next_calls([outside::Does::TakesAndDrops]);
    let job = bench.asks("e1", &person, at(0), vec![track("Email Opened")]);
    assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
    assert_eq!(bench.handle(&[job]), ["done"]);
    let calls = bench.outside.calls();
    assert_eq!(calls[0], calls[1]);
}

#[test]
fn a_refusal_is_that_jobs_alone_and_is_parked() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.outside.next_calls([outside::Does::Refuses([0].into())]);
    let (bad, good) = (bench.asks("e1", &person, at(0), vec![track("bad")]), bench.asks("e2", &person, at(1), vec![track("good")]));
    assert_eq!(bench.handle(&[bad, good]), ["refused", "done"]);
    assert_eq!(bench.outside.parked.lock().expect("lock").len(), 1);
}

#[test]
fn what_is_no_job_of_ours_goes_round() {
    let bench = Bench::new();
    let delivery = Delivery { id: "x".to_owned(), body: "{}".to_owned(), group: String::new(), receive_count: 1 };
    let answered = go_on(&mut (Box::pin(async { bench.sender().handle(vec![delivery]).await }) as Pin<Box<dyn Future<Output = Answered>>>));
    assert_eq!(answered, Some(vec![("x".to_owned(), Disposition::Retry(Span::from_secs(1)))]));
    assert_eq!(bench.outside.calls().len(), 0);
}

#[test]
fn what_concerns_nobody_is_skipped() {
    let bench = Bench::new();
    let person = user(&bench);
    let forgotten = Person::id_for(&workspace(), &Identifier::new(IdKind::UserId, "nobody").expect("an id"));
    let of_nobody = bench.job("e1", None, Work::Segment(Vec::new()));
    let jobs = [of_nobody, bench.state("e2", &forgotten), bench.asks("e3", &person, at(0), vec![track("x")])];
    assert_eq!(bench.handle(&jobs), ["concerns_no_person", "person_forgotten", "done"]);
    let outcomes: Vec<Outcome> = bench.outside.records.lock().expect("lock").iter().map(|record| record.outcome.clone()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.name() == "skipped").count(), 2);
}
