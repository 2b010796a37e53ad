//! What Customer.io is told of consent.

use super::vendor::REFUSED;
use super::{Bench, at, email_in, everything, update, user, world};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trefoil_domain::action::CustomerioVerb;
use trefoil_domain::consent::{Channels, switches};
use trefoil_domain::event::{Choice, ConsentChange, IdKind, Source, Topic};
use trefoil_domain::ports::Destination;
use trefoil_domain::time::Span;

const TOPIC: &str = "cio_subscription_preferences.topics.topic_1";

fn topic(source: Source, choice: Choice) -> ConsentChange {
    let id = if source == Source::Intercom { "194" } else { "topic_1" };
    ConsentChange { channel: None, topic: Some(Topic { id: id.to_owned(), name: None }), choice }
}

fn mapped<'w>(world: &'w super::World) -> Bench<'w> {
    let mut bench = Bench::new(world);
    let topics = BTreeMap::from([(Destination::Customerio, "topic_1".to_owned()), (Destination::Intercom, "194".to_owned())]);
    bench.config.consent.switches = switches(&Channels::new(), &[topics]);
    bench.config.consent.explicit_opt_ins = vec![Source::Segment, Source::Intercom];
    bench
}

fn subscribe(topic: Option<&str>, subscribed: bool) -> CustomerioVerb {
    CustomerioVerb::SetSubscription { topic: topic.map(str::to_owned), subscribed }
}

fn value(bench: &Bench<'_>, own: &str, name: &str) -> Value {
    bench.vendor.profile(own).get(name)
}

#[test]
fn everything_and_topics_out_and_in() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    assert_eq!(bench.handle(&[bench.consent("e0", &person)]), ["already_there"]);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    bench.says(&person, Source::Intercom, &topic(Source::Intercom, Choice::Out), at(1));
    assert_eq!(bench.handle(&[bench.consent("e1", &person)]), ["done"]);
    assert_eq!((value(&bench, "0a", "unsubscribed"), value(&bench, "0a", TOPIC)), (json!(true), json!(false)));
    assert_eq!(bench.handle(&[bench.consent("e2", &person)]), ["already_there"]);
    bench.wait(Span::from_secs(60));
    bench.says(&person, Source::Segment, &everything(Choice::In), at(50));
    bench.says(&person, Source::Intercom, &topic(Source::Intercom, Choice::In), at(50));
    assert_eq!(bench.handle(&[bench.consent("e3", &person)]), ["done"]);
    assert_eq!((value(&bench, "0a", "unsubscribed"), value(&bench, "0a", TOPIC)), (json!(false), json!(true)));
    assert_eq!(bench.vendor.calls().len(), 2);
}

#[test]
fn whoever_opts_in_there_is_told_again_of_a_later_opt_out() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    bench.handle(&[bench.consent("e1", &person)]);
    bench.wait(Span::from_secs(60));
    // In their own words, at Customer.io, where it counts for Customer.io.
    bench.says(&person, Source::Customerio, &everything(Choice::In), at(30));
    assert_eq!(bench.handle(&[bench.consent("e2", &person)]), ["already_there"]);
    bench.wait(Span::from_secs(60));
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(90));
    assert_eq!(bench.handle(&[bench.consent("e3", &person)]), ["done"], "though it is the value that was told last");
    assert_eq!(bench.vendor.calls().len(), 2);
    assert_eq!(value(&bench, "0a", "unsubscribed"), json!(true));
}

#[test]
fn a_merge_tells_the_profile_that_is_left() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    let other = bench.person(&[(IdKind::IntercomId, "c1")]);
    bench.says(&other, Source::Intercom, &email_in(Choice::Out), at(1));
    assert_eq!(bench.handle(&[bench.consent("e1", &other)]), ["no_identity"]);
    bench.merge(&person, &other);
    assert_eq!(bench.handle(&[bench.consent("e2", &other)]), ["done"]);
    assert_eq!(value(&bench, "0a", "unsubscribed"), json!(true));
}

#[test]
fn another_generation_is_told_again() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    bench.handle(&[bench.consent("e1", &person)]);
    bench.vendor.remove("0a");
    bench.vendor.add("0b", Some("42"), None);
    bench.change(&person, |person| person.given_up += 1);
    assert_eq!(bench.handle(&[bench.consent("e2", &person)]), ["done"]);
    assert_eq!(value(&bench, "0b", "unsubscribed"), json!(true));
}

#[test]
fn a_route_never_goes_against_an_opt_out() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    bench.says(&person, Source::Customerio, &topic(Source::Customerio, Choice::Out), at(1));
    let job = bench.asks("e1", &person, at(5), vec![subscribe(Some("1"), true)]);
    assert_eq!(bench.handle(&[job]), ["opted_out"]);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(2));
    let job = bench.asks("e2", &person, at(6), vec![subscribe(None, true), subscribe(Some("topic_1"), true)]);
    assert_eq!(bench.handle(&[job])[0], "opted_out");
    assert_ne!(value(&bench, "0a", TOPIC), json!(true));
    assert_ne!(value(&bench, "0a", "unsubscribed"), json!(false));
}

#[test]
fn an_opt_in_told_long_ago_does_not_undo_what_a_route_says_later() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    bench.handle(&[bench.consent("e1", &person)]);
    bench.wait(Span::from_secs(10));
    bench.says(&person, Source::Segment, &everything(Choice::In), at(9));
    bench.handle(&[bench.consent("e2", &person)]);
    assert_eq!(value(&bench, "0a", "unsubscribed"), json!(false));
    bench.wait(Span::from_secs(10));
    let job = bench.asks("e3", &person, at(20), vec![subscribe(None, false)]);
    assert_eq!(bench.handle(&[job]), ["done"]);
    bench.handle(&[bench.asks("e4", &person, at(21), vec![update(json!({"plan": "x"}))])]);
    assert_eq!(value(&bench, "0a", "unsubscribed"), json!(true));
}

#[test]
fn a_refused_attribute_does_not_hold_an_opt_out() {
    let world = world(1);
    let bench = mapped(&world);
    let person = user(&bench);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    let jobs = [bench.asks("e1", &person, at(1), vec![update(json!({REFUSED: 1}))]), bench.consent("e2", &person)];
    assert_eq!(bench.settle(&jobs), ["refused", "done"]);
    assert_eq!(value(&bench, "0a", "unsubscribed"), json!(true));
}

#[test]
fn state_that_is_refused_itself_is_parked() {
    let world = world(1);
    let mut bench = mapped(&world);
    bench.config.customerio.attributes.has_open_ticket = REFUSED.to_owned();
    let person = user(&bench);
    bench.rated(&person, 2, at(0));
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    assert_eq!(bench.settle(&[bench.state("e1", &person), bench.consent("e2", &person)]), ["refused"; 2]);
}

#[test]
fn whoever_has_no_profile_yet_is_told_when_the_scan_looks_again() {
    let world = world(1);
    let bench = mapped(&world);
    let person = bench.person(&[(IdKind::UserId, "42")]);
    bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
    assert_eq!(bench.handle(&[bench.consent("e1", &person)]), ["no_profile"]);
    bench.vendor.add("0a", Some("42"), None);
    let (config, routes) = trefoil_domain::config::check("trefoil.yaml", "version: 1\n").expect("a file");
    bench.wait(Span::from_hours(1));
    finish_scan(&bench, &config, &routes);
    let jobs = world.receive(trefoil_domain::ports::QueueName::CustomerioState, 10);
    assert_eq!(jobs.len(), 1, "a job is left");
    super::finish(bench.sender().handle(trefoil_domain::ports::QueueName::CustomerioState, jobs));
    assert_eq!(value(&bench, "0a", "unsubscribed"), json!(true));
}

fn finish_scan(bench: &Bench<'_>, config: &trefoil_domain::config::Config, routes: &trefoil_domain::rules::Routes) {
    use trefoil_domain::ports::QueueName;
    let world = bench.world;
    super::finish(trefoil_domain::steps::scan::scan(world, world, world)).expect("a store");
    let router = trefoil_domain::steps::route::Router { store: world, queue: world, clock: world, jitter: world, config, routes };
    let done = super::finish(router.handle(world.receive(QueueName::Events, 10)));
    world.settle(QueueName::Events, done);
}
