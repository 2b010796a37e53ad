//! What campaigns are called: asked for once, and no event waits for it.

use crate::blind::Blind;
use crate::counts::{Bench, finish};
use crate::history::{NOW, workspace};
use crate::sim::{NAMELESS, Profiles};
use std::sync::atomic::Ordering;
use trefoil_domain::action::{Action, IntercomVerb};
use trefoil_domain::config;
use trefoil_domain::event::{Channel, Event, IdKind, Identifier, Kind, MessageReport, Metric, Parent, ParentKind, Source, event_id};
use trefoil_domain::job::{Job, Work, event_message};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{AliasKey, Clock, Customerio, Disposition, QueueName, Store};
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::time::Span;

fn campaign(id: &str) -> Parent {
    Parent { kind: ParentKind::Campaign, id: id.to_owned() }
}

fn opened(bench: &Bench, person: usize, number: usize, parent: Option<Parent>) -> Event {
    let report = MessageReport {
        channel: Channel::Email,
        metric: Metric::Opened,
        unknown: None,
        machine: false,
        delivery_id: None,
        parent,
        subject: None,
        link: None,
        failure: None,
        attributes: Default::default(),
    };
    Event {
        id: event_id(Source::Customerio, &workspace(), &[&person.to_string(), &number.to_string()]),
        source: Source::Customerio,
        workspace: workspace(),
        occurred_at: NOW,
        received_at: bench.world.now(),
        ids: Identifier::new(IdKind::UserId, &format!("u{person}")).into_iter().collect(),
        person: None,
        origin: None,
        kind: Kind::Message(report),
    }
}

fn arrives(bench: &Bench, event: &Event) -> (u64, u64, u64, u64) {
    bench.world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
    bench.route()
}

/// What Intercom is to be told of the campaign: the one job that there is.
fn told(bench: &Bench) -> serde_json::Value {
    let [job] = bench.world.receive(QueueName::Intercom, 10).try_into().expect("one job for Intercom");
    bench.world.settle(QueueName::Intercom, vec![(job.id, Disposition::Delete)]);
    let Ok(Job { work: Work::Intercom(actions), .. }) = serde_json::from_str(&job.body) else { panic!("{}", job.body) };
    match actions.as_slice() {
        [Action { what: IntercomVerb::TrackEvent(event), .. }] => event.metadata["campaign"].clone(),
        other => panic!("{other:?}"),
    }
}

/// Asks what is to be asked.
fn answer(bench: &Bench, customerio: &impl Customerio) {
    let world = &bench.world;
    let sender = CustomerioSender { store: world, queue: world, clock: world, jitter: world, customerio, config: &bench.config };
    let dispositions = finish(sender.handle(QueueName::Customerio, world.receive(QueueName::Customerio, 10)));
    world.settle(QueueName::Customerio, dispositions);
    bench.route();
}

fn later(bench: &Bench, after: Span) {
    bench.world.advance_to(bench.world.now().plus(after));
}

#[test]
fn the_first_event_goes_without_the_name_and_the_next_with_it() {
    let bench = Bench::new();
    let profiles = Profiles::new(&bench.world);
    arrives(&bench, &opened(&bench, 1, 1, Some(campaign("23"))));
    assert_eq!(told(&bench), "23", "the id, until the name is known");
    assert_eq!(bench.world.depth(QueueName::Customerio), 1);
    answer(&bench, &profiles);
    let records = bench.world.records();
    let asked = records.iter().find(|r| r.stage == "customerio#campaign_name").expect("it is written down");
    assert_eq!(asked.outcome, Outcome::Done);
    for (number, person) in [1, 2, 3, 2, 1].into_iter().enumerate() {
        arrives(&bench, &opened(&bench, person, 2 + number, Some(campaign("23"))));
        assert_eq!(told(&bench), "The campaign 23");
    }
    assert_eq!((bench.world.sends(QueueName::Customerio), profiles.calls.load(Ordering::Relaxed)), (1, 1));
    // Of another kind, the same number is another thing.
    arrives(&bench, &opened(&bench, 1, 9, Some(Parent { kind: ParentKind::Newsletter, id: "23".to_owned() })));
    assert_eq!((told(&bench), bench.world.sends(QueueName::Customerio)), ("23".into(), 2));
}

#[test]
fn many_events_before_the_answer_ask_once_and_a_repeat_of_the_first_asks_again() {
    let bench = Bench::new();
    let first = opened(&bench, 1, 1, Some(campaign("23")));
    arrives(&bench, &first);
    for number in 2..20 {
        arrives(&bench, &opened(&bench, number, number, Some(campaign("23"))));
    }
    assert_eq!(bench.world.sends(QueueName::Customerio), 1);
    // Its question may not have left: the same message once more, and nothing written.
    let (_, writes, transactions, _) = arrives(&bench, &first);
    assert_eq!((bench.world.sends(QueueName::Customerio), writes, transactions), (2, 0, 0));
    answer(&bench, &Profiles::new(&bench.world));
    arrives(&bench, &first);
    assert_eq!(bench.world.sends(QueueName::Customerio), 2, "answered by now");
}

#[test]
fn events_side_by_side_ask_once_and_none_is_lost() {
    let bench = Bench::new();
    let events: Vec<Event> = (0..8).map(|person| opened(&bench, person, 1, Some(campaign("23")))).collect();
    for event in &events {
        bench.world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
    }
    bench.route();
    assert_eq!((bench.world.depth(QueueName::Events), bench.world.sends(QueueName::Customerio)), (0, 1));
    assert_eq!(bench.world.sends(QueueName::Intercom), 8);
}

#[test]
fn a_name_is_asked_for_again_after_a_week_and_meanwhile_kept() {
    let bench = Bench::new();
    let profiles = Profiles::new(&bench.world);
    for (number, id) in ["23", NAMELESS].into_iter().enumerate() {
        arrives(&bench, &opened(&bench, 1, number, Some(campaign(id))));
        told(&bench);
        answer(&bench, &profiles);
    }
    later(&bench, Span::from_hours(7 * 24 - 1));
    for (number, id, name) in [(2, "23", "The campaign 23"), (3, NAMELESS, NAMELESS)] {
        arrives(&bench, &opened(&bench, 2, number, Some(campaign(id))));
        assert_eq!(told(&bench), name);
    }
    assert_eq!(bench.world.sends(QueueName::Customerio), 2, "that there is none is remembered as well");
    later(&bench, Span::from_hours(2));
    arrives(&bench, &opened(&bench, 3, 4, Some(campaign("23"))));
    assert_eq!((told(&bench), bench.world.sends(QueueName::Customerio)), ("The campaign 23".into(), 3));
}

#[test]
fn without_a_key_nothing_is_parked_and_it_is_asked_again_after_an_hour() {
    let bench = Bench::new();
    for (number, asked) in [(1, 1), (2, 1), (3, 2)] {
        arrives(&bench, &opened(&bench, 1, number, Some(campaign("23"))));
        assert_eq!((told(&bench), bench.world.sends(QueueName::Customerio)), ("23".into(), asked));
        answer(&bench, &Blind::default());
        later(&bench, Span::from_mins(31));
    }
    let outcomes = bench.world.records().into_iter().filter(|r| r.stage == "customerio#campaign_name").map(|r| r.outcome);
    assert_eq!(outcomes.collect::<Vec<_>>(), vec![Outcome::skipped("no_app_api_key"); 2]);
    assert_eq!((bench.world.depth(QueueName::Parked), bench.world.depth(QueueName::Customerio)), (0, 0));
}

#[test]
fn a_name_costs_one_read_and_no_write_and_nothing_where_no_route_wants_it() {
    let mut bench = Bench::new();
    arrives(&bench, &opened(&bench, 1, 1, Some(campaign("23"))));
    answer(&bench, &Profiles::new(&bench.world));
    let (reads, writes, transactions, _) = arrives(&bench, &opened(&bench, 1, 2, Some(campaign("23"))));
    assert_eq!((reads, writes, transactions), (1, 0, 0));
    arrives(&bench, &opened(&bench, 1, 3, None));

    let text = config::EMBEDDED.replace("${event.campaign_name == null ? event.campaign_id : event.campaign_name}", "${event.campaign_id}");
    let text = text.replace("\"${event.campaign_name}\"", "\"${event.campaign_id}\"");
    (bench.config, bench.routes) = config::check("trefoil.yaml", &text).expect("right");
    arrives(&bench, &opened(&bench, 1, 4, Some(campaign("24"))));
    assert_eq!(bench.world.sends(QueueName::Customerio), 1);
    let key = AliasKey::of_campaign(&workspace(), &campaign("24"));
    assert!(finish(bench.world.find(&[key], &[])).expect("the store answers").aliases.is_empty());
}
