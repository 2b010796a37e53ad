//! Profiles that are made, because a route says so and only then.

use super::vendor::Does;
use super::{Bench, at, attributes, track, update, user, world};
use serde_json::{Value, json};
use trefoil_domain::action::{CustomerioVerb, UpdatePerson};
use trefoil_domain::event::IdKind;
use trefoil_domain::time::Span;

fn create(value: Value) -> CustomerioVerb {
    CustomerioVerb::CreatePerson { attributes: attributes(value) }
}

fn upsert(value: Value) -> CustomerioVerb {
    CustomerioVerb::UpdatePerson(UpdatePerson { create: true, attributes: attributes(value), email: None })
}

fn notes(bench: &Bench<'_>) -> Vec<String> {
    bench.world.records().into_iter().flat_map(|record| record.notes).collect()
}

#[test]
fn one_profile_read_back_and_events_afterwards() {
    for lag in [0, 12, 40] {
        for verb in [create(json!({"plan": "trial"})), upsert(json!({"plan": "trial"}))] {
            let world = world(1);
            let mut bench = Bench::new(&world);
            bench.vendor.lag = Span::from_secs(lag);
            let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")]);
            bench.rated(&person, 2, at(0));
            let jobs = [bench.asks("e1", &person, at(1), vec![verb, track("signed up")]), bench.state("e2", &person)];
            assert_eq!(bench.settle(&jobs), ["done"; 2]);
            let all = bench.vendor.all();
            let made = all.values().next().expect("made");
            assert_eq!((all.len(), bench.vendor.strays()), (1, 0));
            assert_eq!((made.user_id.as_deref(), made.email.as_deref()), (Some("42"), Some("a@example.com")));
            assert_eq!((made.get("plan"), made.get("last_csat_score")), (json!("trial"), json!(2)));
            assert_eq!(made.events.len(), 1);
            assert!(notes(&bench).is_empty());
            // Once it is there, creation leaves it as it is.
            assert_eq!(bench.settle(&[bench.asks("e3", &person, at(5), vec![create(json!({"plan": "x"}))])]), ["already_there"]);
            assert_eq!(bench.vendor.all().values().next().expect("one").get("plan"), json!("trial"));
        }
    }
}

#[test]
fn a_profile_that_is_there_is_not_made() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(1), vec![create(json!({"plan": "x"}))])]), ["already_there"]);
    assert!(bench.vendor.calls().is_empty());
}

#[test]
fn an_address_of_another_profile_is_noted() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.add("0b", Some("43"), Some("a@example.com"));
    let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")]);
    // Found by the address they would be the other one.
    let config = "version: 1\ncustomerio: { identify_by: [id] }\n";
    let bench = Bench { config: trefoil_domain::config::parse("t.yaml", config).expect("a file"), ..bench };
    assert_eq!(bench.settle(&[bench.asks("e1", &person, at(1), vec![create(json!({"plan": "x"}))])]), ["done"]);
    assert_eq!(notes(&bench), ["email_not_taken"]);
    assert_eq!(bench.vendor.profile("0b").email.as_deref(), Some("a@example.com"));
    assert_eq!(bench.vendor.all().len(), 2);
}

#[test]
fn nobody_is_made_without_an_id_of_their_own() {
    let world = world(1);
    let bench = Bench::new(&world);
    let unknown = bench.person(&[(IdKind::IntercomId, "c1"), (IdKind::CioId, "0zz")]);
    let (one, two) = (bench.person(&[(IdKind::IntercomId, "c2")]), bench.person(&[(IdKind::IntercomId, "c3")]));
    for person in [&one, &two] {
        bench.gains(person, &super::id(IdKind::Email, "shared@example.com"), at(0));
    }
    for (n, person) in [&unknown, &one].into_iter().enumerate() {
        let job = bench.asks(&format!("e{n}"), person, at(1), vec![create(json!({})), upsert(json!({"plan": "x"})), track("x")]);
        assert_ne!(bench.settle(&[job]), ["done"]);
    }
    assert!(bench.vendor.calls().is_empty() && bench.vendor.all().is_empty());
}

#[test]
fn nothing_is_made_that_no_route_asks_for() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = bench.person(&[(IdKind::UserId, "42")]);
    bench.rated(&person, 2, at(0));
    let jobs = [bench.asks("e1", &person, at(1), vec![update(json!({"plan": "x"})), track("x")]), bench.state("e2", &person)];
    assert_eq!(bench.handle(&jobs), ["retry", "no_profile"]);
    bench.wait(Span::from_hours(80));
    assert_eq!(bench.handle(&jobs[..1]), ["no_profile"]);
    assert!(bench.vendor.calls().is_empty());
}

#[test]
fn it_gives_up_where_customerio_takes_nobody_by_these_ids() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.suppress(IdKind::UserId, "42");
    let person = bench.person(&[(IdKind::UserId, "42")]);
    bench.rated(&person, 2, at(0));
    let jobs = [bench.asks("e1", &person, at(1), vec![create(json!({})), track("x")]), bench.state("e2", &person)];
    assert_eq!(bench.settle(&jobs), ["for ever", "creation_not_applied"], "what rests on it waits");
    bench.wait(Span::from_hours(80));
    assert_eq!(bench.settle(&jobs[..1]), ["creation_not_applied"]);
    let calls = bench.vendor.calls().len();
    assert!(calls <= 200, "{calls} calls: not for ever");
    assert!(bench.vendor.all().is_empty());
    assert_eq!(bench.vendor.strays(), 0);
}

#[test]
fn a_lost_answer_makes_no_second_one() {
    for does in [Does::Fails, Does::TakesAndDrops] {
        let world = world(1);
        let mut bench = Bench::new(&world);
        bench.vendor.lag = Span::from_secs(20);
        let person = bench.person(&[(IdKind::Email, "a@example.com")]);
        bench.vendor.next_calls(&[does]);
        let job = bench.asks("e1", &person, at(1), vec![upsert(json!({"plan": "x"})), track("x")]);
        assert_eq!(bench.settle(&[job]), ["done"]);
        assert_eq!(bench.vendor.all().len(), 1);
        assert_eq!(bench.vendor.all().values().next().expect("one").events.len(), 1);
    }
}

#[test]
fn an_address_and_then_an_id_are_one_profile() {
    let world = world(1);
    let mut bench = Bench::new(&world);
    bench.vendor.lag = Span::from_secs(30);
    let person = bench.person(&[(IdKind::Email, "a@example.com")]);
    let job = bench.asks("e1", &person, at(1), vec![upsert(json!({"plan": "x"}))]);
    assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
    bench.gains(&person, &super::id(IdKind::UserId, "42"), at(2));
    assert_eq!(bench.settle(&[job]), ["done"]);
    assert_eq!(bench.vendor.all().len(), 1);
}

#[test]
fn an_outage_says_nothing_about_whom_customerio_takes() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = bench.person(&[(IdKind::UserId, "42")]);
    let job = bench.asks("e1", &person, at(1), vec![create(json!({})), track("x")]);
    for _ in 0..6 {
        bench.vendor.next_calls(&[Does::Fails]);
        assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
        bench.wait(Span::from_mins(3));
    }
    assert_eq!(bench.settle(&[job]), ["done"]);
    assert_eq!(bench.vendor.all().len(), 1);
    assert!(bench.vendor.all().values().all(|profile| profile.events.len() == 1));
}
