//! What we have said ourselves, coming back.

#[path = "road/sim.rs"]
#[allow(dead_code, reason = "the road uses the rest")]
mod sim;

use serde_json::{Value, json};
use sim::{Dice, World};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::action::{CustomerioVerb, IntercomVerb, UpdatePerson, UpsertContact};
use trefoil_domain::config;
use trefoil_domain::echo::Wrote;
use trefoil_domain::event::{Attributes, Event, IdKind, Identifier, Kind, Profile, Source, Workspace, event_id};
use trefoil_domain::job::{Job, Work, event_message};
use trefoil_domain::ports::{Clock, QueueName};
use trefoil_domain::steps::route::Router;
use trefoil_domain::time::{Span, Timestamp};

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn wrote(values: Value) -> Wrote {
    let mut wrote = Wrote::default();
    writes(&mut wrote, values);
    wrote
}

fn writes(wrote: &mut Wrote, values: Value) {
    wrote.note_customerio(&CustomerioVerb::UpdatePerson(UpdatePerson { attributes: attributes(values), ..UpdatePerson::default() }));
}

fn says(source: Source, values: Value) -> Event {
    let at = Timestamp::from_secs(1_790_000_000);
    let workspace = Workspace::new("main").expect("a workspace");
    Event {
        id: event_id(source, &workspace, &[&values.to_string()]),
        source,
        workspace,
        occurred_at: at,
        received_at: at,
        ids: Vec::new(),
        person: None,
        origin: None,
        kind: Kind::PersonUpdated(Profile { attributes: attributes(values), ..Profile::default() }),
    }
}

/// What of it is news.
fn news(wrote: &mut Wrote, source: Source, values: Value) -> Value {
    let event = says(source, values);
    match &wrote.strip(&event).kind {
        Kind::PersonUpdated(profile) => serde_json::to_value(&profile.attributes).expect("JSON"),
        other => panic!("{}", other.name()),
    }
}

#[test]
fn the_same_value_is_an_echo_of_whatever_type() {
    let same = [
        (json!(490), json!("490")),
        (json!("490"), json!(490)),
        (json!(490), json!(490.0)),
        (json!(490.0), json!("490")),
        (json!(true), json!("true")),
        (json!(false), json!(false)),
        (json!("pro"), json!(" pro ")),
        (json!(["a", 1]), json!("[\"a\",1]")),
        (json!({"a": 1}), json!({"a": 1})),
        (json!(-0.5), json!("-0.5")),
    ];
    for (ours, theirs) in same {
        assert_eq!(news(&mut wrote(json!({"x": ours})), Source::Customerio, json!({"x": theirs})), json!({}), "{ours} {theirs}");
    }
}

#[test]
fn another_value_is_news() {
    let other = [
        (json!(490), json!(491)),
        (json!("pro"), json!("Pro")),
        (json!("01"), json!("1")),
        (json!(true), json!(1)),
        (json!("x"), json!("")),
    ];
    for (ours, theirs) in other {
        let told = json!({"x": theirs, "y": 1});
        assert_eq!(news(&mut wrote(json!({"x": ours, "y": 1})), Source::Customerio, told), json!({"x": theirs}), "{ours} {theirs}");
    }
}

#[test]
fn of_another_tool_nothing_is_an_echo() {
    let mut wrote = wrote(json!({"x": 1}));
    for source in [Source::Intercom, Source::Segment] {
        assert_eq!(news(&mut wrote, source, json!({"x": 1})), json!({"x": 1}));
    }
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 1})), json!({}), "and it is ours still");
}

#[test]
fn a_value_that_a_human_brings_back_is_news() {
    let mut wrote = wrote(json!({"x": 2}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 2})), json!({}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 5})), json!({"x": 5}), "by hand");
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 2})), json!({"x": 2}), "by hand, back");
    writes(&mut wrote, json!({"x": 2}));
    writes(&mut wrote, json!({"x": 5}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 5})), json!({}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 2})), json!({"x": 2}));
}

#[test]
fn a_date_and_its_seconds_are_one_value_and_a_text_that_was_cut_is_known() {
    let mut wrote = wrote(json!({"on": "2026-01-10T04:22:28Z", "text": "x".repeat(2000)}));
    let told = json!({"on": 1_768_018_948, "text": format!("{}…", "x".repeat(996))});
    assert_eq!(news(&mut wrote, Source::Customerio, told), json!({}));
}

#[test]
fn a_contacts_own_fields_come_back_too() {
    let mut wrote = Wrote::default();
    let name = UpsertContact { name: Some("Ada".to_owned()), attributes: attributes(json!({"plan": "pro"})), ..UpsertContact::default() };
    wrote.note_intercom(&IntercomVerb::UpsertContact(name));
    assert_eq!(news(&mut wrote, Source::Intercom, json!({"name": "Ada", "plan": "pro", "city": "x"})), json!({"city": "x"}));
}

#[test]
fn a_few_hundred_values_are_kept_and_those_go_on_changing() {
    let mut wrote = Wrote::default();
    for n in 0..300 {
        writes(&mut wrote, json!({format!("a{n}"): 1}));
    }
    assert_eq!(serde_json::to_value(&wrote).expect("JSON").as_object().map(serde_json::Map::len), Some(200));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"a0": 1, "a299": 1})), json!({"a299": 1}));
    writes(&mut wrote, json!({"a0": 2}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"a0": 2})), json!({}));
    // What a tool has a value of its own for makes room.
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"a1": 7})), json!({"a1": 7}));
    writes(&mut wrote, json!({"a299": 1}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"a299": 1})), json!({}));
}

#[test]
fn what_was_written_to_either_of_two_records_may_come_back() {
    let mut one = wrote(json!({"x": 1}));
    one.absorb(wrote(json!({"x": 2, "y": 3})));
    assert_eq!(news(&mut one, Source::Customerio, json!({"x": 1, "y": 3})), json!({}));
}

const BOTH_WAYS: &str = "version: 1
routes:
  - name: there
    on: intercom.person.updated
    do:
      - customerio.update_person: { attributes: { plan: \"${event.attributes.plan}\" } }
  - name: and back
    on: customerio.person.updated
    do:
      - intercom.upsert_contact: { attributes: { plan: \"${event.attributes.plan}\" } }
";

/// Two tools that report whatever they are given, as if it were news.
struct Two<'w> {
    world: &'w World,
    has: BTreeMap<Source, Value>,
    writes: usize,
    said: usize,
    waiting: Vec<Event>,
}

impl Two<'_> {
    fn gets(&mut self, tool: Source, value: &Value) {
        self.has.insert(tool, value.clone());
        self.said += 1;
        let ids = [(IdKind::UserId, "42"), if tool == Source::Intercom { (IdKind::IntercomId, "c1") } else { (IdKind::CioId, "0a") }];
        let now = self.world.now();
        // Its templates make text of it.
        let told = if tool == Source::Customerio { Value::String(value.to_string().trim_matches('"').to_owned()) } else { value.clone() };
        self.waiting.push(Event {
            id: event_id(tool, &Workspace::new("main").expect("a workspace"), &[&self.said.to_string()]),
            ids: ids.iter().map(|(kind, value)| Identifier::new(*kind, value).expect("an id")).collect(),
            occurred_at: now,
            received_at: now,
            ..says(tool, json!({"plan": told}))
        });
    }

    /// Delivers what waits, now and then twice, and does what follows from it, until all is silent.
    fn settle(&mut self, dice: &Dice) {
        let (config, routes) = config::check("trefoil.yaml", BOTH_WAYS).expect("a file");
        let world = self.world;
        let router = Router { store: world, queue: world, clock: world, jitter: world, config: &config, routes: &routes };
        while !self.waiting.is_empty() {
            let event = self.waiting.remove(0);
            for _ in 0..1 + usize::from(dice.percent(30)) {
                world.put(QueueName::Events, event_message(&event).expect("JSON"));
                let answered = finish(router.handle(world.receive(QueueName::Events, 10)));
                world.settle(QueueName::Events, answered);
            }
            for queue in [QueueName::Customerio, QueueName::Intercom] {
                for delivery in world.receive(queue, 10) {
                    world.settle(queue, vec![(delivery.id, trefoil_domain::ports::Disposition::Delete)]);
                    self.does(&serde_json::from_str::<Job>(&delivery.body).expect("a job").work);
                }
            }
            world.advance_to(world.now().plus(Span::from_secs(5)));
            assert!(self.writes < 200, "it goes on for ever");
        }
    }

    fn does(&mut self, work: &Work) {
        let written: Vec<(Source, Value)> = match work {
            Work::Customerio(actions) => actions
                .iter()
                .filter_map(|action| match &action.what {
                    CustomerioVerb::UpdatePerson(update) => Some((Source::Customerio, update.attributes.get("plan")?.clone())),
                    _ => None,
                })
                .collect(),
            Work::Intercom(actions) => actions
                .iter()
                .filter_map(|action| match &action.what {
                    IntercomVerb::UpsertContact(contact) => Some((Source::Intercom, contact.attributes.get("plan")?.clone())),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        for (tool, value) in written {
            self.writes += 1;
            // What it has already it does not report.
            if self.has.get(&tool) != Some(&value) {
                self.gets(tool, &value);
            }
        }
    }
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

/// Both ways at once: every change by hand reaches the other tool, and then there is silence.
#[test]
fn two_routes_do_not_pass_a_value_to_and_fro() {
    for seed in 0..200 {
        let world = World::new(seed, Timestamp::from_secs(1_790_000_000));
        world.forgets.store(0, Ordering::Relaxed);
        let dice = Dice::new(seed ^ 0xEC40);
        let mut two = Two { world: &world, has: BTreeMap::new(), writes: 0, said: 0, waiting: Vec::new() };
        let mut changes = 0;
        for value in [json!(2), json!(5), json!(2), json!("pro"), json!(true), json!(2)] {
            let tool = if dice.percent(50) { Source::Intercom } else { Source::Customerio };
            two.gets(tool, &value);
            changes += 1;
            two.settle(&dice);
            let text = |value: &Value| value.to_string().trim_matches('"').to_owned();
            let (one, other) = (text(&two.has[&Source::Intercom]), text(&two.has[&Source::Customerio]));
            assert_eq!((one.as_str(), other.as_str()), (text(&value).as_str(), text(&value).as_str()), "seed {seed}");
        }
        // An event that is delivered twice asks for its write twice.
        assert!(two.writes <= 2 * changes, "seed {seed}: {} writes for {changes} changes", two.writes);
    }
}
